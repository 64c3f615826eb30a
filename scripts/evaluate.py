#!/usr/bin/env python
"""Measures a trained model: box AP and mask AP, and a picture of its answers.

The data may use any of the classes that the model knows, by their names.

Examples:
    scripts/evaluate.py --model runs/shapes/best.keras --data shapes
    scripts/evaluate.py --model runs/photos/best.keras --data photos/ --split val \\
        --json outputs/photos_val.json
    scripts/evaluate.py --model coco --gpu 0 --split all \\
        --data data/coco2017/annotations/instances_val2017.json
    scripts/evaluate.py --model runs/pets/best.keras --data ~/oxford_pets --compose 4 \\
        --figure outputs/pets_scenes.png
"""

import argparse
import json
import sys
from pathlib import Path

from options import (
    add_data,
    add_device,
    add_format,
    add_model,
    choose_device,
    class_names,
    load_model,
    long_side,
    sentence,
)

import mrcnn_tf as mr

LABELLED = 10  # objects in a panel; the labels of more hide what they name


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model(parser)
    add_data(parser)
    add_format(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="which part is measured (default test); all: every image of your own "
        "annotations",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures")
    parser.add_argument(
        "--figure", type=Path, help="PNG of eight images, answers drawn"
    )
    add_device(parser)
    return parser.parse_args(arguments)


def open_dataset(options, model):
    """Opens what is to be measured, with the classes of the model."""
    format = None if options.format == "auto" else options.format
    classes = class_names(model)
    if options.split == "all":
        return mr.datasets.load_all(options.data, format, classes)
    splits = mr.datasets.load(
        options.data,
        size=long_side(model),
        compose=options.compose,
        format=format,
        classes=classes,
    )
    return getattr(splits, options.split)


def measure(options):
    """Measures and draws as the command line says."""
    for path in (options.json, options.figure):
        if path:  # a fault here should show before an hour is spent
            path.parent.mkdir(parents=True, exist_ok=True)
    model = load_model(options)
    dataset = open_dataset(options, model)
    print(
        f"measuring {options.model} on {len(dataset)} images of {options.data}, "
        f"split {options.split}, on {mr.training.device_name()}",
        flush=True,
    )
    evaluation = mr.evaluate(model, dataset)
    print(evaluation)
    if options.json:
        source = {
            "model": str(options.model),
            "data": options.data,
            "split": options.split,
        }
        options.json.write_text(
            json.dumps({**source, **evaluation}, indent=2) + "\n", encoding="utf-8"
        )
        print(f"the figures are in {options.json}")
    if options.figure:
        samples = [dataset[i] for i in range(min(8, len(dataset)))]
        figure, axes = mr.visualize.panels(len(samples), columns=4)
        for axis, sample in zip(axes, samples, strict=True):
            result = model.detect(sample.image).keep(0.5)
            shown = ("masks", "outlines", "boxes", "labels")
            if len(result) > LABELLED:
                shown = ("masks", "outlines")
            mr.visualize.draw(sample.image, result, show=shown, axes=axis)
        figure.savefig(options.figure)
        print(f"{len(samples)} answers drawn in {options.figure}")


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        measure(options)
    except (ValueError, OSError) as error:
        print(f"evaluate: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nevaluate: stopped; nothing is written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
