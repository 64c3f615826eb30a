"""Several devices and several machines take the steps that one would take."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small
import tensorflow as tf
import worker

import mrcnn_tf as mr
from mrcnn_tf import replicas
from mrcnn_tf.training import distribution

TESTS = Path(__file__).parent
# Sums in another order, of float32. A step of two replicas is within 1e-5; each step
# more makes more of it, by way of proposals of all but equal score. A gradient of half
# the size, or another image, would show as 1e-2.
AFTER_STEPS = 1e-3


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What replica_steps.py finds, on two logical devices of the processor."""
    folder = tmp_path_factory.mktemp("replicas")
    done = subprocess.run(
        [sys.executable, TESTS / "replica_steps.py", folder],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "found.json").read_text())


def environment(**more):
    paths = [str(TESTS), str(TESTS.parent / "scripts"), str(TESTS.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "clipped"])
def test_two_replicas_have_the_gradient_of_one(found, kind):
    """To 1e-5 of the largest gradient of all weights."""
    assert found[kind]["largest"] > 0.01
    assert found[kind]["apart"] <= 1e-5 * found[kind]["largest"]


@pytest.mark.slow
def test_it_is_the_whole_gradient_that_is_clipped(found):
    assert min(found["plain"]["norms"]) > 0.6  # else clipping would do nothing
    assert found["clipped"]["norms"] == pytest.approx([0.5, 0.5], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("figures", ["logs", "evaluated"])
def test_two_replicas_log_the_losses_of_one(found, figures):
    alone, together = found["plain"][figures]
    if figures == "evaluated":
        alone, together = [alone], [together]
    else:
        assert len(alone) == 2  # of the step, and of the epoch
    for ours, theirs in zip(alone, together, strict=True):
        assert {"loss", "mask"} < set(ours) and all(ours.values())
        assert theirs == pytest.approx(ours, rel=1e-5)


@pytest.mark.slow
def test_a_run_on_two_replicas_is_the_run_on_one(found):
    alone, together = found["alone"], found["together"]
    assert together["iterations"] == alone["iterations"] == 4
    assert together["detections"] == alone["detections"]
    same_rows(alone["rows"]["steps.csv"], together["rows"]["steps.csv"])
    same_rows(alone["rows"]["log.csv"], together["rows"]["log.csv"])


def same_rows(ours, theirs):
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        for name, value in one.items():
            assert (value == "") == (other[name] == ""), name
            if value and "AP" not in name:  # of three images it jumps
                expected = pytest.approx(float(value), rel=AFTER_STEPS, abs=1e-6)
                assert float(other[name]) == expected, (one["step"], name)


def test_workers_read_each_batch_once_between_them():
    scenes = mr.datasets.Shapes(7, size=64)
    config = small.config(train={"batch_size": 8})

    def read(**fields):
        stream = mr.datasets.batches(scenes, config, True, first_step=2, **fields)
        batches = [batch["draw"].numpy()[:, 1] for batch in stream.take(4)]
        return np.stack(batches)

    whole = read()  # [4, 8], places in the run
    assert whole[0].tolist() == list(range(16, 24))
    parts = [
        read(context=tf.distribute.InputContext(2, number, 4)) for number in (0, 1)
    ]
    # Two workers with two devices each: [4, 2] are the batches of two steps.
    assert parts[0].tolist() == [[16, 17], [18, 19], [24, 25], [26, 27]]
    assert parts[1].tolist() == [[20, 21], [22, 23], [28, 29], [30, 31]]


def test_alone_nothing_is_summed():
    assert replicas.count() == 1
    value = tf.constant([1.0, 2.0])
    assert replicas.total(value) is value
    assert replicas.with_total(value) is value
    gradients = [value]
    optimizer = small.model(train={"clip_norm": 0.1}).optimizer
    assert replicas.clipped(gradients, optimizer) is gradients


def test_a_batch_that_cannot_be_shared_out_is_named():
    class Three:
        num_replicas_in_sync = 3

    distribution.check_batch(6, Three)
    with pytest.raises(ValueError, match=r"multiple of 3.*found 8"):
        distribution.check_batch(8, Three)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker"}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": 2}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_tf_config_that_says_too_little(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must name all workers"):
        distribution.make_strategy()


def test_one_device_needs_no_strategy(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = distribution.make_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert distribution.is_chief(strategy) and not distribution.is_team(strategy)


def test_a_lost_worker_is_a_sentence():
    fault = "Collective ops is aborted by: no heartbeats\nmore\n"
    with (
        pytest.raises(OSError, match=r"stopped.*\(no heartbeats\); give the same com"),
        distribution.lost_worker(),
    ):
        raise tf.errors.UnavailableError(None, None, fault)


def start_worker(path, addresses, number, **fields):
    """Starts the command as one of the workers on a config file."""
    cluster = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": number},
    }
    more = {"TF_CONFIG": json.dumps(cluster)} if addresses else {}
    changes = [f"{name}={value}" for name, value in fields.items()]
    return subprocess.Popen(
        [sys.executable, TESTS / "worker.py", "--cpu", "--config", path]
        + (["--set", *changes] if changes else []),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**more),
    )


def free_addresses(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_workers_do_what_one_does_also_after_a_kill(tmp_path):
    """Worker 1 dies in a part; the chief ends by itself; both go on together."""
    paths, folders = {}, {}
    for name in ("alone", "team"):
        folders[name], paths[name] = tmp_path / name, tmp_path / f"{name}.json"
        run, config = worker.quick_run(folders[name], 8)
        paths[name].write_text(mr.training.run_to_json(run, config))
    team = folders["team"]

    def start_team():
        addresses = free_addresses(2)
        elsewhere = {"run.folder": tmp_path / "elsewhere"}
        return [
            start_worker(paths["team"], addresses, 0),
            start_worker(paths["team"], addresses, 1, **elsewhere),
        ]

    def logged():
        path = team / "steps.csv"
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0

    first = start_team()
    while logged() < 3 and all(one.poll() is None for one in first):
        time.sleep(0.01)
    first[1].kill()
    killed = time.monotonic()
    said = [one.communicate(timeout=120)[0] for one in first]
    print(f"the chief ended {time.monotonic() - killed:.0f} s after the kill")
    assert first[0].returncode == 1, said
    assert "train: another worker has stopped" in said[0].splitlines()[-1]
    assert 3 <= logged() < 8

    second = start_team()
    alone = start_worker(paths["alone"], None, 0)
    said = [one.communicate(timeout=300)[0] for one in (*second, alone)]
    assert [one.returncode for one in (*second, alone)] == [0, 0, 0], said
    assert "going on at step" in said[0] and "on 2 devices" in said[0]
    assert "worker 1 begins at step" in said[1]
    assert not (tmp_path / "elsewhere").exists()
    assert sorted(path.name for path in team.iterdir()) == sorted(
        path.name for path in folders["alone"].iterdir()
    )
    for name in ("steps.csv", "log.csv"):
        same_rows(rows(folders["alone"] / name), rows(team / name))
    ours, theirs = (
        mr.MaskRCNN.load(folder / "last.keras") for folder in (folders["alone"], team)
    )
    assert int(theirs.optimizer.iterations) == 8
    for one, other in zip(
        [*ours.weights, *ours.optimizer.variables],
        [*theirs.weights, *theirs.optimizer.variables],
        strict=True,
    ):
        scale = max(np.abs(one).max(), 1e-3)
        np.testing.assert_allclose(
            other, one, atol=AFTER_STEPS * scale, err_msg=one.path
        )
