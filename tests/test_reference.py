"""Boxes, anchors, NMS and RoIAlign against torchvision's numbers."""

import contextlib

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import agree, channels_last, load, yx

from mrcnn_tf import (
    anchors,
    boxes,
    detections,
    losses,
    masks,
    nms,
    proposals,
    roi,
    targets,
)


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, 2.1], True),
        ([1.0, 2.0], [1.0, 2.0 + 1e-4], False),  # within 1e-4 relative
        ([1e-6, 2.0], [0.0, 2.0], False),  # within 1e-5 absolute
        ([1e-4, 2.0], [0.0, 2.0], True),  # not of its own size
        ([np.nan, 2.0], [1.0, 2.0], True),
        ([np.inf, 2.0], [np.inf, 2.0], False),
        ([[1.0, 2.0]], [1.0, 2.0], True),  # another shape
    ],
)
def test_agreement_itself(ours, theirs, differs, monkeypatch):
    monkeypatch.setattr(reference, "_ROWS", {})
    with pytest.raises(AssertionError) if differs else contextlib.nullcontext():
        agree("a block", "a function", ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (boxes.iou, "box_iou"),
        (boxes.giou, "generalized_box_iou"),
        (boxes.diou, "distance_box_iou"),
        (boxes.ciou, "complete_box_iou"),
    ],
)
def test_overlaps(ours, theirs):
    golden = load("iou")
    value = ours(yx(golden["boxes1"]), yx(golden["boxes2"]))
    agree(
        "overlap of every pair",
        f"torchvision.ops.{theirs}",
        value,
        golden[theirs],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("name", "weights"), [("w1", (1, 1, 1, 1)), ("w10", (10, 10, 5, 5))]
)
def test_box_deltas(name, weights):
    golden = load("box_coder")
    proposals = yx(golden["proposals"])
    np.testing.assert_allclose(
        boxes.encode(yx(golden["gt"]), proposals, weights),
        yx(golden[f"encode_{name}"]),
        atol=1e-4,
    )
    codes = yx(golden["codes"].reshape(64, 3, 4))
    decoded = boxes.decode(codes, proposals[:, None].repeat(3, 1), weights)
    np.testing.assert_allclose(
        decoded, yx(golden[f"decode_{name}"]), rtol=1e-5, atol=1e-3
    )
    clipped = boxes.clip(tf.reshape(decoded, [1, -1, 4]), tf.constant([[256, 320]]))
    np.testing.assert_allclose(
        clipped[0], yx(golden[f"decode_clip_{name}"]).reshape(-1, 4), atol=1e-3
    )


def test_anchors():
    golden = load("anchors")
    sizes = (32, 64, 128, 256, 512)
    base = [anchors.base_anchors(size, (0.5, 1.0, 2.0)) for size in sizes]
    np.testing.assert_array_equal(base, yx(golden["cell_anchors"]))
    levels = [
        anchors.level_anchors(tuple(grid), (256, 320), b)
        for grid, b in zip(golden["grid_sizes"].tolist(), base, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(levels), yx(golden["anchors_256x320"]))
    np.testing.assert_array_equal(
        anchors.level_anchors((4, 6), (256, 352), base[-1]),
        yx(golden["anchors_256x352_P6"]),
    )


@pytest.mark.parametrize("percent", [30, 50, 70])
def test_nms(percent):
    golden = load("nms")
    candidates, scores = yx(golden["boxes"]), golden["scores"]
    expected = golden[f"keep_{percent}"]
    by_hand = nms.nms_by_hand(candidates, scores, percent / 100)
    np.testing.assert_array_equal(by_hand, expected)
    # One list for all, then a list per class: the others' scores are -inf.
    classes = np.arange(5)[:, None]
    per_class = np.where(golden["idxs"] == classes, scores, -np.inf)
    index, valid = nms.batched_nms(
        np.stack([candidates] * 6),
        np.concatenate([scores[None], per_class]).astype(np.float32),
        percent / 100,
        200,
    )
    np.testing.assert_array_equal(index[0][valid[0]], expected)
    kept = np.concatenate([index[i][valid[i]] for i in range(1, 6)])
    kept = kept[np.argsort(-scores[kept])]
    np.testing.assert_array_equal(kept, golden[f"batched_keep_{percent}"])


def split_by_image(rois, *arrays):
    """[K, 5] rois of two images to [2, R, 4] and each [K, ...] to [2, R, ...]."""
    first = rois[:, 0] == 0
    assert first.sum() * 2 == len(rois)
    return [np.stack([a[first], a[~first]]) for a in (yx(rois[:, 1:]), *arrays)]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("output_size", [7, 14])
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_roi_align(stride, output_size, aligned):
    golden = load("roi_align")
    features = channels_last(golden[f"feat_s{stride}"])
    name = f"out_s{stride}_o{output_size}_al{int(aligned)}"
    rois, expected = split_by_image(golden["rois"], golden[name])
    ours = roi.roi_align([features], rois, output_size, [stride], aligned)
    np.testing.assert_allclose(
        ours, expected.transpose(0, 1, 3, 4, 2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_gradient(aligned):
    golden = load("roi_align")
    features = tf.constant(channels_last(golden["feat_s8"]))
    rois, cotangent = split_by_image(golden["rois"], golden["cotangent_s8_o7"])
    with tf.GradientTape() as tape:
        tape.watch(features)
        out = roi.roi_align([features], rois, 7, [8], aligned)
        total = tf.reduce_sum(out * cotangent.transpose(0, 1, 3, 4, 2))
    gradient = tape.gradient(total, features)
    expected = channels_last(golden[f"grad_feat_s8_o7_al{int(aligned)}"])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


def test_fpn_levels_and_multilevel_roi_align():
    golden = load("multiscale_roi_align")
    levels = roi.fpn_level(yx(golden["level_boxes"])) - 2
    np.testing.assert_array_equal(levels, golden["levels"])
    arrays = load("roi_align")
    strides = (4, 8, 16, 32)
    features = [channels_last(arrays[f"feat_s{s}"]) for s in strides]
    rois = np.stack([yx(golden["boxes_im0"]), yx(golden["boxes_im1"])])
    for size in (7, 14):
        ours = roi.roi_align(features, rois, size, strides, aligned=False)
        expected = channels_last(golden[f"out_o{size}"])
        np.testing.assert_allclose(np.concatenate(ours), expected, rtol=1e-4, atol=1e-4)


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
        np.testing.assert_array_equal(labels[0], golden[f"labels_{image}"])
        positive = labels[0].numpy() == 1
        expected_index = golden[f"matched_idxs_{image}"]
        np.testing.assert_array_equal(index[0][positive], expected_index[positive])
        deltas = boxes.encode(gt_boxes[0][index[0][positive]], all_anchors[positive])
        np.testing.assert_allclose(
            deltas, yx(golden[f"regression_targets_pos_{image}"]), atol=1e-5
        )


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
    np.testing.assert_allclose(objectness, golden["objectness_loss"], rtol=1e-5)
    np.testing.assert_allclose(anchor_box, golden["box_loss"], rtol=1e-5)
    at = golden["sampled_pos_im0"]
    np.testing.assert_allclose(
        tf.convert_to_tensor(tape.gradient(objectness, logits))[0].numpy()[at],
        golden["grad_objectness_pos_im0"],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        tf.convert_to_tensor(tape.gradient(anchor_box, predicted))[0].numpy()[at],
        yx(golden["grad_deltas_pos_im0"]),
        atol=1e-6,
    )


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
    for image in range(2):
        expected = yx(golden[f"proposals_im{image}"])
        np.testing.assert_allclose(ours[image], expected, atol=1e-3)
        np.testing.assert_allclose(
            tf.sigmoid(scores[image]), golden[f"proposal_scores_im{image}"], rtol=1e-5
        )


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
    np.testing.assert_allclose(class_loss, golden["frcnn_class_loss"], rtol=1e-5)
    np.testing.assert_allclose(box_loss, golden["frcnn_box_loss"], rtol=1e-5)
    np.testing.assert_allclose(
        tf.reshape(tape.gradient(class_loss, logits), [64, 5]),
        golden["frcnn_grad_class_logits"],
        atol=1e-6,
    )
    expected = yx(golden["frcnn_grad_box_regression"].reshape(64, 5, 4))
    np.testing.assert_allclose(
        tf.reshape(tape.gradient(box_loss, deltas), [64, 5, 4]), expected, atol=1e-6
    )


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
    loss = tf.reduce_sum(losses.mask_loss(labels, mask_targets, logits))
    np.testing.assert_allclose(loss, golden["mask_loss"], rtol=1e-5)


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
    np.testing.assert_array_equal(labels[0], golden["labels"])
    np.testing.assert_allclose(found[0], yx(golden["boxes"]), atol=1e-3)
    np.testing.assert_allclose(scores[0], golden["scores"], rtol=1e-4)


def test_paste():
    golden = load("paste_masks")
    for probability, box, grown, expected in zip(
        golden["masks"][:, 0],
        yx(golden["boxes"]),
        yx(golden["expanded_boxes"]),
        golden["pasted_gt_0p5"][:, 0],
        strict=True,
    ):
        # The reference truncates the box, grown by a mask cell each way, to whole
        # pixels and adds one. In that box ours is the same, pixel for pixel.
        corner = np.trunc(grown[:2])
        size = np.maximum(np.trunc(grown[2:]) - corner + 1, 1)
        cell = size / 30
        theirs = np.concatenate([corner + cell, corner + size - cell])
        ours = masks.paste(probability, theirs, *expected.shape)
        np.testing.assert_array_equal(ours, expected)
        # In the box as it is, ours moves by up to a pixel and a half at the edges.
        true = masks.paste(probability, box, *expected.shape)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(expected, 2), (5, 5))
        assert not (true & ~windows.any(axis=(2, 3))).any()
        assert not (~true & windows.all(axis=(2, 3))).any()
