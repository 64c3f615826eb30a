"""scripts/compare.py on two tiny networks, neither trained."""

import json

import compare as script
import numpy as np
import pytest
import small

import mrcnn_tf as mr
from mrcnn_tf import unet
from mrcnn_tf.evaluation import (
    Comparison,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a tiny U-Net and a tiny Mask R-CNN, neither trained."""
    folder = tmp_path_factory.mktemp("runs")
    network = unet.build(4, size=32, width=35)
    network.save(folder / "unet.keras")
    unet.save_labels(folder, "class", small.CLASSES)
    small.model().save(folder / "mask_rcnn.keras")
    return folder


def command(runs, out, *more, **changes):
    values = {
        "--unet": runs / "unet.keras",
        "--mask-rcnn": runs / "mask_rcnn.keras",
        "--data": "shapes",
        "--out": out,
        "--images": 4,
        "--validation-images": 3,
    } | changes
    return script.main([str(part) for pair in values.items() for part in pair])


@pytest.mark.slow
def test_the_command(runs, tmp_path, capsys):
    assert command(runs, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    comparison = Comparison(
        **json.loads((tmp_path / "out" / "comparison.json").read_text())
    )
    assert (tmp_path / "out" / "comparison.md").read_text() == f"{comparison}\n"
    assert str(comparison) in printed
    assert comparison["groups"][0]["images"] == len(comparison["scenes"]) == 4
    assert comparison["classes"] == list(small.CLASSES)
    assert comparison["models"]["U-Net"]["parameters"] == (
        unet.build(4, size=32, width=35).count_params()
    )
    peaks = [about["peak MB"] for about in comparison["models"].values()]
    assert peaks[0] != peaks[1]  # each of its own process, not of this one
    for name, about in comparison["models"].items():
        assert about["weights MB"] == pytest.approx(4 * about["parameters"] / 2**20)
        assert about["peak MB"] > about["weights MB"] + 200  # with TensorFlow itself
        assert about["seconds per image"] > 0
        assert f"{name}, {about['setting']['name']}, PQ on validation" in printed
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 10_000


def test_settings_are_chosen_on_validation_images(runs, tmp_path, monkeypatch):
    chosen_on, compared_on = [], []

    def choose(contender, samples, classes):
        chosen_on.append([sample.image for sample in samples])
        return 0, {0: 0.0}

    def compare(contenders, settings, samples, classes):
        compared_on.extend(sample.image for sample in samples)
        raise ValueError("seen enough")

    monkeypatch.setattr(script, "choose_setting", choose)
    monkeypatch.setattr(script, "compare_models", compare)
    assert command(runs, tmp_path) == 1
    splits = mr.datasets.load("shapes", size=64)
    assert len(chosen_on) == 2
    for images in chosen_on:
        expected = [splits.val[index].image for index in range(3)]
        np.testing.assert_array_equal(images, expected)
    expected = [splits.test[index].image for index in range(4)]
    np.testing.assert_array_equal(compared_on, expected)


def test_the_command_refuses_what_cannot_be_compared(runs, tmp_path, capsys):
    def refused(**changes):
        assert command(runs, tmp_path / "out", **changes) == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    assert "--images must be at least 1, found 0" in refused(**{"--images": 0})
    message = refused(**{"--validation-images": 0})
    assert "--validation-images must be at least 1" in message
    assert "no.keras: no such file" in refused(**{"--unet": runs / "no.keras"})
    assert "no.keras: no such file" in refused(**{"--mask-rcnn": runs / "no.keras"})
    assert "the classes square, circle, triangle" in refused(**{"--data": "animals"})
