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
from mrcnn_tf.masks import WINDOW, cut_window

_logger = logging.getLogger(__name__)


def batches(
    dataset, config, training, seed=0, augment=None, first_step=0, context=None
):
    """Makes the batches that training and validation take.

    Args:
        dataset: `len`, `[i]` giving a Sample, and `classes`; with masks, unless the
            config's network has none.
        config: a Config; G is `train.max_objects`, B is `train.batch_size`.
        training: True shuffles anew each epoch, repeats without end and applies
            `augment`; False goes through once in order, and the last batch may be
            smaller.
        seed: int; the same seed gives the same batches.
        augment: callable (Sample, NumPy Generator, dataset) -> Sample, or None for
            none; see `augment.Augment`.
        first_step: training begins with the batch of this step, from 0, as if those
            before it had been taken.
        context: tf.distribute.InputContext of one of several workers, or None: it
            gets its own part of each batch alone, in a batch for each of its
            replicas, B smaller by their number over all workers.
    Returns:
        tf.data.Dataset of dicts. H and W are `image.long_side` when the resize is
        square, else the largest of the batch:
            images: float32 [B, H, W, 3], 0 to 255, zeros right and below.
            sizes: int32 [B, 2], height and width of the content.
            boxes: float32 [B, G, 4], pixels of `images`.
            classes: int32 [B, G], 0 in an empty slot.
            crowd: bool [B, G].
            masks: uint8 [B, G, S, S], 0 or 1, in windows of `masks.cut_window`.
            windows: float32 [B, G, 4], the box that each fills, pixels of `images`.
            draw: int32 [B, 2], the seed of what the network draws at random.
            image_index: int32 [B], i of `dataset[i]`.
        A network without a mask branch gets no masks and no windows.
    Raises:
        ValueError: for an empty dataset, or classes other than the config's. A
            fault of one sample is raised by TensorFlow as the dataset is read, and
            names the image.
    """
    _check_classes(dataset, config)
    slots = config.train.max_objects
    side = config.image.long_side if config.image.resize == "square" else None
    overfull = set()  # images whose surplus of objects has been reported
    # Type and shape of each array, as numpy_function forgets shapes.
    spec = {
        "images": (tf.uint8, [None, None, 3]),
        "sizes": (tf.int32, [2]),
        "boxes": (tf.float32, [slots, 4]),
        "classes": (tf.int32, [slots]),
        "crowd": (tf.bool, [slots]),
    }
    if config.has_masks:
        spec["masks"] = (tf.uint8, [slots, WINDOW, WINDOW])
        spec["windows"] = (tf.float32, [slots, 4])

    def arrays(sample):
        found = _network_arrays(sample, config, overfull)
        return tuple(found[name] for name in spec)

    def batch_element(*values):
        element = dict(zip([*spec, "image_index", "draw"], values, strict=True))
        for name, (_, shape) in spec.items():
            element[name].set_shape(shape)
        element["image_index"].set_shape([])
        element["draw"].set_shape([2])
        height, width = element["sizes"][0], element["sizes"][1]
        image = resize_image(element["images"], height, width)
        below, right = padded_size(height, width, config.image)
        image = tf.pad(image, [[0, below - height], [0, right - width], [0, 0]])
        image.set_shape([side, side, 3])
        return {**element, "images": image}

    size, share = config.train.batch_size, (0, 1, 1)
    first = first_step * size
    if context is not None:
        workers = context.num_input_pipelines
        share = (context.input_pipeline_id, workers, size // workers)
        size = context.get_per_replica_batch_size(size)
    types = tuple(kind for kind, _ in spec.values())
    elements = stream(
        dataset,
        arrays,
        types,
        training,
        seed,
        augment,
        first,
        share,
    ).map(batch_element, num_parallel_calls=tf.data.AUTOTUNE)
    batch = elements.batch if config.image.resize == "square" else elements.padded_batch
    return batch(size, drop_remainder=training).prefetch(tf.data.AUTOTUNE)


def _check_classes(dataset, config):
    if tuple(dataset.classes) != config.classes:
        raise ValueError(
            f"the dataset's classes are {tuple(dataset.classes)}, the config's "
            f"{config.classes}; make it with classes=dataset.classes"
        )


def _network_arrays(sample, config, overfull):
    """Returns a dict of the arrays of one sample, named as in `batches`.

    The image alone is still to be resized; everything else is in network pixels.
    """
    slots = config.train.max_objects
    _check_sample(sample, config)
    kept = np.arange(len(sample.boxes))
    if len(kept) > slots:
        # The largest, in their own order.
        kept = np.sort(np.argsort(-_areas(sample), kind="stable")[:slots])
        if sample.image_id not in overfull:
            overfull.add(sample.image_id)
            _logger.warning(
                "image %r: %d objects, the %d largest are used and %d left out; "
                "raise train.max_objects to use all",
                sample.image_id,
                len(sample.boxes),
                slots,
                len(sample.boxes) - slots,
            )
    new_height, new_width = network_size(sample.height, sample.width, config.image)
    scale = np.array([new_height / sample.height, new_width / sample.width])

    def in_slots(values, shape, dtype):
        filled = np.zeros((slots, *shape), dtype)
        filled[: len(kept)] = values
        return filled

    found = {
        "images": sample.image,
        "sizes": np.array([new_height, new_width], np.int32),
        "boxes": in_slots(sample.boxes[kept] * np.tile(scale, 2), [4], np.float32),
        "classes": in_slots(sample.classes[kept], [], np.int32),
        "crowd": in_slots(sample.crowd[kept], [], bool),
    }
    if config.has_masks:
        windows = in_slots(0, [4], np.float32)
        cells = in_slots(0, [WINDOW, WINDOW], np.uint8)  # [G, S, S]
        for slot, index in enumerate(kept):
            cells[slot], windows[slot] = cut_window(sample.masks[index], scale)
        found |= {"masks": cells, "windows": windows}
    return found


def _areas(sample):
    """Pixels of each object [N], or of its box where there is no mask."""
    if sample.masks is None:
        return np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2], axis=1)
    return np.array([rle.area(mask) for mask in sample.masks])


def _check_sample(sample, config):
    if sample.masks is None and config.has_masks:
        raise ValueError(
            f"image {sample.image_id!r} has boxes only, and the network has a mask "
            'branch; set roi.mask_kind to "none" for a network of boxes'
        )
    if len(sample.classes) and sample.classes.max() > len(config.classes):
        raise ValueError(
            f"image {sample.image_id!r}: class {sample.classes.max()}, but the config "
            f"has {len(config.classes)} classes {config.classes}, numbered from 1"
        )
