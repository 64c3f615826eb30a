"""Augmentation: a photograph seen in another way, its objects along with it.

Pure NumPy from Sample to Sample, so that every step can be looked at.

An object that a window or a pasted object hides in part keeps its box tight around
what is left of its mask. When too little is left to tell what it is, it becomes a
crowd region: neither an object to find nor background. One of which nothing is left
is not in the image any more.
"""

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageStat

from mrcnn_tf import rle
from mrcnn_tf.config import AugmentConfig
from mrcnn_tf.datasets.copy_paste import copy_paste
from mrcnn_tf.datasets.visible import visible_objects

# How much of each colour weighs in what the eye sees as bright; ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114])
# ImageNet's mean colour, which the network's normalisation makes zero, or nearly.
_FILL = 124, 116, 104


def flip_horizontal(sample):
    """Returns the sample's mirror image: left becomes right."""
    y1, x1, y2, x2 = sample.boxes.T
    boxes = np.stack([y1, sample.width - x2, y2, sample.width - x1], axis=1)  # [N, 4]
    masks, trimap = sample.masks, sample.trimap
    if masks is not None:
        masks = tuple(rle.encode(rle.decode(mask)[:, ::-1]) for mask in masks)
    if trimap is not None:
        trimap = trimap[:, ::-1]
    return dataclasses.replace(
        sample, image=sample.image[:, ::-1], boxes=boxes, masks=masks, trimap=trimap
    )


def distort_colors(sample, rng, strength=0.25):
    """Changes brightness, contrast and saturation; where things are stays.

    Args:
        sample: a Sample.
        rng: NumPy Generator.
        strength: each of the three is multiplied by 1 - strength to 1 + strength.
    Returns:
        Sample with another image.
    Source: the photometric distortion of SSD, Liu et al. 2016, without hue.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    image = Image.fromarray(sample.image)
    mean_grey = brightness * (ImageStat.Stat(image).mean @ _LUMA)
    # Away from a pixel's own grey, and from the mean of the image: both are linear,
    # so that all three are one matrix, [3, 3], which Pillow applies to bytes.
    matrix = saturation * np.eye(3) + (1 - saturation) * _LUMA
    matrix *= brightness * contrast
    shift = np.full((3, 1), (1 - contrast) * mean_grey)
    image = image.convert("RGB", tuple(np.hstack([matrix, shift]).ravel()))
    return dataclasses.replace(sample, image=np.asarray(image))


def crop(sample, window, min_visible=0.1):
    """Cuts a window out of a sample.

    Args:
        sample: a Sample.
        window: four ints (y1, x1, y2, x2), pixels, half-open, inside the image.
        min_visible: share of an object's area, 0 to 1; with less of it in the
            window it becomes a crowd region.
    Returns:
        Sample of the window's size, with the objects that reach into it.
    Raises:
        ValueError: for a window that is empty or not inside the image.
    """
    y1, x1, y2, x2 = window
    if not (0 <= y1 < y2 <= sample.height and 0 <= x1 < x2 <= sample.width):
        raise ValueError(
            f"image {sample.image_id!r}: the window (y1, x1, y2, x2) = {window} is "
            f"not inside its {sample.height} x {sample.width} pixels"
        )
    place = np.s_[y1:y2, x1:x2]
    masks = sample.masks
    if masks is not None:
        masks = [rle.encode(rle.decode(mask)[place]) for mask in masks]
    boxes = sample.boxes - np.array([y1, x1, y1, x1])
    size = y2 - y1, x2 - x1
    return dataclasses.replace(
        sample,
        image=sample.image[place],
        trimap=None if sample.trimap is None else sample.trimap[place],
        **visible_objects(sample, boxes, masks, size, min_visible),
    )


def zoom(sample, scale, place=(0.5, 0.5), min_visible=0.1):
    """Makes everything larger or smaller for the network; the aspect stays.

    No pixel is resampled here: the network's own resize brings every image to one
    size, so what is cut down is enlarged by it, and what lies on a larger canvas is
    made smaller. Scaling an image and cutting it to a fixed size, as the source has
    it, comes to the same.

    Args:
        sample: a Sample.
        scale: above 1, cuts a window of 1 / scale of each side; below, lays the
            image on a canvas of 1 / scale of each side, in ImageNet's mean colour.
        place: two shares, 0 to 1, of the spare room that is above and left of the
            window or of the image.
        min_visible: as of `crop`.
    Returns:
        Sample.
    Source: large-scale jitter, Ghiasi et al. 2021, Simple Copy-Paste.
    """
    old = np.array([sample.height, sample.width])
    new = np.maximum(1, np.round(old / scale).astype(int))
    top, left = np.round(np.abs(new - old) * place).astype(int)
    if scale >= 1:
        return crop(sample, (top, left, top + new[0], left + new[1]), min_visible)
    window = np.s_[top : top + old[0], left : left + old[1]]

    def laid_on(canvas, array):
        canvas[window] = array
        return canvas

    masks, trimap = sample.masks, sample.trimap
    if masks is not None:
        masks = [
            rle.encode(laid_on(np.zeros(new, bool, order="F"), rle.decode(mask)))
            for mask in masks
        ]
    if trimap is not None:
        trimap = laid_on(np.full(new, 2, np.uint8), trimap)  # 2: background
    return dataclasses.replace(
        sample,
        image=laid_on(np.full((*new, 3), _FILL, np.uint8), sample.image),
        boxes=sample.boxes + np.array([top, left, top, left]),
        masks=masks,
        trimap=trimap,
    )


@dataclass(frozen=True)
class Augment:
    """The augmentation that training applies, as a config has it.

    Attributes:
        config: an `AugmentConfig`.
    """

    config: AugmentConfig = field(default_factory=AugmentConfig)

    def __call__(self, sample, rng, dataset=None):
        """Augments a sample.

        Args:
            sample: a Sample.
            rng: NumPy Generator; all that is random comes from it.
            dataset: where copy-paste takes another sample from.
        Returns:
            Sample.
        Raises:
            ValueError: for copy-paste without a dataset, or of samples without masks.
        """
        sample = self._seen(sample, rng)
        if self.config.copy_paste and rng.random() < self.config.copy_paste:
            if dataset is None:
                raise ValueError("copy-paste needs the dataset, to take from it")
            other = self._seen(dataset[int(rng.integers(len(dataset)))], rng)
            sample = copy_paste(sample, other, rng, self.config.min_visible)
        return sample

    def _seen(self, sample, rng):
        """Returns one photograph in another way; what is off is not drawn."""
        config = self.config
        if rng.random() < config.flip:
            sample = flip_horizontal(sample)
        if config.colors:
            sample = distort_colors(sample, rng, config.colors)
        if config.crop and rng.random() < config.crop:
            window = _random_window(sample, rng, config.min_side)
            sample = crop(sample, window, config.min_visible)
        low, high = config.zoom
        if (low, high) != (1, 1):
            # Even on a log scale: as often half the size as twice.
            scale = math.exp(rng.uniform(math.log(low), math.log(high)))
            sample = zoom(sample, scale, rng.random(2), config.min_visible)
        return sample


def _random_window(sample, rng, min_side):
    """Returns (y1, x1, y2, x2) with each side from `min_side` of the image's to all."""
    size = np.array([sample.height, sample.width])
    sides = np.maximum(1, np.round(size * rng.uniform(min_side, 1, 2)).astype(int))
    start = rng.integers(size - sides, endpoint=True)
    return *start, *(start + sides)
