"""Optimiser, schedule and callbacks; whole runs from a config file."""

import importlib

_NAMES = {
    "Preview": "monitor",
    "RunConfig": "run_file",
    "callbacks": "monitor",
    "device_name": "versions",
    "make_optimizer": "optimizer",
    "make_run": "choose",
    "read_run": "run_file",
    "run_from_json": "run_file",
    "run_to_json": "run_file",
    "toy_model": "toy",
    "train": "run",
}

__all__ = [*_NAMES]


def __getattr__(name):
    if name in _NAMES:
        module = importlib.import_module(f"{__name__}.{_NAMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
