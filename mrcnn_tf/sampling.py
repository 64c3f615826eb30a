"""Bilinear samples of a map on a regular grid, averaged cell by cell.

`tf.image.crop_and_resize` takes the samples. Its gradient is ours: TensorFlow's own, on
a processor with more than one core, adds from several threads to the same cell of the
map, so that now and then a share is lost. Here the samples are a matrix with few
entries, which the gradient transposes.
"""

import tensorflow as tf

# RoIs of an image sampled at once. All samples of 1000 RoIs would be 200 MB.
AT_ONCE = 256


def sample_cells(canvas, image_index, first, step, inside, samples):
    """Averages bilinear samples over the cells of each RoI.

    Args:
        canvas: float32 [B, H, W, C], at least 2 x 2; samples lie inside it.
        image_index: int32 [N, R], the image of each RoI.
        first, step: float32 [N, R, 2], (y, x) of an RoI's first sample and from one
            to the next, in cells of the canvas, whose first has its centre at 0.
        inside: two float32 [N, R, samples down or across], 0 for rows and columns of
            samples that count as zero.
        samples: two ints, averaged down and across in each cell.
    Returns:
        float32 [N, R, cells down, cells across, C]. The gradient reaches the canvas,
        not the RoIs.
    """

    @tf.custom_gradient
    def sampled(canvas):
        def gradient(upstream):
            return _transposed(
                upstream, tf.shape(canvas), image_index, first, step, inside, samples
            )

        pieces = []
        for part in _parts(first.shape[1]):
            roi = [tensor[:, part] for tensor in (image_index, first, step, *inside)]
            # Else all would be sampled before the first is averaged.
            with tf.control_dependencies(pieces[-1:]):
                pieces.append(_sample(canvas, *roi, samples))
        return tf.concat(pieces, axis=1), gradient

    return sampled(canvas)


def _parts(count):
    """Slices of at most `AT_ONCE` RoIs; one of all where `count` is not known."""
    if not count:
        return [slice(None)]
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def _sample(canvas, image_index, first, step, rows, columns, samples):
    """Some of the RoIs of `sample_cells`, [N, R', cells, cells, C]."""
    count = (rows.shape[2], columns.shape[2])
    last = first + step * (tf.constant(count, tf.float32) - 1.0)
    edge = tf.cast(tf.shape(canvas)[1:3] - 1, tf.float32)
    corners = tf.concat([first / edge, last / edge], axis=-1)  # [N, R', 4]
    crops = tf.image.crop_and_resize(
        canvas,
        tf.reshape(corners, [-1, 4]),
        tf.reshape(image_index, [-1]),
        count,
    )  # [N * R', down, across, C]
    inside = rows[..., :, None, None] * columns[..., None, :, None]
    crops *= tf.reshape(inside, [-1, *inside.shape[2:]])
    cells = tf.nn.avg_pool2d(crops, samples, samples, "VALID")
    shape = tf.concat([tf.shape(image_index), tf.shape(cells)[1:]], axis=0)
    return tf.reshape(cells, shape)


def _transposed(upstream, shape, image_index, first, step, inside, samples):
    """The gradient of `sample_cells` for its canvas: each sample's share goes back.

    Args:
        upstream: float32 [N, R, cells, cells, C].
        shape: int32 [4], of the canvas.
    Returns:
        float32 [B, H, W, C].
    """
    rows, row_weights = _taps(first, step, inside, samples, shape, axis=0)
    columns, column_weights = _taps(first, step, inside, samples, shape, axis=1)
    image = image_index[:, :, None, None, None, None]
    # Of each output cell, the map's cells that it was made from: [N, R, S, S, 4, 4].
    place = (image * shape[1] + rows[:, :, :, None, :, None]) * shape[2]
    place += columns[:, :, None, :, None, :]
    weights = row_weights[:, :, :, None, :, None] * column_weights[:, :, None, :, None]
    taps = rows.shape[3] * columns.shape[3]
    cells = tf.size(place) // taps
    output = tf.repeat(tf.range(cells), taps)
    matrix = tf.SparseTensor(
        tf.cast(tf.stack([output, tf.reshape(place, [-1])], axis=1), tf.int64),
        tf.reshape(weights, [-1]),
        tf.cast(tf.stack([cells, shape[0] * shape[1] * shape[2]]), tf.int64),
    )
    # The product runs on one core: a half of the channels each keeps two busy.
    upstream = tf.reshape(upstream, [-1, upstream.shape[4]])
    middle = upstream.shape[1] // 2
    halves = [
        tf.sparse.sparse_dense_matmul(matrix, half, adjoint_a=True)
        for half in (upstream[:, :middle], upstream[:, middle:])
    ]
    return tf.reshape(tf.concat(halves, axis=1), shape)


def _taps(first, step, inside, samples, shape, axis):
    """Rows (axis 0) or columns that the samples of each cell are made from.

    Returns:
        index: int32 [N, R, S, 2 * samples].
        weights: float32, as `index`.
    """
    used = inside[axis]  # [N, R, S * samples]
    ticks = tf.range(used.shape[2], dtype=tf.float32)
    position = first[..., axis, None] + ticks * step[..., axis, None]
    low = tf.floor(position)
    share = position - low  # of the next row
    index = tf.stack([low, low + 1.0], axis=-1)
    weights = tf.stack([1.0 - share, share], axis=-1) * used[..., None] / samples[axis]
    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, shape[1 + axis] - 1)
    cells = used.shape[2] // samples[axis]
    grouped = tf.concat([tf.shape(used)[:2], [cells, 2 * samples[axis]]], axis=0)
    return tf.reshape(index, grouped), tf.reshape(weights, grouped)
