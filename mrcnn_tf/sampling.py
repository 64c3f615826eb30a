"""Bilinear samples of feature maps on regular grids, averaged cell by cell.

`tf.image.crop_and_resize` takes the samples, of all maps in one call: the maps lie side
by side on one canvas, and each grid is moved to where its map is. The gradient is ours:
TensorFlow's own, on a processor with more than one core, adds from several threads to
the same cell of the map, so that now and then a share is lost. Here the samples are a
matrix with few entries, which the gradient transposes.
"""

import tensorflow as tf

# RoIs of an image sampled at once. All samples of 1000 RoIs would be 200 MB.
AT_ONCE = 256


def sample_cells(features, level, image_index, first, step, inside, samples):
    """Averages bilinear samples over the cells of each RoI.

    Args:
        features: list of float32 [B, H_l, W_l, C], fine to coarse, each no taller than
            the one before. Up to a cell outside, a map has the values of its edge.
        level: int32 [N, R], the map of each RoI, from 0.
        image_index: int32 [N, R], the image of each RoI.
        first, step: float32 [N, R, 2], (y, x) of an RoI's first sample and from one
            to the next, in cells of its map, whose first has its centre at 0.
        inside: two float32 [N, R, samples down or across], 0 for rows and columns of
            samples that count as zero, as those must that lie further out.
        samples: two ints, averaged down and across in each cell.
    Returns:
        float32 [N, R, cells down, cells across, C]. The gradient reaches the maps,
        not the RoIs.
    """

    @tf.custom_gradient
    def sampled(*features):
        shapes = [tf.shape(feature) for feature in features]

        def gradient(upstream):
            return _transposed(
                upstream, shapes, level, image_index, first, step, inside, samples
            )

        canvas, origins = _side_by_side(features)
        start = tf.gather(origins, level) + first
        pieces = []
        for part in _parts(first.shape[1]):
            roi = [tensor[:, part] for tensor in (image_index, start, step, *inside)]
            # Else all would be sampled before the first is averaged.
            with tf.control_dependencies(pieces[-1:]):
                pieces.append(_sample(canvas, *roi, samples))
        return tf.concat(pieces, axis=1), gradient

    return sampled(*features)


def _parts(count):
    """Slices of at most `AT_ONCE` RoIs; one of all where `count` is not known."""
    if not count:
        return [slice(None)]
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def _side_by_side(features):
    """Feature maps on one canvas: the finest on top, the others in a row below.

    Each map has a rim of one cell that repeats its edge, for the samples that fall
    up to a cell outside. Around all are zeros, one cell wide: crop_and_resize gives
    nothing beyond the canvas, and a rounding would put a sample that lies just on
    the rim there.

    Returns:
        canvas: float32 [B, H, W, C].
        origins: float32 [L, 2], where cell (0, 0) of each map lies.
    """
    rim = [[0, 0], [1, 1], [1, 1], [0, 0]]
    top, *below = [tf.pad(feature, rim, "SYMMETRIC") for feature in features]
    origins = [tf.constant([2, 2])]
    if not below:
        return _pad(top, (1, 1), (1, 1)), tf.cast(origins, tf.float32)
    height = tf.shape(below[0])[1]  # the first of the row is the tallest
    width = 0
    for each in below:
        origins.append(tf.stack([2 + tf.shape(top)[1], 2 + width]))
        width += tf.shape(each)[2]
    row = tf.concat(
        [_pad(each, (0, height - tf.shape(each)[1]), (0, 0)) for each in below], axis=2
    )
    whole = tf.maximum(tf.shape(top)[2], width)
    top = _pad(top, (1, 0), (1, 1 + whole - tf.shape(top)[2]))
    row = _pad(row, (0, 1), (1, 1 + whole - width))
    return tf.concat([top, row], axis=1), tf.cast(tf.stack(origins), tf.float32)


def _pad(maps, rows, columns):
    """Pads [B, H, W, C] with zeros, (before, after) its rows and its columns."""
    return tf.pad(maps, [[0, 0], rows, columns, [0, 0]])


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
    inside = tf.reshape(inside, [-1, *inside.shape[2:]])
    # RoIs that were clipped to the image have no sample outside: a pass of all samples
    # through memory less.
    crops = tf.cond(tf.reduce_all(inside > 0), lambda: crops, lambda: crops * inside)
    cells = tf.nn.avg_pool2d(crops, samples, samples, "VALID")
    shape = tf.concat([tf.shape(image_index), tf.shape(cells)[1:]], axis=0)
    return tf.reshape(cells, shape)


def _transposed(upstream, shapes, level, image_index, first, step, inside, samples):
    """The gradient of `sample_cells` for its maps: each sample's share goes back.

    Args:
        upstream: float32 [N, R, cells, cells, C].
        shapes: list of int32 [4], of the maps.
    Returns:
        list of float32 [B, H_l, W_l, C].
    """
    # The cells of all maps stand in one list, those of one map after the other's.
    counts = tf.stack([tf.reduce_prod(shape[:3]) for shape in shapes])  # [L]
    before = tf.gather(tf.cumsum(counts, exclusive=True), level)  # [N, R]
    size = tf.gather(tf.stack([shape[1:3] for shape in shapes]), level)  # [N, R, 2]
    rows, row_weights = _taps(first, step, inside, samples, size, axis=0)
    columns, column_weights = _taps(first, step, inside, samples, size, axis=1)
    # Rows before the image's first, then those before each tap's: [N, R, S, 4].
    rows += (image_index * size[..., 0])[..., None, None]
    rows = rows * size[..., 1, None, None] + before[..., None, None]
    # Of each output cell, the maps' cells that it was made from: [N, R, S, S, 4, 4].
    place = rows[:, :, :, None, :, None] + columns[:, :, None, :, None, :]
    weights = row_weights[:, :, :, None, :, None] * column_weights[:, :, None, :, None]
    taps = rows.shape[3] * columns.shape[3]
    cells = tf.size(place) // taps
    output = tf.repeat(tf.range(cells), taps)
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.cast(tf.stack([output, tf.reshape(place, [-1])], axis=1), tf.int64),
        values=tf.reshape(weights, [-1]),
        dense_shape=tf.cast(tf.stack([cells, tf.reduce_sum(counts)]), tf.int64),
    )
    # Transposed first: then each core has rows of the result to itself, and the sums
    # have one order. `transpose_a` of the product would give it none.
    matrix = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
    upstream = tf.reshape(upstream, [-1, upstream.shape[4]])
    gradient = tf.raw_ops.SparseMatrixMatMul(a=matrix, b=upstream)
    maps = tf.split(gradient, counts, num=len(shapes))
    return [tf.reshape(each, shape) for each, shape in zip(maps, shapes, strict=True)]


def _taps(first, step, inside, samples, size, axis):
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
    index = tf.stack([low, low + 1.0], axis=-1)  # [N, R, S * samples, 2]
    weights = tf.stack([1.0 - share, share], axis=-1) * used[..., None] / samples[axis]
    # What lies outside is the edge once more.
    limit = size[..., axis, None, None] - 1  # [N, R, 1, 1]
    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, limit)
    cells = used.shape[2] // samples[axis]
    grouped = tf.concat([tf.shape(used)[:2], [cells, 2 * samples[axis]]], axis=0)
    return tf.reshape(index, grouped), tf.reshape(weights, grouped)
