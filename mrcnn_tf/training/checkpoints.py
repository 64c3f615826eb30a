"""Files that are whole at any moment, and a folder that one process owns.

A process may be killed and a disk may fill up while a file is written: it is written
beside its place, brought to the disk, and only then takes the place of the old one.
"""

import contextlib
import json
import math
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from mrcnn_tf.training.run_file import differences

_SCRATCH = ".saving-"  # folders of files on their way


def write_whole(path, write):
    """Writes a file such that its path never holds half of it.

    Args:
        path: of the file; what stands there stays until the new one is on the disk.
        write: callable that is given another path, with the same name, to write to.
    Raises:
        OSError: if it cannot be written; the old file is untouched then, and nothing
            is left beside it.
    """
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=path.parent) as scratch:
            new = Path(scratch) / path.name
            write(new)
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(new, path)
        _sync_folder(path.parent)
    except Exception as error:
        # Keras may raise a fault of its own upon the disk's.
        cause = error
        while not isinstance(cause, OSError) and cause.__context__ is not None:
            cause = cause.__context__
        raise OSError(
            f"{path}: cannot be written ({cause}); what stood there before is whole"
        ) from error


def write_text(path, text):
    """Writes text, as `write_whole`."""
    write_whole(path, lambda new: new.write_text(text, encoding="utf-8"))


def save(model, path):
    """Saves a model with its optimiser, as `write_whole`."""
    write_whole(path, model.save)


def copy(source, path):
    """Copies a file, as `write_whole`."""
    write_whole(path, lambda new: shutil.copyfile(source, new))


def restore(model, path):
    """Gives a compiled model the weights and the optimiser of a checkpoint.

    Args:
        model: a MaskRCNN of the config that the checkpoint was written with; only
            `train.steps` may be larger.
        path: of a `.keras` file.
    Returns:
        int, the steps that it has been trained for.
    Raises:
        ValueError: if the file is damaged or of another model.
    """
    advice = (
        "delete it to begin anew, or put best.keras in its place to go on from there"
    )
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # compares every checksum
            saved = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: damaged, or no .keras file; {advice}") from error
    if damaged:
        raise ValueError(f"{path}: {damaged} in it is damaged; {advice}")
    old = saved.get("config", {}).get("config")
    if saved.get("class_name") != "MaskRCNN" or not isinstance(old, dict):
        raise ValueError(
            f"{path}: holds a {saved.get('class_name')} and no Mask R-CNN; {advice}"
        )
    found = differences(old, json.loads(model.config.to_json()))
    if found:
        raise ValueError(f"{path}: of another network: {'; '.join(found)}; {advice}")
    model.load_weights(path)
    steps = int(model.optimizer.iterations.numpy())
    if steps == 0:
        raise ValueError(f"{path}: holds no optimiser, so it cannot go on; {advice}")
    return steps


def make_folder(folder):
    """Makes a folder that can be written, and removes what a kill left in it.

    Raises:
        OSError: if it cannot be made or written, before an hour is spent.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(stale)
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()


def check_space(folder, model):
    """Sees to it that a disk has room for `last`, `best` and one that is written.

    Args:
        folder: of the run.
        model: a compiled model.
    Raises:
        OSError: with both figures.
    """
    variables = [*model.variables, *model.optimizer.variables]
    size = sum(math.prod(v.shape) * v.value.dtype.size for v in variables)  # bytes
    there = [Path(folder) / name for name in ("last.keras", "best.keras")]
    wanted = 3 * size - sum(file.stat().st_size for file in there if file.exists())
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise OSError(
            f"{folder}: {free / 1e6:.0f} MB free on its disk, {wanted / 1e6:.0f} MB "
            f"needed: a checkpoint has {size / 1e6:.0f} MB, and there are last.keras, "
            "best.keras and one on its way; free some, or take another folder"
        )


@contextlib.contextmanager
def locked(folder):
    """Holds a folder against other processes; a kill lets go of it.

    Raises:
        OSError: if another process holds it.
    """
    import fcntl  # not on Windows, where the rest of this file works

    with open(Path(folder) / ".lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(
                f"{folder}: another process is training there; wait for it, stop it, "
                "or take another folder"
            ) from None
        yield


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
