"""What the network sees: how an image of any size becomes its input.

Training and inference share this file, so that they cannot drift apart.
"""

import math

import keras
import tensorflow as tf


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
        new_height, new_width: what `network_size` returned, pixels.
        image_config: an ImageConfig.
    Returns:
        (height, width), ints: the next multiples of `divisor`, or the square.
    """
    if image_config.resize == "square":
        return image_config.long_side, image_config.long_side
    divisor = image_config.divisor
    return (
        math.ceil(new_height / divisor) * divisor,
        math.ceil(new_width / divisor) * divisor,
    )


def resize_image(image, new_height, new_width):
    """Resizes an image as the network is given it.

    Args:
        image: uint8 or float32 [H, W, 3], 0 to 255.
        new_height, new_width: ints or int32 scalars, pixels.
    Returns:
        float32 [new_height, new_width, 3], 0 to 255, not rounded.
    Source: torchvision: bilinear about pixel centres, without antialiasing.
    """
    resized = tf.image.resize(image, (new_height, new_width), antialias=False)
    return tf.cast(resized, tf.float32)  # an unchanged size keeps its type


@keras.saving.register_keras_serializable("mrcnn_tf")
class Normalize(keras.layers.Layer):
    """Pixels to what the backbone was trained on; the padding becomes exactly zero.

    Call it with images [B, H, W, 3], 0 to 255, and sizes int32 [B, 2], (height,
    width) of the content, which lies at the top left. Returns float32 [B, H, W, 3].
    """

    def __init__(self, mean, std, **kwargs):
        super().__init__(**kwargs)
        self.mean = tuple(mean)  # RGB on [0, 1]
        self.std = tuple(std)

    def call(self, images, sizes):
        pixels = tf.cast(images, tf.float32) / 255.0
        pixels = (pixels - tf.constant(self.mean)) / tf.constant(self.std)
        height, width = tf.unstack(tf.shape(images)[1:3])
        rows = tf.range(height) < sizes[:, :1]  # [B, H]
        columns = tf.range(width) < sizes[:, 1:]  # [B, W]
        is_content = rows[:, :, None] & columns[:, None, :]  # [B, H, W]
        return tf.where(is_content[..., None], pixels, 0.0)

    def compute_output_spec(self, images, sizes):
        return keras.KerasTensor(images.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
