#!/usr/bin/env python
"""Finds objects in photographs: annotated pictures, and COCO results in one JSON file.

Examples:
    scripts/predict.py photo.jpg
    scripts/predict.py --model runs/pets/best.keras --out outputs/holiday holiday/*/

Folders are read for every kind of image, their subfolders are not: name each, as the
second example does. A file that cannot be read is reported at the end and stops
nothing; Ctrl-C stops, and keeps what was found. The pictures, JPEGs, are named as the
images are, and _2, _3 is added where two share a name. Each entry of results.json is
as COCO's, with the file's name and the class's besides; its image_id is the number in
the file's name where all are named by numbers, as COCO's images are, else its place
among all images in sorted order, from 1.
"""

import argparse
import json
import math
import sys
from pathlib import Path

from matplotlib.figure import Figure
from options import add_device, add_model, choose_device, load_model
from tqdm import tqdm

import mrcnn_tf as mr
from mrcnn_tf.datasets.images import image_suffixes
from mrcnn_tf.evaluation.coco import coco_results

RESULTS = "results.json"
# Of a picture, in pixels: for labels that can be read, and for the memory, as
# matplotlib takes 3 GB to draw a photograph of 50 megapixels, and twice that unreduced.
LONG_SIDE_MIN, LONG_SIDE_MAX = 600, 4096


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="IMAGE", help="images and folders"
    )
    add_model(parser, default="coco")
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.5,
        help="leaves out what scores less (default 0.5); models give nothing below "
        "their own least, usually 0.05, which is what measuring AP wants",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/predict"), help="folder of results"
    )
    add_device(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.min_score <= 1:
        parser.error(f"--min-score must be from 0 to 1, found {options.min_score}")
    return options


def find_images(inputs):
    """Finds the images among files and in folders.

    Args:
        inputs: list of Path. A file is an image whatever its ending; of a folder,
            those files are whose ending says so and whose name is not hidden.
    Returns:
        images: list of Path, sorted, none twice.
        passed_over: list of Path, what else the folders hold.
        failures: dict from a Path of `inputs` to why there is nothing to read.
    """
    suffixes = image_suffixes()
    images, passed_over, failures = set(), [], {}
    for path in inputs:
        if not path.is_dir():
            images.add(path)
            continue
        try:
            inside = sorted(path.iterdir())
        except OSError as error:
            failures[path] = str(error)
            continue
        found = {
            file
            for file in inside
            if file.suffix.lower() in suffixes
            and not file.name.startswith(".")
            and not file.is_dir()
        }
        if not found:
            failures[path] = "a folder without images"
        images |= found
        passed_over += [file for file in inside if file not in found]
    return sorted(images), passed_over, failures


def number_images(images):
    """Gives each image its id.

    Args:
        images: list of Path, sorted.
    Returns:
        ids: list of int: the numbers that the files are named by, as COCO's are,
            where all are and no two are equal; else 1, 2, 3, ...
        explanation: a string for people.
    """
    if all(path.stem.isascii() and path.stem.isdecimal() for path in images):
        ids = [int(path.stem) for path in images]
        if len(set(ids)) == len(ids):
            return ids, "the numbers that the files are named by"
    ids = list(range(1, len(images) + 1))
    return ids, "images are numbered from 1 in sorted order"


def name_pictures(images):
    """Names the picture of each image after it, no two alike.

    Args:
        images: list of Path.
    Returns:
        list of str: "cat.jpg", then "cat_2.jpg" for the next image called cat.
    """
    names = []
    taken = set()  # in lower case: to some file systems Cat and cat are one
    for path in images:
        stem, count = path.stem, 1
        while stem.lower() in taken:
            count += 1
            stem = f"{path.stem}_{count}"
        taken.add(stem.lower())
        names.append(f"{stem}.jpg")
    return names


def prepare_folder(out, images):
    """Makes the folder of results; returns the path of each image's picture.

    Raises:
        ValueError: if a picture would overwrite an image.
        OSError: if the folder cannot be written, before an hour is spent.
    """
    pictures = [out / name for name in name_pictures(images)]
    originals = {path.resolve() for path in images}
    for picture in pictures:
        if picture.resolve() in originals:
            raise ValueError(
                f"{picture} is one of the images and would be overwritten by a "
                "picture; choose another folder with --out"
            )
    out.mkdir(parents=True, exist_ok=True)
    probe = out / ".writable"
    probe.touch()
    probe.unlink()
    return pictures


def draw_picture(image, result):
    """Draws a result over its image, a pixel to a pixel.

    Small images are enlarged a whole number of times, large ones are reduced.

    Args:
        image: uint8 [H, W, 3].
        result: a `Result`.
    Returns:
        the matplotlib figure, known to nothing else: it goes when you let it go.
    """
    height, width = image.shape[:2]
    long_side = max(height, width)
    scale = min(math.ceil(LONG_SIDE_MIN / long_side), LONG_SIDE_MAX / long_side)
    height, width = height * scale, width * scale
    # Labels are 8 points, a ninth of an inch: on a photograph of 5 inches the same
    # share of it whatever its resolution, and 11 pixels at least.
    dpi = max(100, math.sqrt(height * width) / 5)
    # A thousandth of a pixel more: just below 640 would be cut to 639.
    size = ((width + 1e-3) / dpi, (height + 1e-3) / dpi)
    figure = Figure(size, dpi)
    mr.visualize.draw(image, result, axes=figure.add_axes((0, 0, 1, 1)))
    return figure


def predict(model, images, ids, pictures, min_score):
    """Yields for each image its entries of the results, or why there are none.

    Args:
        model: a `MaskRCNN`.
        images: list of Path.
        ids: list of int, one for each image.
        pictures: list of Path, where the picture of each image is written.
        min_score: 0 to 1.
    Yields:
        (entries, failure): a list of dicts, COCO results with "file_name" and
        "category_name", and None; or None and a string.
    Raises:
        OSError: if a picture cannot be written, as the next could not either.
    """
    for path, image_id, picture in zip(images, ids, pictures, strict=True):
        try:
            image = mr.datasets.read_image(path)
            result = model.detect(image).keep(min_score)
            figure = draw_picture(image, result)
        except Exception as error:  # whatever one image does, the next has its turn
            message = str(error) or type(error).__name__
            yield None, message.removeprefix(f"{path}: ")
            continue
        figure.savefig(picture, pil_kwargs={"quality": 92, "subsampling": 0})
        entries = coco_results(result, image_id)
        for entry, name in zip(entries, result.names, strict=True):
            entry |= {"file_name": path.as_posix(), "category_name": name}
        yield entries, None


def run(options):
    """Predicts as the command line says; returns the exit status."""
    images, passed_over, failures = find_images(options.inputs)
    if not images:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in failures.items())
        raise ValueError(f"nothing to do: {reasons}")
    ids, explanation = number_images(images)
    pictures = prepare_folder(options.out, images)
    model = load_model(options)

    results, done, interrupted = [], 0, False
    steps = predict(model, images, ids, pictures, options.min_score)
    try:
        for path, (entries, failure) in zip(
            tqdm(images, "predict", unit="image"), steps, strict=True
        ):
            if failure is None:
                results += entries
                done += 1
            else:
                failures[path] = failure
    except KeyboardInterrupt:
        interrupted = True
    finally:  # whatever happens, an hour's results are not lost
        (options.out / RESULTS).write_text(json.dumps(results), encoding="utf-8")

    print(
        f"{len(results)} detections of at least {options.min_score:g} in {done} of "
        f"{len(images)} images: {options.out / RESULTS}, pictures beside it\n"
        f"image_id: {explanation}"
    )
    if passed_over:
        names = ", ".join(path.name for path in passed_over[:5])
        more = ", ..." if len(passed_over) > 5 else ""
        print(f"{len(passed_over)} passed over in folders, no images: {names}{more}")
    if failures:
        print(f"{len(failures)} failed:")
        for path, reason in failures.items():
            print(f"  {path}: {reason}")
    if interrupted:
        print("predict: interrupted", file=sys.stderr)
        return 130  # as shells say it
    return 1 if failures else 0


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        choose_device(options)
        return run(options)
    except (ValueError, OSError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
