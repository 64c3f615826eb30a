"""What only the doctor looks for: faults that training cannot see, or does not mind."""

from collections import Counter

import numpy as np
from pycocotools import mask as coco_mask

from mrcnn_tf.datasets.checks import object_place
from mrcnn_tf.datasets.crossings import crossing_loop
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.images import exif_orientation

_SAME = 0.95  # IoU of two outlines of one object
_SAME_BOX = 0.85  # of their boxes: where masks decide, their boxes may differ more
_NAMED = 10  # images or classes that one fault names


def polygon_faults(record):
    """Finds the polygons of a record that cross themselves.

    Args:
        record: a `Record`.
    Returns:
        list of `Fault`.
    """
    faults = []
    for index, item in enumerate(record.objects):
        if not isinstance(item.outline, tuple) or item.crowd:
            continue
        loops = [loop for loop in map(crossing_loop, item.outline) if loop]
        if loops:
            x, y, share = max(loops, key=lambda loop: loop[2])
            faults.append(
                Fault(
                    "self-crossing polygon",
                    str(record.file),
                    object_place(record, index),
                    f"its outline crosses itself at x = {x:.1f}, y = {y:.1f}, where "
                    f"a loop of {share:.0%} of its area begins",
                    "are its points in order along the outline? Draw it again",
                )
            )
    return faults


def duplicate_faults(record, sample, places):
    """Finds objects that are annotated twice.

    Args:
        record: the `Record` of the sample.
        sample: a `Sample`.
        places: ints, for each of its objects the place in `record.objects`.
    Returns:
        list of `Fault`, one for each object that an earlier one is like.
    """
    faults = []
    for label in np.unique(sample.classes[~sample.crowd]):
        of_class = np.flatnonzero((sample.classes == label) & ~sample.crowd)
        for later, earlier in _same_boxes(sample.boxes, of_class):
            overlap = _box_iou(sample.boxes[later], sample.boxes[[earlier]])[0]
            if sample.masks is not None:
                one, other = sample.masks[earlier], sample.masks[later]
                overlap = float(coco_mask.iou([one], [other], [0])[0, 0])
            if overlap <= _SAME:
                continue
            twin = object_place(record, places[earlier]).split(", ")[-1]
            faults.append(
                Fault(
                    "duplicate object",
                    str(record.file),
                    object_place(record, places[later]),
                    f"it is {twin} again: {record.objects[places[later]].name!r}, "
                    f"IoU {overlap:.2f}",
                    "remove one of them",
                )
            )
    return faults


def _same_boxes(boxes, index):
    """Yields (later, earlier) of boxes that are nearly the same."""
    index = index[np.argsort(boxes[index, 0], kind="stable")]
    tops, heights = boxes[index, 0], boxes[index, 2] - boxes[index, 0]
    found = np.zeros(len(index), bool)
    for place in range(len(index)):
        if found[place]:
            continue
        # Boxes alike begin within a part of their height of each other.
        end = np.searchsorted(tops, tops[place] + (1 - _SAME_BOX) * heights[place])
        rest = np.arange(place + 1, max(end, place + 1))
        rest = rest[_box_iou(boxes[index[place]], boxes[index[rest]]) > _SAME_BOX]
        for other in rest[~found[rest]]:
            found[other] = True
            pair = index[place], index[other]
            yield max(pair), min(pair)


def _box_iou(box, others):
    """IoU of a box [4] with others [N, 4]; [N]."""
    start = np.maximum(box[:2], others[:, :2])
    end = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(end - start, 0), axis=1)
    area = np.prod(box[2:] - box[:2])
    return shared / (area + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared)


def orientation_fault(record):
    """Warns of an EXIF orientation that the declared size cannot confirm, or None."""
    turned = exif_orientation(record.image)
    # By 90 degrees, a declared size tells whether annotations are of the image so
    # turned; `make_sample` then reads it so, and says if it had to.
    if turned == 1 or (turned >= 5 and record.size and len(set(record.size)) == 2):
        return None
    return Fault(
        "orientation",
        record.name,
        "",
        f"EXIF orientation {turned}: viewers show it mirrored or turned, and whether "
        "the annotations are of that cannot be known",
        "taken as viewers show it; look at it with its objects, and save it without "
        "the tag if they are misplaced",
    )


def class_fault(annotations, least, split):
    """Names the classes of few objects; None if there is none.

    Args:
        annotations: `Annotations` to train on.
        least: int, objects of a class that are enough.
        split: its name, "" for a set that is not divided.
    Returns:
        a `Fault` or None.
    """
    counts = Counter(
        item.name
        for record in annotations.records
        for item in record.objects
        if not item.crowd
    )
    few = sorted(
        (counts[name], name) for name in annotations.classes if counts[name] < least
    )
    if not few:
        return None
    return Fault(
        "few objects",
        str(annotations.records[0].file) if annotations.records else "",
        split,
        f"{len(few)} of {len(annotations.classes)} classes have fewer than {least} "
        "objects: " + _listed([f"{name} {count}" for count, name in few]),
        "annotate more of them, or remove the class",
    )


def empty_fault(annotations, split):
    """Names the images without annotations; None if there is none.

    Args:
        annotations: `Annotations`.
        split: its name, "" for a set that is not divided.
    Returns:
        a `Fault` or None.
    """
    empty = [record for record in annotations.records if not record.objects]
    if not empty:
        return None
    return Fault(
        "image without annotations",
        str(empty[0].file),
        split,
        f"{len(empty)} of {len(annotations.records)} images: "
        + _listed([repr(record.image_id) for record in empty]),
        "all they show counts as background; annotate them if it is not",
    )


def _listed(words):
    more = ["..."] if len(words) > _NAMED else []
    return ", ".join(words[:_NAMED] + more)


def repeated_images(splits, digests):
    """Finds images that are in the data more than once.

    Args:
        splits: dict from names to `Annotations`.
        digests: dict from names to lists, for each record a value that is the same
            for the same bytes; None where they could not be read.
    Returns:
        faults: list of `Fault`.
        shared: set of (split, place of the record) of images of which a later split,
            in the order of train, val, test, has the same bytes.
        listed: dict from (split, place) of a record to the place of the first of
            that split that has the same file.
    """
    faults, shared, listed = [], set(), {}
    elsewhere = {}  # (split, record) of each image of the splits seen so far
    for split in [name for name in ("test", "val", "train", "") if name in splits]:
        records, here, files = splits[split].records, {}, {}
        for place, record in enumerate(records):
            key = digests[split][place] or record.image
            if not isinstance(record.image, bytes) and record.image in files:
                first = listed[split, place] = files[record.image]
                kind = "image listed twice"
                found = f"{record.name} is image {records[first].image_id!r} too"
                mend = "make one entry of both, with the objects of both"
            elif key in elsewhere:
                shared.add((split, place))
                kind, (other, twin) = "shared image", elsewhere[key]
                found = f"{record.name} is in {split}, and in {other} as {twin.name}"
                mend = f"remove it from {split}: what was trained on cannot measure"
            elif key in here:
                kind = "copied image"
                found = f"{record.name} has the same bytes as {here[key].name}"
                mend = (
                    "remove one: it counts twice, and one may lack what the other has"
                )
            else:
                kind = None
            if kind:
                where = f"image {record.image_id!r}"
                faults.append(Fault(kind, str(record.file), where, found, mend))
            files.setdefault(record.image, place)
            here.setdefault(key, record)
        for key, record in here.items():
            elsewhere.setdefault(key, (split, record))
    return faults, shared, listed
