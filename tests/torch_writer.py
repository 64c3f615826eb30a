"""Writes PyTorch checkpoints without PyTorch, opcode by opcode: good ones and bad."""

import math
import pickle
import struct
import zipfile

STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
}


def save(tensors, path, legacy=False):
    """Writes what `torch.save` writes of a state dict.

    Args:
        tensors: dict, or list of pairs where a name is to stand twice: from name to
            array, or to bytes, the opcodes to put in a tensor's place.
        path: of the file.
        legacy: whether in the format before PyTorch 1.6.
    """
    pairs = list(tensors.items() if isinstance(tensors, dict) else tensors)
    arrays = {str(i): v for i, (_, v) in enumerate(pairs) if not isinstance(v, bytes)}
    state = b"".join(
        text(name) + (value if isinstance(value, bytes) else tensor(value, key, legacy))
        for key, (name, value) in enumerate(pairs)
    )
    program = pickled(
        ordered_dict()
        + pickle.MARK
        + state
        + pickle.SETITEMS
        # The versions of the modules, which torch.save adds as an attribute.
        + pickle.EMPTY_DICT
        + text("_metadata")
        + ordered_dict()
        + pickle.SETITEM
        + pickle.BUILD
    )
    if legacy:
        with open(path, "wb") as file:
            for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                file.write(pickle.dumps(value, protocol=2))
            file.write(program)
            file.write(pickle.dumps(list(arrays), protocol=2))
            for array in arrays.values():
                file.write(struct.pack("<q", array.size) + array.tobytes())
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        for key, array in arrays.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")


def pickled(program):
    """A whole pickle of these opcodes."""
    return pickle.PROTO + b"\x02" + program + pickle.STOP


def text(value):
    """Opcodes that push a string."""
    data = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def named(module, name):
    """Opcodes that import something, as far as the pickle is concerned."""
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def call(module, name, arguments=b""):
    """Opcodes that call a function, with arguments that these opcodes push."""
    return named(module, name) + pickle.MARK + arguments + pickle.TUPLE + pickle.REDUCE


def ordered_dict():
    """Opcodes that make an empty one."""
    return call("collections", "OrderedDict")


def tensor(array, key, legacy=False, strides=None):
    """Opcodes that rebuild one tensor from the storage of that key."""
    storage = (
        pickle.MARK
        + text("storage")
        + named("torch", STORAGES[str(array.dtype)])
        + text(str(key))
        + text("cpu")
        + _integer(array.size)
        + (pickle.NONE if legacy else b"")
        + pickle.TUPLE
        + pickle.BINPERSID
    )
    if strides is None:
        strides = [math.prod(array.shape[i + 1 :]) for i in range(array.ndim)]
    return call(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage
        + _integer(0)
        + _integers(array.shape)
        + _integers(strides)
        + pickle.NEWFALSE
        + ordered_dict(),
    )


def _integer(value):
    return pickle.BININT + struct.pack("<i", value)


def _integers(values):
    return pickle.MARK + b"".join(map(_integer, map(int, values))) + pickle.TUPLE


def stand_in(name, seed=0):
    """torchvision's names and shapes with made-up numbers; see tests/golden."""
    from golden.fake_checkpoint import fake_state_dict

    return fake_state_dict(f"checkpoint_{name}.json", seed)


def evil(marker):
    """Opcodes that would write a file, were they run."""
    return call("os", "system", text(f"touch {marker}"))


def transposed(array):
    """Opcodes of a tensor whose numbers lie column by column."""
    return tensor(array, 0, strides=(1, array.shape[0]))
