"""Who stands close, by cells of a grid, and who of them is found."""

import numpy as np
import pytest

from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.datasets.toy import Shapes
from mrcnn_tf.evaluation.crowding import (
    CROWDING,
    crowding,
    found_objects,
    pick_by_crowding,
    scene_crowding,
)
from mrcnn_tf.result import Result

CLASSES = ("square", "circle")


def sample(centers, crowd=None, labels=None, size=(70, 140), half=3):
    """An image of 7 x 7 cells, each 10 pixels high and 20 wide; boxes of 6 x 6."""
    centers = np.asarray(centers, np.float32).reshape(-1, 2)
    boxes = np.concatenate([centers - half, centers + half], axis=1)
    labels = np.ones(len(boxes), int) if labels is None else labels
    return Sample(np.zeros((*size, 3), np.uint8), boxes, labels, crowd=crowd)


def names(objects, **options):
    return [CROWDING[level] for level in crowding(objects, **options)]


def test_the_nearest_other_object_by_hand():
    # Rows 0 and 0: columns 0 and 0. Row 1, column 1: the corner neighbour of both.
    # Row 5, column 5: nobody near.
    objects = sample([[5, 5], [8, 18], [15, 25], [55, 105]])
    assert names(objects) == ["same cell", "same cell", "next cell", "apart"]
    assert CROWDING[scene_crowding(objects)] == "same cell"


def test_it_is_by_cells_not_by_pixels():
    across = sample([[35, 19], [35, 21]])  # 2 pixels away, a line between them
    assert names(across) == ["next cell"] * 2
    within = sample([[31, 21], [39, 39]])  # 18 pixels away, no line between them
    assert names(within) == ["same cell"] * 2
    two = sample([[35, 10], [35, 50]])  # columns 0 and 2
    assert names(two) == ["apart"] * 2


def test_another_grid_and_the_far_edge():
    objects = sample([[5, 5], [65, 135]])
    assert names(objects, grid=1) == ["same cell"] * 2
    assert names(objects, grid=2) == ["next cell"] * 2
    edge = sample([[67, 137], [67, 121]])
    assert names(edge) == ["same cell"] * 2
    with pytest.raises(ValueError, match="at least 1 cell a side, found 0"):
        crowding(objects, grid=0)


def test_crowd_regions_are_nobodys_neighbour():
    objects = sample([[5, 5], [6, 6]], crowd=[False, True])
    np.testing.assert_array_equal(crowding(objects), [0, -1])
    assert scene_crowding(objects) == 0


def test_alone_and_empty():
    assert names(sample([[5, 5]])) == ["apart"]
    assert len(crowding(sample([]))) == 0
    assert scene_crowding(sample([])) == 0


def answer(boxes, labels, scores, size=(70, 140)):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    labels, scores = np.asarray(labels, np.int32), np.asarray(scores, np.float32)
    return Result(boxes, labels, scores, (), *size, CLASSES)


def test_as_many_answers_as_objects():
    objects = sample([[5, 5], [35, 35]])
    first, second = objects.boxes
    nowhere = [60, 100, 66, 106]
    right = answer([second, nowhere, first], [1, 1, 1], [0.2, 0.9, 0.3])
    # The two best are nowhere and the first: the second comes too late.
    np.testing.assert_array_equal(found_objects(objects, right), [True, False])
    other = answer([first, second], [2, 1], [0.9, 0.8])  # not its class
    np.testing.assert_array_equal(found_objects(objects, other), [False, True])
    assert not found_objects(objects, answer([], [], [])).any()
    assert found_objects(sample([]), right).shape == (0,)


def test_answers_on_crowds_do_not_count():
    objects = sample([[5, 5], [35, 35]], crowd=[True, False])
    both = answer(objects.boxes, [1, 1], [0.9, 0.8])
    np.testing.assert_array_equal(found_objects(objects, both), [False, True])


def test_crowded_scenes_are_looked_for():
    scenes = Shapes(60, seed=3)
    picked = pick_by_crowding(scenes, 4, grid=5)
    assert picked.classes == scenes.classes
    levels = [scene_crowding(picked[index], 5) for index in range(len(picked))]
    assert [levels.count(level) for level in range(len(CROWDING))] == [4, 4, 4]
    assert picked.indices == sorted(picked.indices)
    # A degree of which there are not enough: all there are.
    levels = [scene_crowding(scenes[index]) for index in range(60)]
    few = levels.count(2)
    assert 0 <= few < 50
    assert len(pick_by_crowding(scenes, 50)) == sum(
        min(50, levels.count(level)) for level in range(3)
    )
    # It does not look further than it must.
    needed = pick_by_crowding(scenes, 2, grid=5).indices

    class Short(Shapes):
        def __getitem__(self, index):
            assert index <= needed[-1]
            return super().__getitem__(index)

    assert pick_by_crowding(Short(60, seed=3), 2, grid=5).indices == needed
    with pytest.raises(ValueError, match="at least 1 image, found 0"):
        pick_by_crowding(scenes, 0)
