"""Mask R-CNN in Keras 3, to read, to run and to trust.

Importing this package takes no time: TensorFlow loads when something needs it.
"""

import importlib

__version__ = "0.1.0"

# Public names, each in the module that defines it.
_NAMES = {
    "Config": "mrcnn_tf.config",
    "MaskRCNN": "mrcnn_tf.mask_rcnn",
    "Result": "mrcnn_tf.result",
    "Sample": "mrcnn_tf.datasets.sample",
    "evaluate": "mrcnn_tf.evaluation.coco",
}
_MODULES = (
    "anchors", "backbones", "box_losses", "boxes", "config", "datasets", "detections",
    "evaluation", "exporting", "fpn", "graphs", "heads", "inputs", "live", "losses",
    "mask_rcnn", "masks", "matching", "nms", "norm", "precision", "presets",
    "pretrained", "proposals", "replicas", "result", "rle", "roi", "rpn", "sampling",
    "sizes", "slots", "targets", "training", "unet", "visualize", "yolo",
)  # fmt: skip

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"mrcnn_tf.{name}")
    raise AttributeError(f"module 'mrcnn_tf' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
