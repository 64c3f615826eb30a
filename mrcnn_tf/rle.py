"""Run-length encoded masks: how instance masks are kept outside the network.

A dense stack of a hundred 12-megapixel masks is over a gigabyte; as COCO
run-length encodings it is a few kilobytes. pycocotools does the coding.
"""

import numpy as np
from pycocotools import mask as coco_mask

_LONGEST_RUN = 32  # bits, as the COCO API counts


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
    return coco_mask.encode(np.asfortranarray(mask != 0).view(np.uint8))


def from_polygons(polygons, height, width):
    """Rasterises polygons to one RLE, their union.

    Args:
        polygons: list of flat arrays (x1, y1, x2, y2, ...) of three points or more,
            in pixels; what lies outside the image is cut off.
        height, width: of the image.
    Returns:
        dict, a compressed COCO RLE.
    Source: the COCO API, through pycocotools, pixel for pixel.
    """
    parts = coco_mask.frPyObjects([p.tolist() for p in polygons], height, width)
    return coco_mask.merge(parts)


def checked(rle, height, width):
    """Makes a compressed RLE of either kind of RLE that files hold.

    Args:
        rle: dict of "size" [H, W] and "counts": a list of run lengths, or their
            compressed form as bytes or str.
        height, width: of the image it is in.
    Returns:
        dict, a compressed COCO RLE.
    Raises:
        ValueError: if the size is another, or the runs are not of as many pixels;
            pycocotools itself would read or write outside its memory.
    """
    size, counts = rle.get("size"), rle.get("counts")
    if size not in ([height, width], (height, width)):
        raise ValueError(
            f"an RLE of size {size!r:.40}, the image is {height} x {width} "
            "(height x width)"
        )
    if isinstance(counts, (str, bytes)) and counts.isascii():
        counts = counts.encode() if isinstance(counts, str) else counts
        runs = _runs(counts)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        runs = counts
    else:
        raise ValueError(
            "an RLE's counts are a list of whole numbers or a text, "
            f"found {counts!r:.40}"
        )
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(
            f"an RLE of {sum(runs)} pixels, the image has {height} x {width}"
        )
    result = {"size": [height, width], "counts": counts}
    return coco_mask.frPyObjects(result, height, width) if counts is runs else result


def _runs(counts):
    """Run lengths of compressed counts, six bits a byte, as the COCO API has them."""
    runs, value, shift = [], 0, 0
    for byte in counts:
        byte -= 48
        if not 0 <= byte < 64:
            raise ValueError(f"an RLE's text holds {chr(byte + 48)!r}")
        value |= (byte & 31) << shift
        shift += 5
        if byte & 32:  # more to come
            if shift > _LONGEST_RUN:
                raise ValueError("an RLE's text holds a number of more than 32 bits")
            continue
        if byte & 16:  # negative
            value -= 1 << shift
        # From the fourth run on, a difference to the last but one.
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("an RLE's text ends within a number")
    return runs


def decode(rle):
    """Decodes one RLE to bool [H, W]."""
    return coco_mask.decode(rle).view(bool)  # bytes of 0 and 1, without a copy


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
