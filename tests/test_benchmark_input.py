"""The benchmark of the input pipeline runs, and says what it measured."""

import importlib
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmark_input")


def test_a_row_for_each_tenth(script, capsys):
    arguments = ["--data", "shapes", "--preset", "tiny", "--images", "40"]
    assert script.main([*arguments, "--set", "augment.copy_paste=0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("reading 40 images of shapes, which has 1000000, for tiny")
    assert "copy_paste=0.0" in said and "zoom=(0.5, 2.0)" in said
    rows = re.findall(r"^ +(\d+) +[\d.]+ +\d+ +\d+$", said, re.MULTILINE)
    assert rows == [str(4 * number) for number in range(1, 11)]
    assert re.search(r"median [\d.]+ images/s", said.splitlines()[-1])


def test_no_such_data(script, capsys):
    assert script.main(["--data", "/nowhere"]) == 1
    assert "no such file or folder" in capsys.readouterr().err
