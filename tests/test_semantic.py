"""Semantic measures: by hand, and the boundary's against distances of all pairs."""

import json
import math

import numpy as np
import pytest

from mrcnn_tf.evaluation.semantic import (
    IGNORE,
    boundary_f_scores,
    confusion_matrix,
    semantic_counts,
    semantic_scores,
)

NAMES = ("background", "cat", "dog")


def scores(*pairs):
    """The figures of (truth, predicted) pairs of three classes."""
    return semantic_scores((semantic_counts(*pair, 3) for pair in pairs), NAMES)


def edge_at(column, height=300, width=400):
    """A map of class 0 left of a column and class 1 from it on."""
    labels = np.zeros((height, width), np.int32)
    labels[:, column:] = 1
    return labels


def blocks(rng, num_classes, height=60, width=80):
    """A random map of blocks of 10 x 10 pixels."""
    coarse = rng.integers(num_classes, size=(height // 10, width // 10))
    return np.kron(coarse, np.ones((10, 10), int))


# Pixels and classes


def test_iou_by_hand():
    truth = np.array([[0, 0, 0, 1], [0, 0, 1, 1]])
    found = np.array([[0, 0, 1, 1], [0, 0, 1, 2]])
    figures = scores((truth, found))
    # Background 4 of 5, cat 2 of 4 (one too many, one too few), dog 0 of 1.
    assert [figures["classes"][name]["IoU"] for name in NAMES] == [4 / 5, 2 / 4, 0]
    assert figures["mIoU"] == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert figures["pixel accuracy"] == 6 / 8


def test_a_class_that_nobody_names_is_no_part_of_the_mean():
    truth = np.array([[0, 0, 0, 1]])
    figures = scores((truth, np.array([[0, 0, 1, 1]])))
    assert figures["classes"]["dog"] == {"IoU": None, "boundary F": None}
    assert figures["mIoU"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_confusion_has_truth_in_rows():
    truth, found = np.array([[0, 0, 1, IGNORE]]), np.array([[0, 2, 2, 1]])
    assert confusion_matrix(truth, found, 3).tolist() == [
        [1, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_iou_is_of_the_whole_dataset_not_of_each_image():
    small = np.array([[1]]), np.array([[0]])
    large = np.ones((1, 9), int), np.ones((1, 9), int)
    figures = scores(small, large)
    assert figures["classes"]["cat"]["IoU"] == 9 / 10
    assert figures["images"] == 2


def test_perfect_is_one():
    truth = blocks(np.random.default_rng(0), 3)
    figures = scores((truth, truth), (truth.T, truth.T))
    assert figures["mIoU"] == figures["pixel accuracy"] == figures["boundary F"] == 1
    assert json.loads(json.dumps(figures)) == figures


def test_an_image_all_ignored_has_no_figures():
    found = edge_at(200)
    figures = scores((np.full_like(found, IGNORE), found))
    assert figures["mIoU"] is figures["pixel accuracy"] is None
    assert figures["boundary F"] is None


def test_no_images():
    with pytest.raises(ValueError, match="no images"):
        semantic_scores([], NAMES)


def test_images_add_up():
    rng = np.random.default_rng(1)
    pairs = [(blocks(rng, 3), blocks(rng, 3)) for _ in range(5)]
    one = scores(*pairs)
    # One picture beside the other has the same pixels, though other boundaries.
    whole = scores(tuple(np.concatenate(maps) for maps in zip(*pairs, strict=True)))
    assert one["mIoU"] == pytest.approx(whole["mIoU"])
    assert one["pixel accuracy"] == pytest.approx(whole["pixel accuracy"])
    of_images = [scores(pair)["boundary F"] for pair in pairs]
    assert one["boundary F"] == pytest.approx(np.mean(of_images))


# Boundaries; 300 x 400 pixels have a diagonal of 500 and a tolerance of 3.75


@pytest.mark.parametrize(("shift", "expected"), [(0, 1), (3, 1), (-3, 1), (4, 0)])
def test_an_edge_within_the_tolerance_is_right(shift, expected):
    found = boundary_f_scores(edge_at(200), edge_at(200 + shift), 2)
    assert found.tolist() == [expected, expected]


def test_the_tolerance_itself_is_within():
    # 240 x 320 has a diagonal of 400: the tolerance is 3 pixels.
    for shift, expected in ((3, 1), (4, 0)):
        found = boundary_f_scores(
            edge_at(100, 240, 320), edge_at(100 + shift, 240, 320), 2
        )
        assert found.tolist() == [expected, expected]


def test_a_shifted_square_by_hand():
    truth, found = np.zeros((2, 300, 400), int)
    truth[100:200, 100:200] = 1
    found[100:200, 104:204] = 1
    # Of 396 boundary pixels: the rows above and below have 96 on the true ones and
    # three that stick out by 1, 2 and 3 pixels; of the left side, three pixels at
    # each end are near a row; of the right side none.
    expected = (2 * (96 + 3) + 2 * 3) / 396
    assert boundary_f_scores(truth, found, 2)[1] == pytest.approx(expected)


def test_precision_and_recall_are_not_the_same():
    truth, found = edge_at(200), edge_at(200)
    found[50:60, 50:60] = 1
    # All that is true is found: 300 pixels. Found are also the 36 of a small square.
    precision, recall = 300 / 336, 1
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f_scores(truth, found, 2)[1] == pytest.approx(expected)
    assert boundary_f_scores(found, truth, 2)[1] == pytest.approx(expected)


def test_the_edge_of_the_image_is_no_boundary():
    plain = np.zeros((30, 40), int)
    assert np.isnan(boundary_f_scores(plain, plain, 2)).all()


def test_a_class_in_one_map_alone_scores_zero():
    truth = edge_at(200)
    found = boundary_f_scores(truth, np.where(truth == 1, 2, 0), 4)
    assert found[:3].tolist() == [1, 0, 0]
    assert np.isnan(found[3])


def test_mean_over_the_classes_of_an_image_then_over_images():
    truth = edge_at(200)
    renamed = np.where(truth == 1, 2, 0)  # F 1, 0, 0
    plain = np.zeros_like(truth)  # no boundary at all: not counted
    figures = scores((truth, renamed), (truth, truth), (plain, plain))
    assert figures["boundary F"] == pytest.approx((1 / 3 + 1) / 2)
    assert figures["classes"]["background"]["boundary F"] == 1
    assert figures["classes"]["cat"]["boundary F"] == 1 / 2
    assert figures["classes"]["dog"]["boundary F"] == 0


@pytest.mark.parametrize(
    ("column", "expected"), [(180, 1), (200, 1), (220, 1), (150, 0), (250, 0)]
)
def test_anywhere_within_an_ignored_border_is_right(column, expected):
    truth = edge_at(200)
    truth[:, 180:220] = IGNORE
    found = boundary_f_scores(truth, edge_at(column), 2)
    assert found.tolist() == [expected, expected]


def test_an_ignored_border_gives_nothing_to_who_finds_nothing():
    truth = edge_at(200)
    truth[:, 180:220] = IGNORE
    assert boundary_f_scores(truth, np.zeros_like(truth), 2).tolist() == [0, 0]


def test_what_is_said_of_ignored_pixels_changes_nothing():
    rng = np.random.default_rng(2)
    truth, found = blocks(rng, 3), blocks(rng, 3)
    ignored = blocks(rng, 4) == 0
    truth[ignored] = IGNORE
    otherwise = np.where(ignored, rng.integers(3, size=truth.shape), found)
    assert (otherwise != found).any()
    assert scores((truth, otherwise)) == scores((truth, found))


def all_pairs(truth, found, reach):
    """F of two masks from the distances between all boundary pixels, plain loops."""

    def boundary(mask):
        height, width = mask.shape
        return np.array(
            [
                (y, x)
                for y, x in np.argwhere(mask)
                if any(
                    0 <= y + dy < height
                    and 0 <= x + dx < width
                    and not mask[y + dy, x + dx]
                    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
                )
            ]
        )

    truth, found = boundary(truth), boundary(found)
    distances = np.hypot(*np.moveaxis(truth[:, None] - found[None], -1, 0))
    precision = (distances.min(axis=0) <= reach).mean()
    recall = (distances.min(axis=1) <= reach).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(3))
def test_against_the_distances_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    truth = blocks(rng, 3, 120, 200)
    found = np.roll(truth, rng.integers(-3, 4, size=2), axis=(0, 1))
    found[:, 150:] = rng.integers(3)
    reach = 0.0075 * math.hypot(120, 200)  # 1.75
    expected = [all_pairs(truth == c, found == c, reach) for c in range(3)]
    np.testing.assert_allclose(boundary_f_scores(truth, found, 3), expected)
    assert 0 < min(expected) and max(expected) < 1


# Bad input

GOOD = np.zeros((3, 4), int)


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        (GOOD + 0.5, GOOD, r"true label map must be integers .* float64 \[3, 4\]"),
        (GOOD, np.zeros((3, 4, 3), int), r"predicted label map .* \[3, 4, 3\]"),
        (GOOD, GOOD.T, r"the true label map is \[3, 4\], the predicted one \[4, 3\]"),
        (GOOD + 3, GOOD, "true label map holds 3 to 3, expected 0 to 2, or 255"),
        (GOOD - 1, GOOD, "true label map holds -1 to -1, expected 0 to 2"),
        (GOOD, GOOD + IGNORE, "predicted label map holds 255 to 255, expected 0 to 2$"),
    ],
)
def test_bad_maps(truth, found, message):
    with pytest.raises(ValueError, match=message):
        semantic_counts(truth, found, 3)
