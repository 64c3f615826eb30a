#!/usr/bin/env python
"""Compares a U-Net and a Mask R-CNN: the same scenes, both questions, one table.

What is each pixel, and which are the animals? Each network is asked both. The U-Net's
smallest region and Mask R-CNN's lowest score are chosen on validation scenes, and
figures are measured on test scenes. Writes comparison.json, comparison.md and
comparison.png, whose scenes the figures pick.

Example:
    scripts/compare.py --unet runs/unet_scenes/last.keras \\
        --mask-rcnn runs/pets/last.keras --data ~/oxford_pets --compose 4 \\
        --out outputs/compare
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
from options import add_data

import mrcnn_tf as mr
from mrcnn_tf import unet
from mrcnn_tf.evaluation import (
    ObjectAnswers,
    PixelAnswers,
    choose_setting,
    compare_models,
    telling_scenes,
)

UNET, MASK_RCNN = "U-Net", "Mask R-CNN"


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--unet",
        required=True,
        type=Path,
        metavar="FILE",
        help="a .keras file of train_unet.py --labels class, in the folder of its run",
    )
    parser.add_argument(
        "--mask-rcnn", required=True, type=Path, metavar="FILE", help="a .keras file"
    )
    add_data(parser)
    parser.add_argument(
        "--images", type=int, default=200, help="test images, at most (default 200)"
    )
    parser.add_argument(
        "--validation-images",
        type=int,
        default=100,
        help="images that the settings are chosen on, at most (default 100)",
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    return parser.parse_args(arguments)


def run(options):
    """Compares as the command line says."""
    for name in ("images", "validation_images"):
        if getattr(options, name) < 1:
            raise ValueError(
                f"--{name.replace('_', '-')} must be at least 1, "
                f"found {getattr(options, name)}"
            )
    mask_rcnn = mr.MaskRCNN.load(options.mask_rcnn)
    classes = mask_rcnn.config.classes
    size = mask_rcnn.config.image.long_side
    splits = mr.datasets.load(options.data, size=size, compose=options.compose)
    if tuple(splits.test.classes) != classes:
        raise ValueError(
            f"{options.mask_rcnn} was trained on the classes {', '.join(classes)}, "
            f"{options.data} has {', '.join(splits.test.classes)}"
        )
    semantic = unet.load(options.unet, "class", classes)
    contenders = {
        UNET: PixelAnswers(semantic, unet.predict, classes),
        MASK_RCNN: ObjectAnswers(mask_rcnn),
    }
    options.out.mkdir(parents=True, exist_ok=True)

    start = time.monotonic()
    validation = first(splits.val, options.validation_images)
    settings = choose(contenders, validation, classes)
    samples = first(splits.test, options.images)
    comparison = compare_models(contenders, settings, samples, classes)
    for name, path in ((UNET, options.unet), (MASK_RCNN, options.mask_rcnn)):
        peak = measure_memory(name, path, classes, size)
        comparison["models"][name]["peak MB"] = peak
    (options.out / "comparison.json").write_text(json.dumps(comparison, indent=1))
    (options.out / "comparison.md").write_text(f"{comparison}\n")
    print(comparison)
    figure = draw(contenders, settings, samples, comparison)
    figure.savefig(options.out / "comparison.png")
    seconds = time.monotonic() - start
    print(f"compared on {len(samples)} images in {seconds:.0f} s, in {options.out}/")


def measure_memory(name, path, classes, side):
    """Returns the peak memory of a process that answers one image and is gone.

    Args:
        name: UNET or MASK_RCNN.
        path: of the network's file.
        classes: class names without background.
        side: of a blank image, pixels; the networks' shapes are fixed, whatever it
            shows.
    Returns:
        2**20 bytes, TensorFlow's own among them.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_answer_once, (name, path, classes, side))


def _answer_once(name, path, classes, side):
    image = np.zeros((side, side, 3), np.uint8)
    if name == UNET:
        unet.predict(unet.load(path, "class", classes), image)
    else:
        mr.MaskRCNN.load(path).detect(image)
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose ru_maxrss starts from the parent's peak
        (peak,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS


def first(dataset, count):
    """Returns a list of the first samples of a dataset, at most `count`."""
    return [dataset[index] for index in range(min(count, len(dataset)))]


def choose(contenders, samples, classes):
    """Returns the setting of each contender, and prints what was tried."""
    settings = {}
    for name, contender in contenders.items():
        settings[name], quality = choose_setting(contender, samples, classes)
        tried = ", ".join(f"{value}: {pq:.3f}" for value, pq in quality.items())
        print(f"{name}, {contender.setting_name}, PQ on validation: {tried}")
    return settings


def draw(contenders, settings, samples, comparison):
    """Draws where either network is furthest ahead, and a typical scene."""
    rows = []
    for index, why in telling_scenes(comparison):
        sample, scene = samples[index], comparison["scenes"][index]
        answers, titles = {}, []
        for name, contender in contenders.items():
            seen = contender.look(sample.image)
            class_map = contender.semantic(seen, settings[name])
            result = contender.instances(seen, settings[name])
            answers[name] = class_map, result
            titles.append(f"{name}: {len(result)} found, PQ {scene['PQ'][name]:.2f}")
        rows.append(
            mr.visualize.ComparedScene(
                title=f"{why}: {scene['contact']}",
                sample=sample,
                class_map=answers[UNET][0],
                regions=answers[UNET][1],
                objects=answers[MASK_RCNN][1],
                titles=tuple(titles),
            )
        )
    return mr.visualize.draw_comparison(rows, comparison["classes"])


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        run(options)
    except (ValueError, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
