"""RoIPool and RoIAlign: cut a fixed grid of features out of the pyramid for a box.

`tf.image.crop_and_resize` samples bilinearly on a regular grid from one corner of
a box to the other. RoIAlign samples at the centres of sub-cells instead. Both agree
when the box is first moved onto the first and last sample (`_sample_grid`), the
crop has one cell for each sample (for the usual two, it is twice the output a side),
and a mean over the samples follows. Used plainly, with the box as it is,
`crop_and_resize` is off by more than a feature cell.

Where the samples lie is told here; how they are taken, in `sampling.py`.
"""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf.sampling import sample_cells


def fpn_level(boxes, min_level=2, max_level=5):
    """The pyramid level that each box is cut from: large boxes from coarse levels.

    Args:
        boxes: float32 [..., 4], in pixels.
        min_level, max_level: levels P2 to P5.
    Returns:
        int32 [...], `min_level` to `max_level`.
    Source: Lin et al. 2017 (FPN), equation 1: 224 pixels is level 4. The 1e-6 is
        torchvision's, so that a box of exactly 112 lands on level 3.
    """
    side = tf.sqrt(box_ops.area(boxes))
    # log2 of an empty box is -inf, which the clip turns into the finest level.
    level = 4.0 + tf.math.log(side / 224.0) / tf.math.log(2.0)
    level = tf.floor(level + 1e-6)
    return tf.cast(tf.clip_by_value(level, min_level, max_level), tf.int32)


def roi_align(
    features, boxes, output_size, strides, aligned=True, samples=2, image_index=None
):
    """Cuts a grid of bilinear samples for each box from its pyramid level.

    Args:
        features: list of float32 [B, H_l, W_l, C], fine to coarse. With one map,
            every box is cut from it; with four, from its `fpn_level`.
        boxes: float32 [B, R, 4], (y1, x1, y2, x2) in image pixels.
        output_size: S, cells a side.
        strides: image pixels per cell of each map.
        aligned: True puts cell centres at half-integers, as pixels have them.
            False is the original, half a cell off, and stretches boxes under one
            cell to one cell.
        samples: bilinear samples in each output cell, each way: n or (down, across).
        image_index: int32 [B, R], the image that each box is cut from where that is
            not its own row.
    Returns:
        float32 [B, R, S, S, C]. Samples up to one cell outside the map take its
        edge, those further out are zero.
    Raises:
        ValueError: if there are no samples.
    Source: He et al. 2017, section 3; numbers as torchvision.ops.roi_align with
        sampling_ratio=samples.
    """
    samples = (samples, samples) if isinstance(samples, int) else tuple(samples)
    if min(samples) < 1:
        raise ValueError(f"samples must be at least 1 each way, found {samples}")
    count = [each * output_size for each in samples]  # rows and columns of samples
    shapes = tf.stack([tf.shape(feature)[1:3] for feature in features])  # [L, 2]
    if len(features) == 1:
        level = tf.zeros(tf.shape(boxes)[:2], tf.int32)
    else:
        level = fpn_level(boxes, 2, 1 + len(features)) - 2  # [B, R]
    stride = tf.gather(tf.constant(strides, tf.float32), level)[..., None]  # [B, R, 1]
    first, step = _sample_grid(boxes / stride, count, aligned)  # [B, R, 2]
    size = tf.cast(tf.gather(shapes, level), tf.float32)  # [B, R, 2]

    if image_index is None:
        image_index = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
        image_index = tf.reshape(image_index, tf.shape(boxes)[:2])
    inside = _inside(first, step, size, count)
    return sample_cells(features, level, image_index, first, step, inside, samples)


def _sample_grid(boxes, count, aligned):
    """Where the first sample of each box lies and how far apart they are, in cells.

    Args:
        boxes: float32 [B, R, 4], in cells of the box's own map.
        count: how many samples a box has down and across.
    Returns:
        first, step: float32 [B, R, 2], (y, x).
    """
    start, end = tf.split(boxes, 2, axis=-1)
    if aligned:
        start, end = start - 0.5, end - 0.5
    else:
        end = tf.maximum(end, start + 1.0)
    # A sample lies in the middle of each of the sub-cells that share the box.
    step = (end - start) / tf.constant(count, tf.float32)
    return start + step / 2, step


def _inside(first, step, size, count):
    """Two float32 [B, R, count]: 1 for rows, columns of samples on their map, else 0.

    Samples at most a cell outside count as on it.
    """

    def along(axis):
        ticks = tf.range(count[axis], dtype=tf.float32)
        # Exact for round numbers: a sample may lie just where the rim ends.
        position = first[..., axis, None] + ticks * step[..., axis, None]
        inside = (position >= -1.0) & (position <= size[..., axis, None])
        inside.set_shape([*first.shape[:2], count[axis]])
        return tf.cast(inside, tf.float32)

    return along(0), along(1)


def roi_pool(features, boxes, output_size, stride):
    """Fast R-CNN's RoIPool: the maximum over each cell of a rounded box.

    Args:
        features: float32 [B, H, W, C].
        boxes: float32 [B, R, 4], in image pixels.
        output_size: S, cells a side.
        stride: image pixels per feature cell.
    Returns:
        float32 [B, R, S, S, C]. Cells that hold no feature are zero.
    Source: Girshick 2015, section 2.1; numbers as torchvision.ops.roi_pool. The
        box is rounded to whole cells, then cut into cells that are rounded again:
        the two errors that RoIAlign removes. For lessons: S * S passes over R
        whole feature maps.
    """
    height, width = tf.shape(features)[1], tf.shape(features)[2]
    corners = tf.floor(boxes / stride + 0.5)  # halves go up: tf.round's go to even
    start, end = tf.split(corners, 2, axis=-1)
    cell = tf.maximum(end - start + 1.0, 1.0) / output_size  # [B, R, 2]
    ticks = tf.range(output_size, dtype=tf.float32)
    low = start[..., None] + tf.floor(ticks * cell[..., None])  # [B, R, 2, S]
    high = start[..., None] + tf.math.ceil((ticks + 1.0) * cell[..., None])
    rows = tf.range(tf.cast(height, tf.float32))
    columns = tf.range(tf.cast(width, tf.float32))
    # Membership of every feature row and column in every cell.
    in_row = (rows >= low[:, :, 0, :, None]) & (rows < high[:, :, 0, :, None])
    in_column = (columns >= low[:, :, 1, :, None]) & (columns < high[:, :, 1, :, None])
    lowest = tf.float32.min

    def over_columns(column_cell):
        mask = column_cell[:, :, None, :, None]  # [B, R, 1, W, 1]
        return tf.reduce_max(tf.where(mask, features[:, None], lowest), axis=3)

    def over_rows(maxima, row_cell):
        mask = row_cell[..., None]  # [B, R, H, 1]
        return tf.reduce_max(tf.where(mask, maxima, lowest), axis=2)

    columns_done = [over_columns(in_column[:, :, x]) for x in range(output_size)]
    cells = [
        tf.stack([over_rows(m, in_row[:, :, y]) for m in columns_done], axis=2)
        for y in range(output_size)
    ]
    pooled = tf.stack(cells, axis=2)  # [B, R, S, S, C]
    return tf.where(pooled == lowest, 0.0, pooled)


@keras.saving.register_keras_serializable("mrcnn_tf")
class RoIAlign(keras.layers.Layer):
    """`roi_align` in the graph, RoIs flattened: [B * R, S, S, C].

    Heads treat every RoI alike, so its image no longer matters after this.
    """

    supports_jit = False  # CropAndResize has no XLA kernel

    def __init__(self, output_size, strides, aligned=True, **kwargs):
        super().__init__(**kwargs)
        self.output_size = output_size
        self.strides = tuple(strides)
        self.aligned = aligned

    def call(self, features, boxes):
        crops = roi_align(features, boxes, self.output_size, self.strides, self.aligned)
        channels = features[0].shape[-1]
        return tf.reshape(crops, [-1, self.output_size, self.output_size, channels])

    def compute_output_spec(self, features, boxes):
        shape = (None, self.output_size, self.output_size, features[0].shape[-1])
        return keras.KerasTensor(shape, features[0].dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "strides": self.strides,
            "aligned": self.aligned,
        }
