"""Each image of a data set read whole and checked; its pixels are not kept."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mrcnn_tf import rle
from mrcnn_tf.datasets.checks import image_fault, make_sample_and_places
from mrcnn_tf.datasets.doctor_checks import (
    duplicate_faults,
    orientation_fault,
    polygon_faults,
)
from mrcnn_tf.datasets.faults import Fault


@dataclass(frozen=True, slots=True)
class Used:
    """What training would use of an image.

    Attributes:
        size: (height, width), pixels.
        boxes: float32 [N, 4].
        classes: int32 [N], from 1.
        areas: float32 [N], square pixels, of masks where there are any, else boxes.
        crowd: bool [N].
    """

    size: tuple
    boxes: np.ndarray
    classes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """One image that was examined.

    Attributes:
        faults: list of `Fault`.
        digest: bytes, the same for the same file; None where it cannot be read.
        used: `Used`; None for an image that cannot be used.
    """

    faults: list
    digest: bytes | None
    used: Used | None = None


def examine_images(annotations, split, progress=True):
    """Examines each image of a split, several at a time.

    Args:
        annotations: `Annotations`.
        split: its name, for the progress bar.
        progress: whether to show that, on stderr.
    Returns:
        list of `ExaminedImage`, in the order of the records.
    """

    def examine_one(record):
        return _examine_image(record, annotations.classes, annotations.has_masks)

    # Decoding, most of the time, lets other threads run.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(
            tqdm(
                pool.map(examine_one, annotations.records),
                f"examine {split}".strip(),
                len(annotations.records),
                unit="image",
                disable=not progress,
            )
        )


def _examine_image(record, classes, has_masks):
    fault = image_fault(record)
    if fault:
        return ExaminedImage([fault], _digest(record))
    try:
        sample, faults, places = make_sample_and_places(record, classes, has_masks)
    except (ValueError, OSError) as error:
        found = str(error).removeprefix(f"{record.name}: ")
        mend = "training would stop at it"
        fault = Fault("unreadable image", record.name, "", found, mend)
        return ExaminedImage([fault], _digest(record))
    faults += polygon_faults(record) + duplicate_faults(record, sample, places)
    faults += filter(None, [orientation_fault(record)])
    if sample.masks is None:
        areas = np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2], axis=1)
    else:
        areas = np.array([rle.area(mask) for mask in sample.masks], np.float32)
    used = Used(
        (sample.height, sample.width),
        sample.boxes,
        sample.classes,
        areas,
        sample.crowd,
    )
    return ExaminedImage(faults, _digest(record), used)


def _digest(record):
    """A hash of the bytes of an image; None where they cannot be read."""
    if isinstance(record.image, bytes):
        return hashlib.sha256(record.image).digest()
    if not os.path.isfile(record.image):  # a pipe, or a device, may have no end
        return None
    try:
        with open(record.image, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None
