#!/usr/bin/env python
"""Measures a trained model: box AP and mask AP, and a picture of its answers.

Examples:
    scripts/evaluate.py --model runs/shapes/best.keras --data shapes
    scripts/evaluate.py --model runs/pets/best.keras --data ~/oxford_pets --compose 4 \\
        --figure outputs/pets_scenes.png
"""

import argparse
import sys
from pathlib import Path

from options import add_data

import mrcnn_tf as mr


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, type=Path, help="a .keras file")
    add_data(parser)
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument(
        "--figure", type=Path, help="PNG of eight images, answers drawn"
    )
    return parser.parse_args(arguments)


def measure(options):
    """Measures and draws as the command line says."""
    model = mr.MaskRCNN.load(options.model)
    size = model.config.image.long_side
    splits = mr.datasets.load(options.data, size=size, compose=options.compose)
    dataset = getattr(splits, options.split)
    print(f"measuring {options.model} on {len(dataset)} images of {options.data}")
    print(mr.evaluate(model, dataset))
    if options.figure:
        samples = [dataset[i] for i in range(min(8, len(dataset)))]
        figure, axes = mr.visualize.panels(len(samples), columns=4)
        for axis, sample in zip(axes, samples, strict=True):
            result = model.detect(sample.image).keep(0.5)
            mr.visualize.draw(sample.image, result, axes=axis)
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.figure)
        print(f"eight answers drawn in {options.figure}")


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        measure(options)
    except (ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
