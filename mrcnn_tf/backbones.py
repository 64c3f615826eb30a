"""Backbones: an image to feature maps C2..C5 at strides 4, 8, 16, 32.

Batch norm is either frozen or learns; `norm.py` says what that means.
"""

import keras
from keras import layers

from mrcnn_tf.norm import batch_norm

STRIDES = (4, 8, 16, 32)

# Blocks in each of the stages C2..C5, and whether they are bottlenecks.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}


def build(config):
    """Builds the backbone that a config names.

    Args:
        config: `BackboneConfig`.
    Returns:
        keras.Model: float32 [B, H, W, 3], normalised, to a list of four feature
        maps [B, H / s, W / s, C_s] for the strides s of `STRIDES`.
    """
    if config.name == "mobilenet_v2":
        return mobilenet_v2(config.width, config.norm)
    blocks, bottleneck = RESNETS[config.name]
    return resnet(
        blocks,
        bottleneck,
        config.width,
        config.norm,
        config.norm_epsilon,
        config.stride_in,
        name=config.name,
    )


def resnet(
    blocks,
    bottleneck,
    width=64,
    norm="frozen",
    epsilon=1e-5,
    stride_in="3x3",
    name="resnet",
):
    """A residual network.

    Args:
        blocks: number of blocks in each of C2..C5.
        bottleneck: True for 1x1, 3x3, 1x1 (ResNet-50 up); False for 3x3, 3x3.
        width: channels of the stem, 64 in the paper.
        norm: "frozen" or "batch".
        epsilon: of batch norm; 0 for torchvision's first COCO weights.
        stride_in: which convolution of a bottleneck halves the resolution: "3x3"
            as in torchvision, or "1x1" as in the paper and in Keras Applications.
        name: of the model.
    Returns:
        keras.Model, as `build`.
    Source: He et al. 2015. Padding is symmetric, as in torchvision. TensorFlow's
        "same" pads more at the end where a stride is 2: half a stride of shift per
        stage.
    """
    image = keras.Input((None, None, 3), name="image")
    x = _conv(image, width, 7, 2, "stem_conv")  # [B, H/2, W/2, width]
    x = batch_norm(norm, epsilon, "stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # after ReLU 0 is the least
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)  # [B, H/4, W/4, width]
    outputs = []
    for stage, count in enumerate(blocks):
        channels = width * 2**stage
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            block_name = f"c{stage + 2}_{index}"
            if bottleneck:
                strides = (1, stride) if stride_in == "3x3" else (stride, 1)
                x = _bottleneck(x, channels, strides, norm, epsilon, block_name)
            else:
                x = _basic_block(x, channels, stride, norm, epsilon, block_name)
        outputs.append(x)
    return keras.Model(image, outputs, name=name)


def _basic_block(x, channels, stride, norm, epsilon, name):
    y = _conv(x, channels, 3, stride, f"{name}_conv1")
    y = batch_norm(norm, epsilon, f"{name}_norm1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv(y, channels, 3, 1, f"{name}_conv2")
    y = batch_norm(norm, epsilon, f"{name}_norm2")(y)
    return _join(x, y, stride, norm, epsilon, name)


def _bottleneck(x, channels, strides, norm, epsilon, name):
    y = _conv(x, channels, 1, strides[0], f"{name}_conv1")
    y = batch_norm(norm, epsilon, f"{name}_norm1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv(y, channels, 3, strides[1], f"{name}_conv2")
    y = batch_norm(norm, epsilon, f"{name}_norm2")(y)
    y = layers.ReLU(name=f"{name}_relu2")(y)
    y = _conv(y, 4 * channels, 1, 1, f"{name}_conv3")
    y = batch_norm(norm, epsilon, f"{name}_norm3")(y)
    return _join(x, y, max(strides), norm, epsilon, name)


def _join(shortcut, y, stride, norm, epsilon, name):
    """Adds the shortcut, projected where the shape has changed."""
    channels = y.shape[-1]
    if stride != 1 or shortcut.shape[-1] != channels:
        shortcut = _conv(shortcut, channels, 1, stride, f"{name}_shortcut_conv")
        shortcut = batch_norm(norm, epsilon, f"{name}_shortcut_norm")(shortcut)
    y = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.ReLU(name=f"{name}_out")(y)


def _conv(x, channels, size, stride, name):
    """A convolution with symmetric padding; batch norm follows, so no bias."""
    if stride > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    else:
        padding = "same"
    return layers.Conv2D(
        channels,
        size,
        stride,
        padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def mobilenet_v2(width=100, norm="frozen"):
    """MobileNetV2 of Keras Applications, tapped at strides 4 to 32.

    Args:
        width: alpha, the width multiplier, in hundredths.
        norm: "frozen" or "batch".
    Returns:
        keras.Model, as `build`. It wants images in [-1, 1].
    Source: Sandler et al. 2018. C2..C4 are the expanded features just before the
        next stride, the widest at each size.
    """
    network = keras.applications.MobileNetV2(
        input_shape=(None, None, 3), alpha=width / 100, include_top=False, weights=None
    )
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = norm == "batch"
    taps = ("block_3", "block_6", "block_13")
    outputs = [network.get_layer(f"{name}_expand_relu").output for name in taps]
    outputs.append(network.get_layer("out_relu").output)
    return keras.Model(network.input, outputs, name="mobilenet_v2")


def freeze(backbone, stages):
    """Holds the first stages of a backbone still.

    Args:
        backbone: what `build` returned.
        stages: 0 for none, 1 for the stem, 2 for stem and C2, ... 5 for all.
    """
    if stages == 0:
        return
    stem_ends = ("stem_pool", "expanded_conv_project_BN")
    names = [layer.name for layer in backbone.layers]
    if stages == 1:
        last = next(names.index(name) for name in stem_ends if name in names)
    else:
        last = names.index(backbone.output_names[stages - 2])
    for layer in backbone.layers[: last + 1]:
        layer.trainable = False
