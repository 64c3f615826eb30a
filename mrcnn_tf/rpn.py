"""Region proposal network's head: objectness and box deltas for every anchor."""

import keras
from keras import layers


def build(channels=256, anchors_per_cell=3, convs=1):
    """Builds the head, which all pyramid levels share.

    Args:
        channels: of the feature maps.
        anchors_per_cell: shapes at each cell.
        convs: number of 3x3 convolutions before the two outputs, 1 in the paper.
    Returns:
        keras.Model: float32 [B, H, W, channels] to two lists in anchor order:
        objectness logits [B, H * W * anchors_per_cell] and box deltas
        [B, H * W * anchors_per_cell, 4].
    Source: Ren et al. 2015; one sigmoid logit per anchor instead of two softmaxed.
    """
    features = keras.Input((None, None, channels), name="features")
    init = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
    x = features
    for index in range(convs):
        x = layers.Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            name=f"conv{index + 1}",
            **init,
        )(x)
    logits = layers.Conv2D(anchors_per_cell, 1, name="objectness", **init)(x)
    deltas = layers.Conv2D(anchors_per_cell * 4, 1, name="deltas", **init)(x)
    logits = layers.Reshape((-1,), name="logits_by_anchor")(logits)  # [B, HWA]
    deltas = layers.Reshape((-1, 4), name="deltas_by_anchor")(deltas)  # [B, HWA, 4]
    return keras.Model(features, [logits, deltas], name="rpn")
