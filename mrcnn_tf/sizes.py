"""Sizes that follow from a config alone: of the network's input and of its anchors.

No TensorFlow here: what looks at data alone, as the doctor does, starts at once.
"""

import math

import numpy as np


def network_size(height, width, image_config):
    """Returns the size of an image's content in the network's input.

    Args:
        height, width: of the original image, pixels.
        image_config: an ImageConfig.
    Returns:
        (height, width), ints, pixels: the aspect is kept, the short side becomes
        `short_side` unless the long side would pass `long_side`; at least 1.
    Source: torchvision's GeneralizedRCNNTransform, which rounds down.
    """
    scale = min(
        image_config.short_side / min(height, width),
        image_config.long_side / max(height, width),
    )
    return max(1, math.floor(height * scale)), max(1, math.floor(width * scale))


def padded_size(new_height, new_width, image_config):
    """Returns the size of the network's input for content of this size.

    Args:
        new_height, new_width: what `network_size` returned, ints or scalar tensors.
        image_config: an ImageConfig.
    Returns:
        (height, width), ints: the next multiples of `divisor`, or the square.
    """
    if image_config.resize == "square":
        return image_config.long_side, image_config.long_side
    divisor = image_config.divisor
    return (
        (new_height + divisor - 1) // divisor * divisor,
        (new_width + divisor - 1) // divisor * divisor,
    )


def base_anchors(size, ratios):
    """The anchors of one cell, centred on (0, 0).

    Args:
        size: side in pixels of the square anchor; the others have its area.
        ratios: height over width, R of them.
    Returns:
        float32 [R, 4], rounded to whole pixels.
    Source: torchvision's AnchorGenerator, rounding half to even included.
    """
    ratios = np.asarray(ratios, np.float32)
    heights = np.sqrt(ratios) * size
    widths = size / np.sqrt(ratios)
    boxes = np.stack([-heights, -widths, heights, widths], axis=-1) / 2
    return np.round(boxes).astype(np.float32)
