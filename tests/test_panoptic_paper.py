"""Panoptic quality against a plain reading of Kirillov et al. 2019: sets and loops."""

import numpy as np
import pytest
from test_panoptic import CLASSES, SIZE, found, scores, truth

from mrcnn_tf.datasets.sample import Sample


def paint(labels, rng, count):
    """Paints rectangles one over the other; returns what is visible of each."""
    height, width = SIZE
    for number in range(1, count + 1):
        y, x = rng.integers(height - 8), rng.integers(width - 8)
        labels[y : y + rng.integers(8, 20), x : x + rng.integers(8, 25)] = number
    return [labels == n for n in range(1, count + 1) if (labels == n).any()]


def random_pair(rng):
    """A Sample and a Result that agree in part; neither overlaps itself."""
    labels = np.zeros(SIZE, int)
    masks = paint(labels, rng, rng.integers(1, 6))
    classes = rng.integers(1, 3, size=len(masks))
    crowd = rng.random(len(masks)) < 0.25
    void = np.zeros(SIZE, bool)
    paint(void, rng, rng.integers(3))
    shifted = [np.roll(m, rng.integers(-5, 6), axis=1) for m in masks]
    guesses = [*shifted, *paint(np.zeros(SIZE, int), rng, 2)]
    taken, detected, labels = np.zeros(SIZE, bool), [], []
    for guess, label in zip(guesses, [*classes, 1, 2], strict=False):
        if (guess & ~taken).any() and rng.random() < 0.8:
            detected.append(guess & ~taken)
            labels.append(label)
            taken |= guess
    return truth(masks, classes, crowd, void), found(detected, labels)


def pixels_of(mask):
    return set(map(tuple, np.argwhere(mask)))


def paper(pairs):
    """PQ as Kirillov et al. write it: sets of pixels, all pairs, one class at a time.

    Returns {class: (PQ, SQ, RQ, TP, FP, FN)}.
    """
    figures = {}
    for label in range(1, len(CLASSES) + 1):
        ious, false_positives, false_negatives = [], 0, 0
        for sample, result in pairs:
            void = pixels_of(sample.trimap == 3)
            true = [
                set(map(tuple, np.argwhere(m))) - void for m in sample.dense_masks()
            ]
            seen = [set(map(tuple, np.argwhere(m))) for m in result.masks]
            matched = set()
            for number, object_pixels in enumerate(true):
                if sample.classes[number] != label or sample.crowd[number]:
                    continue
                best = None
                for guess, pixels in enumerate(seen):
                    if result.classes[guess] != label:
                        continue
                    judged = pixels - void
                    union = len(object_pixels | judged)
                    iou = len(object_pixels & judged) / union if union else 0
                    if iou > 0.5:
                        assert best is None  # the paper's theorem
                        best = guess
                        ious.append(iou)
                matched.add(best)
                false_negatives += best is None
            forgiving = void.union(
                *(
                    true[n]
                    for n in range(len(true))
                    if sample.crowd[n] and sample.classes[n] == label
                )
            )
            for guess, pixels in enumerate(seen):
                if result.classes[guess] == label and guess not in matched:
                    false_positives += len(pixels & forgiving) / len(pixels) <= 0.5
        count = len(ious) + false_positives / 2 + false_negatives / 2
        if count:
            sq = sum(ious) / len(ious) if ious else 0
            rq = len(ious) / count
            numbers = len(ious), false_positives, false_negatives
            figures[label] = (sum(ious) / count, sq, rq, *numbers)
    return figures


@pytest.mark.parametrize("seed", range(8))
def test_against_the_paper(seed):
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng) for _ in range(4)]
    figures, expected = scores(*pairs), paper(pairs)
    for label, numbers in expected.items():
        ours = figures["classes"][CLASSES[label - 1]]
        assert list(ours.values()) == pytest.approx(list(numbers))
        assert ours["PQ"] == pytest.approx(ours["SQ"] * ours["RQ"])
    for column, name in enumerate(("PQ", "SQ", "RQ")):
        mean = np.mean([numbers[column] for numbers in expected.values()])
        assert figures[name] == pytest.approx(mean)


def test_the_random_images_have_something_of_everything():
    rng = np.random.default_rng(0)
    pairs = [random_pair(rng) for _ in range(20)]
    figures = scores(*pairs)
    assert min(figures["TP"], figures["FP"], figures["FN"]) >= 5
    unmatched = sum(len(result) for _, result in pairs) - figures["TP"]
    assert unmatched > figures["FP"]  # some were forgiven


def test_the_order_of_images_and_objects_does_not_matter():
    rng = np.random.default_rng(3)
    pairs = [random_pair(rng) for _ in range(4)]
    figures = scores(*pairs)
    turned = [
        (
            Sample(
                sample.image, sample.boxes[::-1], sample.classes[::-1],
                sample.masks[::-1], sample.crowd[::-1], sample.trimap,
            ),
            result,
        )
        for sample, result in pairs[::-1]
    ]  # fmt: skip
    again = scores(*turned)
    assert again["PQ"] == pytest.approx(figures["PQ"])
    assert again["count error"] == figures["count error"]
