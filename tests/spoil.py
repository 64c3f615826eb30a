"""Spoils annotation files in thousands of ways; each must be read or refused.

A test makes a tiny data set (images of some 20 pixels a side: speed) that is read
without a fault, and hands it over with the file to spoil:

    counts = spoil.check(folder, folder / "annotations.json", examples=300)
    assert counts["read"] and counts["refused"]

`.json` and `.xml` files are changed as trees (members dropped, doubled, exchanged,
numbers made strange, deep nesting), other files as images or bytes, and all of them
now and then as bytes (cut off, other encodings, noise). After each change the data set
is read as training does: `read_annotations`, `AnnotatedImages`, every sample. That may
end in a ValueError or FileNotFoundError whose message is one line and names the file
or the folder; anything else, a warning of NumPy's or ten seconds' silence included,
fails the test with the bytes that did it.

The same examples are made each time, and no database is kept. `examples` of 2,000 is
what an issue asked of each format: mark that test slow.
"""

import contextlib
import copy
import io
import itertools
import json
import logging
import re
import signal
import warnings
import xml.etree.ElementTree as ElementTree
import zlib
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.formats import read_annotations

_PATIENCE = 10  # seconds for one reading
_KINDS = "drop odd odd twice other number wrap rename".split()
_DEEP = 100_000  # brackets, far beyond Python's recursion limit

ODD_NUMBERS = [
    0, 1, -1, 2, 7, 0.5, -0.0, 1e-9, 1e9, -1e9, 1e300, -1e300, 10**30, 2**31, 2**63,
    float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
ODD_TEXTS = [
    "", " ", "x", "7", "nan", "..", "/", ".", "a/b/c.png", "a\\b.png", "\0", "a\nb",
    "\ud800", "é漢", "-1", "1e999", "0x10", "a" * 300, "/dev/zero", "%s%d{}{0}",
]  # fmt: skip
ODD_VALUES = [
    None, True, False, *ODD_NUMBERS, *ODD_TEXTS, [], {}, [[]], [{}], [None], [0], ["x"],
    [[0, 0, 9, 9]], [0, 0, 9, 9], [0] * 1000, {"id": 1}, {"x": [1]},
    {"size": [20, 30], "counts": [600]}, {"size": [20, 30], "counts": "o" * 5000},
]  # fmt: skip


def check(folder, file, examples, name=None):
    """Spoils a file in many ways and reads the data set after each.

    Args:
        folder: Path that `read_annotations` is given, of a sound data set.
        file: Path of the file to spoil; it is as it was afterwards.
        examples: how many ways.
        name: of the format, or None to look for it.
    Returns:
        Counter of "read" and "refused".
    Raises:
        AssertionError: for the first way that is neither.
    """
    folder, file = Path(folder), Path(file)
    sound = file.read_bytes()
    assert outcome(folder, file, name) == "read", f"{file} is not sound to begin with"
    counts = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoiled(file.suffix.lower(), sound))
    def read_or_refused(data):
        file.write_bytes(data)
        counts[outcome(folder, file, name)] += 1

    try:
        read_or_refused()
    finally:
        file.write_bytes(sound)
    return counts


def outcome(folder, file, name=None):
    """Reads a data set to the last sample; returns "read" or "refused".

    Raises:
        AssertionError: if a refusal is no sentence that names the file.
        Exception: whatever else a reader let pass.
    """
    try:
        with _patience(), _strict():
            for annotations in read_annotations(folder, name).values():
                dataset = AnnotatedImages(annotations)
                for fault in dataset.faults:
                    str(fault)
                for index in range(len(dataset)):
                    dataset[index]
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert type(error) in (ValueError, FileNotFoundError), repr(error)
        assert "\n" not in message and len(message) > 20, repr(message)
        assert file.name in message or str(folder) in message, repr(message)
        return "refused"
    return "read"


def spoiled(suffix, sound):
    """Returns a strategy of the bytes of a spoiled file.

    Args:
        suffix: ".json", ".xml", ".png" or another ending in lower case.
        sound: bytes of the file as it should be.
    """
    if suffix == ".json":
        whole = _spoiled_json(json.loads(sound))
    elif suffix == ".xml":
        whole = _spoiled_xml(sound)
    elif suffix == ".png":
        whole = _spoiled_image(sound)
    else:
        return spoiled_bytes(sound)
    # Three of four keep their form, to get beyond the parser.
    return st.one_of(whole, whole, whole, whole.flatmap(spoiled_bytes))


@st.composite
def spoiled_bytes(draw, data):
    """A strategy of bytes, changed without regard to what they mean."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 200)))
    before, middle, after = data[:start], data[start:end], data[end:]
    kind = draw(st.sampled_from("cut drop twice noise flip number deep text".split()))
    if kind == "cut":
        return before
    if kind == "drop":
        return before + after
    if kind == "twice":
        return before + middle + middle + after
    if kind == "noise":
        return before + draw(st.binary(max_size=20)) + after
    if kind == "flip":
        return before + bytes(byte ^ 0x80 for byte in middle) + after
    if kind == "number":  # longer than Python reads, or as a word
        return before + draw(st.sampled_from([b"9" * 5000, b"NaN", b"-"])) + after
    if kind == "deep":
        bracket = draw(st.sampled_from([b"[", b'{"a":', b"<a>"]))
        return before + bracket * _DEEP + after
    encoding = draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "cp037"]))
    return data.decode("latin-1").encode(encoding, "replace")


@st.composite
def _spoiled_json(draw, content):
    content = [copy.deepcopy(content)]  # in a list, for the root to be a member too
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(content)) or [([None], 0)]
        owner, key = draw(st.sampled_from(places))
        other_owner, other_key = draw(st.sampled_from(places))
        value = owner[key]
        kind = draw(st.sampled_from(_KINDS))
        if kind == "drop":
            del owner[key]
        elif kind == "twice" and isinstance(owner, list):
            owner.insert(key, copy.deepcopy(value))
        elif kind == "other":
            owner[key] = copy.deepcopy(other_owner[other_key])
        elif kind == "number" and type(value) in (int, float):
            owner[key] = draw(st.sampled_from(_numbers_near(value)))
        elif kind == "wrap":
            owner[key] = draw(st.sampled_from([[value], {"a": value}, str(value)]))
        elif kind == "rename" and isinstance(owner, dict):
            owner[key.upper()] = owner.pop(key)
        else:
            owner[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
    return json.dumps(content[0] if content else None).encode()


def _places(content):
    """Yields (container, key) of each member of a JSON tree."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], (dict, list)):
            yield from _places(content[key])


def _numbers_near(value):
    near = [-value, value + 1, value - 1, value * 1000, value / 1000, float(value)]
    return [*near, str(value), *ODD_NUMBERS]


@st.composite
def _spoiled_xml(draw, sound):
    root = ElementTree.fromstring(sound)
    for _ in range(draw(st.integers(1, 3))):
        owners = [(owner, child) for owner in root.iter() for child in owner]
        if not owners:
            break
        owner, element = draw(st.sampled_from(owners))
        _, other = draw(st.sampled_from(owners))
        kind = draw(st.sampled_from(_KINDS))
        if kind == "drop":
            owner.remove(element)
        elif kind == "twice":
            owner.insert(0, copy.deepcopy(element))
        elif kind == "other":
            element.text = other.text
        elif kind == "number" and re.fullmatch(r"-?\d+", element.text or ""):
            number = draw(st.sampled_from(_numbers_near(int(element.text))))
            element.text = str(number)
        elif kind == "rename":
            element.tag = draw(st.sampled_from([element.tag.upper(), "a", other.tag]))
        else:
            element.text = draw(st.sampled_from([*ODD_TEXTS, *map(str, ODD_NUMBERS)]))
    # XML has no place for these characters, so they end its parsing.
    data = ElementTree.tostring(root).decode().encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 19)) == 0:  # ten entities, each ten times the one before
        names = "abcdefghij"
        inner = "".join(
            f'<!ENTITY {name} "{f"&{before};" * 10}">'
            for before, name in itertools.pairwise(names)
        )
        bomb = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{inner}]>'.encode()
        data = bomb + data.replace(b"</", b"&j;</", 1)
    return data


@st.composite
def _spoiled_image(draw, sound):
    kind = draw(st.sampled_from("mode size values huge bytes bytes bytes".split()))
    if kind == "bytes":
        return draw(spoiled_bytes(sound))
    if kind == "huge":  # a head that promises 60,000 x 60,000 pixels
        head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + sound[24:29]
        return sound[:12] + head + zlib.crc32(head).to_bytes(4, "big") + sound[33:]
    with Image.open(io.BytesIO(sound)) as image:
        if kind == "mode":
            modes = st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
            image = image.convert("L").convert(draw(modes))
        elif kind == "size":
            image = image.resize(draw(st.tuples(*[st.integers(1, 40)] * 2)))
        else:
            offset = draw(st.integers(0, 255))
            image = image.convert("L").point(lambda value: (value + offset) % 256)
        file = io.BytesIO()
        image.save(file, "PNG")
    return file.getvalue()


@contextlib.contextmanager
def _patience():
    """Raises an error where a reading takes too long, on systems that have alarms."""

    def stop(*_):
        raise AssertionError(f"a reading took more than {_PATIENCE} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _strict():
    """Makes errors of warnings, and has every log message formatted, but not kept."""
    logger = logging.getLogger("mrcnn_tf")
    handler = logging.NullHandler()
    handler.handle = lambda record: record.getMessage()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # As in pyproject.toml: pycocotools 2.0.11 under NumPy 2.
            warnings.filterwarnings("ignore", "__array__ implementation")
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
