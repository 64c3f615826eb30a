#!/usr/bin/env python
"""Compares detectors: YOLO, Faster R-CNN and Mask R-CNN, the same images, one table.

Box AP by COCO's measure and by Pascal VOC's, by size, and by crowding: whether the
centres of objects share a cell of YOLO's grid. Images a second hold all that an image
takes, one at a time: leave the machine idle. Writes detectors.json, detectors.md,
detectors.png and answers.png, of the images with most objects.

Where data have boxes only, a Mask R-CNN cannot be trained on them: leave it out.

Examples:
    scripts/compare_detectors.py --yolo runs/yolo/best.keras \\
        --faster-rcnn runs/faster/best.keras --mask-rcnn runs/shapes/best.keras \\
        --data shapes --each 150 --out outputs/detectors_shapes
    scripts/compare_detectors.py --yolo runs/yolo_cells/best.keras \\
        --faster-rcnn runs/cells/best.keras --data cells/ --out outputs/detectors_cells
"""

import argparse
import json
import sys
from pathlib import Path

from options import (
    add_data,
    add_device,
    add_format,
    choose_device,
    class_names,
    long_side,
    sentence,
)

import mrcnn_tf as mr
from mrcnn_tf import yolo
from mrcnn_tf.datasets.splits import TOYS
from mrcnn_tf.evaluation import compare_detectors
from mrcnn_tf.evaluation.crowding import Picked, pick_by_crowding

YOLO, FASTER_RCNN, MASK_RCNN = "YOLO", "Faster R-CNN", "Mask R-CNN"
DRAWN = 4  # images of answers.png
LOOKED_THROUGH = 30_000  # generated scenes, at most, for --each
TEST_SEED = 3  # of `datasets.load`: its test scenes are the first of these
LEAST_SCORE = 0.3  # of the answers that are drawn


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--yolo", type=Path, metavar="FILE", help="a .keras file of train_yolo.py"
    )
    parser.add_argument(
        "--faster-rcnn",
        type=Path,
        metavar="FILE",
        help="a .keras file of train.py, with roi.mask_kind none",
    )
    parser.add_argument(
        "--mask-rcnn", type=Path, metavar="FILE", help="a .keras file of train.py"
    )
    add_data(parser)
    add_format(parser)
    parser.add_argument(
        "--images", type=int, default=200, help="test images, at most (default 200)"
    )
    parser.add_argument(
        "--each",
        type=int,
        default=0,
        metavar="N",
        help="of shapes or animals: N scenes for each degree of crowding, instead",
    )
    parser.add_argument(
        "--grid", type=int, default=7, help="cells a side, of the crowding (default 7)"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    add_device(parser)
    return parser.parse_args(arguments)


def run(options):
    """Compares as the command line says."""
    if options.images < 1 or options.grid < 1 or options.each < 0:
        raise ValueError(
            "--images and --grid must be at least 1 and --each at least 0, found "
            f"{options.images}, {options.grid} and {options.each}"
        )
    if options.each and options.data not in TOYS:
        raise ValueError(
            f"--each is for {' and '.join(TOYS)}, which have no end; leave it out for "
            f"{options.data}"
        )
    models = load_models(options)
    classes = tuple(class_names(next(iter(models.values()))))
    for name, model in models.items():
        if tuple(class_names(model)) != classes:
            raise ValueError(
                "the detectors have learnt different classes: "
                f"{next(iter(models))} {', '.join(classes)}; {name} "
                f"{', '.join(class_names(model))}"
            )
    size = max(long_side(model) for model in models.values())
    dataset = open_images(options, classes, size)
    if tuple(dataset.classes) != classes:
        raise ValueError(
            f"the detectors have learnt {', '.join(classes)}; {options.data} has "
            f"{', '.join(dataset.classes)}"
        )
    comparison = compare_detectors(models, dataset, options.grid)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "detectors.json").write_text(json.dumps(comparison, indent=1))
    (options.out / "detectors.md").write_text(f"{comparison}\n")
    mr.visualize.draw_detectors(comparison).savefig(options.out / "detectors.png")
    draw(models, dataset).savefig(options.out / "answers.png")
    print(comparison)
    print(f"in {options.out}/")


def load_models(options):
    """Returns a dict from name to detector, of the files that were named."""
    models = {}
    if options.yolo:
        models[YOLO] = yolo.load(options.yolo)
    for name, path in (
        (FASTER_RCNN, options.faster_rcnn),
        (MASK_RCNN, options.mask_rcnn),
    ):
        if path:
            models[name] = mr.MaskRCNN.load(path)
            found = MASK_RCNN if models[name].config.has_masks else FASTER_RCNN
            if found != name:
                raise ValueError(f"{path} is a {found}, expected a {name}")
    if not models:
        raise ValueError("expected --yolo, --faster-rcnn or --mask-rcnn; see --help")
    return models


def open_images(options, classes, size):
    """Opens the test images, with the classes of the detectors."""
    if options.each:
        scenes = TOYS[options.data](LOOKED_THROUGH, seed=TEST_SEED, size=size)
        return pick_by_crowding(scenes, options.each, options.grid)
    format = None if options.format == "auto" else options.format
    test = mr.datasets.load(
        options.data, size, options.compose, format, classes=classes
    ).test
    return Picked(test, range(min(options.images, len(test))))


def draw(models, dataset):
    """Draws the answers on the images with most objects, the first of equals."""
    counts = [int((~dataset[index].crowd).sum()) for index in range(len(dataset))]
    order = sorted(range(len(dataset)), key=lambda index: -counts[index])
    samples = [dataset[index] for index in sorted(order[:DRAWN])]
    results = {
        name: [model.detect(sample.image).keep(LEAST_SCORE) for sample in samples]
        for name, model in models.items()
    }
    return mr.visualize.draw_answers(samples, results, dataset.classes)


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        run(options)
    except (ValueError, OSError) as error:
        print(f"compare_detectors: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncompare_detectors: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
