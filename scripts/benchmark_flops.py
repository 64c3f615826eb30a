"""Floating-point operations, counted as the layers run."""

import keras
import numpy as np


def layer_flop(kernel_shape, input_shape, output_shape, transposed=False):
    """Counts the operations of one convolution or dense layer, biases left out.

    Args:
        kernel_shape: [h, w, in, out], of a transposed convolution [h, w, out, in], of a
            dense layer [in, out]; of a depthwise one [h, w, in, multiplier].
        input_shape, output_shape: of the layer, channels last.
        transposed: whether it is a transposed convolution.
    Returns:
        int: a multiplication and an addition are two.
    """
    # Each output is a sum over the kernel of its channel; of a transposed convolution
    # each input goes into as many outputs.
    shape = input_shape if transposed else output_shape
    return 2 * int(np.prod(shape)) * (int(np.prod(kernel_shape)) // shape[-1])


def count_layers(model, inputs):
    """Runs a model once, and counts what its convolutions and dense layers compute.

    Args:
        model: keras.Model.
        inputs: what it takes.
    Returns:
        float: in 1e9, a multiplication and an addition are two. Everything without a
        kernel is left out: norms, activations, RoIAlign, boxes.
    """
    counted = []

    def record(layer):
        call = layer.call

        def recording(x, *rest, **named):
            output = call(x, *rest, **named)
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            shapes = (tuple(layer.kernel.shape), tuple(x.shape), tuple(output.shape))
            counted.append(layer_flop(*shapes, transposed))
            return output

        layer.call = recording
        return call

    layers = list(kernel_layers(model))
    calls = [record(layer) for layer in layers]
    try:
        model(inputs)
    finally:
        for layer, call in zip(layers, calls, strict=True):
            layer.call = call
    return 1e-9 * sum(counted)


def kernel_layers(model):
    """Yields every layer that has a kernel, those of inner models included, once."""
    seen = set()
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            waiting.extend(layer.layers)
        elif getattr(layer, "kernel", None) is not None:
            yield layer
