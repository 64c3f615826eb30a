"""Each pixel's class, and batches of them: what a semantic network learns from.

Two questions can be asked of the same samples: "trimap", which pixels are object,
background or the border between them, and "class", what stands at each pixel.
"""

import numpy as np
import tensorflow as tf

from mrcnn_tf import rle
from mrcnn_tf.datasets.stream import stream
from mrcnn_tf.inputs import resize_image

IGNORED = 255  # the label of a pixel whose class is not known; no loss, no count
TRIMAP_NAMES = ("object", "background", "border")
_BORDER = 3  # of a trimap


def label_names(labels, classes):
    """Returns the names of the labels, in the order of a network's outputs.

    Args:
        labels: "trimap" or "class".
        classes: class names without background.
    Raises:
        ValueError: for another question.
    """
    if labels not in ("trimap", "class"):
        raise ValueError(f"labels must be 'trimap' or 'class', found {labels!r}")
    return TRIMAP_NAMES if labels == "trimap" else ("background", *classes)


def label_map(sample, labels):
    """Makes the label of each pixel.

    Args:
        sample: a Sample, with a trimap for "trimap", with masks for "class".
        labels: "trimap": the trimap minus one: 0 object, 1 background, 2 border.
            "class": 0 background, else the class of the object there; of several,
            that of the smallest mask, as what is smaller usually lies in front, and
            of a crowd last. The trimap's border, if there is one, is `IGNORED`.
    Returns:
        uint8 [H, W].
    Raises:
        ValueError: if the sample does not have what the question needs, for a class
            above 254, or another question. Names the image.
    """
    name = f"image {sample.image_id!r}"
    label_names(labels, ())
    if labels == "trimap":
        if sample.trimap is None:
            raise ValueError(f"{name} has no trimap; ask for labels='class'")
        return np.asarray(sample.trimap) - np.uint8(1)
    if sample.masks is None and len(sample.boxes):
        raise ValueError(f"{name} has boxes only; labels of pixels are made of masks")
    if len(sample.classes) and sample.classes.max() >= IGNORED:
        raise ValueError(f"{name}: class {sample.classes.max()}; at most 254 fit")
    painted = np.zeros((sample.height, sample.width), np.uint8)
    masks = sample.masks or ()
    areas = [rle.area(mask) for mask in masks]
    for index in np.lexsort((areas, sample.crowd))[::-1]:  # crowds first, small last
        painted[rle.decode(masks[index])] = sample.classes[index]
    if sample.trimap is not None:
        painted[np.asarray(sample.trimap) == _BORDER] = IGNORED
    return painted


def semantic_batches(dataset, labels, size, batch_size, training, seed=0, augment=None):
    """Makes the batches that training and validation of a semantic network take.

    An image is scaled to the square, its aspect is not kept; the labels take the
    nearest pixel's.

    Args:
        dataset: `len`, `[i]` giving a Sample, and `classes`.
        labels: "trimap" or "class", as of `label_map`.
        size: S, pixels a side.
        batch_size: B.
        training: True shuffles anew each epoch, repeats without end and applies
            `augment`; False goes through once in order, and the last batch may be
            smaller.
        seed: int; the same seed gives the same batches.
        augment: callable (Sample, NumPy Generator, dataset) -> Sample, or None for
            none; see `augment.Augment`.
    Returns:
        tf.data.Dataset of pairs: images float32 [B, S, S, 3], 0 to 255, and labels
        uint8 [B, S, S].
    Raises:
        ValueError: for an empty dataset or another question. A fault of one sample
            is raised by TensorFlow as the dataset is read, and names the image.
    """
    label_names(labels, dataset.classes)

    def arrays(sample):
        values = label_map(sample, labels)
        # Nearest pixel, about pixel centres as the image is.
        rows, columns = (
            ((np.arange(size) + 0.5) * side / size).astype(int) for side in values.shape
        )
        return sample.image, values[rows[:, None], columns]

    def element(image, values, *_):
        image.set_shape([None, None, 3])  # numpy_function forgets shapes
        values.set_shape([size, size])
        return resize_image(image, size, size), values

    elements = stream(dataset, arrays, (tf.uint8, tf.uint8), training, seed, augment)
    return (
        elements.map(element, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=training)
        .prefetch(tf.data.AUTOTUNE)
    )
