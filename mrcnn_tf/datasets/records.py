"""What annotation files say of each image: the stage between a reader and a `Sample`.

A reader turns the files of one format into `Annotations`. Nothing that is peculiar to
a format passes this line.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bitmap:
    """An outline that is the pixels of an image file.

    Attributes:
        path: of an image of one channel or a palette.
        value: pixels of this value are the object; None for all but 0.
    """

    path: Path
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """One object as its file has it. Types are right, values are not checked.

    Attributes:
        name: of its class.
        box: (y1, x1, y2, x2), floats in pixels, half-open, as the file has it; None
            where the file has an outline alone.
        outline: None for a box alone; or a tuple of polygons, float64 [2n] arrays
            (x1, y1, x2, y2, ...) in pixels; or an RLE, a dict of "size" [H, W] and
            "counts", a list of run lengths or compressed bytes; or a `Bitmap`.
        crowd: a region of many objects that were not told apart.
        id: of the annotation in its file; errors use it.
    """

    name: str
    box: tuple | None
    outline: tuple | dict | Bitmap | None = None
    crowd: bool = False
    id: int | str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One image as its files describe it.

    Attributes:
        image: Path, or bytes of a whole image file that was embedded.
        image_id: int or str.
        objects: tuple of `Object`.
        file: Path of the annotation file, for errors.
        size: (height, width) that the file declares; None where it does not.
    """

    image: Path | bytes
    image_id: int | str
    objects: tuple
    file: Path
    size: tuple | None = None

    @property
    def name(self):
        """The file of the pixels, for errors."""
        embedded = isinstance(self.image, bytes)
        return f"image in {self.file}" if embedded else str(self.image)


@dataclass(frozen=True)
class Annotations:
    """One split of a data set, as a reader found it.

    Attributes:
        classes: tuple of class names without background, in a stable order.
        records: list of `Record`.
        faults: list of `Fault`: what the reader had to leave out.
    """

    classes: tuple
    records: list
    faults: list

    @property
    def has_masks(self):
        """Whether any object has more than a box."""
        return any(o.outline is not None for r in self.records for o in r.objects)
