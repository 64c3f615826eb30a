#!/usr/bin/env python
"""Trains the U-Net, then measures it on the test split.

First the encoder is held still and the way up learns; then the encoder's last blocks
learn too, slower.

Examples:
    scripts/train_unet.py --data oxford_iiit_pet --run runs/unet
    scripts/train_unet.py --data ~/oxford_pets --compose 4 --labels class \\
        --weights-file mobilenet_v2_1.0_no_top.weights.h5 --run runs/unet_scenes
"""

import argparse
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from options import add_data, add_device, choose_device

import mrcnn_tf as mr
from mrcnn_tf import unet
from mrcnn_tf.datasets.semantic import label_names
from mrcnn_tf.pretrained.imagenet import load_mobilenet_v2

FROZEN_SHARE = 1 / 3  # of the epochs
FROZEN_RATE, TUNING_RATE = 1e-3, 3e-4  # learning rates of the two phases
TUNED_FROM = 7  # block of the encoder, the first at stride 16


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument(
        "--labels",
        choices=("trimap", "class"),
        default="trimap",
        help="object, background and border, or background and each class",
    )
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument(
        "--width", type=int, default=100, help="alpha of MobileNetV2 in hundredths"
    )
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--steps", type=int, default=600, help="batches in all")
    parser.add_argument(
        "--epochs",
        type=int,
        default=12,
        help="parts of the run, each followed by validation; the first third with "
        "the encoder held still",
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--weights-file",
        type=Path,
        metavar="FILE",
        help="MobileNetV2 of Keras Applications without top; downloaded if not given",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    return parser.parse_args(arguments)


def train(options):
    """Trains and measures as the command line says."""
    if not 2 <= options.epochs <= options.steps:
        raise ValueError(
            f"--epochs must be from 2, one for each phase, to the {options.steps} "
            f"steps of the run, found {options.epochs}"
        )
    splits = mr.datasets.load(options.data, options.size, options.compose)
    classes = splits.train.classes
    names = label_names(options.labels, classes)
    keras.utils.set_random_seed(options.seed)
    model = unet.build(len(names), options.size, options.width)
    print(
        load_mobilenet_v2(
            model.get_layer("encoder"), options.width, options.weights_file
        )
    )
    print(
        f"training a U-Net on {options.data}: {options.steps} steps of "
        f"{options.batch_size} images, labels {', '.join(names)}, into {options.run}/",
        flush=True,
    )
    callbacks = mr.training.callbacks(options.run)
    unet.save_labels(options.run, options.labels, classes)
    (options.run / "preview").mkdir(exist_ok=True)

    def save(epoch, figure):
        path = options.run / "preview" / f"epoch_{epoch:03}.png"
        figure.savefig(path, bbox_inches="tight")

    step = max(1, len(splits.val) // 4)  # apart: neighbours are often of one breed
    watched = [splits.val[index] for index in range(0, len(splits.val), step)][:4]
    callbacks.append(unet.preview(watched, options.labels, classes, save))
    start = time.monotonic()
    fit(model, splits, options, callbacks)
    print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes")
    report = describe(unet.evaluate(model, splits.test, options.labels))
    print(report)
    (options.run / "test.txt").write_text(f"{report}\n")


def fit(model, splits, options, callbacks):
    """Trains both phases."""
    steps_per_epoch = options.steps // options.epochs
    frozen_epochs = max(1, round(FROZEN_SHARE * options.epochs))
    tuning_steps = (options.epochs - frozen_epochs) * steps_per_epoch
    data = {
        "labels": options.labels,
        "size": options.size,
        "batch_size": options.batch_size,
    }
    batches = mr.datasets.semantic_batches(
        splits.train,
        **data,
        training=True,
        seed=options.seed,
        augment=mr.datasets.Augment(),
    )
    validation = mr.datasets.semantic_batches(splits.val, **data, training=False)
    tuning_rate = keras.optimizers.schedules.CosineDecay(TUNING_RATE, tuning_steps)
    for first, last, rate, encoder_from in (
        (0, frozen_epochs, FROZEN_RATE, None),
        (frozen_epochs, options.epochs, tuning_rate, TUNED_FROM),
    ):
        unet.compile_phase(model, rate, encoder_from)
        model.fit(
            batches,
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps_per_epoch,
            validation_data=validation,
            shuffle=False,  # the batches are
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
        )


def describe(scores):
    """Returns the figures of `unet.evaluate` as lines."""
    lines = [f"{scores['images']} images of the test split"]
    for name in ("mIoU", "pixel accuracy", "boundary F"):
        lines.append(f"{name:16} {_figure(scores[name])}")
    for name, figures in scores["classes"].items():
        lines.append(f"IoU {name:12} {_figure(figures['IoU'])}")
    return "\n".join(lines)


def _figure(value):
    return "-" if value is None else f"{value:.3f}"


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        train(options)
    except (ValueError, OSError, tf.errors.InvalidArgumentError) as error:
        print(f"train_unet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
