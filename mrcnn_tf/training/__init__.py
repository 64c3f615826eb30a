"""Optimiser, schedule and callbacks."""

import importlib

_NAMES = {
    "Preview": "mrcnn_tf.training.monitor",
    "callbacks": "mrcnn_tf.training.monitor",
    "make_optimizer": "mrcnn_tf.training.optimizer",
}

__all__ = [*_NAMES]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
