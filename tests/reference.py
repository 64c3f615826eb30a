"""Torchvision's numbers in our conventions, and the record of how near ours come."""

import dataclasses
import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

REFERENCE = "torchvision 0.28.0 on torch 2.13.0"  # as tests/golden/README.md says

# The bars, for `agree`: of a value's own size, or absolute where it is near zero.
NUMBERS = {"rtol": 1e-4, "atol": 1e-5}  # features, logits, losses
GRADIENTS = {"rtol": 1e-4, "atol": 1e-7}  # of means, so much smaller
PIXELS = {"atol": 1e-3}  # boxes

_INTRODUCTION = """\
# Proof

How near each block comes to the reference implementation's own numbers. The tests
wrote this page from what they measured:

```
pytest {tests} --proof {page}
```

Reference: {reference} (processor, float32).
Ours: {versions}, Python {python}, on {machine}.

*Absolute* is the largest difference of a single value, *relative* the same divided by
the largest value of its array. The *bar* holds for each value by itself: `1e-4
relative or 1e-5` means of that value's own size, or absolute, whichever is more.
A reference `nms: ops.nms` is what torchvision's `ops.nms` gave, in
`tests/golden/nms.npz`. `pytest` with a test's name repeats its line.

| block | reference | values | absolute | relative | bar | test |
|---|---|---:|---:|---:|---|---|"""

_FOLDER = Path(__file__).parent / "golden"
_ROWS = {}  # (test, block) -> Row, in the order in which tests ran
READ = set()  # (fixture, array) that tests of this session have read


class _Fixture(dict):
    """A fixture's arrays, which notes those that are read."""

    def __init__(self, name, arrays):
        super().__init__(arrays)
        self.name = name

    def __getitem__(self, array):
        READ.add((self.name, array))
        return super().__getitem__(array)


def load(name):
    """The arrays of one fixture, a dict."""
    return _Fixture(name, np.load(_FOLDER / f"{name}.npz"))


def arrays():
    """(fixture, array) of every array that tests/golden holds."""
    files = sorted(_FOLDER.glob("*.npz"))
    return {(file.stem, array) for file in files for array in np.load(file).files}


def yx(xy):
    """(x1, y1, x2, y2) to (y1, x1, y2, x2); the same for (dx, dy, dw, dh)."""
    return np.asarray(xy)[..., [1, 0, 3, 2]].astype(np.float32)


def channels_last(array):
    """[N, C, H, W] to [N, H, W, C]."""
    return np.moveaxis(array, 1, -1)


@dataclasses.dataclass
class Row:
    """One line of the proof page: what a test compared under one name."""

    reference: dict = dataclasses.field(default_factory=dict)  # an ordered set
    bars: dict = dataclasses.field(default_factory=dict)
    values: int = 0
    absolute: float = 0.0
    relative: float = 0.0


def agree(block, reference, ours, theirs, rtol=0.0, atol=0.0):
    """Asserts that every value is within the bar, and notes it for the proof page.

    Args:
        block: name of the row. Calls of one test with the same name share a row.
        reference: where `theirs` is from: the fixture, torchvision's function.
        ours, theirs: numbers or booleans of one shape.
        rtol, atol: each value may differ by `atol` or by `rtol` times its size,
            whichever is more. Neither: equal.
    """
    ours, theirs = (np.asarray(value, np.float64) for value in (ours, theirs))
    assert ours.shape == theirs.shape, f"{block}: {ours.shape}, not {theirs.shape}"
    with np.errstate(invalid="ignore"):  # of two infinities
        difference = np.abs(np.where(ours == theirs, 0.0, ours - theirs))
    size = np.abs(theirs)
    # Written so that a NaN is a failure.
    outside = ~(difference <= np.maximum(atol, rtol * size))
    assert not outside.any(), (
        f"{block}: {outside.sum()} of {ours.size} values miss the bar "
        f"({_bar(rtol, atol)}), the first at {np.argwhere(outside)[0].tolist()}: "
        f"{ours[outside][0]:.7g}, not {theirs[outside][0]:.7g}; the largest "
        f"difference is {difference.max():.2g}"
    )
    # "tests/test_x.py::test_y[z] (call)"; the parameters of a test share its row.
    test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0].split("[")[0]
    row = _ROWS.setdefault((test, block), Row())
    row.reference[reference] = row.bars[_bar(rtol, atol)] = None
    row.values += ours.size
    largest = difference.max(initial=0.0)
    row.absolute = max(row.absolute, largest)
    if largest:
        row.relative = max(row.relative, largest / size.max())


def _bar(rtol, atol):
    bars = [f"{_short(rtol)} relative"] * (rtol > 0) + [_short(atol)] * (atol > 0)
    return " or ".join(bars) or "equal"


def _short(number, digits=0):
    """0.00012 as 1e-4, or as 1.2e-4."""
    return f"{number:.{digits}e}".replace("e-0", "e-") if number else "0"


def write_proof(path):
    """Writes the page: a line for each block compared since the session began."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("tensorflow", "keras", "numpy")
    )
    tests = sorted({test.split("::")[0] for test, _ in _ROWS})
    lines = [
        _INTRODUCTION.format(
            tests=" ".join(tests),
            page=path,
            reference=REFERENCE,
            versions=versions,
            python=platform.python_version(),
            machine=_machine(),
        )
    ]
    for (test, block), row in _ROWS.items():
        cells = [
            block,
            "; ".join(row.reference),
            f"{row.values:,}",
            _short(row.absolute, 1),
            _short(row.relative, 1),
            "; ".join(row.bars),
            f"`{test}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    Path(path).write_text("\n".join([*lines, ""]), encoding="utf-8")


def _machine():
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(x.split(":")[1].strip() for x in lines if "model name" in x)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({platform.system()})"
