"""YOLO of its first paper: one look at the image, and every box at once.

A sibling of Mask R-CNN: neither knows of the other, and both have the package's boxes,
data, measures and pictures. As with the package itself, importing this takes no time.

Source: Redmon et al. 2016, You Only Look Once.
"""

import importlib

# Public names, each in the module that defines it.
_NAMES = {
    "Cells": "networks",
    "Detector": "detector",
    "Loss": "losses",
    "Schedule": "schedule",
    "WEIGHTS": "losses",
    "batches": "pipeline",
    "build": "networks",
    "center_form": "cells",
    "compile": "schedule",
    "corner_form": "cells",
    "decode": "cells",
    "encode": "cells",
    "load": "detector",
    "loss_parts": "losses",
    "lost_objects": "pipeline",
    "responsible": "losses",
    "toy_detector": "toy",
}
_MODULES = ("cells", "detector", "losses", "networks", "pipeline", "schedule", "toy")

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        module = importlib.import_module(f"{__name__}.{_NAMES[name]}")
        return getattr(module, name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
