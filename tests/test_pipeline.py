"""Batches: sizes by hand, boxes and masks together, order, determinism, faults."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import rle
from mrcnn_tf.config import Config, ImageConfig
from mrcnn_tf.datasets.augment import Augment
from mrcnn_tf.datasets.pipeline import batches
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.inputs import network_size, padded_size, resize_image
from mrcnn_tf.masks import WINDOW

CLASSES = ("cat", "dog")
GOLDEN = Path(__file__).parents[2] / "shared" / "golden"


class Listed:
    """A dataset of given samples."""

    def __init__(self, samples, classes=CLASSES):
        self.samples, self.classes = samples, classes

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def rectangles(boxes, height=40, width=60, classes=None, image_id=0, **fields):
    """A noise image whose objects fill their whole-pixel boxes."""
    masks = []
    for y1, x1, y2, x2 in boxes:
        mask = np.zeros((height, width), bool)
        mask[y1:y2, x1:x2] = True
        masks.append(rle.encode(mask))
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    classes = [1] * len(boxes) if classes is None else classes
    fields = {"masks": tuple(masks), **fields}
    return Sample(image, np.array(boxes), classes, image_id=image_id, **fields)


def config_of(resize="square", short=32, long=64, batch=2, slots=4, classes=CLASSES):
    return Config(
        classes=classes,
        image=ImageConfig(resize=resize, short_side=short, long_side=long),
    ).replace(train={"batch_size": batch, "max_objects": slots})


def numbered(count):
    """Samples that differ in the first coordinate of their box."""
    return Listed([rectangles([(i, 0, i + 8, 9)], image_id=i) for i in range(count)])


def arrays(dataset, count=None):
    taken = dataset if count is None else dataset.take(count)
    return list(taken.as_numpy_iterator())


@pytest.mark.parametrize(
    ("size", "sides", "expected"),
    [
        ((480, 640), (800, 1333), (800, 1066)),  # 640 * 5 / 3 = 1066.67
        ((640, 480), (800, 1333), (1066, 800)),
        ((300, 500), (240, 320), (192, 320)),  # the long side decides
        ((128, 128), (128, 128), (128, 128)),
        ((1, 5000), (800, 1333), (1, 1333)),  # 0.27 rounds up to a pixel
        ((9000, 12000), (800, 1333), (800, 1066)),
    ],
)
def test_network_size_by_hand(size, sides, expected):
    config = ImageConfig(short_side=sides[0], long_side=sides[1])
    assert network_size(*size, config) == expected


def test_padded_size_by_hand():
    assert padded_size(800, 1066, ImageConfig()) == (800, 1088)
    assert padded_size(1, 32, ImageConfig()) == (32, 32)
    square = ImageConfig(resize="square", short_side=800, long_side=1024)
    assert padded_size(800, 600, square) == (1024, 1024)


def test_resize_is_bilinear_about_pixel_centres():
    image = np.array([[[0] * 3, [100] * 3]], np.uint8)  # [1, 2, 3]
    resized = resize_image(image, 1, 4).numpy()
    assert resized.dtype == np.float32
    # Centres 0.25, 0.75, 1.25, 1.75 of the old pixels; ends are held.
    np.testing.assert_allclose(resized[0, :, 0], [0, 25, 75, 100], atol=1e-4)
    same = resize_image(image, 1, 2).numpy()
    assert same.dtype == np.float32
    np.testing.assert_array_equal(same, image)


def test_shrinking_does_not_antialias():
    # Four pixels become one: only the two in the middle are looked at, and their
    # mean is 80; antialiasing would take all four into account.
    image = np.zeros((1, 8, 3), np.uint8)
    image[0, [1, 2]] = 80
    resized = resize_image(image, 1, 2).numpy()
    np.testing.assert_allclose(resized[0, :, 0], [80, 0])


@pytest.mark.skipif(not GOLDEN.exists(), reason="no ../shared beside the repository")
def test_size_padding_and_pixels_agree_with_torchvision():
    golden = np.load(GOLDEN / "checkpoint_v1_expected.npz")
    config = ImageConfig(short_side=240, long_side=320)
    size = network_size(*golden["image2"].shape[:2], config)
    assert list(size) == golden["image2_network_size"].tolist()
    padded = padded_size(*size, config)
    assert list(padded) == golden["image2_padded_size"].tolist()
    image = np.zeros((*padded, 3), np.float32)
    resized = resize_image(golden["image2"], *size).numpy()
    image[: size[0], : size[1]] = (resized / 255 - config.mean) / config.std
    expected = golden["image2_network_input"].transpose(1, 2, 0)  # every 8th
    np.testing.assert_allclose(image[::8, ::8], expected, atol=1e-5)


def test_square_batch_by_hand():
    sample = rectangles([(4, 6, 20, 30), (20, 30, 40, 60)], 80, 120, classes=[2, 1])
    config = config_of(short=32, long=64, batch=1)
    dataset = batches(Listed([sample]), config, training=False)
    assert dataset.element_spec["masks"].shape.as_list() == [None, 4, WINDOW, WINDOW]
    (batch,) = arrays(dataset)
    # 80 x 120 becomes 32 x 48 (short side) in a square of 64; boxes shrink by 2.5.
    assert batch["images"].shape == (1, 64, 64, 3)
    assert batch["sizes"].tolist() == [[32, 48]]
    np.testing.assert_allclose(
        batch["boxes"][0],
        [[1.6, 2.4, 8, 12], [8, 12, 16, 24], [0] * 4, [0] * 4],
        rtol=1e-6,
    )
    assert batch["classes"].tolist() == [[2, 1, 0, 0]]
    assert batch["crowd"].tolist() == [[False] * 4]
    assert batch["masks"].dtype == np.uint8
    assert (batch["images"][0, 32:] == 0).all() and (
        batch["images"][:, :, 48:] == 0
    ).all()
    np.testing.assert_allclose(
        batch["images"][0, :32, :48], resize_image(sample.image, 32, 48)
    )
    # The box (1.6, 2.4, 8, 12) in whole pixels, and one more around: from (0, 1).
    assert batch["windows"][0, 0].tolist() == [0, 1, WINDOW, 1 + WINDOW]
    # Pixel r's centre is at (r + 0.5) * 2.5 of the original: rows 2..7 lie in 4..20.
    rows, columns = np.nonzero(batch["masks"][0, 0])
    assert (rows.min(), rows.max() + 1) == (2, 8)
    assert (columns.min() + 1, columns.max() + 2) == (2, 12)
    assert batch["masks"][0, 0].sum() == 6 * 10
    assert not batch["masks"][0, 2:].any() and not batch["windows"][0, 2:].any()


def test_enlarging_keeps_masks_and_boxes_exact():
    sample = rectangles([(3, 5, 9, 11)], 16, 16)
    (batch,) = arrays(batches(Listed([sample]), config_of(short=64, batch=1), False))
    expected = np.zeros((WINDOW, WINDOW), np.uint8)
    expected[12 - 11 : 36 - 11, 20 - 19 : 44 - 19] = 1  # in the window from (11, 19)
    np.testing.assert_array_equal(batch["masks"][0, 0], expected)
    assert batch["windows"][0, 0, :2].tolist() == [11, 19]
    np.testing.assert_array_equal(batch["boxes"][0, 0], [12, 20, 36, 44])


def test_aspect_batch_pads_to_its_largest():
    data = Listed(
        [rectangles([(0, 0, 9, 9)], 40, 60), rectangles([(0, 0, 9, 9)], 60, 40)]
    )
    (batch,) = arrays(batches(data, config_of("aspect", 40, 200), training=False))
    assert batch["sizes"].tolist() == [[40, 60], [60, 40]]
    assert batch["images"].shape == (2, 64, 64, 3)
    # 9 x 9 pixels and, as they touch the image's corner, their row and column outside.
    assert batch["masks"].sum() == 2 * 10 * 10
    config = config_of("aspect", 40, 200, batch=1)
    first, _ = arrays(batches(data, config, training=False))
    assert first["images"].shape == (1, 64, 64, 3)


def test_shapes_are_static_when_training_in_a_square():
    spec = batches(numbered(3), config_of(), training=True).element_spec
    assert all(part.shape.is_fully_defined() for part in spec.values())
    assert {name: part.dtype.name for name, part in spec.items()} == {
        "images": "float32",
        "sizes": "int32",
        "boxes": "float32",
        "classes": "int32",
        "crowd": "bool",
        "masks": "uint8",
        "windows": "float32",
        "draw": "int32",
        "image_index": "int32",
    }


def test_validation_keeps_order_and_remainder():
    found = arrays(batches(numbered(5), config_of(), training=False))
    assert [b["image_index"].tolist() for b in found] == [[0, 1], [2, 3], [4]]
    # Box rows follow their image: 40 x 60 becomes 32 x 48 by 0.8.
    starts = np.concatenate([b["boxes"][:, 0, 0] for b in found])
    np.testing.assert_allclose(starts, np.arange(5) * 0.8, rtol=1e-6)


def test_training_visits_every_image_each_epoch_in_another_order():
    found = arrays(batches(numbered(6), config_of(batch=3), training=True), 4)
    order = np.concatenate([b["image_index"] for b in found])
    first, second = order[:6].tolist(), order[6:].tolist()
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second


def test_a_batch_may_be_larger_than_the_dataset():
    (batch,) = arrays(batches(numbered(3), config_of(batch=7), training=True), 1)
    assert sorted(batch["image_index"][:3]) == sorted(batch["image_index"][3:6])


def test_a_stream_may_begin_at_any_step_as_if_it_had_come_there():
    data, config = numbered(7), config_of(batch=4)
    whole = arrays(batches(data, config, True, 3, Augment()), 6)
    rest = arrays(batches(data, config, True, 3, Augment(), first_step=4), 2)
    for one, two in zip(whole[4:], rest, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_each_image_has_a_draw_of_its_own():
    found = arrays(batches(numbered(2), config_of(batch=2), True, seed=5), 2)
    draws = np.concatenate([batch["draw"] for batch in found])
    assert draws.tolist() == [[5, 0], [5, 1], [5, 2], [5, 3]]


def test_boxes_alone_train_a_network_of_boxes():
    sample = rectangles([(0, 0, 9, 9), (2, 2, 8, 8)], masks=None)
    config = config_of(batch=1, slots=1).replace(roi={"mask_kind": "none"})
    (batch,) = arrays(batches(Listed([sample]), config, training=False))
    assert "masks" not in batch and "windows" not in batch
    np.testing.assert_allclose(batch["boxes"], [[[0, 0, 7.2, 7.2]]], rtol=1e-6)


def test_same_seed_same_batches_with_augmentation():
    data, config = numbered(7), config_of(batch=4)
    runs = [
        arrays(batches(data, config, True, seed, Augment()), 5) for seed in (3, 3, 4)
    ]
    for one, two in zip(runs[0], runs[1], strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
    assert any(
        (one["images"] != two["images"]).any()
        for one, two in zip(runs[0], runs[2], strict=True)
    )


def test_augmentation_differs_between_epochs_and_spares_validation():
    data, config = numbered(1), config_of(batch=1)
    images = [b["images"] for b in arrays(batches(data, config, True, 0, Augment()), 3)]
    assert (images[0] != images[1]).any() and (images[1] != images[2]).any()
    plain, augmented = (
        arrays(batches(data, config, False, 0, augment))[0]
        for augment in (None, Augment())
    )
    np.testing.assert_array_equal(plain["images"], augmented["images"])


def test_images_without_objects_give_empty_slots():
    data = Listed([rectangles([], image_id=i) for i in range(2)])
    (batch,) = arrays(batches(data, config_of(), False))
    for name in ("boxes", "classes", "crowd", "masks", "windows"):
        assert not batch[name].any()
    assert batch["masks"].shape == (2, 4, WINDOW, WINDOW)


def test_crowd_flags_reach_their_slot():
    sample = rectangles([(0, 0, 5, 5), (5, 5, 9, 9)], crowd=[False, True])
    (batch,) = arrays(batches(Listed([sample]), config_of(batch=1), False))
    assert batch["crowd"].tolist() == [[False, True, False, False]]


def test_too_many_objects_keep_the_largest_and_say_so_once(caplog):
    sides = [2, 9, 4, 8]
    sample = rectangles(
        [(0, 10 * i, side, 10 * i + side) for i, side in enumerate(sides)],
        classes=[1, 2, 1, 1],
        image_id="full.jpg",
    )
    config = config_of(short=40, long=64, batch=1, slots=2)
    with caplog.at_level(logging.WARNING):
        found = arrays(batches(Listed([sample]), config, True), 3)
    assert found[0]["boxes"][0].tolist() == [[0, 10, 9, 19], [0, 30, 8, 38]]
    assert found[0]["classes"].tolist() == [[2, 1]]
    (record,) = caplog.records
    message = record.getMessage()
    assert "'full.jpg': 4 objects" in message and "2 left out" in message


def test_enormous_and_one_pixel_high_images_work():
    data = Listed([rectangles([(0, 0, 900, 999)], 3000, 4000)])
    data.samples.append(rectangles([(0, 2, 1, 600)], 1, 600))
    (batch,) = arrays(batches(data, config_of(), False))
    assert batch["sizes"].tolist() == [[32, 42], [1, 64]]
    # A row of 64 pixels that fills its image: beyond the edges it goes on.
    assert batch["masks"][1, 0, :, 1:65].all()


def test_faults_of_the_dataset_are_named_at_once():
    with pytest.raises(ValueError, match="dataset is empty"):
        batches(Listed([]), config_of(), True)
    with pytest.raises(ValueError, match=r"\('cat', 'dog'\).*\('dog', 'cat'\)"):
        batches(numbered(1), config_of(classes=("dog", "cat")), True)


class Faulty(Listed):
    """Fails at index 2 as a reader may."""

    def __getitem__(self, index):
        if index == 2:
            raise StopIteration("bad.jpg is damaged")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            Listed([rectangles([(0, 0, 9, 9)], classes=[3], image_id="zebra.jpg")]),
            r"zebra\.jpg.*class 3.*2 classes",
        ),
        (
            Listed([rectangles([(0, 0, 9, 9)], masks=None, image_id="boxes.jpg")]),
            r"boxes\.jpg.*boxes only",
        ),
        # StopIteration would end the data in silence.
        (Faulty(numbered(3).samples), r"dataset\[2\].*bad\.jpg is damaged"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_faults_of_a_sample_name_the_image(dataset, message, training):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        arrays(batches(dataset, config_of(batch=1), training), 3)


def test_python_may_exit_while_batches_load():
    # Without the exit hook this aborts or hangs.
    code = """
from mrcnn_tf import Config
from mrcnn_tf.datasets import Shapes, batches
shapes = Shapes(1000)
config = Config.preset("tiny", classes=shapes.classes)
iterator = iter(batches(shapes, config, training=True))
next(iterator)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
