"""Published weights, taken whole or not at all.

`MaskRCNN.from_pretrained` is the short way to COCO's; `load_imagenet` fills a
backbone. TensorFlow loads with the first name that is asked for.
"""

import importlib

_NAMES = {
    "COCO_CLASSES": "coco",
    "COCO_NAMES": "coco",
    "load_coco": "coco",
    "load_imagenet": "imagenet",
}

__all__ = list(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
