"""The benchmark of two workers says what it measured, or why it could not."""

import importlib
import json
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmark_workers")


def test_medians_and_their_ratio(script, monkeypatch, tmp_path, capsys):
    rates = iter([10, 18, 17, 20, 38, 36, 12, 20, 19])

    def rate(arguments, cores, together=False):
        assert not together or len(cores) == 2
        return float(next(rates))

    monkeypatch.setattr(script, "rate", rate)
    assert script.main(["--json", str(tmp_path / "figures.json")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2].startswith("round 2, images/s: one 20.00, two_apart 38.00")
    assert "two together have 1.58 times the images/s of one" in said[-1]
    assert "two apart 1.67 times" in said[-1]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["one"], figures["two_together"]) == (12, 19)


@pytest.mark.slow
def test_a_worker_that_fails_is_a_sentence(script, capsys):
    assert script.main(["--preset", "nothing"]) == 1
    assert "no preset 'nothing'" in capsys.readouterr().err
