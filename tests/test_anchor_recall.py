"""Anchors that fit: against the package's own anchors, and by hand."""

import numpy as np
import pytest

from mrcnn_tf import Config, anchors, boxes
from mrcnn_tf.datasets.anchor_recall import (
    anchor_recall,
    best_overlaps,
    suggest_sizes,
)
from mrcnn_tf.sizes import base_anchors, network_size, padded_size

EVEN = (128, 128)  # an image that the tiny network takes as it is


def centred(sides, centre=(64, 64)):
    """Square boxes [N, 4] about a place where anchors of all levels stand."""
    half = np.array(sides, np.float64)[:, None] / 2
    return np.concatenate([np.array(centre) - half, np.array(centre) + half], axis=1)


def sizes_of(objects, size=EVEN):
    return np.tile(size, (len(objects), 1))


@pytest.mark.parametrize("preset", ["tiny", "resnet50_fpn", "resnet101_fpn"])
@pytest.mark.parametrize("size", [(480, 640), (333, 500), (50, 900), (3, 7)])
def test_against_every_anchor_of_the_network(preset, size):
    config = Config.preset(preset)
    corners = np.random.default_rng(0).uniform(0, 1, (40, 2, 2))
    objects = (np.sort(corners, axis=1) * size).reshape(-1, 4)
    content = network_size(*size, config.image)
    padded = padded_size(*content, config.image)
    every = [
        anchors.level_anchors(
            [-(-side // stride) for side in padded],
            padded,
            base_anchors(anchor, config.rpn.anchor_ratios),
        )
        for stride, anchor in zip(
            (4, 8, 16, 32, 64), config.rpn.anchor_sizes, strict=True
        )
    ]
    scaled = objects * np.tile(np.divide(content, size), 2)
    overlaps = boxes.iou(scaled.astype(np.float32), np.concatenate(every))
    found = best_overlaps(objects, sizes_of(objects, size), config)
    np.testing.assert_allclose(found, np.max(overlaps, axis=1), atol=1e-5)


def test_by_hand():
    config = Config.preset("tiny")  # anchors of 16, 32, 48, 64 and 96 pixels
    found = best_overlaps(centred([32, 40, 8, 192]), sizes_of(range(4)), config)
    # Of 96, the widest is 136 x 68 pixels: rounded, a little more than 96 x 96.
    inside = [40**2 / 48**2, 8**2 / 16**2, 136 * 68 / 192**2]
    np.testing.assert_allclose(found, [1, *inside])


def test_there_are_no_anchors_beyond_the_last():
    # P6 has them at 0 and 64; one at 128 would meet this box.
    config = Config.preset("tiny", rpn={"anchor_sizes": (512, 512, 512, 512, 16)})
    found = best_overlaps(centred([16], (120, 120)), sizes_of([0]), config)
    assert found[0] == pytest.approx(16**2 / 512**2, rel=0.01)


def test_boxes_are_scaled_to_the_network():
    config = Config.preset("tiny")  # 256 x 512 becomes 64 x 128
    box = np.array([[0, 0, 128, 128], [64, 192, 192, 320]])
    found = best_overlaps(box, [(256, 512), (256, 512)], config)
    assert found[1] == 1  # 32 pixels about (32, 64)


def test_recall_by_hand():
    groups = np.array(["small", "small", "large"])
    recall = anchor_recall(np.array([0.5, 0.7, 0.4]), groups, (1, 2, 3, 4, 5), 0.7)
    assert recall.sizes == (1, 2, 3, 4, 5) and recall.thresholds == (0.5, 0.7)
    assert recall.shares == {
        "all": (3, 2 / 3, 1 / 3),
        "small": (2, 1, 0.5),
        "large": (1, 0, 0),
    }
    assert anchor_recall(np.zeros(0), groups[:0], (), 0.7).shares == {}


def test_no_objects():
    config = Config.preset("tiny")
    nothing = np.zeros((0, 4)), np.zeros((0, 2), int)
    assert best_overlaps(*nothing, config).shape == (0,)
    assert suggest_sizes(*nothing, config) is None


def test_anchors_that_fit_are_left_alone():
    config = Config.preset("tiny")
    objects = centred([16, 32, 48, 64, 96] * 20)
    assert suggest_sizes(objects, sizes_of(objects), config) is None


def scattered(sides):
    """Square boxes about places of no order, fifty of each side."""
    objects = centred(np.repeat(sides, 50), (0, 0))
    places = np.random.default_rng(0).uniform(50, 70, (len(objects), 2))
    return objects + np.tile(places, 2)


@pytest.mark.parametrize(
    "sides", [(10, 12, 23), (23,), (24, 40, 56, 80, 110), (5, 80), (8, 10, 12, 16)]
)
def test_a_suggestion_finds_more_and_nothing_less(sides):
    config = Config.preset("tiny", rpn={"anchor_sizes": (16, 32, 64, 96, 128)})
    objects = scattered(sides)
    places = sizes_of(objects)
    suggestion = suggest_sizes(objects, places, config)
    assert suggestion == tuple(sorted(set(suggestion))) and len(suggestion) == 5
    assert all(type(size) is int for size in suggestion)
    better = config.replace(rpn={"anchor_sizes": suggestion})
    before, after = (best_overlaps(objects, places, c) for c in (config, better))
    gains = [
        (after >= least).mean() - (before >= least).mean()
        for least in (0.5, config.rpn.positive_iou)
    ]
    assert max(gains) >= 0.05 and min(gains) >= -0.01


def test_more_at_one_threshold_for_fewer_at_the_other_is_not_suggested():
    # An anchor of 10 pixels would find half of them more at 0.5, and fewer at 0.7.
    config = Config.preset("tiny", rpn={"anchor_sizes": (16, 32, 64, 96, 128)})
    objects = scattered((9, 15.9))
    assert suggest_sizes(objects, sizes_of(objects), config) is None


def test_a_few_objects_suggest_nothing():
    config = Config.preset("tiny")
    objects = centred([10] * 50)
    assert suggest_sizes(objects[1:], sizes_of(objects[1:]), config) is None
    assert suggest_sizes(objects, sizes_of(objects), config) is not None


def test_a_suggestion_is_always_the_same():
    config = Config.preset("resnet50_fpn")
    objects = centred(np.random.default_rng(0).uniform(5, 30, 4000))
    first, second = (suggest_sizes(objects, sizes_of(objects), config) for _ in "ab")
    assert first == second is not None
