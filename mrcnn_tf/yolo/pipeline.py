"""Batches of images and their grids."""

import tensorflow as tf

from mrcnn_tf.datasets.stream import stream
from mrcnn_tf.inputs import resize_image
from mrcnn_tf.yolo.cells import encode


def batches(
    dataset,
    size,
    grid,
    boxes_per_cell,
    batch_size,
    training,
    seed=0,
    augment=None,
    first=0,
):
    """Makes the batches that training and validation of a YOLO take.

    An image is scaled to the square, its aspect is not kept, and so are its boxes.
    Crowd regions are no objects, and cells in them no background; see `cells.encode`.

    Args:
        dataset: `len`, `[i]` giving a Sample, and `classes`.
        size: pixels a side.
        grid: S, cells a side.
        boxes_per_cell: B.
        batch_size: N.
        training: True shuffles anew each epoch, repeats without end and applies
            `augment`; False goes through once in order, and the last batch may be
            smaller.
        seed: int; the same seed gives the same batches.
        augment: callable (Sample, NumPy Generator, dataset) -> Sample, or None for
            none; see `augment.Augment`.
        first: images to pass over, for a training that goes on.
    Returns:
        tf.data.Dataset of pairs: images float32 [N, size, size, 3], 0 to 255, and
        targets float32 [N, S, S, 5B + C].
    Raises:
        ValueError: for an empty dataset. A fault of one sample is raised by
            TensorFlow as the dataset is read, and names the image.
    """
    num_classes = len(dataset.classes)

    def arrays(sample):
        return sample.image, sample.boxes, sample.classes, sample.crowd

    def element(image, boxes, labels, crowd, *_):
        image.set_shape([None, None, 3])  # numpy_function forgets shapes
        boxes.set_shape([None, 4])
        labels.set_shape([None])
        crowd.set_shape([None])
        shape = tf.unstack(tf.shape(image)[:2])
        target, _ = encode(
            boxes, labels, shape, grid, boxes_per_cell, num_classes, crowd
        )
        target.set_shape([grid, grid, 5 * boxes_per_cell + num_classes])
        return resize_image(image, size, size), target

    types = (tf.uint8, tf.float32, tf.int32, tf.bool)
    elements = stream(dataset, arrays, types, training, seed, augment, first)
    return (
        elements.map(element, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=training)
        .prefetch(tf.data.AUTOTUNE)
    )


def lost_objects(samples, grid):
    """Counts what no network can find through the grid: one cell, one object.

    Args:
        samples: a dataset, or a list of Samples.
        grid: S, cells a side.
    Returns:
        (lost, objects): of all objects that are no crowds, those that share their cell
        with a larger one; two ints.
    """
    lost = objects = 0
    for index in range(len(samples)):
        sample = samples[index]
        _, less = encode(
            tf.constant(sample.boxes),
            tf.constant(sample.classes),
            (sample.height, sample.width),
            grid,
            boxes_per_cell=1,
            num_classes=1,
            crowd=tf.constant(sample.crowd),
        )
        lost += int(less)
        objects += int((~sample.crowd).sum())
    return lost, objects
