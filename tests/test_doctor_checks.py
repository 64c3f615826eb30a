"""What only the doctor looks for, by hand: duplicates, orientations, repetitions."""

import numpy as np
import pytest
from faulty_sets import photo
from pycocotools import mask as coco_mask

from mrcnn_tf.datasets.doctor_checks import (
    class_fault,
    duplicate_faults,
    orientation_fault,
    repeated_images,
)
from mrcnn_tf.datasets.examined import examine_images
from mrcnn_tf.datasets.records import Annotations, Object, Record
from mrcnn_tf.datasets.sample import Sample


def test_duplicates_are_of_one_class_and_one_outline(tmp_path):
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10.2], [0, 0, 10, 11]]
    classes, crowd = [1, 2, 1, 1], [False] * 4

    def found(**changes):
        items = tuple(
            Object("x", tuple(box), id=f"n{i}") for i, box in enumerate(boxes)
        )
        values = {"boxes": boxes, "classes": classes, "crowd": crowd, **changes}
        sample = Sample(np.zeros((20, 30, 3), np.uint8), **values)
        record = Record(tmp_path / "a.png", 5, items, tmp_path / "a.json")
        return [f.where for f in duplicate_faults(record, sample, range(4))]

    assert found() == ["image 5, object n2"]
    assert found(classes=[1, 2, 2, 1]) == ["image 5, object n2"]  # of n1
    assert found(crowd=[True] * 4) == []
    # The same boxes, and masks that share a corner.
    halves = [{"size": [20, 30], "counts": c} for c in ([0, 210, 390], [0, 60, 540])]
    one, other = (coco_mask.frPyObjects(half, 20, 30) for half in halves)
    assert found(masks=(one, one, other, other)) == []
    assert found(masks=(one, one, one, other)) == ["image 5, object n2"]


def test_duplicates_among_thousands_of_like_boxes(tmp_path):
    boxes = np.tile([[0, 0, 10, 10]], (3000, 1))
    sample = Sample(np.zeros((20, 30, 3), np.uint8), boxes, np.ones(3000))
    items = (Object("x", (0, 0, 10, 10)),) * 3000
    record = Record(tmp_path / "a.png", 5, items, tmp_path / "a.json")
    assert len(duplicate_faults(record, sample, range(3000))) == 2999


@pytest.mark.parametrize(
    ("tag", "size", "count"),
    [
        (None, None, 0),
        (1, (40, 60), 0),
        (3, (40, 60), 1),  # turned by 180 degrees: its size does not tell
        (2, None, 1),
        (6, None, 1),
        (6, (60, 40), 0),  # declared as it is seen
        (6, (40, 60), 1),  # declared as it is stored: said by the checks of training
    ],
)
def test_orientation_is_said_once_where_it_is_in_doubt(tmp_path, tag, size, count):
    photo(tmp_path / "1.jpg", 1, tag)
    record = Record(tmp_path / "1.jpg", 1, (), tmp_path / "a.json", size)
    [image] = examine_images(Annotations((), [record], []), "", progress=False)
    assert [fault.kind for fault in image.faults] == ["orientation"] * count


def test_orientation_of_a_square_image_is_in_doubt(tmp_path):
    photo(tmp_path / "1.jpg", 1, 6, size=(40, 40))
    record = Record(tmp_path / "1.jpg", 1, (), tmp_path / "a.json", (40, 40))
    assert "EXIF orientation 6" in orientation_fault(record).found


def test_crowds_are_no_objects_of_a_class(tmp_path):
    objects = tuple(Object("cat", None, crowd=crowd) for crowd in (True, False, True))
    records = [Record(tmp_path / "1.jpg", 1, objects, tmp_path / "a.json")]
    annotations = Annotations(("cat",), records, [])
    assert class_fault(annotations, 1, "") is None
    assert class_fault(annotations, 2, "").found.endswith("cat 1")
    nothing = class_fault(Annotations(("cat",), [], []), 1, "train")
    assert nothing.found.endswith("cat 0") and nothing.where == "train"


def test_repeated_images_by_hand(tmp_path):
    def records(*names):
        return Annotations(
            ("x",),
            [
                Record(tmp_path / n, i, (), tmp_path / "x.xml")
                for i, n in enumerate(names)
            ],
            [],
        )

    splits = {
        "train": records("a", "b", "a", "gone"),
        "val": records("c", "d", "gone"),
        "test": records("e"),
    }
    digests = {
        "train": [b"1", b"2", b"1", None],
        "val": [b"3", b"3", None],
        "test": [b"2"],
    }
    faults, shared, listed = repeated_images(splits, digests)
    assert shared == {("train", 1), ("train", 3)}
    assert listed == {("train", 2): 0}
    assert sorted(fault.kind for fault in faults) == [
        "copied image",
        "image listed twice",
        "shared image",
        "shared image",
    ]
    assert repeated_images({"": records("a", "b")}, {"": [None, None]})[0] == []
