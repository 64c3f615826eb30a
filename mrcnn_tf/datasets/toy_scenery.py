"""Places for the toy animals to sit: a meadow, a beach, the night, floors, rugs."""

import numpy as np
from PIL import Image, ImageDraw

from mrcnn_tf.datasets.toy_pencil import Pencil, ellipse, smooth

_FINE = 2  # drawn pixels a side for one pixel of the scene
_FLOWERS = ((250, 248, 242), (245, 205, 70), (235, 130, 160), (150, 120, 215))
_RUGS = (
    (176, 82, 70), (70, 105, 140), (95, 130, 95), (205, 180, 135), (120, 95, 130),
    (90, 140, 145), (225, 205, 180), (165, 150, 145),
)  # fmt: skip


def draw_scenery(size, rng):
    """Draws a random place with no animals in it.

    Args:
        size: side of the picture in pixels.
        rng: numpy Generator.
    Returns:
        float32 [size, size, 3], RGB from 0 to 255, not clipped.
    """
    image = Image.new("RGBA", (_FINE * size, _FINE * size))
    scale = _FINE * size  # the picture is the unit square, (0, 0) its top left
    pencil = Pencil(ImageDraw.Draw(image), scale * np.eye(2, 3), 0.004)
    _PLACES[rng.integers(len(_PLACES))](pencil, rng)
    picture = np.asarray(image.convert("RGB").reduce(_FINE), np.float32)
    # Light and shade in soft blots, and a fine grain.
    blots = Image.fromarray(rng.normal(0, 7, (9, 9)).astype(np.float32))
    blots = np.asarray(blots.resize((size, size), Image.Resampling.BICUBIC))
    grain = 3 * rng.standard_normal((size, size), np.float32)
    return picture + (blots + grain)[..., None]


def _band(pencil, top, bottom, first, last):
    """Fills the frame from y = top to bottom, shading from one colour to another."""
    first, last, height = np.array(first), np.array(last), (bottom - top) / 16
    for step in range(16):
        colour = first + (last - first) * step // 15
        upper = top + step * height
        _rectangle(pencil, 0, upper, 1, upper + height, tuple(colour.tolist()))


def _rectangle(pencil, left, top, right, bottom, colour):
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    pencil.fill(corners, colour)


def _shade(colour, factor):
    return tuple(min(255, int(factor * c)) for c in colour)


def _meadow(pencil, rng):
    horizon = rng.uniform(0.05, 0.4)
    _band(pencil, 0, horizon, (120, 185, 235), (215, 235, 245))
    for x in rng.uniform(0, 1, 2):  # clouds
        for shift in (-0.06, 0, 0.06):
            pencil.fill(ellipse(x + shift, 0.3 * horizon, 0.07, 0.03), (250, 250, 250))
    for x in rng.uniform(0, 1, 2):  # hills
        pencil.fill(ellipse(x, horizon + 0.02, 0.4, 0.1), (130, 185, 110))
    _band(pencil, horizon, 1, (140, 195, 95), (85, 150, 65))
    for y in np.sort(rng.uniform(horizon, 1, 45)):  # grass, nearer is larger
        x, height = rng.uniform(0, 1), 0.02 + 0.05 * y
        for lean in (-0.5, 0.1, 0.6):
            tip = (x + lean * height, y - height)
            blade = [(x - 0.005, y), tip, (x + 0.005, y)]
            pencil.fill(blade, _shade((75, 135, 55), rng.uniform(0.8, 1.25)))
    for y in np.sort(rng.uniform(horizon + 0.05, 1, rng.integers(3, 12))):
        x, petal = rng.uniform(0, 1), 0.006 + 0.008 * y
        colour = _FLOWERS[rng.integers(len(_FLOWERS))]
        for turn in 2 * np.pi * np.arange(5) / 5:
            centre = x + 1.3 * petal * np.cos(turn), y + 1.3 * petal * np.sin(turn)
            pencil.fill(ellipse(*centre, petal, petal), colour)
        pencil.fill(ellipse(x, y, petal, petal), (240, 180, 50))


def _beach(pencil, rng):
    shore = rng.uniform(0.2, 0.4)
    _band(pencil, 0, 0.5 * shore, (150, 205, 240), (225, 240, 245))
    _band(pencil, 0.5 * shore, shore, (40, 125, 175), (95, 190, 205))
    _band(pencil, shore, 1, (240, 222, 175), (225, 195, 140))
    wave = [
        (x, shore + 0.012 * (-1) ** i) for i, x in enumerate(np.arange(0, 1.2, 0.1))
    ]
    pencil.fill(smooth([(-0.2, shore - 0.03), *wave, (1.2, shore - 0.03)]), (250,) * 3)
    for x, y in zip(
        rng.uniform(0, 1, 40), rng.uniform(shore + 0.05, 1, 40), strict=True
    ):
        radius = rng.uniform(0.003, 0.01)
        pebble = _shade((200, 165, 120), rng.uniform(0.8, 1.2))
        pencil.fill(ellipse(x, y, 1.5 * radius, radius), pebble)


def _night(pencil, rng):
    ground = rng.uniform(0.4, 0.7)
    _band(pencil, 0, ground, (25, 30, 75), (85, 75, 140))
    for x, y in zip(rng.uniform(0, 1, 35), rng.uniform(0, ground, 35), strict=True):
        radius = rng.uniform(0.003, 0.007)
        pencil.fill(ellipse(x, y, radius, radius), (250, 240, 200))
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2)
    pencil.fill(ellipse(x, y, 0.07, 0.07), (250, 235, 180))
    pencil.fill(ellipse(x + 0.03, y - 0.015, 0.06, 0.06), (35, 38, 85))
    _band(pencil, ground, 1, (55, 85, 75), (35, 55, 60))
    for x in rng.uniform(0, 1, 6):  # firs
        height = rng.uniform(0.1, 0.25)
        for top in (0, 0.3, 0.6):
            wide, y = 0.09 * (0.6 + top) * height / 0.2, ground + 0.01 - height
            tier = [(x, y + top * height), (x - wide, y + (top + 0.4) * height)]
            pencil.fill([*tier, (x + wide, y + (top + 0.4) * height)], (30, 60, 65))


def _floor(pencil, rng):
    wood = ((190, 135, 85), (150, 105, 70), (215, 175, 125))[rng.integers(3)]
    wall = _RUGS[rng.integers(len(_RUGS))]
    edge = rng.uniform(-0.1, 0.35)
    _rectangle(pencil, 0, 0, 1, 1, _shade(wall, 1.2))
    for x in np.arange(0, 1, 0.08):  # wallpaper
        _rectangle(pencil, x, 0, x + 0.03, 1, _shade(wall, 1.1))
    _rectangle(pencil, 0, edge - 0.03, 1, edge, (240, 235, 225))
    top, height = edge, 0.07
    while top < 1:  # planks, nearer is wider
        _rectangle(pencil, 0, top, 1, 1, _shade(wood, 0.7))
        left = -rng.uniform(0, 0.5)
        while left < 1:
            width = rng.uniform(0.35, 0.7)
            plank = _shade(wood, rng.uniform(0.9, 1.12))
            right, bottom = left + width - 0.006, top + height - 0.006
            _rectangle(pencil, left, top, right, bottom, plank)
            for part in rng.uniform(0.15, 0.85, 2):  # grain
                y = top + part * height
                _rectangle(pencil, left, y, right, y + 0.004, _shade(plank, 0.9))
            left += width
        top, height = top + height, 1.2 * height


def _rug(pencil, rng):
    ground, figure = (_RUGS[i] for i in rng.permutation(len(_RUGS))[:2])
    _rectangle(pencil, 0, 0, 1, 1, ground)
    step, kind = rng.uniform(0.1, 0.2), rng.integers(4)
    pencil = pencil.turned(rng.uniform(-0.6, 0.6), 0.5, 0.5)
    places = np.arange(-0.3, 1.3, step)
    for row, y in enumerate(places):
        if kind == 0:
            _rectangle(pencil, -0.3, y, 1.3, y + 0.4 * step, figure)
            continue
        for x in places + (row % 2) * step / 2:
            if kind == 1:  # checks
                _rectangle(pencil, x, y, x + step / 2, y + step, figure)
            elif kind == 2:
                pencil.fill(ellipse(x, y, 0.28 * step, 0.28 * step), figure)
            else:
                reach = 0.4 * step
                diamond = [(x, y - reach), (x + reach, y), (x, y + reach)]
                pencil.fill([*diamond, (x - reach, y)], figure)


_PLACES = (_meadow, _beach, _night, _floor, _rug)
