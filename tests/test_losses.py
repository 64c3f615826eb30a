"""Losses by hand; their agreement with torchvision is in test_reference.py."""

import math

import numpy as np
import pytest

from mrcnn_tf import losses


def test_smooth_l1_by_hand():
    error = np.array([0.0, 1 / 18, 1 / 9, 1.0], np.float32)
    expected = [0, 0.5 * 9 / 18**2, 0.5 / 9, 1 - 0.5 / 9]
    np.testing.assert_allclose(losses.smooth_l1(error, 0 * error), expected, rtol=1e-5)


def test_objectness_skips_empty_slots_and_splits_by_image():
    labels = np.array([[1, 0], [0, -1]])
    logits = np.array([[0.0, 0.0], [math.log(3), 100.0]], np.float32)
    # Three slots in use: log 2 twice in image 0, log 4 once in image 1.
    expected = [2 * math.log(2) / 3, math.log(4) / 3]
    np.testing.assert_allclose(
        losses.objectness_loss(labels, logits), expected, rtol=1e-5
    )


def test_only_the_true_class_moves_its_box():
    labels = np.array([[2, 0]])
    targets = np.zeros((1, 2, 4), np.float32)
    deltas = np.zeros((1, 2, 3, 4), np.float32)
    deltas[0, 0, 1] = 7  # another class's box
    deltas[0, 1] = 7  # a background RoI's boxes
    assert float(losses.roi_box_loss(labels, targets, deltas)[0]) == 0
    deltas[0, 0, 2, 0] = 1
    # One error of 1, over two RoIs.
    assert float(losses.roi_box_loss(labels, targets, deltas)[0]) == pytest.approx(
        (1 - 0.5 / 9) / 2
    )


def test_only_the_true_class_is_asked_for_its_mask():
    labels = np.array([[1, 0]])
    targets = np.ones((1, 2, 4, 4), np.float32)
    logits = np.zeros((1, 2, 4, 4, 3), np.float32)
    logits[..., 2] = -50  # wrong, and none of this loss's business
    logits[0, 1] = -50  # a background RoI
    assert float(losses.mask_loss(labels, targets, logits)[0]) == pytest.approx(
        math.log(2)
    )


def test_masks_that_compete_by_class():
    # At each pixel the odds are background 1, class 1 three, class 2 four.
    labels = np.array([[1]])
    logits = np.broadcast_to(np.log([1, 3, 4]), (1, 1, 2, 2, 3)).astype(np.float32)
    targets = np.array([[[[1, 1], [1, 0]]]], np.float32)
    loss = float(losses.mask_loss(labels, targets, logits, "softmax")[0])
    assert loss == pytest.approx((3 * math.log(8 / 3) + math.log(8)) / 4)


def test_one_mask_for_all_classes():
    labels = np.array([[2, 1]])
    targets = np.ones((1, 2, 2, 2), np.float32)
    logits = np.full((1, 2, 2, 2, 1), math.log(3), np.float32)  # three quarters sure
    loss = float(losses.mask_loss(labels, targets, logits, "agnostic")[0])
    assert loss == pytest.approx(math.log(4 / 3))


def test_a_batch_without_objects_or_slots_is_zero_not_nan():
    empty = np.full((2, 3), -1)
    boxes = np.zeros((2, 3, 4), np.float32)
    assert not losses.objectness_loss(empty, np.zeros((2, 3), np.float32)).numpy().any()
    assert not losses.anchor_box_loss(empty, boxes, boxes).numpy().any()
    masks = np.zeros((2, 3, 4, 4), np.float32)
    logits = np.zeros((2, 3, 4, 4, 3), np.float32)
    for kind in ("sigmoid", "softmax", "agnostic"):
        assert not losses.mask_loss(empty, masks, logits, kind).numpy().any()


def test_garbage_in_empty_slots_stays_out():
    labels = np.array([[1, -1]])
    logits = np.array([[0.0, np.nan]], np.float32)
    assert np.isfinite(losses.objectness_loss(labels, logits)).all()
