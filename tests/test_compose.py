"""Composed scenes: disjoint masks, tight boxes, a consistent trimap, reproducible."""

from pathlib import Path

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.datasets.compose import Composed
from mrcnn_tf.datasets.pets import Pets
from mrcnn_tf.datasets.sample import Sample

PETS = Path(__file__).parents[2] / "shared" / "data" / "oxford_pets"


class Discs:
    """Photographs of one disc each; disc i has colour (40 * i, 0, 255) on grey."""

    classes = ("even", "odd")

    def __init__(self, length=4, radius=30, centre=(60, 80), with_trimap=True):
        self.length, self.radius, self.centre = length, radius, centre
        self.with_trimap = with_trimap

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        y, x = np.ogrid[:120, :160]
        distance = np.hypot(y - self.centre[0], x - self.centre[1])
        disc = distance < self.radius
        image = np.full((120, 160, 3), 128, np.uint8)
        image[distance < self.radius + 3] = 40 * index, 0, 255
        trimap = np.where(disc, 1, np.where(distance < self.radius + 6, 3, 2))
        mask = rle.encode(disc)
        return Sample(
            image,
            rle.box(mask)[None],
            [1 + index % 2],
            (mask,),
            trimap=trimap.astype(np.uint8) if self.with_trimap else None,
            image_id=index,
        )


def check(sample, size):
    """What must hold in every scene."""
    assert max(sample.height, sample.width) == size
    masks = sample.dense_masks()
    assert masks.sum(axis=0).max(initial=0) <= 1  # each pixel has one owner
    np.testing.assert_array_equal(sample.trimap == 1, masks.any(axis=0))
    for mask, box in zip(masks, sample.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert len(rows) >= 100
        tight = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        assert box.tolist() == tight


@pytest.mark.parametrize("with_trimap", [True, False])
def test_scenes_are_consistent(with_trimap):
    scenes = Composed(Discs(radius=22, with_trimap=with_trimap), 25, size=160)
    counts = set()
    for scene in map(scenes.__getitem__, range(25)):
        check(scene, 160)
        counts.add(len(scene.boxes))
    assert counts == {1, 2, 3, 4}


def test_pixels_belong_to_the_object_that_is_labelled():
    scenes = Composed(Discs(), 10, size=160, min_objects=3, max_objects=3)
    colours_of_class = {1: {0, 80}, 2: {40, 120}}
    for index in range(10):
        scene = scenes[index]
        for mask, label in zip(scene.dense_masks(), scene.classes, strict=True):
            red, green, blue = np.median(scene.image[mask], axis=0)
            assert red in colours_of_class[int(label)]
            assert (green, blue) == (0, 255)


def test_same_index_same_scene_and_others_differ():
    one, two = (Composed(Discs(), 5, seed=3, size=96) for _ in range(2))
    two[4]  # what was asked for before does not matter
    for name in ("image", "boxes", "classes", "trimap"):
        np.testing.assert_array_equal(getattr(one[2], name), getattr(two[2], name))
    assert one[2].masks == two[2].masks

    def differ(a, b):
        return a.shape != b.shape or (a != b).any()

    assert differ(one[2].image, one[3].image)
    assert differ(one[2].image, Composed(Discs(), 5, seed=4, size=96)[2].image)


def test_the_source_is_not_changed():
    source = Discs(1)
    before = source[0].image.copy()
    kept = source[0]
    source.__class__ = type("Kept", (Discs,), {"__getitem__": lambda self, i: kept})
    Composed(source, 3, size=160, min_objects=3)[0]
    np.testing.assert_array_equal(kept.image, before)


def test_objects_cut_off_below_stand_on_the_lower_edge():
    # Every disc is cut by its photograph's lower edge.
    source = Discs(centre=(110, 80))
    scenes = Composed(source, 20, size=160, min_objects=2, max_objects=3)
    pasted = [(s.boxes[1:, 2], s.height) for s in map(scenes.__getitem__, range(20))]
    assert sum(len(ends) for ends, _ in pasted) > 10
    for ends, height in pasted:
        # Another may stand before it and hide its foot.
        assert len(ends) == 0 or ends[-1] == height


def test_objects_that_fill_their_photograph_are_not_pasted():
    scenes = Composed(Discs(radius=90), 3, size=96, min_objects=2, max_objects=2)
    assert [len(scenes[i].boxes) for i in range(3)] == [1, 1, 1]


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="source dataset is empty"):
        Composed(Discs(0), 5)
    with pytest.raises(ValueError, match="found 3 and 2"):
        Composed(Discs(), 5, min_objects=3, max_objects=2)
    with pytest.raises(ValueError, match="found 0 and 256"):
        Composed(Discs(), 0)
    with pytest.raises(IndexError, match="no scene 5 of 5"):
        Composed(Discs(), 5)[5]


def test_source_without_masks_is_named():
    class Boxes(Discs):
        def __getitem__(self, index):
            image = np.zeros((40, 40, 3), np.uint8)
            return Sample(image, [[1, 1, 9, 9]], [1], image_id="boxes.jpg")

    with pytest.raises(ValueError, match=r"boxes\.jpg.*needs masks"):
        Composed(Boxes(), 1)[0]


def test_photographs_without_objects_are_backgrounds_only():
    class Mixed(Discs):
        def __getitem__(self, index):
            if index:
                return super().__getitem__(index)
            return Sample(np.zeros((90, 90, 3), np.uint8), [], [], (), image_id="none")

    scenes = Composed(Mixed(2), 20, size=96, min_objects=2, max_objects=2)
    for scene in map(scenes.__getitem__, range(20)):
        check(scene, 96)
        assert len(scene.boxes) == 2


@pytest.mark.skipif(not PETS.exists(), reason="no ../shared beside the repository")
def test_real_photographs():
    scenes = Composed(Pets(PETS, "test"), 12, seed=1)
    for index in range(12):
        check(scenes[index], 256)
