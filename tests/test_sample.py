"""The record names its image and object when something is wrong with it."""

import numpy as np
import pytest

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.result import Result

IMAGE = np.zeros((20, 30, 3), np.uint8)


def mask(y1, x1, y2, x2, size=(20, 30)):
    """A rectangle as RLE."""
    full = np.zeros(size, bool)
    full[y1:y2, x1:x2] = True
    return rle.encode(full)


def sample(**changes):
    fields = {
        "image": IMAGE,
        "boxes": [[2, 3, 12, 13], [5, 6, 15, 16]],
        "classes": [1, 2],
        "masks": (mask(2, 3, 12, 13), mask(5, 6, 15, 16)),
        "image_id": "photo.jpg",
    }
    return Sample(**{**fields, **changes})


def test_fields_are_normalised():
    good = sample()
    assert good.boxes.dtype == np.float32 and good.classes.dtype == np.int32
    assert good.crowd.tolist() == [False, False]
    assert (good.height, good.width) == (20, 30)
    assert good.dense_masks().sum(axis=(1, 2)).tolist() == [100, 100]


def test_an_image_without_objects():
    empty = sample(boxes=[], classes=[], masks=())
    assert empty.boxes.shape == (0, 4) and empty.dense_masks().shape == (0, 20, 30)


def test_rounding_at_the_edge_is_clipped():
    boxes = [[-0.5, 0, 20.9, 30], [5, 6, 15, 16]]
    assert sample(boxes=boxes).boxes[0].tolist() == [0, 0, 20, 30]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": IMAGE / 255}, "uint8"),
        ({"image": IMAGE[..., 0]}, "uint8"),
        ({"image": IMAGE[:0]}, "no pixels"),
        ({"boxes": [[2, 3, 12], [5, 6, 15]]}, r"\[N, 4\]"),
        ({"classes": [1]}, "2 boxes but 1 classes"),
        ({"crowd": [True]}, "crowd flags"),
        ({"boxes": [[2, 3, 12, 13], [5, 6, 5, 16]]}, "object 1: .* no area"),
        ({"boxes": [[12, 13, 2, 3], [5, 6, 15, 16]]}, "object 0: .* no area"),
        ({"boxes": [[2, 3, 12, 13], [5, 6, 15, 40]]}, "object 1: .* outside"),
        ({"boxes": [[2, 3, 12, 13], [-9, 6, 15, 16]]}, "object 1: .* outside"),
        ({"boxes": [[20, 3, 20.9, 9], [5, 6, 15, 16]]}, "does not touch"),
        ({"boxes": [[2, 3, np.nan, 13], [5, 6, 15, 16]]}, "not finite"),
        ({"classes": [1, 0]}, "object 1: class ids"),
        ({"classes": [1.5, 1]}, "object 0: class ids"),
        ({"masks": (mask(2, 3, 12, 13),)}, "2 boxes but 1 masks"),
        ({"masks": (mask(2, 3, 12, 13), mask(1, 1, 1, 1))}, "object 1: .* empty"),
        (
            {"masks": (mask(2, 3, 9, 9, (30, 20)), mask(5, 6, 15, 16))},
            r"object 0: its mask is \[30, 20\]",
        ),
        ({"trimap": np.ones((5, 5), np.uint8)}, "trimap is"),
        ({"trimap": np.zeros((20, 30), np.uint8)}, "1 .object., 2 .background"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(ValueError, match=f"image 'photo.jpg': .*{message}"):
        sample(**changes)


def test_boxes_only_have_no_masks_to_give():
    with pytest.raises(ValueError, match="boxes only"):
        sample(masks=None).dense_masks()


def test_rle_round_trip_box_and_area():
    rng = np.random.default_rng(0)
    noise = rng.random((17, 23)) < 0.5
    np.testing.assert_array_equal(rle.decode(rle.encode(noise)), noise)
    assert rle.area(rle.encode(noise)) == noise.sum()
    assert rle.box(mask(2, 3, 12, 13)).tolist() == [2, 3, 12, 13]
    with pytest.raises(ValueError, match="shape"):
        rle.encode(np.zeros((2, 3, 4)))


def test_result_names_masks_and_keep():
    result = Result(
        boxes=np.array([[2, 3, 12, 13], [5, 6, 15, 16]], np.float32),
        classes=np.array([2, 1]),
        scores=np.array([0.9, 0.4], np.float32),
        rles=(mask(2, 3, 12, 13), mask(5, 6, 15, 16)),
        height=20,
        width=30,
        class_names=("cat", "dog"),
    )
    assert result.names == ["dog", "cat"] and len(result) == 2
    kept = result.keep(0.5)
    assert kept.names == ["dog"] and kept.masks[0].sum() == 100
    assert result.keep(0.95).masks.shape == (0, 20, 30)
