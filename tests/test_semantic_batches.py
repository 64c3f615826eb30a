"""Labels of pixels by hand, and the batches a semantic network learns from."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import mrcnn_tf as mr
from mrcnn_tf import rle
from mrcnn_tf.config import AugmentConfig
from mrcnn_tf.datasets.semantic import IGNORED, label_map, label_names, semantic_batches


def sample_of(masks, classes, crowd=None, trimap=None, image=None, image_id="s"):
    masks = [np.asarray(mask, bool) for mask in masks]
    rles = tuple(rle.encode(mask) for mask in masks)
    if image is None:
        image = np.zeros((*masks[0].shape, 3), np.uint8)
    boxes = [rle.box(mask) for mask in rles]
    return mr.Sample(image, boxes, classes, rles, crowd, trimap, image_id)


def test_trimap_labels_are_the_trimap_minus_one():
    trimap = np.array([[1, 2], [3, 2]], np.uint8)
    sample = sample_of([[[1, 0], [0, 0]]], [2], trimap=trimap)
    labels = label_map(sample, "trimap")
    assert labels.tolist() == [[0, 1], [2, 1]] and labels.dtype == np.uint8
    assert label_names("trimap", ("cat",)) == ("object", "background", "border")


def test_class_labels_by_hand():
    """The smaller lies in front, the crowd behind all, the border is ignored."""
    large, small = [[1, 1, 1, 0, 0, 0]], [[0, 1, 0, 0, 0, 0]]
    crowd = [[0, 0, 1, 1, 0, 0]]  # smaller than what hides it
    trimap = np.array([[3, 1, 1, 1, 3, 2]], np.uint8)
    sample = sample_of(
        [small, large, crowd], [5, 2, 7], [False, False, True], trimap=trimap
    )
    assert label_map(sample, "class").tolist() == [[IGNORED, 5, 2, 7, IGNORED, 0]]
    without = dataclasses.replace(sample, trimap=None)
    assert label_map(without, "class").tolist() == [[2, 5, 2, 7, 0, 0]]
    assert label_names("class", ("cat", "dog")) == ("background", "cat", "dog")


def test_an_image_without_objects_is_background():
    empty = mr.Sample(np.zeros((2, 3, 3), np.uint8), [], [], masks=())
    assert label_map(empty, "class").tolist() == [[0, 0, 0], [0, 0, 0]]


def test_class_labels_are_those_that_the_evaluation_counts():
    segments = pytest.importorskip("mrcnn_tf.evaluation.segments")
    scenes = mr.datasets.Animals(20, seed=3, size=96)
    scenes = [*scenes, *mr.datasets.Composed(scenes, 20, seed=1, size=96)]
    for sample in scenes:
        np.testing.assert_array_equal(
            label_map(sample, "class"), segments.sample_segments(sample).class_map()
        )


def test_what_a_question_needs_is_asked_for():
    boxes_only = mr.Sample(np.zeros((4, 4, 3), np.uint8), [[0, 0, 2, 2]], [1])
    with pytest.raises(ValueError, match="image 0 has boxes only"):
        label_map(boxes_only, "class")
    with pytest.raises(ValueError, match="image 0 has no trimap; ask for"):
        label_map(boxes_only, "trimap")
    with pytest.raises(ValueError, match="'trimap' or 'class', found 'breed'"):
        label_map(boxes_only, "breed")
    with pytest.raises(ValueError, match="image 's': class 255; at most 254"):
        label_map(sample_of([[[1]]], [255]), "class")


class Painted:
    """Scenes whose image says what the label is: red is 80 times the class."""

    classes = ("one", "two", "three")

    def __init__(self, length, height=32, width=32):
        self.length, self.height, self.width = length, height, width

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng(index)
        owner = rng.integers(0, 4, (self.height, self.width), np.uint8)
        image = np.zeros((self.height, self.width, 3), np.uint8)
        image[..., 0] = 80 * owner
        image[..., 1] = index
        masks = [owner == label for label in (1, 2, 3)]
        return sample_of(masks, [1, 2, 3], image=image, image_id=f"painted {index}")


def read(*arguments, count=None, **options):
    dataset = semantic_batches(*arguments, **options)
    return [
        (images.numpy(), labels.numpy())
        for images, labels in (dataset if count is None else dataset.take(count))
    ]


def test_image_and_labels_are_mirrored_together():
    augment = mr.datasets.Augment(AugmentConfig(flip=0.5, colors=0))
    pairs = read(Painted(8), "class", 32, 4, training=True, augment=augment, count=6)
    mirrored = []
    for images, labels in pairs:
        np.testing.assert_array_equal(images[..., 0], 80.0 * labels)
        for image in images:
            plain = Painted(8)[int(image[0, 0, 1])].image
            mirrored.append(not np.array_equal(image, plain))
    assert 0 < sum(mirrored) < len(mirrored)


def test_the_square_and_its_nearest_pixels():
    """Down by two each way but one: centres 0.5 and 1.5 of 2 are pixels 1 and 3."""
    ((images, labels),) = read(Painted(1, 4, 6), "class", 2, 1, training=False)
    assert images.shape == (1, 2, 2, 3) and images.dtype == np.float32
    red = Painted(1, 4, 6)[0].image[..., 0]
    assert (80 * labels[0]).tolist() == red[np.ix_([1, 3], [1, 4])].tolist()
    assert labels.dtype == np.uint8


def test_the_same_seed_gives_the_same_batches():
    options = {"training": True, "augment": mr.datasets.Augment(), "count": 3}
    first, again, other = (
        read(Painted(5), "class", 32, 2, seed=seed, **options) for seed in (1, 1, 2)
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(first[0][0], other[0][0])
    # Five scenes in batches of two: all are seen before one is seen again.
    seen = [int(image[0, 0, 1] > -1) for batch in first for image in batch[0]]
    assert len(seen) == 6


def test_each_epoch_sees_each_image_once():
    pairs = read(Painted(6), "class", 32, 3, training=True, count=4)
    numbers = [int(image[0, 0, 1]) for images, _ in pairs for image in images]
    assert sorted(numbers[:6]) == sorted(numbers[6:]) == list(range(6))
    assert numbers[:6] != numbers[6:]


def test_validation_goes_through_once_in_order():
    augment = mr.datasets.Augment(AugmentConfig(flip=1, colors=0))
    pairs = read(Painted(5), "class", 32, 2, training=False, augment=augment)
    assert [len(images) for images, _ in pairs] == [2, 2, 1]
    images = np.concatenate([images for images, _ in pairs])
    plain = np.stack([sample.image for sample in Painted(5)])
    np.testing.assert_array_equal(images, plain)  # augmentation is for training


def test_an_empty_dataset_and_another_question():
    with pytest.raises(ValueError, match="dataset is empty"):
        semantic_batches(Painted(0), "class", 32, 2, training=False)
    with pytest.raises(ValueError, match="found 'breed'"):
        semantic_batches(Painted(1), "breed", 32, 2, training=False)


def test_a_fault_names_the_image():
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="image 'painted 0' has no trimap"
    ):
        read(Painted(1), "trimap", 32, 1, training=False)
