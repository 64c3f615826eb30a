"""Run lengths and polygons as files hold them, against pycocotools and by hand."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mrcnn_tf import rle

SQUARE = np.array([2.0, 3, 12, 3, 12, 13, 2, 13])


def random_mask(seed, height=20, width=30):
    """Blobs: long runs and short ones."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(height, width)), axis=0) > 0


def test_a_square_polygon_fills_its_pixels():
    mask = rle.decode(rle.from_polygons([SQUARE], 20, 30))
    expected = np.zeros((20, 30), bool)
    expected[3:13, 2:12] = True
    np.testing.assert_array_equal(mask, expected)


def test_polygons_are_united_and_cut_off_at_the_edge():
    far = SQUARE + np.tile([-7, 10], 4)  # x from -5 to 5, y from 13 to 23
    mask = rle.decode(rle.from_polygons([SQUARE, SQUARE + 1, far], 20, 30))
    expected = np.zeros((20, 30), bool)
    expected[3:13, 2:12] = expected[4:14, 3:13] = expected[13:20, 0:5] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_polygon_outside_is_empty():
    mask = rle.from_polygons([SQUARE + 100], 20, 30)
    assert rle.area(mask) == 0 and rle.decode(mask).shape == (20, 30)


@pytest.mark.parametrize("points", [3, 4, 17])
def test_any_polygon_is_rasterised_as_pycocotools_does(points):
    rng = np.random.default_rng(points)
    for _ in range(20):
        polygon = rng.uniform(-5, 35, 2 * points)
        expected = coco_mask.decode(
            coco_mask.merge(coco_mask.frPyObjects([list(polygon)], 20, 30))
        )
        mask = rle.decode(rle.from_polygons([polygon], 20, 30))
        np.testing.assert_array_equal(mask, expected)


def test_run_lengths_go_down_the_columns():
    # 3 x 4 pixels: two without, three with, six without, one with.
    given = {"size": [3, 4], "counts": [2, 3, 6, 1]}
    mask = rle.decode(rle.checked(given, 3, 4))
    assert mask.astype(int).tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]]


@pytest.mark.parametrize("kind", [bytes, str])
def test_compressed_counts_stay_as_they_are(kind):
    for seed in range(20):
        encoded = rle.encode(random_mask(seed))
        counts = encoded["counts"] if kind is bytes else encoded["counts"].decode()
        assert rle.checked({"size": [20, 30], "counts": counts}, 20, 30) == encoded


def test_run_lengths_and_compressed_counts_are_one():
    for seed in range(20):
        mask = random_mask(seed)
        flat = mask.T.ravel()
        changes = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff([0, *changes, flat.size]).tolist()
        runs = [0, *runs] if flat[0] else runs
        given = {"size": (20, 30), "counts": runs}
        assert rle.checked(given, 20, 30) == rle.encode(mask)


def test_large_images_have_long_runs():
    mask = np.zeros((2000, 3000), bool)
    mask[5:1990, 1500:1502] = True
    encoded = rle.encode(mask)
    assert rle.checked(encoded, 2000, 3000) == encoded


def test_runs_of_no_pixel_do_not_widen_the_box():
    # Column 0 has no pixel of the object, though a run stands there.
    given = {"size": [4, 3], "counts": [0, 0, 5, 2, 1, 0, 4]}
    mask = rle.checked(given, 4, 3)
    assert rle.box(mask).tolist() == [1, 1, 3, 2] and rle.area(mask) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "size None"),
        ({"size": [20, 30]}, "list of whole numbers or a text, found None"),
        ({"size": 5, "counts": [600]}, "size 5"),
        ({"size": [30, 20], "counts": [600]}, r"size \[30, 20\], the image is 20 x 30"),
        ({"size": [20, 30], "counts": [599]}, "599 pixels, the image has 20 x 30"),
        ({"size": [20, 30], "counts": []}, "0 pixels"),
        ({"size": [20, 30], "counts": ""}, "0 pixels"),
        ({"size": [20, 30], "counts": [-1, 601]}, "600 pixels"),
        ({"size": [20, 30], "counts": [2.5, 597.5]}, "whole numbers"),
        ({"size": [20, 30], "counts": [True, 599]}, "whole numbers"),
        ({"size": [20, 30], "counts": ["600"]}, "whole numbers"),
        ({"size": [20, 30], "counts": "T3b1"}, "pixels, the image"),
        ({"size": [20, 30], "counts": "T3b1R"}, "ends within a number"),
        ({"size": [20, 30], "counts": "T3 b1R>"}, "holds ' '"),
        ({"size": [20, 30], "counts": "T3é"}, "found 'T3é'"),
        ({"size": [20, 30], "counts": "\ud800"}, "list of whole numbers or a text"),
        ({"size": [20, 30], "counts": "o" * 100_000}, "more than 32 bits"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        rle.checked(given, 20, 30)


def test_the_runs_of_a_larger_image_are_refused():
    # pycocotools would write outside its memory.
    counts = rle.encode(np.zeros((200, 300), bool))["counts"]
    with pytest.raises(ValueError, match="60000 pixels, the image has 20 x 30"):
        rle.checked({"size": [20, 30], "counts": counts}, 20, 30)
