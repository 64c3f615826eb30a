"""Polygons that cross themselves: by hand, and against every pair in exact numbers."""

from fractions import Fraction

import numpy as np
import pytest

from mrcnn_tf.datasets import crossings
from mrcnn_tf.datasets.crossings import crossing_loop


def polygon(*points):
    return np.array(points, np.float64).ravel()


def test_a_bow_tie():
    bow = polygon((0, 0), (4, 4), (4, 0), (0, 4))
    assert crossing_loop(bow) == (2, 2, 0.5)


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("turn", [1, -1])
def test_a_loop_by_hand_from_any_corner(first, turn):
    # A square of 10 x 10, from whose left edge a strip of 6 x 4 is twisted outwards:
    # its edges (0, 4)-(-6, 8) and (-6, 4)-(0, 8) cross in the middle, at (-3, 6).
    points = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 8), (-6, 4), (-6, 8), (0, 4)]
    points = (points[first:] + points[:first])[::turn]
    x, y, share = crossing_loop(polygon(*points))
    assert (x, y) == (-3, 6)
    # The loop is a triangle of 4 x 3; beyond the crossing is the square, and a like
    # triangle that hangs on it.
    assert share == pytest.approx(6 / (6 + 100 + 6))


@pytest.mark.parametrize(
    "points",
    [
        [(0, 0), (4, 0), (4, 4), (0, 4)],  # a square
        [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)],  # closed
        [(0, 0), (4, 0), (4, 0), (4, 4), (4, 4), (0, 4)],  # points repeated
        [(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)],  # touches in a corner
        [(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)],  # a corner touches an edge
        [(0, 0), (4, 0), (4, 4), (8, 4), (4, 4), (0, 4)],  # a hair, there and back
        [(0, 0), (8, 0), (8, 4), (4, 4), (4, 0), (0, 4)],  # runs on its own edge
        [(1, 1)] * 6,
        [(0, 0), (4, 4), (8, 8), (2, 2)],  # all on a line
        [(0, 0), (4, 0), (4, 4)],
        [(0, 0)],
        [],
        [(0, 0), (4, 4), (4, 0), (np.nan, 4)],
        [(0, 0), (4, 4), (4, 0), (np.inf, 4)],
    ],
)
def test_what_does_not_cross(points):
    assert crossing_loop(polygon(*points)) is None


def test_a_number_too_many():
    assert crossing_loop(np.arange(9.0)) is None


def test_a_slip_of_the_hand_is_no_crossing():
    # A loop of (1 x 1) / 2 pixels beside a square of 10 x 10: below 2 %.
    slip = polygon((0, 0), (10, 0), (10, 10), (0, 10), (0, 6), (-1, 5), (0, 5), (-1, 6))
    assert crossing_loop(slip) is None


def pairs_that_cross(points):
    """Every pair of edges, in fractions."""
    exact = [tuple(map(Fraction, point)) for point in points.tolist()]
    count = len(exact)

    def turn(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    found = set()
    for i in range(count):
        for j in range(i + 1, count):
            a, b, c, d = exact[i], exact[i - count + 1], exact[j], exact[j - count + 1]
            apart = turn(a, b, c) * turn(a, b, d) < 0
            if apart and turn(c, d, a) * turn(c, d, b) < 0:
                found.add((i, j))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_every_crossing_is_found(seed, monkeypatch):
    monkeypatch.setattr(crossings, "_AT_ONCE", 40)  # several blocks
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 40))
    points = rng.uniform(0, 100, (count, 2))
    if seed % 2:  # whole numbers: edges that touch, and lie on each other
        points = np.round(points / 15)
    found = {(int(i), int(j)) for i, j in crossings._crossings(points)}
    assert found == pairs_that_cross(points)


def test_a_long_outline_is_simple_and_one_of_noise_is_not():
    angle = np.linspace(0, 2 * np.pi, 4_000, endpoint=False)
    radius = 100 + np.random.default_rng(0).uniform(0, 20, len(angle))
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    assert crossing_loop(outline.ravel()) is None
    noise = np.random.default_rng(0).uniform(0, 100, 8_000)
    assert crossing_loop(noise) is not None
