"""Backbones trained on ImageNet: torchvision's and Keras Applications' published ones.

Which file fits follows from the config: a ResNet that strides in its 3x3 convolutions
is torchvision's, one that strides in its 1x1 is Keras's, MobileNetV2 is Keras's.
"""

import re
from pathlib import Path

import h5py
import keras
import numpy as np

from mrcnn_tf.config import BackboneConfig, ImageConfig
from mrcnn_tf.presets import KERAS_RESNET
from mrcnn_tf.pretrained import files, strict, torch_file
from mrcnn_tf.pretrained.torchvision_names import resnet_slots

MOBILENET_WIDTHS = (35, 50, 75, 100, 130, 140)  # alpha in hundredths, as published
KERAS_RESNETS = {
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
}
# The classifier on torchvision's ResNets, which detection has no use for.
_TORCHVISION_TOP = {"fc.weight": (1000, 2048), "fc.bias": (1000,)}

# What a config must say for the weights to mean what they meant in training.
_TORCHVISION_CONFIG = {
    "image": {"mean": ImageConfig.mean, "std": ImageConfig.std},
    "backbone": {"width": 64, "norm_epsilon": BackboneConfig.norm_epsilon},
}
_KERAS_CONFIG = {**KERAS_RESNET, "backbone": {"width": 64, **KERAS_RESNET["backbone"]}}
_MOBILENET_CONFIG = {"image": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}


def load_imagenet(model, path=None):
    """Gives the backbone of a Mask R-CNN the weights that its publisher trained.

    Args:
        model: a MaskRCNN on resnet50, resnet101 or mobilenet_v2. For Keras's ResNets
            its config is one of `config.replace(**presets.KERAS_RESNET)`.
        path: of a copy of the published file; without one it is downloaded.
    Returns:
        `Report`.
    Raises:
        FileNotFoundError: if the file is neither here nor to be downloaded.
        ValueError: if the config is not what the weights were trained with, or the
            file is not exactly these weights. No weight has changed then.
    """
    config = model.config
    name = config.backbone.name
    if name == "mobilenet_v2":
        _check_config(config, _MOBILENET_CONFIG)
        return load_mobilenet_v2(model.backbone, config.backbone.width, path)
    if name not in KERAS_RESNETS:
        raise ValueError(
            f"no ImageNet weights for backbone.name = {name!r}: take "
            f"{', '.join(KERAS_RESNETS)} or mobilenet_v2, or train from scratch with "
            'backbone.norm = "batch"'
        )
    if config.backbone.stride_in == "1x1":
        _check_config(config, _KERAS_CONFIG)
        return _load_keras_resnet(model.backbone, KERAS_RESNETS[name], path)
    _check_config(config, _TORCHVISION_CONFIG)
    return _load_torchvision_resnet(model.backbone, files.PUBLISHED[name], path)


def load_mobilenet_v2(backbone, width, path=None):
    """Gives a network made of Keras's MobileNetV2 its weights, layer by layer's name.

    Args:
        backbone: what `backbones.mobilenet_v2` returned, or another model of the
            same layers; it may end before the last.
        width: alpha in hundredths, one of `MOBILENET_WIDTHS`.
        path: of a file of the weights without top, as Keras publishes it or saves
            it today; without one Keras downloads it.
    Returns:
        `Report`.
    Raises:
        FileNotFoundError, ValueError: as `load_imagenet`.
    """
    if width not in MOBILENET_WIDTHS:
        raise ValueError(
            f"no ImageNet weights for a MobileNetV2 of backbone.width = {width}: Keras "
            f"publishes {', '.join(map(str, MOBILENET_WIDTHS))} hundredths"
        )
    title = f"MobileNetV2 of alpha {width / 100} of Keras Applications"

    def build(weights):
        return keras.applications.MobileNetV2(
            (224, 224, 3), alpha=width / 100, include_top=False, weights=weights
        )

    tensors = _download(build, title) if path is None else _read(build, title, path)
    return _fill(backbone, tensors, str(path or title))


def load_vgg16(backbone, path=None):
    """Gives a network made of Keras's VGG16, which sees RGB, its weights.

    Args:
        backbone: the layer "encoder" of `yolo.build(..., backbone="vgg16")`.
        path: of a file of the weights without top, as of `load_mobilenet_v2`.
    Returns:
        `Report`.
    Raises:
        FileNotFoundError, ValueError: as `load_imagenet`.
    """
    title = "VGG16 of Keras Applications"

    def build(weights):
        return keras.applications.VGG16(
            include_top=False, weights=weights, input_shape=(224, 224, 3)
        )

    tensors = _download(build, title) if path is None else _read(build, title, path)
    # Theirs sees BGR, ours RGB.
    kernel = tensors["block1_conv1"]["kernel"]
    tensors["block1_conv1"]["kernel"] = kernel[:, :, ::-1]
    return _fill(backbone, tensors, str(path or title))


def _load_torchvision_resnet(backbone, published, path):
    path = files.fetch(published, path)
    tensors = torch_file.find_tensors(path)
    for name, shape in _TORCHVISION_TOP.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(
                f"{path}: {name}: expected {list(shape)}, found "
                f"{list(tensors[name].shape)}; is this {published.name}?"
            )
    slots = resnet_slots(backbone)
    return strict.assign(slots, tensors, str(path), unused=tuple(_TORCHVISION_TOP))


def _load_keras_resnet(backbone, application, path):
    title = f"{application.__name__} of Keras Applications"

    def build(weights):
        return application(
            include_top=False, weights=weights, input_shape=(224, 224, 3)
        )

    theirs = _download(build, title) if path is None else _read(build, title, path)
    tensors = {_our_name(name): values for name, values in theirs.items()}
    # Ours has no biases: what is subtracted next takes them in.
    for name, values in tensors.items():
        if "norm" in name:
            bias = tensors[name.replace("norm", "conv")].pop("bias")
            values["moving_mean"] = values["moving_mean"] - bias
    # Theirs sees BGR, ours RGB.
    tensors["stem_conv"]["kernel"] = tensors["stem_conv"]["kernel"][:, :, ::-1]
    return _fill(backbone, tensors, str(path or title))


def _our_name(name):
    """conv1_bn to stem_norm, conv2_block1_0_conv to c2_0_shortcut_conv."""
    name = name.replace("bn", "norm")
    if name.startswith("conv1_"):
        return name.replace("conv1_", "stem_")
    stage, block, number, kind = re.fullmatch(
        r"conv(\d)_block(\d+)_(\d)_(\w+)", name
    ).groups()
    part = f"shortcut_{kind}" if number == "0" else f"{kind}{number}"
    return f"c{stage}_{int(block) - 1}_{part}"


def _check_config(config, expected):
    wrong, mended = [], {}
    for part, fields in expected.items():
        for name, value in fields.items():
            found = getattr(getattr(config, part), name)
            same = found == value if isinstance(value, str) else _close(found, value)
            if not same:
                wrong.append(f"{part}.{name}: expected {value}, found {found}")
                mended.setdefault(part, {})[name] = value
    if wrong:
        raise ValueError(
            "the config is not what these ImageNet weights were trained with; "
            f"{'; '.join(wrong)}. Make the model with config.replace(**{mended})"
        )


def _close(found, expected):
    # Numbers copied by hand are rounded; 1e-5 and Keras's 1.001e-5 remain apart.
    return np.shape(found) == np.shape(expected) and np.allclose(
        found, expected, rtol=1e-4, atol=0
    )


def _download(build, title):
    """Returns the tensors that Keras itself downloads."""
    try:
        return _tensors(build("imagenet"))
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{title}: the downloaded weights are damaged ({error}); remove the file "
            "from ~/.keras/models and run this again"
        ) from error
    except Exception as error:  # Keras raises nothing narrower without a network
        raise FileNotFoundError(
            f"{title}: no copy of the weights on this machine, and the download "
            f"failed ({error}). Download that file elsewhere and put it in "
            "~/.keras/models, or pass its path"
        ) from error


def _read(build, title, path):
    """Returns the tensors of a file, which must hold them all and no others."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path}: no such file; expected the weights of {title} without its top"
        )
    source = build(None)
    try:
        _check_contents(path, source)
        source.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"{path}: not the weights of {title} without its top, or damaged; nothing "
            f"was loaded: {error}"
        ) from error
    return _tensors(source)


def _check_contents(path, source):
    """Raises where a file holds what Keras would pass over, or take for another."""
    count = 0

    def visit(name, item):
        nonlocal count
        count += isinstance(item, h5py.Dataset)

    with h5py.File(path) as file:
        file.visititems(visit)
        if count != len(source.weights):
            raise ValueError(f"expected {len(source.weights)} tensors, found {count}")
        # Keras's older format has names, and Keras loads it by order all the same: of
        # a ResNet's shortcut and third convolution, batch norms are alike in shape.
        names = [
            name.decode() if isinstance(name, bytes) else name
            for name in file.attrs.get("layer_names", ())
        ]
        names = [name for name in names if len(file[name].attrs["weight_names"])]
    expected = [layer.name for layer in source.layers if layer.weights]
    if names and source.name in KERAS_RESNETS and names != expected:
        pairs = zip(expected, names, strict=False)
        ours, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        raise ValueError(f"expected the layer {ours}, found {theirs}")


def _tensors(network):
    """Returns a dict from layer's name to a dict from weight's name to array."""
    return {
        layer.name: {weight.name: np.asarray(weight) for weight in layer.weights}
        for layer in network.layers
        if layer.weights
    }


def _fill(backbone, tensors, source):
    """Checks that every weight of the backbone has its tensor, then assigns all."""
    variables = {
        (layer.name, weight.name): weight
        for layer in backbone.layers
        for weight in layer.weights
    }
    problems = []
    for (layer, name), variable in variables.items():
        found = np.shape(tensors.get(layer, {}).get(name))
        if found != variable.shape:
            problems.append(
                f"{layer}/{name}: expected {list(variable.shape)}, found "
                + (str(list(found)) if found else "no such tensor")
            )
    if problems:
        listed = "\n  ".join(problems[:10])
        raise ValueError(
            f"{source}: not the weights of this network, nothing was loaded; "
            f"{len(problems)} misfits:\n  {listed}"
        )
    for (layer, name), variable in variables.items():
        variable.assign(tensors[layer][name])
    return strict.Report(
        source=source,
        tensors=len(variables),
        parameters=sum(int(np.prod(variable.shape)) for variable in variables.values()),
        unused=tuple(
            f"{layer}/{name}"
            for layer, values in tensors.items()
            for name in values
            if (layer, name) not in variables
        ),
    )
