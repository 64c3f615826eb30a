"""The dataset of annotated images: what it leaves out, and what it says of it."""

import logging

import numpy as np
import pytest
from PIL import Image

from mrcnn_tf.datasets import AnnotatedImages
from mrcnn_tf.datasets.faults import Fault
from mrcnn_tf.datasets.records import Annotations, Object, Record

BOX = (4.0, 5.0, 14.0, 15.0)
SQUARE = (np.array([5, 4, 15, 4, 15, 14, 5, 14.0]),)
ITEMS = (Object("dog", BOX), Object("cat", BOX))


@pytest.fixture
def annotations(tmp_path):
    """Returns a function that makes `Annotations` of two images and others' records."""

    def make(*others, items=ITEMS, faults=()):
        records = []
        for index, item in enumerate(items):
            path = tmp_path / f"{index}.png"
            Image.new("RGB", (30, 20), "teal").save(path)
            records.append(Record(path, index, (item,), tmp_path / "a.json", (20, 30)))
        return Annotations(("cat", "dog"), records + list(others), list(faults))

    return make


def test_samples(annotations, caplog):
    dataset = AnnotatedImages(annotations())
    assert dataset.classes == ("cat", "dog") and not dataset.has_masks
    assert len(dataset) == 2 and dataset.faults == []
    assert [dataset[i].image_id for i in range(2)] == [0, 1]
    assert [dataset[i].classes.tolist() for i in range(2)] == [[2], [1]]
    assert dataset[0].boxes.tolist() == [list(BOX)] and dataset[0].masks is None
    assert caplog.messages == []


def test_masks_of_one_make_masks_of_all(annotations):
    items = (Object("dog", BOX, SQUARE), Object("cat", BOX))
    dataset = AnnotatedImages(annotations(items=items))
    assert dataset.has_masks
    assert len(dataset[0].masks) == len(dataset[1].masks) == 1
    assert dataset[1].crowd.tolist() == [True]  # its pixels are not known


def test_classes_in_another_order(annotations):
    dataset = AnnotatedImages(annotations(), classes=("bird", "dog", "cat"))
    assert dataset.classes == ("bird", "dog", "cat")
    assert [dataset[i].classes.tolist() for i in range(2)] == [[2], [3]]


def test_classes_that_are_not_known(annotations):
    with pytest.raises(ValueError, match=r"\['dog'\], which are not among \('cat',\)"):
        AnnotatedImages(annotations(), classes=("cat",))


def test_images_that_cannot_be_used_are_left_out_and_said(
    annotations, tmp_path, caplog
):
    gone = Record(tmp_path / "gone.png", "g", (), tmp_path / "a.json")
    other = Record(tmp_path / "0.png", "s", (), tmp_path / "a.json", (9, 9))
    read = Fault("unknown category", "a.json", "object 3", "none is 7", "left out")
    dataset = AnnotatedImages(annotations(gone, other, faults=[read]))
    kinds = ["unknown category", "missing image", "size mismatch"]
    assert [fault.kind for fault in dataset.faults] == kinds
    assert [record.image_id for record in dataset.records] == [0, 1]
    [message] = caplog.messages
    assert message.startswith("2 of 4 images are in use; faults: ")
    assert "1 missing image" in message and str(read) in message
    assert "mrcnn_tf.datasets.doctor" in message


def test_faults_of_objects_are_said_once_for_each_image(annotations, caplog):
    items = (Object("dog", (1, 1, 1, 1), id=7), Object("cat", BOX))
    dataset = AnnotatedImages(annotations(items=items))
    assert caplog.messages == []
    for _ in range(2):
        assert len(dataset[0].boxes) == 0
        assert len(dataset[1].boxes) == 1
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "image 0" in record.message and "object 7: empty box" in record.message


def test_no_image_that_can_be_used(tmp_path):
    with pytest.raises(ValueError, match="no image can be used: there are none"):
        AnnotatedImages(Annotations(("cat",), [], []))
    gone = Record(tmp_path / "gone.png", 1, (), tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"no image can be used: .*gone\.png does not"):
        AnnotatedImages(Annotations(("cat",), [gone], []))


def test_pixels_that_cannot_be_read(annotations, tmp_path):
    dataset = AnnotatedImages(annotations())
    data = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"0\.png: damaged"):
        dataset[0]
    (tmp_path / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"0\.png: no such file"):
        dataset[0]
