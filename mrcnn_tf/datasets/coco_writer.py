"""Any dataset as one COCO JSON file, with masks that are exact.

Photographs stay where they are: the file names them relative to its own folder. Images
that are no file of their own are written beside it, to the folder `<name>_images/`.
"""

import io
import json
import os
from pathlib import Path

from PIL import Image

from mrcnn_tf import rle


def write(path, dataset):
    """Writes a dataset as COCO JSON.

    Args:
        path: of the file to write; as `write_samples`.
        dataset: anything with `len(dataset)`, `dataset[i]` giving a `Sample`, and
            `dataset.classes`; if it has `records`, as `AnnotatedImages` has, their
            image files are named, else the pixels are written as PNG.
    Raises:
        ValueError, OSError: as of `dataset[i]` and `write_samples`.
    """
    records = getattr(dataset, "records", None)
    pairs = (
        (dataset[index], records[index].image if records else None)
        for index in range(len(dataset))
    )
    write_samples(path, pairs, dataset.classes)


def write_samples(path, pairs, classes):
    """Writes samples as COCO JSON: in whole, or the file stays as it was.

    Args:
        path: str or Path of the file to write; its folder is made if need be.
        pairs: iterable of (`Sample`, image), the image a Path, bytes of a whole image
            file, or None for the sample's pixels.
        classes: class names without background; their category ids are 1, 2, ...
    Raises:
        OSError: if it cannot be written.
    Source: https://cocodataset.org/#format-data. Masks are compressed RLE. Image ids
        are the samples', if all are different whole numbers, else 1, 2, ...
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    images, annotations, ids = [], [], []
    for number, (sample, image) in enumerate(pairs, start=1):
        ids.append(sample.image_id)
        file = _image_file(path, number, sample, image)
        size = {"height": sample.height, "width": sample.width}
        images.append({"id": number, "file_name": _name(file, path.parent), **size})
        for entry in _annotations(sample):
            ids_of_entry = {"id": len(annotations) + 1, "image_id": number}
            annotations.append(ids_of_entry | entry)
    if all(type(i) is int for i in ids) and len(set(ids)) == len(ids):
        for image in images:
            image["id"] = ids[image["id"] - 1]
        for annotation in annotations:
            annotation["image_id"] = ids[annotation["image_id"] - 1]
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, start=1)]
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write('{"info": {"description": "written by mrcnn_tf"},\n')
            _write_list(file, "images", images, ",\n")
            _write_list(file, "annotations", annotations, ",\n")
            _write_list(file, "categories", categories, "}\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def images_folder(path):
    """Returns the Path of the folder for images that are no file of their own."""
    return Path(path).with_name(f"{Path(path).stem}_images")


def coco_box(box):
    """Converts (y1, x1, y2, x2) to COCO's [x, y, width, height], floats in pixels."""
    y1, x1, y2, x2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _write_list(file, name, entries, end):
    """Writes an entry a line, for people and for `diff`."""
    file.write(f"{json.dumps(name)}: [")
    for index, entry in enumerate(entries):
        file.write(f"{',' if index else ''}\n{json.dumps(entry)}")
    file.write(f"]{end}")


def _annotations(sample):
    """Yields the entry of each object, without the ids."""
    for index, box in enumerate(sample.boxes):
        bbox = coco_box(box)
        entry = {
            "category_id": int(sample.classes[index]),
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": int(sample.crowd[index]),
        }
        if sample.masks is not None:
            mask = sample.masks[index]
            entry["area"] = rle.area(mask)
            entry["segmentation"] = {
                "size": list(mask["size"]),
                "counts": mask["counts"].decode(),
            }
        yield entry


def _image_file(path, number, sample, image):
    """Returns the Path of an image, after writing it if it is none yet."""
    if isinstance(image, Path):
        return image
    folder = images_folder(path)
    folder.mkdir(exist_ok=True)
    if image is None:
        file = folder / f"{number:06d}.png"
        Image.fromarray(sample.image).save(file)
        return file
    with Image.open(io.BytesIO(image)) as opened:
        file = folder / f"{number:06d}.{opened.format.lower()}"
    file.write_bytes(image)
    return file


def _name(file, folder):
    """Returns the name of an image relative to a folder, with forward slashes."""
    # What ".." means is known only behind symbolic links.
    file = file.parent.resolve() / file.name
    try:
        return Path(os.path.relpath(file, folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return file.as_posix()
