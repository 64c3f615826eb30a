#!/usr/bin/env python
"""Trains a preset on a dataset, then measures it on the test split.

Examples:
    scripts/train.py --data shapes --preset tiny --run runs/shapes
    scripts/train.py --data ~/oxford_pets --compose 4 --preset pets \\
        --weights imagenet --run runs/pets
    scripts/train.py --data ~/oxford_pets --weights coco --run runs/from_coco
    scripts/train.py --data animals --set roi.mask_kind=softmax train.clip_norm=5 \\
        --run runs/softmax
"""

import argparse
import json
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from options import add_data

import mrcnn_tf as mr
from mrcnn_tf.pretrained.coco import NETWORKS, coco_config


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument(
        "--preset",
        help="see mrcnn_tf/presets.py (default tiny); coco weights bring their own",
    )
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--steps", type=int, help="batches, if not the preset's")
    parser.add_argument(
        "--epochs",
        type=int,
        default=10,
        help="parts of the run, each followed by validation",
    )
    parser.add_argument(
        "--weights",
        choices=("imagenet", *NETWORKS),
        help="start from published weights: a backbone's, or a whole network's "
        "to fine-tune",
    )
    parser.add_argument(
        "--weights-file",
        type=Path,
        metavar="FILE",
        help="a copy of the published file; without it, it is downloaded",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="change fields of the config, named as in mrcnn_tf/config.py",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def parse_changes(changes):
    """Turns ["train.clip_norm=5"] into {"train": {"clip_norm": 5}}."""
    nested = {}
    for change in changes:
        field, equals, text = change.partition("=")
        part, _, name = field.partition(".")
        if not (equals and name):
            raise ValueError(
                f"--set takes PART.FIELD=VALUE, as in train.clip_norm=5; found {change}"
            )
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text  # a word
        nested.setdefault(part, {})[name] = value
    return nested


def choose_config(options):
    """Makes the config that the command line asks for, still without classes."""
    if options.weights_file and not options.weights:
        raise ValueError("--weights-file needs --weights to say what it holds")
    if options.weights in NETWORKS:
        if options.preset:
            raise ValueError(
                f"--weights {options.weights} is a whole network: leave out --preset"
            )
        config = coco_config(options.weights, classes=())
    else:
        config = mr.Config.preset(options.preset or "tiny")
        if config.backbone.norm == "frozen" and not options.weights:
            raise ValueError(
                f"the preset {options.preset!r} holds its batch norm still and so "
                "needs pretrained weights: pass --weights imagenet, or take a preset "
                "that learns from scratch, such as tiny"
            )
    config = config.replace(**parse_changes(options.changes))
    if options.steps is not None:
        config = config.replace(train={"steps": options.steps})
    if not 1 <= options.epochs <= config.train.steps:
        raise ValueError(
            f"--epochs must be from 1 to the {config.train.steps} steps of the run, "
            f"found {options.epochs}"
        )
    return config


def make_model(config, options):
    """Builds the network and gives it its weights; prints which."""
    keras.utils.set_random_seed(options.seed)
    model = mr.MaskRCNN(config)
    if options.weights == "imagenet":
        print(mr.pretrained.load_imagenet(model, options.weights_file))
    elif options.weights:
        print(mr.pretrained.load_coco(model, options.weights, options.weights_file))
    model.compile()
    return model


def train(options):
    """Trains and measures as the command line says."""
    config = choose_config(options)
    size = config.image.long_side
    splits = mr.datasets.load(options.data, size=size, compose=options.compose)
    config = config.replace(classes=splits.train.classes)
    print(
        f"training on {options.data}: {config.train.steps} steps of "
        f"{config.train.batch_size} images, classes {', '.join(config.classes)}, "
        f"into {options.run}/",
        flush=True,
    )
    model = make_model(config, options)
    callbacks = mr.training.callbacks(options.run)
    (options.run / "config.json").write_text(config.to_json())
    start = time.monotonic()
    model.fit(
        mr.datasets.batches(
            splits.train,
            config,
            training=True,
            seed=options.seed,
            augment=mr.datasets.Augment(),
        ),
        steps_per_epoch=config.train.steps // options.epochs,
        epochs=options.epochs,
        validation_data=mr.datasets.batches(splits.val, config, training=False),
        shuffle=False,  # `batches` has
        callbacks=callbacks,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes")
    evaluation = mr.evaluate(model, splits.test)
    print(evaluation)
    (options.run / "test_ap.txt").write_text(f"{evaluation}\n")


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        train(options)
    except (ValueError, OSError, tf.errors.InvalidArgumentError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
