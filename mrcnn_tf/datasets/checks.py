"""From a record to a `Sample`, checking everything on the way, for all formats alike.

Training and the doctor share this file: the doctor reports exactly what training
leaves out or mends.
"""

from functools import lru_cache

import numpy as np

from mrcnn_tf import rle
from mrcnn_tf.datasets.bitmaps import read_mask, read_numbers
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.images import decode_image, image_size, read_image
from mrcnn_tf.datasets.records import Bitmap
from mrcnn_tf.datasets.sample import Sample

# A box and its mask agree when no edge is off by more than the sum of these: thin ends
# of polygons fill no pixel.
_DISAGREEMENT = 3.0  # pixels
_DISAGREEMENT_SHARE = 0.1  # of the longer of the two sides
# Polygons reach no further than so many sides of the image, and are no longer than so
# many times round it: rasterising takes memory by their length.
_FURTHEST = 10
_LONGEST = 500


def image_fault(record):
    """Returns the Fault for which an image cannot be used, by its head, or None."""
    try:
        stored, upright = image_size(record.image)
    except FileNotFoundError:
        return Fault(
            "missing image",
            str(record.file),
            f"image {record.image_id!r}",
            f"{record.image} does not exist",
            "put it there, or remove the image from the annotations",
        )
    except (ValueError, OSError) as error:
        found = str(error).removeprefix(f"{record.name}: ")
        return Fault(
            "unreadable image", record.name, "", found, "fetch or save it again"
        )
    if record.size in (None, upright, stored):
        return None
    return Fault(
        "size mismatch",
        str(record.file),
        f"image {record.image_id!r}",
        f"declared {record.size[0]} x {record.size[1]} (height x width), "
        f"{record.name} is {upright[0]} x {upright[1]}",
        "was the image resized after it was annotated? Use the original, or scale "
        "the annotations",
    )


def make_sample(record, classes, has_masks):
    """Reads the pixels of a record and checks its objects.

    Args:
        record: a `Record` without an `image_fault`.
        classes: names in the order of class ids.
        has_masks: whether the dataset has masks; an object without one is then
            handled as a crowd region, as it is there and its pixels are not known.
    Returns:
        sample: a `Sample`.
        faults: list of `Fault`, for each object that was left out or mended.
    Raises:
        FileNotFoundError, ValueError: if the pixels cannot be read.
    """
    sample, faults, _ = make_sample_and_places(record, classes, has_masks)
    return sample, faults


def make_sample_and_places(record, classes, has_masks):
    """Does what `make_sample` does, and also says where each object comes from.

    Args:
        record, classes, has_masks: as of `make_sample`.
    Returns:
        sample, faults: as of `make_sample`.
        places: list of ints, for each object of the sample its place in
            `record.objects`.
    Raises:
        FileNotFoundError, ValueError: if the pixels cannot be read.
    """
    stored, upright = image_size(record.image)
    is_upright = record.size in (None, upright)
    if isinstance(record.image, bytes):
        image = decode_image(record.image, record.name, is_upright)
    else:
        image = read_image(record.image, is_upright)
    faults = []
    if not is_upright:
        faults.append(
            Fault(
                "orientation",
                record.name,
                "",
                f"EXIF turns it to {upright[0]} x {upright[1]}, the annotations are "
                f"of {stored[0]} x {stored[1]} (height x width)",
                "read as stored; save it without the EXIF tag to be sure",
            )
        )
    # Of numbered objects, one file for all: decoded once for each image.
    numbers = lru_cache(maxsize=1)(read_numbers)
    boxes, labels, masks, crowd, places = [], [], [], [], []
    for index, item in enumerate(record.objects):
        where = object_place(record, index)

        def report(kind, found, mend, where=where):
            faults.append(Fault(kind, str(record.file), where, found, mend))

        checked = _checked(item, *image.shape[:2], has_masks, report, numbers)
        if checked is not None:
            box, mask, is_crowd = checked
            boxes.append(box)
            masks.append(mask)
            crowd.append(is_crowd)
            labels.append(classes.index(item.name) + 1)
            places.append(index)
    sample = Sample(
        image=image,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(labels, np.int32),
        masks=tuple(masks) if has_masks else None,
        crowd=np.array(crowd, bool),
        image_id=record.image_id,
    )
    return sample, faults, places


def object_place(record, index):
    """Names one object of a record, as faults do: its id, or its place from 0."""
    name = record.objects[index].id
    return f"image {record.image_id!r}, object {index if name == '' else name}"


def _checked(item, height, width, has_masks, report, numbers):
    """Returns box, mask and crowd of one object; None if it is left out."""
    mask, crowd = None, item.crowd
    if item.outline is not None:
        mask = outline_mask(item.outline, height, width, report, numbers)
        if mask is None:
            return None
        area = rle.area(mask)
        if area == 0:
            report("empty mask", "the outline covers no pixel", "left out; remove it")
            return None
        if area == height * width:
            report("full mask", "it covers the whole image", "is it meant?")
    box = None if item.box is None else _checked_box(item.box, height, width, report)
    if item.box is not None and box is None:
        return None
    if mask is not None:
        tight = rle.box(mask)
        if box is None:
            box = tight
        elif not _agree(box, tight):
            report(
                "mask and box disagree",
                f"box (y1, x1, y2, x2) = {_short(box)}, the mask fills {_short(tight)}",
                "the mask's box is used",
            )
            box = tight
    elif has_masks:
        report(
            "object without mask",
            "it has a box alone, others have masks",
            "ignored in training and measuring, as a crowd is; outline it",
        )
        mask, crowd = _filled(box, height, width), True
    return box, mask, crowd


def _checked_box(box, height, width, report):
    """Returns the box as float32 [4] inside the image, or None."""
    box = np.array(box, np.float64)
    if not np.isfinite(box).all():
        report(
            "bad value", f"box {box.tolist()} is not finite", "left out; draw it again"
        )
        return None
    y1, x1, y2, x2 = box
    if y2 < y1 or x2 < x1:
        report(
            "reversed box", f"(y1, x1, y2, x2) = {_short(box)}", "its edges exchanged"
        )
        box = np.array([min(y1, y2), min(x1, x2), max(y1, y2), max(x1, x2)])
    inside = np.clip(box, 0, [height, width, height, width])
    found = f"(y1, x1, y2, x2) = {_short(box)} in {height} x {width} pixels"
    if (box[:2] == box[2:]).any():
        report("empty box", f"{found} has no area", "left out; remove it")
        return None
    # In float32, in which it is used: a sliver may vanish.
    inside = inside.astype(np.float32)
    if (inside[2:] <= inside[:2]).any():
        report("box outside", found, "left out; are the coordinates pixels?")
        return None
    if np.abs(box - inside).max() > 1:
        report("box over the edge", found, "clipped to the image")
    return inside


def outline_mask(outline, height, width, report, numbers=read_numbers):
    """Makes the mask of an outline.

    Args:
        outline: as of `Object`, not None.
        height, width: of the image, pixels.
        report: called with (kind, found, mend) of each fault.
        numbers: `read_numbers`, or one that remembers the file it read last.
    Returns:
        a COCO RLE of the image's size, or None where there is none to make.
    """
    if isinstance(outline, Bitmap):
        return _bitmap_mask(outline, height, width, report, numbers)
    if isinstance(outline, dict):
        try:
            return rle.checked(outline, height, width)
        except ValueError as error:
            report("bad value", str(error), "left out; draw it again")
            return None
    polygons = []
    for polygon in outline:
        far = np.abs(polygon).max(initial=0) > _FURTHEST * max(height, width)
        with np.errstate(invalid="ignore"):  # infinity from infinity
            length = np.abs(polygon[2:] - polygon[:-2]).sum()
        if len(polygon) < 6 or len(polygon) % 2:
            report(
                "short polygon",
                f"{len(polygon)} numbers, expected x and y of three points or more",
                "this polygon left out; remove it",
            )
        elif far or not np.isfinite(polygon).all():
            report(
                "bad value",
                f"a polygon reaches {np.abs(polygon).max():g} in an image of "
                f"{height} x {width} pixels",
                "this polygon left out; are the coordinates pixels?",
            )
        elif length > _LONGEST * 2 * (height + width):
            report(
                "bad value",
                f"a polygon of {len(polygon) // 2} points is {length:.0f} pixels long "
                f"in an image of {height} x {width}",
                "this polygon left out; draw it again",
            )
        else:
            polygons.append(polygon)
    return rle.from_polygons(polygons, height, width) if polygons else None


def _bitmap_mask(bitmap, height, width, report, numbers):
    try:
        if bitmap.value is None:
            mask = read_mask(bitmap.path)
        else:
            mask = numbers(bitmap.path) == bitmap.value
    except ValueError as error:
        report("unreadable image", str(error), "left out; save it again")
        return None
    if mask.shape != (height, width):
        report(
            "size mismatch",
            f"mask {bitmap.path} is {mask.shape[0]} x {mask.shape[1]}, the image "
            f"{height} x {width} (height x width)",
            "left out; was one of them resized?",
        )
        return None
    return rle.encode(mask)


def _agree(box, tight):
    """Whether a box and the tight box of its mask are one, all but rounding."""
    side = np.maximum(box[2:] - box[:2], tight[2:] - tight[:2])
    allowed = _DISAGREEMENT + _DISAGREEMENT_SHARE * np.tile(side, 2)
    return bool((np.abs(box - tight) <= allowed).all())


def _filled(box, height, width):
    """The RLE of all pixels that a box touches."""
    y1, x1 = np.floor(box[:2]).astype(int)
    y2, x2 = np.ceil(box[2:]).astype(int)
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def _short(box):
    return [round(float(edge), 2) for edge in box]
