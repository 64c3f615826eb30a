"""Your own annotations in three splits, whatever the data bring."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf.datasets import splits

BOX = [2, 3, 10, 12]  # x, y, width, height


def coco(path, names, categories=("cat", "dog")):
    """Writes a COCO file of one object an image, and the images beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, name in enumerate(names, start=1):
        pixels = np.full((24, 32, 3), number, np.uint8)
        Image.fromarray(pixels).save(path.parent / name)
        images.append({"id": number, "file_name": name, "height": 24, "width": 32})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": BOX}
            | {"area": 120, "iscrowd": 0}
            | {"segmentation": [[2, 3, 12, 3, 12, 15, 2, 15]]}
        )
    named = [{"id": i, "name": name} for i, name in enumerate(categories, start=1)]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": named})
    )
    return path


def names(count, prefix="a"):
    return [f"{prefix}{i:02}.png" for i in range(count)]


def ids(dataset):
    return {record.image.name for record in dataset.records}


def test_one_set_is_divided_always_in_the_same_way(tmp_path):
    path = coco(tmp_path / "all.json", names(20))
    found = mr.datasets.load(path)
    parts = [ids(part) for part in (found.train, found.val, found.test)]
    assert [len(part) for part in parts] == [14, 3, 3]
    assert set.union(*parts) == set(names(20))
    again = mr.datasets.load(tmp_path)  # the folder is the file
    assert [ids(p) for p in (again.train, again.val, again.test)] == parts
    sample = found.train[0]
    assert sample.boxes.tolist() == [[3, 2, 15, 12]] and sample.classes.tolist() == [1]
    assert len(splits.load_all(path)) == 20


def test_train_and_val_alone(tmp_path, caplog):
    coco(tmp_path / "train" / "a.json", names(5))
    coco(tmp_path / "val" / "b.json", names(2, "b"))
    with caplog.at_level(logging.WARNING):
        found = mr.datasets.load(tmp_path)
    assert "no test split" in caplog.text
    assert ids(found.train) == set(names(5)) and ids(found.val) == set(names(2, "b"))
    assert ids(found.test) == ids(found.val)


def test_train_and_test_take_val_out_of_train(tmp_path):
    coco(tmp_path / "train" / "a.json", names(10))
    coco(tmp_path / "test" / "b.json", names(2, "b"))
    found = mr.datasets.load(tmp_path)
    assert ids(found.train) | ids(found.val) == set(names(10))
    assert not ids(found.train) & ids(found.val) and len(found.val) == 2
    assert ids(found.test) == set(names(2, "b"))


def test_three_splits_are_taken_as_they_are(tmp_path):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        coco(tmp_path / split / "x.json", names(count, split))
    found = mr.datasets.load(tmp_path)
    assert [len(part) for part in (found.train, found.val, found.test)] == [3, 2, 1]
    assert len(splits.load_all(tmp_path)) == 6


def test_val_and_test_alone_are_refused(tmp_path):
    coco(tmp_path / "val" / "x.json", names(3))
    coco(tmp_path / "test" / "x.json", names(3))
    with pytest.raises(ValueError, match=r"\['test', 'val'\], expected train"):
        mr.datasets.load(tmp_path)


def test_too_few_images_to_divide(tmp_path):
    with pytest.raises(ValueError, match="2 annotated images cannot be divided"):
        mr.datasets.load(coco(tmp_path / "all.json", names(2)))


def test_classes_of_all_splits_or_those_that_are_asked_for(tmp_path):
    coco(tmp_path / "train" / "a.json", names(3), ("dog", "cat"))
    coco(tmp_path / "val" / "b.json", names(2, "b"), ("cat",))
    found = mr.datasets.load(tmp_path)
    assert found.train.classes == found.val.classes == ("dog", "cat")
    assert found.train[0].classes.tolist() == [1]  # dog
    assert found.val[0].classes.tolist() == [2]  # cat, the first category of its file
    asked = mr.datasets.load(tmp_path, classes=("bird", "dog", "cat"))
    assert asked.train[0].classes.tolist() == [2]
    assert asked.val[0].classes.tolist() == [3]
    with pytest.raises(ValueError, match=r"\['dog'.*not among \('cat',\)"):
        mr.datasets.load(tmp_path, classes=("cat",))


def test_no_such_folder_names_what_there_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"animals.*pet.*shapes"):
        mr.datasets.load(tmp_path / "nowhere")
