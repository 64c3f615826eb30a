"""COCO JSON to records: polygons, both kinds of RLE, crowds, ids with gaps."""

import numpy as np

from mrcnn_tf.datasets.coco_files import annotation_files, find_images
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.json_files import read_json
from mrcnn_tf.datasets.records import Annotations, Object, Record


def matches(path):
    """Says whether a file is COCO JSON, or a folder holds some, by its first bytes.

    Args:
        path: Path.
    Returns:
        bool.
    """
    return bool(annotation_files(path))


def read(path):
    """Reads a COCO JSON file, or one for each split that a folder holds.

    Args:
        path: Path of a JSON file; or of a folder that holds one, or one for each split
            with the split's name in its own, directly or in annotations/.
    Returns:
        dict from "train", "val" and "test", or from "" where no name says which, to
        `Annotations`. Classes are in the order of category ids.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file is not of COCO's structure, or two are of one split.
    Source: https://cocodataset.org/#format-data.
    """
    if not path.is_dir():
        return {"": _read_file(path)}
    found = annotation_files(path)
    several = [files for files in found.values() if len(files) > 1]
    if "" in found and len(found) > 1:
        several.append([files[0] for _, files in sorted(found.items())])  # "" first
    if several:
        names = " and ".join(str(file.relative_to(path)) for file in several[0][:2])
        raise ValueError(
            f"{path}: {names} may both be meant; name one of them instead of the "
            "folder, or move the other away"
        )
    return {split: _read_file(files[0]) for split, files in found.items()}


def _read_file(file):
    content = read_json(file, object_hook=_compact)
    for part in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise ValueError(
                f"{file}: expected an object with the lists images, annotations and "
                f"categories, found no list {part}; is it COCO JSON?"
            )
    faults = []

    def report(kind, where, found, mend):
        faults.append(Fault(kind, str(file), where, found, mend))

    names = _categories(content["categories"], report)
    images, owners = _images(content["images"], report)
    objects = _annotations(content["annotations"], names, owners, report)
    paths = find_images(file, [name for name, _ in images.values()])
    records = [
        Record(path, image_id, tuple(objects.get(image_id, ())), file, size)
        for path, (image_id, (_, size)) in zip(paths, images.items(), strict=True)
    ]
    return Annotations(tuple(dict.fromkeys(names.values())), records, faults)


def _compact(item):
    """Makes arrays of polygons as soon as they are parsed: a tenth of the memory.

    What is no list of lists of numbers is left, for `_outline` to report.
    """
    outline = item.get("segmentation")
    if isinstance(outline, list):
        try:
            # Some programs write [[]] for a box alone.
            arrays = [np.array(part) for part in outline if part != []]
        except (ValueError, OverflowError):  # lists of unlike lengths, huge numbers
            return item
        if all(array.ndim == 1 and array.dtype.kind in "iuf" for array in arrays):
            item["segmentation"] = tuple(
                a.astype(np.float64, copy=False) for a in arrays
            )
    return item


def _entries(entries, noun, report):
    """Yields id or None, place for errors, and entry of each entry that is one."""
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            identity = _id(entry.get("id"))
            place = f"{number} of the list" if identity is None else repr(identity)
            yield identity, f"{noun} {place}", entry
        else:
            report(
                "bad value",
                f"{noun} {number} of the list",
                f"expected an object, found {_short(entry)}",
                "left out; remove it",
            )


def _categories(entries, report):
    """Returns a dict from category id to class name, by rising id."""
    names, listed = {}, set()
    for category_id, where, entry in _entries(entries, "category", report):
        name = entry.get("name")
        if category_id is None or not _is_text(name):
            report(
                "bad value",
                where,
                f"expected an id and a name, found {_short(entry)}",
                "left out; give it both",
            )
        elif category_id in names:
            report(
                "duplicate id",
                where,
                f"{names[category_id]!r} and {name!r} both have it",
                "the first is used; number the categories anew",
            )
        else:
            if name in listed:
                report(
                    "duplicate id",
                    where,
                    f"{name!r} is listed before with another id",
                    "read as one class; merge the two, or rename one",
                )
            names[category_id] = name
            listed.add(name)
    # Numbers before texts, with which they cannot be compared.
    return dict(
        sorted(names.items(), key=lambda pair: (isinstance(pair[0], str), pair[0]))
    )


def _images(entries, report):
    """Sorts out which images there are.

    Returns:
        images: dict from image id to (file name, size or None).
        owners: dict from each id that annotations may use to one of `images`.
    """
    images, owners, listed = {}, {}, {}
    for image_id, where, entry in _entries(entries, "image", report):
        name = entry.get("file_name")
        if image_id is None or not _is_text(name):
            report(
                "bad value",
                where,
                f"expected an id and a file_name, found {_short(entry)}",
                "left out; give it both",
            )
        elif image_id in owners and images[owners[image_id]][0] != name:
            report(
                "duplicate id",
                where,
                f"{images[owners[image_id]][0]} and {name} both have it",
                "the second left out; number the images anew",
            )
        elif name in listed:
            report(
                "image listed twice",
                where,
                f"{name} is listed before, with the id {listed[name]!r}",
                "read once, with the objects of both; remove one",
            )
            owners.setdefault(image_id, listed[name])
        else:
            images[image_id] = (name, _size(entry, where, report))
            owners[image_id] = listed[name] = image_id
    return images, owners


def _size(entry, where, report):
    """Returns (height, width) of an image entry, or None."""
    size = entry.get("height"), entry.get("width")
    if size == (None, None):
        return None
    if all(type(side) is int for side in size):
        return size
    report(
        "bad value",
        where,
        f"expected whole numbers for height and width, found {_short(size)}",
        "not compared with the size of the file; correct it",
    )
    return None


def _annotations(entries, names, owners, report):
    """Returns a dict from image id to its list of `Object`."""
    objects, ids = {}, set()
    for annotation_id, where, entry in _entries(entries, "annotation", report):
        if annotation_id in ids:
            report(
                "duplicate id",
                where,
                "an annotation before has it, too",
                "both are read; number the annotations anew",
            )
        if annotation_id is not None:
            ids.add(annotation_id)
        image_id = owners.get(_id(entry.get("image_id")))
        name = names.get(_id(entry.get("category_id")))
        if image_id is None:
            report(
                "annotation without image",
                where,
                f"no image that was read has the id {_short(entry.get('image_id'))}",
                "left out; list its image, or remove it",
            )
        elif name is None:
            report(
                "unknown category",
                where,
                f"no category has the id {_short(entry.get('category_id'))}",
                "left out; list its category, or remove it",
            )
        else:
            try:
                item = _object(entry, name, annotation_id)
            except ValueError as error:
                report("bad value", where, str(error), "left out; correct it")
            else:
                objects.setdefault(image_id, []).append(item)
    return objects


def _object(entry, name, annotation_id):
    """Makes an `Object`; raises ValueError for values of wrong types."""
    outline, crowd = entry.get("segmentation"), entry.get("iscrowd") or 0
    if not outline:  # None, or empty: a box alone
        outline = None
    elif not isinstance(outline, (tuple, dict)):
        raise ValueError(
            "expected a segmentation of lists of numbers, or an RLE, found "
            f"{_short(outline)}"
        )
    box = _box(entry.get("bbox"))
    if box is None and outline is None:
        raise ValueError("found neither a bbox nor a segmentation")
    if crowd not in (0, 1):
        raise ValueError(f"expected an iscrowd of 0 or 1, found {_short(crowd)}")
    return Object(
        name, box, outline, bool(crowd), "" if annotation_id is None else annotation_id
    )


def _box(values):
    """Returns (y1, x1, y2, x2) of x, y, width and height; None where there is none."""
    if not values and values != 0:
        return None
    try:
        if all(type(value) in (int, float) for value in values):
            x, y, width, height = map(float, values)
            return y, x, y + height, x + width
    except (TypeError, ValueError, OverflowError):  # no list, not four, huge numbers
        pass
    raise ValueError(f"expected a bbox of four numbers, found {_short(values)}")


def _id(value):
    """Returns an id that is one, or None; some programs write 7 as 7.0."""
    if type(value) in (int, str):
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _is_text(value):
    return isinstance(value, str) and value != ""


def _short(value):
    return f"{value!r:.60}"
