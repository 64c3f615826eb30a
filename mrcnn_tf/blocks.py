"""Blocks that detectors took up after YOLO's first paper, each as small as it goes.

Pure functions on tensors, and builders that take a Keras tensor and give one back.
None of them knows of a detector: lesson 19 draws and measures them one by one.
"""

import keras
import tensorflow as tf
from keras import layers

SPP_SIZES = (5, 9, 13)  # cells, of YOLOv3-SPP's and YOLOv4's pools


def batch_norm(x, gamma, beta, mean, variance, training, momentum=0.99, epsilon=1e-3):
    """Normalises each channel: by the batch in training, by what it kept in use.

    Args:
        x: float32 [..., C].
        gamma, beta: float32 [C], scale and shift, which are learnt.
        mean, variance: float32 [C], the moving statistics so far.
        training: whether to measure `x`; else the moving statistics are taken.
        momentum: share of the old moving statistics that is kept at each step.
        epsilon: added to the variance.
    Returns:
        float32 [..., C], and the moving mean and variance, [C] each: new ones in
        training, else those given.
    Source: Ioffe and Szegedy 2015, algorithms 1 and 2. Numbers as
        keras.layers.BatchNormalization: the moving variance is of the batch as it
        is, where the paper multiplies it by m / (m - 1).
    """
    if training:
        axes = list(range(len(x.shape) - 1))
        here, spread = tf.nn.moments(x, axes)  # [C] each
        mean = momentum * mean + (1 - momentum) * here
        variance = momentum * variance + (1 - momentum) * spread
    else:
        here, spread = mean, variance
    normal = (x - here) / tf.sqrt(spread + epsilon)  # [..., C]
    return gamma * normal + beta, mean, variance


@keras.saving.register_keras_serializable("mrcnn_tf")
def leaky_relu(x):
    """Lets a tenth of what is negative through: float32 [...] to [...].

    Source: Maas et al. 2013; the slope of 0.1 is YOLO's (Redmon et al. 2016, §2.2).
    """
    return tf.maximum(x, 0.1 * x)


@keras.saving.register_keras_serializable("mrcnn_tf")
def swish(x):
    """x times its sigmoid: float32 [...] to [...].

    Source: Ramachandran et al. 2017, with beta 1, also called SiLU.
    """
    return x * tf.sigmoid(x)


@keras.saving.register_keras_serializable("mrcnn_tf")
def mish(x):
    """x times the tanh of its softplus: float32 [...] to [...].

    Source: Misra 2019.
    """
    return x * tf.tanh(tf.nn.softplus(x))


def conv_unit(x, channels, size, activation=mish, name=None):
    """A convolution without bias, batch norm, an activation.

    Args:
        x: Keras tensor [B, H, W, C].
        channels: of the output.
        size: of the kernel, in cells.
        activation: a function, of this module or of Keras.
        name: of the convolution, or None.
    Returns:
        Keras tensor [B, H, W, channels].
    Source: Redmon and Farhadi 2018, table 1, with leaky ReLU; Bochkovskiy et al.
        2020 with Mish.
    """
    x = layers.Conv2D(channels, size, padding="same", use_bias=False, name=name)(x)
    return layers.Activation(activation)(layers.BatchNormalization()(x))


def residual_block(x, hidden, activation=mish):
    """Adds to `x` what a 1x1 and a 3x3 convolution make of it.

    Args:
        x: Keras tensor [B, H, W, C].
        hidden: channels between the two: Darknet-53 has C / 2.
        activation: as of `conv_unit`.
    Returns:
        Keras tensor [B, H, W, C].
    Source: Redmon and Farhadi 2018, table 1. The sum goes on as it is: unlike
        ResNet's, no activation follows it.
    """
    inner = conv_unit(x, hidden, 1, activation)
    return layers.Add()([x, conv_unit(inner, x.shape[-1], 3, activation)])


def residual_stage(x, depth, activation=mish):
    """A chain of `depth` residual blocks on all channels.

    Args:
        x: Keras tensor [B, H, W, C], C even.
        depth: number of blocks.
        activation: as of `conv_unit`.
    Returns:
        Keras tensor [B, H, W, C].
    Raises:
        ValueError: if C is odd.
    Source: Redmon and Farhadi 2018, Darknet-53.
    """
    hidden = _half(x)
    for _ in range(depth):
        x = residual_block(x, hidden, activation)
    return x


def csp_stage(x, depth, activation=mish):
    """The same chain on half the channels; the other half goes round it.

    Args:
        x: Keras tensor [B, H, W, C], C even.
        depth: number of blocks.
        activation: as of `conv_unit`.
    Returns:
        Keras tensor [B, H, W, C].
    Raises:
        ValueError: if C is odd.
    Source: Wang et al. 2020 (CSPNet), figure 3b: a 1x1 convolution ends the chain,
        another follows the concatenation, and the blocks have no bottleneck, as
        there are few channels already. YOLOv4 makes each half by a 1x1
        convolution of all channels; here, as in the paper, they are split.
    """
    half = _half(x)
    around, through = keras.ops.split(x, 2, axis=-1)  # [B, H, W, C / 2] each
    for _ in range(depth):
        through = residual_block(through, half, activation)
    through = conv_unit(through, half, 1, activation)
    joined = layers.Concatenate()([around, through])  # [B, H, W, C]
    return conv_unit(joined, 2 * half, 1, activation)


def _half(x):
    channels = x.shape[-1]
    if channels % 2:
        raise ValueError(
            f"the channels must be an even number to be halved, found {channels}"
        )
    return channels // 2


def spp(x, sizes=SPP_SIZES):
    """Sets beside each cell the largest values around it, near and far.

    Args:
        x: Keras tensor [B, H, W, C].
        sizes: of the windows, odd, in cells.
    Returns:
        Keras tensor [B, H, W, (1 + len(sizes)) * C]: `x`, then a pool for each size.
    Raises:
        ValueError: if a size is even: its window would have no middle.
    Source: He et al. 2015, in the form of YOLOv3-SPP: no fixed grid, but max pools
        of stride 1 that keep the map's size. Darknet concatenates them in the
        opposite order.
    """
    for size in sizes:
        if size % 2 == 0:
            raise ValueError(f"a pool's size must be odd, found {size}")
    pools = [layers.MaxPooling2D(size, 1, padding="same")(x) for size in sizes]
    return layers.Concatenate()([x, *pools])


def multiplications(model):
    """Counts the multiplications of a model's convolutions for one image.

    Args:
        model: keras.Model whose maps have known sizes.
    Returns:
        int. Batch norm, activations and sums are left out: next to nothing.
    Raises:
        ValueError: if a convolution's output has no fixed height and width.
    """
    total = 0
    for layer in model.layers:
        if not isinstance(layer, (layers.Conv2D, layers.SeparableConv2D)):
            continue
        height, width = layer.output.shape[1:3]
        if height is None or width is None:
            raise ValueError(
                f"{layer.name} has no fixed size; give keras.Input a height and width"
            )
        kernels = [weight for weight in layer.weights if len(weight.shape) == 4]
        # Each weight of a kernel meets each place once.
        total += height * width * sum(int(tf.size(kernel)) for kernel in kernels)
    return total
