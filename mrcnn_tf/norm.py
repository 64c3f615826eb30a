"""Batch norm, which every network here uses in one of two ways.

Frozen, it is an affine map with the statistics of pretraining: one image is too
small a batch to measure them anew, and its weights count as not trainable. Else it
learns, as training from scratch needs.
"""

from keras import layers


def batch_norm(kind, epsilon, name):
    """Makes a batch norm layer.

    Args:
        kind: "frozen" or "batch".
        epsilon: added to the variance; 1e-5 for torchvision's and Keras's
            ResNets, 0 for torchvision's first COCO weights.
        name: of the layer.
    Returns:
        keras.layers.BatchNormalization.
    Source: Ioffe and Szegedy 2015.
    """
    return layers.BatchNormalization(
        epsilon=epsilon, momentum=0.9, trainable=kind == "batch", name=name
    )
