"""Finds the tensors of a PyTorch checkpoint, without PyTorch.

A checkpoint is a pickle that describes the tensors (`torch_pickle.py` reads it, and
runs none of it) and beside it their numbers, in one of two arrangements.
"""

import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrcnn_tf.pretrained.torch_pickle import Refused, Tensor, describe, interpret

# Each storage class of PyTorch that NumPy has a type for.
DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
# The first pickle of the format before PyTorch 1.6, that of torchvision's oldest files.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# A zip's header of one entry: 30 bytes, of which the last four are two lengths.
_ZIP_HEADER = struct.Struct("<26xHH")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor still in its file: known by shape and type, read when asked for."""

    path: Path
    position: int  # bytes from the start of the file
    dtype: np.dtype
    shape: tuple

    def load(self):
        """Reads it, as a NumPy array."""
        count = math.prod(self.shape)
        values = np.fromfile(self.path, self.dtype, count, offset=self.position)
        return values.reshape(self.shape)


def find_tensors(path):
    """Finds the tensors in a checkpoint that `torch.save` wrote from a state dict.

    Args:
        path: of the file; the zip format of today or the one before PyTorch 1.6.
    Returns:
        dict from name to `StoredTensor`, in the file's order.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds anything but tensors, holds a
            name twice, or asks for code to be run. Names the tensor where it can.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; is the path right?")
    try:
        is_zip = zipfile.is_zipfile(path)
        tensors, starts = _find_in_zip(path) if is_zip else _find_in_legacy(path)
    except (Refused, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error
    found = {}
    for name, tensor in tensors.items():
        dtype = np.dtype(DTYPES[tensor.storage.kind])
        position = starts[tensor.storage.key] + tensor.offset * dtype.itemsize
        found[name] = StoredTensor(path, position, dtype, tensor.shape)
    return found


def _find_in_zip(path):
    """Returns the tensors, and where in the file the numbers of each storage start."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise Refused("holds an entry twice; download it again")
        pickles = [name for name in names if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise Refused("a zip file, but no PyTorch checkpoint: no data.pkl in it")
        damaged = archive.testzip()
        if damaged:
            raise Refused(f"damaged at {damaged}; download it again")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in names:
            _check_little(archive.read(f"{folder}byteorder") == b"little")
        with archive.open(pickles[0]) as stream:
            tensors = _checked(interpret(stream))
        starts = {}
        for name, tensor in tensors.items():
            entry = f"{folder}data/{tensor.storage.key}"
            if entry not in names:
                raise Refused(f"tensor {name!r}: its numbers, {entry}, are missing")
            info = archive.getinfo(entry)
            size = _bytes(tensor.storage)
            if info.file_size != size or info.compress_type != zipfile.ZIP_STORED:
                raise Refused(
                    f"tensor {name!r}: expected {size} bytes in {entry}, not "
                    f"compressed, found {info.file_size}"
                )
            file.seek(info.header_offset)
            lengths = _ZIP_HEADER.unpack(file.read(_ZIP_HEADER.size))
            start = info.header_offset + _ZIP_HEADER.size + sum(lengths)
            starts[tensor.storage.key] = start
    return tensors, starts


def _find_in_legacy(path):
    """As `_find_in_zip`: five pickles, then each storage's length and numbers."""
    with path.open("rb") as file:
        try:
            magic = interpret(file)
        except Refused:
            magic = None
        if magic != LEGACY_MAGIC:
            raise Refused("no PyTorch checkpoint, or damaged")
        interpret(file)  # version of the protocol, the same ever since
        system = interpret(file)
        _check_little(isinstance(system, dict) and system.get("little_endian"))
        tensors = _checked(interpret(file))
        keys = interpret(file)
        by_key = {t.storage.key: (name, t.storage) for name, t in tensors.items()}
        named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        if not named or sorted(keys) != sorted(by_key):
            raise Refused("its list of storages is not that of its tensors; damaged?")
        end = path.stat().st_size
        starts = {}
        for key in keys:
            name, storage = by_key[key]
            head = file.read(8)
            starts[key] = file.tell()
            file.seek(_bytes(storage), 1)
            if head != struct.pack("<q", storage.count) or file.tell() > end:
                raise Refused(f"tensor {name!r}: cut short or damaged; download again")
    return tensors, starts


def _bytes(storage):
    return storage.count * np.dtype(DTYPES[storage.kind]).itemsize


def _check_little(is_little):
    if not is_little:
        raise Refused("not written on a little-endian machine, as all of today are")


def _checked(value):
    """Checks that what the pickle made is a dict from names to tensors."""
    if not isinstance(value, dict):
        raise Refused(f"expected a dict of tensors, found {describe(value)}")
    storages = {}
    for name, tensor in value.items():
        if not isinstance(tensor, Tensor):
            raise Refused(
                f"expected a dict of tensors, found {describe(tensor)} at {name!r}; "
                "save model.state_dict() alone"
            )
        if tensor.storage.kind not in DTYPES:
            raise Refused(
                f"tensor {name!r}: a {tensor.storage.kind}, which NumPy has no type for"
            )
        if tensor.storage != storages.setdefault(tensor.storage.key, tensor.storage):
            raise Refused(f"tensor {name!r}: two accounts of its storage; damaged?")
    return value
