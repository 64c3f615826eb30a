"""Deterministic stand-in weights with the names and shapes of a torchvision Mask R-CNN checkpoint.

The published checkpoints cannot be downloaded everywhere, so the importer is tested against a checkpoint
that anyone can rebuild from a list of names and shapes, NumPy and a seed:

    state = fake_state_dict("checkpoint_v1.json", seed=0)      # {name: float32 array}

The values keep the network's activations near unit scale, so outputs are comparable to about 1e-4.
Needs NumPy only. `checkpoint_*_expected.npz` holds what torchvision itself computed from these weights.
"""

import json
import pathlib
import zlib

import numpy as np


def fake_state_dict(manifest, seed=0):
    """Build `{name: array}` for every entry of a manifest of `[name, shape, dtype]` rows."""
    rows = json.loads((pathlib.Path(__file__).parent / manifest).read_text())["tensors"]
    return {
        name: _values(name, tuple(shape), dtype, seed) for name, shape, dtype in rows
    }


def _values(name, shape, dtype, seed):
    if dtype == "int64":  # num_batches_tracked
        return np.zeros(shape, np.int64)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.endswith("running_var"):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if name.endswith("running_mean"):
        return rng.normal(0.0, 0.05, shape).astype(np.float32)
    if len(shape) == 1:
        if name.endswith(
            "weight"
        ):  # a batch-norm scale; the last of each bottleneck is small, as a residual wants
            low, high = (0.1, 0.3) if ".bn3." in name else (0.8, 1.2)
            return rng.uniform(low, high, shape).astype(np.float32)
        return rng.normal(0.0, 0.02, shape).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    if (
        "conv5_mask" in name
    ):  # a transposed convolution: input channels come first, each output sees one 2x2 tap
        fan_in = shape[0]
    gain = (
        1.0
        if any(part in name for part in ("cls_score", "bbox", "fcn_logits", "fpn"))
        else 2.0
    )
    return rng.normal(0.0, np.sqrt(gain / fan_in), shape).astype(np.float32)
