"""Connected components, on maps small enough to see."""

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.evaluation.instances import connected_components

CLASSES = ("cat", "dog")


def drawing(*rows):
    """A class map from rows of digits, with dots for background."""
    return np.array([[int(c) for c in row.replace(".", "0")] for row in rows])


MAP = drawing(
    "11..2",
    "11.2.",
    "...1.",
    "2.1.1",
)


def test_components_of_a_drawing():
    found = connected_components(MAP, CLASSES, min_area=1)
    assert found.names == ["cat", "cat", "dog", "dog"]
    # Corners connect.
    assert found.masks.sum(axis=(1, 2)).tolist() == [4, 3, 2, 1]
    assert found.boxes.tolist() == [
        [0, 0, 2, 2], [2, 2, 4, 5], [0, 3, 2, 5], [3, 0, 4, 1],
    ]  # fmt: skip
    assert found.scores.tolist() == [1, 1, 1, 1]
    assert (found.height, found.width, found.class_names) == (4, 5, CLASSES)
    assert (found.boxes.dtype, found.classes.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize(("min_area", "areas"), [(2, [4, 3, 2]), (3, [4, 3]), (5, [])])
def test_specks_are_left_out(min_area, areas):
    found = connected_components(MAP, CLASSES, min_area)
    assert [rle.area(mask) for mask in found.rles] == areas
    assert found.boxes.shape == (len(areas), 4)


def test_scores_are_mean_probabilities_and_order_the_result():
    probability = np.full(MAP.shape, 0.5)
    probability[3, 0] = 0.9  # the single dog
    probability[0, 0] = 0.9  # of a cat
    probability[2, 2] = 0.1  # of background in the box of the other cat
    found = connected_components(MAP, CLASSES, 1, probability)
    assert found.names == ["dog", "cat", "cat", "dog"]
    np.testing.assert_allclose(found.scores, [0.9, 0.6, 0.5, 0.5], rtol=1e-6)
    assert [rle.area(mask) for mask in found.rles] == [1, 4, 3, 2]


def test_background_alone_has_no_instances():
    found = connected_components(np.zeros((4, 5), int), CLASSES, 1)
    assert len(found) == 0 and found.masks.shape == (0, 4, 5)


@pytest.mark.parametrize("seed", range(3))
def test_components_cover_each_pixel_once(seed):
    class_map = np.random.default_rng(seed).integers(3, size=(30, 40))
    found = connected_components(class_map, CLASSES, min_area=1)
    assert found.masks.sum(axis=0).tolist() == (class_map > 0).astype(int).tolist()
    painted = np.einsum("nhw,n->hw", found.masks.astype(int), found.classes)
    assert painted.tolist() == class_map.tolist()


@pytest.mark.parametrize(
    ("class_map", "probability", "message"),
    [
        (np.zeros((4, 5)), None, r"integers \[H, W\], found float64 \[4, 5\]"),
        (np.zeros((4, 5, 1), int), None, r"found int64 \[4, 5, 1\]"),
        (np.full((4, 5), 255), None, "holds 255 to 255, expected 0 to 2 .* others to"),
        (np.full((4, 5), -1), None, "holds -1 to -1"),
        (MAP, np.ones((5, 4)), r"is \[4, 5\], the probabilities \[5, 4\]"),
        (MAP, np.full((4, 5), 3.2), "between 0 and 1; are these logits"),
        (MAP, np.full((4, 5), np.nan), "between 0 and 1"),
    ],
)
def test_bad_maps(class_map, probability, message):
    with pytest.raises(ValueError, match=message):
        connected_components(class_map, CLASSES, 1, probability)
