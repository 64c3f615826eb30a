"""labelme: a JSON file for each image, of polygons, rectangles, circles and masks.

Rectangles are boxes; where any file has other shapes too, they are outlines as well.
Shapes of one label and one group_id are one object, masks apart: each is its own. An
image is read from its own file if that exists, and else from the copy in the JSON.
"""

import base64
import binascii
import dataclasses
import math

import numpy as np

from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.images import decode_image, image_size
from mrcnn_tf.datasets.json_files import has_key, read_json
from mrcnn_tf.datasets.outlines import boxes_if_all, ellipse, rectangle
from mrcnn_tf.datasets.reading import (
    files_in,
    find_image,
    images_in,
    number,
    size,
    splits_of,
    text,
    unannotated,
)
from mrcnn_tf.datasets.records import Object, Record

_SHAPES = ("polygon", "rectangle", "circle", "mask")


def matches(path):
    """Says whether a path is a labelme file, or a folder that has some.

    Args:
        path: Path.
    Returns:
        bool.
    """
    if path.is_dir():
        return any(matches(file) for file in files_in(path, {".json"}))
    return has_key(path, "shapes", "imagePath", "imageData")


def read(path):
    """Reads labelme's files.

    Args:
        path: Path of a folder of JSON files, with or without the images, or of one.
    Returns:
        dict of "" to `Annotations`.
    Raises:
        ValueError: if nothing of it can be read.
    Source: https://github.com/wkentaro/labelme.
    """
    files = files_in(path, {".json"}) if path.is_dir() else [path]
    folder = path if path.is_dir() else path.parent
    images = images_in(folder)
    records, faults = [], []
    for file in files:
        try:
            records.append(_record(file, images, faults))
        except ValueError as error:
            found = str(error).removeprefix(f"{file}: ")  # which a fault says anyway
            mend = "its image left out; save it again"
            faults.append(Fault("unreadable annotations", str(file), "", found, mend))
    if path.is_dir():
        paths = [r.image for r in records if not isinstance(r.image, bytes)]
        named = {path.stem for path in [*paths, *files]}
        faults += unannotated(folder, images, named)
    return splits_of(path, {"": boxes_if_all(records)}, {"": faults})


def _record(file, images, faults):
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError("expected an object with a list of shapes; is it labelme's?")
    name = text(content.get("imagePath"), "imagePath")

    def report(kind, where, found, mend):
        faults.append(Fault(kind, str(file), where, found, mend))

    declared = None
    try:
        declared = size(content.get("imageHeight"), content.get("imageWidth"))
    except ValueError as error:
        mend = "not compared with the size of the file; correct it"
        report("bad value", "imageHeight, imageWidth", str(error), mend)
    image = find_image([file.parent], name)
    if image is None and content.get("imageData"):
        try:
            image = _from_base64(content["imageData"])
        except ValueError as error:
            report("unreadable image", "imageData", str(error), "put the image there")
    # Renamed together with its JSON file; or missing, which the checks say.
    image = image or images.get(file.stem) or file.parent / name
    objects = tuple(_objects(content["shapes"], declared, report))
    return Record(image, file.stem, objects, file, declared)


def _objects(shapes, declared, report):
    """Returns the objects of an image, each of the shapes that are one."""
    groups = {}
    for index, shape in enumerate(shapes):
        where = f"shape {index}"
        try:
            if not isinstance(shape, dict):
                raise ValueError(f"expected an object, found {shape!r:.40}")
            # Early versions had polygons alone, and did not say so.
            kind = text(shape.get("shape_type") or "polygon", "shape_type")
            if kind not in _SHAPES:
                found = f"{kind!r:.40}, expected one of {_SHAPES}"
                report(
                    "unsupported shape", where, found, "left out; outline the object"
                )
                continue
            name, group = text(shape.get("label"), "label"), shape.get("group_id")
            if type(group) not in (int, str, type(None)):
                raise ValueError(f"group_id: expected a number, found {group!r:.40}")
            part = Object(name, *_box_and_outline(shape, kind, declared), id=index)
        except ValueError as error:
            report("bad value", where, str(error), "left out; draw it again")
        else:
            is_own = group is None or kind == "mask"
            groups.setdefault(index if is_own else (name, group), []).append(part)
    return [_joined(parts) for parts in groups.values()]


def _joined(parts):
    """Makes one object of its parts; its box is that of all where all have one."""
    if len(parts) == 1:
        return parts[0]
    polygons = tuple(polygon for part in parts for polygon in part.outline)
    box = None
    if all(part.box for part in parts):
        y1, x1, y2, x2 = zip(*(part.box for part in parts), strict=True)
        box = min(y1), min(x1), max(y2), max(x2)
    return dataclasses.replace(parts[0], box=box, outline=polygons)


def _box_and_outline(shape, kind, declared):
    """Returns the box of a rectangle, None of others, and an outline as of `Object`."""
    points = shape.get("points")
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 for point in points
    ):
        raise ValueError(f"points: expected pairs of x and y, found {points!r:.40}")
    points = [[number(value, "points") for value in point] for point in points]
    expected = {"rectangle": (2, 4), "circle": (2,), "mask": (2,)}
    if kind in expected and len(points) not in expected[kind]:
        raise ValueError(f"a {kind} of {len(points)} points")
    if kind == "polygon":
        return None, (np.array(points, np.float64).ravel(),)
    if kind == "circle":  # its centre, and a point on its rim
        (x, y), (x2, y2) = points
        radius = math.hypot(x2 - x, y2 - y)
        return None, (ellipse(x, y, radius, radius),)
    if kind == "mask":
        return None, _mask(shape.get("mask"), points[0], declared)
    xs, ys = zip(*points, strict=True)  # any two corners, in any order, or all four
    box = min(ys), min(xs), max(ys), max(xs)
    return box, (rectangle(*box),)


def _mask(data, corner, declared):
    """Returns the RLE of a mask: a picture, and where its first pixel lies."""
    picture = _from_base64(data)
    (x, y), (mask_height, mask_width) = corner, image_size(picture)[0]
    height, width = declared or (0, 0)
    if not (0 <= x <= width - mask_width and 0 <= y <= height - mask_height):
        raise ValueError(
            f"a mask of {mask_height} x {mask_width} pixels at x = {x:g}, y = {y:g}, "
            f"the image is {height} x {width} (height x width)"
        )
    mask = decode_image(picture, "mask", upright=False)[..., 0] != 0
    # Run lengths column by column, as an RLE has them: the whole image, whose size is
    # what a file says, is never made.
    columns, rows = np.divmod(np.flatnonzero(mask.T), mask_height)
    pixels = (columns + int(x)) * height + rows + int(y)
    is_break = np.diff(pixels, prepend=-2, append=height * width + 1) > 1
    starts, ends = pixels[is_break[:-1]], pixels[is_break[1:]] + 1
    edges = np.stack([starts, ends], axis=1).ravel()
    runs = np.diff(edges, prepend=0, append=height * width)
    return {"size": [height, width], "counts": runs.tolist()}


def _from_base64(data):
    """Returns the bytes of a file that is in the JSON; raises ValueError."""
    try:
        return base64.b64decode(text(data, "base64"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
