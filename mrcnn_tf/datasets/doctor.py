"""Examines a data set: what it holds, what is wrong with it, whether anchors fit it.

Every image is read whole and every annotation checked, by the code that training
uses: what is reported as left out or mended is just what training leaves out or mends.
Exit status: 0 without errors, warnings or not; 1 with errors; 2 for a wrong command.

Examples:
    python -m mrcnn_tf.datasets.doctor ~/my_data
    python -m mrcnn_tf.datasets.doctor annotations/train.json --preset pets
    python -m mrcnn_tf.datasets.doctor ~/my_data --json > report.json
    python -m mrcnn_tf.datasets.doctor ~/my_data --fix
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from mrcnn_tf.config import Config
from mrcnn_tf.datasets.anchor_recall import (
    anchor_recall,
    best_overlaps,
    suggest_sizes,
)
from mrcnn_tf.datasets.doctor_checks import (
    class_fault,
    empty_fault,
    repeated_images,
)
from mrcnn_tf.datasets.examined import examine_images
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.formats import FORMATS, find_format, read_annotations
from mrcnn_tf.datasets.repair import check_writable, write_fixed
from mrcnn_tf.datasets.report import Counts, Report, size_group
from mrcnn_tf.presets import PRESETS


def examine(path, name=None, preset="resnet50_fpn", least=10, progress=True, fix=False):
    """Examines a data set.

    Args:
        path: of a file or a folder, as of `read_annotations`.
        name: a key of `FORMATS`, or None to find the format by looking.
        preset: name of the preset whose anchors are compared with the objects.
        least: a class of fewer objects to train on is reported.
        progress: whether to show a progress bar, on stderr.
        fix: whether to write a repaired copy, as of `repair.write_fixed`.
    Returns:
        a `Report`. Annotations that cannot be read at all are a fault in it.
    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if there is no such format or preset.
        OSError: if the repaired copy cannot be written.
    """
    config = Config.preset(preset)
    if name is not None and name not in FORMATS:
        raise ValueError(f"no format {name!r}; there are {list(FORMATS)}")
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file or folder; is the path right?")
    try:
        splits = read_annotations(path, name)
    except (ValueError, OSError) as error:
        found = str(error).removeprefix(f"{path}: ")
        fault = Fault(
            "unreadable annotations", str(path), "", found, "nothing was examined"
        )
        return Report(str(path), name or "", {}, [fault], preset)
    if fix:
        check_writable(path, splits)
    images = {
        split: examine_images(annotations, split, progress)
        for split, annotations in splits.items()
    }
    digests = {split: [i.digest for i in part] for split, part in images.items()}
    repeated, shared, listed = repeated_images(splits, digests)
    to_train = "train" if "train" in splits else next(iter(splits))

    faults = []
    for split, annotations in splits.items():
        faults += annotations.faults
        faults += [fault for image in images[split] for fault in image.faults]
        faults.append(empty_fault(annotations, split))
    faults += [*repeated, class_fault(splits[to_train], least, to_train)]

    recall, suggestion = _recall(images[to_train], config)
    slots = config.train.max_objects
    written = ()
    if fix:
        unusable = {
            (split, place)
            for split, part in images.items()
            for place, image in enumerate(part)
            if image.used is None
        }
        written = write_fixed(path, splits, unusable, shared, listed, progress)
    return Report(
        path=str(path),
        format=name or find_format(path) or "",
        counts={
            split: _count(images[split], annotations.classes)
            for split, annotations in splits.items()
        },
        faults=[fault for fault in faults if fault],
        preset=preset,
        recall=recall,
        suggestion=suggestion,
        slots=slots,
        overfull=sum(len(i.used.boxes) > slots for i in images[to_train] if i.used),
        written=tuple(written),
    )


def _count(images, classes):
    """Returns the `Counts` of a list of `ExaminedImage`."""
    counts = Counts(images=len(images))
    counts.classes.update(dict.fromkeys(classes, 0))
    for used in (image.used for image in images):
        if used is None:
            counts.unusable += 1
            continue
        is_object = ~used.crowd
        counts.image_sizes["{} x {}".format(*used.size)] += 1
        counts.empty += len(used.boxes) == 0
        counts.most = max(counts.most, len(used.boxes))
        counts.crowds += int(used.crowd.sum())
        counts.objects += int(is_object.sum())
        counts.classes.update(classes[label - 1] for label in used.classes[is_object])
        counts.groups.update(map(size_group, used.areas[is_object]))
    return counts


def _recall(images, config):
    """Returns the `Recall` of a config's anchors and of better ones, each or None."""
    parts = [i.used for i in images if i.used and not i.used.crowd.all()]
    if not parts:
        return None, None
    boxes = np.concatenate([part.boxes[~part.crowd] for part in parts])
    areas = np.concatenate([part.areas[~part.crowd] for part in parts])
    counts = [int((~part.crowd).sum()) for part in parts]
    sizes = np.repeat([part.size for part in parts], counts, axis=0)
    groups = np.array([size_group(area) for area in areas])

    def measure(config):
        overlaps = best_overlaps(boxes, sizes, config)
        rpn = config.rpn
        return anchor_recall(overlaps, groups, rpn.anchor_sizes, rpn.positive_iou)

    better = suggest_sizes(boxes, sizes, config)
    changed = better and config.replace(rpn={"anchor_sizes": better})
    return measure(config), better and measure(changed)


def main(arguments=None):
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        "python -m mrcnn_tf.datasets.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", help="a file of annotations, or the folder of all")
    parser.add_argument(
        "--format", choices=FORMATS, help="of the annotations; found by looking"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="resnet50_fpn",
        help="whose anchors are compared with the objects (default %(default)s)",
    )
    parser.add_argument(
        "--min-objects",
        type=int,
        default=10,
        metavar="N",
        help="report classes of fewer objects to train on (default %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON document with every fault"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write what training would use as COCO JSON, <name>_fixed.json, beside "
        "the original, which is never changed",
    )
    options = parser.parse_args(arguments)
    print(
        f"Examining {options.path}: every image is read, every annotation checked"
        f"{', and a repaired copy written' if options.fix else ''}.",
        file=sys.stderr if options.json else sys.stdout,
        flush=True,
    )
    try:
        report = examine(
            options.path,
            options.format,
            options.preset,
            options.min_objects,
            fix=options.fix,
        )
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.to_dict(), indent=2) if options.json else f"\n{report}")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
