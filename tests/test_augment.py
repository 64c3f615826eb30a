"""Augmentation by hand on tiny images, and what must hold of any sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn_tf import rle
from mrcnn_tf.config import AugmentConfig, Config
from mrcnn_tf.datasets.augment import (
    Augment,
    crop,
    distort_colors,
    flip_horizontal,
    zoom,
)
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.datasets.toy import Shapes

EVERYTHING = AugmentConfig(zoom=(0.5, 2), crop=0.5, copy_paste=0.5)


def painted(height=4, width=6, objects=((0, 1, 2, 3),), crowd=None, seed=0):
    """A sample of noise with filled rectangles, and the trimap of them."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    masks, trimap = [], np.full((height, width), 2, np.uint8)
    for y1, x1, y2, x2 in objects:
        mask = np.zeros((height, width), bool)
        mask[y1:y2, x1:x2] = True
        trimap[mask] = 1
        masks.append(rle.encode(mask))
    classes = np.arange(len(objects)) + 1
    return Sample(image, np.array(objects), classes, masks, crowd, trimap)


def without_masks(sample):
    return Sample(sample.image, sample.boxes, sample.classes, None, sample.crowd)


def assert_same(one, two):
    for name in ("image", "boxes", "classes", "crowd", "trimap"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), name)
    assert one.masks == two.masks


def check(sample):
    """What holds of any sample: tight boxes, and a trimap that says the same."""
    for mask, box in zip(sample.dense_masks(), sample.boxes, strict=True):
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        tight = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
        assert box.tolist() == tight
    objects = sample.dense_masks().any(axis=0)
    np.testing.assert_array_equal(sample.trimap == 1, objects)


@st.composite
def samples(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    objects, crowd = [], []
    for _ in range(draw(st.integers(0, 4))):
        y1, x1 = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        y2, x2 = draw(st.integers(y1 + 1, height)), draw(st.integers(x1 + 1, width))
        objects.append((y1, x1, y2, x2))
        crowd.append(draw(st.booleans()))
    return painted(height, width, objects, np.array(crowd, bool))


# Mirror image


def test_flip_by_hand():
    flipped = flip_horizontal(painted())
    assert flipped.boxes.tolist() == [[0, 3, 2, 5]]  # columns 1, 2 of 0 .. 5
    np.testing.assert_array_equal(flipped.image, painted().image[:, ::-1])
    check(flipped)


@given(samples())
def test_flipped_twice_is_the_identity(sample):
    flipped = flip_horizontal(sample)
    check(flipped)
    assert_same(flip_horizontal(flipped), sample)


def test_flip_without_masks_or_objects():
    flipped = flip_horizontal(without_masks(painted()))
    assert flipped.boxes.tolist() == [[0, 3, 2, 5]] and flipped.masks is None
    assert len(flip_horizontal(painted(objects=())).boxes) == 0


# Colours


@pytest.mark.parametrize("seed", range(5))
def test_colours_are_the_three_steps_one_after_another(seed):
    """Brightness, then saturation, then contrast, each as its definition has it."""
    sample = painted(20, 30)
    found = distort_colors(sample, np.random.default_rng(seed), 0.25)
    factors = np.random.default_rng(seed).uniform(0.75, 1.25, 3)
    brightness, contrast, saturation = factors
    image = sample.image * brightness
    grey = image @ [0.299, 0.587, 0.114]
    image = grey[..., None] + saturation * (image - grey[..., None])
    image = grey.mean() + contrast * (image - grey.mean())
    expected = np.clip(np.floor(image + 0.5), 0, 255)
    # Pillow computes in float32: a half may round the other way.
    assert np.abs(found.image - expected).max() <= 1
    assert np.mean(found.image != expected) < 1e-3
    assert found.image.dtype == np.uint8
    assert found.masks == sample.masks
    np.testing.assert_array_equal(found.boxes, sample.boxes)


def test_no_strength_changes_nothing_and_grey_stays_grey():
    sample = painted(20, 30)
    still = distort_colors(sample, np.random.default_rng(0), 0)
    np.testing.assert_array_equal(still.image, sample.image)
    grey = Sample(np.full((4, 4, 3), 100, np.uint8), [], [])
    changed = distort_colors(grey, np.random.default_rng(0), 0.25).image
    assert changed.min() == changed.max() and 75 <= changed[0, 0, 0] <= 125


def test_colours_of_a_mirror_image_are_those_of_the_image():
    """Its rows are stored backwards."""
    sample = painted(20, 30)
    one = distort_colors(flip_horizontal(sample), np.random.default_rng(3))
    two = flip_horizontal(distort_colors(sample, np.random.default_rng(3)))
    np.testing.assert_array_equal(one.image, two.image)


# Crop


def test_crop_by_hand():
    """Of two columns one stays; the other object is outside."""
    sample = painted(4, 6, [(0, 1, 2, 3), (3, 0, 4, 2), (0, 3, 4, 6)])
    cut = crop(sample, (0, 2, 3, 5))
    assert (cut.height, cut.width) == (3, 3)
    np.testing.assert_array_equal(cut.image, sample.image[0:3, 2:5])
    assert cut.boxes.tolist() == [[0, 0, 2, 1], [0, 1, 3, 3]]
    assert cut.classes.tolist() == [1, 3]
    assert not cut.crowd.any()
    check(cut)


def test_the_box_of_a_cut_object_is_tight_and_of_a_whole_one_as_annotated():
    mask = np.zeros((4, 8), bool)
    mask[0, 0:4] = mask[3, 0] = mask[1:3, 6] = True
    parts = [mask & (np.arange(8) < 5), mask & (np.arange(8) >= 5)]
    boxes = [[0, 0, 4, 4], [0.9, 5.8, 3.2, 7.1]]
    image = np.zeros((4, 8, 3), np.uint8)
    sample = Sample(image, boxes, [1, 2], [rle.encode(part) for part in parts])
    cut = crop(sample, (0, 2, 4, 8))
    # Its lower row was left of the window.
    np.testing.assert_allclose(cut.boxes, [[0, 0, 1, 2], [0.9, 3.8, 3.2, 5.1]])


def test_too_little_of_an_object_is_a_crowd_region():
    """A row of ten pixels: two of them are a fifth."""
    sample = painted(1, 12, [(0, 0, 1, 10)])
    for columns, min_visible, expected in ((2, 0.2, False), (1, 0.2, True)):
        cut = crop(sample, (0, 10 - columns, 1, 12), min_visible)
        assert cut.crowd.tolist() == [expected]
        assert cut.boxes.tolist() == [[0, 0, 1, columns]]
    box_only = crop(without_masks(sample), (0, 9, 1, 12), 0.2)
    assert box_only.crowd.tolist() == [True] and box_only.masks is None
    assert box_only.boxes.tolist() == [[0, 0, 1, 1]]
    # A crowd stays one, however much of it is seen.
    crowd = painted(1, 12, [(0, 0, 1, 10)], [True])
    assert crop(crowd, (0, 0, 1, 12)).crowd.tolist() == [True]


@settings(max_examples=300)
@given(samples(), st.data(), st.booleans())
def test_no_object_is_lost_that_is_in_the_window(sample, data, has_masks):
    y1 = data.draw(st.integers(0, sample.height - 1))
    x1 = data.draw(st.integers(0, sample.width - 1))
    y2 = data.draw(st.integers(y1 + 1, sample.height))
    x2 = data.draw(st.integers(x1 + 1, sample.width))
    cut = crop(sample if has_masks else without_masks(sample), (y1, x1, y2, x2), 0.3)
    areas = [rle.area(mask) for mask in sample.masks]
    dense = sample.dense_masks()[:, y1:y2, x1:x2]
    there = dense.any(axis=(1, 2))
    assert cut.classes.tolist() == sample.classes[there].tolist()
    share = dense.sum(axis=(1, 2)) / np.maximum(areas, 1)
    expected = (sample.crowd | (share < 0.3))[there]
    assert cut.crowd.tolist() == expected.tolist()
    if has_masks:
        np.testing.assert_array_equal(cut.dense_masks(), dense[there])
        check(cut)
    else:
        tight = np.array([rle.box(rle.encode(mask)) for mask in dense[there]])
        np.testing.assert_array_equal(cut.boxes, tight.reshape(-1, 4))


@pytest.mark.parametrize(
    "window", [(0, 0, 5, 6), (-1, 0, 2, 2), (2, 2, 2, 4), (0, 3, 4, 2)]
)
def test_a_window_that_is_not_inside_is_refused(window):
    with pytest.raises(ValueError, match=r"window .* not inside its 4 x 6"):
        crop(painted(), window)


# Zoom


def test_zoom_out_by_hand():
    """Half the size on a canvas twice as large, a quarter of the room above."""
    sample = painted(4, 6)
    small = zoom(sample, 0.5, (0.25, 1))
    assert (small.height, small.width) == (8, 12)
    np.testing.assert_array_equal(small.image[1:5, 6:12], sample.image)
    assert small.boxes.tolist() == [[1, 7, 3, 9]]
    check(small)
    outside = np.ones((8, 12), bool)
    outside[1:5, 6:12] = False
    assert set(small.trimap[outside]) == {2}  # background
    normalised = small.image[outside] / 255 - [0.485, 0.456, 0.406]
    assert np.abs(normalised).max() < 0.5 / 255 + 1e-9


def test_zoom_in_by_hand():
    """Twice the size: half of each side, here the lower left quarter."""
    sample = painted(4, 6)
    large = zoom(sample, 2, (1, 0))
    np.testing.assert_array_equal(large.image, sample.image[2:4, 0:3])
    assert len(large.boxes) == 0  # the object was above
    assert zoom(sample, 2, (0, 0)).boxes.tolist() == [[0, 1, 2, 3]]


@given(samples(), st.floats(0.1, 1), st.floats(0, 1), st.floats(0, 1))
def test_zoom_out_and_the_inverse_crop_are_the_identity(sample, scale, down, right):
    small = zoom(sample, scale, (down, right))
    check(small)
    assert abs(small.height - sample.height / scale) <= 0.5
    assert abs(small.width - sample.width / scale) <= 0.5
    top = round(down * (small.height - sample.height))
    left = round(right * (small.width - sample.width))
    window = top, left, top + sample.height, left + sample.width
    assert_same(crop(small, window), sample)


def test_zoom_of_boxes_alone_and_of_one_pixel():
    small = zoom(without_masks(painted()), 0.5, (0, 0))
    assert small.masks is None and small.boxes.tolist() == [[0, 1, 2, 3]]
    dot = painted(1, 1, [(0, 0, 1, 1)])
    assert_same(zoom(dot, 4), dot)
    assert zoom(dot, 0.2).boxes.tolist() == [[2, 2, 3, 3]]
    assert_same(zoom(painted(), 1), painted())


# All of it


def test_augment_flips_as_often_as_it_is_told():
    sample = painted()
    for flip, expected in ((0.0, 0), (1.0, 20), (0.5, 10)):
        augment = Augment(AugmentConfig(flip=flip, colors=0))
        rng = np.random.default_rng(0)
        flips = sum(augment(sample, rng).boxes[0, 1] != 1 for _ in range(20))
        assert abs(flips - expected) <= (5 if flip == 0.5 else 0)


def test_the_presets_flip_and_change_colours_alone():
    config = Config.preset("resnet50_fpn").augment
    assert config == AugmentConfig() == Augment().config
    sample = painted(40, 60, [(3, 5, 20, 30)])
    for seed in range(4):
        found = Augment(config)(sample, np.random.default_rng(seed))
        assert found.image.shape == sample.image.shape
        assert found.boxes.tolist() in ([[3, 5, 20, 30]], [[3, 30, 20, 55]])


def test_the_same_seed_gives_the_same_sample():
    data = Shapes(8, seed=0, size=64)
    augment = Augment(EVERYTHING)
    one, two, three = (
        [augment(data[i], np.random.default_rng((seed, i)), data) for i in range(8)]
        for seed in (0, 0, 1)
    )
    for first, second in zip(one, two, strict=True):
        assert_same(first, second)
    assert any(a.image.shape != b.image.shape for a, b in zip(one, three, strict=True))


def test_zoom_is_as_often_in_as_out_and_within_its_range():
    sample = painted(100, 200, ())
    augment = Augment(AugmentConfig(flip=0, colors=0, zoom=(0.5, 2)))
    rng = np.random.default_rng(0)
    sides = np.array([augment(sample, rng).height for _ in range(200)])
    assert sides.min() >= 50 and sides.max() <= 200
    assert 80 <= np.sum(sides > 100) <= 120
    assert sides.min() < 55 and sides.max() > 180


def test_crop_takes_windows_of_many_aspects():
    sample = painted(100, 200, ())
    augment = Augment(AugmentConfig(flip=0, colors=0, crop=0.5, min_side=0.5))
    rng = np.random.default_rng(0)
    shapes = [augment(sample, rng).image.shape[:2] for _ in range(200)]
    cut = [shape for shape in shapes if shape != (100, 200)]
    assert 80 <= len(cut) <= 120
    heights, widths = np.transpose(cut)
    assert 50 <= heights.min() < 55 and 95 < heights.max() <= 100
    assert 100 <= widths.min() < 110 and 190 < widths.max() <= 200
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.3


def test_crop_takes_windows_of_all_places():
    """Each pixel of the 4 x 6 is in some window, and is missing in another."""
    sample = painted()
    augment = Augment(AugmentConfig(flip=0, colors=0, crop=1, min_side=0.5))
    rng = np.random.default_rng(0)
    seen = np.zeros((4, 6), int)
    for _ in range(200):
        image = augment(sample, rng).image
        seen += (sample.image[:, :, None] == image.reshape(-1, 3)).all(-1).any(-1)
    assert seen.min() > 20 and seen.max() <= 200
    assert (seen[[0, 0, 3, 3], [0, 5, 0, 5]] < 150).all()


@pytest.mark.parametrize("changes", [{"crop": 1.0}, {"zoom": (4, 4)}])
def test_how_much_must_be_visible_is_the_configs(changes):
    """A quarter of the width or less is seen of what fills the image."""
    sample = painted(40, 60, [(0, 0, 40, 60)])
    for min_visible in (0, 1):
        config = AugmentConfig(min_visible=min_visible, min_side=0.25, **changes)
        augmented = Augment(config)(sample, np.random.default_rng(0))
        assert augmented.crowd.tolist() == [min_visible == 1]
    other = painted(40, 60, [(0, 0, 20, 30)])
    for min_visible in (0, 1):
        config = AugmentConfig(min_visible=min_visible, copy_paste=1)
        augmented = Augment(config)(sample, np.random.default_rng(0), [other])
        assert augmented.crowd.tolist() == [min_visible == 1, False]


@settings(max_examples=200)
@given(samples(), st.integers(0, 1000))
def test_any_sample_can_be_augmented(sample, seed):
    """Sample itself checks what comes out: boxes inside, no empty mask."""
    augmented = Augment(EVERYTHING)(sample, np.random.default_rng(seed), [sample])
    for mask, box in zip(augmented.masks, augmented.boxes, strict=True):
        assert rle.box(mask).tolist() == box.tolist()
    config = AugmentConfig(zoom=(0.5, 2), crop=0.5)
    Augment(config)(without_masks(sample), np.random.default_rng(seed))


def test_copy_paste_asks_for_a_dataset():
    augment = Augment(AugmentConfig(copy_paste=1))
    with pytest.raises(ValueError, match="needs the dataset"):
        augment(painted(), np.random.default_rng(0))


@pytest.mark.parametrize(
    "field, value",
    [
        ("flip", 1.5),
        ("crop", -0.1),
        ("copy_paste", 2),
        ("min_visible", -1),
        ("colors", 1),
        ("min_side", 0),
        ("zoom", (2, 0.5)),
        ("zoom", (0, 1)),
        ("zoom", (1,)),
    ],
)
def test_a_config_that_cannot_be_is_refused(field, value):
    with pytest.raises(ValueError, match=f"augment.{field} must be"):
        AugmentConfig(**{field: value})


def test_the_config_goes_to_json_and_back():
    config = Config.preset("tiny", augment={"zoom": (0.5, 2), "copy_paste": 0.5})
    assert Config.from_json(config.to_json()) == config
    assert config.augment.zoom == (0.5, 2)
