"""Reads torchvision's numbers and turns them into our conventions."""

from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).parent / "golden"


def load(name):
    """The arrays of one fixture, a dict."""
    return dict(np.load(_FOLDER / f"{name}.npz"))


def yx(xy):
    """(x1, y1, x2, y2) to (y1, x1, y2, x2); the same for (dx, dy, dw, dh)."""
    return np.asarray(xy)[..., [1, 0, 3, 2]].astype(np.float32)


def channels_last(array):
    """[N, C, H, W] to [N, H, W, C]."""
    return np.moveaxis(array, 1, -1)
