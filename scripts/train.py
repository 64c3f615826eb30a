#!/usr/bin/env python
"""Trains a network on a dataset, then measures its best state on the test split.

What is to be done stands in a config file (scripts/make_config.py writes one), or in
the options below. Stopped at any moment, by Ctrl-C, a crash or the power, it goes on
where it was when the same command is given again; a folder in which another run is
refuses. A finished run goes on with a larger train.steps. Paths are relative to the
folder that the command runs in.

The folder of the run gets last.keras after each part, best.keras (highest mask AP on
the validation split, box AP for boxes alone), log.csv (a row for each part), steps.csv
(a row for each step), tensorboard/, config.json and versions.json, and at the end
test.json.

It trains on all GPUs it sees, --gpu N on one of them; the same command on several
machines, with TF_CONFIG, trains on all of these (docs/distribution.md).

Examples:
    scripts/train.py --config config.json
    scripts/train.py --config config.json --set train.clip_norm=5 run.folder=runs/b
    scripts/train.py --config config.json --gpu 1
    scripts/train.py --data shapes --preset tiny --run runs/shapes --cpu
    scripts/train.py --data ~/oxford_pets --compose 4 --preset pets \\
        --weights imagenet --run runs/pets
    scripts/train.py --data ~/oxford_pets --weights coco --run runs/from_coco
"""

import argparse
import sys
import time

import tensorflow as tf
from options import (
    add_changes,
    add_data,
    add_device,
    add_format,
    add_weights,
    choose_device,
    parse_changes,
    sentence,
)

import mrcnn_tf as mr
from mrcnn_tf.training.choose import network_config
from mrcnn_tf.training.run_file import WEIGHTS, changed_run

# Without --config: the default of each option that a file says instead.
_WITHOUT_FILE = {
    "data": None,
    "compose": 0,
    "format": "auto",
    "preset": None,
    "run": None,
    "steps": None,
    "epochs": None,
    "weights": None,
    "weights_file": "",
    "seed": None,
}


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", metavar="FILE", help="the run, in a JSON file")
    add_changes(parser)
    add_device(parser)
    group = parser.add_argument_group("without --config")
    add_data(group, required=False)
    add_format(group)
    group.add_argument(
        "--preset", help="see mrcnn_tf/presets.py; coco weights bring their own"
    )
    group.add_argument("--run", metavar="FOLDER", help="folder of the run")
    group.add_argument("--steps", type=int, help="batches, if not the preset's")
    group.add_argument(
        "--epochs",
        type=int,
        help="parts of the run, each followed by validation (default 10)",
    )
    add_weights(
        group,
        WEIGHTS[1:],
        "start from published weights: a backbone's, or a whole network's to fine-tune",
    )
    group.add_argument("--seed", type=int, help="default 0")
    return parser.parse_args(arguments)


def choose_run(options):
    """Makes the run that the command line asks for.

    Returns:
        a `RunConfig` and a `Config`, which may have no classes yet.
    """
    changes = parse_changes(options.changes)
    if options.config:
        doubled = [
            f"--{name.replace('_', '-')}"
            for name, default in _WITHOUT_FILE.items()
            if getattr(options, name) != default
        ]
        if doubled:
            raise ValueError(
                f"{', '.join(doubled)} stands in the file of --config: change it there "
                "or with --set, as in --set run.seed=1 train.steps=500"
            )
        return changed_run(*mr.training.read_run(options.config), changes)
    if not (options.data and options.run):
        raise ValueError("expected --config FILE, or --data and --run; see --help")
    weights = options.weights or "none"
    config = network_config(options.preset, weights)
    if options.steps is not None:
        config = config.replace(train={"steps": options.steps})
    run, config = changed_run(
        mr.training.RunConfig(
            data=options.data,
            format=options.format,
            compose=options.compose,
            weights=weights,
            weights_file=options.weights_file,
            folder=options.run,
            seed=options.seed or 0,
            evaluate_images=0,
        ),
        config,
        changes,
    )
    steps, epochs = config.train.steps, 10 if options.epochs is None else options.epochs
    if options.epochs is None:
        epochs = min(epochs, steps)
    if not 1 <= epochs <= steps:
        raise ValueError(
            f"--epochs must be from 1 to the {steps} steps of the run, found {epochs}"
        )
    if "steps_per_part" not in changes.get("run", {}):
        changes = {"run": {"steps_per_part": -(-steps // epochs)}}
        run, config = changed_run(run, config, changes)
    return run, config


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        run, config = choose_run(options)
        start = time.monotonic()
        mr.training.train(run, config)
        print(f"{(time.monotonic() - start) / 60:.1f} minutes in all")
    except (ValueError, OSError, tf.errors.OpError) as error:
        print(f"train: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"\ntrain: {error or 'stopped'}", file=sys.stderr)
        return 130  # as shells say it
    return 0


if __name__ == "__main__":
    sys.exit(main())
