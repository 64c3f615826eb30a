"""RoIAlign and RoIPool by hand."""

import numpy as np
import pytest
import tensorflow as tf

from mrcnn_tf import masks, rle, roi, sampling

RAMP = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)  # 5 y + x


def test_aligned_on_a_ramp():
    # A ramp's bilinear mean over a cell is its value at the cell's centre. Pixel
    # (y, x) has its centre at (y + 0.5, x + 0.5): value 5 (y - 0.5) + (x - 0.5).
    box = np.array([[[1, 1, 3, 3]]], np.float32)
    cells = roi.roi_align([RAMP], box, 2, [1], aligned=True)[0, 0, ..., 0]
    np.testing.assert_allclose(cells, [[6, 7], [11, 12]], atol=1e-5)


def test_not_aligned_is_half_a_pixel_off():
    box = np.array([[[1, 1, 3, 3]]], np.float32)
    cells = roi.roi_align([RAMP], box, 2, [1], aligned=False)[0, 0, ..., 0]
    np.testing.assert_allclose(cells, [[9, 10], [14, 15]], atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (1, 4),  # in the middle, half way up the ridge
        (2, 2),  # at 1 and 3: 0 and half way down
        (4, 2),  # on every column: 0, 0, 8, 0
        ((2, 1), 4),  # two down, where nothing changes
        ((1, 2), 2),
    ],
)
def test_samples_in_a_cell(samples, expected):
    ridge = np.tile(np.array([0, 0, 8, 0], np.float32), (4, 1))[None, ..., None]
    box = np.array([[[0, 0, 4, 4]]], np.float32)
    cell = roi.roi_align([ridge], box, 1, [1], samples=samples)
    np.testing.assert_allclose(cell, [[[[[expected]]]]], atol=1e-5)


def test_any_number_of_samples_on_a_ramp():
    box = np.array([[[1, 1, 3, 3]]], np.float32)
    for samples in (1, 3, (5, 2)):
        cells = roi.roi_align([RAMP], box, 2, [1], samples=samples)[0, 0, ..., 0]
        np.testing.assert_allclose(cells, [[6, 7], [11, 12]], atol=1e-5)


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="samples must be at least 1"):
        roi.roi_align([RAMP], np.zeros((1, 1, 4), np.float32), 2, [1], samples=0)


def test_samples_just_on_the_rim_count():
    # 175 samples at -62, -61, ... 112. Those from -1 to 40 see the map: 14, 25 and 3
    # of the 25 in a cell.
    box = np.array([[[0, -62.5, 32, 112.5]]], np.float32)
    ones = np.ones((1, 32, 40, 1), np.float32)
    cells = roi.roi_align([ones], box, 7, [1], aligned=False, samples=(1, 25))
    expected = np.tile(np.array([0, 0, 14, 25, 3, 0, 0]) / 25, (7, 1))
    np.testing.assert_allclose(cells[0, 0, ..., 0], expected, atol=1e-5)


def test_crop_and_resize_as_it_stands_is_neither():
    normalized = np.array([[1, 1, 3, 3]], np.float32) / 5
    naive = tf.image.crop_and_resize(RAMP, normalized, [0], [2, 2])[0, ..., 0]
    assert np.abs(naive - [[6, 7], [11, 12]]).max() > 1


def test_levels():
    sides = np.array([1, 111.9, 112, 223.9, 224, 448, 5000], np.float32)
    square = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)
    assert roi.fpn_level(square).numpy().tolist() == [2, 2, 3, 3, 4, 5, 5]
    assert roi.fpn_level(np.zeros((1, 4), np.float32)).numpy().tolist() == [2]


def test_each_box_is_cut_from_its_level_and_image():
    strides = (4, 8, 16, 32)
    # Every map holds its own number: 10 * image + level.
    features = [
        np.stack(
            [np.full((512 // s, 256 // s, 3), 10 * b + level + 2) for b in range(2)]
        ).astype(np.float32)
        for level, s in enumerate(strides)
    ]
    sides = np.array([50, 120, 230, 250], np.float32)
    square = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)[None]
    boxes = np.concatenate([square, square])
    crops = roi.roi_align(features, boxes, 7, strides)
    level = roi.fpn_level(boxes).numpy()
    expected = 10 * np.arange(2)[:, None] + level
    np.testing.assert_allclose(
        crops.numpy(), np.broadcast_to(expected[..., None, None, None], crops.shape)
    )


def test_empty_slots_pass_through_forward_and_backward():
    features = [tf.ones([1, 64 // s, 64 // s, 2]) for s in (4, 8, 16, 32)]
    boxes = tf.zeros([1, 3, 4])
    with tf.GradientTape() as tape:
        tape.watch(features)
        crops = roi.roi_align(features, boxes, 7, (4, 8, 16, 32))
        total = tf.reduce_sum(crops)
    assert crops.shape == (1, 3, 7, 7, 2)
    assert all(np.isfinite(g).all() for g in tape.gradient(total, features))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("strides", [(8,), (4, 8, 16, 32)])
def test_gradient_is_the_transpose(strides, aligned):
    # <align(f), c> == <f, gradient(c)> for a linear map.
    rng = np.random.default_rng(0)
    height, width = 16 * max(strides), 18 * max(strides)
    features = [
        tf.constant(rng.normal(size=(2, height // s, width // s, 3)), tf.float32)
        for s in strides
    ]
    corners = rng.uniform(-8, 1.1 * width, (2, 6, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype(np.float32)
    assert len(strides) == 1 or len(np.unique(roi.fpn_level(boxes))) > 2
    cotangent = tf.constant(rng.normal(size=(2, 6, 7, 7, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(features)
        product = tf.reduce_sum(
            roi.roi_align(features, boxes, 7, strides, aligned) * cotangent
        )
    gradients = tape.gradient(product, features)
    shares = [g * f for g, f in zip(gradients, features, strict=True)]
    size = sum(float(tf.reduce_sum(tf.abs(share))) for share in shares)
    assert sum(float(tf.reduce_sum(share)) for share in shares) == pytest.approx(
        float(product), abs=1e-6 * size
    )


def test_gradient_loses_nothing_where_many_threads_add():
    # crop_and_resize's own gradient comes out too small here about every third time.
    features = tf.zeros([1, 64, 64, 256])
    one = np.array([[[16, 16, 160, 160]]], np.float32)

    def gradient(boxes):
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = tf.reduce_sum(roi.roi_align([features], boxes, 7, [4]))
        return tape.gradient(out, features).numpy()

    expected = 400 * gradient(one)
    assert expected.sum() == pytest.approx(400 * 7 * 7 * 256, rel=1e-4)
    for _ in range(5):
        many = gradient(np.repeat(one, 400, axis=1))
        np.testing.assert_allclose(many, expected, rtol=1e-4, atol=1e-3)


def test_gradient_has_the_same_bits_every_time():
    # Summed by threads in an order of their own, it would not.
    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=(1, 64, 64, 256)), tf.float32)
    corners = rng.uniform(0, 256, (1, 400, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype(np.float32)
    cotangent = tf.constant(rng.normal(size=(1, 400, 7, 7, 256)), tf.float32)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = tf.reduce_sum(roi.roi_align([features], boxes, 7, [4]) * cotangent)
        return tape.gradient(out, features)

    first = gradient().numpy()
    assert all((gradient().numpy() == first).all() for _ in range(20))


def test_rois_are_cut_alike_however_many_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=(2, 8, 9, 3)), tf.float32)
    corners = rng.uniform(-8, 80, (2, 5, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype(np.float32)
    together = roi.roi_align([features], boxes, 7, [8])
    monkeypatch.setattr(sampling, "AT_ONCE", 2)
    apart = roi.roi_align([features], boxes, 7, [8])
    np.testing.assert_array_equal(apart, together)


def test_roi_pool_takes_the_largest():
    box = np.array([[[0, 0, 3, 3]]], np.float32)  # cells 0 to 3, inclusive
    cells = roi.roi_pool(RAMP, box, 2, 1.0)[0, 0, ..., 0]
    np.testing.assert_array_equal(cells, [[6, 8], [16, 18]])


def test_roi_pool_against_plain_loops():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 9, 11, 2)).astype(np.float32)
    corners = rng.integers(-10, 100, (1, 20, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(2), corners.max(2)], axis=-1)
    pooled = roi.roi_pool(features, boxes, 3, 8.0).numpy()[0]
    for box, cells in zip(boxes[0], pooled, strict=True):
        y1, x1, y2, x2 = np.floor(box / 8 + 0.5).astype(int)
        height, width = (y2 - y1 + 1) / 3, (x2 - x1 + 1) / 3
        for i in range(3):
            for j in range(3):
                top = max(y1 + int(np.floor(i * height)), 0)
                bottom = max(y1 + int(np.ceil((i + 1) * height)), 0)
                left = max(x1 + int(np.floor(j * width)), 0)
                right = max(x1 + int(np.ceil((j + 1) * width)), 0)
                cell = features[0, top:bottom, left:right].reshape(-1, 2)
                expected = cell.max(axis=0) if len(cell) else np.zeros(2)
                np.testing.assert_array_equal(cells[i, j], expected)


def test_roi_pool_outside_is_zero():
    box = np.array([[[20, 20, 24, 24]]], np.float32)
    assert not roi.roi_pool(RAMP, box, 2, 1.0).numpy().any()


def test_mask_targets_of_the_object_each_roi_matched():
    planes = np.zeros((1, 2, 64, 64), np.uint8)
    planes[0, 0, 8:40, 8:40] = 1
    planes[0, 1, 8:24, 8:40] = 1  # the upper half
    box = np.array([[[8, 8, 40, 40]] * 2], np.float32)
    windows = np.array([[[0, 0, 64, 64]] * 2], np.float32)
    index = np.array([[0, 1]])
    targets = masks.crop_targets(planes, windows, box, index, 28).numpy()[0]
    # Cells on the edge see a little of the outside: bilinear samples reach there.
    np.testing.assert_allclose(targets[0, 1:-1, 1:-1], 1, atol=1e-5)
    assert 0.5 < targets[0].min() < 1
    np.testing.assert_allclose(targets[1, 1:13, 1:-1], 1, atol=1e-5)
    np.testing.assert_allclose(targets[1, 15:], 0, atol=1e-5)


def disc_in(height, width, center, radius):
    rows, columns = np.ogrid[:height, :width]
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2


def targets_in_window_and_whole(mask, scale, rois):
    """Mask targets from the window, and from the whole mask at the network's size."""
    size = np.round(np.array(mask.shape) * scale).astype(int)
    rows, columns = (np.floor((np.arange(n) + 0.5) / scale).astype(int) for n in size)
    whole = mask[rows[:, None], columns].astype(np.uint8)
    cells, window = masks.cut_window(rle.encode(mask), (scale, scale))
    rois, index = np.array([rois], np.float32), np.zeros((1, len(rois)), np.int32)
    frame = np.array([[[0, 0, *size]]], np.float32)
    return (
        masks.crop_targets(cells[None, None], window[None, None], rois, index, 28)[0],
        masks.crop_targets(whole[None, None], frame, rois, index, 28)[0],
    )


ROIS = [[20, 30, 70, 90], [0, 0, 100, 120], [33.3, 41.7, 61.2, 80.9], [44, 59, 46, 61]]


@pytest.mark.parametrize("center", [(45, 60), (5, 3), (97, 118)])
def test_targets_of_a_window_are_those_of_the_whole_mask(center):
    # The window is as large as a mask of 110 pixels: nothing is lost.
    disc = disc_in(100, 120, center, 30)
    found, expected = targets_in_window_and_whole(disc, 1.0, ROIS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_targets_of_a_large_object_are_nearly_those_of_its_whole_mask():
    disc = disc_in(600, 900, (300, 450), 250)
    rois = [[50, 200, 550, 700], [0, 100, 400, 800], [310, 210, 390, 330]]
    found, expected = targets_in_window_and_whole(disc, 1.3, np.array(rois) * 1.3)
    assert np.abs(found - expected).mean() < 0.01
    inside, truth = found.numpy() >= 0.5, expected.numpy() >= 0.5
    assert (inside & truth).sum() / (inside | truth).sum() > 0.99


def test_the_window_of_a_pixel():
    mask = np.zeros((40, 50), bool)
    mask[7, 9] = True
    cells, window = masks.cut_window(rle.encode(mask), (1.0, 1.0))
    assert window.tolist() == [6, 8, 6 + masks.WINDOW, 8 + masks.WINDOW]
    assert np.argwhere(cells).tolist() == [[1, 1]]


def test_paste_undoes_crop():
    rows, columns = np.ogrid[:100, :120]
    disc = (rows - 45) ** 2 + (columns - 60) ** 2 < 30**2
    box = [14, 29, 76, 91]
    target = masks.crop_targets(
        disc[None, None].astype(np.uint8),
        np.array([[[0, 0, 100, 120]]], np.float32),
        np.array([[box]], np.float32),
        np.array([[0]]),
        28,
    )[0, 0].numpy()
    pasted = masks.paste(target, box, 100, 120)
    assert (pasted & disc).sum() / (pasted | disc).sum() > 0.98


def test_paste_of_a_full_mask_fills_its_box():
    pasted = masks.paste(np.ones((28, 28), np.float32), (2, 3, 7, 9), 10, 12)
    expected = np.zeros((10, 12), bool)
    expected[2:7, 3:9] = True
    np.testing.assert_array_equal(pasted, expected)


@pytest.mark.parametrize("box", [(-9, -9, -2, -2), (50, 50, 60, 60), (3, 3, 3, 5)])
def test_paste_outside_or_empty(box):
    assert not masks.paste(np.ones((28, 28), np.float32), box, 10, 12).any()
