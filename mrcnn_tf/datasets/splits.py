"""Opens a dataset by its name or its folder, in three splits."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrcnn_tf.datasets import formats
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.compose import Composed
from mrcnn_tf.datasets.pets import Pets
from mrcnn_tf.datasets.pets_tfds import TfdsPets
from mrcnn_tf.datasets.toy import Animals, Shapes

_logger = logging.getLogger(__name__)

TOYS = {"shapes": Shapes, "animals": Animals}
PETS = "oxford_iiit_pet"  # as TensorFlow Datasets calls them


@dataclass(frozen=True)
class Splits:
    """One dataset in three parts; `test` is for the end.

    They share no image, but where the data bring training and validation alone:
    there `test` is `val`, and a warning has said so.
    """

    train: Any
    val: Any
    test: Any


def load(source, size=128, compose=0, format=None, classes=None):
    """Opens a dataset.

    Args:
        source: "shapes" or "animals" for toy scenes, "oxford_iiit_pet" to download
            the Pets once through TensorFlow Datasets, a folder laid out as their
            archives are, or a folder or file of your own annotations: see `formats`.
        size: pixels a side, of scenes that are generated or composed.
        compose: 0 for the images as they are; n to compose scenes of one to n
            objects from them, or of as many as the image beneath holds.
        format: of your own annotations, a key of `formats.FORMATS`; None to look.
        classes: names that your own annotations may use, in the order of class ids;
            None for those that they do use.
    Returns:
        `Splits`. Generated splits are without end for training, of 200 scenes else;
        your own annotations are divided where they are not.
    Raises:
        FileNotFoundError: if there is no such folder or file.
        ValueError: if there is nothing in it that can be read, or it has classes
            that are not among `classes`.
        OSError: if a download fails.
    """
    splits = ("train", "val", "test")
    lengths = (1_000_000, 200, 200)  # of what is generated
    if str(source) in TOYS:
        toy = TOYS[str(source)]
        photos = [toy(n, seed=i, size=size) for i, n in enumerate(lengths, start=1)]
    elif str(source) == PETS:
        photos = [TfdsPets(split) for split in splits]
    elif (Path(source) / "annotations" / "trimaps").is_dir():
        photos = [Pets(source, split) for split in splits]
    elif Path(source).exists():
        parts = _in_three(formats.read_annotations(source, format), source)
        photos = [AnnotatedImages(parts[split], classes) for split in splits]
    else:
        raise FileNotFoundError(
            f"{source}: no such file or folder, and no dataset of that name; "
            f"there are {sorted([*TOYS, PETS])}"
        )
    if compose:
        photos = [
            Composed(photo, length, seed=seed, size=size, max_objects=compose)
            for seed, (photo, length) in enumerate(
                zip(photos, lengths, strict=True), start=1
            )
        ]
    return Splits(*photos)


def load_all(source, format=None, classes=None):
    """Opens all of your own annotations as one dataset, however they are divided.

    Args:
        source, format, classes: as of `load`.
    Returns:
        `AnnotatedImages`.
    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    parts = formats.read_annotations(source, format)
    return AnnotatedImages(formats.merge(parts.values()), classes)


def _in_three(parts, source):
    """Returns "train", "val" and "test" of the splits that were found."""
    if set(parts) == {"train", "val"}:
        _logger.warning("%s has no test split: val stands in for it", source)
        return {**parts, "test": parts["val"]}
    if len(parts) == 1:
        return formats.divide(*parts.values())
    if set(parts) == {"train", "test"}:
        divided = formats.divide(parts["train"])
        train = formats.merge([divided["train"], divided["test"]])
        return {"train": train, "val": divided["val"], "test": parts["test"]}
    if set(parts) != {"train", "val", "test"}:
        raise ValueError(
            f"{source}: found the splits {sorted(parts)}, expected train, with val "
            "and test or without"
        )
    return parts
