"""Copy-paste: objects cut out of one photograph by their masks, laid on another.

The cheapest scenes that nobody had to photograph: an object learns to be found
before any background, and behind others. No seam is blended: the source found that
it makes no difference. `compose.py` composes whole data sets in this way, with care
for each place, from photographs that hold one object each.
"""

import dataclasses

import numpy as np
from PIL import Image

from mrcnn_tf import rle
from mrcnn_tf.datasets.visible import visible_objects


def copy_paste(sample, other, rng, min_visible=0.1):
    """Pastes some of another sample's objects on a sample.

    The other photograph is scaled to fit into the sample's image, so that neither's
    resolution matters; its objects stay as they are to each other, and are laid
    together at a random place where all of them are inside. What they cover of the
    sample's objects is no longer part of those. A trimap has what is pasted as
    object.

    Args:
        sample: a Sample with masks.
        other: a Sample with masks, of the same classes; its crowds are not pasted.
        rng: NumPy Generator; draws which objects, one or more, and their place.
        min_visible: share of an object's area, 0 to 1; one of which less is left
            becomes a crowd region.
    Returns:
        Sample: what is left of its own objects, then those pasted.
    Raises:
        ValueError: if either has boxes only.
    Source: Ghiasi et al. 2021, Simple Copy-Paste.
    """
    for each in (sample, other):
        if each.masks is None:
            raise ValueError(
                f"image {each.image_id!r} has boxes only; copy-paste needs masks: "
                "set augment.copy_paste to 0"
            )
    candidates = np.flatnonzero(~other.crowd)
    if len(candidates) == 0:
        return sample
    count = rng.integers(1, len(candidates), endpoint=True)
    chosen = np.sort(rng.choice(candidates, count, replace=False))
    scale = min(sample.height / other.height, sample.width / other.width)
    pixels, cuts = _cut_out(other, chosen, scale)  # [h, w, 3], [C, h, w]
    height, width = pixels.shape[:2]
    top = int(rng.integers(sample.height - height, endpoint=True))
    left = int(rng.integers(sample.width - width, endpoint=True))
    place = np.s_[top : top + height, left : left + width]
    is_covered = cuts.any(axis=0)  # [h, w]
    image, trimap = sample.image.copy(), sample.trimap
    image[place][is_covered] = pixels[is_covered]
    if trimap is not None:
        trimap = trimap.copy()
        trimap[place][is_covered] = 1  # object
    left_over = list(sample.masks)
    for index, mask in enumerate(sample.masks):
        y1, x1, y2, x2 = rle.box(mask)  # the annotated box may be off by pixels
        if y1 < top + height and y2 > top and x1 < left + width and x2 > left:
            visible = rle.decode(mask)
            visible[place] &= ~is_covered
            left_over[index] = rle.encode(visible)
    size = sample.height, sample.width
    kept = visible_objects(sample, sample.boxes, left_over, size, min_visible)
    pasted = []
    for cut in cuts:
        mask = np.zeros(size, bool, order="F")
        mask[place] = cut
        pasted.append(rle.encode(mask))
    is_there = cuts.any(axis=(1, 2))  # the smallest may vanish as they are scaled
    pasted = tuple(mask for mask, there in zip(pasted, is_there, strict=True) if there)
    boxes = np.array([rle.box(mask) for mask in pasted]).reshape(-1, 4)
    return dataclasses.replace(
        sample,
        image=image,
        boxes=np.concatenate([kept["boxes"], boxes]),
        classes=np.concatenate([kept["classes"], other.classes[chosen[is_there]]]),
        masks=kept["masks"] + pasted,
        crowd=np.concatenate([kept["crowd"], np.zeros(len(pasted), bool)]),
        trimap=trimap,
    )


def _cut_out(sample, chosen, scale):
    """Cuts objects out of a sample, along with all that their boxes span.

    Args:
        sample: a Sample with masks.
        chosen: int [C], which objects, one or more.
        scale: by which they are resized.
    Returns:
        pixels uint8 [h, w, 3], masks bool [C, h, w].
    """
    masks = [sample.masks[index] for index in chosen]
    boxes = np.array([rle.box(mask) for mask in masks]).astype(int)  # [C, 4]
    (y1, x1), (y2, x2) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    # Rounded down: it fits where the whole photograph does.
    size = [max(1, int(side * scale)) for side in (x2 - x1, y2 - y1)]  # (w, h)

    def scaled(array):
        return np.asarray(
            Image.fromarray(array).resize(size, Image.Resampling.BILINEAR)
        )

    window = np.s_[y1:y2, x1:x2]
    pixels = scaled(sample.image[window])
    cuts = [
        scaled(rle.decode(mask)[window].astype(np.uint8) * 255) > 127 for mask in masks
    ]
    return pixels, np.array(cuts)
