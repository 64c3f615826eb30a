"""Cartoon animals: each is a drawing of polygons, so that any pose is exact.

An animal sits in the unit square around (0, 0), its feet at y = 0.5. The picture
is drawn `_FINE` times too large and averaged down, which softens the edges.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from mrcnn_tf.datasets.toy_pencil import Pencil, ellipse, mirrored, smooth, stroke

_FINE = 3  # drawn pixels a side for one pixel of the scene
_ROOM = 1.5  # side of the picture in heights of the animal: tails and leaning
_WHITE, _DARK, _PINK = (250, 248, 242), (35, 28, 32), (240, 150, 160)
_COATS = (
    (235, 145, 50), (245, 205, 140), (150, 95, 60), (240, 236, 228), (75, 72, 85),
    (150, 155, 165), (205, 170, 130), (190, 85, 55), (110, 150, 190), (190, 150, 205),
)  # fmt: skip
_EYES = ((90, 170, 90), (240, 185, 60), (80, 150, 215), (130, 85, 50))
_CLOTHES = ((213, 60, 50), (0, 114, 178), (0, 158, 115), (240, 228, 66))


@dataclass(frozen=True)
class _Fur:
    """What one animal has on: RGB colours and the pattern of its coat."""

    coat: tuple
    marking: tuple
    belly: tuple
    paws: tuple
    pattern: Callable | None  # (points, rng) to polygons, one of _PATTERNS
    rng: np.random.Generator


# Patterns: polygons laid over a part; what reaches beyond it is cut off.


def _stripes(points, rng):
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    middle, half = (left + right) / 2, (right - left) / 2
    thick = rng.uniform(0.016, 0.024)
    for y in np.arange(top + 0.05, bottom, 0.085):
        reach = half * rng.uniform(0.25, 0.5)
        for edge, inner in ((left, middle - reach), (right, middle + reach)):
            yield [(edge, y - thick), (inner, y + 0.03), (edge, y + thick)]
    for x in (-0.05, 0, 0.05):  # on the forehead
        x = middle + x
        yield [(x - 0.016, top), (x + 0.016, top), (x, top + 0.1)]


def _spots(points, rng):
    low, high = points.min(axis=0), points.max(axis=0)
    step = rng.uniform(0.08, 0.12)
    for y in np.arange(low[1], high[1], step):
        for x in np.arange(low[0], high[0], step):
            shift_x, shift_y = rng.uniform(0, 0.7 * step, 2)
            radius = step * rng.uniform(0.18, 0.34)
            yield ellipse(x + shift_x, y + shift_y, radius, radius)


def _patches(points, rng):
    low, high = points.min(axis=0), points.max(axis=0)
    for _ in range(3):
        x, y = rng.uniform(low, high)
        radius = 0.3 * (high - low).max() * rng.uniform(0.6, 1.1, (7, 1))
        yield smooth([x, y] + radius * ellipse(0, 0, 1, 1)[::5])


_PATTERNS = (None, _stripes, _spots, _patches)


def _coat(pencil, points, fur):
    """Draws a part of the body that the pattern of the fur goes over."""
    pencil.part(points, fur.coat)
    if fur.pattern is not None:
        pencil.pattern(points, fur.pattern(points, fur.rng), fur.marking)


def _eyes(pencil, apart, y, radius, colour, gaze, asleep):
    for side in (-1, 1):
        x = side * apart
        if asleep:
            lid = [(x - radius, y), (x, y + 0.6 * radius), (x + radius, y)]
            pencil.fill(stroke(lid, (0.008, 0.013, 0.008)), _DARK)
            continue
        look = x + gaze * radius
        pencil.part(ellipse(x, y, radius, 1.1 * radius), _WHITE)
        pencil.fill(ellipse(look, y, 0.75 * radius, 0.85 * radius), colour)
        pencil.fill(ellipse(look, y, 0.45 * radius, 0.6 * radius), _DARK)
        shine = 0.28 * radius
        pencil.fill(ellipse(look - shine, y - shine, shine, shine), _WHITE)


def _smile(pencil, y, width):
    for side in (-1, 1):
        curve = [(0, y), (side * width / 2, y + 0.03), (side * width, y)]
        pencil.fill(stroke(curve, (0.008, 0.008)), _DARK)


def _sitting_body(pencil, fur, width, top):
    half = [(0, top), (0.6 * width, top + 0.1), (width, 0.25), (0.9 * width, 0.44)]
    other = [(-x, y) for x, y in half[:0:-1]]
    _coat(pencil, smooth([*half, (0, 0.48), *other]), fur)
    pencil.fill(ellipse(0, 0.22, 0.5 * width, 0.17), fur.belly)
    for side in (-1, 1):
        pencil.part(ellipse(side * 0.075, 0.35, 0.05, 0.12), fur.coat)
        pencil.part(ellipse(side * 0.09, 0.455, 0.075, 0.045), fur.paws)


def _cat(pencil, fur, tilt, face):
    tail = [(0.1, 0.42), (0.34, 0.43), (0.43, 0.25), (0.34, 0.08), (0.42, -0.08)]
    _coat(pencil, stroke(tail, (0.05, 0.05, 0.045, 0.02)), fur)
    _sitting_body(pencil, fur, 0.21, -0.1)
    head = pencil.turned(tilt, 0, -0.05)
    for side in (-1, 1):
        ear = [(0.255, -0.16), (0.25, -0.5), (0.03, -0.34)]
        inner = [(0.22, -0.24), (0.222, -0.42), (0.1, -0.33)]
        head.part(mirrored(ear, side), fur.coat)
        head.fill(mirrored(inner, side), _PINK)
    _coat(head, ellipse(0, -0.18, 0.265, 0.2), fur)
    for side in (-1, 1):
        head.fill(ellipse(side * 0.05, -0.09, 0.065, 0.05), fur.belly)
        for rise in (-0.02, 0.02):
            whisker = [(side * 0.12, -0.1 + rise / 2), (side * 0.33, -0.11 + 2 * rise)]
            head.fill(stroke(whisker, (0.006, 0.003)), _DARK)
    _eyes(head, 0.115, -0.2, 0.055, *face)
    head.fill([(-0.03, -0.13), (0.03, -0.13), (0, -0.1)], _PINK)
    _smile(head, -0.085, 0.06)


def _dog(pencil, fur, tilt, face):
    tail = [(0.15, 0.36), (0.3, 0.28), (0.36, 0.1)]
    _coat(pencil, stroke(tail, (0.05, 0.045, 0.025)), fur)
    _sitting_body(pencil, fur, 0.23, -0.05)
    collar = _CLOTHES[fur.rng.integers(len(_CLOTHES))]
    pencil.part(ellipse(0, 0.04, 0.16, 0.05), collar)
    pencil.part(ellipse(0, 0.1, 0.035, 0.035), (250, 205, 70))
    head = pencil.turned(tilt, 0, 0)
    skull = [(0, -0.48), (0.17, -0.42), (0.2, -0.22), (0.16, 0.0), (0, 0.06)]
    other = [(-x, y) for x, y in skull[3:0:-1]]
    _coat(head, smooth([*skull, *other]), fur)
    for side in (-1, 1):
        ear = [(0.1, -0.46), (0.24, -0.42), (0.34, -0.2), (0.31, 0.0), (0.21, -0.06)]
        head.part(mirrored(smooth([*ear, (0.19, -0.28)]), side), fur.marking)
    tongue = smooth([(-0.05, 0.0), (0.05, 0.0), (0.045, 0.1), (0, 0.13), (-0.045, 0.1)])
    head.part(tongue, (235, 110, 125))
    head.part(ellipse(0, -0.05, 0.145, 0.095), fur.belly)
    _eyes(head, 0.09, -0.25, 0.048, *face)
    head.fill(ellipse(0, -0.1, 0.06, 0.042), _DARK)
    head.fill(ellipse(-0.02, -0.115, 0.018, 0.01), _WHITE)
    _smile(head, -0.02, 0.08)


def _rabbit(pencil, fur, tilt, face):
    pencil.part(ellipse(0.24, 0.36, 0.09, 0.09), _WHITE)
    body = ellipse(0, 0.27, 0.22, 0.21)
    _coat(pencil, body, fur)
    pencil.fill(ellipse(0, 0.29, 0.13, 0.14), fur.belly)
    for side in (-1, 1):
        pencil.part(ellipse(side * 0.15, 0.455, 0.12, 0.045), fur.paws)
        pencil.part(ellipse(side * 0.08, 0.21, 0.04, 0.07), fur.paws)
    head = pencil.turned(tilt, 0, 0.1)
    for side in (-1, 1):
        ear = head.turned(side * fur.rng.uniform(0.02, 0.4), side * 0.08, -0.12)
        ear.part(ellipse(side * 0.085, -0.29, 0.06, 0.21), fur.coat)
        ear.fill(ellipse(side * 0.085, -0.28, 0.03, 0.15), _PINK)
    _coat(head, ellipse(0, -0.02, 0.2, 0.165), fur)
    for side in (-1, 1):
        head.fill(ellipse(side * 0.14, 0.05, 0.04, 0.025), (245, 165, 165))
        head.fill(ellipse(side * 0.04, 0.055, 0.055, 0.045), fur.belly)
    _eyes(head, 0.095, -0.04, 0.045, *face)
    head.fill([(-0.028, 0.015), (0.028, 0.015), (0, 0.045)], _PINK)
    _smile(head, 0.06, 0.07)
    head.part([(-0.035, 0.075), (0.035, 0.075), (0.033, 0.13), (-0.033, 0.13)], _WHITE)
    head.fill(stroke([(0, 0.075), (0, 0.125)], (0.004, 0.004)), _DARK)


def _owl(pencil, fur, tilt, face):
    for side in (-1, 1):
        for toe in (0.06, 0.11, 0.16):
            pencil.part(ellipse(side * toe, 0.455, 0.028, 0.045), (240, 160, 50))
    half = [(0, -0.36), (0.22, -0.36), (0.3, -0.1), (0.31, 0.2), (0.2, 0.42)]
    other = [(-x, y) for x, y in half[:0:-1]]
    _coat(pencil, smooth([*half, (0, 0.46), *other]), fur)
    pencil.fill(ellipse(0, 0.2, 0.2, 0.22), fur.belly)
    for row, y in enumerate((0.1, 0.2, 0.3)):
        for x in np.arange(-2 + row % 2, 3 - row % 2, 2) * 0.06:
            feather = [(x - 0.035, y), (x, y + 0.035), (x + 0.035, y)]
            pencil.fill(stroke(feather, (0.01, 0.014, 0.01)), fur.marking)
    for side in (-1, 1):
        wing = [(0.25, -0.1), (0.36, 0.05), (0.37, 0.25), (0.27, 0.42), (0.22, 0.15)]
        pencil.part(mirrored(smooth(wing), side), fur.marking)
    head = pencil.turned(tilt / 2, 0, -0.1)
    for side in (-1, 1):
        tuft = [(0.08, -0.35), (0.31, -0.5), (0.27, -0.24)]
        head.part(mirrored(tuft, side), fur.marking)
    for side in (-1, 1):
        head.part(ellipse(side * 0.125, -0.19, 0.135, 0.135), fur.belly)
    _eyes(head, 0.115, -0.19, 0.085, *face)
    head.part([(-0.045, -0.14), (0.045, -0.14), (0, -0.02)], (240, 160, 50))


_DRAWINGS = {"cat": _cat, "dog": _dog, "rabbit": _rabbit, "owl": _owl}
ANIMALS = tuple(_DRAWINGS)


def draw_animal(name, height, rng):
    """Draws one animal in a random coat and pose.

    Args:
        name: one of `ANIMALS`.
        height: of the animal when it sits straight, in pixels.
        rng: numpy Generator; it decides coat, eyes, pose and pattern.
    Returns:
        float32 [S, S, 4], RGB (0 to 255) times coverage, and coverage (0 to 1);
        the animal's centre is the centre of the picture, S about 1.5 heights.
    """
    coat, marking = rng.permutation(len(_COATS))[:2]
    light = tuple(
        int(0.35 * c + 0.65 * w) for c, w in zip(_COATS[coat], _WHITE, strict=True)
    )
    fur = _Fur(
        coat=_COATS[coat],
        marking=_COATS[marking],
        belly=light,
        paws=(_COATS[coat], light)[rng.integers(2)],
        pattern=_PATTERNS[rng.integers(len(_PATTERNS))],
        rng=rng,
    )
    side = int(np.ceil(_ROOM * height))
    flip = rng.choice((-1, 1))
    stretch = rng.uniform(0.88, 1.12)  # thin animals and plump ones
    scale = _FINE * height
    pose = np.array([[flip * stretch * scale, 0, 0], [0, scale, 0]])
    pose[:, 2] = _FINE * side / 2
    image = Image.new("RGBA", (_FINE * side, _FINE * side))
    # An outline narrower than half a pixel would vanish from small animals.
    pencil = Pencil(ImageDraw.Draw(image), pose, max(0.014, 0.5 / height))
    pencil = pencil.turned(rng.uniform(-0.25, 0.25), 0, 0.3)
    eyes = _EYES[rng.integers(len(_EYES))]
    face = (eyes, rng.uniform(-0.25, 0.25), rng.random() < 0.12)
    _DRAWINGS[name](pencil, fur, rng.uniform(-0.25, 0.25), face)
    # "RGBa" is colour times coverage, the form that may be averaged.
    picture = np.asarray(image.convert("RGBa").reduce(_FINE), np.float32)
    return picture / np.float32([1, 1, 1, 255])
