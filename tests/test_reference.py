"""Boxes, anchors and NMS against torchvision's numbers."""

import numpy as np
import pytest
import tensorflow as tf
from reference import NUMBERS, PIXELS, agree, load, yx

from mrcnn_tf import anchors, box_losses, boxes, nms


@pytest.mark.parametrize(
    ("name", "overlap", "theirs"),
    [
        ("IoU", boxes.iou, "box_iou"),
        ("GIoU", boxes.giou, "generalized_box_iou"),
        ("DIoU", boxes.diou, "distance_box_iou"),
        ("CIoU", boxes.ciou, "complete_box_iou"),
    ],
)
def test_overlaps(name, overlap, theirs):
    golden = load("iou")
    boxes1, boxes2 = yx(golden["boxes1"]), yx(golden["boxes2"])
    value, expected = overlap(boxes1, boxes2), golden[theirs]
    agree(name, f"iou: ops.{theirs}", value, expected, **NUMBERS)


def test_area():
    golden = load("iou")
    value, expected = boxes.area(yx(golden["boxes1"])), golden["area1"]
    agree("area", "iou: ops.box_area", value, expected, **NUMBERS)


@pytest.mark.parametrize(
    ("name", "loss", "theirs"),
    [
        ("GIoU loss", box_losses.giou_loss, "generalized_box_iou_loss"),
        ("DIoU loss", box_losses.diou_loss, "distance_box_iou_loss"),
        ("CIoU loss", box_losses.ciou_loss, "complete_box_iou_loss"),
    ],
)
def test_overlap_losses_and_their_gradients(name, loss, theirs):
    golden = load("iou")
    pair1, pair2 = tf.constant(yx(golden["pair1"])), yx(golden["pair2"])
    with tf.GradientTape() as tape:
        tape.watch(pair1)
        each = loss(pair1, pair2)
        total = tf.reduce_sum(each)
    source = f"iou: ops.{theirs}"
    agree(name, source, each, golden[theirs], **NUMBERS)
    mean = tf.reduce_mean(each)
    agree(f"{name}, mean", source, mean, golden[f"{theirs}_mean"], **NUMBERS)
    agree(f"{name}, sum", source, total, golden[f"{theirs}_sum"], **NUMBERS)
    gradient, expected = tape.gradient(total, pair1), yx(golden[f"{theirs}_grad1"])
    agree(f"{name}, gradient", source, gradient, expected, **NUMBERS)


@pytest.mark.parametrize(
    ("name", "weights"), [("w1", (1, 1, 1, 1)), ("w10", (10, 10, 5, 5))]
)
def test_box_deltas(name, weights):
    golden = load("box_coder")
    gt, reference_boxes = yx(golden["gt"]), yx(golden["proposals"])
    deltas = boxes.encode(gt, reference_boxes, weights)
    expected = yx(golden[f"encode_{name}"])
    agree("encode boxes", "box_coder: BoxCoder.encode", deltas, expected, **NUMBERS)
    back = boxes.decode(expected, reference_boxes, weights)
    expected = yx(golden[f"decode_encode_{name}"])
    agree("decode boxes", "box_coder: BoxCoder.decode", back, expected, **PIXELS)
    codes = yx(golden["codes"].reshape(64, 3, 4))  # of three classes
    decoded = boxes.decode(codes, reference_boxes[:, None].repeat(3, 1), weights)
    expected = yx(golden[f"decode_{name}"])
    agree("decode boxes", "box_coder: BoxCoder.decode", decoded, expected, **PIXELS)
    clipped = boxes.clip(tf.reshape(decoded, [1, -1, 4]), tf.constant([[256, 320]]))
    expected = yx(golden[f"decode_clip_{name}"]).reshape(1, -1, 4)
    agree("clip", "box_coder: ops.clip_boxes_to_image", clipped, expected, **PIXELS)


def test_anchors():
    golden = load("anchors")
    sizes = (32, 64, 128, 256, 512)
    base = [anchors.base_anchors(size, (0.5, 1.0, 2.0)) for size in sizes]
    agree("base anchors", "anchors: AnchorGenerator", base, yx(golden["cell_anchors"]))
    levels = [
        anchors.level_anchors(tuple(grid), (256, 320), b)
        for grid, b in zip(golden["grid_sizes"].tolist(), base, strict=True)
    ]
    expected = yx(golden["anchors_256x320"])
    agree("anchors", "anchors: AnchorGenerator", np.concatenate(levels), expected)
    level = anchors.level_anchors((4, 6), (256, 352), base[-1])
    expected = yx(golden["anchors_256x352_P6"])
    agree("anchors, step not the stride", "anchors: AnchorGenerator", level, expected)


@pytest.mark.parametrize("percent", [30, 50, 70])
def test_nms(percent):
    golden = load("nms")
    candidates, scores = yx(golden["boxes"]), golden["scores"]
    expected = golden[f"keep_{percent}"]
    by_hand = nms.nms_by_hand(candidates, scores, percent / 100)
    agree("NMS by hand", "nms: ops.nms", by_hand, expected)
    # One list for all, then a list per class: the others' scores are -inf.
    classes = np.arange(5)[:, None]
    per_class = np.where(golden["idxs"] == classes, scores, -np.inf)
    index, valid = nms.batched_nms(
        np.stack([candidates] * 6),
        np.concatenate([scores[None], per_class]).astype(np.float32),
        percent / 100,
        200,
    )
    agree("NMS", "nms: ops.nms", index[0][valid[0]], expected)
    kept = np.concatenate([index[i][valid[i]] for i in range(1, 6)])
    kept = kept[np.argsort(-scores[kept])]
    expected = golden[f"batched_keep_{percent}"]
    agree("NMS by class", "nms: ops.batched_nms", kept, expected)
