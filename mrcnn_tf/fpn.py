"""Feature pyramid: every level strong in meaning and fine in place."""

import keras
from keras import layers

from mrcnn_tf.norm import batch_norm

LEVELS = ("p2", "p3", "p4", "p5", "p6")


def build(backbone_channels, channels=256, norm=False):
    """Builds the feature pyramid.

    Args:
        backbone_channels: channels of C2..C5.
        channels: of every output.
        norm: whether frozen batch norm follows each convolution, in its bias's place.
    Returns:
        keras.Model: a list [C2, C3, C4, C5] to a list [P2, P3, P4, P5, P6], each
        float32 [B, H_l, W_l, channels]. P6 is for the RPN alone. Heights and
        widths must halve exactly from level to level, as they do for images
        padded to a multiple of 32.
    Source: Lin et al. 2017. Nearest-neighbour upsampling; P6 is every second
        cell of P5.
    """
    inputs = [
        keras.Input((None, None, c), name=f"c{level}")
        for level, c in enumerate(backbone_channels, start=2)
    ]
    laterals = [
        _conv(c, channels, 1, norm, f"lateral{level}")
        for level, c in enumerate(inputs, start=2)
    ]
    merged = [laterals[-1]]  # coarse to fine
    for level, lateral in zip((4, 3, 2), laterals[-2::-1], strict=True):
        up = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}")
        merged.append(layers.Add(name=f"merge{level}")([up(merged[-1]), lateral]))
    outputs = [
        _conv(m, channels, 3, norm, f"p{level}")
        for level, m in enumerate(merged[::-1], start=2)
    ]
    outputs.append(layers.MaxPooling2D(1, 2, name="p6")(outputs[-1]))
    return keras.Model(inputs, outputs, name="fpn")


def _conv(x, channels, size, norm, name):
    """A convolution without activation: the pyramid is linear in the backbone."""
    x = layers.Conv2D(channels, size, padding="same", use_bias=not norm, name=name)(x)
    return batch_norm("frozen", 1e-5, f"{name}_norm")(x) if norm else x
