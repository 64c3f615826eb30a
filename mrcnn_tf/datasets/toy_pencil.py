"""A pencil for cartoons: outlined polygons, smooth curves, patterns.

Everything is a polygon with x to the right and y down, in units of the figure's
height. A pose is an affine map of the points, so that no picture is resampled.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)  # [32, 2]
_ALONG = np.arange(6)[:, None, None] / 6  # between two points of a curve
_CAP = np.array([[np.cos(a), np.sin(a)] for a in np.pi * np.array([1, 2, 3]) / 4])


@dataclass(frozen=True)
class Pencil:
    """Draws polygons, posed by an affine map, into one RGBA picture.

    Attributes:
        draw: the PIL.ImageDraw of the picture.
        matrix: float [2, 3], from (x, y, 1) to pixels of the picture.
        line: width of outlines, in units of the figure.
    """

    draw: ImageDraw.ImageDraw
    matrix: np.ndarray
    line: float

    def turned(self, angle, x, y):
        """Returns a pencil for a part turned by `angle` (radians) about (x, y)."""
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        linear = self.matrix[:, :2] @ turn
        offset = self.matrix @ [x, y, 1] - linear @ [x, y]
        return Pencil(self.draw, np.column_stack([linear, offset]), self.line)

    def fill(self, points, colour):
        """Fills a polygon [N, 2] with an RGB colour."""
        self.draw.polygon(_flat(self._pixels(points)), fill=(*colour, 255))

    def part(self, points, colour):
        """Fills a polygon [N, 2] inside a dark outline of the same hue."""
        self.fill(_grown(points, self.line), tuple(c // 3 for c in colour))
        self.fill(points, colour)

    def pattern(self, points, shapes, colour):
        """Paints the polygons `shapes` where they lie on the polygon `points`."""
        part = self._pixels(points)
        corner = np.floor(part.min(axis=0)).astype(int)
        size = tuple((np.ceil(part.max(axis=0)).astype(int) - corner + 1).tolist())
        inside, marked = Image.new("L", size), Image.new("L", size)
        ImageDraw.Draw(inside).polygon(_flat(part - corner), fill=255)
        draw = ImageDraw.Draw(marked)
        for shape in shapes:
            draw.polygon(_flat(self._pixels(shape) - corner), fill=255)
        stencil = ImageChops.darker(inside, marked)
        self.draw.bitmap(tuple(corner.tolist()), stencil, fill=(*colour, 255))

    def _pixels(self, points):
        return np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]


def _flat(points):
    """Returns x0, y0, x1, y1, ..., what PIL draws fastest."""
    return points.ravel().tolist()


def ellipse(x, y, radius_x, radius_y):
    """Returns an ellipse as a polygon [32, 2]."""
    return _CIRCLE * [radius_x, radius_y] + [x, y]


def smooth(points):
    """Returns a smooth closed curve through the points [N, 2], float [6 N, 2]."""
    points = np.asarray(points, float)
    return _spline(np.concatenate([points[-1:], points, points[:2]]))


def stroke(points, radii):
    """Returns the outline of a brush stroke, round at its end.

    Args:
        points: [N, 2], what the stroke passes through.
        radii: of the brush, spread evenly from the first point to the last.
    """
    points = np.asarray(points, float)
    curve = _spline(np.concatenate([points[:1], points, points[-1:]]))
    curve = np.concatenate([curve, points[-1:]])
    along = np.gradient(curve, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    normal = along[:, ::-1] * [-1, 1]
    place = np.linspace(0, 1, len(curve))
    radius = np.interp(place, np.linspace(0, 1, len(radii)), radii)[:, None]
    cap = curve[-1] + radius[-1] * _CAP @ [normal[-1], along[-1]]
    side, other = curve + normal * radius, curve - normal * radius
    return np.concatenate([side, cap, other[::-1]])


def mirrored(points, side):
    """Returns the points [N, 2] as they are (side 1) or left for right (side -1)."""
    return np.asarray(points) * [side, 1]


def _spline(points):
    """Returns Catmull-Rom curves between points 1 and N - 2, 6 points a piece."""
    a, b, c, d = points[:-3], points[1:-2], points[2:-1], points[3:]
    t = _ALONG
    cubic = 3 * (b - c) + d - a
    square = 2 * a - 5 * b + 4 * c - d
    curve = b + t / 2 * (c - a + t * (square + t * cubic))  # [6, N - 3, 2]
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def _grown(points, width):
    """Returns the polygon with each corner moved outwards by `width`."""
    points = np.asarray(points, float)
    around = np.concatenate([points[-1:], points, points[:1]])
    along = around[2:] - around[:-2]
    x, y = points.T
    twice_area = np.sum(x * around[2:, 1] - y * around[2:, 0])
    outwards = along[:, ::-1] * [1, -1] * np.sign(twice_area)
    length = np.sqrt((along * along).sum(axis=1, keepdims=True)) + 1e-9
    return points + width * outwards / length
