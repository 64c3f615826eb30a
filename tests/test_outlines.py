"""Shapes against the same shapes by arithmetic, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.datasets.outlines import boxes_if_all, ellipse, rectangle
from mrcnn_tf.datasets.records import Object, Record

SIDE = 160
# The COCO API, which makes the pixels, moves corners to a grid of a fifth of a pixel:
# where a small disc lies decides about two or three of its pixels.
CENTRES = np.random.default_rng(0).uniform(78, 82, (40, 2))


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def inside(x, y, radius_x, radius_y, angle=0.0):
    """Pixels whose centre is in an ellipse, by its equation."""
    py, px = np.mgrid[:SIDE, :SIDE] + 0.5
    dx, dy = px - x, py - y
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    return (along / radius_x) ** 2 + (across / radius_y) ** 2 <= 1


def pixels(polygon):
    return rle.decode(rle.from_polygons([polygon], SIDE, SIDE))


@pytest.mark.parametrize(
    ("radius", "mean", "least"),
    [(8, 0.99, 0.97), (15, 0.99, 0.98), (40, 0.995, 0.99), (70, 0.998, 0.995)],
)
def test_a_circle_is_a_disc(radius, mean, least):
    found = [
        iou(pixels(ellipse(*c, radius, radius)), inside(*c, radius, radius))
        for c in CENTRES
    ]
    assert np.mean(found) >= mean and min(found) >= least


@pytest.mark.parametrize("angle", [0, 0.5, np.pi / 2, 2.5, -1])
def test_an_ellipse_is_turned_clockwise(angle):
    found = pixels(ellipse(80, 75, 60, 20, angle))
    assert iou(found, inside(80, 75, 60, 20, angle)) > 0.99


def test_corners_of_an_ellipse():
    points = ellipse(10, 20, 5, 3).reshape(-1, 2)
    np.testing.assert_allclose(points.max(axis=0), [15, 23])
    np.testing.assert_allclose(points.min(axis=0), [5, 17])
    turned = ellipse(10, 20, 5, 3, np.pi / 2).reshape(-1, 2)  # upright
    np.testing.assert_allclose(turned.max(axis=0), [13, 25])
    # The first axis, at the right, points down to the right after an eighth of a turn.
    np.testing.assert_allclose(
        ellipse(0, 0, 2, 1, np.pi / 4)[:2], [np.sqrt(2), np.sqrt(2)]
    )


def test_a_rectangle_is_its_pixels():
    found = pixels(rectangle(3, 10, 8, 30))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[3:8, 10:30] = True
    np.testing.assert_array_equal(found, expected)


def test_rectangles_alone_are_boxes():
    box = Object("a", (1, 2, 3, 4), (rectangle(1, 2, 3, 4),))
    star = Object("a", None, (np.zeros(6),))

    def record(*objects):
        return Record(Path("a.png"), 0, objects, Path("a.json"))

    (found,) = boxes_if_all([record(box, box)])
    assert [(o.box, o.outline) for o in found.objects] == [((1, 2, 3, 4), None)] * 2
    records = [record(box), record(star)]
    assert boxes_if_all(records) is records
    assert boxes_if_all([record()]) == [record()]
