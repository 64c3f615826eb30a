"""Augmentation: a photograph seen in another way, its objects along with it.

Pure NumPy from Sample to Sample, so that every step can be looked at.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from mrcnn_tf import rle

# How much of each colour weighs in what the eye sees as bright; ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


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
    image = sample.image.astype(np.float32) * np.float32(brightness)
    grey = (image @ _LUMA)[..., None]  # [H, W, 1]
    # One pass for both: away from its own grey, and from the mean of the image.
    image = grey + np.float32(saturation) * (image - grey)
    mean = grey.mean()
    image = mean + np.float32(contrast) * (image - mean)
    image = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return dataclasses.replace(sample, image=image)


@dataclass(frozen=True)
class Augment:
    """The augmentation of the presets: mirrored half of the time, other colours.

    Attributes:
        flip: probability of a mirror image, 0 to 1.
        colors: strength of `distort_colors`, 0 for none.
    """

    flip: float = 0.5
    colors: float = 0.25

    def __call__(self, sample, rng):
        """Returns an augmented Sample; `rng` is a NumPy Generator."""
        if rng.random() < self.flip:
            sample = flip_horizontal(sample)
        if self.colors:
            sample = distort_colors(sample, rng, self.colors)
        return sample
