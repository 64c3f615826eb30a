"""Losses of paired boxes, by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import box_losses

LOSSES = (box_losses.giou_loss, box_losses.diou_loss, box_losses.ciou_loss)
SQUARE = [0, 0, 10, 10]


def loss_and_gradient(loss, boxes1, boxes2):
    boxes1 = tf.constant(boxes1, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(boxes1)
        value = loss(boxes1, tf.constant(boxes2, tf.float32))
    return value.numpy(), tape.gradient(value, boxes1).numpy()


@pytest.mark.parametrize(
    ("other", "giou", "diou"),
    [
        (SQUARE, 0, 0),
        # Half beside: IoU 1 / 3, a full hull; centres 5 apart, diagonal 10, 15.
        ([0, 5, 10, 15], 2 / 3, 2 / 3 + 25 / 325),
        # Apart: a third of the hull between them; centres 20 apart, diagonal 10, 30.
        ([0, 20, 10, 30], 1 + 1 / 3, 1 + 400 / 1000),
        ([2, 2, 7, 7], 0.75, 0.75 + 0.5 / 200),  # nested, centres off by 0.5 each way
        ([2.5, 2.5, 7.5, 7.5], 0.75, 0.75),  # nested, centred
    ],
)
def test_squares(other, giou, diou):
    assert float(box_losses.giou_loss(*tensors(SQUARE, other))) == pytest.approx(giou)
    assert float(box_losses.diou_loss(*tensors(SQUARE, other))) == pytest.approx(diou)
    # Squares have one aspect ratio: nothing to complete.
    assert float(box_losses.ciou_loss(*tensors(SQUARE, other))) == pytest.approx(diou)


def tensors(*boxes):
    return [tf.constant(box, tf.float32) for box in boxes]


def test_ciou_adds_the_aspect_ratio():
    # A flat box centred in the square: IoU 1 / 2, angles pi / 4 and atan(2).
    aspect = 4 / math.pi**2 * (math.atan(2) - math.pi / 4) ** 2
    expected = 0.5 + aspect * aspect / (0.5 + aspect)
    value = box_losses.ciou_loss(*tensors(SQUARE, [2.5, 0, 7.5, 10]))
    assert float(value) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_pairs_row_by_row(loss):
    boxes1 = np.array([[SQUARE, SQUARE], [[0, 5, 10, 15], SQUARE]], np.float32)
    boxes2 = np.array([[SQUARE, [0, 5, 10, 15]], [SQUARE, SQUARE]], np.float32)
    value = loss(boxes1, boxes2).numpy()
    assert value.shape == (2, 2)
    assert value[0, 0] == value[1, 1] == 0
    assert value[0, 1] == value[1, 0] > 0.5  # the order of a pair does not matter
    assert loss(boxes1[:0], boxes2[:0]).shape == (0, 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_boxes_are_not_pushed(loss):
    value, gradient = loss_and_gradient(loss, [SQUARE], [SQUARE])
    np.testing.assert_array_equal(value, [0])
    np.testing.assert_array_equal(gradient, np.zeros((1, 4)))


@pytest.mark.parametrize("loss", LOSSES)
def test_boxes_apart_are_pulled_together(loss):
    _, gradient = loss_and_gradient(loss, [[0, 0, 10, 10]], [[30, 30, 40, 40]])
    # A step against the gradient moves the lower right corner down and right.
    assert (gradient[0, 2:] < 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "box", [[0, 0, 0, 0], [5, 5, 5, 5], [5, 5, 5, 9], [5, 5, 9, 5], [10, 10, 0, 0]]
)
def test_boxes_without_area(loss, box):
    for pair in ([box], [SQUARE]), ([SQUARE], [box]), ([box], [box]):
        value, gradient = loss_and_gradient(loss, *pair)
        # Also by a point: the loss says "no overlap", never NaN.
        assert 1 <= value[0] < 3
        assert np.isfinite(gradient).all()


def test_the_weight_of_the_aspect_carries_no_gradient():
    # Centred and flat, as above: only the corners' share in IoU and aspect is left.
    flat, step = np.array([2.5, 0, 7.5, 10]), np.array([0, 0, 1e-2, 0])
    _, gradient = loss_and_gradient(box_losses.ciou_loss, [flat], [SQUARE])

    def aspect(box):
        angle = math.atan2(box[3] - box[1], box[2] - box[0])
        return 4 / math.pi**2 * (angle - math.pi / 4) ** 2

    def fixed_weight(box):
        diou = float(box_losses.diou_loss(*tensors(box, SQUARE)))
        weight = aspect(flat) / (0.5 + aspect(flat))
        return diou + weight * aspect(box)

    slope = (fixed_weight(flat + step) - fixed_weight(flat - step)) / 2e-2
    assert gradient[0, 2] == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_wrong_shapes_are_named(loss):
    with pytest.raises(ValueError, match="dimension of 4"):
        loss(np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32))
