"""Panoptic quality by hand; test_panoptic_paper.py has the paper read plainly."""

import json

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.evaluation.instances import connected_components
from mrcnn_tf.evaluation.panoptic import panoptic_counts, panoptic_scores
from mrcnn_tf.evaluation.segments import (
    result_segments,
    sample_segments,
)
from mrcnn_tf.result import Result

CLASSES = ("cat", "dog")
SIZE = 40, 60  # height, width in pixels


def mask(y1, x1, y2, x2):
    """A rectangle, bool [H, W]."""
    full = np.zeros(SIZE, bool)
    full[y1:y2, x1:x2] = True
    return full


def truth(masks, classes, crowd=None, void=None):
    """A Sample of masks, bool [H, W] each; void pixels become a trimap's border."""
    rles = tuple(rle.encode(m) for m in masks)
    trimap = None if void is None else np.where(void, 3, 2).astype(np.uint8)
    boxes = [rle.box(m) for m in rles]
    image = np.zeros((*SIZE, 3), np.uint8)
    return Sample(image, boxes, classes, rles, crowd, trimap, image_id="photo")


def found(masks, classes, scores=None, names=CLASSES):
    """A Result of masks, by falling score unless given."""
    rles = tuple(rle.encode(m) for m in masks)
    boxes = np.array([rle.box(m) for m in rles], np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.6, len(masks)) if scores is None else scores
    classes = np.array(classes, np.int32)
    return Result(boxes, classes, np.array(scores, np.float32), rles, *SIZE, names)


def scores(*pairs):
    return panoptic_scores((panoptic_counts(*p, CLASSES) for p in pairs), CLASSES)


def outcome(sample, result):
    """(TP, FP, FN) of one image."""
    figures = scores((sample, result))
    return figures["TP"], figures["FP"], figures["FN"]


LEFT, RIGHT = mask(10, 10, 30, 30), mask(10, 30, 30, 50)  # 20 x 20, side by side
BOTH = LEFT | RIGHT

# By hand


def test_perfect_is_one():
    figures = scores((truth([LEFT, RIGHT], [1, 2]), found([LEFT, RIGHT], [1, 2])))
    assert figures["PQ"] == figures["SQ"] == figures["RQ"] == 1
    assert (figures["TP"], figures["FP"], figures["FN"]) == (2, 0, 0)
    assert figures["count error"] == figures["count bias"] == 0
    assert json.loads(json.dumps(figures)) == figures


def test_pq_is_sq_times_rq():
    part = mask(10, 10, 30, 26)  # 16 of 20 columns: IoU 0.8
    stray = mask(35, 0, 40, 5)
    figures = scores((truth([LEFT, RIGHT], [1, 1]), found([part, stray], [1, 1])))
    assert (figures["TP"], figures["FP"], figures["FN"]) == (1, 1, 1)
    assert figures["SQ"] == pytest.approx(0.8)
    assert figures["RQ"] == 1 / 2
    assert figures["PQ"] == pytest.approx(0.4)
    assert figures["classes"]["cat"]["PQ"] == figures["PQ"]


@pytest.mark.parametrize(("columns", "matched"), [(10, 0), (11, 1)])
def test_a_match_shares_more_than_half(columns, matched):
    # 10 of 20 columns: IoU 0.5 exactly, and that is no match.
    part = mask(10, 10, 30, 10 + columns)
    miss = 1 - matched
    assert outcome(truth([LEFT], [1]), found([part], [1])) == (matched, miss, miss)


def test_one_object_split_in_two():
    halves = found([mask(10, 10, 30, 20), mask(10, 20, 30, 30)], [1, 1])
    assert outcome(truth([LEFT], [1]), halves) == (0, 2, 1)
    uneven = found([mask(10, 10, 30, 25), mask(10, 25, 30, 30)], [1, 1])
    assert outcome(truth([LEFT], [1]), uneven) == (1, 1, 0)


def test_two_objects_merged_in_one():
    sample = truth([LEFT, RIGHT], [1, 1])
    figures = scores((sample, found([BOTH], [1])))
    assert (figures["TP"], figures["FP"], figures["FN"]) == (0, 1, 2)
    assert figures["PQ"] == figures["SQ"] == figures["RQ"] == 0
    assert figures["count bias"] == -1


def test_a_match_is_of_one_class():
    figures = scores((truth([LEFT], [1]), found([LEFT], [2])))
    assert (figures["TP"], figures["FP"], figures["FN"]) == (0, 1, 1)
    assert figures["classes"]["cat"]["FN"] == figures["classes"]["dog"]["FP"] == 1
    assert figures["count error"] == 0  # one animal, whatever it is


def test_touching_kin_in_a_semantic_answer():
    """What the comparison is about: the pixels are all right, the animals are not."""
    equal = truth([LEFT, RIGHT], [1, 1])
    class_map = sample_segments(equal).class_map()
    merged = connected_components(class_map, CLASSES, min_area=10)
    assert result_segments(merged).class_map().tolist() == class_map.tolist()
    assert outcome(equal, merged) == (0, 1, 2)
    # Of a larger and a smaller one, the larger is found: 600 of 800 pixels.
    unequal = truth([mask(10, 10, 30, 40), mask(10, 40, 30, 50)], [1, 1])
    figures = scores((unequal, merged))
    assert (figures["TP"], figures["FP"], figures["FN"]) == (1, 0, 1)
    assert figures["SQ"] == pytest.approx(0.75)
    assert figures["PQ"] == pytest.approx(0.75 / 1.5)
    # Of two classes, both are.
    other = truth([LEFT, RIGHT], [1, 2])
    class_map = sample_segments(other).class_map()
    assert scores((other, connected_components(class_map, CLASSES, 10)))["PQ"] == 1


# Nothing there


def test_a_class_that_nobody_names_is_no_part_of_the_mean():
    figures = scores((truth([LEFT], [1]), found([LEFT], [1])))
    assert figures["PQ"] == 1
    assert figures["classes"]["dog"] == {
        "PQ": None, "SQ": None, "RQ": None, "TP": 0, "FP": 0, "FN": 0,
    }  # fmt: skip


def test_means_are_over_classes_not_over_objects():
    sample = truth([LEFT, RIGHT, mask(0, 0, 5, 5)], [1, 1, 2])
    figures = scores((sample, found([LEFT, RIGHT], [1, 1])))
    assert [figures[name] for name in ("PQ", "SQ", "RQ")] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("masks", "detected", "expected"),
    [([], [LEFT], (0, 1, 0)), ([LEFT], [], (0, 0, 1)), ([], [], (0, 0, 0))],
)
def test_without_truth_or_without_detections(masks, detected, expected):
    sample = truth(masks, [1] * len(masks))
    result = found(detected, [1] * len(detected))
    assert outcome(sample, result) == expected
    figures = scores((sample, result))
    assert figures["PQ"] == (0 if any(expected) else None)
    assert figures["count bias"] == len(detected) - len(masks)


def test_no_images():
    with pytest.raises(ValueError, match="no images"):
        panoptic_scores([], CLASSES)


# Void and crowds


def test_void_is_taken_from_the_prediction_before_the_iou():
    ring = mask(8, 8, 32, 32) & ~LEFT
    result = found([LEFT | ring], [1])
    assert scores((truth([LEFT], [1], void=ring), result))["SQ"] == 1
    assert scores((truth([LEFT], [1]), result))["SQ"] == pytest.approx(400 / 576)


@pytest.mark.parametrize(("columns", "false_positives"), [(10, 1), (11, 0)])
def test_what_lies_mostly_in_void_is_no_mistake(columns, false_positives):
    # More than half of 20 columns.
    sample = truth([], [], void=mask(10, 10, 30, 10 + columns))
    assert outcome(sample, found([LEFT], [1])) == (0, false_positives, 0)


@pytest.mark.parametrize(("label", "false_positives"), [(1, 0), (2, 1)])
def test_what_lies_mostly_in_a_crowd_of_its_class_is_no_mistake(label, false_positives):
    sample = truth([BOTH], [1], crowd=[True])
    result = found([mask(10, 10, 30, 20)], [label])
    figures = scores((sample, result))
    assert (figures["TP"], figures["FP"], figures["FN"]) == (0, false_positives, 0)
    assert figures["count error"] == false_positives


def test_a_crowd_is_never_found():
    assert outcome(truth([LEFT], [1], crowd=[True]), found([LEFT], [1])) == (0, 0, 0)


def test_void_and_crowd_add_up():
    crowd, void = mask(10, 10, 30, 16), mask(10, 16, 30, 21)  # 6 + 5 of 20 columns
    result = found([LEFT], [1])
    assert outcome(truth([crowd], [1], crowd=[True], void=void), result) == (0, 0, 0)
    assert outcome(truth([crowd], [1], crowd=[True]), result) == (0, 1, 0)


# Many images


def test_count_error_and_bias():
    three = found([LEFT, RIGHT, mask(0, 0, 5, 5)], [1, 1, 2])
    none = found([], [])
    one = truth([LEFT], [1])
    figures = scores((one, three), (one, none), (one, none))  # +2, -1, -1
    assert figures["count error"] == pytest.approx(4 / 3)
    assert figures["count bias"] == 0
    assert figures["images"] == 3


# Bad input


def test_bad_pairs_name_the_image():
    sample = truth([LEFT], [1])
    boxes_only = Sample(sample.image, sample.boxes, [1], image_id="photo")
    other = Result(*list(vars(found([], [])).values())[:4], 30, 60, CLASSES)
    for pair, message in (
        ((sample, found([LEFT], [1], names=("dog", "cat"))), "'photo'.* classes are"),
        ((sample, found([LEFT], [3])), "'photo'.* class ids"),
        ((sample, other), "'photo'.* 40 x 60 .* 30 x 60"),
        ((boxes_only, found([LEFT], [1])), "'photo'.* boxes only"),
    ):
        with pytest.raises(ValueError, match=message):
            panoptic_counts(*pair, CLASSES)
