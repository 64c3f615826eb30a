"""Box head and mask head: what each RoI is, where exactly, and its shape."""

import keras
from keras import layers

from mrcnn_tf.norm import batch_norm


def box_head(
    channels, num_outputs, size=7, convs=0, dense_layers=2, units=1024, norm=False
):
    """Builds the box head.

    Args:
        channels: of the RoI features.
        num_outputs: classes and background.
        size: RoIAlign cells a side.
        convs: number of 3x3 convolutions, of `channels` each.
        dense_layers: number of hidden fully connected layers after them.
        units: of each of those.
        norm: whether frozen batch norm follows each convolution, in its bias's place.
    Returns:
        keras.Model: RoI features [N, size, size, channels] to class logits
        [N, num_outputs] and box deltas [N, num_outputs, 4], one box per class.
    Source: Lin et al. 2017, two layers ("2fc"); Wu and He 2018, four convolutions
        and a layer ("4conv1fc"). Background has a box too, never used, so that
        published weights fit.
    """
    rois = keras.Input((size, size, channels), name="roi_features")
    x = rois
    for index in range(convs):
        x = _conv(x, channels, norm, f"conv{index + 1}")
    x = layers.Flatten(name="flatten")(x)  # [N, size * size * channels]
    for index in range(dense_layers):
        x = layers.Dense(units, activation="relu", name=f"fc{index + 1}")(x)
    logits = layers.Dense(
        num_outputs,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name="class_logits",
    )(x)
    deltas = layers.Dense(
        num_outputs * 4,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        name="box_deltas",
    )(x)
    deltas = layers.Reshape((num_outputs, 4), name="deltas_by_class")(deltas)
    return keras.Model(rois, [logits, deltas], name="box_head")


def mask_head(channels, num_outputs, size=14, convs=4, hidden=256, norm=False):
    """Builds the mask head, a small fully convolutional network.

    Args:
        channels: of the RoI features.
        num_outputs: classes and background; 1 for masks that ignore the class.
        size: RoIAlign cells a side.
        convs: number of 3x3 convolutions.
        hidden: their channels.
        norm: as of `box_head`.
    Returns:
        keras.Model: RoI features [N, size, size, channels] to mask logits
        [N, 2 * size, 2 * size, num_outputs], one mask per class: classes do not
        compete, the box head has already chosen.
    Source: He et al. 2017, figure 4, right.
    """
    rois = keras.Input((size, size, channels), name="roi_features")
    x = rois
    for index in range(convs):
        x = _conv(x, hidden, norm, f"conv{index + 1}")
    x = layers.Conv2DTranspose(
        hidden, 2, 2, activation="relu", kernel_initializer="he_normal", name="upsample"
    )(x)  # [N, 2 * size, 2 * size, hidden]
    logits = layers.Conv2D(
        num_outputs, 1, kernel_initializer="he_normal", name="mask_logits"
    )(x)
    return keras.Model(rois, logits, name="mask_head")


def _conv(x, channels, norm, name):
    x = layers.Conv2D(
        channels,
        3,
        padding="same",
        use_bias=not norm,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    if norm:
        x = batch_norm("frozen", 1e-5, f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
