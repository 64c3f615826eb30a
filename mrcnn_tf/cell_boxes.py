"""A box as four numbers of a grid cell and an anchor: YOLOv2's, v3's and v4's.

The centre stays by its cell, whatever the network says; the size is the anchor's times
an exponential. An RPN's box deltas (`boxes.py`) may carry a centre anywhere.
"""

import numpy as np
import tensorflow as tf


def decode(raw, anchors, stride, stretch=1.0):
    """Decodes what a network says of every cell and anchor.

    Args:
        raw: float32 [..., H, W, A, 4], (ty, tx, th, tw).
        anchors: A pairs (height, width) in pixels.
        stride: pixels from one cell to the next.
        stretch: 1 for YOLOv2 and v3. Above 1, as in YOLOv4 (1.05 to 1.2), the
            centre may leave its cell by (stretch - 1) / 2 of it on each side, so
            that the edge itself is within reach.
    Returns:
        float32 [..., H, W, A, 4], (y1, x1, y2, x2) in pixels.
    Raises:
        ValueError: if `raw` does not end in [A, 4].
    Source: Redmon and Farhadi 2017, §2: b = sigmoid(t) + c, and p * exp(t);
        Bochkovskiy et al. 2020, §3.4, "eliminate grid sensitivity", with Darknet's
        `scale_x_y`.
    """
    anchors = tf.convert_to_tensor(anchors, tf.float32)  # [A, 2]
    if raw.shape[-2:] != (len(anchors), 4):
        raise ValueError(
            f"raw must end in [{len(anchors)}, 4] for {len(anchors)} anchors, found "
            f"{list(raw.shape)}"
        )
    shift, scale = tf.split(raw, 2, axis=-1)  # [..., H, W, A, 2] each
    height, width = raw.shape[-4], raw.shape[-3]
    y, x = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    corner = tf.cast(tf.stack([y, x], axis=-1), tf.float32)  # [H, W, 2]
    inside = stretch * tf.sigmoid(shift) - (stretch - 1) / 2
    centre = stride * (corner[:, :, None] + inside)
    size = anchors * tf.exp(scale)
    return tf.concat([centre - size / 2, centre + size / 2], axis=-1)


def encode(boxes, anchors, stride, stretch=1.0):
    """Finds the four numbers that decode to each box: the inverse of `decode`.

    Args:
        boxes: float [N, 4], (y1, x1, y2, x2) in pixels.
        anchors: float [N, 2], (height, width) of the one each box goes to.
        stride, stretch: as of `decode`.
    Returns:
        cells int64 [N, 2], (y, x) of the cell that holds the centre, and float32
        [N, 4], (ty, tx, th, tw). With a stretch of 1, minus infinity where a
        centre lies on its cell's upper or left edge: no finite number reaches it.
    Raises:
        ValueError: for a box without area, or a stretch below 1.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if stretch < 1:
        raise ValueError(f"stretch must be 1 or more, found {stretch}")
    size = boxes[:, 2:] - boxes[:, :2]  # [N, 2]
    empty = np.flatnonzero((size <= 0).any(axis=1))
    if len(empty):
        row = empty[0]
        raise ValueError(f"box {row} has no area: {boxes[row].tolist()}")
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / stride  # [N, 2], in cells
    cells = np.floor(centre).astype(np.int64)
    inside = (centre - cells + (stretch - 1) / 2) / stretch  # 0 to 1
    with np.errstate(divide="ignore"):  # the edge, as promised
        shift = np.log(inside) - np.log1p(-inside)
    scale = np.log(size / np.asarray(anchors, np.float64))
    return cells, np.concatenate([shift, scale], axis=1).astype(np.float32)
