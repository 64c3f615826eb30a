"""Oxford-IIIT Pets: photographs of cats and dogs with trimaps.

The official boxes are of heads alone, and the test split has none: here both box
and mask come from the trimap.

`Pets` reads a folder, `TfdsPets` (in `pets_tfds.py`) what TensorFlow Datasets has
downloaded; photographs, splits and faults are the same.
"""

import logging
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mrcnn_tf import rle
from mrcnn_tf.datasets.images import read_image
from mrcnn_tf.datasets.sample import Sample

_logger = logging.getLogger(__name__)

CLASSES = ("cat", "dog")
SPLITS = ("train", "val", "trainval", "test")
# Every seventh photograph of a breed validates: one in seven is 14 %.
_VALIDATION_STEP = 7
_LAYOUT = (
    "expected a folder with images/*.jpg, annotations/list.txt, "
    "annotations/trainval.txt, annotations/test.txt and annotations/trimaps/*.png, "
    "as the two archives of https://www.robots.ox.ac.uk/~vgg/data/pets/ "
    "unpack into one folder"
)


class Pets:
    """A dataset of the Pets photographs in one split, each with one animal.

    The mask is trimap value 1; the border, value 3, where the annotators left open
    what is fur and what is not, is no part of it. The box is tight around the mask.
    All trimaps are read at construction, about a millisecond each; a photograph
    with a fault is left out, and faults are reported together.

    Attributes:
        classes: ("cat", "dog").
        names: the names of the photographs in use, in the order of the lists.
        faults: dict from the name of a photograph left out to what is wrong.
        unlisted: names of the photographs in images/ that are not in list.txt; they
            belong to no split.
    """

    classes = CLASSES

    def __init__(self, root, split):
        """Reads the lists and checks the files.

        Args:
            root: folder of the official layout.
            split: "test" and "trainval" are the official ones; "val" is every
                seventh photograph of each breed in trainval, "train" the others.
        Raises:
            ValueError: for another split, a row that cannot be read, or no
                photograph without a fault.
            FileNotFoundError: if the folder or one of its lists is missing.
        Source: Parkhi et al. 2012, Cats and Dogs.
        """
        check_split(split)
        self._root = Path(root)
        for part in ("images", "annotations/trimaps", "annotations/list.txt"):
            if not (self._root / part).exists():
                raise FileNotFoundError(
                    f"pets: {self._root / part} is missing; {_LAYOUT}"
                )
        known = _read_list(self._root / "annotations" / "list.txt")
        list_name = "test.txt" if split == "test" else "trainval.txt"
        rows = _read_list(self._root / "annotations" / list_name)
        photographs = {path.stem for path in (self._root / "images").glob("*.jpg")}
        self.unlisted = sorted(photographs - set(known) - set(rows))
        # Said once for a folder of which all splits are opened.
        if self.unlisted and split in ("train", "trainval"):
            _logger.warning(
                "pets: %d photographs of %s are not in annotations/list.txt and not "
                "used: %s",
                len(self.unlisted),
                self._root / "images",
                ", ".join(self.unlisted),
            )
        self._species = {name: species for name, (species, _) in rows.items()}
        self.names, self.faults = [], {}
        for name in select({name: breed for name, (_, breed) in rows.items()}, split):
            fault = "" if name in known else "not in annotations/list.txt"
            fault = fault or self._fault(name)
            if fault:
                self.faults[name] = fault
            else:
                self.names.append(name)
        report_faults(self.names, self.faults, split, f"{self._root}; {_LAYOUT}")

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        """Reads one photograph; returns a Sample with one object and a trimap."""
        name = self.names[index]
        trimap = read_trimap(self._trimap_path(name))
        image = read_image(self._image_path(name))
        return pet_sample(name, image, trimap, self._species[name])

    def _image_path(self, name):
        return self._root / "images" / f"{name}.jpg"

    def _trimap_path(self, name):
        return self._root / "annotations" / "trimaps" / f"{name}.png"

    def _fault(self, name):
        """Returns what is wrong with a photograph and its trimap, or ''."""
        paths = self._image_path(name), self._trimap_path(name)
        for path in paths:
            if not path.is_file():
                return f"{path.relative_to(self._root)} is missing"
        return fault_of(*paths)


def check_split(split):
    """Raises ValueError unless `split` is one of `SPLITS`."""
    if split not in SPLITS:
        raise ValueError(f"pets: split must be one of {SPLITS}, found {split!r}")


def select(breeds, split):
    """Chooses the photographs of a split out of those of an official list.

    Args:
        breeds: dict from the name of each photograph to its breed, anything that
            tells breeds apart.
        split: one of `SPLITS`. "train" and "val" divide the list trainval: by name
            within a breed, so that the order of the list does not matter.
    Returns:
        list of names, in the order of `breeds`.
    """
    if split in ("test", "trainval"):
        return list(breeds)
    seen = {}  # breed: photographs so far
    validation = set()
    for name in sorted(breeds):
        seen[breeds[name]] = seen.get(breeds[name], 0) + 1
        if seen[breeds[name]] % _VALIDATION_STEP == 0:
            validation.add(name)
    return [name for name in breeds if (name in validation) == (split == "val")]


def fault_of(photograph, trimap):
    """Checks a photograph against its trimap.

    Args:
        photograph, trimap: paths or binary files; of the photograph the header
            alone is read.
    Returns:
        str, what is wrong, or "".
    """
    try:
        with Image.open(photograph) as image:
            ImageOps.exif_transpose(image, in_place=True)  # as `read_image` does
            width, height = image.size
        trimap = read_trimap(trimap)
    except (OSError, SyntaxError, ValueError) as error:
        return f"cannot be read: {error}"
    if trimap.shape != (height, width):
        return (
            f"the trimap is {trimap.shape[0]} x {trimap.shape[1]}, the "
            f"photograph {height} x {width} (height x width)"
        )
    values = np.flatnonzero(np.bincount(trimap.ravel()))
    if not set(values.tolist()) <= {1, 2, 3}:
        return f"trimap values {values.tolist()}, expected 1, 2 and 3"
    if values[0] != 1:
        return "the trimap has no object pixel (value 1)"
    return ""


def report_faults(names, faults, split, source):
    """Logs the photographs left out; raises ValueError if no other is there.

    Args:
        names: of the photographs in use.
        faults: dict from the name of a photograph left out to what is wrong.
        split: one of `SPLITS`.
        source: where they come from, for the error.
    """
    if faults:
        _logger.warning(
            "pets: %d of %d photographs of %r are left out: %s",
            len(faults),
            len(faults) + len(names),
            split,
            "; ".join(f"{name}: {fault}" for name, fault in faults.items()),
        )
    if not names:
        raise ValueError(
            f"pets: no photograph of {split!r} can be used, {len(faults)} have "
            f"faults, in {source}"
        )


def read_trimap(file):
    """Returns the trimap in a path or binary file, uint8 [H, W]."""
    with Image.open(file) as image:
        if image.mode not in ("L", "P"):
            raise ValueError(f"a trimap is 8-bit grey, found mode {image.mode}")
        return np.array(image)


def pet_sample(name, image, trimap, species):
    """Returns the Sample of one photograph, with one object and a trimap.

    Args:
        name: str, of the photograph.
        image: uint8 [H, W, 3].
        trimap: uint8 [H, W].
        species: 1 cat, 2 dog.
    """
    mask = rle.encode(trimap == 1)
    return Sample(
        image=image,
        boxes=rle.box(mask)[None],  # [1, 4]
        classes=[species],
        masks=(mask,),
        trimap=trimap,
        image_id=name,
    )


def _read_list(path):
    """Returns {name: (species, breed)} in the order of the file."""
    if not path.is_file():
        raise FileNotFoundError(f"pets: {path} is missing; {_LAYOUT}")
    rows = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):  # the official list has a heading
            continue
        parts = line.split()
        if len(parts) != 4 or parts[2] not in ("1", "2"):
            raise ValueError(
                f"{path}, line {number}: expected 'name class species breed' with "
                f"species 1 (cat) or 2 (dog), found {line!r}"
            )
        if parts[0] in rows:
            raise ValueError(f"{path}, line {number}: {parts[0]} is listed twice")
        # The class (1 to 37) tells the breeds apart; `breed` counts anew per species.
        rows[parts[0]] = int(parts[2]), int(parts[1])
    return rows
