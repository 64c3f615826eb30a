"""Every kind of image file and array, made here, and what each must become."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrcnn_tf.datasets.images import as_rgb, image_suffixes, read_image

ODD_IMAGES = Path(__file__).parents[2] / "shared" / "data" / "odd_images"
RED, WHITE = [255, 0, 0], [255, 255, 255]


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_rgb_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels)


def test_one_pixel_high(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (9, 1), "red"))
    np.testing.assert_array_equal(read_image(path), [[RED] * 9])


@pytest.mark.parametrize(("mode", "value"), [("L", 200), ("1", 1), ("LA", (200, 255))])
def test_grey(tmp_path, mode, value):
    path = saved(tmp_path / "a.png", Image.new(mode, (3, 2), value))
    expected = 255 if mode == "1" else 200
    np.testing.assert_array_equal(read_image(path), np.full((2, 3, 3), expected))


def test_grey_of_16_bits_is_scaled_and_not_clipped(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        image = read_image(saved(tmp_path / name, Image.fromarray(values)))
        np.testing.assert_array_equal(image[0, :, 0], [0, 1, 128, 255])


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels))
    expected = [[RED, WHITE, [204, 204, 204]]]  # a fifth of black on white
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(as_rgb(pixels), expected)


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path / "opaque.png", image)
    np.testing.assert_array_equal(read_image(path), [[RED, [0, 0, 255]]])
    path = saved(tmp_path / "clear.png", image, transparency=1)
    np.testing.assert_array_equal(read_image(path), [[RED, WHITE]])


def test_cmyk(tmp_path):
    path = saved(tmp_path / "a.tif", Image.new("CMYK", (1, 1), (0, 255, 255, 0)))
    np.testing.assert_array_equal(read_image(path), [[RED]])


def test_first_frame_of_a_gif_named_jpg(tmp_path):
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    path = tmp_path / "a.jpg"
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(path), [[RED] * 2] * 2)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (3, 2), "white")
    image.putpixel((0, 0), (255, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # to be seen upright, turn it a quarter clockwise
    turned = read_image(saved(tmp_path / "a.png", image, exif=exif))
    assert turned.shape == (3, 2, 3)
    assert turned[0, 1].tolist() == RED


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_file_is_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path / f"half{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"half\{suffix}.*damaged.*fetch it again"):
        read_image(path)


def test_what_is_no_image_is_named(tmp_path):
    text = tmp_path / "page.jpg"
    text.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"page\.jpg: not an image.*<html>"):
        read_image(text)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty\.jpg: the file is empty"):
        read_image(empty)
    with pytest.raises(FileNotFoundError, match=r"absent\.jpg: no such file"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(ValueError, match="found a folder"):
        read_image(tmp_path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("L", (2, 2)))

    def locked(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(PermissionError, match=r"Permission denied: .*a\.png"):
        read_image(path)


def test_endings_of_images_and_of_nothing_else():
    suffixes = image_suffixes()
    photographs = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp"}
    assert photographs <= suffixes
    others = {".txt", ".json", ".xml", ".pdf", ".eps", ".mpg", ".mp4", ".h5", ".npz"}
    assert not others & suffixes


def test_floating_point_and_32_bit_files_are_refused(tmp_path):
    path = saved(tmp_path / "f.tif", Image.new("F", (2, 2), 0.5))
    with pytest.raises(ValueError, match=r"f\.tif.*floating-point"):
        read_image(path)
    path = saved(tmp_path / "i.tif", Image.new("I", (2, 2), 70_000))
    with pytest.raises(ValueError, match=r"i\.tif.*32-bit pixels, 70000 to 70000"):
        read_image(path)


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "bomb.png", Image.new("1", (64, 64)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 // 2 - 1)
    with pytest.raises(ValueError, match=r"bomb\.png: too large.*scale it down"):
        read_image(path)


@pytest.mark.skipif(
    not ODD_IMAGES.exists(), reason="no ../shared beside the repository"
)
@pytest.mark.parametrize("path", sorted(ODD_IMAGES.glob("*.jpg")), ids=lambda p: p.stem)
def test_odd_files_of_the_real_dataset(path):
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.ndim == 3 and image.shape[2] == 3
    assert image.std() > 10  # a photograph, not a blank


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_as_rgb_gives_three_channels(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = as_rgb(array)
    assert image.shape == (4, 5, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 0], array.reshape(4, 5, -1)[..., 0])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"float32 \[4, 4, 3\].*0 to 1.*\* 255"),
        (np.zeros((4, 4, 3), np.int64), "int64.*make it uint8"),
        (np.zeros((4, 4), bool), "found bool"),
        (np.zeros((3, 4, 4, 3), np.uint8), "list of images"),
        (np.zeros((3, 8, 9), np.uint8), r"\[3, 8, 9\]; channels come last"),
        (np.zeros((4,), np.uint8), r"found uint8 \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        ("cat.jpg", r"path 'cat\.jpg'.*read_image"),
        (None, "found object"),
    ],
)
def test_as_rgb_says_what_is_wrong(image, message):
    with pytest.raises(ValueError, match=message):
        as_rgb(image)


def test_readers_do_not_bring_tensorflow():
    code = (
        "import sys; from mrcnn_tf import datasets as d; "
        "d.Composed, d.Pets, d.Sample, d.Shapes, d.Augment, d.read_image; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
