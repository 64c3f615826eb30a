"""Matching and sampling by hand."""

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import matching, targets

VALID = np.array([[True, True]])


def labels_of(overlaps, **options):
    options = {"positive_iou": 0.7, "negative_iou": 0.3, **options}
    labels, index = matching.match(
        np.array([overlaps], np.float32), options.pop("valid", VALID), **options
    )
    return labels[0].numpy().tolist(), index[0].numpy().tolist()


def test_three_kinds():
    labels, index = labels_of([[0.8, 0.1], [0.1, 0.5], [0.2, 0.29], [0.7, 0.3]])
    assert labels == [1, -1, 0, 1]  # 0.7 itself is positive
    assert index == [0, 1, 1, 0]


def test_each_object_keeps_its_best_even_when_tied():
    overlaps = [[0.2, 0.8], [0.2, 0.0], [0.1, 0.0]]
    assert labels_of(overlaps)[0] == [1, 0, 0]
    assert labels_of(overlaps, keep_best=True)[0] == [1, 1, 0]


def test_an_object_that_nothing_overlaps_claims_nothing():
    labels, _ = labels_of([[0.0, 0.9], [0.0, 0.0]], keep_best=True)
    assert labels == [1, 0]


def test_empty_slots_match_nothing():
    labels, _ = labels_of(
        [[0.9, 0.9]], valid=np.array([[False, False]]), keep_best=True
    )
    assert labels == [0]


def sample(labels, count, fraction, seed=0):
    index, picked = matching.balanced_sample(
        tf.constant([labels], tf.int32), count, fraction, tf.constant([[0, seed]])
    )
    return index[0].numpy(), picked[0].numpy()


def test_positives_come_first_and_are_capped():
    labels = [1] * 10 + [0] * 50 + [-1] * 20
    index, picked = sample(labels, 16, 0.25)
    assert picked.tolist() == [1] * 4 + [0] * 12
    assert len(set(index.tolist())) == 16
    assert (np.array(labels)[index] == picked).all()


def test_negatives_take_what_positives_leave():
    _, picked = sample([1] + [0] * 20, 8, 0.5)
    assert picked.tolist() == [1] + [0] * 7


def test_too_few_to_fill_leaves_empty_slots():
    _, picked = sample([1, 0, -1, -1, -1, -1], 4, 0.5)
    assert picked.tolist() == [1, 0, -1, -1]
    _, picked = sample([-1] * 6, 4, 0.5)
    assert picked.tolist() == [-1] * 4


def test_positives_beyond_the_cap_are_no_negatives():
    _, picked = sample([1] * 6, 4, 0.5)
    assert picked.tolist() == [1, 1, -1, -1]


def test_every_candidate_is_picked_now_and_then():
    seen = set()
    for seed in range(60):
        seen |= set(sample([1] * 4 + [0] * 8, 4, 0.5, seed)[0].tolist())
    assert seen == set(range(12))


def test_the_draw_alone_decides_whatever_the_batch_around_it():
    labels = tf.constant([[1] * 4 + [0] * 28] * 3, tf.int32)
    draw = tf.constant([[0, 7], [0, 8], [0, 7]])
    index, _ = matching.balanced_sample(labels, 8, 0.25, draw)
    assert index[0].numpy().tolist() == index[2].numpy().tolist()
    assert index[0].numpy().tolist() != index[1].numpy().tolist()
    alone, _ = matching.balanced_sample(labels[1:2], 8, 0.25, draw[1:2])
    assert alone[0].numpy().tolist() == index[1].numpy().tolist()


def test_more_slots_than_boxes_is_an_error():
    with pytest.raises(ValueError, match="cannot sample 9 of 2"):
        matching.balanced_sample(
            tf.zeros([1, 2], tf.int32), 9, 0.5, tf.zeros([1, 2], tf.int32)
        )


def test_boxes_inside_a_crowd_are_neither():
    candidates = np.array(
        [[[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 40, 40], [80, 80, 90, 90]]],
        np.float32,
    )
    gt = np.array([[[0, 0, 10, 10], [0, 0, 61, 61]]], np.float32)
    labels, _ = targets.label_boxes(
        candidates,
        gt,
        classes=np.array([[1, 1]], np.int32),
        crowd=np.array([[False, True]]),
        positive_iou=0.5,
        negative_iou=0.5,
    )
    # An object in the crowd that was told apart stays; the rest inside is left out.
    assert labels[0].numpy().tolist() == [1, -1, -1, 0]
