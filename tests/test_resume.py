"""Runs that are killed: nothing is lost, doubled or another number than it would be."""

import csv
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import small
import train as train_script

import mrcnn_tf as mr
from mrcnn_tf.training import checkpoints
from mrcnn_tf.training.logs import Log
from mrcnn_tf.training.parts import Parts
from mrcnn_tf.training.run import train
from mrcnn_tf.training.run_file import changed_run

ROOT = Path(__file__).parents[1]


def tiny_run(folder, **fields):
    """A run of a small network on toy scenes, and its config."""
    fields = {"steps_per_part": 2, "evaluate_every": 0, **fields}
    run = mr.training.RunConfig(data="shapes", folder=str(folder), **fields)
    return run, small.config(train={"steps": 6})


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def arrays(path):
    """All weights and the optimiser's state in a checkpoint, by name."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item)

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
        h5py.File(file).visititems(visit)
    return found


def same_run(one, other):
    """Whether two folders hold the same run, bit for bit."""
    for name in ("log.csv", "steps.csv"):
        assert (one / name).read_text() == (other / name).read_text(), name
    for name in ("last.keras", "best.keras"):
        if not (one / name).exists():
            assert not (other / name).exists()
            continue
        ours, theirs = arrays(one / name), arrays(other / name)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            np.testing.assert_array_equal(value, theirs[key], err_msg=key)


def test_a_file_is_old_or_new_and_never_half(tmp_path):
    path = tmp_path / "file.txt"
    checkpoints.write_text(path, "old")

    def fails(new):
        new.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"file.txt: cannot be written.*No space left"):
        checkpoints.write_whole(path, fails)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]
    checkpoints.write_text(path, "new")
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    """A limit on the size of files: the kernel fails a write as on a full disk."""
    network = small.model()
    path = tmp_path / "last.keras"
    checkpoints.save(network, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OSError, match=r"last\.keras: cannot be written \(.*large"):
            checkpoints.save(network, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["last.keras"]


def test_too_little_space_is_said_before_training(tmp_path, monkeypatch):
    network = small.model()
    checkpoints.check_space(tmp_path, network)
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"5 MB free.*MB needed: a checkpoint has 3 MB"):
        checkpoints.check_space(tmp_path, network)
    for name in ("last.keras", "best.keras"):  # on going on, they take no more
        (tmp_path / name).write_bytes(bytes(2_000_000))
    checkpoints.check_space(tmp_path, network)


def test_a_folder_belongs_to_one_process(tmp_path):
    with (
        checkpoints.locked(tmp_path),
        pytest.raises(OSError, match="another process is training there"),
        checkpoints.locked(tmp_path),
    ):
        pass
    with checkpoints.locked(tmp_path):  # it was let go
        pass


def test_what_a_kill_left_is_removed(tmp_path):
    (tmp_path / ".saving-abc").mkdir()
    (tmp_path / ".saving-abc" / "last.keras").write_text("half")
    checkpoints.make_folder(tmp_path)
    assert os.listdir(tmp_path) == []


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    log = Log(path, ["step", "loss"])
    for step, loss in ((2, 0.1), (4, 1 / 3), (6, 0.5)):
        log.add({"step": step, "loss": loss})
    log.close()
    with path.open("a") as file:
        file.write("8,0.")  # cut short by a kill
    log = Log(path, ["step", "loss"], step=4)
    assert [float(row["loss"]) for row in log.rows] == [0.1, 1 / 3]
    log.add({"step": 6})
    log.close()
    assert path.read_text().split() == ["step,loss", "2,0.1", f"4,{1 / 3!r}", "6,"]


def test_a_log_of_something_else_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(ValueError, match=r"columns step,loss, found epoch,loss"):
        Log(path, ["step", "loss"])
    path.write_text("step,loss\nx,2\n")
    with pytest.raises(ValueError, match=r"log.csv, line 2: expected a number"):
        Log(path, ["step", "loss"])


@pytest.mark.slow
def test_weights_optimiser_and_steps_come_back(tmp_path):
    network = small.model()
    scenes = mr.datasets.Shapes(4, size=64)
    stream = mr.datasets.batches(scenes, network.config, training=True)
    network.fit(stream, steps_per_epoch=1, verbose=0, shuffle=False)
    checkpoints.save(network, tmp_path / "last.keras")
    other = small.model(seed=1)
    assert checkpoints.restore(other, tmp_path / "last.keras") == 1
    for one, two in (
        (network.variables, other.variables),
        (network.optimizer.variables, other.optimizer.variables),
    ):
        assert len(one) == len(two)
    for one, two in zip(
        [*network.weights, *network.optimizer.variables],
        [*other.weights, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_checkpoints_that_cannot_be_gone_on_from_are_named(tmp_path):
    path = tmp_path / "last.keras"
    network = small.model()
    checkpoints.save(network, path)
    with pytest.raises(ValueError, match=r"last\.keras: holds no optimiser"):
        checkpoints.restore(small.model(), path)  # it has taken no step
    with pytest.raises(ValueError, match=r"roi\.samples 16 there, 8 asked"):
        checkpoints.restore(small.model(roi={"samples": 8}), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (
        whole[:middle],
        whole[:middle] + 64 * b"\xff" + whole[middle + 64 :],
        b"not a zip file",
        b"",
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"last\.keras.*damaged"):
            checkpoints.restore(network, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"class_name": "Sequential"}')
    with pytest.raises(ValueError, match="holds a Sequential"):
        checkpoints.restore(network, path)


@pytest.mark.slow
def test_a_run_goes_on_grows_and_refuses_another(tmp_path, capsys, monkeypatch):
    """Stopped in the middle of its second part; then again; then with more steps."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run, config = tiny_run(folder, evaluate_every=2, evaluate_images=2)
    toy = mr.datasets.load

    def short(*arguments, **fields):
        splits = toy(*arguments, **fields)
        return mr.datasets.Splits(
            splits.train, splits.val, mr.datasets.Shapes(2, size=64)
        )

    monkeypatch.setattr(mr.datasets, "load", short, raising=False)
    train(changed_run(run, config, {"run": {"folder": str(whole)}})[0], config)
    capsys.readouterr()

    parts = Parts
    log_step = parts.on_train_batch_end

    def interrupted(self, batch, logs=None):
        log_step(self, batch, logs)
        if int(self.model.optimizer.iterations) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(parts, "on_train_batch_end", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"stopped at step 3 of 6.*step 2"):
            train(run, config)
    assert [row["step"] for row in rows(folder / "steps.csv")] == ["1", "2", "3"]
    with pytest.raises(ValueError, match=r"run\.seed 0 there, 1 asked"):
        train(changed_run(run, config, {"run": {"seed": 1}})[0], config)
    with pytest.raises(ValueError, match=r"train\.steps 6 there, 4 asked"):
        train(run, config.replace(train={"steps": 4}))

    (folder / "best.keras").unlink(missing_ok=True)
    assert train(run, config)["images"] == 2
    assert "going on at step 2 of 6" in capsys.readouterr().out
    steps = [row["step"] for row in rows(folder / "steps.csv")]
    assert steps == [str(step) for step in range(1, 7)]
    # Without determinism two runs drift apart, little in the first step after it went
    # on; bit for bit they are compared in test_kills_change_nothing.
    again, uninterrupted = (rows(one / "steps.csv")[2] for one in (folder, whole))
    for name, value in again.items():
        found, expected = float(value), float(uninterrupted[name])
        assert found == pytest.approx(expected, rel=0.05, abs=1e-3), name
    ours = rows(folder / "log.csv")
    assert [row["step"] for row in ours] == ["2", "4", "6"]
    assert ours[0]["val_mask_AP"] == "" and ours[1]["val_mask_AP"] != ""

    assert train(run, config) is None
    assert "finished, 6 steps done" in capsys.readouterr().out
    assert train(run, config.replace(train={"steps": 7}))["images"] == 2
    assert rows(folder / "log.csv")[-1]["step"] == "7"
    assert len(mr.MaskRCNN.load(folder / "best.keras").config.classes) == 3


def test_a_folder_of_something_else_is_refused(tmp_path):
    run, config = tiny_run(tmp_path)
    (tmp_path / "last.keras").write_text("from a notebook")
    with pytest.raises(ValueError, match="that this command has not written"):
        train(run, config)
    (tmp_path / "last.keras").rename(tmp_path / "best.keras")
    with pytest.raises(ValueError, match=r"best\.keras but no last\.keras"):
        train(run, config)
    assert (tmp_path / "best.keras").read_text() == "from a notebook"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_at_once(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        train(*tiny_run(tmp_path / "run"))


def start(config):
    """Starts the command on a config file."""
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "train.py", "--cpu", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


def steps_logged(folder):
    """How many steps a run has got to, as its log says while it is written."""
    path = folder / "steps.csv"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def kill_somewhere(process, folder, draw, number):
    """Kills a process: while it starts, trains, or in every third case saves.

    Returns:
        whether it was killed; it may have ended before.
    """
    if number % 5 == 4:
        time.sleep(draw.uniform(0, 8))  # before its first step
    else:
        # The log may still hold steps that are about to be dropped: some of these
        # kills come early, too.
        goal = steps_logged(folder) + draw.randint(0, 5)
        while process.poll() is None and steps_logged(folder) < goal:
            time.sleep(0.01)
        if number % 3 == 0:
            while process.poll() is None and not list(folder.glob(".saving-*/*.keras")):
                time.sleep(0.001)
        else:
            time.sleep(draw.uniform(0, 0.3))
    killed = process.poll() is None
    process.kill()
    process.communicate()
    return killed


@pytest.mark.slow
def test_kills_change_nothing(tmp_path):
    """SIGKILL, in a third of the cases while a checkpoint is written.

    Four times, and as often as MRCNN_TF_KILLS says, which is 20 in CI.
    """
    kills = int(os.environ.get("MRCNN_TF_KILLS", "4"))
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        run, config = tiny_run(folder, deterministic=True, evaluate_every=20)
        run, config = changed_run(
            run, config, {"run": {"evaluate_images": 2}, "train": {"steps": 6 * kills}}
        )
        path = tmp_path / f"{folder.name}.json"
        path.write_text(mr.training.run_to_json(run, config))
    whole = start(tmp_path / "whole.json")
    said, _ = whole.communicate()
    assert whole.returncode == 0, said
    draw, folder, saves = random.Random(0), folders[1], 0
    for number in range(kills):
        killed = kill_somewhere(start(tmp_path / "killed.json"), folder, draw, number)
        assert killed, f"the run ended after {number} kills; give it more steps"
        saves += bool(list(folder.glob(".saving-*")))
        print(f"kill {number + 1}: {steps_logged(folder)} steps, {saves} in a save")
    assert saves > 0
    last = start(tmp_path / "killed.json")
    said, _ = last.communicate()
    assert last.returncode == 0, said
    assert "going on at step" in said
    assert not list(folder.glob(".saving-*"))
    same_run(*folders)


def test_ctrl_c_ends_with_a_sentence(monkeypatch, capsys):
    def stopped(run, config):
        raise KeyboardInterrupt("stopped at step 3 of 6")

    monkeypatch.setattr(train_script.mr.training, "train", stopped, raising=False)
    assert train_script.main(["--data", "shapes", "--run", "x"]) == 130
    assert capsys.readouterr().err == "\ntrain: stopped at step 3 of 6\n"
