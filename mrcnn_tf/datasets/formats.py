"""Which format a data set is in, found by looking, and its splits.

Each format has a file with two functions: `matches(path)` says whether a file or a
folder looks like it, and `read(path)` returns a dict from "train", "val" and "test",
or from "" for one set that is not divided, to `Annotations`.
"""

import dataclasses
import hashlib
import importlib
from pathlib import Path

from mrcnn_tf.datasets.records import Annotations

# By name, in the order in which they are tried: the module of each.
FORMATS = {
    "coco": "coco",
    "voc": "voc",
    "via": "via",
    "labelme": "labelme",
    "masks": "png_masks",
}
# What folders of a split are called.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# Of a set that is not divided, by a hash of each image's name: adding photographs
# moves few from one split to another.
_SHARES = {"val": 0.15, "test": 0.15}


def find_format(path):
    """Finds the format of a data set.

    Args:
        path: of a file or a folder.
    Returns:
        a key of `FORMATS`, or None.
    """
    for name in FORMATS:
        if _reader(name).matches(Path(path)):
            return name
    return None


def read_annotations(path, name=None):
    """Reads the annotations of a data set, in the splits that it has.

    Args:
        path: of a file or a folder; folders called train, val and test are read as
            the splits, each in any format.
        name: a key of `FORMATS`, or None to look.
    Returns:
        dict from "train", "val" and "test", or from "" for one set that is not
        divided, to `Annotations`; their classes are the same, the first's before
        what others have besides.
    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if it is in none of the formats, or its structure is broken.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; is the path right?")
    if name is not None and name not in FORMATS:
        raise ValueError(f"no format {name!r}; there are {list(FORMATS)}")
    found = name or find_format(path)
    if found and _reader(found).matches(path):
        return _with_same_classes(_reader(found).read(path))
    splits = {}
    for split, folder in _split_folders(path):
        inner = name or find_format(folder)
        if inner and _reader(inner).matches(folder):
            parts = _reader(inner).read(folder)
            splits[split] = merge(parts.values())
    if not splits:
        raise ValueError(
            f"{path}: found no annotations{f' in the format {name}' if name else ''}; "
            "expected a COCO JSON file or a folder with one, Pascal VOC's Annotations/ "
            "of XML files, a VIA project or region file, labelme JSON files beside "
            "the images, or PNG masks (a folder masks/ beside the images, or a folder "
            "for each image with images/ and masks/)"
        )
    return _with_same_classes(splits)


def divide(annotations):
    """Divides one set in three by the name of each image.

    Args:
        annotations: `Annotations` of three images or more.
    Returns:
        dict of "train", "val" and "test" to `Annotations`; the faults stay with
        "train". The same images are always divided in the same way.
    Raises:
        ValueError: for fewer than three images.
    """
    records = sorted(annotations.records, key=_place)
    if len(records) < 3:
        raise ValueError(
            f"{len(records)} annotated images cannot be divided for training, "
            "validation and test; annotate at least three"
        )
    parts, rest = {}, records
    for split, share in _SHARES.items():
        count = max(1, round(share * len(records)))
        parts[split], rest = rest[:count], rest[count:]
    classes = annotations.classes
    return {
        "train": Annotations(classes, rest, annotations.faults),
        **{split: Annotations(classes, part, []) for split, part in parts.items()},
    }


def merge(parts):
    """Returns several `Annotations` as one; its classes are all of theirs."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    return Annotations(
        _classes(parts),
        [record for part in parts for record in part.records],
        [fault for part in parts for fault in part.faults],
    )


def _classes(parts):
    return tuple(dict.fromkeys(name for part in parts for name in part.classes))


def _with_same_classes(splits):
    """Gives all splits the classes of all, though one may have no object of some."""
    classes = _classes(splits.values())
    return {
        split: dataclasses.replace(part, classes=classes)
        for split, part in splits.items()
    }


def _place(record):
    """Where an image stands in an order that is random and always the same."""
    name = str(record.image_id).encode()
    return hashlib.sha256(name).hexdigest(), str(record.image_id)


def _split_folders(path):
    if not path.is_dir():
        return
    for split, names in SPLIT_FOLDERS.items():
        for name in names:
            if (path / name).is_dir():
                yield split, path / name
                break


def _reader(name):
    return importlib.import_module(f"mrcnn_tf.datasets.{FORMATS[name]}")
