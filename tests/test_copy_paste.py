"""Copy-paste by hand, and what must hold wherever an object is pasted."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_augment import painted, samples, without_masks

from mrcnn_tf import rle
from mrcnn_tf.datasets.copy_paste import copy_paste


def rng(seed=0):
    return np.random.default_rng(seed)


def test_an_object_is_laid_in_front():
    """All of a 2 x 2 image on one: of the object beneath, the part beside is left."""
    sample = painted(2, 4, [(0, 0, 2, 3)])
    other = painted(2, 4, [(0, 2, 2, 4)], seed=1)
    for seed in range(20):
        pasted = copy_paste(sample, other, rng(seed))
        left = int(pasted.boxes[-1, 1])
        assert pasted.boxes[-1].tolist() == [0, left, 2, left + 2]
        assert pasted.classes.tolist() == [1, 1]
        place = np.s_[:, left : left + 2]
        np.testing.assert_array_equal(pasted.image[place], other.image[:, 2:4])
        rest = np.ones((2, 4), bool)
        rest[place] = False
        np.testing.assert_array_equal(pasted.image[rest], sample.image[rest])
        beneath, on_top = pasted.dense_masks()
        assert on_top[place].all() and on_top.sum() == 4
        np.testing.assert_array_equal(beneath, sample.dense_masks()[0] & ~on_top)
        expected = {0: [0, 2, 2, 3], 1: [0, 0, 2, 1], 2: [0, 0, 2, 2]}[left]
        assert pasted.boxes[0].tolist() == expected
        np.testing.assert_array_equal(pasted.trimap == 1, beneath | on_top)
    places = {int(copy_paste(sample, other, rng(s)).boxes[-1, 1]) for s in range(20)}
    assert places == {0, 1, 2}


def test_what_is_covered_whole_is_gone_and_a_sliver_is_a_crowd_region():
    sample = painted(2, 10, [(0, 0, 2, 10), (0, 3, 1, 4), (1, 0, 2, 10)])
    other = painted(2, 10, [(0, 0, 2, 9)], seed=1)
    pasted = copy_paste(sample, other, rng(), min_visible=0.15)
    # A column of ten is left of the first, a pixel of ten of the third.
    assert pasted.classes.tolist() == [1, 3, 1]
    assert pasted.crowd.tolist() == [True, True, False]
    enough = copy_paste(sample, other, rng(), min_visible=0.1)
    assert enough.crowd.tolist() == [False] * 3


@pytest.mark.parametrize(
    "height, width, expected",
    [(20, 40, (2, 4)), (20, 80, (1, 2)), (5, 10, (8, 16)), (10, 20, (4, 8))],
)
def test_the_other_image_is_scaled_to_fit(height, width, expected):
    """Its object of 4 x 8 pixels, by what brings both sides within 10 x 20."""
    other = painted(height, width, [(1, 2, 5, 10)])
    y1, x1, y2, x2 = copy_paste(painted(10, 20, ()), other, rng()).boxes[0]
    assert (y2 - y1, x2 - x1) == expected


def test_a_random_share_of_the_objects_and_never_a_crowd():
    sample = painted(8, 8, ())
    objects = [(0, 0, 2, 2), (3, 3, 5, 5), (6, 0, 8, 2), (6, 6, 8, 8)]
    other = painted(8, 8, objects, [False, True, False, False])
    seen = [
        tuple(copy_paste(sample, other, rng(s)).classes.tolist()) for s in range(60)
    ]
    assert set(seen) == {(1,), (3,), (4,), (1, 3), (1, 4), (3, 4), (1, 3, 4)}


def test_nothing_to_paste():
    sample = painted()
    for other in (painted(objects=()), painted(crowd=[True])):
        assert copy_paste(sample, other, rng()) is sample


def test_an_object_that_vanishes_as_it_is_scaled_is_not_pasted():
    """A tenth of a dot is nothing beside a square, and a pixel by itself."""
    other = painted(100, 100, [(0, 0, 1, 1), (50, 50, 90, 90)])
    areas = set()
    for seed in range(20):
        pasted = copy_paste(painted(10, 10, ()), other, rng(seed))
        areas.add((*pasted.classes.tolist(), rle.area(pasted.masks[0])))
    assert areas == {(1, 1), (2, 16)}


def test_a_scaled_mask_keeps_its_share_of_the_area():
    y, x = np.ogrid[:100, :100]
    mask = rle.encode(np.hypot(y - 50, x - 50) < 40)
    other = painted(100, 100, [(0, 0, 1, 1)])
    other = dataclasses.replace(other, masks=[mask], boxes=[rle.box(mask)])
    for side in (50, 30, 130):
        pasted = copy_paste(painted(side, side, ()), other, rng())
        expected = np.pi * (0.4 * side) ** 2
        assert abs(rle.area(pasted.masks[0]) / expected - 1) < 0.04


def test_any_place_where_it_is_inside():
    sample, other = painted(3, 4, ()), painted(3, 4, [(0, 0, 2, 2)])
    places = {
        tuple(copy_paste(sample, other, rng(seed)).boxes[0]) for seed in range(60)
    }
    assert places == {(y, x, y + 2, x + 2) for y in (0, 1) for x in (0, 1, 2)}


@settings(max_examples=300)
@given(samples(), samples(), st.integers(0, 100))
def test_no_pixel_is_lost_or_owned_twice(sample, other, seed):
    other = dataclasses.replace(other, classes=other.classes + 100)
    pasted = copy_paste(sample, other, rng(seed), min_visible=0.2)
    again = copy_paste(sample, other, rng(seed), min_visible=0.2)
    np.testing.assert_array_equal(pasted.image, again.image)
    masks, before = pasted.dense_masks(), sample.dense_masks()
    number = int(np.sum(pasted.classes < 100))  # the pasted come last
    assert (pasted.classes[number:] > 100).all() and not pasted.crowd[number:].any()
    on_top = masks[number:].any(axis=0)
    left = before & ~on_top
    kept = left.any(axis=(1, 2))
    np.testing.assert_array_equal(masks[:number], left[kept])
    assert pasted.classes[:number].tolist() == sample.classes[kept].tolist()
    areas = before.sum(axis=(1, 2))[kept]
    share = masks[:number].sum(axis=(1, 2)) / np.maximum(areas, 1)
    expected = sample.crowd[kept] | (share < 0.2)
    np.testing.assert_array_equal(pasted.crowd[:number], expected)
    outside = ~on_top
    np.testing.assert_array_equal(pasted.image[outside], sample.image[outside])
    np.testing.assert_array_equal(pasted.trimap == 1, (sample.trimap == 1) | on_top)


def test_boxes_alone_are_refused():
    one, two = painted(), without_masks(painted())
    for pair in ((one, two), (two, one)):
        with pytest.raises(ValueError, match="copy-paste needs masks"):
            copy_paste(*pair, rng())


def test_neither_sample_is_changed():
    sample, other = painted(), painted(seed=1)
    image, trimap = sample.image.copy(), sample.trimap.copy()
    copy_paste(sample, other, rng())
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.trimap, trimap)


def test_a_box_that_its_mask_exceeds_still_loses_what_is_covered():
    """As annotated boxes do by a pixel or three."""
    sample = painted(1, 4, [(0, 0, 1, 4)])
    sample = dataclasses.replace(sample, boxes=[[0, 0, 1, 2]])
    other = painted(1, 4, [(0, 0, 1, 1)], seed=1)
    for seed in range(10):
        pasted = copy_paste(sample, other, rng(seed))
        assert pasted.dense_masks().sum(axis=0).max() == 1
