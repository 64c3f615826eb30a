"""Pascal VOC: an XML file of boxes for each image, and masks where there are any.

Boxes are 1-based and include their last pixel, as VOC defines them: xmin = 1 is the
first column. Some programs write 0-based boxes in the same form, which no reader can
see; those are read one pixel too large at the top and the left. A box whose edges are
one, xmin = xmax, would be of one pixel; it is a click without a drag, and left out.

Objects marked `difficult` become crowd regions: VOC counts them neither as found nor
as missed, and that is what crowd regions are for.

Object k of an XML file, from 1, has the pixels of palette index k in
SegmentationObject/; the void border, 255, is no object's.
"""

import logging
import xml.etree.ElementTree as ET

from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.reading import (
    files_in,
    find_image,
    images_in,
    size,
    splits_of,
    unannotated,
)
from mrcnn_tf.datasets.records import Bitmap, Object, Record

_HEAD = 4096  # bytes; <annotation> is the first element

_logger = logging.getLogger(__name__)


def matches(path):
    """Says whether a path is a VOC XML file, or a folder that has some.

    Args:
        path: Path of a file, of a folder of XML files, or of one with Annotations/.
    Returns:
        bool.
    """
    if path.is_dir():
        return any(matches(file) for file in files_in(_xml_folder(path), {".xml"}))
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with open(path, "rb") as file:
        return b"<annotation" in file.read(_HEAD)


def read(path):
    """Reads a data set in Pascal VOC's form.

    The splits are ImageSets/Segmentation/*.txt where there are masks, and else
    ImageSets/Main/{train,val,test}.txt; trainval.txt where neither train nor val is.

    Args:
        path: Path, as of `matches`. Images are in JPEGImages/ or images/ beside
            Annotations/, or beside the XML files.
    Returns:
        dict from "train", "val" and "test", or "" where there are no lists, to
        `Annotations`.
    Raises:
        ValueError: if nothing of it can be read.
    Source: the VOC2012 development kit, Everingham and Winn 2012.
    """
    folder = _xml_folder(path) if path.is_dir() else path.parent
    root = folder.parent if folder.name.lower() == "annotations" else folder
    inner = [root / name for name in ("JPEGImages", "images")]
    photos = next((place for place in inner if place.is_dir()), folder)
    images = images_in(photos)
    masks = files_in(root / "SegmentationObject", {".png"})
    masks = {file.stem: file for file in masks}
    files = files_in(folder, {".xml"}) if path.is_dir() else [path]
    files = {file.stem: file for file in files}
    lists = _lists(root, masks) if path.is_dir() else {}

    records, faults = {}, {}
    for split, stems in (lists or {"": list(files)}).items():
        records[split], faults[split] = [], []
        for stem in stems:
            file = files.get(stem)
            try:
                if file is None:
                    raise ValueError("there is no such XML file, but a list names it")
                tree = _parse(file)
            except ValueError as error:
                faults[split].append(
                    Fault(
                        "unreadable annotations",
                        str(file or folder),
                        f"image {stem!r:.80}",
                        str(error),
                        "left out; save it again",
                    )
                )
                continue
            name = tree.findtext("filename") or ""
            image = find_image([photos], name) or images.get(stem)
            records[split].append(
                Record(
                    # What is in neither place is missing under the name it should have.
                    image or photos / (name or f"{stem}.jpg"),
                    stem,
                    tuple(_objects(tree, masks.get(stem), file, faults[split])),
                    file,
                    _size(tree, file, faults[split]),
                )
            )
    unlisted = set(files).difference(*lists.values())
    if lists and unlisted:
        _logger.warning(
            "%s: %d of %d XML files are in none of its lists, and left out",
            root,
            len(unlisted),
            len(files),
        )
    if path.is_dir() and not lists:
        faults[""] += unannotated(photos, images, set(files))
    return splits_of(path, records, faults)


def _xml_folder(path):
    inner = (path / name for name in ("Annotations", "annotations"))
    return next((f for f in inner if files_in(f, {".xml"})), path)


def _lists(root, masks):
    """Returns a dict from split to image names, of ImageSets/; {} without lists."""
    for kind in ("Segmentation", "Main") if masks else ("Main",):
        files = {
            file.stem: file for file in files_in(root / "ImageSets" / kind, {".txt"})
        }
        if "trainval" in files and not files.keys() & {"train", "val"}:
            files["train" if "test" in files else ""] = files["trainval"]
        lists = {
            split: list(filter(None, map(str.strip, _lines(files[split]))))
            for split in ("train", "val", "test", "")
            if split in files
        }
        if lists:
            return lists
    return {}


def _lines(file):
    return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def _parse(file):
    """Returns the root element of a VOC XML file; raises ValueError."""
    try:
        tree = ET.parse(file).getroot()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    # The last two of its encoding: an unknown one, or one of several bytes.
    except (ET.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"not XML: {error}") from error
    if tree.tag != "annotation":
        raise ValueError(f"expected <annotation>, found <{tree.tag:.40}>")
    return tree


def _size(tree, file, faults):
    try:
        return size(
            *(_number(tree, f"size/{side}", "0") for side in ("height", "width"))
        )
    except ValueError as error:
        mend = "not compared with the size of the file; correct it"
        faults.append(Fault("bad value", str(file), "<size>", str(error), mend))
        return None


def _objects(tree, mask, file, faults):
    """Yields the objects of a file that have what an object needs."""
    for index, item in enumerate(tree.findall("object"), start=1):

        def report(kind, found, mend, where=f"object {index}"):
            faults.append(Fault(kind, str(file), where, found, mend))

        try:
            name = (item.findtext("name") or "").strip()
            if not name:
                raise ValueError("found no <name>")
            box = None
            if mask is None or item.find("bndbox") is not None:
                x1, y1, x2, y2 = (
                    _number(item, f"bndbox/{edge}")
                    for edge in ("xmin", "ymin", "xmax", "ymax")
                )
                if x1 == x2 or y1 == y2:
                    edges = f"x from {x1:g} to {x2:g}, y from {y1:g} to {y2:g}"
                    report("empty box", edges, "left out; remove it")
                    continue
                box = y1 - 1, x1 - 1, y2, x2
        except ValueError as error:
            report("bad value", str(error), "left out; correct it")
            continue
        difficult = (item.findtext("difficult") or "").strip() == "1"
        outline = None if mask is None else Bitmap(mask, index)
        yield Object(name, box, outline, difficult, index)


def _number(item, path, default=""):
    """Returns the number in the element at a path below `item`; raises ValueError."""
    value = (item.findtext(path) or default).strip()
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"<{path}>: expected a number, found {value!r:.40}") from None
