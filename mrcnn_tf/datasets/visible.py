"""What is left of objects when a window, or what lies in front, hides part of them."""

import numpy as np

from mrcnn_tf import rle


def visible_objects(sample, boxes, masks, size, min_visible):
    """Keeps the objects of which something is left.

    Args:
        sample: the Sample before.
        boxes: [N, 4], where its boxes are now; they may reach over the edges.
        masks: N COCO RLEs of `size`, what is left of each object, or None.
        size: (height, width) of the image now, pixels.
        min_visible: share of its area; an object with less left is made a crowd
            region, as it can no longer be told what it is.
    Returns:
        dict of `boxes`, `classes`, `masks` and `crowd` for a Sample. A box is tight
        around its mask if that lost a pixel, and as annotated else; without masks
        it is clipped.
    """
    clipped = np.clip(boxes, 0, [*size, *size])
    if masks is None:
        before, after = _areas(boxes), _areas(clipped)
    else:
        before, after = (
            np.array([rle.area(mask) for mask in of], float)
            for of in (sample.masks, masks)
        )
    kept = np.flatnonzero(after > 0)
    if masks is not None:
        for index in kept:
            if after[index] < before[index]:
                clipped[index] = rle.box(masks[index])
        masks = tuple(masks[index] for index in kept)
    return {
        "boxes": clipped[kept],
        "classes": sample.classes[kept],
        "masks": masks,
        "crowd": (sample.crowd | (after < min_visible * before))[kept],
    }


def _areas(boxes):
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
