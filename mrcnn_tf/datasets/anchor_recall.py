"""How well a config's anchors fit the objects of a data set, and what would fit better.

The RPN starts from anchors, and an object is learnt from the anchors that overlap it:
from those of `rpn.positive_iou` or more, or for want of one from its best alone.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from mrcnn_tf.sizes import base_anchors, network_size, padded_size

_STRIDES = (4, 8, 16, 32, 64)  # of P2 to P6
_STEP = 2**0.25  # from one size that is tried to the next
_SMALLEST = 8  # pixels, of the sizes that are tried
_ENOUGH = 50  # objects; of fewer, sizes are not suggested
_SAMPLE = 3000  # objects that a suggestion is found on; more change nothing
_LOSS = 0.01  # of the objects, at one threshold for gains at the other
_FORBIDDEN = 10  # takes away more than there is to gain
_MARGIN = 0.05  # of the objects; what finds fewer more than this is not suggested


@dataclass(frozen=True)
class Recall:
    """Shares of objects that have an anchor of an IoU or more.

    Attributes:
        sizes: the five anchor sizes, pixels.
        thresholds: (0.5, rpn.positive_iou).
        shares: dict from "all" and each class of size to (number of objects, share
            at the first threshold, share at the second).
    """

    sizes: tuple
    thresholds: tuple
    shares: dict


def anchor_recall(overlaps, groups, sizes, positive_iou):
    """Counts the objects that anchors find.

    Args:
        overlaps: float [N], of `best_overlaps`.
        groups: str [N], the class of size of each object.
        sizes: of the anchors, for the record.
        positive_iou: the second threshold; the first is 0.5.
    Returns:
        a `Recall`; a class of size without objects is absent.
    """
    thresholds = (0.5, float(positive_iou))
    shares = {}
    for group in ("all", *dict.fromkeys(groups)):
        chosen = overlaps if group == "all" else overlaps[groups == group]
        if len(chosen):
            found = [float((chosen >= threshold).mean()) for threshold in thresholds]
            shares[group] = (len(chosen), *found)
    return Recall(tuple(sizes), thresholds, shares)


def best_overlaps(boxes, sizes, config):
    """Finds the IoU of each object with its best anchor, at the network's size.

    Args:
        boxes: float [N, 4], (y1, x1, y2, x2) in pixels of each one's image.
        sizes: int [N, 2], (height, width) of that image.
        config: a `Config`.
    Returns:
        float64 [N], 0 to 1.
    """
    scaled, padded = _at_network(boxes, sizes, config.image)
    levels = [
        _level_overlaps(scaled, padded, level, size, config.rpn.anchor_ratios)
        for level, size in enumerate(config.rpn.anchor_sizes)
    ]
    return np.max(levels, axis=0)


def suggest_sizes(boxes, sizes, config):
    """Looks for anchor sizes that find more objects than the config's.

    From the config's own sizes, and from quantiles of the objects', two levels' sizes
    at a time are moved to where most objects have an anchor, until none moves.

    Args:
        boxes, sizes, config: as of `best_overlaps`.
    Returns:
        five ints, rising, pixels, one for each of P2 to P6; None where none finds
        more by a margin at one of the thresholds, for no loss at the other, or there
        are too few objects to tell.
    """
    if len(boxes) < _ENOUGH:
        return None
    pick = np.random.default_rng(0).permutation(len(boxes))[:_SAMPLE]
    scaled, padded = _at_network(boxes[pick], sizes[pick], config.image)
    count = int(np.log(config.image.long_side / _SMALLEST) / np.log(_STEP)) + 1
    tried = np.unique(np.round(_SMALLEST * _STEP ** np.arange(max(count, 5))))
    tried = np.unique([*tried, *config.rpn.anchor_sizes])
    tables = np.array(  # [5, T, N], the overlap with each level at each size
        [
            [
                _level_overlaps(scaled, padded, level, size, config.rpn.anchor_ratios)
                for size in tried
            ]
            for level in range(len(_STRIDES))
        ]
    )

    def shares(choice):
        best = tables[range(len(choice)), choice].max(axis=0)  # [N]
        found = [(best >= 0.5).mean(), (best >= config.rpn.positive_iou).mean()]
        return np.array(found), best.mean()

    own = np.searchsorted(tried, np.sort(config.rpn.anchor_sizes))
    to_beat, _ = shares(own)

    def value(choice):
        found, mean = shares(choice)
        # To find more at one threshold is no good for fewer at the other.
        return found.sum() + mean - _FORBIDDEN * (to_beat - found > _LOSS).sum()

    sides = np.sqrt(np.prod(scaled[:, 2:] - scaled[:, :2], axis=1))
    quantiles = np.searchsorted(tried, np.quantile(sides, (0.1, 0.3, 0.5, 0.7, 0.9)))
    starts = [own, _rising(quantiles, len(tried))]
    best = max((_climb(start, len(tried), value) for start in starts), key=value)
    gain = shares(best)[0] - to_beat
    if gain.max() < _MARGIN:
        return None
    return tuple(int(tried[index]) for index in best)


def _at_network(boxes, sizes, image_config):
    """Returns boxes [N, 4] in the network's input, and its padded sizes [N, 2]."""
    kinds, kind = np.unique(np.reshape(sizes, (-1, 2)), axis=0, return_inverse=True)
    content = np.array([network_size(*size, image_config) for size in kinds.tolist()])
    content = content.reshape(-1, 2)
    padded = np.array([padded_size(*size, image_config) for size in content.tolist()])
    scale = (content / kinds)[kind]  # [N, 2]
    return np.reshape(boxes, (-1, 4)) * np.tile(scale, 2), padded.reshape(-1, 2)[kind]


def _level_overlaps(boxes, padded, level, size, ratios):
    """The best IoU [N] of boxes [N, 4] with one level's anchors.

    Of anchors of one shape on a grid, the IoU is largest for the one that shares most
    of the box's height and most of its width, and that one is the nearest.
    """
    grid = padded
    for stride in _STRIDES[: level + 1]:
        # To P2 by four; each level after it halves, and P6 rounds up.
        grid = -(-grid // (4 if stride == 4 else 2))
    step = padded // grid  # [N, 2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    nearest = np.clip(np.round(centre / step), 0, grid - 1) * step  # [N, 2]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    best = np.zeros(len(boxes))
    for anchor in base_anchors(size, ratios):
        start = np.maximum(boxes[:, :2], nearest + anchor[:2])
        end = np.minimum(boxes[:, 2:], nearest + anchor[2:])
        shared = np.prod(np.maximum(end - start, 0), axis=1)
        anchor_area = np.prod(anchor[2:] - anchor[:2])
        best = np.maximum(best, shared / (area + anchor_area - shared))
    return best


def _rising(choice, count):
    """Moves indices apart as little as needed, so that they rise within `count`."""
    choice = np.array(choice)
    for index in range(1, len(choice)):
        choice[index] = max(choice[index], choice[index - 1] + 1)
    return np.minimum(choice, count - len(choice) + np.arange(len(choice)))


def _climb(choice, count, value):
    """Moves two indices at a time to where the value is best, until none gains.

    One at a time often cannot: what it finds there, it loses where it was.
    """
    choice, best = list(choice), value(choice)
    moved = True
    while moved:
        moved = False
        for first, second in itertools.combinations(range(len(choice)), 2):
            for places in itertools.combinations(range(count), 2):
                other = choice.copy()
                other[first], other[second] = places
                rises = all(a < b for a, b in itertools.pairwise(other))
                if rises and value(other) > best + 1e-9:
                    choice, best, moved = other, value(other), True
    return choice
