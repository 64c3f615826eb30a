"""YOLO's grid and loss, against a plain reading of the paper in loops over cells."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import yolo
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.yolo.cells import IGNORED

rng = np.random.default_rng(0)


def random_boxes(count, height, width):
    """Returns boxes float64 [count, 4] inside the image."""
    y, x = (np.sort(rng.uniform(0, side, (count, 2))) for side in (height, width))
    return np.stack([y[:, 0], x[:, 0], y[:, 1] + 1e-3, x[:, 1] + 1e-3], axis=1)


def read_target(boxes, labels, height, width, grid, boxes_per_cell, num_classes):
    """Section 2 of the paper for one image, object by object."""
    target = np.zeros((grid, grid, 5 * boxes_per_cell + num_classes))
    kept = {}
    for (y1, x1, y2, x2), label in zip(boxes, labels, strict=True):
        x, y = (x1 + x2) / 2 / width * grid, (y1 + y2) / 2 / height * grid
        w, h = (x2 - x1) / width, (y2 - y1) / height
        column, row = min(int(x), grid - 1), min(int(y), grid - 1)
        if kept.get((row, column), 0) >= w * h:
            continue
        kept[row, column] = w * h
        cell = target[row, column]
        cell[:] = 0
        for b in range(boxes_per_cell):
            five = [x - column, y - row, math.sqrt(w), math.sqrt(h), 1]
            cell[5 * b : 5 * b + 5] = five
        cell[5 * boxes_per_cell + label - 1] = 1
    return target, len(boxes) - len(kept)


def read_loss(target, prediction, boxes_per_cell):
    """Equation 3 of the paper for one image, cell by cell and box by box."""
    grid = target.shape[0]
    total = dict.fromkeys(yolo.WEIGHTS, 0.0)

    def corners(five, row, column):
        x, y = (five[0] + column) / grid, (five[1] + row) / grid
        w, h = five[2] ** 2, five[3] ** 2
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    def iou(one, other):
        wide = min(one[2], other[2]) - max(one[0], other[0])
        tall = min(one[3], other[3]) - max(one[1], other[1])
        shared = max(wide, 0) * max(tall, 0)
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
        return shared / (sum(areas) - shared)

    for row in range(grid):
        for column in range(grid):
            want, say = target[row, column], prediction[row, column]
            fives = [say[5 * b : 5 * b + 5] for b in range(boxes_per_cell)]
            chosen = None
            if want[4] == 1:
                truth = corners(want, row, column)
                overlaps = [iou(corners(f, row, column), truth) for f in fives]
                chosen = int(np.argmax(overlaps))
                x, y, root_w, root_h, confidence = fives[chosen]
                total["center"] += 5 * ((x - want[0]) ** 2 + (y - want[1]) ** 2)
                # The paper's roots, of the widths that the roots stand for.
                for root, wanted in ((root_w, want[2]), (root_h, want[3])):
                    assert root >= 0
                    gap = math.sqrt(root**2) - math.sqrt(wanted**2)
                    total["size"] += 5 * gap**2
                total["object"] += (confidence - overlaps[chosen]) ** 2
                for label in range(5 * boxes_per_cell, len(want)):
                    total["class"] += (say[label] - want[label]) ** 2
            for b, five in enumerate(fives):
                if b != chosen and want[4] != IGNORED:
                    total["no_object"] += 0.5 * five[4] ** 2
    return total


def test_boxes_to_centres_by_hand():
    # 20 wide from x = 10, 50 tall from y = 50, of an image 100 wide and 200 tall.
    box = tf.constant([[50.0, 10.0, 100.0, 30.0]])
    shares = yolo.center_form(box, (200, 100))
    np.testing.assert_allclose(shares, [[0.2, 0.375, 0.2, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(yolo.corner_form(shares, (200, 100)), box, rtol=1e-6)


def test_target_by_hand():
    # Centre (64, 40) of 128 x 128: x at 3.5 cells of 7, y at 2.1875.
    boxes = tf.constant([[[24.0, 48.0, 56.0, 80.0]]])
    target, lost = yolo.encode(boxes, tf.constant([[2]]), (128, 128), 7, 2, 3)
    assert target.shape == (1, 7, 7, 13) and lost.numpy() == [0]
    five = [0.5, 0.1875, 0.5, 0.5, 1]  # 32 of 128 is a quarter, its root a half
    np.testing.assert_allclose(target[0, 2, 3], [*five, *five, 0, 1, 0], atol=1e-6)
    assert np.count_nonzero(target) == 11


@pytest.mark.parametrize(("grid", "per_cell"), [(7, 2), (3, 1), (14, 3)])
def test_target_as_the_paper_reads(grid, per_cell):
    height, width, classes = 90, 160, 4
    boxes = np.stack([random_boxes(9, height, width) for _ in range(3)])
    labels = rng.integers(1, classes + 1, (3, 9))
    target, lost = yolo.encode(
        tf.constant(boxes),
        tf.constant(labels),
        (height, width),
        grid,
        per_cell,
        classes,
    )
    for image in range(3):
        expected, less = read_target(
            boxes[image], labels[image], height, width, grid, per_cell, classes
        )
        np.testing.assert_allclose(target[image], expected, atol=1e-5)
        assert lost[image] == less


def test_the_largest_object_of_a_cell_stays():
    boxes = [[10.0, 10, 20, 20], [0, 0, 30, 30], [0, 0, 30, 30]]  # one centre
    for order in ([0, 1, 2], [1, 2, 0]):
        target, lost = yolo.encode(
            tf.constant(boxes)[None][:, :, :],
            tf.constant([[1, 2, 3]]),
            (64, 64),
            2,
            1,
            3,
        )
        assert lost.numpy() == [2]
        np.testing.assert_array_equal(target[0, 0, 0, 5:], [0, 1, 0])
        boxes = [boxes[i] for i in order]


def test_images_without_objects_and_empty_slots():
    none, lost = yolo.encode(
        tf.zeros([2, 0, 4]), tf.zeros([2, 0], tf.int32), (64, 64), 7, 2, 3
    )
    assert none.shape == (2, 7, 7, 13) and not np.any(none) and not np.any(lost)
    slots, lost = yolo.encode(
        tf.zeros([3, 4]), tf.zeros([3], tf.int32), (64, 64), 7, 2, 3
    )
    np.testing.assert_array_equal(slots, none[0])
    assert lost == 0
    parts = yolo.loss_parts(none, tf.ones_like(none), 2)
    assert [float(parts[name][0]) for name in yolo.WEIGHTS] == [0, 0, 0, 49, 0]


def test_a_crowd_is_neither_object_nor_background():
    # It covers the left half of the image; a small object stands in it.
    boxes = tf.constant([[0.0, 0, 64, 32], [4, 4, 12, 12]])
    target, lost = yolo.encode(
        boxes, tf.constant([1, 2]), (64, 64), 4, 1, 2, tf.constant([True, False])
    )
    asked = target[..., 4]
    expected = np.zeros((4, 4))
    expected[:, :2] = IGNORED
    expected[0, 0] = 1
    np.testing.assert_array_equal(asked, expected)
    assert lost == 0
    said = tf.ones([1, 4, 4, 7])
    # Eight boxes are background, each 0.5 x 1.
    assert yolo.loss_parts(target[None], said, 1)["no_object"] == 4


@pytest.mark.parametrize("grid", [2, 7])
def test_decoding_an_encoded_target_gives_the_boxes_back(grid):
    # One object in each cell, so that none is lost, of a landscape image.
    height, width = 120, 200
    y, x = (
        (np.arange(grid)[:, None] + rng.uniform(0.05, 0.95, (grid, grid))) / grid
        for _ in range(2)
    )
    shares = np.stack([x.T, y, *rng.uniform(0.01, 0.9, (2, grid, grid))], axis=-1)
    boxes = yolo.corner_form(tf.constant(shares.reshape(-1, 4)), (height, width))
    labels = rng.integers(1, 4, grid**2)
    target, lost = yolo.encode(boxes, tf.constant(labels), (height, width), grid, 2, 3)
    assert lost == 0
    found, scores = yolo.decode(target, 2, (height, width))
    for which in (0, 1):
        np.testing.assert_allclose(found[which::2], boxes, atol=1e-5)
        np.testing.assert_array_equal(scores[which::2], np.eye(3)[labels - 1])


def random_pair(grid=3, per_cell=2, classes=3):
    """Returns a target and a prediction, float64 [2, grid, grid, 5B + C]."""
    boxes = np.stack([random_boxes(4, 64, 64) for _ in range(2)])
    labels = rng.integers(1, classes + 1, (2, 4))
    target, _ = yolo.encode(
        tf.constant(boxes), tf.constant(labels), (64, 64), grid, per_cell, classes
    )
    return target, tf.constant(rng.uniform(0, 1, target.shape))


@pytest.mark.parametrize(("grid", "per_cell"), [(7, 2), (2, 1), (4, 3)])
def test_loss_as_the_paper_reads(grid, per_cell):
    target, prediction = random_pair(grid, per_cell)
    target = target.numpy()
    target[1, 0, 0, 4::5][:per_cell] = IGNORED if target[1, 0, 0, 4] == 0 else 1
    parts = yolo.loss_parts(tf.constant(target), prediction, per_cell)
    expected = [
        read_loss(t, p, per_cell)
        for t, p in zip(target, prediction.numpy(), strict=True)
    ]
    for name in yolo.WEIGHTS:
        np.testing.assert_allclose(parts[name], [e[name] for e in expected], atol=1e-5)
    mean = np.mean([sum(e.values()) for e in expected])
    np.testing.assert_allclose(
        yolo.Loss(per_cell, dtype="float64")(target, prediction), mean, rtol=1e-6
    )


def test_loss_by_hand():
    # One cell, one object in its middle, a quarter of the image wide and tall.
    target = tf.constant([[[[0.5, 0.5, 0.5, 0.5, 1] * 2 + [1, 0]]]])
    # The first box is nowhere near; the second is right but for its width, 0.36.
    said = [0.0, 0.0, 0.1, 0.1, 0.8, 0.5, 0.5, 0.6, 0.5, 0.4, 0.9, 0.2]
    parts = yolo.loss_parts(target, tf.constant([[[said]]]), 2)
    iou = 0.25 / 0.36  # the truth lies inside
    expected = {
        "center": 0,
        "size": 5 * 0.1**2,
        "object": (0.4 - iou) ** 2,
        "no_object": 0.5 * 0.8**2,
        "class": 0.1**2 + 0.2**2,
    }
    for name, value in expected.items():
        assert float(parts[name][0]) == pytest.approx(value, abs=1e-6), name
    chosen, _ = yolo.responsible(target, tf.constant([[[said]]]), 2)
    np.testing.assert_array_equal(chosen[0, 0, 0], [0, 1])


def test_a_perfect_prediction_costs_the_other_boxes_confidence_alone():
    target, _ = random_pair()
    parts = yolo.loss_parts(target, target, 2)
    assert np.allclose(parts.pop("no_object"), 0.5 * np.sum(target[..., 4], (1, 2)))
    for part in parts.values():
        np.testing.assert_allclose(part, 0, atol=1e-12)


def test_gradients_by_finite_differences():
    target, prediction = random_pair()
    chosen, overlap = yolo.responsible(target, prediction, 2)

    @tf.function
    def loss(values):
        """The loss with the choice and the asked confidence held, as they should be."""
        total = tf.reduce_sum(list(yolo.loss_parts(target, values, 2).values()))
        _, moved = yolo.responsible(target, values, 2)
        said = tf.stack([values[..., 4], values[..., 9]], axis=-1)
        held = chosen * ((said - overlap) ** 2 - (said - moved) ** 2)
        return total + tf.reduce_sum(held)

    with tf.GradientTape() as tape:
        tape.watch(prediction)
        total = tf.reduce_sum(list(yolo.loss_parts(target, prediction, 2).values()))
    gradient = tape.gradient(total, prediction).numpy()
    step, values = 1e-6, prediction.numpy()
    for place in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[place] += step
        down[place] -= step
        slope = float(loss(tf.constant(up)) - loss(tf.constant(down))) / (2 * step)
        assert gradient[place] == pytest.approx(slope, abs=1e-5), place


def test_sizes_at_and_below_zero_have_a_gradient():
    target = tf.constant([[[[0.5, 0.5, 0.5, 0.5, 1, 1]]]])
    said = tf.constant([[[[0.5, 0.5, 0.0, -0.3, 0.0, 1.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(said)
        loss = tf.reduce_sum(yolo.loss_parts(target, said, 1)["size"])
    assert float(loss) == pytest.approx(5 * (0.5**2 + 0.8**2))
    np.testing.assert_allclose(
        tape.gradient(loss, said)[0, 0, 0], [0, 0, -5, -8, 0, 0], atol=1e-5
    )


def test_lost_objects_are_counted():
    image = np.zeros((64, 64, 3), np.uint8)
    boxes = [[0, 0, 10, 10], [0, 0, 12, 12], [40, 40, 50, 50], [1, 1, 11, 11]]
    crowd = [False, False, False, True]
    samples = [Sample(image, boxes, [1, 2, 1, 1], crowd=crowd)] * 2
    assert yolo.lost_objects(samples, 7) == (2, 6)
    assert yolo.lost_objects(samples, 64) == (0, 6)


def test_schedule_by_hand():
    # 135 steps are the paper's epochs: 5 of warm-up, to 75, 105 and 135.
    schedule = yolo.Schedule(135, peak=0.01)
    for step, rate in (
        *((0, 0.001), (2.5, 0.0055), (5, 0.01), (74, 0.01)),
        *((75, 0.001), (104, 0.001), (105, 0.0001), (134, 0.0001)),
    ):
        assert float(schedule(step)) == pytest.approx(rate), step
    assert float(yolo.Schedule(1350, 0.02)(749)) == pytest.approx(0.02)
    assert float(yolo.Schedule(1350, 0.02)(750)) == pytest.approx(0.002)
