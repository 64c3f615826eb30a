#!/usr/bin/env python
"""Converts annotations of any supported format to COCO JSON.

Images stay where they are; the new file names them relative to its own folder. Masks
become run lengths, pixel for pixel. Data in several splits make a file for each, of
which --out gives the folder.

Examples:
    scripts/convert.py my_photos/ --out my_photos/coco.json
    scripts/convert.py via_project.json --format via --out coco.json
    scripts/convert.py VOC2012/ --out coco/            # coco/train_annotations.json ...
    scripts/convert.py VOC2012/ --split val --out val.json
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mrcnn_tf.datasets.checks import image_fault, make_sample
from mrcnn_tf.datasets.coco_writer import images_folder, write_samples
from mrcnn_tf.datasets.faults import Fault, summary
from mrcnn_tf.datasets.formats import FORMATS, read_annotations

_LISTED = 10  # faults


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path", type=Path, help="annotation file, or folder of the data"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="file to write, ending in .json; or a folder, for a file of each split",
    )
    parser.add_argument(
        "--format",
        choices=("auto", *FORMATS),
        default="auto",
        help="of the annotations; auto finds it by looking",
    )
    parser.add_argument("--split", help="convert this one alone, as train or val")
    parser.add_argument("--force", action="store_true", help="replace files of --out")
    return parser.parse_args(arguments)


def plan(options):
    """Reads the annotations and decides which files to write.

    Returns:
        files: dict from Path to `Annotations`.
        classes: names in all splits, for category ids to be the same in all files.
    Raises:
        ValueError: if there is no such split, --out is of the wrong kind, or a file
            to write exists.
    """
    name = None if options.format == "auto" else options.format
    splits = read_annotations(options.path, name)
    classes = tuple(dict.fromkeys(n for part in splits.values() for n in part.classes))
    if options.split is not None:
        if options.split not in splits:
            raise ValueError(
                f"{options.path}: no split {options.split!r}, there are "
                f"{[split or 'one without a name' for split in splits]}"
            )
        splits = {options.split: splits[options.split]}
    is_file = options.out.suffix.lower() == ".json"
    if is_file and len(splits) > 1:
        raise ValueError(
            f"{options.path} has the splits {list(splits)}: give --out a folder, or "
            "choose one with --split"
        )
    files = {
        options.out
        if is_file
        else options.out / f"{f'{split}_' if split else ''}annotations.json": part
        for split, part in splits.items()
    }
    read = {
        Path(record.file).resolve()
        for part in splits.values()
        for record in part.records
    }
    for file in files:
        if file.resolve() in read:
            raise ValueError(f"{file} is what is read: give --out another name")
        for there in (file, images_folder(file)):
            if there.exists() and not options.force:
                raise ValueError(f"{there} exists: --force replaces it")
    return files, classes


def convert(file, annotations, classes):
    """Writes one file; returns a list of what was wrong, `Fault`."""
    faults, counts = list(annotations.faults), {"images": 0, "objects": 0}

    def pairs():
        for record in tqdm(annotations.records, file.name):
            fault = image_fault(record)
            if fault is None:
                try:
                    sample, found = make_sample(record, classes, annotations.has_masks)
                except ValueError as error:  # damaged behind its head
                    fault = Fault(
                        "unreadable image", record.name, "", str(error), "left out"
                    )
            if fault is not None:
                faults.append(fault)
                continue
            faults.extend(found)
            counts["images"] += 1
            counts["objects"] += len(sample.boxes)
            yield sample, record.image
        if not counts["images"]:
            why = faults[0] if faults else "the annotations list none"
            raise ValueError(f"{file} is not written, no image can be used: {why}")

    write_samples(file, pairs(), classes)
    print(
        f"{file}: {counts['images']} of {len(annotations.records)} images, "
        f"{counts['objects']} objects, {len(classes)} classes, "
        f"{'masks' if annotations.has_masks else 'boxes alone'}"
    )
    return faults


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    # Names from the data may hold what the terminal's encoding has not.
    sys.stdout.reconfigure(errors="backslashreplace")
    print(
        f"converting {options.path} (format: {options.format}) to COCO JSON in "
        f"{options.out}",
        flush=True,
    )
    try:
        files, classes = plan(options)
        faults = []
        for file, annotations in files.items():
            faults += convert(file, annotations, classes)
    except (ValueError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    if faults:
        print(f"faults: {summary(faults)}")
        for fault in faults[:_LISTED]:
            print(f"  {fault}")
    if len(faults) > _LISTED:
        print("  ... python -m mrcnn_tf.datasets.doctor lists all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
