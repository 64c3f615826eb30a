"""Anchor boxes taken from the data: k-means with the overlap as its distance.

`anchor_recall` asks whether the R-CNN's anchors, five sizes by three ratios, find the
objects. YOLOv2 asks the objects instead which few shapes stand for them best.
"""

import numpy as np

_STARTS = 10  # k-means keeps what it starts near to; the best of some is kept
_STEPS = 300  # at most; a few dozen is usual


def size_iou(sizes1, sizes2):
    """IoU of every pair of boxes, were their centres the same.

    Args:
        sizes1: float [N, 2], (height, width).
        sizes2: float [K, 2], in the same unit.
    Returns:
        float64 [N, K], 0 to 1.
    """
    sizes1 = np.asarray(sizes1, np.float64)[:, None]  # [N, 1, 2]
    sizes2 = np.asarray(sizes2, np.float64)[None]  # [1, K, 2]
    shared = np.minimum(sizes1, sizes2).prod(axis=-1)  # [N, K]
    return shared / (sizes1.prod(axis=-1) + sizes2.prod(axis=-1) - shared)


def mean_best_iou(sizes, anchors):
    """Mean over boxes of the IoU with the best anchor: float, 0 to 1."""
    return float(size_iou(sizes, anchors).max(axis=1).mean())


def kmeans_anchors(sizes, count, seed=0):
    """Finds the `count` shapes that stand best for many boxes.

    Each box goes to the anchor of the highest IoU, each anchor becomes the mean of
    its boxes, until nothing moves. A squared distance in its place would serve large
    boxes alone, as they are off by more pixels.

    Args:
        sizes: float [N, 2], (height, width) of boxes, in one unit.
        count: number of anchors, k.
        seed: of the boxes that the anchors start from.
    Returns:
        float64 [count, 2], (height, width), rising in area.
    Raises:
        ValueError: for fewer different boxes than anchors, or a box without area.
    Source: Redmon and Farhadi 2017 (YOLOv2), §2, "dimension clusters". Ours starts
        as k-means++ does (Arthur and Vassilvitskii 2007), ten times, and keeps what
        fits best.
    """
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    wrong = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0)).all(axis=1))
    if len(wrong):
        row = wrong[0]
        raise ValueError(
            f"box {row} has no area: height and width are {sizes[row].tolist()}"
        )
    different = len(np.unique(sizes, axis=0))
    if count < 1 or different < count:
        raise ValueError(
            f"{count} anchors were asked for, from {len(sizes)} boxes, {different} of "
            "them different; ask for 1 or more, and no more than there are"
        )
    rng = np.random.default_rng(seed)
    found = [_settle(sizes, _start(sizes, count, rng)) for _ in range(_STARTS)]
    best = max(found, key=lambda anchors: mean_best_iou(sizes, anchors))
    return best[np.argsort(best.prod(axis=1), kind="stable")]


def _start(sizes, count, rng):
    """Chooses boxes that are unlike each other, [count, 2]."""
    chosen = [sizes[rng.integers(len(sizes))]]
    while len(chosen) < count:
        distance = 1 - size_iou(sizes, chosen).max(axis=1)  # [N]
        # A box that is an anchor already is 0 away, but for rounding.
        distance = np.where(distance > 1e-12, distance**2, 0)
        chosen.append(sizes[rng.choice(len(sizes), p=distance / distance.sum())])
    return np.array(chosen)


def _settle(sizes, anchors):
    """Moves anchors to the means of their boxes until none moves."""
    for _ in range(_STEPS):
        nearest = size_iou(sizes, anchors).argmax(axis=1)  # [N]
        moved = anchors.copy()
        for index in np.unique(nearest):
            moved[index] = sizes[nearest == index].mean(axis=0)
        if np.array_equal(moved, anchors):
            break
        anchors = moved
    return anchors
