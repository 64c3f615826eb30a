"""Boxes as cells of a grid hold them: what YOLO learns, and what it says.

The image is divided into S x S cells. The cell in which an object's centre falls
answers for it, with 5B + C numbers: for each of its B boxes (x, y, root w, root h,
confidence), then the probabilities of C classes. x and y are the centre, from 0 at the
left and the top of the cell to 1; w and h are shares of the image.

The grid holds the square roots of w and h, as the authors' own program does: the
paper's loss compares roots, and a network that says a width outright may say a negative
one, which has none. So a target is what a perfect network would say.
"""

import tensorflow as tf

# The confidence a target asks for where it is not known whether there is an object.
IGNORED = -1.0


def center_form(boxes, size):
    """Says boxes by their centre, width and height, in shares of the image.

    Args:
        boxes: float [..., 4], (y1, x1, y2, x2) in pixels.
        size: (height, width) of the image in pixels.
    Returns:
        float [..., 4], (centre x, centre y, width, height), 0 to 1.
    """
    y1, x1, y2, x2 = tf.unstack(boxes, axis=-1)
    height, width = (tf.cast(side, boxes.dtype) for side in size)
    return tf.stack(
        [
            (x1 + x2) / 2 / width,
            (y1 + y2) / 2 / height,
            (x2 - x1) / width,
            (y2 - y1) / height,
        ],
        axis=-1,
    )


def corner_form(boxes, size):
    """Says boxes by their corners, in pixels; the reverse of `center_form`.

    Args:
        boxes: float [..., 4], (centre x, centre y, width, height), 0 to 1.
        size: (height, width) of the image in pixels.
    Returns:
        float [..., 4], (y1, x1, y2, x2) in pixels, not clipped to the image.
    """
    x, y, w, h = tf.unstack(boxes, axis=-1)
    height, width = (tf.cast(side, boxes.dtype) for side in size)
    return tf.stack(
        [
            (y - h / 2) * height,
            (x - w / 2) * width,
            (y + h / 2) * height,
            (x + w / 2) * width,
        ],
        axis=-1,
    )


def encode(boxes, labels, size, grid, boxes_per_cell, num_classes, crowd=None):
    """Writes the objects of images into the grid.

    A cell has one object. Where the centres of several fall into it, the largest is
    kept, of equals the first, and the others are lost to the network. The paper does
    not say which; the largest does not depend on the order of the annotations.

    Args:
        boxes: float [..., M, 4], (y1, x1, y2, x2) in pixels; M may be 0.
        labels: int [..., M], classes from 1; 0 marks an empty slot.
        size: (height, width) of the image in pixels.
        grid: S, cells a side.
        boxes_per_cell: B; all B of an object's cell hold the same, as which of them is
            to answer depends on what the network says (`losses.responsible`).
        num_classes: C.
        crowd: bool [..., M], regions that are neither objects nor background, or None.
            Cells without an object whose centre lies in one ask for `IGNORED`.
    Returns:
        target: float [..., S, S, 5B + C]; zeros where there is no object.
        lost: int32 [...], objects that share their cell with a larger one.
    Source: Redmon et al. 2016, section 2.
    """
    dtype = boxes.dtype
    crowd = tf.zeros_like(labels, tf.bool) if crowd is None else crowd
    is_object = (labels > 0) & ~crowd  # [..., M]
    x, y, w, h = tf.unstack(center_form(boxes, size), axis=-1)
    x, y = x * grid, y * grid  # in cells
    column, row = (tf.clip_by_value(tf.floor(v), 0, grid - 1) for v in (x, y))
    cell = tf.cast(row * grid + column, tf.int32)  # [..., M]

    box = [x - column, y - row, tf.sqrt(w), tf.sqrt(h), tf.ones_like(x)]
    classes = tf.one_hot(labels - 1, num_classes, dtype=dtype)  # [..., M, C]
    numbers = tf.concat([tf.stack(box * boxes_per_cell, axis=-1), classes], axis=-1)

    # [..., M, S * S]: an object's area in its own cell, and zero in the others.
    areas = tf.where(is_object, w * h, 0)[..., None] * tf.one_hot(
        cell, grid**2, dtype=dtype
    )
    # An object of zeros more, so that there is a largest of none.
    areas, numbers = (_with_empty(values) for values in (areas, numbers))
    largest = tf.argmax(areas, axis=-2, output_type=tf.int32)  # [..., S * S]
    has_object = tf.reduce_max(areas, axis=-2) > 0
    target = tf.gather(numbers, largest, batch_dims=largest.shape.rank - 1)
    target = tf.where(has_object[..., None], target, 0)  # [..., S * S, 5B + C]

    unknown = _in_crowd(boxes, crowd, size, grid) & ~has_object  # [..., S * S]
    is_confidence = tf.constant(
        ([False] * 4 + [True]) * boxes_per_cell + [False] * num_classes
    )  # [5B + C]
    target = tf.where(
        unknown[..., None] & is_confidence, tf.cast(IGNORED, dtype), target
    )
    lost = _count(is_object) - _count(has_object)
    shape = tf.concat([tf.shape(boxes)[:-2], [grid, grid, numbers.shape[-1]]], axis=0)
    return tf.reshape(target, shape), lost


def split(cells, boxes_per_cell):
    """Takes the numbers of each cell apart.

    Args:
        cells: float [..., S, S, 5B + C], of `encode` or of a network.
        boxes_per_cell: B.
    Returns:
        boxes: float [..., S, S, B, 4], (x, y, root w, root h).
        confidence: float [..., S, S, B].
        classes: float [..., S, S, C].
    """
    numbers, classes = (
        cells[..., : 5 * boxes_per_cell],
        cells[..., 5 * boxes_per_cell :],
    )
    shape = tf.concat([tf.shape(cells)[:-1], [boxes_per_cell, 5]], axis=0)
    numbers = tf.reshape(numbers, shape)  # [..., S, S, B, 5]
    return numbers[..., :4], numbers[..., 4], classes


def image_form(boxes):
    """Takes boxes from their cells to the image.

    Args:
        boxes: float [..., S, S, B, 4], (x, y, root w, root h) of each cell.
    Returns:
        float [..., S, S, B, 4], (centre x, centre y, width, height), shares of the
        image. Width and height are squares of what is said, and never negative.
    """
    grid = boxes.shape[-3]
    cell = tf.range(grid, dtype=boxes.dtype)
    column, row = cell[None, :, None], cell[:, None, None]
    x, y, root_w, root_h = tf.unstack(boxes, axis=-1)  # each [..., S, S, B]
    return tf.stack(
        [(x + column) / grid, (y + row) / grid, root_w**2, root_h**2], axis=-1
    )


def decode(cells, boxes_per_cell, size):
    """Reads the boxes of the grid and what each is thought to be.

    Args:
        cells: float [..., S, S, 5B + C], of `encode` or of a network.
        boxes_per_cell: B.
        size: (height, width) of the image in pixels.
    Returns:
        boxes: float [..., S * S * B, 4], (y1, x1, y2, x2) in pixels, not clipped; row
            by row of cells, the B boxes of a cell side by side.
        scores: float [..., S * S * B, C], for each class Pr(class | object) times the
            confidence: the paper's class-specific confidence.
    Source: Redmon et al. 2016, equation 1.
    """
    boxes, confidence, classes = split(cells, boxes_per_cell)
    boxes = corner_form(image_form(boxes), size)  # [..., S, S, B, 4]
    scores = confidence[..., None] * classes[..., None, :]  # [..., S, S, B, C]
    grid, outer = cells.shape[-2], tf.shape(cells)[:-3]
    count = grid * grid * boxes_per_cell
    return (
        tf.reshape(boxes, tf.concat([outer, [count, 4]], axis=0)),
        tf.reshape(scores, tf.concat([outer, [count, classes.shape[-1]]], axis=0)),
    )


def _with_empty(values):
    """Appends zeros to the last dimension but one."""
    shape = tf.concat([tf.shape(values)[:-2], [1, values.shape[-1]]], axis=0)
    return tf.concat([values, tf.zeros(shape, values.dtype)], axis=-2)


def _in_crowd(boxes, crowd, size, grid):
    """Says of each cell whether its centre lies in a crowd region; [..., S * S]."""
    middle = (tf.range(grid, dtype=boxes.dtype) + 0.5) / grid
    y, x = (
        tf.reshape(v * tf.cast(side, boxes.dtype), [-1])  # [S * S], pixels
        for v, side in zip(
            tf.meshgrid(middle, middle, indexing="ij"), size, strict=True
        )
    )
    y1, x1, y2, x2 = (v[..., None] for v in tf.unstack(boxes, axis=-1))  # [..., M, 1]
    inside = (y1 <= y) & (y < y2) & (x1 <= x) & (x < x2)  # [..., M, S * S]
    return tf.reduce_any(inside & crowd[..., None], axis=-2)


def _count(flags):
    return tf.reduce_sum(tf.cast(flags, tf.int32), axis=-1)
