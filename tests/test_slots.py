import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import slots


@pytest.mark.parametrize(
    "most, expected",
    [
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 2, 3, 4, 5]),
        (12, [1, 2, 3, 4, 6, 8, 12]),
        (100, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 100]),
        (128, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]),
    ],
)
def test_ladder(most, expected):
    assert slots.ladder(most) == expected


def test_filled_counts_up_to_the_last_of_any_image():
    labels = tf.constant([[3, 0, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0]])
    assert int(slots.filled(labels)) == 2  # the hole in the second image too
    assert int(slots.filled(tf.zeros([2, 4], tf.int32))) == 0
    assert int(slots.filled(tf.ones([2, 4], tf.int32))) == 4


@pytest.mark.parametrize("count, kept", [(0, 1), (1, 1), (4, 4), (5, 6), (7, 7)])
def test_slots_in_use_are_kept_and_all_come_back(count, kept):
    labels = np.zeros((2, 7), np.int32)
    labels[1, :count] = 2
    boxes = np.arange(2 * 7 * 4, dtype=np.float32).reshape(2, 7, 4)
    cut, cut_boxes = slots.SlotsInUse()(labels, boxes)
    np.testing.assert_array_equal(cut, labels[:, :kept])
    np.testing.assert_array_equal(cut_boxes, boxes[:, :kept])
    whole = slots.AllSlots(7)(cut_boxes)
    np.testing.assert_array_equal(whole[:, :kept], boxes[:, :kept])
    assert whole.shape == (2, 7, 4)
    assert not np.any(whole[:, kept:])
