"""Targets, losses, proposals and detections against torchvision's numbers."""

import numpy as np
import tensorflow as tf
from reference import GRADIENTS, NUMBERS, PIXELS, agree, channels_last, load, yx

from mrcnn_tf import boxes, detections, losses, proposals, targets


def level_lists(golden, *names):
    """Splits [B, A, ...] into a list by level."""
    edges = np.cumsum(golden["num_anchors_per_level"])[:-1]
    return [np.split(golden[name], edges, axis=1) for name in names]


def test_rpn_labels_and_targets():
    golden = load("rpn")
    all_anchors = yx(golden["anchors"])
    for image in ("im0", "im1"):
        gt_boxes = yx(golden[f"gt_boxes_{image}"])[None]
        count = gt_boxes.shape[1]
        labels, index = targets.label_boxes(
            all_anchors[None],
            gt_boxes,
            np.ones((1, count), np.int32),
            np.zeros((1, count), bool),
            positive_iou=0.7,
            negative_iou=0.3,
            keep_best=True,
        )
        source = "rpn: RegionProposalNetwork.assign_targets_to_anchors"
        agree("RPN labels", source, labels[0], golden[f"labels_{image}"])
        positive = labels[0].numpy() == 1
        # Their matcher says -1 for background and -2 between the thresholds.
        expected = golden[f"matched_idxs_{image}"]
        agree("RPN labels", "rpn: Matcher", labels[0], np.minimum(expected + 1, 1))
        index = index[0].numpy()[positive]
        agree("RPN matches", "rpn: Matcher", index, expected[positive])
        deltas = boxes.encode(gt_boxes[0][index], all_anchors[positive])
        expected = yx(golden[f"regression_targets_pos_{image}"])
        agree("RPN box targets", "rpn: BoxCoder.encode", deltas, expected, **NUMBERS)


def test_rpn_losses_and_their_gradients():
    golden = load("rpn")
    # 139 slots; image 1 has fewer samples, and its last slots are empty.
    index = np.zeros((2, 131), np.int32)
    labels = np.full((2, 131), -1, np.int32)
    deltas = np.zeros((2, 131, 4), np.float32)
    for image in range(2):
        positive = golden[f"sampled_pos_im{image}"]
        negative = golden[f"sampled_neg_im{image}"]
        both = np.concatenate([positive, negative])
        index[image, : len(both)] = both
        labels[image, : len(both)] = 0
        labels[image, : len(positive)] = 1
        all_positive = np.flatnonzero(golden[f"labels_im{image}"] == 1)
        row = np.searchsorted(all_positive, positive)
        target = yx(golden[f"regression_targets_pos_im{image}"])
        deltas[image, : len(positive)] = target[row]
    logits = tf.constant(golden["objectness"])
    predicted = tf.constant(yx(golden["deltas"]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, predicted])
        objectness, anchor_box = (
            tf.reduce_sum(loss)
            for loss in losses.RPNLosses()(index, labels, deltas, [logits], [predicted])
        )
    source = "rpn: RegionProposalNetwork.compute_loss"
    agree("objectness loss", source, objectness, golden["objectness_loss"], rtol=1e-4)
    agree("RPN box loss", source, anchor_box, golden["box_loss"], rtol=1e-4)
    at = golden["sampled_pos_im0"]
    gradient = tf.convert_to_tensor(tape.gradient(objectness, logits))[0].numpy()[at]
    expected = golden["grad_objectness_pos_im0"]
    agree("objectness loss, gradient", source, gradient, expected, rtol=1e-4)
    gradient = tf.convert_to_tensor(tape.gradient(anchor_box, predicted))[0].numpy()[at]
    expected = yx(golden["grad_deltas_pos_im0"])
    agree("RPN box loss, gradient", source, gradient, expected, **GRADIENTS)


def test_proposals():
    golden = load("rpn")
    logits, deltas = level_lists(golden, "objectness", "deltas")
    (anchors_by_level,) = level_lists({**golden, "a": golden["anchors"][None]}, "a")
    ours, scores = proposals.propose(
        logits,
        [yx(level) for level in deltas],
        [yx(level[0]) for level in anchors_by_level],
        tf.constant([[128, 160]] * 2),
        pre_nms=100,
        post_nms=80,
        nms_iou=0.7,
    )
    source = "rpn: RegionProposalNetwork.filter_proposals"
    for image in range(2):
        expected = yx(golden[f"proposals_im{image}"])
        agree("proposals", source, ours[image], expected, **PIXELS)
        score = tf.sigmoid(scores[image])
        expected = golden[f"proposal_scores_im{image}"]
        agree("proposals, scores", source, score, expected, **NUMBERS)


def test_roi_losses_and_their_gradients():
    golden = load("losses")
    logits = tf.constant(golden["frcnn_class_logits"].reshape(2, 32, 5))
    deltas = tf.constant(yx(golden["frcnn_box_regression"].reshape(2, 32, 5, 4)))
    labels = golden["frcnn_labels"].reshape(2, 32).astype(np.int32)
    box_targets = yx(golden["frcnn_regression_targets"].reshape(2, 32, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, deltas])
        class_loss = tf.reduce_sum(losses.class_loss(labels, logits))
        box_loss = tf.reduce_sum(losses.roi_box_loss(labels, box_targets, deltas))
    source = "losses: fastrcnn_loss"
    agree("class loss", source, class_loss, golden["frcnn_class_loss"], rtol=1e-4)
    agree("RoI box loss", source, box_loss, golden["frcnn_box_loss"], rtol=1e-4)
    gradient = tf.reshape(tape.gradient(class_loss, logits), [64, 5])
    expected = golden["frcnn_grad_class_logits"]
    agree("class loss, gradient", source, gradient, expected, **GRADIENTS)
    gradient = tf.reshape(tape.gradient(box_loss, deltas), [64, 5, 4])
    expected = yx(golden["frcnn_grad_box_regression"].reshape(64, 5, 4))
    agree("RoI box loss, gradient", source, gradient, expected, **GRADIENTS)


def test_mask_loss():
    golden = load("losses")
    matched = [golden[f"mask_matched_idxs_im{i}"] for i in range(2)]
    labels = np.full((2, 4), -1, np.int32)  # image 1 has three RoIs
    mask_targets = np.zeros((2, 4, 28, 28), np.float32)
    logits = np.zeros((2, 4, 28, 28, 5), np.float32)
    all_logits = np.split(channels_last(golden["mask_logits"]), [4])
    for image in range(2):
        count = len(matched[image])
        labels[image, :count] = golden[f"mask_gt_labels_im{image}"][matched[image]]
        mask_targets[image, :count] = golden[f"mask_targets_im{image}"]
        logits[image, :count] = all_logits[image]
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(losses.mask_loss(labels, mask_targets, logits))
    source = "losses: maskrcnn_loss"
    agree("mask loss", source, loss, golden["mask_loss"], rtol=1e-4)
    total = tf.reduce_sum(tf.abs(tape.gradient(loss, logits)))
    expected = golden["mask_grad_sum_abs"]
    agree("mask loss, gradient's absolute sum", source, total, expected, rtol=1e-4)


def test_detections():
    golden = load("postprocess")
    found, labels, scores = detections.detect(
        golden["class_logits"][None],
        yx(golden["box_regression"].reshape(1, 60, 5, 4)),
        yx(golden["proposals"])[None],
        tf.constant([[128, 160]]),
        box_weights=(10.0, 10.0, 5.0, 5.0),
        min_score=0.2,
        nms_iou=0.5,
        max_detections=20,
    )
    source = "postprocess: RoIHeads.postprocess_detections"
    agree("detections, classes", source, labels[0], golden["labels"])
    agree("detections, boxes", source, found[0], yx(golden["boxes"]), **PIXELS)
    agree("detections, scores", source, scores[0], golden["scores"], rtol=1e-4)
