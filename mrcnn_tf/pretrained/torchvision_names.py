"""Which tensor of a torchvision checkpoint each weight of ours is.

PyTorch's kernels are [out, in, height, width], Keras's [height, width, in, out], and
torchvision's deltas are (dx, dy, dw, dh), ours (dy, dx, dh, dw): a `Slot` knows how to
turn one into the other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers


@dataclass(frozen=True)
class Slot:
    """One weight and the tensor that belongs in it.

    Attributes:
        name: torchvision's name of the tensor.
        shape: torchvision's shape of it.
        layer: our name of the layer, with its part: "fpn/lateral2".
        variable: the weight.
        convert: turns the tensor into the value of the weight.
    """

    name: str
    shape: tuple
    layer: str
    variable: keras.Variable
    convert: Callable


def mask_rcnn_slots(model):
    """Lists the slots of a whole Mask R-CNN on a ResNet.

    Args:
        model: a MaskRCNN.
    Returns:
        list of `Slot`, one for each weight.
    Source: the names that torchvision 0.28 saves.
    """
    has_convs = model.config.roi.box_convs > 0
    slots = [
        *resnet_slots(model.backbone, "backbone.body."),
        *_part_slots(model.fpn, "backbone.fpn.", _fpn_name),
        *_part_slots(model.rpn, "rpn.head.", _rpn_name),
        *_part_slots(
            model.box_head,
            "roi_heads.",
            _conv_box_head_name if has_convs else _box_head_name,
        ),
    ]
    if model.config.has_masks:
        slots += _part_slots(model.mask_head, "roi_heads.", _mask_head_name)
    return slots


def resnet_slots(backbone, prefix=""):
    """Lists the slots of a ResNet.

    Args:
        backbone: what `backbones.resnet` returned.
        prefix: of torchvision's names: "" for its ImageNet files.
    Returns:
        list of `Slot`.
    """
    return _part_slots(backbone, prefix, _resnet_name)


def modern_name(name):
    """Returns the name that today's torchvision gives a tensor of an old file."""
    for pattern, replacement in _OLD_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


_OLD_NAMES = (
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(\w+)$", r"\1.0.\2"),
    (r"^rpn\.head\.conv\.(\w+)$", r"rpn.head.conv.0.0.\1"),
    (
        r"^roi_heads\.mask_head\.mask_fcn([1-4])\.(\w+)$",
        lambda match: f"roi_heads.mask_head.{int(match[1]) - 1}.0.{match[2]}",
    ),
)


def _resnet_name(layer):
    stem = {"stem_conv": "conv1", "stem_norm": "bn1"}
    if layer in stem:
        return stem[layer]
    stage, block, part = re.fullmatch(r"c(\d)_(\d+)_(\w+)", layer).groups()
    parts = {"shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1"}
    part = parts.get(part, part.replace("norm", "bn"))
    return f"layer{int(stage) - 1}.{block}.{part}"


def _fpn_name(layer):
    kind, level, norm = re.fullmatch(r"(lateral|p)(\d)(_norm)?", layer).groups()
    blocks = {"lateral": "inner_blocks", "p": "layer_blocks"}[kind]
    return f"{blocks}.{int(level) - 2}.{1 if norm else 0}"


def _rpn_name(layer):
    outputs = {"objectness": "cls_logits", "deltas": "bbox_pred"}
    return outputs.get(layer) or f"conv.{int(layer.removeprefix('conv')) - 1}.0"


_BOX_OUTPUTS = {
    "class_logits": "box_predictor.cls_score",
    "box_deltas": "box_predictor.bbox_pred",
}


def _box_head_name(layer):
    hidden = {"fc1": "box_head.fc6", "fc2": "box_head.fc7"}
    return {**_BOX_OUTPUTS, **hidden}[layer]


def _conv_box_head_name(layer):
    # A flatten, without weights, is the fifth of this sequence.
    hidden = {"fc1": "box_head.5"}
    return {**_BOX_OUTPUTS, **hidden}.get(layer) or _sequence("box_head", layer)


def _mask_head_name(layer):
    outputs = {
        "upsample": "mask_predictor.conv5_mask",
        "mask_logits": "mask_predictor.mask_fcn_logits",
    }
    return outputs.get(layer) or _sequence("mask_head", layer)


def _sequence(part, layer):
    """conv1 to part.0.0, conv1_norm to part.0.1, conv2 to part.1.0 and so on."""
    number, norm = re.fullmatch(r"conv(\d)(_norm)?", layer).groups()
    return f"{part}.{int(number) - 1}.{1 if norm else 0}"


def _part_slots(part, prefix, name_of):
    slots = []
    flat = None  # of the feature map that a dense layer comes after
    for layer in part.layers:
        if isinstance(layer, layers.Flatten):
            flat = layer.input.shape[1:]  # (S, S, C)
        if not layer.weights:
            continue
        for variable in layer.weights:
            suffix = _SUFFIXES[variable.name]
            convert, shape = _conversion(layer, variable, flat)
            slots.append(
                Slot(
                    f"{prefix}{name_of(layer.name)}.{suffix}",
                    shape,
                    f"{part.name}/{layer.name}",
                    variable,
                    convert,
                )
            )
        if isinstance(layer, layers.Dense):
            flat = None
    return slots


_SUFFIXES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _conversion(layer, variable, flat):
    """How a tensor becomes this weight, and the shape it must have before."""
    shape = tuple(variable.shape)
    steps = []
    if "deltas" in layer.name:
        steps.append(_yx_first)
    if len(shape) == 4:  # a kernel; of a transposed convolution [in, out, h, w]
        steps.append(lambda tensor: tensor.transpose(2, 3, 1, 0))
        shape = (shape[3], shape[2], shape[0], shape[1])
    elif len(shape) == 2 and flat:  # PyTorch flattens channels first
        height, width, channels = flat
        steps.append(
            lambda tensor: (
                tensor.reshape(-1, channels, height, width)
                .transpose(2, 3, 1, 0)
                .reshape(height * width * channels, -1)
            )
        )
        shape = shape[::-1]
    elif len(shape) == 2:
        steps.append(np.transpose)
        shape = shape[::-1]

    def convert(tensor):
        for step in steps:
            tensor = step(tensor)
        return tensor

    return convert, shape


def _yx_first(tensor):
    """(dx, dy, dw, dh) to (dy, dx, dh, dw) along the first axis, group by group."""
    groups = tensor.reshape(-1, 4, *tensor.shape[1:])
    return groups[:, [1, 0, 3, 2]].reshape(tensor.shape)
