"""RoIAlign and masks in and out of a box against torchvision's numbers."""

import numpy as np
import pytest
import tensorflow as tf
from reference import NUMBERS, PIXELS, agree, channels_last, load, yx

from mrcnn_tf import masks, roi


def rois_and_images(golden):
    """[24, 5] rois of two images to [1, 24, 4] boxes and [1, 24] images."""
    rois = golden["rois"]
    return yx(rois[:, 1:])[None], rois[:, 0].astype(np.int32)[None]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("output_size", [7, 14])
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_roi_align(stride, output_size, aligned):
    golden = load("roi_align")
    rois, image = rois_and_images(golden)
    ours = roi.roi_align(
        [channels_last(golden[f"feat_s{stride}"])],
        rois,
        output_size,
        [stride],
        aligned,
        image_index=image,
    )[0]
    name = f"out_s{stride}_o{output_size}_al{int(aligned)}"
    # What float32 leaves grows with the number of cells across the map.
    agree(
        f"RoIAlign at stride {stride}",
        "roi_align: ops.roi_align, aligned and not",
        ours,
        channels_last(golden[name]),
        atol={4: 5e-5, 8: 3e-5}.get(stride, 2e-5),
    )


@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_gradient(aligned):
    golden = load("roi_align")
    features = tf.constant(channels_last(golden["feat_s8"]))
    rois, image = rois_and_images(golden)
    with tf.GradientTape() as tape:
        tape.watch(features)
        out = roi.roi_align([features], rois, 7, [8], aligned, image_index=image)[0]
        total = tf.reduce_sum(out * channels_last(golden["cotangent_s8_o7"]))
    gradient = tape.gradient(total, features)
    expected = channels_last(golden[f"grad_feat_s8_o7_al{int(aligned)}"])
    name, source = "RoIAlign, gradient", "roi_align: its backward"
    agree(name, source, gradient, expected, rtol=1e-4, atol=3e-5)


def adaptive_roi_align(features, rois, image, output_size, stride, aligned):
    """One sample a feature cell, as `sampling_ratio=-1`: the RoIs of each count."""
    side = (rois[..., 2:] - rois[..., :2]) / np.float32(stride)
    side = side if aligned else np.maximum(side, 1.0)
    samples = np.ceil(side / output_size).astype(int)  # [1, R, 2]
    shape = (1, rois.shape[1], output_size, output_size, features.shape[-1])
    out = np.zeros(shape, np.float32)  # also of those without area
    for down, across in np.unique(samples[samples.all(axis=-1)], axis=0).tolist():
        at = (samples == (down, across)).all(axis=-1)
        out[at] = roi.roi_align(
            [features],
            rois[at][None],
            output_size,
            [stride],
            aligned,
            (down, across),
            image[at][None],
        )[0]
    return out[0]


@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_with_adaptive_samples(aligned):
    golden = load("roi_align")
    features = channels_last(golden["feat_s8"])
    ours = adaptive_roi_align(features, *rois_and_images(golden), 7, 8, aligned)
    expected = channels_last(golden[f"out_s8_o7_al{int(aligned)}_sr0"])
    source = "roi_align: sampling_ratio=-1"
    agree("RoIAlign, 1 to 25 samples", source, ours, expected, atol=3e-5)


def test_mask_targets():
    golden = load("losses")
    for image in ("im0", "im1"):
        planes = golden[f"mask_gt_masks_{image}"]  # [G, H, W]
        rois = yx(golden[f"mask_proposals_{image}"])[None]
        index = golden[f"mask_matched_idxs_{image}"][None].astype(np.int32)
        expected = golden[f"mask_targets_{image}"]
        features = planes[..., None].astype(np.float32)
        theirs = adaptive_roi_align(features, rois, index, 28, 1, aligned=False)
        source = "losses: project_masks_on_boxes"
        name = "mask targets, their sampling"
        agree(name, source, theirs[..., 0], expected, **NUMBERS)

        # By design ours lie half a pixel elsewhere, where the mask is, and always
        # have two samples a cell each way. Boxes moved by that half pixel leave the
        # samples alone as difference, and an RoI of 2 x 2 none at all.
        whole = np.array([[[0, 0, *planes.shape[1:]]] * len(planes)], np.float32)
        ours = masks.crop_targets(planes[None], whole, rois, index, 28)[0]
        moved = masks.crop_targets(planes[None], whole, rois + 0.5, index, 28)[0]
        assert np.abs(ours - expected).mean(axis=(1, 2)).max() < 0.06
        assert np.abs(moved - expected).mean(axis=(1, 2)).max() < 0.01
        side = rois[0, :, 2:] - rois[0, :, :2]
        same = (np.ceil(side / 28) == 2).all(axis=-1)
        assert same.any() == (image == "im0")
        name = "mask targets, ours moved by half a pixel"
        agree(name, source, moved[same], expected[same], **NUMBERS)


def test_fpn_levels_and_multilevel_roi_align():
    golden = load("multiscale_roi_align")
    source = "multiscale_roi_align: LevelMapper"
    levels = roi.fpn_level(yx(golden["level_boxes"])) - 2
    agree("FPN level", source, levels, golden["levels"])
    rois = np.stack([yx(golden["boxes_im0"]), yx(golden["boxes_im1"])])
    levels = np.concatenate(roi.fpn_level(rois)) - 2
    agree("FPN level", source, levels, golden["levels_pooled"])
    arrays = load("roi_align")
    strides = (4, 8, 16, 32)
    features = [channels_last(arrays[f"feat_s{s}"]) for s in strides]
    for size in (7, 14):
        ours = roi.roi_align(features, rois, size, strides, aligned=False)
        ours, expected = np.concatenate(ours), channels_last(golden[f"out_o{size}"])
        source = "multiscale_roi_align: MultiScaleRoIAlign"
        agree("RoIAlign of the pyramid", source, ours, expected, atol=5e-5)


def paste_probability(mask, box, shape):
    """What `masks.paste` compares with its threshold: how many of 1000 it passes."""
    steps = 1000
    passed = np.zeros(shape, int)
    for step in range(steps):
        passed += masks.paste(mask, box, *shape, threshold=(step + 0.5) / steps)
    return passed / steps


def test_paste():
    golden = load("paste_masks")
    source = "paste_masks: paste_masks_in_image, in its box"
    for mask, box, grown, probability, expected in zip(
        golden["masks"][:, 0],
        yx(golden["boxes"]),
        yx(golden["expanded_boxes"]),
        golden["pasted"][:, 0],
        golden["pasted_gt_0p5"][:, 0],
        strict=True,
    ):
        size = box[2:] - box[:2]
        ours = np.concatenate([box[:2] - size / 28, box[2:] + size / 28])
        expand = "paste_masks: expand_boxes"
        agree("mask's box, grown", expand, ours, grown, **PIXELS)
        # The reference pastes into a box of whole pixels. There, ours are the same.
        theirs = masks.whole_pixel_box(box, 28)
        ours = masks.paste(mask, theirs, *expected.shape)
        agree("pasted masks", source, ours, expected)
        ours = paste_probability(mask, theirs, expected.shape)
        name = "pasted probabilities, in steps of 1e-3"
        agree(name, source, ours, probability, atol=6e-4)
        # In the box as it is, ours moves by up to a pixel and a half at the edges.
        true = masks.paste(mask, box, *expected.shape)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(expected, 2), (5, 5))
        assert not (true & ~windows.any(axis=(2, 3))).any()
        assert not (~true & windows.all(axis=(2, 3))).any()
