"""Boxes, anchors, NMS and RoIAlign against torchvision's numbers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import anchors, boxes, nms, roi

GOLDEN = Path(__file__).parents[2] / "shared" / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="no ../shared/golden")


def load(name):
    return dict(np.load(GOLDEN / f"{name}.npz"))


def yx(xy):
    """torchvision's (x1, y1, x2, y2), or deltas (dx, dy, dw, dh), to ours."""
    return np.asarray(xy)[..., [1, 0, 3, 2]].astype(np.float32)


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
    np.testing.assert_allclose(value, golden[theirs], atol=1e-5)
    np.testing.assert_allclose(
        boxes.area(yx(golden["boxes1"])), golden["area1"], rtol=1e-6
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
    np.testing.assert_array_equal(
        np.concatenate(levels), yx(golden["anchors_256x320"])
    )
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
    features = golden[f"feat_s{stride}"].transpose(0, 2, 3, 1)
    name = f"out_s{stride}_o{output_size}_al{int(aligned)}"
    rois, expected = split_by_image(golden["rois"], golden[name])
    ours = roi.roi_align([features], rois, output_size, [stride], aligned)
    np.testing.assert_allclose(
        ours, expected.transpose(0, 1, 3, 4, 2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_gradient(aligned):
    golden = load("roi_align")
    features = tf.constant(golden["feat_s8"].transpose(0, 2, 3, 1))
    rois, cotangent = split_by_image(golden["rois"], golden["cotangent_s8_o7"])
    with tf.GradientTape() as tape:
        tape.watch(features)
        out = roi.roi_align([features], rois, 7, [8], aligned)
        total = tf.reduce_sum(out * cotangent.transpose(0, 1, 3, 4, 2))
    gradient = tape.gradient(total, features)
    expected = golden[f"grad_feat_s8_o7_al{int(aligned)}"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


def test_fpn_levels_and_multilevel_roi_align():
    golden = load("multiscale_roi_align")
    levels = roi.fpn_level(yx(golden["level_boxes"])) - 2
    np.testing.assert_array_equal(levels, golden["levels"])
    arrays = load("roi_align")
    strides = (4, 8, 16, 32)
    features = [arrays[f"feat_s{s}"].transpose(0, 2, 3, 1) for s in strides]
    rois = np.stack([yx(golden["boxes_im0"]), yx(golden["boxes_im1"])])
    for size in (7, 14):
        ours = roi.roi_align(features, rois, size, strides, aligned=False)
        expected = golden[f"out_o{size}"].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(
            np.concatenate(ours), expected, rtol=1e-4, atol=1e-4
        )
