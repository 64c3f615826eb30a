"""Boxes: area, overlap, box deltas.

A box is float32 (y1, x1, y2, x2) in pixels, half-open: its height is `y2 - y1`,
with no `+ 1`, and (0, 0) is the corner of the first pixel, not its centre.
"""

import math

import tensorflow as tf

# A delta may not make a box more than this much taller or wider (Detectron).
MAX_LOG_SCALE = math.log(1000.0 / 16)


def _check_last(boxes, name):
    if boxes.shape[-1] != 4:
        raise ValueError(f"{name} must end in a dimension of 4, found {boxes.shape}")


def area(boxes):
    """Areas of boxes.

    Args:
        boxes: float32 [..., 4], (y1, x1, y2, x2) in pixels.
    Returns:
        float32 [...], square pixels; 0 where a box is reversed.
    """
    _check_last(boxes, "boxes")
    y1, x1, y2, x2 = tf.unstack(boxes, axis=-1)
    return tf.maximum(y2 - y1, 0.0) * tf.maximum(x2 - x1, 0.0)


def intersection(boxes1, boxes2):
    """Areas shared by every pair of boxes.

    Args:
        boxes1: float32 [..., N, 4].
        boxes2: float32 [..., M, 4].
    Returns:
        float32 [..., N, M], square pixels.
    """
    _check_last(boxes1, "boxes1")
    _check_last(boxes2, "boxes2")
    y1, x1, y2, x2 = tf.split(boxes1, 4, axis=-1)  # each [..., N, 1]
    v1, u1, v2, u2 = tf.unstack(boxes2[..., None, :, :], axis=-1)  # each [..., 1, M]
    height = tf.maximum(tf.minimum(y2, v2) - tf.maximum(y1, v1), 0.0)
    width = tf.maximum(tf.minimum(x2, u2) - tf.maximum(x1, u1), 0.0)
    return height * width  # [..., N, M]


def iou(boxes1, boxes2):
    """Intersection over union of every pair.

    Args:
        boxes1: float32 [..., N, 4].
        boxes2: float32 [..., M, 4].
    Returns:
        float32 [..., N, M], 0 to 1; 0 for two boxes without area.
    """
    shared = intersection(boxes1, boxes2)
    return tf.math.divide_no_nan(shared, _union(boxes1, boxes2, shared))


def coverage(boxes1, boxes2):
    """Share of each box of `boxes1` that lies inside each box of `boxes2`.

    Returns:
        float32 [..., N, M], 0 to 1. COCO's "IoU" with a crowd region.
    """
    shared = intersection(boxes1, boxes2)
    return tf.math.divide_no_nan(shared, area(boxes1)[..., :, None])


def giou(boxes1, boxes2):
    """Generalised IoU of every pair: also falls as disjoint boxes move apart.

    Returns:
        float32 [..., N, M], -1 to 1.
    Source: Rezatofighi et al. 2019.
    """
    shared = intersection(boxes1, boxes2)
    union = _union(boxes1, boxes2, shared)
    height, width = _enclosing(boxes1, boxes2)
    hull = height * width
    between = tf.math.divide_no_nan(hull - union, hull)
    return tf.math.divide_no_nan(shared, union) - between


def diou(boxes1, boxes2):
    """Distance IoU of every pair: IoU less the normalised distance of the centres.

    Returns:
        float32 [..., N, M], -1 to 1.
    Source: Zheng et al. 2020.
    """
    overlap = iou(boxes1, boxes2)
    height, width = _enclosing(boxes1, boxes2)
    diagonal = height**2 + width**2  # squared
    cy, cx, _, _ = tf.split(_center_size(boxes1), 4, axis=-1)
    dy, dx, _, _ = tf.unstack(_center_size(boxes2)[..., None, :, :], axis=-1)
    distance = (cy - dy) ** 2 + (cx - dx) ** 2  # squared
    return overlap - tf.math.divide_no_nan(distance, diagonal)


def ciou(boxes1, boxes2):
    """Complete IoU of every pair: distance IoU less the difference of aspect ratio.

    Returns:
        float32 [..., N, M].
    Source: Zheng et al. 2020. The trade-off weight alpha carries no gradient.
    """
    overlap = iou(boxes1, boxes2)
    turn = _aspect(boxes2)[..., None, :] - _aspect(boxes1)[..., :, None]  # [..., N, M]
    aspect = 4 / math.pi**2 * turn**2  # 0 to 1
    alpha = tf.math.divide_no_nan(aspect, 1 - overlap + aspect)
    return diou(boxes1, boxes2) - tf.stop_gradient(alpha) * aspect


def _aspect(boxes):
    """Width to height as an angle, 0 to pi / 2, [...]; a point counts as 0."""
    height, width = tf.unstack(tf.maximum(_center_size(boxes)[..., 2:], 0.0), axis=-1)
    # In (0, 0) the gradient of atan2 is NaN.
    return tf.atan2(width, tf.where(height + width > 0, height, 1.0))


def _union(boxes1, boxes2, shared):
    """Areas that every pair covers together, [..., N, M]."""
    return area(boxes1)[..., :, None] + area(boxes2)[..., None, :] - shared


def _enclosing(boxes1, boxes2):
    """Height and width of the smallest box around every pair, each [..., N, M]."""
    y1, x1, y2, x2 = tf.split(boxes1, 4, axis=-1)
    v1, u1, v2, u2 = tf.unstack(boxes2[..., None, :, :], axis=-1)
    height = tf.maximum(y2, v2) - tf.minimum(y1, v1)
    width = tf.maximum(x2, u2) - tf.minimum(x1, u1)
    return height, width


def _center_size(boxes):
    """(y1, x1, y2, x2) to (centre y, centre x, height, width)."""
    corner1, corner2 = tf.split(boxes, 2, axis=-1)
    return tf.concat([(corner1 + corner2) / 2, corner2 - corner1], axis=-1)


def encode(boxes, reference, weights=(1.0, 1.0, 1.0, 1.0)):
    """Encodes boxes as deltas from their reference boxes.

    Args:
        boxes: float32 [..., 4], (y1, x1, y2, x2) in pixels.
        reference: float32 [..., 4], anchors or proposals.
        weights: four floats that multiply (dy, dx, dh, dw): 1 for the RPN,
            (10, 10, 5, 5) for the box head, so that each has unit variance.
    Returns:
        float32 [..., 4], (dy, dx, dh, dw). Zeros where either box has no area,
        as empty slots have not.
    Raises:
        ValueError: if the last dimension of either is not 4.
    Source: Girshick et al. 2014, appendix C.
    """
    _check_last(boxes, "boxes")
    _check_last(reference, "reference")
    center, size = tf.split(_center_size(boxes), 2, axis=-1)
    ref_center, ref_size = tf.split(_center_size(reference), 2, axis=-1)
    real = tf.reduce_all((size > 0) & (ref_size > 0), axis=-1, keepdims=True)
    # Where the slot is empty, any positive size keeps the logarithm finite.
    size = tf.where(real, size, 1.0)
    ref_size = tf.where(real, ref_size, 1.0)
    shift = (center - ref_center) / ref_size
    scale = tf.math.log(size / ref_size)
    deltas = tf.concat([shift, scale], axis=-1) * tf.constant(weights, tf.float32)
    return tf.where(real, deltas, 0.0)


def decode(deltas, reference, weights=(1.0, 1.0, 1.0, 1.0)):
    """Decodes box deltas against their reference boxes.

    Args:
        deltas: float32 [..., 4], (dy, dx, dh, dw), multiplied by `weights`.
        reference: float32 [..., 4], anchors or proposals, (y1, x1, y2, x2).
        weights: four floats, those that `encode` was given.
    Returns:
        float32 [..., 4], boxes in pixels, not clipped to the image.
    Raises:
        ValueError: if the last dimension of either is not 4.
    Source: Girshick et al. 2014, appendix C. dh and dw are clamped at
        log(1000 / 16), as in Detectron, so that exp cannot overflow.
    """
    _check_last(deltas, "deltas")
    _check_last(reference, "reference")
    deltas = deltas / tf.constant(weights, tf.float32)
    shift, scale = tf.split(deltas, 2, axis=-1)
    center, size = tf.split(_center_size(reference), 2, axis=-1)
    center = center + shift * size
    size = size * tf.exp(tf.minimum(scale, MAX_LOG_SCALE))
    return tf.concat([center - size / 2, center + size / 2], axis=-1)


def clip(boxes, sizes):
    """Clips boxes to their images.

    Args:
        boxes: float32 [B, N, 4].
        sizes: int32 [B, 2], (height, width) of each image in pixels.
    Returns:
        float32 [B, N, 4].
    """
    _check_last(boxes, "boxes")
    edges = tf.cast(tf.tile(sizes, [1, 2])[:, None, :], boxes.dtype)  # [B, 1, 4]
    return tf.clip_by_value(boxes, 0.0, edges)
