"""scripts/compare_detectors.py on three tiny networks, none trained."""

import json

import compare_detectors as script
import keras
import pytest
import small

from mrcnn_tf import yolo
from mrcnn_tf.evaluation import Detectors


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a tiny YOLO, Faster R-CNN and Mask R-CNN, none trained."""
    folder = tmp_path_factory.mktemp("runs")
    small.model().save(folder / "mask.keras")
    small.model(roi={"mask_kind": "none"}).save(folder / "faster.keras")
    keras.utils.set_random_seed(0)
    network = yolo.build(small.CLASSES, "small", size=64, grid=4)
    yolo.Detector(network, small.CLASSES).save(folder / "yolo.keras")
    return folder


def command(runs, out, *more, **changes):
    values = {
        "--yolo": runs / "yolo.keras",
        "--faster-rcnn": runs / "faster.keras",
        "--mask-rcnn": runs / "mask.keras",
        "--data": "shapes",
        "--images": 3,
        "--out": out,
    } | changes
    parts = [str(p) for pair in values.items() if pair[1] is not None for p in pair]
    return script.main([*parts, *more])


@pytest.mark.slow
def test_the_command(runs, tmp_path, capsys):
    assert command(runs, tmp_path / "out") == 0
    table = Detectors(json.loads((tmp_path / "out" / "detectors.json").read_text()))
    assert (tmp_path / "out" / "detectors.md").read_text() == f"{table}\n"
    assert str(table) in capsys.readouterr().out
    assert list(table["models"]) == ["YOLO", "Faster R-CNN", "Mask R-CNN"]
    assert (table["images"], table["grid"]) == (3, 7)
    sizes = {name: about["parameters"] for name, about in table["models"].items()}
    assert sizes["Mask R-CNN"] == small.model().count_params()
    assert sizes["Faster R-CNN"] < sizes["Mask R-CNN"]
    assert table["models"]["Faster R-CNN"]["mask AP"] is None
    for name in ("detectors.png", "answers.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000


def test_the_command_refuses_what_cannot_be_compared(runs, tmp_path, capsys):
    def refused(**changes):
        assert command(runs, tmp_path / "out", **changes) == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    alone = {"--yolo": None, "--faster-rcnn": None}
    mask = runs / "mask.keras"
    assert "--images and --grid must be at least 1" in refused(**{"--images": 0})
    message = refused(**alone | {"--faster-rcnn": mask, "--mask-rcnn": None})
    assert "mask.keras is a Mask R-CNN, expected a Faster R-CNN" in message
    assert "expected --yolo, --faster" in refused(**alone | {"--mask-rcnn": None})
    assert "no.keras: no such file" in refused(**alone | {"--mask-rcnn": "no.keras"})
    message = refused(**alone | {"--data": "animals"})
    assert "have learnt square, circle, triangle; animals has" in message
    message = refused(**alone | {"--each": 1, "--data": tmp_path})
    assert "--each is for shapes and animals" in message


def test_classes_must_be_the_same(runs, tmp_path, capsys):
    network = yolo.build(("cat", "dog"), "small", size=64, grid=4)
    yolo.Detector(network).save(tmp_path / "pets.keras")
    changes = {"--yolo": tmp_path / "pets.keras", "--faster-rcnn": None}
    assert command(runs, tmp_path / "out", **changes) == 1
    message = capsys.readouterr().err
    assert "YOLO cat, dog; Mask R-CNN square, circle, triangle" in message
