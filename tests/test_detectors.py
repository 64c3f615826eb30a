"""Detectors side by side, on answers that are written by hand."""

import json

import numpy as np
import pytest

import mrcnn_tf as mr
from mrcnn_tf.evaluation.crowding import CROWDING
from mrcnn_tf.evaluation.detectors import Detectors, compare_detectors
from mrcnn_tf.result import Result


class Perfect:
    """Knows the truth of a dataset, but for (image, object) in `drop`."""

    def __init__(self, dataset, masks, parameters, drop=()):
        self.answers = {}
        for index in range(len(dataset)):
            sample = dataset[index]
            keep = [i for i in range(len(sample.boxes)) if (index, i) not in drop]
            self.answers[sample.image.tobytes()] = Result(
                sample.boxes[keep],
                sample.classes[keep],
                np.linspace(0.9, 0.5, len(keep), dtype=np.float32),
                tuple(sample.masks[i] for i in keep) if masks else (),
                sample.height,
                sample.width,
                dataset.classes,
            )
        self.parameters, self.asked = parameters, 0

    def detect(self, image):
        self.asked += 1
        return self.answers[image.tobytes()]

    def count_params(self):
        return self.parameters


@pytest.fixture(scope="module")
def dataset():
    return mr.datasets.Shapes(12, seed=3)


@pytest.fixture(scope="module")
def measured(dataset):
    """One detector that is always right, one that loses an object of the first."""
    models = {
        "masks": Perfect(dataset, True, 1234),
        "boxes": Perfect(dataset, False, 5, drop={(0, 0)}),
    }
    return models, compare_detectors(models, dataset, progress=False)


def test_what_is_right_scores_one(dataset, measured):
    models, table = measured
    about = table["models"]["masks"]
    for figure in ("AP", "AP50", "AP small", "AP medium", "mask AP", "VOC AP50"):
        assert about[figure] == pytest.approx(1), figure
    assert about["VOC AP50 2007"] == pytest.approx(1)
    assert about["AP large"] is None  # above 96 x 96 in scenes of 128 x 128
    assert about["parameters"] == 1234
    assert about["images a second"] > 0
    assert table["images"] == 12
    objects = sum(len(dataset[index].boxes) for index in range(12))
    assert table["objects"] == objects
    assert table["classes AP50"]["square"]["masks"] == pytest.approx(1)
    assert models["masks"].asked == models["boxes"].asked == 13  # the first one twice


def test_what_is_lost_shows(dataset, measured):
    table = measured[1]
    about = table["models"]["boxes"]
    assert about["AP"] < 1 and about["VOC AP50"] < 1
    assert about["mask AP"] is None
    lost = dataset.classes[dataset[0].classes[0] - 1]
    for label, values in table["classes AP50"].items():
        assert values["masks"] == pytest.approx(1)
        assert (values["boxes"] < 1) == (label == lost)
    missed = sum(
        (1 - group["found"]["boxes"]) * group["objects"] for group in table["crowding"]
    )
    assert missed == pytest.approx(1)


def test_groups_hold_every_image_and_object_once(measured):
    groups = measured[1]["crowding"]
    assert [group["name"] for group in groups] == [
        name for name in CROWDING if name in {group["name"] for group in groups}
    ]
    assert len(groups) > 1
    assert sum(group["images"] for group in groups) == 12
    assert sum(group["objects"] for group in groups) == measured[1]["objects"]
    for group in groups:
        assert group["found"]["masks"] == 1
        if group["images"]:
            assert group["AP"]["masks"] == pytest.approx(1)


def test_it_prints_and_goes_through_json(measured):
    table = measured[1]
    again = Detectors(json.loads(json.dumps(table)))
    assert again == table and str(again) == str(table)
    lines = str(table).splitlines()
    assert lines[0].startswith("| model | AP | AP50 | AP small |")
    assert lines[2].endswith("| 1,234 |")
    for block in str(table).split("\n\n")[:-1]:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "12 images" in lines[-1] and "7 x 7" in lines[-1]
    assert " - " in lines[3]  # mask AP of a detector without masks


def test_nothing_found_is_no_mask_ap(dataset):
    everything = {(i, j) for i in range(12) for j in range(4)}
    models = {"blind": Perfect(dataset, False, 1, drop=everything)}
    table = compare_detectors(models, dataset, progress=False)
    about = table["models"]["blind"]
    assert (about["AP"], about["VOC AP50"], about["mask AP"]) == (0, 0, None)
    assert all(group["found"]["blind"] == 0 for group in table["crowding"])


def test_faults_are_named(dataset):
    with pytest.raises(ValueError, match="at least one detector"):
        compare_detectors({}, dataset)
    model = Perfect(dataset, False, 1)
    with pytest.raises(ValueError, match="the dataset is empty"):
        compare_detectors({"a": model}, mr.datasets.Shapes(0))
    animals = mr.datasets.Animals(1, seed=0)
    model = Perfect(animals, False, 1)
    model.answers = {
        key: Result(*(*vars(value).values(),)[:-1], ("cat",))
        for key, value in model.answers.items()
    }
    with pytest.raises(ValueError, match="the dataset's classes are"):
        compare_detectors({"a": model}, animals, progress=False)


def test_bars_stand_for_what_was_measured(measured):
    table = measured[1]
    figure = mr.visualize.draw_detectors(table)
    sizes, scenes, objects = figure.axes
    assert [t.get_text() for t in sizes.get_xticklabels()] == ["small", "medium"]
    heights = [bar.get_height() for bar in sizes.patches]
    assert heights == [
        pytest.approx(about[f"AP {size}"])
        for about in table["models"].values()
        for size in ("small", "medium")
    ]
    apart = table["crowding"][0]
    assert scenes.get_xticklabels()[0].get_text() == f"apart\n{apart['images']} images"
    assert objects.get_xticklabels()[0].get_text().endswith("objects")
    per_model = len(objects.patches) // 2
    assert objects.patches[per_model].get_height() == apart["found"]["boxes"]


def test_answers_stand_beside_the_truth(dataset, measured):
    samples = [dataset[0], dataset[1]]
    models = measured[0]
    results = {
        name: [model.detect(sample.image) for sample in samples]
        for name, model in models.items()
    }
    figure = mr.visualize.draw_answers(samples, results, dataset.classes)
    assert [len(axes.images) for axes in figure.axes[:6]] == [1] * 6
    counts = [len(sample.boxes) for sample in samples]
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles[0].startswith(f"truth: {counts[0]} object")
    assert titles[1] == f"masks: {counts[0]} answers"
    assert titles[2] == f"boxes: {counts[0] - 1} answers"
    assert titles[4] == f"masks: {counts[1]} answers"
    with pytest.raises(ValueError, match="a result for each; found 2 images"):
        mr.visualize.draw_answers(samples, {"a": []}, dataset.classes)
