"""Proposals, targets and detections by hand, and with nothing to find.

Their agreement with torchvision is in test_reference.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import anchors, detections, heads, nms, proposals, targets

SIZE = tf.constant([[100, 100]])


def propose(boxes, logits, **options):
    """Proposals of one level whose anchors are `boxes`, left as they are."""
    options = {"pre_nms": 5, "post_nms": 4, "nms_iou": 0.5, **options}
    boxes = np.array(boxes, np.float32)
    found, scores = proposals.propose(
        [np.array([logits], np.float32)],
        [np.zeros((1, len(boxes), 4), np.float32)],
        [boxes],
        SIZE,
        **options,
    )
    return found[0].numpy(), scores[0].numpy()


def test_proposals_are_clipped_sorted_and_apart():
    found, scores = propose(
        [[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 120, 120]], [1.0, 3.0, 2.0]
    )
    np.testing.assert_array_equal(
        found,
        [[0, 0, 10, 11], [50, 50, 100, 100], [0, 0, 0, 0], [0, 0, 0, 0]],
    )
    assert scores.tolist() == [3.0, 2.0, -np.inf, -np.inf]


def test_proposals_outside_the_image_are_dropped():
    found, scores = propose([[200, 200, 210, 210]], [9.0])
    assert not found.any() and (scores == -np.inf).all()


def test_levels_do_not_suppress_each_other():
    box = np.array([[0, 0, 10, 10]], np.float32)
    found, _ = proposals.propose(
        [np.array([[1.0]], np.float32), np.array([[2.0]], np.float32)],
        [np.zeros((1, 1, 4), np.float32)] * 2,
        [box, box],
        SIZE,
        pre_nms=3,
        post_nms=3,
        nms_iou=0.5,
    )
    np.testing.assert_array_equal(found[0], [*box, *box, [0, 0, 0, 0]])


def test_nms_of_nothing():
    empty = np.zeros((2, 3, 4), np.float32)
    index, valid = nms.batched_nms(empty, np.full((2, 3), -np.inf, np.float32), 0.5, 2)
    assert index.shape == (2, 2) and not valid.numpy().any()
    assert nms.nms_by_hand(np.zeros((0, 4)), [], 0.5).tolist() == []


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_both_nms_agree_on_random_boxes(threshold):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (3, 80, 2)).astype(np.float32)
    boxes = np.concatenate(
        [corners, corners + rng.uniform(5, 40, (3, 80, 2)).astype(np.float32)], axis=-1
    )
    scores = rng.permutation(240).reshape(3, 80).astype(np.float32)
    index, valid = nms.batched_nms(boxes, scores, threshold, 80)
    for row in range(3):
        by_hand = nms.nms_by_hand(boxes[row], scores[row], threshold)
        np.testing.assert_array_equal(index[row][valid[row]], by_hand)


def roi_targets(proposal_boxes, gt_boxes, classes, crowd=None, samples=8):
    gt_boxes = np.array([gt_boxes], np.float32)
    classes = np.array([classes], np.int32)
    crowd = np.zeros(classes.shape, bool) if crowd is None else np.array([crowd])
    layer = targets.RoITargets(samples, 0.5, 0.5, (10, 10, 5, 5))
    proposals = np.array([proposal_boxes], np.float32)
    outputs = layer(proposals, gt_boxes, classes, crowd, np.array([[0, 1]], np.int32))
    return [output[0].numpy() for output in outputs]


def test_ground_truth_joins_the_proposals():
    far = [[40, 40, 60, 60]] * 8
    rois, labels, deltas, objects = roi_targets(
        far, [[0, 0, 20, 20], [0, 0, 0, 0]], [2, 0]
    )
    assert labels.tolist() == [2] + [0] * 7
    np.testing.assert_array_equal(rois[0], [0, 0, 20, 20])
    assert not deltas.any()  # it is where it should be, and the rest is background
    assert objects[0] == 0


def test_roi_targets_without_objects_are_background():
    _, labels, deltas, _ = roi_targets([[1, 1, 9, 9]] * 8, [[0, 0, 0, 0]], [0])
    assert labels.tolist() == [0] * 8 and not deltas.any()


def test_roi_targets_without_proposals_leave_slots_empty():
    rois, labels, _, _ = roi_targets([[0, 0, 0, 0]] * 8, [[0, 0, 20, 20]], [1])
    assert labels.tolist() == [1] + [-1] * 7
    assert not rois[1:].any()


def test_a_crowd_is_neither_target_nor_background():
    _, labels, _, _ = roi_targets(
        [[5, 5, 15, 15], [40, 40, 60, 60]] * 4, [[0, 0, 20, 20]], [1], crowd=[True]
    )
    assert sorted(labels.tolist()) == [-1] * 4 + [0] * 4


def test_rpn_targets_always_hold_a_positive_for_an_object():
    grid = anchors.level_anchors(
        (8, 8), (64, 64), anchors.base_anchors(16, (0.5, 1, 2))
    )
    gt = np.array([[[20, 20, 26, 50]]], np.float32)  # no anchor fits
    layer = targets.RPNTargets(32, 0.5, 0.7, 0.3)
    index, labels, deltas = layer(
        [grid], gt, np.array([[1]]), np.array([[False]]), np.array([[0, 1]], np.int32)
    )
    assert (labels[0].numpy() == 1).sum() >= 1
    assert (labels[0].numpy() == 0).sum() >= 16
    assert np.isfinite(deltas).all()
    assert len(set(index[0].numpy().tolist())) == 32


def detect(logits, deltas=None, boxes=None, **options):
    logits = np.array([logits], np.float32)
    count, outputs = logits.shape[1:]
    deltas = np.zeros((1, count, outputs, 4), np.float32) if deltas is None else deltas
    options = {
        "box_weights": (10, 10, 5, 5),
        "min_score": 0.3,
        "nms_iou": 0.5,
        "max_detections": 3,
        **options,
    }
    found = detections.detect(
        logits, deltas, np.array([boxes], np.float32), SIZE, **options
    )
    return [part[0].numpy() for part in found]


def test_detections_of_other_classes_do_not_suppress():
    box = [10, 10, 30, 30]
    boxes, classes, scores = detect(
        [[0, 5, 5], [0, 4, 0], [9, 0, 0]], boxes=[box, box, [50, 50, 60, 60]]
    )
    # RoI 0 is both classes at one half; RoI 1, the same box, wins class 1.
    assert sorted(classes.tolist()) == [0, 1, 2]
    assert classes[0] == 1 and scores[0] > 0.9
    np.testing.assert_allclose(boxes[:2], [box, box], atol=1e-4)
    assert not boxes[2].any() and scores[2] == 0


def test_empty_proposals_are_no_detections():
    boxes, classes, scores = detect([[0, 9, 0]] * 2, boxes=[[0, 0, 0, 0]] * 2)
    assert not classes.any() and not scores.any() and not boxes.any()


def test_mask_of_the_own_class():
    logits = np.zeros((2, 4, 4, 3), np.float32)
    logits[0, ..., 2] = 20
    masks = detections.MaskProbabilities()(logits, np.array([[2, 0]])).numpy()
    np.testing.assert_allclose(masks[0, 0], 1)
    assert not masks[0, 1].any()


def test_mask_probabilities_of_the_other_kinds():
    classes = np.array([[2, 0]])
    odds = np.log([1, 3, 4])
    logits = np.broadcast_to(odds, (2, 4, 4, 3)).astype(np.float32)
    masks = detections.MaskProbabilities("softmax")(logits, classes).numpy()
    np.testing.assert_allclose(masks[0, 0], 4 / 8, rtol=1e-5)
    masks = detections.MaskProbabilities("agnostic")(logits[..., 1:2], classes).numpy()
    np.testing.assert_allclose(masks[0, 0], 3 / 4, rtol=1e-5)
    assert not masks[0, 1].any()


def test_heads_take_no_rois():
    box_head = heads.box_head(8, 4, units=16)
    logits, deltas = box_head(np.zeros((0, 7, 7, 8), np.float32))
    assert logits.shape == (0, 4) and deltas.shape == (0, 4, 4)
    mask_head = heads.mask_head(8, 4, convs=1, hidden=8)
    assert mask_head(np.zeros((3, 14, 14, 8), np.float32)).shape == (3, 28, 28, 4)
