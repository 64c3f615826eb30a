"""Outlines from the shapes that annotation programs draw: rectangles and ellipses.

Coordinates are continuous, as the programs' canvas has them: the first pixel reaches
from 0 to 1.
"""

import dataclasses

import numpy as np

# A polygon of 128 corners in an ellipse lacks 0.04 % of its area, and is nowhere
# further from it than 0.03 % of its radius.
_TURN = np.linspace(0, 2 * np.pi, 128, endpoint=False)


def rectangle(y1, x1, y2, x2):
    """Returns the polygon of a box, float64 [8], as (x1, y1, x2, y1, ...)."""
    return np.array([x1, y1, x2, y1, x2, y2, x1, y2], np.float64)


def ellipse(x, y, radius_x, radius_y, angle=0.0):
    """Makes the polygon of an ellipse; of a circle, with two radii that are one.

    Args:
        x, y: the centre, pixels.
        radius_x, radius_y: along the two axes of the ellipse, pixels.
        angle: by which the first axis is turned from x towards y, radians; that is
            clockwise, as y points down.
    Returns:
        float64 [256], (x1, y1, x2, y2, ...) of 128 points.
    """
    # What is not finite or too large is reported by the checks, in words.
    with np.errstate(all="ignore"):
        along, across = radius_x * np.cos(_TURN), radius_y * np.sin(_TURN)
        cos, sin = np.cos(angle), np.sin(angle)
        points = [x + along * cos - across * sin, y + along * sin + across * cos]
        return np.stack(points, axis=1).ravel()


def boxes_if_all(records):
    """Leaves the outlines away if every object is a rectangle: they are boxes alone.

    Args:
        records: list of `Record`, of a whole data set; a box beside an outline says
            that the outline is its rectangle.
    Returns:
        list of `Record`.
    """
    if any(item.box is None for record in records for item in record.objects):
        return records
    return [
        dataclasses.replace(
            record,
            objects=tuple(dataclasses.replace(o, outline=None) for o in record.objects),
        )
        for record in records
    ]
