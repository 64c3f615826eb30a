"""What the network sees: how an image of any size becomes its input.

Training and inference share this file, so that they cannot drift apart.
"""

import keras
import tensorflow as tf

from mrcnn_tf.sizes import network_size as network_size
from mrcnn_tf.sizes import padded_size as padded_size


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
