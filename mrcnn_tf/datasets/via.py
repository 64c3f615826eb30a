"""VGG Image Annotator, versions 1 and 2: region files and saved projects.

The class of a region is the value of its attribute. Where regions have several, it is
the one called name, class, label, type or category, in this order. Where no region has
any, as in matterport's balloons, the class is "object".

Rectangles are boxes; where a file has other shapes too, they are outlines as well.
A polyline is closed to a polygon.
"""

import numpy as np

from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.json_files import has_key, read_json
from mrcnn_tf.datasets.outlines import boxes_if_all, ellipse, rectangle
from mrcnn_tf.datasets.reading import files_in, find_image, number, splits_of, text
from mrcnn_tf.datasets.records import Object, Record

_USUAL_FILE = "via_region_data.json"
_PROJECT = "_via_img_metadata"
_CLASS_ATTRIBUTES = ("name", "class", "label", "type", "category")
_NO_ATTRIBUTE = "object"
_SHAPES = ("polygon", "polyline", "rect", "circle", "ellipse")


def matches(path):
    """Says whether a path is a VIA file, or a folder that has one.

    Args:
        path: Path.
    Returns:
        bool.
    """
    return bool(_files(path))


def read(path):
    """Reads a VIA region file or project.

    Args:
        path: Path of the JSON file, or of the folder with it. Images are beside it,
            in images/, or in the default path that the project was given.
    Returns:
        dict of "" to `Annotations`.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if nothing of it can be read, the folder has several such files,
            or it cannot be told which attribute is the class.
    Source: https://www.robots.ox.ac.uk/~vgg/software/via/.
    """
    files = _files(path) if path.is_dir() else [path]
    files = [file for file in files if file.name == _USUAL_FILE] or files
    if len(files) != 1:
        names = ", ".join(file.name for file in files[:5]) or "none"
        raise ValueError(f"{path}: expected one VIA file, found {names}; name one")
    file, faults = files[0], []
    content = read_json(file)
    folders = [
        file.parent,
        file.parent / "images",
        file.parent / _default_path(content),
    ]
    listed = []  # (file name, dict of regions) of each image
    for key, entry in _entries(content, file).items():
        try:
            listed.append(_image(entry))
        except ValueError as error:
            where, mend = f"entry {key!r:.80}", "left out; remove it"
            faults.append(Fault("bad value", str(file), where, str(error), mend))
    attribute = _class_attribute(file, [r for _, rs in listed for r in rs.values()])
    records = []
    for name, regions in listed:
        objects = tuple(_objects(name, regions, attribute, file, faults))
        image = find_image(folders, name) or file.parent / name
        records.append(Record(image, name, objects, file))
    return splits_of(path, {"": boxes_if_all(records)}, {"": faults})


def _files(path):
    if path.is_dir():
        return [file for file in files_in(path, {".json"}) if _files(file)]
    keys = (_PROJECT, "file_attributes", "shape_attributes", "base64_img_data")
    return [path] if has_key(path, *keys) else []


def _entries(content, file):
    """Returns the dict of images that a region file is, or a project has."""
    if isinstance(content, dict) and _PROJECT in content:
        content = content[_PROJECT]
    if not isinstance(content, dict):
        raise ValueError(
            f"{file}: expected an object with an entry for each image, found "
            f"{content!r:.40}; is it VIA's?"
        )
    return content


def _default_path(content):
    """Returns the folder that a project puts before file names, "" without one."""
    for key in ("_via_settings", "core", "default_filepath"):
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""


def _image(entry):
    """Returns the file name and the regions, a dict, of an entry."""
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {entry!r:.40}")
    name, regions = text(entry.get("filename"), "filename"), entry.get("regions")
    if isinstance(regions, list):  # as of VIA 2
        regions = dict(enumerate(regions))
    if not isinstance(regions, dict):
        raise ValueError(f"regions: expected a list, found {regions!r:.40}")
    return name, regions


def _class_attribute(file, regions):
    """Returns the attribute that names the class, or None where there is none."""
    names = dict.fromkeys(name for region in regions for name in _attributes(region))
    if len(names) < 2:
        return next(iter(names), None)
    for usual in _CLASS_ATTRIBUTES:
        for name in names:
            if name.lower() == usual:
                return name
    raise ValueError(
        f"{file}: the regions have the attributes {list(names)!s:.200}; call the one "
        f"that is the class {_CLASS_ATTRIBUTES[0]!r}"
    )


def _attributes(region):
    """Returns a region's attributes that are filled in."""
    found = region.get("region_attributes") if isinstance(region, dict) else None
    found = found if isinstance(found, dict) else {}
    return {name: value for name, value in found.items() if value not in ("", None, {})}


def _objects(image, regions, attribute, file, faults):
    """Yields the objects of an image that have what an object needs."""
    for key, region in regions.items():

        def report(kind, found, mend, where=f"image {image!r}, region {key!r:.40}"):
            faults.append(Fault(kind, str(file), where, found, mend))

        shape = region.get("shape_attributes") if isinstance(region, dict) else None
        shape = shape if isinstance(shape, dict) else {}
        values = _attributes(region)
        try:
            kind = text(shape.get("name"), "name of the shape")
            if kind not in _SHAPES:
                found = f"{kind!r:.40}, expected one of {_SHAPES}"
                report("unsupported shape", found, "left out; outline the object")
            elif attribute is not None and attribute not in values:
                found = f"it has no {attribute!r:.40}, which is the class of others"
                report("unknown category", found, "left out; give it one")
            else:
                name = _class_name(values.get(attribute, _NO_ATTRIBUTE), attribute)
                yield Object(name, *_box_and_polygon(shape, kind), id=key)
        except ValueError as error:
            report("bad value", str(error), "left out; draw it again")


def _class_name(value, attribute):
    """Returns the class of an attribute's value: a text, or the one box ticked."""
    if isinstance(value, dict):
        ticked = [name for name, is_ticked in value.items() if is_ticked]
        if len(ticked) != 1:
            raise ValueError(f"{attribute}: expected one class, found {ticked!r:.80}")
        value = ticked[0]
    return text(str(value) if type(value) is int else value, attribute)


def _box_and_polygon(shape, kind):
    """Returns the box of a rectangle, None of others, and a tuple of one polygon."""
    if kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("expected all_points_x and all_points_y of one length")
        points = [
            number(v, "point") for point in zip(xs, ys, strict=True) for v in point
        ]
        return None, (np.array(points, np.float64),)

    def values(*names):
        return [number(shape.get(name), name) for name in names]

    if kind == "rect":
        x, y, width, height = values("x", "y", "width", "height")
        box = y, x, y + height, x + width
        return box, (rectangle(*box),)
    if kind == "circle":
        x, y, radius = values("cx", "cy", "r")
        return None, (ellipse(x, y, radius, radius),)
    angle = number(shape.get("theta", 0), "theta")  # radians; not before VIA 2.0.8
    return None, (ellipse(*values("cx", "cy", "rx", "ry"), angle),)
