"""Whole networks against torchvision: stand-in COCO checkpoints, stage by stage.

The stand-ins have the names and shapes of the published files and made-up numbers;
`tests/golden/checkpoint_*_expected.npz` holds what torchvision computed from them.
"""

import numpy as np
import pytest
import tensorflow as tf
from reference import agree, load, yx
from scipy.optimize import linear_sum_assignment
from torch_writer import save, stand_in

import mrcnn_tf as mr
from mrcnn_tf import backbones, roi

NETWORKS = {"v1": "coco", "v2": "coco_v2"}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory):
    """(name, model with the stand-in's weights, torchvision's numbers)."""
    path = tmp_path_factory.mktemp("checkpoint") / "stand_in.pth"
    save(stand_in(request.param), path)
    model = mr.MaskRCNN.from_pretrained(
        NETWORKS[request.param],
        path,
        image={"short_side": 240, "long_side": 320},
    )
    path.unlink()  # 180 MB
    return request.param, model, load(f"checkpoint_{request.param}_expected")


def near(stage, network, ours, theirs):
    """Within a thousandth, or a ten-thousandth of what is of unit scale."""
    agree(
        f"{network[0]}: {stage}",
        f"checkpoint_{network[0]}_expected",
        ours,
        theirs,
        rtol=1e-3,
        atol=1e-4,
    )


def channels_first(features):
    """[1, H, W, C] to [C, H, W]."""
    return features[0].transpose(2, 0, 1)


def test_network_input(network):
    _, model, golden = network
    stages = model.inspect(golden["image"])
    image = channels_first(stages["normalized_images"])
    assert image.shape[1:] == tuple(golden["padded_size"])
    near("input", network, image[:, :8, :8], golden["normalised_corner"])
    image = channels_first(model.inspect(golden["image2"])["normalized_images"])
    assert image.shape[1:] == tuple(golden["image2_padded_size"])
    near("input", network, image[:, ::8, ::8], golden["image2_network_input"])


def test_pyramid_and_rpn(network):
    _, model, golden = network
    stages = model.inspect(golden["image"])
    for index, level in enumerate(("p2", "p3", "p4", "p5")):
        ours = channels_first(stages[level])[::32]
        near("pyramid", network, ours, golden[f"fpn_{index}"])
    near("pyramid", network, channels_first(stages["p6"])[::32], golden["fpn_pool"])
    for index, level in enumerate(("p2", "p3", "p4", "p5", "p6")):
        logits = golden[f"rpn_logits_{index}"]
        size = stages[level].shape[1:3]
        ours = stages[f"rpn_logits_{level}"].reshape(1, *size, 3)
        near("objectness", network, channels_first(ours), logits)
        ours = stages[f"rpn_deltas_{level}"].reshape(*size, 3, 4)
        ours = yx(ours).reshape(1, *size, 12)  # back to (dx, dy, dw, dh)
        step = 2 if index == 0 else 1
        ours = channels_first(ours)[:, ::step, ::step]
        near("anchor deltas", network, ours, golden[f"rpn_deltas_{index}"])


def test_heads(network):
    _, model, golden = network
    stages = model.inspect(golden["image"])
    pyramid = [tf.constant(stages[level]) for level in ("p2", "p3", "p4", "p5")]
    boxes = yx(golden["boxes"])[None]

    def align(size):
        strides = backbones.STRIDES
        return roi.roi_align(pyramid, boxes, size, strides, aligned=False)[0]

    features = align(7)
    ours = features.numpy().transpose(0, 3, 1, 2)[:, ::32]
    near("RoI features", network, ours, golden["box_pool"])
    logits, deltas = model.box_head(features)
    near("class logits", network, logits, golden["class_logits"])
    ours = yx(deltas).reshape(len(boxes[0]), -1)  # back to (dx, dy, dw, dh)
    near("box deltas", network, ours, golden["box_deltas"])
    logits = model.mask_head(align(14)).numpy().transpose(0, 3, 1, 2)[:, ::10]
    near("mask logits", network, logits, golden["mask_logits"])
    agree(
        f"{network[0]}: mask probabilities",
        f"checkpoint_{network[0]}_expected",
        tf.sigmoid(logits),
        tf.sigmoid(golden["mask_logits"]),
        atol=1e-3,
    )


def matched(ours, theirs):
    """For each of their boxes, which of ours it is; each of ours once."""
    distance = np.abs(theirs[:, None] - ours).max(axis=-1)
    return linear_sum_assignment(distance)[1]


def test_proposals(network):
    name, model, golden = network
    ours = model.inspect(golden["image"])["proposals"][0]
    theirs = yx(golden["proposals"])
    ours = ours[ours.any(axis=1)]
    ours = ours[matched(ours, theirs)]
    reference = f"checkpoint_{name}_expected"
    agree(f"{name}: proposals, pixels", reference, ours, theirs, atol=0.1)


@pytest.mark.parametrize(("image", "prefix"), [("image", "det"), ("image2", "det2")])
def test_detections(network, image, prefix):
    name, model, golden = network
    result = model.detect(golden[image])
    boxes = yx(golden[f"{prefix}_boxes"])
    scores = golden[f"{prefix}_scores"]
    index = matched(result.boxes, boxes)
    reference = f"checkpoint_{name}_expected"
    agree(
        f"{name}: classes",
        reference,
        result.classes[index],
        golden[f"{prefix}_labels"],
    )
    ours = result.boxes[index]
    agree(f"{name}: detections, pixels", reference, ours, boxes, atol=0.1)
    agree(f"{name}: scores", reference, result.scores[index], scores, atol=1e-3)
    # Only what scores alike may have changed places.
    assert np.abs(scores - scores[index]).max() < 1e-4

    if prefix == "det2":
        return  # without masks
    masks = np.unpackbits(golden["det_masks"], axis=-1).astype(bool)
    compared = 0
    for box, ours, theirs in zip(boxes, result.masks[index], masks, strict=True):
        assert not (ours & ~grown(theirs)).any(), box
        assert not (theirs & ~grown(ours)).any(), box
        if min(box[2:] - box[:2]) > 32:
            overlap = (ours & theirs).sum() / (ours | theirs).sum()
            agree(f"{name}: IoU of pasted masks", reference, overlap, 1.0, atol=0.05)
            compared += 1
    assert compared > 10


def grown(mask):
    """The mask and all pixels that touch it."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1), (3, 3))
    return windows.any(axis=(2, 3))
