"""COCO data sets of two images without a fault, and with one of each kind.

`KINDS` has, for each kind, the function that makes its data set in a folder and returns
the path to examine, and the file, the place and a part of what is found.
"""

import json

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40


def photo(path, seed, orientation=None, size=(WIDTH, HEIGHT)):
    """Writes noise, whose file a cut spoils; no two of different seeds are the same."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(noise.astype(np.uint8)).save(path, exif=exif)


def entry(number, image_id, left, top, side=10):
    """An annotation of a square of `side` pixels."""
    right, bottom = left + side, top + side
    return {
        "id": number,
        "image_id": image_id,
        "category_id": number % 2 + 1,
        "bbox": [left, top, side, side],
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "area": side * side,
        "iscrowd": 0,
    }


def content(first=1):
    """Two images of two objects each, of a cat and a dog, without a fault."""
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in (first, first + 1)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            entry(10 * i + k, i, 5 + 20 * k, 5)
            for i in (first, first + 1)
            for k in (1, 2)
        ],
    }


def save(folder, name="set.json", first=1, change=None):
    """Writes a data set, of content that `change` has changed; returns its file."""
    made = content(first)
    for image in made["images"]:
        photo(folder / image["file_name"], image["id"])
    if change:
        change(made)
    (folder / name).write_text(json.dumps(made))
    return folder / name


def first_entry(**fields):
    """A change of fields of the first annotation, whose id is 11."""
    return lambda made: made["annotations"][0].update(fields)


# What spoils a data set so that it has just one fault, of the kind, and where that is.
# Each returns the path to examine.
def unreadable_annotations(folder):
    file = save(folder)
    file.write_text(file.read_text()[:-5])
    return file


def unreadable_image(folder):
    file = save(folder)
    data = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(data[: len(data) // 2])
    return file


def missing_image(folder):
    file = save(folder)
    (folder / "1.jpg").unlink()
    return file


def orientation(folder):
    file = save(folder)
    photo(folder / "1.jpg", 1, orientation=3)
    return file


def copied_image(folder):
    file = save(folder)
    (folder / "2.jpg").write_bytes((folder / "1.jpg").read_bytes())
    return file


def shared_image(folder):
    save(folder, "train.json")
    save(folder, "val.json", first=3)
    (folder / "3.jpg").write_bytes((folder / "1.jpg").read_bytes())
    return folder


def unsupported_shape(folder):
    photo(folder / "1.jpg", 1)
    boxes = [
        {"name": "rect", "x": 10 * k, "y": 5, "width": 8, "height": 8} for k in (1, 2)
    ]
    shapes = [*boxes, {"name": "point", "cx": 3, "cy": 4}]
    regions = [{"shape_attributes": s, "region_attributes": {}} for s in shapes]
    listed = {"1.jpg-1": {"filename": "1.jpg", "size": 1, "regions": regions}}
    (folder / "via.json").write_text(json.dumps(listed))
    return folder / "via.json"


def changed(change):
    return lambda folder: save(folder, change=change)


def listed_twice(made):
    made["images"].append({**made["images"][0], "id": 9})


def no_annotations(made):
    del made["annotations"][:2]


def twice(made):
    made["annotations"].append({**made["annotations"][0], "id": 99})


def few(made):
    made["categories"].append({"id": 3, "name": "bird"})


def full(made):
    made["annotations"][0] |= {
        "bbox": [0, 0, WIDTH, HEIGHT],
        "segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, WIDTH * HEIGHT]},
    }


FIRST = "image 1, object 11"
# Of each kind: what makes it, and the file, the place and a part of what is found.
KINDS = {
    "unreadable annotations": (unreadable_annotations, "set.json", "", "not JSON"),
    "unreadable image": (unreadable_image, "1.jpg", "", "truncated"),
    "missing image": (missing_image, "set.json", "image 1", "1.jpg does not exist"),
    "size mismatch": (
        changed(lambda made: made["images"][0].update(width=61)),
        "set.json",
        "image 1",
        "declared 40 x 61",
    ),
    "bad value": (
        changed(first_entry(segmentation=[[1, 2, 3, 4, 5, 1e9]])),
        "set.json",
        FIRST,
        "1e+09",
    ),
    "reversed box": (
        changed(first_entry(bbox=[35, 15, -10, -10])),
        "set.json",
        FIRST,
        "[15.0, 35.0, 5.0, 25.0]",
    ),
    "empty box": (changed(first_entry(bbox=[25, 5, 0, 9])), "set.json", FIRST, "area"),
    "box outside": (
        changed(first_entry(bbox=[70, 5, 10, 10])),
        "set.json",
        FIRST,
        "70.0, 15.0, 80.0",
    ),
    "box over the edge": (
        changed(
            first_entry(
                bbox=[52, 5, 11, 10], segmentation=[[52, 5, 60, 5, 60, 15, 52, 15]]
            )
        ),
        "set.json",
        FIRST,
        "63.0",
    ),
    "short polygon": (
        changed(first_entry(segmentation=[[1, 2, 3, 4]])),
        "set.json",
        FIRST,
        "4 numbers",
    ),
    "self-crossing polygon": (
        changed(first_entry(segmentation=[[25, 5, 35, 15, 35, 5, 25, 15]])),
        "set.json",
        FIRST,
        "x = 30.0, y = 10.0, where a loop of 50%",
    ),
    "empty mask": (
        changed(first_entry(segmentation=[[70, 1, 80, 1, 80, 9]])),
        "set.json",
        FIRST,
        "no pixel",
    ),
    "full mask": (changed(full), "set.json", FIRST, "whole image"),
    "mask and box disagree": (
        changed(first_entry(bbox=[25, 5, 20, 10])),
        "set.json",
        FIRST,
        "fills [5.0, 25.0, 15.0, 35.0]",
    ),
    "object without mask": (
        changed(first_entry(segmentation=[])),
        "set.json",
        FIRST,
        "box alone",
    ),
    "duplicate id": (changed(first_entry(id=12)), "set.json", "12", "has it"),
    "duplicate object": (
        changed(twice),
        "set.json",
        "image 1, object 99",
        "it is object 11 again: 'dog', IoU 1.00",
    ),
    "unknown category": (
        changed(first_entry(category_id=7)),
        "set.json",
        "11",
        "7",
    ),
    "annotation without image": (
        changed(first_entry(image_id=77)),
        "set.json",
        "11",
        "77",
    ),
    "image listed twice": (changed(listed_twice), "set.json", "9", "1.jpg"),
    "image without annotations": (
        changed(no_annotations),
        "set.json",
        "",
        "1 of 2 images: 1",
    ),
    "copied image": (copied_image, "set.json", "image 2", "1.jpg"),
    "shared image": (shared_image, "train.json", "image 1", "in val as "),
    "few objects": (changed(few), "set.json", "", "fewer than 1 objects: bird 0"),
    "orientation": (orientation, "1.jpg", "", "EXIF orientation 3"),
    "unsupported shape": (unsupported_shape, "via.json", "1.jpg", "point"),
}
