#!/usr/bin/env python
"""Trains a YOLOv1, then measures its boxes on the test split.

A run that was stopped goes on where it was, with the same command.

Examples:
    scripts/train_yolo.py --data shapes --run runs/yolo
    scripts/train_yolo.py --data ~/bccd_voc --size 224 --grid 14 --run runs/blood
    scripts/train_yolo.py --data ~/VOCdevkit/VOC2012 --backbone vgg16 --optimizer sgd \\
        --weights-file vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 --run runs/voc
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from options import add_data, add_device, choose_device, sentence

import mrcnn_tf as mr
from mrcnn_tf import yolo
from mrcnn_tf.config import AugmentConfig
from mrcnn_tf.pretrained.imagenet import load_vgg16
from mrcnn_tf.training import checkpoints
from mrcnn_tf.training.monitor import BestCheckpoint

LAST, BEST, OPTIONS, LOG = "last.keras", "best.keras", "train_yolo.json", "log.csv"
# What may be another when a run goes on.
FREE = ("run", "weights_file", "gpu", "cpu", "parts")
LOOKED_AT = 200  # images at most whose objects are counted before training


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--backbone", choices=yolo.networks.BACKBONES, default="small")
    parser.add_argument(
        "--size", type=int, help="pixels a side; 112 for small, 448 for the others"
    )
    parser.add_argument("--grid", type=int, default=7, help="cells a side")
    parser.add_argument("--boxes-per-cell", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2000, help="batches in all")
    parser.add_argument(
        "--epochs",
        type=int,
        default=10,
        help="parts of the run, each followed by validation and saved",
    )
    parser.add_argument(
        "--parts", type=int, help="parts to do now; the same command does the others"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--optimizer",
        choices=("adamw", "sgd"),
        default="adamw",
        help="sgd with momentum is the paper's",
    )
    parser.add_argument(
        "--peak",
        type=float,
        help="the highest learning rate; 0.002 for adamw, 0.01 for sgd, as the paper",
    )
    parser.add_argument(
        "--zoom",
        type=float,
        default=1.0,
        metavar="F",
        help="objects are made larger and smaller by a factor of up to this; the "
        "paper has 1.2",
    )
    parser.add_argument(
        "--weights-file",
        type=Path,
        metavar="FILE",
        help="VGG16 of Keras Applications without top; downloaded if not given",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    return parser.parse_args(arguments)


def check(options):
    """Says what contradicts, before any time is spent."""
    for name, least in (("steps", 1), ("epochs", 1), ("batch_size", 1), ("parts", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ValueError(
                f"--{name.replace('_', '-')} must be at least {least}, found {value}"
            )
    if options.epochs > options.steps:
        raise ValueError(
            f"--epochs must be at most the {options.steps} steps of the run, found "
            f"{options.epochs}"
        )
    if options.peak is not None and not options.peak > 0:
        raise ValueError(f"--peak must be above 0, found {options.peak}")
    if options.weights_file and options.backbone != "vgg16":
        raise ValueError(
            f"--weights-file is for --backbone vgg16; {options.backbone} starts from "
            "random weights"
        )


def train(options):
    """Trains and measures as the command line says."""
    check(options)
    splits = mr.datasets.load(options.data, options.size or 128, options.compose)
    keras.utils.set_random_seed(options.seed)
    callbacks = mr.training.callbacks(options.run)
    with checkpoints.locked(options.run):
        model = open_run(options, splits.train.classes)
        done = int(model.optimizer.iterations.numpy())
        print(describe(options, model, splits, done), flush=True)
        start = time.monotonic()
        fit(model, splits, options, callbacks, done)
        print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes")
        if int(model.optimizer.iterations.numpy()) < whole_steps(options):
            print("not finished: the same command goes on")
            return
        detector = yolo.load(options.run / BEST)
        evaluation = mr.evaluate(detector, splits.test, progress=sys.stderr.isatty())
        print(evaluation)
        checkpoints.write_text(options.run / "test.txt", f"{evaluation}\n")


def whole_steps(options):
    """Returns the batches of the run: as many in each of its parts."""
    return options.steps // options.epochs * options.epochs


def open_run(options, classes):
    """Returns the compiled network of the run: a new one, or where it was stopped."""
    about = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in FREE
    }
    about = {**about, "classes": list(classes)}
    goes_on = (options.run / LAST).exists()
    if goes_on:
        check_same(options.run, about)
    model = yolo.build(
        classes, options.backbone, options.size, options.grid, options.boxes_per_cell
    )
    yolo.compile(model, whole_steps(options), options.peak, options.optimizer)
    if goes_on:
        yolo.load(options.run / LAST)  # says what is wrong with the file
        model.load_weights(options.run / LAST)
        return model
    if options.backbone == "vgg16":
        print(load_vgg16(model.get_layer("encoder"), options.weights_file))
    checkpoints.write_text(options.run / OPTIONS, json.dumps(about, indent=2))
    return model


def check_same(folder, about):
    """Refuses a folder in which another run has got as far as a checkpoint."""
    advice = "take another folder, or delete this one to begin anew"
    try:
        old = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} holds a {LAST} that this command has not written; {advice}"
        ) from error
    other = [name for name in about if old.get(name) != about[name]]
    if other:
        found = "; ".join(f"{n}: {old.get(n)}, now {about[n]}" for n in other)
        raise ValueError(f"another run is in {folder}: {found}; {advice}")


def fit(model, splits, options, callbacks, done):
    """Trains the parts that are left, or as many of them as were asked for."""
    steps = options.steps // options.epochs
    data = {
        "size": model.input_shape[1],
        "grid": options.grid,
        "boxes_per_cell": options.boxes_per_cell,
        "batch_size": options.batch_size,
    }
    zoom = (1 / options.zoom, options.zoom)
    augment = mr.datasets.Augment(AugmentConfig(zoom=zoom))
    first = done * options.batch_size
    batches = yolo.batches(
        splits.train, **data, training=True, seed=options.seed, augment=augment,
        first=first,
    )  # fmt: skip
    if done:
        (best,) = (x for x in callbacks if isinstance(x, BestCheckpoint))
        best.least = least_loss(options.run / LOG)
    last = options.epochs
    if options.parts:
        last = min(last, done // steps + options.parts)
    model.fit(
        batches,
        initial_epoch=done // steps,
        epochs=last,
        steps_per_epoch=steps,
        validation_data=yolo.batches(splits.val, **data, training=False),
        shuffle=False,  # the batches are
        callbacks=callbacks,
        verbose=1 if sys.stdout.isatty() else 2,
    )


def least_loss(log):
    """Returns the least validation loss of a run's log."""
    with open(log, encoding="utf-8", newline="") as file:
        return min(float(row["val_loss"]) for row in csv.DictReader(file))


def describe(options, model, splits, done):
    """Says what is trained, and what the grid cannot hold."""
    val = splits.val
    looked_at = [val[index] for index in range(min(len(val), LOOKED_AT))]
    lost, objects = yolo.lost_objects(looked_at, options.grid)
    classes = ", ".join(splits.train.classes)
    return "\n".join(
        [
            f"training a YOLOv1 ({options.backbone}, {model.count_params():,} numbers) "
            f"on {options.data}: {whole_steps(options)} steps of "
            f"{options.batch_size} images, {done} of them done, into {options.run}/",
            f"finds {classes}",
            f"a grid of {options.grid} x {options.grid} cells cannot hold {lost} of "
            f"the {objects} objects of {len(looked_at)} validation images",
        ]
    )


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        train(options)
    except (ValueError, OSError, tf.errors.InvalidArgumentError) as error:
        print(f"train_yolo: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
