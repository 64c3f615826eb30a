"""The instances of a semantic answer: regions of one class that hang together."""

import numpy as np
from scipy.ndimage import find_objects, label

from mrcnn_tf import rle
from mrcnn_tf.result import Result

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def connected_components(class_map, classes, min_area, probability=None):
    """Takes each connected component of each class for an object.

    Pixels that touch at a corner are connected. This is all that can be told from
    classes of pixels: two animals of one class that touch become one, and one that
    something hides in the middle becomes two.

    Args:
        class_map: integers [H, W], 0 background, c for `classes[c - 1]`. Other
            labels, as a trimap's border, are to be set to 0 before.
        classes: class names without background.
        min_area: pixels; a component of fewer is a speck, and left out.
        probability: float [H, W], 0 to 1, of each pixel's own class; None for 1.
    Returns:
        `Result`, its scores the mean probability of each component.
    Raises:
        ValueError: if a map is of another shape, or holds other values.
    """
    class_map = np.asarray(class_map)
    if probability is not None:
        probability = np.asarray(probability)
    _check(class_map, classes, probability)
    found = []  # (score, class, rle)
    for class_id in range(1, len(classes) + 1):
        components, _ = label(class_map == class_id, structure=_EIGHT_NEIGHBOURS)
        for number, window in enumerate(find_objects(components), start=1):
            inside = components[window] == number
            if inside.sum() < min_area:
                continue
            score = 1.0 if probability is None else probability[window][inside].mean()
            mask = np.zeros(class_map.shape, bool)
            mask[window] = inside
            found.append((score, class_id, rle.encode(mask)))
    found.sort(key=lambda item: -item[0])  # stable, as a Result's order should be
    boxes = [rle.box(mask) for *_, mask in found]
    return Result(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array([class_id for _, class_id, _ in found], np.int32),
        scores=np.array([score for score, *_ in found], np.float32),
        rles=tuple(mask for *_, mask in found),
        height=class_map.shape[0],
        width=class_map.shape[1],
        class_names=tuple(classes),
    )


def _check(class_map, classes, probability):
    if class_map.ndim != 2 or not np.issubdtype(class_map.dtype, np.integer):
        raise ValueError(
            f"expected a class map of integers [H, W], found {class_map.dtype} "
            f"{list(class_map.shape)}; take the argmax of logits first"
        )
    if class_map.size and not 0 <= class_map.min() <= class_map.max() <= len(classes):
        raise ValueError(
            f"the class map holds {class_map.min()} to {class_map.max()}, expected 0 "
            f"to {len(classes)} for the classes {tuple(classes)}; set others to 0"
        )
    if probability is None:
        return
    if probability.shape != class_map.shape:
        raise ValueError(
            f"the class map is {list(class_map.shape)}, the probabilities "
            f"{list(probability.shape)}; give each pixel that of its own class"
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError(
            "probabilities must lie between 0 and 1; are these logits? "
            "Take the softmax first"
        )
