"""Masks as PNG files: one for each object, or one of numbers for each image.

One for each object, as in the Data Science Bowl of 2018: a folder for each image, with
the image in images/ and any number of PNG files in masks/, in which all that is not
black is the object.

One for each image: images/ and masks/ side by side, a PNG file in masks/ with the
image's name (`cat.png`, or `cat_mask.png`, for `cat.jpg`). The pixels of value k are
object k, 0 is background. In a palette, 255 is a void border, as in Pascal VOC; as a
grey value it is an object like others, for masks that are black and white.

The class is "object"; where masks/ has folders with the files in them, their names.
"""

from mrcnn_tf.datasets.bitmaps import object_numbers
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.images import image_size
from mrcnn_tf.datasets.reading import files_in, images_in, splits_of, unannotated
from mrcnn_tf.datasets.records import Bitmap, Object, Record

_ONE_CLASS = "object"
_SUFFIX = "_mask"  # that may follow the image's name


def matches(path):
    """Says whether a folder holds images/ and masks/, or folders that do.

    Args:
        path: Path.
    Returns:
        bool.
    """
    if not path.is_dir():
        return False
    return _is_pair(path) or any(_is_of_one_image(folder) for folder in _folders(path))


def read(path):
    """Reads a data set of PNG masks.

    Args:
        path: Path of a folder, as of `matches`.
    Returns:
        dict of "" to `Annotations`. Sizes are those of the masks.
    Raises:
        ValueError: if nothing of it can be read.
    Source: https://www.kaggle.com/c/data-science-bowl-2018, and PyTorch's tutorial on
        the Penn-Fudan pedestrians.
    """
    faults = []
    if _is_pair(path) and not _is_of_one_image(path):
        records = _numbered(path, faults)
    else:
        folders = [path] if _is_pair(path) else _folders(path)
        records = [r for folder in folders for r in _separate(folder, faults)]
    return splits_of(path, {"": records}, {"": faults})


def _folders(path):
    return sorted(f for f in path.iterdir() if f.is_dir() and f.name[0] != ".")


def _is_pair(path):
    return (path / "images").is_dir() and (path / "masks").is_dir()


def _is_of_one_image(path):
    """Whether masks/ is of the objects of one image, and not of many images."""
    if not _is_pair(path):
        return False
    images = images_in(path / "images")
    names = {_stem(mask) for _, mask in _masks(path)}
    return len(images) == 1 and not images.keys() & names


def _masks(path):
    """Returns pairs of class and PNG file, of all that masks/ holds."""
    folder = path / "masks"
    return [
        (name, file)
        for name, place in [(_ONE_CLASS, folder)]
        + [(f.name, f) for f in _folders(folder)]
        for file in files_in(place, {".png"})
    ]


def _stem(mask):
    return mask.stem.removesuffix(_SUFFIX)


def _separate(folder, faults):
    """Returns a list of the one record of a folder with one image, or of none."""
    images = list(images_in(folder / "images").values())
    if len(images) != 1 or not (folder / "masks").is_dir():
        found = f"{len(images)} images in images/"
        found += "" if (folder / "masks").is_dir() else ", no folder masks/"
        mend = "left out; put one image there, and a PNG file for each object in masks/"
        faults.append(Fault("unreadable annotations", str(folder), "", found, mend))
        return []
    masks = _masks(folder)
    objects = [Object(name, None, Bitmap(file), id=file.stem) for name, file in masks]
    size = _size(masks[0][1]) if masks else None
    return [Record(images[0], folder.name, tuple(objects), folder / "masks", size)]


def _numbered(path, faults):
    """Returns the records of a folder with many images, a mask file for each."""
    images, objects, sizes = images_in(path / "images"), {}, {}
    masks = _masks(path)
    for name, file in masks:
        stem = _stem(file)
        if stem not in images:
            found, mend = f"images/ has no {stem}.*", "left out; put its image there"
            faults.append(Fault("annotation without image", str(file), "", found, mend))
            continue
        try:
            numbers = object_numbers(file)
        except ValueError as error:
            mend = "left out; save it again"
            faults.append(
                Fault("unreadable annotations", str(file), "", str(error), mend)
            )
            continue
        sizes.setdefault(stem, _size(file))
        objects.setdefault(stem, []).extend(
            Object(name, None, Bitmap(file, number), id=f"{file.stem} {number}")
            for number in numbers
        )
    faults += unannotated(path / "images", images, {_stem(file) for _, file in masks})
    return [
        Record(images[stem], stem, tuple(found), path / "masks", sizes[stem])
        for stem, found in objects.items()
    ]


def _size(mask):
    """Returns the size of a mask; None if it cannot be read, as the checks will say."""
    try:
        return image_size(mask)[0]
    except (ValueError, OSError):
        return None
