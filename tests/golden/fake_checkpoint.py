"""Deterministic stand-in weights with names and shapes of torchvision's checkpoints.

The published files cannot be downloaded everywhere. Anyone can rebuild these from a
list of names and shapes, NumPy and a seed:

    state = fake_state_dict("checkpoint_v1.json", seed=0)  # {name: float32 array}

The values keep the network's activations near unit scale, so that outputs compare to
about 1e-4. `checkpoint_*_expected.npz` is what torchvision computed from these weights.
"""

import json
import pathlib
import zlib

import numpy as np


def fake_state_dict(manifest, seed=0):
    """Builds {name: array} for every [name, shape, dtype] row of a manifest."""
    text = (pathlib.Path(__file__).parent / manifest).read_text()
    return {
        name: _values(name, tuple(shape), dtype, seed)
        for name, shape, dtype in json.loads(text)["tensors"]
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
        if name.endswith("weight"):
            # A batch norm's scale; the last of a bottleneck is small, as a residual
            # wants it.
            low, high = (0.1, 0.3) if ".bn3." in name else (0.8, 1.2)
            return rng.uniform(low, high, shape).astype(np.float32)
        return rng.normal(0.0, 0.02, shape).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    if "conv5_mask" in name:
        # A transposed convolution: inputs come first, an output sees one tap.
        fan_in = shape[0]
    linear = ("cls_score", "bbox", "fcn_logits", "fpn")
    gain = 1.0 if any(part in name for part in linear) else 2.0
    return rng.normal(0.0, np.sqrt(gain / fan_in), shape).astype(np.float32)
