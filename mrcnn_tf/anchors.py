"""Anchors: the boxes of fixed sizes and shapes that the RPN starts from."""

import keras
import tensorflow as tf

from mrcnn_tf.sizes import base_anchors


def level_anchors(grid_size, image_size, base):
    """The anchors of one pyramid level: the base anchors at every cell.

    Args:
        grid_size: (rows, columns) of the feature map.
        image_size: (height, width) of the padded image in pixels.
        base: float32 [R, 4] of `base_anchors`.
    Returns:
        float32 [rows * columns * R, 4] in pixels, not clipped; row by row, the
        shapes of one cell together.
    Source: torchvision's AnchorGenerator. Anchors stand on the cell's corner, not
        its centre; the step is image size // grid size, which is not always the
        level's stride (a P6 of 6 columns steps 58, not 64, over 352 pixels).
    """
    step_y = image_size[0] // grid_size[0]
    step_x = image_size[1] // grid_size[1]
    y = tf.cast(tf.range(grid_size[0]) * step_y, tf.float32)
    x = tf.cast(tf.range(grid_size[1]) * step_x, tf.float32)
    y, x = tf.meshgrid(y, x, indexing="ij")  # [rows, columns]
    corners = tf.stack([y, x, y, x], axis=-1)  # [rows, columns, 4]
    anchors = corners[:, :, None, :] + base  # [rows, columns, R, 4]
    return tf.reshape(anchors, [-1, 4])


@keras.saving.register_keras_serializable("mrcnn_tf")
class Anchors(keras.layers.Layer):
    """All anchors of an image: one [A_l, 4] for each level P2..P6.

    Call it with the padded images [B, H, W, 3] and the list of feature maps; only
    their shapes are read.
    """

    def __init__(self, sizes, ratios, **kwargs):
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        self.ratios = tuple(ratios)

    def call(self, images, features):
        image_size = tf.shape(images)[1:3]
        levels = zip(features, self.sizes, strict=True)
        return [
            level_anchors(
                tf.shape(feature)[1:3], image_size, base_anchors(size, self.ratios)
            )
            for feature, size in levels
        ]

    def compute_output_spec(self, images, features):
        anchors = []
        for feature in features:
            rows, columns = feature.shape[1:3]
            count = rows * columns * len(self.ratios) if rows and columns else None
            anchors.append(keras.KerasTensor((count, 4), "float32"))
        return anchors

    def get_config(self):
        return {**super().get_config(), "sizes": self.sizes, "ratios": self.ratios}
