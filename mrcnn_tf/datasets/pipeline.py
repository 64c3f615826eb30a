"""From samples to the network's batches: resize, pad, fill the slots, shuffle.

Python loads a sample and fills its ground-truth slots with NumPy; TensorFlow
resizes the image and batches, in parallel with training.
"""

import logging

import numpy as np
import tensorflow as tf

from mrcnn_tf import rle
from mrcnn_tf.datasets.stream import stream
from mrcnn_tf.inputs import network_size, padded_size, resize_image

_logger = logging.getLogger(__name__)


def batches(dataset, config, training, seed=0, augment=None):
    """Makes the batches that training and validation take.

    Args:
        dataset: `len`, `[i]` giving a Sample with masks, and `classes`.
        config: a Config; G is `train.max_objects`, B is `train.batch_size`.
        training: True shuffles anew each epoch, repeats without end and applies
            `augment`; False goes through once in order, and the last batch may be
            smaller.
        seed: int; the same seed gives the same batches.
        augment: callable (Sample, NumPy Generator) -> Sample, or None for none;
            see `augment.Augment`.
    Returns:
        tf.data.Dataset of dicts. H and W are `image.long_side` when the resize is
        square, else the largest of the batch:
            images: float32 [B, H, W, 3], 0 to 255, zeros right and below.
            sizes: int32 [B, 2], height and width of the content.
            boxes: float32 [B, G, 4], pixels of `images`.
            classes: int32 [B, G], 0 in an empty slot.
            crowd: bool [B, G].
            masks: uint8 [B, G, H, W], 0 or 1.
            image_index: int32 [B], i of `dataset[i]`.
    Raises:
        ValueError: for an empty dataset, or classes other than the config's. A
            fault of one sample is raised by TensorFlow as the dataset is read, and
            names the image.
    """
    _check_classes(dataset, config)
    slots = config.train.max_objects
    overfull = set()  # images whose surplus of objects has been reported

    def arrays(sample):
        return _network_arrays(sample, config, overfull)

    def batch_element(image, size, boxes, classes, crowd, masks, index):
        # numpy_function forgets shapes.
        side = config.image.long_side if config.image.resize == "square" else None
        image.set_shape([None, None, 3])
        size.set_shape([2])
        boxes.set_shape([slots, 4])
        classes.set_shape([slots])
        crowd.set_shape([slots])
        masks.set_shape([slots, side, side])
        index.set_shape([])
        image = resize_image(image, size[0], size[1])
        below_right = tf.shape(masks)[1:] - size
        image = tf.pad(image, [[0, below_right[0]], [0, below_right[1]], [0, 0]])
        image.set_shape([side, side, 3])
        return {
            "images": image,
            "sizes": size,
            "boxes": boxes,
            "classes": classes,
            "crowd": crowd,
            "masks": masks,
            "image_index": index,
        }

    types = (tf.uint8, tf.int32, tf.float32, tf.int32, tf.bool, tf.uint8)
    elements = stream(dataset, arrays, types, training, seed, augment).map(
        batch_element, num_parallel_calls=tf.data.AUTOTUNE
    )
    batch = elements.batch if config.image.resize == "square" else elements.padded_batch
    return batch(config.train.batch_size, drop_remainder=training).prefetch(
        tf.data.AUTOTUNE
    )


def _check_classes(dataset, config):
    if tuple(dataset.classes) != config.classes:
        raise ValueError(
            f"the dataset's classes are {tuple(dataset.classes)}, the config's "
            f"{config.classes}; make it with classes=dataset.classes"
        )


def _network_arrays(sample, config, overfull):
    """Returns image, size, boxes, classes, crowd and masks, as in `batches`.

    The image alone is still to be resized; everything else is in network pixels.
    """
    slots = config.train.max_objects
    _check_sample(sample, config)
    kept = np.arange(len(sample.boxes))
    if len(kept) > slots:
        # The largest, in their own order.
        areas = np.array([rle.area(mask) for mask in sample.masks])
        kept = np.sort(np.argsort(-areas, kind="stable")[:slots])
        if sample.image_id not in overfull:
            overfull.add(sample.image_id)
            _logger.warning(
                "image %r: %d objects, the %d largest are used and %d left out; "
                "raise train.max_objects to use all",
                sample.image_id,
                len(areas),
                slots,
                len(areas) - slots,
            )
    count = len(kept)
    height, width = sample.height, sample.width
    new_height, new_width = network_size(height, width, config.image)
    boxes = np.zeros((slots, 4), np.float32)
    scale = np.array([new_height / height, new_width / width] * 2, np.float32)
    boxes[:count] = sample.boxes[kept] * scale
    classes = np.zeros(slots, np.int32)
    classes[:count] = sample.classes[kept]
    crowd = np.zeros(slots, bool)
    crowd[:count] = sample.crowd[kept]
    masks = np.zeros(
        (slots, *padded_size(new_height, new_width, config.image)), np.uint8
    )  # [G, H, W]
    # Nearest pixel, about pixel centres as the image and the boxes are.
    rows = ((np.arange(new_height) + 0.5) * height / new_height).astype(int)
    columns = ((np.arange(new_width) + 0.5) * width / new_width).astype(int)
    for slot, index in enumerate(kept):
        mask = rle.decode(sample.masks[index])  # [height, width]
        masks[slot, :new_height, :new_width] = mask[rows[:, None], columns]
    size = np.array([new_height, new_width], np.int32)
    return sample.image, size, boxes, classes, crowd, masks


def _check_sample(sample, config):
    if sample.masks is None:
        raise ValueError(
            f"image {sample.image_id!r} has boxes only; training without masks is "
            "not supported yet"
        )
    if len(sample.classes) and sample.classes.max() > len(config.classes):
        raise ValueError(
            f"image {sample.image_id!r}: class {sample.classes.max()}, but the config "
            f"has {len(config.classes)} classes {config.classes}, numbered from 1"
        )
