"""The comparison itself, and that neither it nor its page leaves anything out."""

import ast
import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
import reference

FOLDER = Path(__file__).parent


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, 2.1], True),
        ([1.0, 2.0], [1.0, 2.0 + 1e-4], False),  # within 1e-4 relative
        ([1e-6, 2.0], [0.0, 2.0], False),  # within 1e-5 absolute
        ([1e-4, 2.0], [0.0, 2.0], True),  # not of its own size
        ([np.nan, 2.0], [1.0, 2.0], True),
        ([np.inf, 2.0], [np.inf, 2.0], False),
        ([[1.0, 2.0]], [1.0, 2.0], True),  # another shape
    ],
)
def test_agreement_itself(ours, theirs, differs, monkeypatch):
    monkeypatch.setattr(reference, "_ROWS", {})
    with pytest.raises(AssertionError) if differs else contextlib.nullcontext():
        reference.agree("a block", "a function", ours, theirs, rtol=1e-4, atol=1e-5)


def callers_of(function, files="test_*.py"):
    """{"test_x.py::test_y"} of all tests that call a function of this name."""
    found = set()
    for path in FOLDER.glob(files):
        for test in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
                if function in names:
                    found.add(f"{path.name}::{test.name}")
    return found


def test_every_array_is_compared(request):
    items = request.session.items
    before = items[: items.index(request.node)]
    done = {f"{item.path.name}::{item.originalname}" for item in before}
    if not callers_of("load", "test_reference*.py") <= done:
        pytest.skip("knows only when it comes last: pytest tests/test_reference*.py")
    # What whole networks computed is compared in test_checkpoints.py.
    arrays = {key for key in reference.arrays() if not key[0].startswith("checkpoint")}
    assert arrays - reference.READ == set()


def test_the_page_of_proof_is_whole():
    """Every test that it names is there, and every test that compares is named."""
    page = (FOLDER.parent / "docs" / "proof.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`tests/(\w+\.py::\w+)`", page))
    compare = callers_of("agree")
    assert named and compare <= named
    for test in named - compare:  # those that compare through a helper
        file, name = test.split("::")
        assert re.search(rf"^def {name}\(", (FOLDER / file).read_text(), re.MULTILINE)
