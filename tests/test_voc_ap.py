"""Pascal VOC's average precision: hand-worked, and against a plain loop."""

import numpy as np
import pytest

from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.evaluation.voc import (
    FALSE,
    IGNORED,
    Curve,
    match_detections,
    voc_curves,
    voc_scores,
)
from mrcnn_tf.result import Result

CLASSES = ("square", "circle")
A, B = [10, 10, 30, 30], [50, 50, 70, 70]  # 20 x 20, apart


def sample(boxes, labels, crowd=None, image_id=7):
    image = np.zeros((100, 100, 3), np.uint8)
    return Sample(image, np.array(boxes), labels, crowd=crowd, image_id=image_id)


def result(boxes, labels, scores, size=(100, 100), names=CLASSES):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    labels = np.asarray(labels, np.int32)
    return Result(boxes, labels, np.asarray(scores, np.float32), (), *size, names)


NOTHING = result([], [], [])


def test_a_hand_worked_curve():
    # Three objects; right, wrong, right, wrong: precision 1, 1/2, 2/3, 1/2 at recall
    # 1/3, 1/3, 2/3, 2/3. The third object is never found.
    curve = Curve(
        np.array([1, 1, 2, 2]) / 3, np.array([1, 1 / 2, 2 / 3, 1 / 2]), objects=3
    )
    assert curve.average_precision == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    # 1 at recalls 0 to 0.3, 2/3 at 0.4 to 0.6, nothing from 0.7 on.
    assert curve.eleven_points == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)


def test_precision_counts_as_the_best_further_right():
    # Wrong, right, right, of two: 0, 1/2, 2/3. The dip before 2/3 is filled.
    curve = Curve(np.array([0, 0.5, 1]), np.array([0, 1 / 2, 2 / 3]), objects=2)
    assert curve.average_precision == pytest.approx(2 / 3)
    assert curve.eleven_points == pytest.approx(2 / 3)


def test_three_of_ten_objects_reach_a_recall_of_three_tenths():
    curve = Curve(np.arange(1, 4) / 10, np.ones(3), objects=10)
    assert curve.eleven_points == pytest.approx(4 / 11)  # 0, 0.1, 0.2 and 0.3


def test_each_object_is_found_once_by_the_highest_score():
    truth = sample([A, B], [1, 1])
    found = result([A, A, B], [1, 1, 1], [0.5, 0.9, 0.3])
    np.testing.assert_array_equal(match_detections(truth, found), [FALSE, 0, 1])


def test_a_detection_asks_for_its_best_object_alone():
    # Both overlap the first object most; VOC does not give the second one away,
    # though its IoU of 16/24 with it would do. COCO's measure does.
    close = [10, 14, 30, 34]
    truth = sample([A, close], [1, 1])
    found = result([A, [10, 11, 30, 31]], [1, 1], [0.9, 0.8])
    np.testing.assert_array_equal(match_detections(truth, found), [0, FALSE])


def test_half_is_enough_and_classes_must_agree():
    truth = sample([A], [1])
    half = [10, 10, 30, 20]
    less = [10, 10, 30, 19.9]
    found = result([half, less, A], [1, 1, 2], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(match_detections(truth, found), [0, FALSE, FALSE])
    np.testing.assert_array_equal(match_detections(truth, found, 0.75), [FALSE] * 3)


def test_difficult_objects_are_neither_found_nor_missed():
    truth = sample([A, B], [1, 1], crowd=[False, True])
    found = result([B, B, A], [1, 1, 1], [0.9, 0.8, 0.7])
    np.testing.assert_array_equal(match_detections(truth, found), [IGNORED] * 2 + [0])
    curve = voc_curves([truth], [found], CLASSES)["square"]
    assert curve.objects == 1
    np.testing.assert_array_equal(curve.precision, [1])
    scores = voc_scores([truth], [NOTHING], CLASSES)
    assert scores["classes"]["square"]["AP50"] == 0


def test_the_mean_is_over_classes_with_objects():
    truth = sample([A], [1])
    found = result([A, B], [1, 2], [0.9, 0.8])
    scores = voc_scores([truth], [found], CLASSES)
    assert scores["AP50"] == scores["AP50 2007"] == 1
    assert scores["classes"]["circle"] == {"AP50": None, "AP50 2007": None}
    both = voc_scores([sample([A, B], [1, 2])], [result([A], [1], [0.9])], CLASSES)
    assert both["AP50"] == pytest.approx(0.5)


def test_without_objects_or_detections():
    scores = voc_scores([sample([], [])], [NOTHING], CLASSES)
    assert scores["AP50"] is None and scores["AP50 2007"] is None
    scores = voc_scores([sample([A], [1])], [NOTHING], CLASSES)
    assert scores["AP50"] == 0 and scores["AP50 2007"] == 0


def test_faults_are_named():
    with pytest.raises(ValueError, match="one result for each of 1 samples, found 0"):
        voc_scores([sample([A], [1])], [], CLASSES)
    with pytest.raises(ValueError, match="the dataset is empty"):
        voc_scores([], [], CLASSES)
    with pytest.raises(ValueError, match="image 'x': the dataset's classes"):
        wrong = result([], [], [], names=("cat",))
        voc_scores([sample([A], [1], image_id="x")], [wrong], CLASSES)


def reference(samples, results, label, years):
    """VOC's measure as a person would do it on paper: no arrays, no tricks."""
    entries = []
    for image, answer in enumerate(results):
        for place in range(len(answer)):
            if answer.classes[place] == label:
                entries.append((-float(answer.scores[place]), image, place))
    taken, ledger = set(), []
    total = 0
    for truth in samples:
        for label_there, crowd in zip(truth.classes, truth.crowd, strict=True):
            total += int(label_there == label and not crowd)
    for _, image, place in sorted(entries):
        top, left, bottom, right = (float(v) for v in results[image].boxes[place])
        best, best_iou = None, -1.0
        truth = samples[image]
        for number, (y1, x1, y2, x2) in enumerate(truth.boxes.tolist()):
            if truth.classes[number] != label:
                continue
            height = max(0.0, min(bottom, y2) - max(top, y1))
            width = max(0.0, min(right, x2) - max(left, x1))
            shared = height * width
            union = (bottom - top) * (right - left) + (y2 - y1) * (x2 - x1) - shared
            if shared / union > best_iou:
                best, best_iou = number, shared / union
        if best_iou >= 0.5 and truth.crowd[best]:
            continue
        right_one = best_iou >= 0.5 and (image, best) not in taken
        taken |= {(image, best)} if right_one else set()
        ledger.append(right_one)
    if total == 0:
        return None
    points = []
    for length in range(1, len(ledger) + 1):
        points.append((sum(ledger[:length]) / total, sum(ledger[:length]) / length))
    if years == "2007":
        bests = []
        for tenth in range(11):
            reached = [p for r, p in points if r * 10 >= tenth - 1e-9]
            bests.append(max(reached, default=0.0))
        return sum(bests) / 11
    area, before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


@pytest.mark.parametrize("seed", range(6))
def test_against_a_plain_loop(seed):
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.uniform(0, 50, (count, 2))
        return np.concatenate([corner, corner + rng.uniform(10, 45, (count, 2))], 1)

    samples, results = [], []
    for image in range(12):
        count = rng.integers(0, 6)
        truth = sample(
            boxes(count), rng.integers(1, 3, count), rng.random(count) < 0.2, image
        )
        samples.append(truth)
        # Some near the objects, twice over, some anywhere.
        near = np.repeat(truth.boxes, 2, axis=0)
        near = near + rng.normal(0, 3, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        guesses = np.concatenate([near, boxes(3)])
        labels = np.concatenate([np.repeat(truth.classes, 2), rng.integers(1, 3, 3)])
        scores = np.round(rng.random(len(guesses)), 1)  # many are equal
        results.append(result(guesses, labels, scores))
    scores = voc_scores(samples, results, CLASSES)
    for label, name in enumerate(CLASSES, start=1):
        for rule, years in (("AP50", "2010"), ("AP50 2007", "2007")):
            expected = reference(samples, results, label, years)
            assert 0 < expected < 1
            assert scores["classes"][name][rule] == pytest.approx(expected, abs=1e-9)
