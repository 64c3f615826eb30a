"""Masks that are image files: of one object, or of all with a number for each."""

import numpy as np
from PIL import Image

# Pillow's modes of one channel, whose values are numbers as they stand.
_NUMBERS = ("1", "L", "P", "I;16", "I;16B", "I")
_VOID = 255


def read_numbers(path):
    """Reads an image whose values are numbers of objects, not colours.

    Args:
        path: Path of an image of one channel, of a palette, or of equal channels.
    Returns:
        [H, W], of an unsigned or signed integer type or bool.
    Raises:
        ValueError: if it cannot be read, or has colours.
    """
    return _read(path, _numbers)


def object_numbers(path):
    """Says which objects an image of numbers has.

    Args:
        path: as of `read_numbers`.
    Returns:
        sorted list of ints from 1; without 255 where the image has a palette, in
        which it is the border that Pascal VOC leaves between objects.
    Raises:
        ValueError: as `read_numbers`.
    """

    def present(image):
        values = np.unique(_numbers(image))
        void = _VOID if image.mode == "P" else 0
        return [int(value) for value in values if value > 0 and value != void]

    return _read(path, present)


def read_mask(path):
    """Reads a mask of one object: all that is not black.

    Args:
        path: Path of an image of any kind.
    Returns:
        bool [H, W].
    Raises:
        ValueError: if it cannot be read.
    """

    def is_seen(image):
        if image.mode in _NUMBERS and image.mode != "P":
            return np.array(image) != 0
        # The colours of a palette, not its indices, whose order is anyone's guess.
        return np.array(image.convert("RGB")).any(axis=2)

    return _read(path, is_seen)


def _numbers(image):
    if image.mode in _NUMBERS:
        return np.array(image)
    channels = np.array(image.convert("RGB"))  # [H, W, 3]
    if (channels != channels[..., :1]).any():
        raise ValueError(
            "it has colours; expected one channel or a palette, with the number of "
            "an object for each pixel"
        )
    return channels[..., 0]


def _read(path, use):
    try:
        with Image.open(path) as image:
            return use(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(f"mask {path}: {error}") from error
