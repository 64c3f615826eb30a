"""Toy scenes: what a scene promises, checked against plain NumPy."""

import numpy as np
import pytest

from mrcnn_tf.datasets import toy
from mrcnn_tf.datasets.toy import MIN_VISIBLE, Animals, Shapes, _shape, trimap_of
from mrcnn_tf.datasets.toy_animals import ANIMALS, draw_animal

BOTH = pytest.mark.parametrize("scenes", [Shapes, Animals])


def same(first, second):
    return (
        np.array_equal(first.image, second.image)
        and np.array_equal(first.boxes, second.boxes)
        and np.array_equal(first.classes, second.classes)
        and np.array_equal(first.trimap, second.trimap)
        and first.masks == second.masks
    )


@pytest.fixture(scope="module", params=[(Shapes, 128), (Animals, 128), (Animals, 65)])
def many(request):
    scenes, size = request.param
    dataset = scenes(40, seed=3, size=size)
    return dataset, size, list(dataset)


@BOTH
def test_a_scene_depends_on_seed_and_index_alone(scenes):
    forwards = [scenes(4, seed=5)[i] for i in range(4)]
    dataset = scenes(1000, seed=5)
    backwards = [dataset[i] for i in reversed(range(4))][::-1]
    assert all(same(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert same(dataset[np.int64(2)], forwards[2])


@BOTH
def test_seeds_and_indices_give_different_scenes(scenes):
    first = scenes(2, seed=1)
    assert not same(first[0], first[1])
    assert not same(first[0], scenes(2, seed=2)[0])


@BOTH
def test_the_length_ends_the_iteration(scenes):
    dataset = scenes(2)
    assert len(dataset) == len(list(dataset)) == 2
    assert len(list(scenes(0))) == 0
    for beyond in (2, -1):
        with pytest.raises(IndexError, match="of 2"):
            dataset[beyond]


@BOTH
@pytest.mark.parametrize(
    "arguments",
    [
        {"length": -1},
        {"length": 2.5},
        {"length": 1, "size": 63},
        {"length": 1, "seed": -1},
    ],
)
def test_bad_arguments_are_named(scenes, arguments):
    name = list(arguments)[-1]
    with pytest.raises(ValueError, match=f"{scenes.__name__}: {name}.*at least"):
        scenes(**arguments)


def test_records_are_whole(many):
    dataset, size, samples = many
    for index, sample in enumerate(samples):
        assert sample.image_id == index
        assert sample.image.shape == (size, size, 3)
        assert len(sample.classes) >= 1
        assert sample.classes.max() <= len(dataset.classes)
        assert not sample.crowd.any()


def test_visible_masks_never_overlap_and_are_no_slivers(many):
    for sample in many[2]:
        masks = sample.dense_masks()
        assert masks.sum(axis=0).max() == 1
        assert masks.sum(axis=(1, 2)).min() >= MIN_VISIBLE


def test_boxes_are_tight_and_half_open(many):
    for sample in many[2]:
        for mask, box in zip(sample.dense_masks(), sample.boxes, strict=True):
            rows, columns = np.nonzero(mask)
            tight = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            assert box.tolist() == tight


def test_trimaps_agree_with_the_masks(many):
    for sample in many[2]:
        covered = sample.dense_masks().any(axis=0)
        assert set(np.unique(sample.trimap)) == {1, 2, 3}
        assert covered[sample.trimap == 1].all()
        assert not covered[sample.trimap == 2].any()


def test_trimap_by_hand():
    owner = np.full((128, 128), -1)
    owner[40:80, 30:60] = 0
    owner[40:80, 60:90] = 1  # touches the first: the border runs between them
    trimap = trimap_of(owner)
    row = [2] * 28 + [3] * 4 + [1] * 26 + [3] * 4 + [1] * 26 + [3] * 4 + [2] * 36
    assert trimap[60].tolist() == row
    column = [2] * 38 + [3] * 4 + [1] * 36 + [3] * 4 + [2] * 46
    assert trimap[:, 45].tolist() == column
    # In a frame four times as large the border is four times as wide.
    assert (trimap_of(owner.repeat(4, 0).repeat(4, 1))[240] == 3).sum() == 3 * 16
    # The edge of the frame is no outline.
    assert (trimap_of(np.zeros((64, 64), int)) == 1).all()
    assert (trimap_of(np.full((64, 64), -1)) == 2).all()


def test_all_counts_and_classes_of_shapes_appear():
    samples = list(Shapes(200, seed=9))
    counts = {len(sample.classes) for sample in samples}
    assert counts == {1, 2, 3, 4}
    labels = np.concatenate([sample.classes for sample in samples])
    share = np.bincount(labels, minlength=4)[1:] / len(labels)
    assert share.min() > 0.25
    # Half-size 12 to 32 pixels: the frame and others cut sides, nothing adds.
    sides = np.concatenate(
        [sample.boxes[:, 2:] - sample.boxes[:, :2] for sample in samples]
    )
    assert 60 < sides.max() <= 65


def test_shapes_have_one_colour_and_noise_of_eight_grey_levels():
    measured = 0
    for sample in Shapes(60, seed=4):
        for mask in [*sample.dense_masks(), sample.trimap == 2]:
            pixels = sample.image[mask].astype(float)  # [N, 3]
            middle = np.abs(pixels.mean(axis=0) - 127.5) < 127.5 - 40  # not clipped
            if len(pixels) > 400 and middle.any():
                deviation = pixels[:, middle].std(axis=0)
                assert ((deviation > 7) & (deviation < 9)).all()
                measured += 1
    assert measured > 60


def test_shapes_have_the_area_of_school():
    y, x = np.ogrid[:128, :128]
    y, x, half = y + 0.5 - 63.7, x + 0.5 - 64.2, 20.0
    square, circle, triangle = (_shape(label, y, x, half) for label in (1, 2, 3))
    assert square.sum() == pytest.approx(40 * 40, rel=0.03)
    assert circle.sum() == pytest.approx(np.pi * 20**2, rel=0.03)
    assert triangle.sum() == pytest.approx(40 * 40 / 2, rel=0.03)
    width = triangle.sum(axis=1)
    width = width[width > 0]
    assert (np.diff(width) >= 0).all() and width[0] <= 2  # the apex is on top


def test_a_lone_circle_in_a_scene_is_a_circle():
    seen = 0
    for sample in Shapes(300, seed=2):
        y1, x1, y2, x2 = sample.boxes[0]
        alone = len(sample.classes) == 1 and sample.classes[0] == 2
        if alone and min(y1, x1) > 0 and max(y2, x2) < 128:
            radius = (y2 - y1 + x2 - x1) / 4
            area = sample.dense_masks()[0].sum()
            assert area == pytest.approx(np.pi * radius**2, rel=0.06)
            seen += 1
    assert seen >= 3


def test_a_lone_object_cut_by_the_corner_is_drawn_again(monkeypatch):
    """A frame without a labelled object is replaced, never returned."""
    drawings = []

    def draw(self, rng):
        visible = MIN_VISIBLE - 1 if not drawings else MIN_VISIBLE
        drawings.append(rng)
        owner = np.full((64, 64), -1)
        owner.flat[:visible] = 0
        return np.zeros((64, 64, 3), np.uint8), owner, [1]

    monkeypatch.setattr(Shapes, "_draw", draw)
    assert Shapes(1, size=64)[0].dense_masks().sum() == MIN_VISIBLE
    assert len(drawings) == 2


def test_animals_of_one_class_touch():
    pairs, labels = 0, set()
    for sample in Animals(60, seed=1):
        masks = np.pad(sample.dense_masks(), ((0, 0), (1, 1), (1, 1)))
        grown = masks.copy()
        for axis in (1, 2):
            for step in (-1, 1):
                grown |= np.roll(masks, step, axis)
        labels |= set(sample.classes.tolist())
        for i, j in zip(*np.triu_indices(len(masks), 1), strict=True):
            together = sample.classes[i] == sample.classes[j]
            pairs += together and (grown[i] & masks[j]).any()
    assert labels == {1, 2, 3, 4}
    assert pairs >= 15


def test_animals_are_of_all_sizes():
    samples = list(Animals(60, seed=1))
    heights = np.concatenate([s.boxes[:, 2] - s.boxes[:, 0] for s in samples])
    assert heights.min() < 20 and heights.max() > 90


@pytest.mark.parametrize("name", ANIMALS)
@pytest.mark.parametrize("height", [14, 33.3, 110])
def test_a_drawn_animal_lies_whole_in_its_picture(name, height):
    for seed in range(8):
        picture = draw_animal(name, height, np.random.default_rng(seed))
        colour, coverage = picture[..., :3], picture[..., 3]
        assert picture.dtype == np.float32
        assert coverage.max() == 1
        edge = np.ones(coverage.shape, bool)
        edge[1:-1, 1:-1] = False
        assert not coverage[edge].any()
        # Colour comes multiplied by coverage, so it cannot be brighter.
        assert (colour <= 255 * coverage[..., None] + 2).all()
        rows = np.flatnonzero((coverage >= 0.5).any(axis=1))
        # Leaning and the outline change it a little.
        assert np.ptp(rows) + 1 == pytest.approx(height, rel=0.15, abs=3)


def test_an_animals_mask_is_where_it_covers_half():
    """The later animal owns what it covers by half, and no more."""
    image = np.full((64, 64, 3), 100, np.float32)
    owner = np.full((64, 64), -1)
    animal = np.zeros((4, 4, 4), np.float32)
    animal[..., 3] = [0, 0.49, 0.5, 1]  # by column
    animal[..., :3] = 200 * animal[..., 3:]
    toy._paste(image, owner, animal, 0, 10, 7)  # half above the frame
    assert owner[:2, 8:12].tolist() == [[-1, -1, 7, 7]] * 2
    assert (owner == 7).sum() == 4
    assert image[0, 8:12, 0].tolist() == pytest.approx([100, 149, 150, 200])
    assert (image[2:] == 100).all()
