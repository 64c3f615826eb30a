"""Boxes of a cell and an anchor, by hand and there and back."""

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import cell_boxes

ANCHORS = np.array([[16, 32], [40, 20]], np.float32)


def raw_at(cells, anchor_index, values, height=4, width=6):
    raw = np.zeros((height, width, len(ANCHORS), 4), np.float32)
    for (y, x), anchor, value in zip(cells, anchor_index, values, strict=True):
        raw[y, x, anchor] = value
    return raw


def test_zeros_are_the_anchor_in_the_middle_of_its_cell():
    boxes = cell_boxes.decode(tf.zeros((2, 4, 6, 2, 4)), ANCHORS, 8).numpy()
    assert boxes.shape == (2, 4, 6, 2, 4)
    # Row 1, column 3 of 8 pixels: its middle is (12, 28).
    np.testing.assert_allclose(boxes[1, 1, 3, 0], [4, 12, 20, 44])
    np.testing.assert_allclose(boxes[0, 1, 3, 1], [-8, 18, 32, 38])


def test_numbers_by_hand():
    # sigmoid(log 3) is 3/4; exp(log 2) doubles.
    raw = tf.constant([[[[np.log(3), -np.log(3), np.log(2), 0]]]], tf.float32)
    found = cell_boxes.decode(raw, [(16, 32)], 8)[0, 0, 0]
    np.testing.assert_allclose(found, [6 - 16, 2 - 16, 6 + 16, 2 + 16], rtol=1e-6)
    # Stretched by 1.2: 1.2 * 3/4 - 0.1 = 0.8, and 1.2 / 4 - 0.1 = 0.2, times 8.
    found = cell_boxes.decode(raw, [(16, 32)], 8, 1.2)[0, 0, 0]
    np.testing.assert_allclose(found, [-9.6, -14.4, 22.4, 17.6], rtol=1e-5)


@pytest.mark.parametrize("stretch", [1.0, 1.05, 1.2])
def test_there_and_back(stretch):
    rng = np.random.default_rng(0)
    cells = np.stack([rng.permutation(4), rng.permutation(4)], axis=1)
    centre = (cells + rng.uniform(0.02, 0.98, (4, 2))) * 8
    size = rng.uniform(4, 60, (4, 2))
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    chosen = [0, 1, 1, 0]
    found, values = cell_boxes.encode(boxes, ANCHORS[chosen], 8, stretch)
    np.testing.assert_array_equal(found, cells)
    decoded = cell_boxes.decode(
        tf.constant(raw_at(cells, chosen, values)), ANCHORS, 8, stretch
    ).numpy()
    back = decoded[cells[:, 0], cells[:, 1], chosen]
    np.testing.assert_allclose(back, boxes, atol=1e-3)


def test_an_edge_is_out_of_reach_without_a_stretch():
    boxes = [[8, 4, 24, 20]]  # centre (16, 12): on an upper edge, in a middle
    cells, values = cell_boxes.encode(boxes, [(16, 16)], 8)
    np.testing.assert_array_equal(cells, [[2, 1]])
    np.testing.assert_array_equal(values, [[-np.inf, 0, 0, 0]])
    _, values = cell_boxes.encode(boxes, [(16, 16)], 8, 1.2)
    # (0 + 0.1) / 1.2 = 1 / 12, whose logit is -log(11).
    np.testing.assert_allclose(values, [[-np.log(11), 0, 0, 0]], atol=1e-6)


def test_no_boxes():
    cells, values = cell_boxes.encode(np.zeros((0, 4)), np.zeros((0, 2)), 8)
    assert cells.shape == (0, 2) and values.shape == (0, 4)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"must end in \[2, 4\] for 2 anchors"):
        cell_boxes.decode(tf.zeros((4, 6, 3, 4)), ANCHORS, 8)
    with pytest.raises(ValueError, match="box 1 has no area"):
        cell_boxes.encode([[0, 0, 1, 1], [5, 5, 5, 9]], [(1, 1), (1, 1)], 8)
    with pytest.raises(ValueError, match="stretch must be 1 or more, found 0"):
        cell_boxes.encode([[0, 0, 1, 1]], [(1, 1)], 8, 0)
