"""Opens a dataset by its name or its folder, in three splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrcnn_tf.datasets.compose import Composed
from mrcnn_tf.datasets.pets import Pets
from mrcnn_tf.datasets.pets_tfds import TfdsPets
from mrcnn_tf.datasets.toy import Animals, Shapes

TOYS = {"shapes": Shapes, "animals": Animals}
PETS = "oxford_iiit_pet"  # as TensorFlow Datasets calls them


@dataclass(frozen=True)
class Splits:
    """One dataset in three parts that share no image; `test` is for the end."""

    train: Any
    val: Any
    test: Any


def load(source, size=128, compose=0):
    """Opens a dataset.

    Args:
        source: "shapes" or "animals" for toy scenes, "oxford_iiit_pet" to download
            the Pets once through TensorFlow Datasets, or a folder laid out as their
            archives are.
        size: pixels a side, of scenes that are generated or composed.
        compose: 0 for the images as they are; n to compose scenes of one to n
            objects from them, or of as many as the image beneath holds.
    Returns:
        `Splits`. Generated splits are without end for training, of 200 scenes else.
    Raises:
        ValueError: if the source is none of these.
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
    else:
        raise ValueError(
            f"{source}: expected one of {sorted([*TOYS, PETS])}, or a folder that "
            "holds annotations/trimaps/ and images/ as Oxford-IIIT Pets does"
        )
    if compose:
        photos = [
            Composed(photo, length, seed=seed, size=size, max_objects=compose)
            for seed, (photo, length) in enumerate(
                zip(photos, lengths, strict=True), start=1
            )
        ]
    return Splits(*photos)
