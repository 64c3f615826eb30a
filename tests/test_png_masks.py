"""Masks as PNG files, one for each object or one for each image."""

from pathlib import Path

import numpy as np
import pytest
import tiny_sets
from PIL import Image

from mrcnn_tf.datasets import bitmaps, png_masks
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.checks import make_sample
from mrcnn_tf.datasets.formats import read_annotations

NUCLEUS = Path(__file__).parents[2] / "shared" / "data" / "nucleus"


def test_one_file_for_each_object(tmp_path):
    tiny_sets.masks(tmp_path)
    annotations = read_annotations(tmp_path)[""]
    assert annotations.classes == ("object",) and annotations.faults == []
    assert [r.image_id for r in annotations.records] == ["a", "b"]
    assert [r.size for r in annotations.records] == [(20, 30)] * 2
    sample = AnnotatedImages(annotations)[0]
    pixels = tiny_sets.numbers()
    np.testing.assert_array_equal(sample.dense_masks(), [pixels == 1, pixels == 2])
    np.testing.assert_array_equal(sample.boxes[1], [15, 2, 18, 25])


def test_the_folder_of_one_image(tmp_path):
    tiny_sets.masks(tmp_path)
    annotations = read_annotations(tmp_path / "a")[""]
    assert [len(r.objects) for r in annotations.records] == [2]


def test_folders_in_masks_are_classes(tmp_path):
    tiny_sets.masks(tmp_path)
    for stem, name in (("a", "cell"), ("b", "cell"), ("b", "dust")):
        place = tmp_path / stem / "masks"
        (place / name).mkdir()
        (place / "1.png").replace(place / name / "1.png")
        tiny_sets.palette_image(tiny_sets.numbers()).save(place / "1.png")
    annotations = png_masks.read(tmp_path)[""]
    assert annotations.classes == ("cell", "dust", "object")
    names = [[o.name for o in record.objects] for record in annotations.records]
    assert names == [["object", "object", "cell"], ["object", "object", "cell", "dust"]]


def test_an_image_without_objects(tmp_path):
    tiny_sets.masks(tmp_path)
    for file in (tmp_path / "a" / "masks").iterdir():
        file.unlink()
    annotations = png_masks.read(tmp_path)[""]
    assert annotations.records[0].objects == () and annotations.faults == []
    assert AnnotatedImages(annotations)[0].masks == ()


def test_folders_that_are_not_of_one_image(tmp_path):
    tiny_sets.masks(tmp_path)
    tiny_sets.photo(tmp_path / "none" / "images" / "x.png")
    tiny_sets.masks(tmp_path / "two")  # which is not looked into
    tiny_sets.photo(tmp_path / "b" / "images" / "second.png")
    (tmp_path / "__notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    annotations = png_masks.read(tmp_path)[""]
    assert [r.image_id for r in annotations.records] == ["a"]
    found = {Path(f.file).name: f.found for f in annotations.faults}
    assert found == {
        "__notes": "0 images in images/, no folder masks/",
        "b": "2 images in images/",
        "none": "1 images in images/, no folder masks/",
        "two": "0 images in images/, no folder masks/",
    }


@pytest.mark.parametrize("as_palette", [False, True])
def test_numbers_for_each_image(tmp_path, as_palette):
    tiny_sets.numbered_masks(tmp_path, as_palette)
    annotations = read_annotations(tmp_path)[""]
    assert annotations.classes == ("object",) and annotations.faults == []
    sample = AnnotatedImages(annotations)[1]
    pixels = tiny_sets.numbers()
    np.testing.assert_array_equal(sample.dense_masks(), [pixels == 1, pixels == 2])
    assert sample.image_id == "b"


def test_255_is_void_in_a_palette_alone(tmp_path):
    tiny_sets.numbered_masks(tmp_path)
    pixels = tiny_sets.numbers() * 0
    pixels[3:9, 4:20] = 255
    Image.fromarray(pixels).save(tmp_path / "masks" / "a.png")
    tiny_sets.palette_image(pixels).save(tmp_path / "masks" / "b.png")
    black_and_white, palette = AnnotatedImages(png_masks.read(tmp_path)[""])
    np.testing.assert_array_equal(black_and_white.boxes, [[3, 4, 9, 20]])
    assert len(palette.boxes) == 0


def test_names_with_mask_and_classes_in_folders(tmp_path):
    mask = tiny_sets.numbered_masks(tmp_path)
    (tmp_path / "masks" / "bird").mkdir()
    mask.rename(tmp_path / "masks" / "bird" / "a_mask.PNG")
    annotations = png_masks.read(tmp_path)[""]
    assert annotations.classes == ("bird", "object") and annotations.faults == []
    names = {r.image_id: [o.name for o in r.objects] for r in annotations.records}
    assert names == {"a": ["bird", "bird"], "b": ["object", "object"]}


def test_masks_and_images_that_miss_each_other(tmp_path):
    mask = tiny_sets.numbered_masks(tmp_path)
    mask.rename(tmp_path / "masks" / "c.png")
    annotations = png_masks.read(tmp_path)[""]
    assert [r.image_id for r in annotations.records] == ["b"]
    kinds = ["annotation without image", "image without annotations"]
    assert [fault.kind for fault in annotations.faults] == kinds


def test_masks_of_which_none_has_the_name_of_an_image(tmp_path):
    mask = tiny_sets.numbered_masks(tmp_path)
    for stem in "ab":
        mask.with_stem(stem).rename(mask.with_stem(f"label {stem}"))
    with pytest.raises(ValueError, match=r"images/ has no label a\.\*"):
        png_masks.read(tmp_path)


def test_numbers_for_a_single_image(tmp_path):
    tiny_sets.numbered_masks(tmp_path).unlink()
    (tmp_path / "images" / "a.jpg").unlink()
    annotations = png_masks.read(tmp_path)[""]
    assert [len(record.objects) for record in annotations.records] == [2]


def test_one_broken_mask_of_two(tmp_path):
    mask = tiny_sets.numbered_masks(tmp_path)
    for broken in (b"", mask.read_bytes()[:60]):
        mask.write_bytes(broken)
        annotations = png_masks.read(tmp_path)[""]
        assert [r.image_id for r in annotations.records] == ["b"]
        (fault,) = annotations.faults
        assert fault.kind == "unreadable annotations" and "a.png" in fault.file
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"no image could be read: .*a\.png"):
        png_masks.read(tmp_path)


def test_one_broken_mask_of_an_object(tmp_path):
    tiny_sets.masks(tmp_path).write_bytes(b"no PNG")
    annotations = png_masks.read(tmp_path)[""]
    record = annotations.records[0]
    sample, (fault,) = make_sample(record, annotations.classes, True)
    assert len(sample.boxes) == 1 and fault.kind == "unreadable image"
    assert "1.png" in fault.found


def test_a_mask_of_another_size(tmp_path):
    mask = tiny_sets.masks(tmp_path)
    Image.fromarray(np.ones((5, 5), np.uint8)).save(mask.with_name("2.png"))
    annotations = png_masks.read(tmp_path)[""]
    _, (fault,) = make_sample(annotations.records[0], annotations.classes, True)
    assert fault.kind == "size mismatch" and "5 x 5" in fault.found


def test_a_photograph_on_its_side_and_masks_of_its_stored_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    tiny_sets.numbered_masks(tmp_path)
    tiny_sets.photo(tmp_path / "images" / "a.jpg", exif=exif)
    tiny_sets.photo(tmp_path / "images" / "b.jpg", (20, 30), exif=exif)
    stored, upright = AnnotatedImages(png_masks.read(tmp_path)[""])
    assert stored.image.shape == upright.image.shape == (20, 30, 3)
    np.testing.assert_array_equal(stored.boxes, upright.boxes)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_masks_of_every_kind_of_png(tmp_path, mode):
    mask = np.zeros((6, 9), bool)
    mask[2:5, 3:9] = True
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    image = image.convert("I").convert(mode) if "I" in mode else image.convert(mode)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(bitmaps.read_mask(tmp_path / "a.png"), mask)
    numbers = bitmaps.read_numbers(tmp_path / "a.png")
    np.testing.assert_array_equal(numbers != 0, mask)


def test_a_palette_may_begin_with_white(tmp_path):
    """Programs that shrink PNG files sort the palette as they like."""
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        bitmaps.read_mask(tmp_path / "a.png"), [[True, False, False]]
    )


def test_numbers_of_16_bits_and_of_colours(tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 300, 65535, 300]], np.uint16)).save(file)
    assert bitmaps.object_numbers(file) == [300, 65535]
    Image.fromarray(np.array([[[9, 9, 9], [0, 0, 0]]], np.uint8)).save(file)
    assert bitmaps.object_numbers(file) == [9]
    Image.fromarray(np.array([[[9, 9, 8], [0, 0, 0]]], np.uint8)).save(file)
    with pytest.raises(ValueError, match=r"a\.png: it has colours; expected one"):
        bitmaps.object_numbers(file)


def test_what_matches(tmp_path):
    tiny_sets.masks(tmp_path / "separate")
    tiny_sets.numbered_masks(tmp_path / "numbered")
    assert png_masks.matches(tmp_path / "separate")
    assert png_masks.matches(tmp_path / "separate" / "a")
    assert png_masks.matches(tmp_path / "numbered")
    assert not png_masks.matches(tmp_path)
    assert not png_masks.matches(tmp_path / "numbered" / "masks" / "a.png")


@pytest.mark.skipif(not NUCLEUS.is_dir(), reason=f"{NUCLEUS} is not there")
def test_nuclei():
    dataset = AnnotatedImages(read_annotations(NUCLEUS)[""])
    assert len(dataset) == 36 and dataset.classes == ("object",)
    for record, sample in zip(dataset.records[::6], dataset, strict=False):
        del sample
        folder = record.image.parents[1]
        index = dataset.records.index(record)
        files = sorted((folder / "masks").glob("*.png"))
        expected = [np.array(Image.open(file).convert("L")) > 0 for file in files]
        np.testing.assert_array_equal(dataset[index].dense_masks(), expected)
    assert sum(len(record.objects) for record in dataset.records) == 1095
    assert not any(
        faults
        for r in dataset.records
        for faults in [make_sample(r, ("object",), True)[1]]
    )
