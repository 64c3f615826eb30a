"""The training command, on few images and with norms that see no batch.

Run by test_distribution.py as one of several workers, each a process of its own. With
batch norm that learns, workers could not be compared with one process: each would
measure its own images. Frozen norms without pretrained weights are what the command
refuses, and here they are wanted.
"""

import sys

import small
import train as train_script

import mrcnn_tf as mr
from mrcnn_tf.training import run as run_module


def prepare():
    """Has `train` take frozen norms, and two scenes to test on."""
    load = mr.datasets.load

    def few(*arguments, **fields):
        splits = load(*arguments, **fields)
        return mr.datasets.Splits(
            splits.train, splits.val, mr.datasets.Shapes(2, size=64)
        )

    mr.datasets.load = few
    run_module._check = lambda run, config: None


def quick_run(folder, steps):
    """A run of a small network, in parts of two steps, measured after every other."""
    run = mr.training.RunConfig(
        data="shapes",
        folder=str(folder),
        steps_per_part=2,
        evaluate_every=2,
        evaluate_images=3,
    )
    config = small.config(
        backbone={"norm": "frozen"},
        train={
            "batch_size": 4,
            "steps": steps,
            "optimizer": "sgd",
            "learning_rate": 0.001,
            "warmup_steps": 0,
            "decay_at": (),
            "clip_norm": 5.0,
        },
    )
    return run, config


if __name__ == "__main__":
    prepare()
    sys.exit(train_script.main(sys.argv[1:]))
