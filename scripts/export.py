#!/usr/bin/env python
"""Exports a trained model as SavedModel, ONNX or LiteRT, and checks what it wrote.

The file is loaded by the plain program of scripts/examples/ that you can take with you,
and its detections are compared with the Keras model's on images: yours with --check,
else generated ones. It gets its name only if they agree; else the exit status is 1 and
no file is left. --measure also compares AP over a data set.

Examples:
    scripts/export.py --model runs/pets/best.keras --to saved_model --out pets_model/
    scripts/export.py --model runs/pets/best.keras --to onnx --out pets.onnx \\
        --check photos/*.jpg
    scripts/export.py --model runs/shapes/best.keras --to litert --out shapes.tflite \\
        --measure shapes --images 200
"""

import argparse
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from options import add_device, add_model, choose_device, load_model, sentence

import mrcnn_tf as mr
from mrcnn_tf import exporting

MAX_AP = 0.002  # 0.2 points, by which --measure lets AP differ
SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model(parser)
    parser.add_argument("--to", required=True, choices=exporting.FORMATS)
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="file to write, ending in .onnx or .tflite; of a SavedModel, a folder",
    )
    parser.add_argument("--force", action="store_true", help="replace --out")
    parser.add_argument(
        "--check", nargs="+", type=Path, metavar="IMAGE", help="images to compare on"
    )
    parser.add_argument(
        "--measure", metavar="DATA", help="compare AP too: shapes, animals or a folder"
    )
    parser.add_argument(
        "--compose", type=int, default=0, metavar="N", help="as scripts/evaluate.py"
    )
    parser.add_argument(
        "--images", type=int, default=200, help="of DATA's test part (default 200)"
    )
    add_device(parser)
    return parser.parse_args(arguments)


class Exported:
    """An exported model, run by the example of its format; as `MaskRCNN.detect`."""

    def __init__(self, kind, path):
        self.example = importlib.import_module(f"examples.{kind}_example")
        self.model, self.classes = self.example.load(path)

    def detect(self, image):
        """Takes uint8 [H, W, 3], gives a `Result`."""
        found = self.example.detect(self.model, image)
        return mr.Result(
            boxes=found["boxes"],
            classes=found["classes"],
            scores=found["scores"],
            rles=tuple(mr.rle.encode(mask) for mask in found.get("masks", ())),
            height=image.shape[0],
            width=image.shape[1],
            class_names=tuple(self.classes),
        )


class FirstImages:
    """The first images of a data set."""

    def __init__(self, dataset, count):
        self.dataset, self.classes = dataset, dataset.classes
        self.count = min(count, len(dataset))

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.dataset[index]


def generated_images(image_config):
    """Toy scenes, one of them of another size and shape than the network's input.

    Returns:
        dict from a name to uint8 [H, W, 3].
    """
    side = int(np.clip(image_config.long_side, 128, 512))
    images = {}
    for scenes in (mr.datasets.Shapes, mr.datasets.Animals):
        name = scenes.__name__.lower()
        for index in range(2):
            images[f"{name} {index}"] = scenes(2, size=side)[index].image
        larger = scenes(1, seed=1, size=3 * side // 2)[0].image
        images[f"{name}, larger and wide"] = larger[: side + 1]
    return images


def check(model, exported, images):
    """Compares detections image by image, prints a table.

    Raises:
        ValueError: if they are not the same, or there are none to compare.
    """
    width = max(len(name) for name in images)
    print(f"{'':<{width}}  size       Keras  file   box px    score  mask IoU")
    total = exporting.Agreement(0, 0, 0, 0.0, 0.0, 1.0)
    wrong = []
    for name, image in images.items():
        one = exporting.compare_results(
            model.detect(image), exported.detect(image), model.config.detection
        )
        size = f"{image.shape[1]} x {image.shape[0]}"
        print(
            f"{name:<{width}}  {size:<11}{one.expected:>5}{one.found:>6}"
            f"{one.box:>9.4f}{one.score:>9.1e}{one.mask_iou:>10.4f}"
            + ("" if one.holds else "   not the same")
        )
        total += one
        if not one.holds:
            wrong.append(name)
    if wrong:
        raise ValueError(
            f"the file does not do what the Keras model does, on {', '.join(wrong)}: "
            f"{total.unmatched} detections without their like; at most "
            f"{exporting.MAX_BOX} px, {exporting.MAX_SCORE} of score and a mask IoU of "
            f"{exporting.MIN_MASK_IOU} would pass; it is deleted"
        )
    if not total.expected:
        raise ValueError(
            "the model finds nothing in these images, so that they prove nothing: name "
            "images of its own objects with --check"
        )


def measure(model, exported, options):
    """Compares AP, prints both.

    Raises:
        ValueError: if they differ by more than `MAX_AP`.
    """
    splits = mr.datasets.load(
        options.measure,
        size=model.config.image.long_side,
        compose=options.compose,
        classes=model.config.classes,
    )
    dataset = FirstImages(splits.test, options.images)
    ours, theirs = mr.evaluate(model, dataset), mr.evaluate(exported, dataset)
    differences = []
    print(f"AP on {len(dataset)} images of {options.measure}    Keras     file")
    for kind in ("box", "mask"):
        if ours[kind] is not None:
            before, after = ours[kind]["AP"], theirs[kind]["AP"]
            print(f"  {kind:<5} {before:.4f}  {after:.4f}")
            differences.append(abs(before - after))
    if not max(differences) <= MAX_AP:
        raise ValueError(
            f"AP differs by {max(differences):.4f}, more than {MAX_AP}; it is deleted"
        )


def export(options):
    """Writes, checks, and only then names the file."""
    out, kind = options.out, options.to
    if out.suffix != SUFFIXES[kind] and SUFFIXES[kind]:
        raise ValueError(f"--out of {kind} must end in {SUFFIXES[kind]}, found {out}")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists: --force replaces it")
    if options.check:
        images = {path.name: mr.datasets.read_image(path) for path in options.check}
    model = load_model(options, mr.MaskRCNN.load)
    exporting.check_exportable(model.config, kind)
    if not options.check:
        images = generated_images(model.config.image)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside --out, for it to be moved there in one step.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".unchecked-") as folder:
        written = Path(folder) / f"model{SUFFIXES[kind]}"
        print(f"writing {kind} of {options.model}", flush=True)
        exporting.write(model, kind, written)
        exported = Exported(kind, written)
        check(model, exported, images)
        if options.measure:
            measure(model, exported, options)
        if out.is_dir():
            shutil.rmtree(out)
        written.replace(out)
    files = out.rglob("*") if out.is_dir() else [out]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(
        f"done: {out}, {size:.1f} MB, does what the Keras model does; run it with "
        f"scripts/examples/{kind}_example.py"
    )


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        export(options)
    except (ValueError, OSError) as error:
        print(f"export: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nexport: stopped; nothing is written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
