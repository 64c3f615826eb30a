"""Where the time goes: each stage of the network by itself, and what it computes.

A stage is named by the outputs of the inspection graph that it makes. It is the part of
that graph between all that came before it and these, so that nothing here knows how the
network is put together.
"""

import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from benchmark_flops import count_layers
from benchmark_side import summary
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import fpn, graphs

# What the ceiling is measured with.
MATRIX = 2048  # rows and columns
MAP, CHANNELS = 128, 256  # cells a side; in and out

_BY_LEVEL = [
    f"rpn_{kind}_{level}" for kind in ("logits", "deltas") for level in fpn.LEVELS
]
STAGES = {
    "normalise": ["normalized_images"],
    "backbone": ["c2", "c3", "c4", "c5"],
    "fpn": list(fpn.LEVELS),
    "rpn": _BY_LEVEL,
    "anchors": [f"anchors_{level}" for level in fpn.LEVELS],
    "proposals": ["proposals", "proposal_logits"],
    "box roi_align": ["box_features"],
    "box head": ["class_logits", "box_deltas"],
    "detections": list(graphs.BOX_NAMES),
    "mask roi_align": ["mask_features"],
    "mask head": ["mask_logits"],
    "own masks": [graphs.MASK_NAME],
}


def ceiling(runs=5):
    """Measures what TensorFlow reaches on this machine at best, in GFLOP/s.

    Args:
        runs: the best of so many counts.
    Returns:
        dict: "matrix", a product of two square matrices, and "convolution", 3x3, both
        float32; a multiplication and an addition are two operations.
    """
    matrix = tf.random.normal([MATRIX, MATRIX])
    features = tf.random.normal([1, MAP, MAP, CHANNELS])
    kernel = tf.random.normal([3, 3, CHANNELS, CHANNELS])
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    convolution = tf.function(lambda: tf.nn.conv2d(features, kernel, 1, "SAME")[0, 0])
    return {
        "matrix": 2e-9 * MATRIX**3 / min(timed(product, runs)),
        "convolution": 2e-9 * MAP**2 * 9 * CHANNELS**2 / min(timed(convolution, runs)),
    }


def timed(function, runs, warm_up=2):
    """Returns the times in seconds of a function that returns tensors or arrays."""
    times = []
    for _ in range(warm_up + runs):
        start = time.perf_counter()
        np.asarray(keras.tree.flatten(function())[0])  # on a GPU, until it is there
        times.append(time.perf_counter() - start)
    return times[warm_up:]


def inference_stages(model, inputs, runs):
    """Times each stage of prediction on the intermediates of the same images.

    Args:
        model: a MaskRCNN.
        inputs: dict of "images" float32 [B, H, W, 3] and "sizes" int32 [B, 2].
        runs: how often each stage is timed.
    Returns:
        dict from the names of `STAGES`, and "input" and "paste" around them, to dicts
        of `benchmark_side.summary` and, where there are layers, "gflop".
    """
    graph = model.inspection_graph
    values = graph(inputs)
    names = graph.output
    # Lists, as Keras wants the names of a dict to be those of its tensors.
    known = list(graph.input.values())
    found = [inputs[name] for name in graph.input]
    rows = {"input": summary(timed(input_stage(model, inputs), runs))}
    for stage, outputs in STAGES.items():
        outputs = [name for name in outputs if name in names]
        if not outputs:
            continue  # a network without masks
        part = keras.Model(list(known), [names[name] for name in outputs])
        compute = tf.function(part)
        given = list(found)
        rows[stage] = summary(timed(lambda c=compute, g=given: c(g), runs))
        rows[stage]["gflop"] = count_layers(part, given)
        known += [names[name] for name in outputs]
        found += [values[name] for name in outputs]
    if model.config.has_masks:
        rows["paste"] = summary(timed(paste_stage(model, inputs, values), runs))
    return rows


def input_stage(model, inputs):
    """Returns what reads a JPEG of 1.5 times the network's size, and resizes it."""
    height, width = (int(side) for side in inputs["sizes"][0])
    noise = np.random.default_rng(0).integers(
        0, 256, (height * 3 // 2, width * 3 // 2, 3), dtype=np.uint8
    )
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "noise.jpg"
    Image.fromarray(noise).save(path)

    def read(_=folder):  # which lives as long as this function
        return mr.inputs.resize_image(mr.datasets.read_image(path), height, width)

    return read


def paste_stage(model, inputs, values):
    """Returns what pastes and encodes the masks of the first image."""
    height, width = (int(side) for side in inputs["sizes"][0])
    boxes, classes = (np.asarray(values[name][0]) for name in graphs.BOX_NAMES[:2])
    masks = np.asarray(values[graphs.MASK_NAME][0])[classes > 0]
    boxes = boxes[classes > 0]

    def paste():
        return [0] + [
            len(mr.rle.encode(mr.masks.paste(mask, box, height, width))["counts"])
            for mask, box in zip(masks, boxes, strict=True)
        ]

    return paste


def training_stages(model, batch, runs):
    """Times the parts of a step of training on one batch.

    Args:
        model: a compiled MaskRCNN.
        batch: dict of `datasets.batches`.
        runs: how often each part is timed.
    Returns:
        dict from "targets", "losses", "forward", "backward" and "optimiser" to dicts
        of `benchmark_side.summary`; "forward" holds the two before it, and has
        "gflop". "backward" is forward and backward less forward.
    """
    graph = model.training_graph
    inputs = {name: batch[name] for name in graph.input}
    rows = {
        name: summary(layers_of(graph, inputs, module, runs))
        for name, module in (("targets", mr.targets), ("losses", mr.losses))
    }
    forward = tf.function(lambda: total(graph(inputs, training=True)))
    variables = model.trainable_variables

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = total(graph(inputs, training=True))
        return tape.gradient(loss, variables)

    rows["forward"] = summary(timed(forward, runs))
    rows["forward"]["gflop"] = count_layers(graph, inputs)
    both = summary(timed(gradients, runs))
    rows["backward"] = summary([s - rows["forward"]["median"] for s in both["seconds"]])
    given = gradients()

    @tf.function
    def update(given):
        model.optimizer.apply_gradients(zip(given, variables, strict=True))
        return model.optimizer.iterations

    rows["optimiser"] = summary(timed(lambda: update(given), runs))
    return rows


def total(outputs):
    """Returns the sum of all losses of all images."""
    return tf.add_n([tf.reduce_sum(loss) for loss in outputs.values()])


def layers_of(graph, inputs, module, runs):
    """Returns the times of all layers of one module together."""
    layers = [each for each in graph.layers if type(each).__module__ == module.__name__]
    given = keras.Model(graph.input, [layer.input for layer in layers])(inputs)
    together = []
    for layer, values in zip(layers, given, strict=True):
        part = tf.function(keras.Model(layer.input, layer.output))
        together.append(timed(lambda p=part, v=values: p(v), runs))
    return [sum(times) for times in zip(*together, strict=True)]
