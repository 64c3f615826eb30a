"""Three ways to let the levels of a pyramid speak to each other: FPN, PAN, BiFPN.

Each builder takes maps fine to coarse, each half as high and wide as the one before,
and gives as many, all with the same number of channels.
"""

import itertools

import keras
import tensorflow as tf
from keras import layers

from mrcnn_tf.blocks import swish


@keras.saving.register_keras_serializable("mrcnn_tf")
class WeightedSum(layers.Layer):
    """Adds maps, each with a share that is learnt.

    Call it with a list of N tensors float32 [B, H, W, C]; it returns one. A share is
    a weight, 0 where the weight is negative, over the sum of all and `epsilon`. All
    weights begin at 1: the mean.

    Raises:
        ValueError: for fewer than two maps, or maps of different shapes.
    Source: Tan et al. 2020 (EfficientDet), §3.3, fast normalised fusion.
    """

    def __init__(self, epsilon=1e-4, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        shapes = [tuple(shape) for shape in input_shape]
        if len(shapes) < 2 or len(set(shapes)) > 1:
            raise ValueError(
                f"a weighted sum takes two maps or more, of one shape, found {shapes}"
            )
        self.fusion = self.add_weight(
            shape=(len(shapes),), initializer="ones", name="fusion"
        )

    def shares(self):
        """The share of each map, float32 [N]; together just below 1."""
        weights = tf.nn.relu(tf.convert_to_tensor(self.fusion))
        return weights / (tf.reduce_sum(weights) + self.epsilon)

    def call(self, maps):
        shares = tf.cast(self.shares(), maps[0].dtype)
        pairs = zip(tf.unstack(shares), maps, strict=True)
        return tf.add_n([share * x for share, x in pairs])

    def compute_output_spec(self, maps):
        return keras.KerasTensor(maps[0].shape, maps[0].dtype)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def fpn(maps, channels):
    """Feature pyramid: what the coarse levels know goes down to the fine ones.

    Args:
        maps: list of two Keras tensors or more, [B, H, W, C], fine to coarse.
        channels: of every output.
    Returns:
        list of as many Keras tensors [B, H, W, channels].
    Raises:
        ValueError: for fewer maps, or sizes that do not halve.
    Source: Lin et al. 2017, without activations.
    """
    _check(maps)
    merged = [_conv(x, channels, 1) for x in maps]
    for level in range(len(maps) - 2, -1, -1):
        up = layers.UpSampling2D(2)(merged[level + 1])
        merged[level] = layers.Add()([merged[level], up])
    return [_conv(x, channels, 3) for x in merged]


def pan(maps, channels):
    """Path aggregation: an FPN, and a second way, from fine to coarse again.

    Args, Returns, Raises: as of `fpn`.
    Source: Liu et al. 2018, §3.1: on the way up a 3x3 convolution of stride 2, the
        sum, another 3x3 convolution, each with ReLU. YOLOv4 concatenates instead
        of adding.
    """
    levels = fpn(maps, channels)
    outputs = levels[:1]
    for level in levels[1:]:
        down = _conv(outputs[-1], channels, 3, strides=2, activation="relu")
        joined = layers.Add()([down, level])
        outputs.append(_conv(joined, channels, 3, activation="relu"))
    return outputs


def bifpn(maps, channels, repeats=1):
    """BiFPN: down and up again, `repeats` times, every sum with learnt shares.

    Args:
        maps, channels: as of `fpn`.
        repeats: number of times down and up.
    Returns:
        as of `fpn`.
    Raises:
        ValueError: for fewer maps, sizes that do not halve, or no repeat.
    Source: Tan et al. 2020, §3.2 and §3.3: a node of one input is left out, and a
        level's input joins its output too. As their code does, up is to copy cells,
        down a max pool of 3x3, and a sum goes through Swish, a separable 3x3
        convolution and batch norm. Of each input one 1x1 convolution is made, where
        their code makes two of P4 and P5.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, found {repeats}")
    _check(maps)
    maps = [layers.BatchNormalization()(_conv(x, channels, 1)) for x in maps]
    for _ in range(repeats):
        maps = _down_and_up(maps)
    return maps


def _down_and_up(maps):
    """One layer of a BiFPN: a list of maps to a list of maps, fine to coarse."""
    top = len(maps) - 1
    passed = {top: maps[top]}
    for level in range(top - 1, 0, -1):
        up = layers.UpSampling2D(2)(passed[level + 1])
        passed[level] = _fuse([maps[level], up])
    outputs = [_fuse([maps[0], layers.UpSampling2D(2)(passed[1])])]
    for level in range(1, top + 1):
        down = layers.MaxPooling2D(3, 2, padding="same")(outputs[-1])
        own = [maps[level]] if level == top else [maps[level], passed[level]]
        outputs.append(_fuse([*own, down]))
    return outputs


def _fuse(maps):
    x = layers.Activation(swish)(WeightedSum()(maps))
    channels = x.shape[-1]
    x = layers.SeparableConv2D(channels, 3, padding="same")(x)
    return layers.BatchNormalization()(x)


def _conv(x, channels, size, **kwargs):
    return layers.Conv2D(channels, size, padding="same", **kwargs)(x)


def _check(maps):
    sizes = [tuple(x.shape[1:3]) for x in maps]
    if len(maps) < 2:
        raise ValueError(f"a pyramid takes two maps or more, found {len(maps)}")
    for fine, coarse in itertools.pairwise(sizes):
        for one, other in zip(fine, coarse, strict=True):
            # A size that is not known before the image comes cannot be checked.
            if None not in (one, other) and one != 2 * other:
                raise ValueError(
                    "each map must be half as high and wide as the one before, found "
                    f"{' then '.join(f'{h} x {w}' for h, w in sizes)}; pad the image "
                    "to a multiple of the coarsest stride"
                )
