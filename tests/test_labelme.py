"""labelme: shapes, groups, masks, and images beside or inside the JSON."""

import base64
import json

import numpy as np
import pytest
import tiny_sets
from PIL import Image
from tiny_sets import STAR, base64_png, labelme_file, labelme_shape

from mrcnn_tf import rle
from mrcnn_tf.datasets import labelme
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.formats import read_annotations


def shapes_read(folder, *shapes, **options):
    """Returns the objects of an image with these shapes, and the faults."""
    tiny_sets.photo(folder / "a.png")
    labelme_file(folder / "a.json", list(shapes), "a.png", **options)
    annotations = labelme.read(folder)[""]
    return annotations.records[0].objects, annotations.faults


def test_every_shape(tmp_path):
    tiny_sets.labelme(tmp_path)
    annotations = read_annotations(tmp_path)[""]
    assert annotations.classes == ("cat", "dog", "owl") and annotations.faults == []
    sample, without = AnnotatedImages(annotations)
    assert len(without.boxes) == 0 and sample.image_id == "a"
    assert sample.classes.tolist() == [1, 2, 2, 1, 3]
    star, rectangle, circle, mask, owl = sample.dense_masks()
    assert star[10, 10] and not star[3, 12]
    np.testing.assert_array_equal(sample.boxes[1], [3, 2, 11, 12.5])
    assert rectangle[3:11, 2:12].all() and rectangle.sum() in (80, 88)
    y, x = np.mgrid[:20, :30] + 0.5
    assert (((x - 15) ** 2 + (y - 10) ** 2 <= 8.5**2) ^ circle).sum() <= 4
    assert list(zip(*np.nonzero(mask), strict=True)) == [
        (5, 4), (5, 6), (6, 4), (6, 5), (6, 6)
    ]  # fmt: skip
    assert owl[2, 4] and owl[2, 26] and not owl[:, 8:18].any()  # two in one


def test_rectangles_alone_are_boxes_of_any_corners(tmp_path):
    corners = ([[9, 3], [2, 8]], [[2, 8], [9, 3]], [[2, 3], [9, 3], [9, 8], [2, 8]])
    shapes = [labelme_shape("rectangle", "cat", points) for points in corners]
    objects, faults = shapes_read(tmp_path, *shapes)
    assert [(o.box, o.outline) for o in objects] == [((3, 2, 8, 9), None)] * 3
    assert faults == []


def test_a_file_with_other_shapes_makes_outlines_of_all_rectangles(tmp_path):
    tiny_sets.labelme(tmp_path)
    rectangle = labelme_shape("rectangle", "cat", [[2, 3], [9, 8]])
    tiny_sets.photo(tmp_path / "c.png")
    labelme_file(tmp_path / "c.json", [rectangle], "c.png")
    *_, record = labelme.read(tmp_path)[""].records
    assert record.objects[0].box == (3, 2, 8, 9)
    np.testing.assert_array_equal(
        record.objects[0].outline[0], [2, 3, 9, 3, 9, 8, 2, 8]
    )


def test_a_group_of_rectangles_has_one_box(tmp_path):
    shapes = [
        labelme_shape("rectangle", "cat", [[1, 2], [3, 4]], group_id=0),
        labelme_shape("rectangle", "cat", [[10, 1], [12, 3]], group_id=0),
        labelme_shape("rectangle", "dog", [[5, 5], [6, 6]], group_id=0),  # another
        labelme_shape("rectangle", "cat", [[7, 7], [8, 8]]),  # none
    ]
    objects, _ = shapes_read(tmp_path, *shapes)
    boxes = [(1, 1, 4, 12), (5, 5, 6, 6), (7, 7, 8, 8)]
    assert [o.box for o in objects] == boxes
    assert [o.name for o in objects] == ["cat", "dog", "cat"]


def test_a_shape_without_a_kind_is_a_polygon(tmp_path):
    old = {"label": "cat", "points": STAR}  # as of labelme 3
    objects, faults = shapes_read(tmp_path, old, old | {"shape_type": None})
    assert len(objects) == 2 and faults == []


def test_masks_at_random_places(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = rng.integers(1, 8, 2)
        y, x = rng.integers(0, 20 - height + 1), rng.integers(0, 30 - width + 1)
        pixels = rng.random((height, width)) < rng.choice([0, 0.5, 1])
        whole = np.zeros((20, 30), bool)
        whole[y : y + height, x : x + width] = pixels
        corners = [[int(x), int(y)], [int(x + width - 1), int(y + height - 1)]]
        shape = labelme_shape("mask", "cat", corners, mask=base64_png(pixels))
        (item,), _ = shapes_read(tmp_path, shape)
        found = rle.decode(rle.checked(item.outline, 20, 30))
        np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"shape_type": "linestrip"}, "unsupported shape", "'linestrip'"),
        ({"shape_type": 7}, "bad value", "shape_type"),
        ({"label": None}, "bad value", "label: expected a text, found None"),
        ({"label": "\ud800"}, "bad value", "damaged"),
        ({"points": None}, "bad value", "pairs of x and y"),
        ({"points": [[1, 2], [3]]}, "bad value", "pairs of x and y"),
        ({"points": [[1, 2], [3, "4"]]}, "bad value", "expected a number"),
        ({"shape_type": "circle"}, "bad value", "a circle of 5 points"),
        ({"shape_type": "rectangle"}, "bad value", "a rectangle of 5 points"),
        ({"group_id": [1]}, "bad value", "group_id"),
        (
            {"shape_type": "mask", "points": [[29, 5], [31, 5]]},
            "bad value",
            "text, found None",
        ),
        (
            {"shape_type": "mask", "points": [[9, 5], [9, 5]], "mask": "@@"},
            "bad value",
            "not base64",
        ),
        (
            {"shape_type": "mask", "points": [[9, 5], [9, 5]], "mask": "AAAA"},
            "bad value",
            "embedded image: not an image",
        ),
        (
            {
                "shape_type": "mask",
                "points": [[29, 5], [30, 5]],
                "mask": base64_png(np.ones((1, 2), bool)),
            },
            "bad value",
            "1 x 2 pixels at x = 29, y = 5, the image is 20 x 30",
        ),
    ],
)
def test_shapes_that_are_none(tmp_path, change, kind, words):
    good = labelme_shape("polygon", "cat", STAR)
    objects, (fault,) = shapes_read(tmp_path, good | change, good)
    assert [o.id for o in objects] == [1]
    assert fault.kind == kind and words in fault.found and fault.where == "shape 0"


def test_windows_paths_and_other_folders(tmp_path):
    tiny_sets.photo(tmp_path / "photos" / "a.png")
    (tmp_path / "labels").mkdir()
    labelme_file(tmp_path / "labels" / "x.json", [], "..\\photos\\a.png")
    annotations = labelme.read(tmp_path / "labels")[""]
    sample = AnnotatedImages(annotations)[0]
    assert sample.image_id == "x" and sample.image.shape == (20, 30, 3)


def test_an_image_renamed_together_with_its_json(tmp_path):
    tiny_sets.photo(tmp_path / "new.png")
    labelme_file(tmp_path / "new.json", [], "C:\\old\\old.png")
    annotations = labelme.read(tmp_path)[""]
    assert annotations.records[0].image == tmp_path / "new.png"
    assert annotations.faults == []


def test_the_image_in_the_json_is_used_where_there_is_no_file(tmp_path):
    green = np.full((20, 30, 3), (0, 255, 0), np.uint8)
    file = labelme_file(tmp_path / "a.json", [], "a.png", data=base64_png(green))
    sample = AnnotatedImages(labelme.read(file)[""])[0]
    np.testing.assert_array_equal(sample.image, green)
    tiny_sets.photo(tmp_path / "a.png")  # which comes first
    assert labelme.read(file)[""].records[0].image == tmp_path / "a.png"


@pytest.mark.parametrize("data", ["not base64", 7])
def test_an_image_in_the_json_that_is_none(tmp_path, data):
    labelme_file(tmp_path / "a.json", [], "a.png", data=data)
    annotations = labelme.read(tmp_path)[""]
    assert annotations.records[0].image == tmp_path / "a.png"
    assert [fault.kind for fault in annotations.faults] == ["unreadable image"]
    cut = base64.b64encode(b"\x89PNG").decode()
    labelme_file(tmp_path / "a.json", [], "a.png", data=cut)
    with pytest.raises(ValueError, match=r"image in .*a\.json: unreadable image"):
        AnnotatedImages(labelme.read(tmp_path)[""])


@pytest.mark.parametrize("size", [(0, 0), (None, None)])
def test_a_size_that_is_not_declared(tmp_path, size):
    _, faults = shapes_read(tmp_path, size=size)
    assert labelme.read(tmp_path)[""].records[0].size is None and faults == []


@pytest.mark.parametrize("size", [("30", 20), (30.5, 20), (1e300, 1e300), (-30, 20)])
def test_a_size_that_is_none(tmp_path, size):
    _, (fault,) = shapes_read(tmp_path, size=size)
    assert labelme.read(tmp_path)[""].records[0].size is None
    assert fault.kind == "bad value" and "imageHeight" in fault.where


@pytest.mark.parametrize("text", ["{", "[]", '{"shapes": 3}', '{"shapes": []}'])
def test_one_broken_file_of_two(tmp_path, text):
    tiny_sets.labelme(tmp_path).write_text(text)
    annotations = labelme.read(tmp_path)[""]
    assert [record.image_id for record in annotations.records] == ["b"]
    (fault,) = annotations.faults
    assert fault.kind == "unreadable annotations" and "a.json" in fault.file
    (tmp_path / "b.json").unlink()
    with pytest.raises(ValueError, match=r"no image could be read: .*a\.json"):
        labelme.read(tmp_path)


def test_images_without_a_file_are_counted(tmp_path):
    tiny_sets.labelme(tmp_path)
    for index in range(7):
        tiny_sets.photo(tmp_path / f"z{index}.png")
    (fault,) = labelme.read(tmp_path)[""].faults
    assert fault.kind == "image without annotations"
    assert fault.found.startswith("7 of 9 images have no annotation file: z0.png,")


def test_a_photograph_on_its_side(tmp_path):
    """labelme shows it upright, and so do we; a size as stored is understood, too."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the first stored row is at the right
    tiny_sets.photo(tmp_path / "a.jpg", exif=exif)
    upright, stored = [[1, 2], [19, 29]], [[2, 3], [29, 19]]
    for points, size, shape in ((upright, (20, 30), (30, 20, 3)),
                                (stored, (30, 20), (20, 30, 3))):  # fmt: skip
        rectangle = labelme_shape("rectangle", "cat", points)
        file = labelme_file(tmp_path / "a.json", [rectangle], "a.jpg", size=size)
        sample = AnnotatedImages(labelme.read(file)[""])[0]
        assert sample.image.shape == shape
        (x1, y1), (x2, y2) = points
        np.testing.assert_array_equal(sample.boxes, [[y1, x1, y2, x2]])


def test_what_matches(tmp_path):
    file = tiny_sets.labelme(tmp_path)
    assert labelme.matches(file) and labelme.matches(tmp_path)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({"imageData": "A" * 100_000, **content}))
    assert labelme.matches(file)
    file.write_text("{}")
    assert not labelme.matches(file) and not labelme.matches(tmp_path / "none.json")
