"""Boxes by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import boxes

UNIT = np.array([[0, 0, 10, 10]], np.float32)


def test_area_counts_no_extra_pixel():
    pair = np.array([[0, 0, 2, 3], [5, 5, 1, 9]], np.float32)
    np.testing.assert_array_equal(boxes.area(pair), [6, 0])


@pytest.mark.parametrize(
    ("other", "iou", "giou"),
    [
        ([0, 0, 10, 10], 1.0, 1.0),
        ([0, 5, 10, 15], 1 / 3, 1 / 3),  # half beside: 50 / 150, the hull is full
        ([0, 10, 10, 20], 0.0, 0.0),  # they touch
        ([0, 20, 10, 30], 0.0, -1 / 3),  # 100 of the hull's 300 lie between
        ([2, 2, 7, 7], 0.25, 0.25),  # nested
    ],
)
def test_overlaps(other, iou, giou):
    other = np.array([other], np.float32)
    assert float(boxes.iou(UNIT, other)[0, 0]) == pytest.approx(iou)
    assert float(boxes.giou(UNIT, other)[0, 0]) == pytest.approx(giou)
    assert float(boxes.iou(other, UNIT)[0, 0]) == pytest.approx(iou)


def test_diou_takes_the_distance_off():
    # Centres 5 apart, diagonal squared 10^2 + 15^2.
    value = boxes.diou(UNIT, np.array([[0, 5, 10, 15]], np.float32))
    assert float(value[0, 0]) == pytest.approx(1 / 3 - 25 / 325)


def test_ciou_is_diou_for_equal_aspect():
    other = np.array([[0, 5, 20, 25]], np.float32)
    np.testing.assert_allclose(boxes.ciou(UNIT, other), boxes.diou(UNIT, other))


def test_coverage_is_a_share_of_the_first():
    small = np.array([[0, 0, 5, 20]], np.float32)
    assert float(boxes.coverage(small, UNIT)[0, 0]) == pytest.approx(0.5)
    assert float(boxes.coverage(UNIT, small)[0, 0]) == pytest.approx(0.5)


def test_empty_box_overlaps_nothing():
    empty = np.zeros((1, 4), np.float32)
    for overlap in (boxes.iou, boxes.giou, boxes.diou, boxes.ciou, boxes.coverage):
        assert np.isfinite(overlap(empty, empty)).all()
    assert float(boxes.iou(empty, UNIT)[0, 0]) == 0


def test_no_boxes():
    none = np.zeros((0, 4), np.float32)
    assert boxes.iou(none, UNIT).shape == (0, 1)
    assert boxes.encode(none, none).shape == (0, 4)
    assert boxes.decode(none, none).shape == (0, 4)


def test_encode_by_hand():
    # The centre moves by half the reference's height; twice as wide.
    deltas = boxes.encode(np.array([[5, -5, 15, 15]], np.float32), UNIT)
    np.testing.assert_allclose(deltas[0], [0.5, 0, 0, math.log(2)], atol=1e-6)
    weighted = boxes.encode(
        np.array([[5, -5, 15, 15]], np.float32), UNIT, (10, 10, 5, 5)
    )
    np.testing.assert_allclose(weighted[0], [5, 0, 0, 5 * math.log(2)], atol=1e-5)


def test_decode_undoes_encode():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (2, 50, 2, 2)).astype(np.float32)
    wanted, reference = np.concatenate([corners.min(2), corners.max(2) + 1], axis=-1)
    for weights in ((1, 1, 1, 1), (10, 10, 5, 5)):
        deltas = boxes.encode(wanted, reference, weights)
        decoded = boxes.decode(deltas, reference, weights)
        np.testing.assert_allclose(decoded, wanted, atol=1e-3)


def test_decode_cannot_overflow():
    decoded = boxes.decode(np.array([[0, 0, 1e4, 1e4]], np.float32), UNIT)
    np.testing.assert_allclose(decoded[0, 2:] - decoded[0, :2], 10 * 1000 / 16)


def test_empty_slots_encode_to_zeros_with_finite_gradients():
    gt = tf.constant([[0.0, 0, 0, 0]])
    with tf.GradientTape() as tape:
        tape.watch(gt)
        deltas = boxes.encode(gt, UNIT)
        total = tf.reduce_sum(deltas)
    np.testing.assert_array_equal(deltas, [[0, 0, 0, 0]])
    assert np.isfinite(tape.gradient(total, gt)).all()


def test_clip_to_each_image():
    box = np.array([[[-5, -5, 50, 50]]] * 2, np.float32)
    clipped = boxes.clip(box, tf.constant([[10, 20], [60, 30]]))
    np.testing.assert_array_equal(clipped[:, 0], [[0, 0, 10, 20], [0, 0, 50, 30]])


@pytest.mark.parametrize("function", [boxes.iou, boxes.encode, boxes.decode])
def test_wrong_shapes_are_named(function):
    with pytest.raises(ValueError, match="dimension of 4"):
        function(np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32))
