"""Segments share no pixel, whatever the masks they are made of."""

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.evaluation.segments import VOID, result_segments, sample_segments
from mrcnn_tf.evaluation.semantic import IGNORE
from mrcnn_tf.result import Result

CLASSES = ("cat", "dog")


def row(text, mark):
    """A mask of one row, bool [1, W], from a drawing: where `mark` stands."""
    return np.array([[c == mark for c in text]])


def truth(rows, classes, crowd=None, trimap=None):
    masks = tuple(rle.encode(row(text, "#")) for text in rows)
    image = np.zeros((1, len(rows[0]), 3), np.uint8)
    boxes = [rle.box(m) for m in masks]
    trimap = None if trimap is None else np.array([[int(c) for c in trimap]], np.uint8)
    return Sample(image, boxes, classes, masks, crowd, trimap, image_id="photo")


def found(rows, classes, scores):
    masks = tuple(rle.encode(row(text, "#")) for text in rows)
    boxes = np.array([rle.box(m) for m in masks], np.float32).reshape(-1, 4)
    return Result(
        boxes, np.array(classes), np.array(scores), masks, 1, len(rows[0]), CLASSES
    )


# Detections


def test_the_higher_score_wins():
    segments = result_segments(found(["####....", "..######"], [2, 1], [0.9, 0.8]))
    assert segments.labels.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]
    assert segments.classes.tolist() == [2, 1]
    assert segments.crowd.tolist() == [False, False]
    assert segments.class_map().tolist() == [[2, 2, 2, 2, 1, 1, 1, 1]]


def test_the_score_decides_not_the_place_in_the_list():
    segments = result_segments(found(["####....", "..######"], [2, 1], [0.8, 0.9]))
    assert segments.labels.tolist() == [[2, 2, 1, 1, 1, 1, 1, 1]]
    assert segments.classes.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("..####..", [1, 1, 1, 1, 2, 2, 0, 0]),  # a half is left, and kept
        (".####...", [1, 1, 1, 1, 0, 0, 0, 0]),  # a quarter is not
        ("####....", [1, 1, 1, 1, 0, 0, 0, 0]),
        ("........", [1, 1, 1, 1, 0, 0, 0, 0]),  # a mask without pixels
    ],
)
def test_what_is_mostly_hidden_is_dropped(second, expected):
    result = found(["####....", second], [1, 2], [0.9, 0.8])
    segments = result_segments(result)
    assert segments.labels.tolist() == [expected]
    assert len(segments.classes) == max(expected)


def test_what_is_dropped_claims_no_pixel():
    result = found(["####....", ".####...", "....####"], [1, 1, 2], [0.9, 0.8, 0.7])
    assert result_segments(result).labels.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]


def test_nothing_visible_need_be_dropped():
    result = found(["####....", ".####..."], [1, 2], [0.9, 0.8])
    labels = result_segments(result, min_visible=0).labels
    assert labels.tolist() == [[1, 1, 1, 1, 2, 0, 0, 0]]


def test_no_detections():
    nothing = Result(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), (), 2, 3)
    segments = result_segments(nothing)
    assert segments.labels.tolist() == segments.class_map().tolist() == [[0] * 3] * 2
    assert segments.labels.dtype == segments.class_map().dtype == np.int32
    assert len(segments.classes) == 0


def test_a_result_of_boxes_only():
    boxes_only = Result(np.zeros((1, 4)), np.ones(1, int), np.ones(1), (), 2, 3)
    with pytest.raises(ValueError, match="1 detections but 0 masks"):
        result_segments(boxes_only)


# Truth


def test_segments_of_the_truth_are_its_objects():
    segments = sample_segments(truth(["##......", "....###."], [2, 1]))
    assert segments.labels.tolist() == [[1, 1, 0, 0, 2, 2, 2, 0]]
    assert segments.class_map().tolist() == [[2, 2, 0, 0, 1, 1, 1, 0]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_overlapping_objects_the_smallest_lies_in_front(order):
    rows = ["########", "..##...."]
    segments = sample_segments(truth([rows[i] for i in order], [1, 1]))
    large, small = order.index(0) + 1, order.index(1) + 1
    assert segments.labels.tolist() == [[large] * 2 + [small] * 2 + [large] * 4]


def test_crowds_come_last_however_small():
    sample = truth(["..##....", "#####..."], [1, 2], crowd=[True, False])
    segments = sample_segments(sample)
    assert segments.labels.tolist() == [[2, 2, 2, 2, 2, 0, 0, 0]]
    assert segments.crowd.tolist() == [True, False]


def test_the_border_of_a_trimap_is_void():
    segments = sample_segments(truth(["##......"], [1], trimap="11332222"))
    assert segments.labels.tolist() == [[1, 1, VOID, VOID, 0, 0, 0, 0]]
    assert segments.class_map().tolist() == [[1, 1, IGNORE, IGNORE, 0, 0, 0, 0]]


def test_a_sample_without_objects_or_of_boxes_only():
    image = np.zeros((2, 3, 3), np.uint8)
    assert sample_segments(Sample(image, [], [])).labels.tolist() == [[0] * 3] * 2
    with pytest.raises(ValueError, match="image 'photo': this sample has boxes only"):
        sample_segments(Sample(image, [[0, 0, 1, 1]], [1], image_id="photo"))
