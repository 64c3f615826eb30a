"""Feature pyramid: every level strong in meaning and fine in place."""

import keras
from keras import layers

LEVELS = ("p2", "p3", "p4", "p5", "p6")


def build(backbone_channels, channels=256):
    """Builds the feature pyramid.

    Args:
        backbone_channels: channels of C2..C5.
        channels: of every output.
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
        layers.Conv2D(channels, 1, name=f"lateral{level}")(c)
        for level, c in enumerate(inputs, start=2)
    ]
    merged = [laterals[-1]]  # coarse to fine
    for level, lateral in zip((4, 3, 2), laterals[-2::-1], strict=True):
        up = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}")
        merged.append(layers.Add(name=f"merge{level}")([up(merged[-1]), lateral]))
    outputs = [
        layers.Conv2D(channels, 3, padding="same", name=f"p{level}")(m)
        for level, m in enumerate(merged[::-1], start=2)
    ]
    outputs.append(layers.MaxPooling2D(1, 2, name="p6")(outputs[-1]))
    return keras.Model(inputs, outputs, name="fpn")
