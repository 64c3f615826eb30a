"""RoIAlign out of gathers alone, for formats that have no `crop_and_resize`.

LiteRT knows that operation only through the whole of TensorFlow, and ONNX as a loop
over the boxes. The cells of all levels lie in one long list here; each sample gathers
its four neighbours from it and weighs them.
"""

import tensorflow as tf

from mrcnn_tf.roi import RoIAlign, fpn_level


def gather_align(features, boxes, output_size, strides, aligned=True, samples=2):
    """Does what `roi.roi_align` does, for one image.

    Args:
        features: list of float32 [1, H_l, W_l, C], fine to coarse.
        boxes: float32 [1, R, 4], (y1, x1, y2, x2) in image pixels.
        output_size, strides, aligned: as of `roi.roi_align`.
        samples: bilinear samples in each output cell, each way.
    Returns:
        float32 [R, S, S, C].
    Source: He et al. 2017, section 3. A test keeps it equal to `roi.roi_align`.
    """
    boxes = boxes[0]  # [R, 4]
    count = samples * output_size  # samples a side
    shapes = tf.stack([tf.shape(feature)[1:3] for feature in features])  # [L, 2]
    cells_before = tf.cumsum(shapes[:, 0] * shapes[:, 1], exclusive=True)  # [L]
    channels = features[0].shape[-1]
    cells = tf.concat([tf.reshape(f, [-1, channels]) for f in features], axis=0)
    if len(features) == 1:
        level = tf.zeros(tf.shape(boxes)[:1], tf.int32)
    else:
        level = fpn_level(boxes, 2, 1 + len(features)) - 2  # [R]
    boxes = boxes / tf.gather(tf.constant(strides, tf.float32), level)[:, None]
    shape = tf.gather(shapes, level)  # [R, 2]
    start, end = boxes[:, :2], boxes[:, 2:]
    if aligned:
        start, end = start - 0.5, end - 0.5
    else:
        end = tf.maximum(end, start + 1.0)

    rows = _neighbours(start[:, 0], end[:, 0], shape[:, 0], count)
    columns = _neighbours(start[:, 1], end[:, 1], shape[:, 1], count)
    first = tf.gather(cells_before, level)[:, None, None]  # of the box's own level
    width = shape[:, 1][:, None, None]
    crops = 0.0
    for row, row_weight in rows:
        for column, column_weight in columns:
            index = first + row[:, :, None] * width + column[:, None, :]
            weight = row_weight[:, :, None] * column_weight[:, None, :]
            crops += tf.gather(cells, index) * weight[..., None]
    # [R, count, count, C] to [R, S, S, C]
    return tf.nn.avg_pool2d(crops, samples, samples, "VALID")


def _neighbours(start, end, length, count):
    """The two cells beside each sample along one axis: (index, weight), [R, count]."""
    limit = tf.cast(length, tf.float32)[:, None]
    ticks = tf.range(count, dtype=tf.float32)
    step = ((end - start) / count)[:, None]
    position = start[:, None] + step / 2 + ticks * step  # [R, count]
    # Up to a cell outside, a sample takes the edge; further out it is zero.
    inside = tf.cast((position >= -1.0) & (position <= limit), tf.float32)
    position = tf.clip_by_value(position, 0.0, limit - 1.0)
    low = tf.floor(position)
    high = tf.minimum(low + 1.0, limit - 1.0)
    share = position - low
    return (
        (tf.cast(low, tf.int32), (1.0 - share) * inside),
        (tf.cast(high, tf.int32), share * inside),
    )


class GatherRoIAlign(RoIAlign):
    """`gather_align` in the place of `RoIAlign`, for a batch of one image."""

    def call(self, features, boxes):
        return gather_align(
            features, boxes, self.output_size, self.strides, self.aligned
        )
