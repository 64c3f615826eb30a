"""A repaired COCO JSON beside a data set, of what training would use of it."""

import dataclasses
import os
from pathlib import Path

from tqdm import tqdm

from mrcnn_tf.datasets.checks import make_sample
from mrcnn_tf.datasets.coco_files import REPAIRED
from mrcnn_tf.datasets.coco_writer import write_samples


def check_writable(path, splits):
    """Finds out, before an hour of examining, that nothing could be written.

    Args:
        path, splits: as of `write_fixed`.
    Raises:
        PermissionError: if a folder may not be written to.
    """
    for split, annotations in splits.items():
        file = fixed_path(path, split, annotations)
        if not os.access(file.parent, os.W_OK):
            raise PermissionError(
                f"{file}: its folder may not be written to; copy the annotations to "
                "one that may"
            )


def write_fixed(path, splits, unusable, shared, listed, progress=True):
    """Writes one file for each split; the original is only read.

    Objects are mended or left out as `make_sample` does. Images that cannot be used
    are left out, as are images of which a later split has the same bytes; the
    objects of an image that is listed twice come together.

    Args:
        path: of the data set, str or Path.
        splits: dict from names to `Annotations`.
        unusable: set of (split, place of the record) of images to leave out.
        shared, listed: as `repeated_images` returns them.
        progress: whether to show a progress bar, on stderr.
    Returns:
        list of sentences, what was written.
    Raises:
        OSError: if a file cannot be written.
    """
    written = []
    for split, annotations in splits.items():
        records = list(annotations.records)
        for (name, place), first in listed.items():
            # The objects of an image that cannot be used have no pixels to lie on.
            if name == split and (split, place) not in unusable:
                both = records[first].objects + records[place].objects
                records[first] = dataclasses.replace(records[first], objects=both)
        kept = [
            record
            for place, record in enumerate(records)
            if not {(split, place)} & (unusable | shared | listed.keys())
        ]
        if not kept:
            written.append(f"{split or 'all'}: no image can be used, nothing written")
            continue
        file = fixed_path(path, split, annotations)
        objects = []  # of each image
        pairs = _samples(
            tqdm(kept, f"fix {split}".strip(), disable=not progress),
            annotations,
            objects,
        )
        write_samples(file, pairs, annotations.classes)
        read = sum(len(record.objects) for record in kept)
        left_out = {
            "images that cannot be used": _of(split, unusable),
            "images that are in a later split": _of(split, shared - unusable),
            "images that were listed before": _of(split, listed.keys() - unusable),
            "objects of images in use": read - sum(objects),
            "faults of reading, as listed above": len(annotations.faults),
        }
        words = [f"{what} ({count})" for what, count in left_out.items() if count]
        written.append(
            f"wrote {file}: images ({len(kept)}), objects ({sum(objects)}); left out "
            f"or mended: {', '.join(words) or 'nothing'}"
        )
    return written


def _samples(records, annotations, objects):
    """Yields (sample, image) as the writer takes them, and notes how many objects."""
    for record in records:
        sample, _ = make_sample(record, annotations.classes, annotations.has_masks)
        objects.append(len(sample.boxes))
        yield sample, record.image


def _of(split, places):
    return sum(name == split for name, _ in places)


def fixed_path(path, split, annotations):
    """Returns where the repaired file of a split goes.

    Beside the split's own file, if it has one; else beside the folder of the data
    set, as a COCO JSON within would be taken for the data set itself.

    Args:
        path: of the data set, str or Path.
        split: its name, or "".
        annotations: `Annotations`.
    Returns:
        Path.
    """
    files = {record.file for record in annotations.records}
    if len(files) == 1:
        (file,) = files
        if file.is_file() and file.suffix.lower() in (".json", ".xml"):
            return file.with_name(f"{file.stem}{REPAIRED}.json")
    path = Path(path).resolve()
    name = path.stem if path.is_file() else path.name
    return path.with_name("_".join(filter(None, (name, split))) + f"{REPAIRED}.json")
