"""What the readers of several formats share: files of a folder, values, the end."""

import os

from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.images import image_suffixes
from mrcnn_tf.datasets.records import Annotations

_NAMED = 5  # names that a message lists
_LONGEST = 2**31  # pixels of a side


def files_in(folder, suffixes):
    """Lists the files of a folder by their endings.

    Args:
        folder: Path; one that does not exist has no files.
        suffixes: lower-case endings, each with its dot.
    Returns:
        sorted list of Path, without hidden files (macOS puts a "._a.xml" by "a.xml").
    """
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes
        and not file.name.startswith(".")
        and file.is_file()
    )


def images_in(folder):
    """Returns a dict from the stem of each image file in a folder to its Path."""
    return {file.stem: file for file in files_in(folder, image_suffixes())}


def find_image(folders, name):
    """Finds an image by the name that an annotation file has for it.

    Args:
        folders: list of Path, where to look.
        name: str, as the file has it: relative or not, also with backslashes.
    Returns:
        Path of the first that exists, or None.
    """
    name = name.replace("\\", "/")
    paths = [folder / name for folder in folders]
    # os.path, as pathlib raises for names that no file can have.
    return next((path for path in paths if os.path.isfile(path)), None)


def number(value, what):
    """Returns a value of a JSON file as a float.

    Args:
        value: what the file holds.
        what: name of the field, for the error.
    Raises:
        ValueError: if it is no number.
    """
    if type(value) not in (int, float):
        raise ValueError(f"{what}: expected a number, found {value!r:.40}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{what}: {value!r:.20}... is too large") from None


def text(value, what):
    """Returns a value of a JSON file as a str without blanks around it.

    Args:
        value: what the file holds.
        what: name of the field, for the error.
    Raises:
        ValueError: if it is no text, empty, or no text that can be written down.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what}: expected a text, found {value!r:.40}")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half a character, as "\ud800"
        raise ValueError(f"{what}: {value!r:.40} is damaged: {error.reason}") from None
    return value.strip()


def size(height, width):
    """Returns a declared size (height, width) as ints; None where there is none.

    Programs that did not look at the image leave it out, or write 0 x 0.

    Raises:
        ValueError: if they are no whole numbers that a size can be.
    """
    if not height or not width:
        return None
    sides = number(height, "height"), number(width, "width")
    if not all(side.is_integer() and 0 < side < _LONGEST for side in sides):
        raise ValueError(f"expected a height and a width in pixels, found {sides}")
    return int(sides[0]), int(sides[1])


def unannotated(folder, images, named):
    """Reports images that no annotation file is of.

    Args:
        folder: Path of the images.
        images: dict from stem to Path of each, of `images_in`.
        named: set of the stems of those that have an annotation file.
    Returns:
        list of one `Fault` for all, or of none.
    """
    left = [path.name for stem, path in images.items() if stem not in named]
    if not left:
        return []
    names = ", ".join(left[:_NAMED]) + (", ..." if left[_NAMED:] else "")
    return [
        Fault(
            "image without annotations",
            str(folder),
            "",
            f"{len(left)} of {len(images)} images have no annotation file: {names}",
            "left out; where nothing is to be seen, save a file without objects",
        )
    ]


def splits_of(path, records, faults):
    """Closes the reading: the classes are those found in any split, sorted.

    Args:
        path: of the data set, for the error.
        records: dict from split to a list of `Record`.
        faults: dict from split to a list of `Fault`.
    Returns:
        dict from split to `Annotations`.
    Raises:
        ValueError: if no split has a record.
    """
    if not any(records.values()):
        found = [fault for part in faults.values() for fault in part]
        raise ValueError(
            f"{path}: no image could be read: "
            + (str(found[0]) if found else "there are none")
        )
    objects = (o for part in records.values() for r in part for o in r.objects)
    classes = tuple(sorted({item.name for item in objects}))
    return {
        split: Annotations(classes, part, faults[split])
        for split, part in records.items()
    }
