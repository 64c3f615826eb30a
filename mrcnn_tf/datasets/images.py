"""Any image a person may hand over, as uint8 RGB, or an error that says what is wrong.

Everything after this file may rely on uint8 [H, W, 3].
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # orientations that exchange height and width


def read_image(path, upright=True):
    """Reads an image file of any kind that Pillow knows; the extension is ignored.

    EXIF orientation is applied, the first frame of an animation is taken, 16-bit
    grey is scaled so that 65535 is white, and transparency is laid on white, as a
    page or a browser shows it.

    Args:
        path: str or Path.
        upright: False leaves the pixels as they are stored, whatever EXIF says.
    Returns:
        uint8 [H, W, 3], RGB.
    Raises:
        FileNotFoundError: if there is no such file.
        PermissionError: if it may not be read.
        ValueError: if it cannot be read as an image; names the file and the cause.
    """
    return _read(path, lambda image: _to_rgb(_turned(image, upright)))


def decode_image(data, name, upright=True):
    """Reads an image that is not in a file of its own.

    Args:
        data: bytes of a whole image file.
        name: str, what errors call it.
        upright: as of `read_image`.
    Returns:
        uint8 [H, W, 3], RGB.
    Raises:
        ValueError: if it cannot be read as an image.
    """
    return _decode(
        io.BytesIO(data), name, lambda image: _to_rgb(_turned(image, upright))
    )


def image_size(path):
    """Reads the size of an image from the head of its file.

    Args:
        path: str or Path, or bytes of a whole image file.
    Returns:
        (height, width) of the pixels as they are stored, and the same as EXIF's
        orientation has them seen; ints.
    Raises:
        FileNotFoundError, PermissionError, ValueError: as `read_image`.
    """

    def sizes(image):
        width, height = image.size
        is_turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
        return (height, width), (width, height) if is_turned else (height, width)

    if isinstance(path, bytes):
        return _decode(io.BytesIO(path), "embedded image", sizes)
    return _read(path, sizes)


def exif_orientation(path):
    """Reads how EXIF has an image turned: 1 as it is stored, 2 to 8 mirrored or turned.

    Args:
        path: str or Path, or bytes of a whole image file.
    Returns:
        int, 1 where nothing is said.
    Raises:
        FileNotFoundError, PermissionError, ValueError: as `read_image`.
    """

    def orientation(image):
        found = image.getexif().get(_EXIF_ORIENTATION)
        return found if found in range(2, 9) else 1

    if isinstance(path, bytes):
        return _decode(io.BytesIO(path), "embedded image", orientation)
    return _read(path, orientation)


def _read(path, use):
    """Returns `use(image)` of the Pillow image in a file, or says what is wrong."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file; is the path relative to {Path.cwd()}?"
        )
    if not path.is_file():
        raise ValueError(f"{path}: expected an image file, found a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes); fetch it again")
    with path.open("rb") as file:
        return _decode(file, path, use)


def _decode(file, name, use):
    """Returns `use(image)` of the Pillow image in a binary file."""
    try:
        with Image.open(file) as image:
            return use(image)
    except UnidentifiedImageError:
        file.seek(0)
        raise ValueError(
            f"{name}: not an image that Pillow reads, it begins with "
            f"{file.read(16)!r}; save it as JPEG or PNG"
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: too large: {error}; scale it down first") from error
    # Pillow's decoders raise OSError, SyntaxError, EOFError, struct.error and more.
    except Exception as error:
        raise ValueError(
            f"{name}: damaged or of an unsupported kind: {error}; "
            "fetch it again, or save it as 8-bit JPEG or PNG"
        ) from error


def _turned(image, upright):
    return ImageOps.exif_transpose(image) if upright else image


def image_suffixes():
    """Returns the endings, ".jpg" and others, of files to read as images in a folder.

    Those of the formats that Pillow reads and that are images by their MIME type:
    no video, no PDF, no HDF5, though Pillow knows their endings.

    Returns:
        frozenset of strings in lower case, each with its dot.
    """
    Image.init()  # Pillow knows few formats before
    return frozenset(
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and Image.MIME.get(kind, "").startswith("image/")
    )


def as_rgb(image):
    """Checks an array that stands for an image, and gives it three channels.

    Args:
        image: uint8 [H, W], [H, W, 1] grey, [H, W, 3] RGB, or [H, W, 4] RGBA, which
            is laid on white. OpenCV gives BGR: pass `image[..., ::-1]`.
    Returns:
        uint8 [H, W, 3], RGB.
    Raises:
        ValueError: for any other type or shape; says what was expected and found.
    """
    if isinstance(image, (str, Path)):
        raise ValueError(
            f"expected an image array, found the path {str(image)!r}; "
            "read it with mrcnn_tf.datasets.read_image(path)"
        )
    array = np.asarray(image)
    expected = "expected an image of uint8 [H, W, 3] RGB, 0 to 255"
    found = f"found {array.dtype} {list(array.shape)}"
    if np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"{expected}, {found}; if its values are 0 to 1, pass "
            "(image * 255).round().astype('uint8')"
        )
    if array.dtype != np.uint8:
        raise ValueError(f"{expected}, {found}; scale it to 0 to 255 and make it uint8")
    if array.ndim == 2:
        array = array[..., None]  # [H, W, 1]
    if array.ndim == 4:
        raise ValueError(f"{expected}, {found}; pass a batch as a list of images")
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"{expected} (or [H, W], [H, W, 1], [H, W, 4]), {found}; channels come last"
        )
    if 0 in array.shape:
        raise ValueError(f"{expected}, {found}: it has no pixels")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)  # [H, W, 3]
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(array))
    return array


def _to_rgb(image):
    """Returns a Pillow image of any mode as uint8 [H, W, 3]."""
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose white is not defined")
    if image.mode.startswith("I"):  # 16-bit grey, as "I;16" or widened to "I"
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"32-bit pixels, {values.min()} to {values.max()}")
        grey = ((values + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
        return np.repeat(grey[..., None], 3, axis=2)  # [H, W, 3]
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))  # [H, W, 3], a copy that can be written
