"""Tiny data sets in every format but COCO's: two images of 30 x 20 pixels each.

Each function fills a folder and returns the annotation file that a test may change.
"""

import base64
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"
WIDTH, HEIGHT = 30, 20
STAR = [[3.5, 2.25], [12, 6], [20.75, 2], [17, 15], [6, 17.5]]  # x, y


def photo(path, size=(WIDTH, HEIGHT), **options):
    """Writes an image without which no data set is one; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.add.outer(np.arange(height), np.arange(width)) % 256
    Image.fromarray(pixels.astype(np.uint8)).convert("RGB").save(path, **options)
    return path


def element(tag, *children):
    """Returns an XML element of a text, or of other elements."""
    made = ElementTree.Element(tag)
    for child in children:
        if isinstance(child, ElementTree.Element):
            made.append(child)
        else:
            made.text = str(child)
    return made


def voc_object(name, x1, y1, x2, y2, difficult=0):
    """Returns <object> of a box that is 1-based and includes its last pixel."""
    edges = {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2}
    box = element("bndbox", *(element(tag, value) for tag, value in edges.items()))
    return element(
        "object", element("name", name), element("difficult", difficult), box
    )


def voc_file(path, image, objects, size=(WIDTH, HEIGHT)):
    """Writes a VOC XML file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = [element("width", size[0]), element("height", size[1])]
    tree = element(
        "annotation", element("filename", image), element("size", *sides), *objects
    )
    path.write_bytes(ElementTree.tostring(tree))
    return path


def voc(folder):
    """Pascal VOC with boxes: a.jpg has a cat and a dog, b.jpg a dog."""
    for stem in "ab":
        photo(folder / "JPEGImages" / f"{stem}.jpg")
    cat, dog = voc_object("cat", 1, 1, 10, 20), voc_object("dog", 5, 6, 30, 12)
    voc_file(folder / "Annotations" / "b.xml", "b.jpg", [dog])
    return voc_file(folder / "Annotations" / "a.xml", "a.jpg", [cat, dog])


def numbers():
    """Returns uint8 [20, 30]: object 1, a disc, and object 2, a bar below it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = ((y - 7) ** 2 + (x - 12) ** 2 < 30).astype(np.uint8)
    pixels[15:18, 2:25] = 2
    return pixels


def palette_image(pixels):
    """Returns a Pillow image with a palette, of these indices."""
    image = Image.fromarray(pixels).convert("L")
    image.putpalette(
        [value for index in range(256) for value in (index, 0, 255 - index)]
    )
    return image


def voc_with_masks(folder):
    """Pascal VOC with a.jpg's two objects in SegmentationObject/a.png, void round."""
    pixels = numbers()
    boxes = []
    for k in (1, 2):
        y, x = np.nonzero(pixels == k)
        boxes.append((x.min() + 1, y.min() + 1, x.max() + 1, y.max() + 1))
    pixels[0] = 255
    photo(folder / "JPEGImages" / "a.jpg")
    (folder / "SegmentationObject").mkdir(parents=True)
    palette_image(pixels).save(folder / "SegmentationObject" / "a.png")
    objects = [voc_object(name, *box) for name, box in zip("zy", boxes, strict=True)]
    return voc_file(folder / "Annotations" / "a.xml", "a.jpg", objects)


def via_region(shape, name=None, **values):
    """Returns a region of VIA."""
    attributes = {} if name is None else {"name": name}
    return {
        "shape_attributes": {"name": shape, **values},
        "region_attributes": attributes,
    }


def via_star(name=None):
    """Returns `STAR` as a region of VIA."""
    xs, ys = zip(*STAR, strict=True)
    return via_region("polygon", name, all_points_x=list(xs), all_points_y=list(ys))


VIA_REGIONS = [
    via_star("cat"),
    via_region("rect", "dog", x=2, y=3, width=10.5, height=8),
    via_region("circle", "dog", cx=15, cy=10, r=8.5),
    via_region("ellipse", "cat", cx=14, cy=9, rx=11, ry=4, theta=0.3),
]


def via(folder, regions=VIA_REGIONS, version=2):
    """A VIA region file, of version 1 or 2; b.png has no regions."""
    entries = {}
    for name, found in (("a.png", regions), ("b.png", [])):
        size = photo(folder / name).stat().st_size
        if version == 1:
            found = {str(index): region for index, region in enumerate(found)}
        entries[f"{name}{size}"] = {
            "filename": name, "size": size, "regions": found, "file_attributes": {},
        }  # fmt: skip
    file = folder / "via_region_data.json"
    file.write_text(json.dumps(entries))
    return file


def via_project(folder, regions=VIA_REGIONS):
    """A saved project of VIA 2, the images in a folder that it names."""
    file = via(folder, regions)
    content = {
        "_via_settings": {"core": {"default_filepath": "photos/"}},
        "_via_img_metadata": json.loads(file.read_text()),
        "_via_attributes": {"region": {"name": {"type": "text"}}, "file": {}},
    }
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).rename(folder / "photos" / name)
    file.unlink()
    file = folder / "project.json"
    file.write_text(json.dumps(content))
    return file


def labelme_shape(kind, label, points, **values):
    """Returns a shape of labelme."""
    return {
        "label": label, "points": points, "group_id": None, "shape_type": kind,
        "flags": {}, **values,
    }  # fmt: skip


def base64_png(pixels):
    """Returns an array as labelme embeds it, a PNG file in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


LABELME_SHAPES = [
    labelme_shape("polygon", "cat", STAR),
    labelme_shape("rectangle", "dog", [[12.5, 11], [2, 3]]),
    labelme_shape("circle", "dog", [[15, 10], [15, 18.5]]),
    labelme_shape(
        "mask", "cat", [[4, 5], [6, 6]],
        mask=base64_png(np.array([[True, False, True], [True, True, True]])),
    ),
    labelme_shape("polygon", "owl", [[1, 1], [6, 1], [6, 8]], group_id=4),
    labelme_shape("polygon", "owl", [[20, 1], [28, 1], [28, 8]], group_id=4),
]  # fmt: skip


def labelme_file(path, shapes, image, data=None, size=(WIDTH, HEIGHT)):
    """Writes a file of labelme; returns its path."""
    content = {
        "version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image,
        "imageData": data, "imageHeight": size[1], "imageWidth": size[0],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def labelme(folder, shapes=LABELME_SHAPES):
    """labelme's files of a.png and b.png, which has no shapes."""
    for name in ("a.png", "b.png"):
        photo(folder / name)
    labelme_file(folder / "b.json", [], "b.png")
    return labelme_file(folder / "a.json", shapes, "a.png")


def masks(folder):
    """One PNG for each object, a folder for each image; a/masks/1.png is returned."""
    for stem in "ab":
        photo(folder / stem / "images" / f"{stem}.png")
        (folder / stem / "masks").mkdir()
        for k in (1, 2):
            mask = Image.fromarray((numbers() == k).astype(np.uint8) * 255)
            mask.save(folder / stem / "masks" / f"{k}.png")
    return folder / "a" / "masks" / "1.png"


def numbered_masks(folder, as_palette=False):
    """One PNG of numbers for each image; masks/a.png is returned."""
    (folder / "masks").mkdir(parents=True)
    for stem in "ab":
        photo(folder / "images" / f"{stem}.jpg")
        image = palette_image(numbers()) if as_palette else Image.fromarray(numbers())
        image.save(folder / "masks" / f"{stem}.png")
    return folder / "masks" / "a.png"
