"""What surrounds the network in `MaskRCNN.detect`, as TensorFlow operations.

Before it, an image of any size becomes the network's input; after it, boxes go back to
the image's own pixels and masks are pasted. In this form both go into a file.
"""

import keras
import numpy as np
import tensorflow as tf

from mrcnn_tf import graphs
from mrcnn_tf.exporting.gather_align import GatherRoIAlign
from mrcnn_tf.inputs import padded_size, resize_image
from mrcnn_tf.roi import RoIAlign
from mrcnn_tf.slots import SlotsInUse


def serving_module(model, graph):
    """Makes a module that takes an image and gives its detections.

    Args:
        model: a `MaskRCNN`.
        graph: its inference graph, or the `portable_graph` of it.
    Returns:
        tf.Module whose function `detect` takes `image`, uint8 [H, W, 3] RGB of any
        size, and gives a dict of "boxes" float32 [N, 4], (y1, x1, y2, x2) in pixels of
        the image, "classes" int32 [N], from 1, "scores" float32 [N] by falling score
        and, of a network with a mask branch, "masks" uint8 [N, H, W], 0 or 1. One
        image at a time: N differs from image to image.
    """
    config = model.config

    def detect(image):
        images, sizes = network_inputs(image, config.image)
        outputs = graph({"images": images, "sizes": sizes})
        boxes, classes, scores = (outputs[name][0] for name in graphs.BOX_NAMES)
        # Empty slots stand last.
        count = tf.reduce_sum(tf.cast(classes > 0, tf.int32))
        shape = tf.shape(image)[:2]
        scale = tf.cast(shape, tf.float64) / tf.cast(sizes[0], tf.float64)
        boxes = boxes[:count] * tf.cast(tf.tile(scale, [2]), tf.float32)
        found = {"boxes": boxes, "classes": classes[:count], "scores": scores[:count]}
        if config.has_masks:
            probabilities = outputs[graphs.MASK_NAME][0][:count]
            if config.detection.whole_pixel_boxes:
                boxes = whole_pixel_boxes(boxes, probabilities.shape[-1])
            found["masks"] = paste(
                probabilities, boxes, shape, config.detection.mask_threshold
            )
        return found

    signature = [tf.TensorSpec([None, None, 3], tf.uint8, name="image")]
    return _module(detect, signature, graph)


def network_module(model, graph):
    """Makes a module of the network alone, all of whose shapes are fixed.

    Args:
        model: a `MaskRCNN` whose `config.image.resize` is "square".
        graph: its `portable_graph`.
    Returns:
        tf.Module whose function `detect` takes `image`, float32 [S, S, 3], 0 to 255,
        resized and padded as `inputs.py` does, and `size`, int32 [2], height and width
        of its content; it gives a dict of "boxes" float32 [D, 4] in pixels of that
        input, "classes" int32 [D], 0 in empty slots, "scores" float32 [D] and, of a
        network with a mask branch, "mask_probabilities" float32 [D, m, m].
    """
    names = dict(
        zip((*graphs.BOX_NAMES, graphs.MASK_NAME), _NETWORK_NAMES, strict=True)
    )

    def detect(image, size):
        outputs = graph({"images": image[None], "sizes": size[None]})
        return {names[name]: value[0] for name, value in outputs.items()}

    side = model.config.image.long_side
    signature = [
        tf.TensorSpec([side, side, 3], tf.float32, name="image"),
        tf.TensorSpec([2], tf.int32, name="size"),
    ]
    return _module(detect, signature, graph)


_NETWORK_NAMES = ("boxes", "classes", "scores", "mask_probabilities")


class EverySlot(SlotsInUse):
    """Leaves nothing out: in the place of `SlotsInUse`, for shapes that are fixed."""

    def call(self, labels, *others):
        return (labels, *others)


def portable_graph(model):
    """Returns the inference graph of layers that all formats have, on the same weights.

    Args:
        model: a `MaskRCNN`.
    Returns:
        keras.Model with the inputs and outputs of `model.inference_graph`, for a batch
        of one image. Its masks are computed for every slot.
    """
    replaced = {RoIAlign: GatherRoIAlign, SlotsInUse: EverySlot}

    def portable(layer):
        kind = replaced.get(type(layer))
        # What stays is itself, not a copy.
        return kind.from_config(layer.get_config()) if kind else layer

    return keras.models.clone_model(model.inference_graph, clone_function=portable)


def network_inputs(image, image_config):
    """Does what `MaskRCNN.detect` does to an image, with sizes that are tensors.

    Args:
        image: uint8 [H, W, 3].
        image_config: an ImageConfig.
    Returns:
        images: float32 [1, H', W', 3], 0 to 255, its content at the top left.
        sizes: int32 [1, 2], height and width of the content.
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float64)  # as Python counts
    scale = tf.minimum(
        image_config.short_side / tf.reduce_min(sides),
        image_config.long_side / tf.reduce_max(sides),
    )
    size = tf.maximum(tf.cast(tf.floor(sides * scale), tf.int32), 1)
    padded = padded_size(size[0], size[1], image_config)
    # tf2onnx resizes floating-point images alone.
    resized = resize_image(tf.cast(image, tf.float32), size[0], size[1])
    below, right = padded[0] - size[0], padded[1] - size[1]
    images = tf.pad(resized, [[0, below], [0, right], [0, 0]])[None]
    if image_config.resize == "square":
        images = tf.ensure_shape(images, [1, *padded, 3])
    return images, size[None]


def paste(probabilities, boxes, shape, threshold):
    """Does what `masks.paste` does, for all detections of an image.

    Args:
        probabilities: float32 [N, m, m].
        boxes: float32 [N, 4], (y1, x1, y2, x2) in image pixels.
        shape: int32 [2], height and width of the image.
        threshold: pixels at or above it are object.
    Returns:
        uint8 [N, height, width], 0 or 1.
    """
    size = probabilities.shape[-1]
    # Zero outside the box is no object, whatever the threshold.
    threshold = max(threshold, float(np.finfo(np.float32).tiny))

    def one(detection):
        probability, box = detection
        rows = _interpolation(shape[0], box[0], box[2], size)  # [height, m]
        columns = _interpolation(shape[1], box[1], box[3], size)  # [width, m]
        pasted = tf.matmul(rows @ probability, columns, transpose_b=True)
        return tf.cast(pasted >= threshold, tf.uint8)

    # Of no images the runtimes do not know the size: where there are no detections,
    # one is made up, and cut off again.
    count = tf.shape(boxes)[0]
    made_up = tf.maximum(1 - count, 0)
    # One after the other: together they would be a float32 image for each.
    pasted = tf.map_fn(
        one,
        (
            tf.pad(probabilities, [[0, made_up], [0, 0], [0, 0]]),
            tf.pad(boxes, [[0, made_up], [0, 0]]),
        ),
        fn_output_signature=tf.TensorSpec([None, None], tf.uint8),
    )
    return pasted[:count]


def whole_pixel_boxes(boxes, size):
    """Does what `masks.whole_pixel_box` does, for float32 [N, 4]."""
    center = (boxes[:, :2] + boxes[:, 2:]) * 0.5
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * np.float32((size + 2) / size)
    corner = _drop_fraction(center - half)
    extent = tf.maximum(_drop_fraction(center + half) - corner + 1.0, 1.0)
    cell = extent / (size + 2)
    return tf.concat([corner + cell, corner + extent - cell], axis=1)


def _drop_fraction(values):
    return tf.cast(tf.cast(values, tf.int32), tf.float32)


def _interpolation(length, low, high, size):
    """Weights of `size` mask cells at the centres of pixels: [length, size]."""
    centers = tf.range(tf.cast(length, tf.float32)) + 0.5
    position = (centers - low) / (high - low) * size - 0.5  # in mask cells
    distance = tf.abs(position[:, None] - tf.range(size, dtype=tf.float32))
    return tf.maximum(1.0 - distance, 0.0)


def _module(function, signature, graph):
    module = tf.Module()
    module.weights = [variable.value for variable in graph.variables]
    module.detect = tf.function(function, input_signature=signature)
    return module
