"""With what a run was made: versions, machine, command."""

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mrcnn_tf


def device_name():
    """Returns the device that TensorFlow computes on, for people."""
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return f"the processor ({os.cpu_count()} cores)"
    details = tf.config.experimental.get_device_details(gpus[0])
    name = gpus[0].name.removeprefix("/physical_device:")
    return f"{name} ({details.get('device_name', 'unknown')})"


def versions():
    """Returns a dict of what a run was made with; `git` is None outside a checkout."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "mrcnn_tf": mrcnn_tf.__version__,
        "git": _commit(Path(mrcnn_tf.__file__).parents[1]),
        "platform": platform.platform(),
        "device": device_name(),
        "command": shlex.join(sys.argv),
    }


def _commit(folder):
    """The commit of a checkout, and whether its files have changed since."""
    if not (folder / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", folder, *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for arguments in (
                ["rev-parse", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or it does not trust the folder
    return f"{commit}, with changes" if changes else commit
