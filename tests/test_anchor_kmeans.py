"""Anchors by k-means, by hand and against plain loops."""

import numpy as np
import pytest

from mrcnn_tf.datasets import anchor_kmeans
from mrcnn_tf.datasets.anchor_kmeans import kmeans_anchors, mean_best_iou, size_iou


def iou_of(a, b):
    shared = min(a[0], b[0]) * min(a[1], b[1])
    return shared / (a[0] * a[1] + b[0] * b[1] - shared)


def test_overlap_of_sizes_by_hand():
    # 2 x 4 in 4 x 4 is a half; 2 x 4 over 4 x 2 share 4 of 12.
    np.testing.assert_allclose(size_iou([(2, 4)], [(4, 4), (4, 2)]), [[1 / 2, 1 / 3]])
    assert mean_best_iou([(2, 4), (4, 4)], [(4, 4)]) == 0.75


def test_two_heaps_by_hand():
    small, large = [(9, 10), (11, 10)], [(50, 90), (50, 110), (50, 100)]
    found = kmeans_anchors(small + large, 2)
    np.testing.assert_allclose(found, [(10, 10), (50, 100)])


def test_one_anchor_is_the_mean_and_as_many_as_boxes_are_the_boxes():
    sizes = np.array([(5, 20), (10, 10), (30, 20), (80, 60)])
    np.testing.assert_allclose(kmeans_anchors(sizes, 1), [sizes.mean(axis=0)])
    found = kmeans_anchors(sizes, 4)
    np.testing.assert_allclose(found, sizes)
    assert mean_best_iou(sizes, found) == 1


def test_small_boxes_count_as_much_as_large_ones():
    # In pixels the large boxes are further apart than the small ones are from each
    # other, and squared distances would spend both anchors on them.
    sizes = [(2, 2)] * 20 + [(20, 20)] * 20 + [(200, 200)] * 20 + [(240, 240)] * 20
    found = kmeans_anchors(sizes, 3)
    np.testing.assert_allclose(found, [(2, 2), (20, 20), (220, 220)])


def test_the_steps_are_those_of_a_plain_loop():
    rng = np.random.default_rng(3)
    sizes = rng.uniform(5, 100, (60, 2))
    anchors = sizes[:4].copy()
    expected = anchors.copy()
    for _ in range(300):
        heaps = [[] for _ in expected]
        for size in sizes:
            overlaps = [iou_of(size, anchor) for anchor in expected]
            heaps[overlaps.index(max(overlaps))].append(size)
        moved = [np.mean(heap, axis=0) for heap in heaps]
        if np.allclose(moved, expected, atol=0):
            break
        expected = np.array(moved)
    np.testing.assert_allclose(anchor_kmeans._settle(sizes, anchors), expected)


def test_more_anchors_fit_better_and_a_seed_gives_the_same_again():
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.normal(3, 0.6, (400, 2)))
    fits = [mean_best_iou(sizes, kmeans_anchors(sizes, count)) for count in range(1, 8)]
    assert (np.diff(fits) > 0).all()
    first, again = kmeans_anchors(sizes, 5, seed=7), kmeans_anchors(sizes, 5, seed=7)
    np.testing.assert_array_equal(first, again)
    assert (np.diff(first.prod(axis=1)) > 0).all()
    # One start alone differs by 0.019 from seed to seed; the best of ten does not.
    fits = [
        mean_best_iou(sizes, kmeans_anchors(sizes, 7, seed=seed)) for seed in range(8)
    ]
    assert np.ptp(fits) < 0.006
    # The unit of the sizes does not matter.
    np.testing.assert_allclose(kmeans_anchors(sizes / 100, 5, seed=7) * 100, first)


@pytest.mark.parametrize(
    ("sizes", "count", "said"),
    [
        ([(1, 2), (3, 4)], 3, "3 anchors were asked for, from 2 boxes, 2 of them"),
        ([(1, 2)] * 9, 2, "from 9 boxes, 1 of them different"),
        (np.zeros((0, 2)), 1, "from 0 boxes"),
        ([(1, 2)], 0, "0 anchors were asked for"),
        ([(1, 2), (0, 4)], 1, "box 1 has no area"),
        ([(1, 2), (np.nan, 4)], 1, "box 1 has no area"),
    ],
)
def test_wrong_input_is_named(sizes, count, said):
    with pytest.raises(ValueError, match=said):
        kmeans_anchors(sizes, count)
