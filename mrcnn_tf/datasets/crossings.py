"""Where a polygon crosses itself."""

import itertools

import numpy as np

_LOOP = 0.02  # of a polygon's area; a smaller loop is a slip of the hand
_MOST_PAIRS = 30_000_000  # of edges that are compared, in one polygon: a second
_AT_ONCE = 1_000_000  # of these
_MOST_CROSSINGS = 200  # that are looked at, in one polygon


def crossing_loop(polygon):
    """Finds where a polygon crosses itself, if a loop worth speaking of hangs there.

    Edges that touch, run on each other or meet in a corner do not cross.

    Args:
        polygon: float [2n], (x1, y1, x2, y2, ...); closed by itself.
    Returns:
        (x, y, share) of the crossing with the largest loop, `share` its part of the
        polygon's area, at most 0.5; None where there is none above 0.02. A polygon of
        more than five thousand points may be taken for simple, for want of time.
    """
    if len(polygon) < 8 or len(polygon) % 2 or not np.isfinite(polygon).all():
        return None  # a triangle does not cross itself
    points = np.reshape(polygon, (-1, 2)).astype(np.float64)
    best = None
    # A few hundred crossings tell as much as all.
    for first, second in itertools.islice(_crossings(points), _MOST_CROSSINGS):
        place, share = _loop(points, first, second)
        if share > _LOOP and (best is None or share > best[2]):
            best = (float(place[0]), float(place[1]), float(share))
    return best


def _crossings(points):
    """Yields (i, j), i < j, of the edges from points i and j that cross.

    Edges are sorted by their left end, and each is compared with those that begin
    before it ends: in the outline of a thing, a few of hundreds.
    """
    count = len(points)
    ends = np.stack([points, np.roll(points, -1, axis=0)])  # [2, N, 2]
    order = np.argsort(ends[..., 0].min(axis=0), kind="stable")
    block = max(1, min(32, _AT_ONCE // max(count, 1)))
    low = ends.min(axis=0)[order]  # [N, 2]
    low = np.concatenate([low, np.full((block, 2), np.inf)])  # nothing begins there
    high = ends.max(axis=0)[order]
    for first in range(1, min(count, _MOST_PAIRS // max(count, 1)), block):
        one = np.arange(count - first)[:, None]
        other = one + first + np.arange(block)  # [N - first, block]
        near = low[other, 0] <= high[one, 0]
        if not near.any():
            return  # further on, edges begin further right still
        high_of_other = high[np.minimum(other, count - 1), 1]
        near &= (low[other, 1] <= high[one, 1]) & (low[one, 1] <= high_of_other)
        row, column = np.nonzero(near)
        i, j = order[row], order[row + first + column]
        crossed = _opposite(ends[:, i], ends[:, j]) & _opposite(ends[:, j], ends[:, i])
        for pair in zip(i[crossed], j[crossed], strict=True):
            yield min(pair), max(pair)


def _opposite(edges, others):
    """Whether others' ends [2, P, 2] are strictly on opposite sides of edges."""
    start = edges[0]
    x, y = (edges[1] - start).T

    def side(point):
        u, v = (point - start).T
        turn = x * v - y * u
        # What rounding alone may leave of a point on the line.
        doubt = 1e-12 * np.maximum(abs(x), abs(y)) * np.maximum(abs(u), abs(v))
        return np.where(abs(turn) <= doubt, 0, np.sign(turn))

    return side(others[0]) * side(others[1]) < 0


def _loop(points, i, j):
    """Where edges i and j cross, and the share of the smaller loop in the area."""
    a, c = points[i], points[j]
    along = points[i + 1] - a
    other = points[(j + 1) % len(points)] - c
    turn = along[0] * other[1] - along[1] * other[0]
    offset = c - a
    place = a + along * (offset[0] * other[1] - offset[1] * other[0]) / turn
    inner = _area(np.vstack([place, points[i + 1 : j + 1]]))
    outer = _area(np.vstack([place, points[j + 1 :], points[: i + 1]]))
    return place, min(inner, outer) / max(inner + outer, 1e-12)


def _area(points):
    x, y = (points - points[0]).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
