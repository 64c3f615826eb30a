"""Every format to samples, to COCO JSON, and back: nothing moves.

And every format says the same of one drawing, compared with the drawing itself.
"""

import dataclasses

import numpy as np
import pytest
import tiny_sets
from PIL import Image

from mrcnn_tf import rle
from mrcnn_tf.datasets import coco_writer
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.formats import read_annotations

WIDTH, HEIGHT = 200, 150
STAR = [(20.5, 12), (90, 40.25), (150.75, 8), (120, 90), (60, 135.5)]  # x, y
RECTANGLE = (30, 20, 110.25, 130.75)  # y1, x1, y2, x2
CIRCLE = (100, 80, 35.5)  # x, y, radius


def samples(path):
    """Returns the samples of all splits, and the names of each one's classes."""
    found = []
    for part in read_annotations(path).values():
        dataset = AnnotatedImages(part)
        found += [
            (sample, [dataset.classes[label - 1] for label in sample.classes])
            for sample in dataset
        ]
    return found


def inside_polygon(points):
    """Pixels whose centre is in a polygon, by counting crossings; bool [H, W]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = np.zeros((HEIGHT, WIDTH), bool)
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def drawing():
    """Returns the three objects as bool [3, H, W]: their names are a, b and c."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    y1, x1, y2, x2 = RECTANGLE
    rectangle = (y1 < y) & (y < y2) & (x1 < x) & (x < x2)
    circle = (x - CIRCLE[0]) ** 2 + (y - CIRCLE[1]) ** 2 < CIRCLE[2] ** 2
    return np.stack([inside_polygon(STAR), rectangle, circle])


def via(folder):
    xs, ys = map(list, zip(*STAR, strict=True))
    y1, x1, y2, x2 = RECTANGLE
    x, y, radius = CIRCLE
    regions = [
        tiny_sets.via_region("polygon", "a", all_points_x=xs, all_points_y=ys),
        tiny_sets.via_region("rect", "b", x=x1, y=y1, width=x2 - x1, height=y2 - y1),
        tiny_sets.via_region("circle", "c", cx=x, cy=y, r=radius),
    ]
    tiny_sets.via(folder, regions)
    tiny_sets.photo(folder / "a.png", (WIDTH, HEIGHT))


def labelme(folder):
    y1, x1, y2, x2 = RECTANGLE
    x, y, radius = CIRCLE
    shapes = [
        tiny_sets.labelme_shape("polygon", "a", STAR),
        tiny_sets.labelme_shape("rectangle", "b", [[x2, y1], [x1, y2]]),
        tiny_sets.labelme_shape("circle", "c", [[x, y], [x - radius, y]]),
    ]
    tiny_sets.photo(folder / "a.png", (WIDTH, HEIGHT))
    tiny_sets.labelme_file(folder / "a.json", shapes, "a.png", size=(WIDTH, HEIGHT))


def masks(folder):
    for name, mask in zip("abc", drawing(), strict=True):
        (folder / "masks" / name).mkdir(parents=True)
        Image.fromarray(mask).save(folder / "masks" / name / "1.png")
    tiny_sets.photo(folder / "images" / "photo.png", (WIDTH, HEIGHT))


def numbered(folder):
    for name, mask in zip("abc", drawing(), strict=True):
        (folder / "masks" / name).mkdir(parents=True)
        Image.fromarray(mask * np.uint8(7)).save(folder / "masks" / name / "p.png")
    tiny_sets.photo(folder / "images" / "p.png", (WIDTH, HEIGHT))


DRAWN = pytest.mark.parametrize(
    "make", [via, labelme, masks, numbered], ids=lambda make: make.__name__
)


@DRAWN
def test_every_format_says_what_was_drawn(tmp_path, make):
    make(tmp_path)
    sample, names = samples(tmp_path)[0]
    assert names == ["a", "b", "c"]
    for mask, expected in zip(sample.dense_masks(), drawing(), strict=True):
        assert (mask & expected).sum() / (mask | expected).sum() >= 0.99
    if make in (via, labelme):  # a rectangle's box is the file's
        np.testing.assert_allclose(sample.boxes[1], RECTANGLE, atol=0.01)


def written_and_read(folder, step=1):
    """Writes every step-th image as COCO JSON; yields samples before and after."""
    for index, part in enumerate(read_annotations(folder).values()):
        part = dataclasses.replace(part, records=part.records[::step])
        dataset = AnnotatedImages(part)
        file = folder.parent / f"{folder.name} written" / f"{index}.json"
        coco_writer.write(file, dataset)
        (again,) = read_annotations(file).values()
        again = AnnotatedImages(again)
        assert again.classes == dataset.classes and again.faults == []
        assert len(again) == len(dataset) and again.has_masks == dataset.has_masks
        yield from zip(dataset, again, strict=True)


def assert_same(one, other):
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(one.crowd, other.crowd)
    assert (one.masks is None) == (other.masks is None)
    for mask, again in zip(one.masks or (), other.masks or (), strict=True):
        np.testing.assert_array_equal(rle.decode(mask), rle.decode(again))


@pytest.mark.parametrize(
    "make",
    [
        via, labelme, masks, numbered, tiny_sets.voc, tiny_sets.voc_with_masks,
        tiny_sets.via, tiny_sets.via_project, tiny_sets.labelme, tiny_sets.masks,
        tiny_sets.numbered_masks,
    ],
    ids=lambda make: f"{make.__module__}.{make.__name__}",
)  # fmt: skip
def test_to_coco_and_back(tmp_path, make):
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder)
    pairs = list(written_and_read(folder))
    assert pairs and sum(len(one.boxes) for one, _ in pairs)
    for one, other in pairs:
        assert_same(one, other)


@pytest.mark.parametrize("name", ["bccd_voc", "nucleus"])
def test_real_data_to_coco_and_back(tmp_path, name):
    shared = tiny_sets.SHARED / "data" / name
    if not shared.is_dir():
        pytest.skip(f"{shared} is not there")
    (tmp_path / name).symlink_to(shared)
    pairs = list(written_and_read(tmp_path / name, step=9))
    assert sum(len(one.boxes) for one, _ in pairs) > 100
    for one, other in pairs:
        assert_same(one, other)
