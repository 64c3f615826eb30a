"""Run-length encoded masks: how instance masks are kept outside the network.

A dense stack of a hundred 12-megapixel masks is over a gigabyte; as COCO
run-length encodings it is a few kilobytes. pycocotools does the coding.
"""

import numpy as np
from pycocotools import mask as coco_mask


def encode(mask):
    """Encodes one binary mask.

    Args:
        mask: bool or uint8 [H, W]; any value but zero is object.
    Returns:
        dict, a compressed COCO RLE: `size` [H, W] and `counts` (bytes).
    Raises:
        ValueError: if `mask` has not exactly two dimensions.
    Source: the COCO API, through pycocotools.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"expected a mask of shape [H, W], found {mask.shape}")
    return coco_mask.encode(np.asfortranarray(mask != 0, dtype=np.uint8))


def decode(rle):
    """Decodes one RLE to bool [H, W]."""
    return coco_mask.decode(rle).astype(bool)


def decode_all(rles, height, width):
    """Decodes RLEs to bool [N, H, W]; `height` and `width` give the empty case."""
    masks = np.zeros((len(rles), height, width), bool)
    for mask, rle in zip(masks, rles, strict=True):
        mask[:] = decode(rle)
    return masks


def area(rle):
    """Returns the number of object pixels of one RLE, an int."""
    return int(coco_mask.area(rle))


def box(rle):
    """Returns the tight float32 box (y1, x1, y2, x2) of one RLE, half-open pixels."""
    x, y, width, height = coco_mask.toBbox(rle)
    return np.array([y, x, y + height, x + width], np.float32)
