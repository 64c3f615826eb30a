"""Pascal VOC: boxes by its definition, lists, masks, and what is found in the wild."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_sets
from PIL import Image

from mrcnn_tf.datasets import voc
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.checks import make_sample
from mrcnn_tf.datasets.formats import read_annotations

BCCD = Path(__file__).parents[2] / "shared" / "data" / "bccd_voc"


def one(folder, *objects, image="a.jpg", **options):
    """Reads one XML file beside its image; returns its record and the faults."""
    tiny_sets.photo(folder / "a.jpg")
    tiny_sets.voc_file(folder / "a.xml", image, objects, **options)
    annotations = voc.read(folder)[""]
    return annotations.records[0], annotations.faults


def test_boxes_include_their_last_pixel(tmp_path):
    tiny_sets.voc(tmp_path)
    annotations = voc.read(tmp_path)[""]
    assert annotations.classes == ("cat", "dog") and annotations.faults == []
    sample = AnnotatedImages(annotations)[0]
    # 1 to 10 are the first ten columns, 1 to 20 all rows.
    np.testing.assert_array_equal(sample.boxes, [[0, 0, 20, 10], [5, 4, 12, 30]])
    assert sample.classes.tolist() == [1, 2] and sample.masks is None
    assert sample.image_id == "a" and not sample.crowd.any()


def test_difficult_objects_are_crowd_regions(tmp_path):
    record, faults = one(tmp_path, tiny_sets.voc_object("cat", 1, 1, 9, 9, difficult=1))
    assert [o.crowd for o in record.objects] == [True] and faults == []


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPG", "gone.png", "", "C:\\photos\\a.jpg"]
)
def test_the_image_is_found_by_its_name_or_the_xmls(tmp_path, name):
    record, _ = one(tmp_path, image=name)
    assert record.image == tmp_path / "a.jpg" and record.size == (20, 30)


def test_an_image_that_is_nowhere_is_named_as_the_file_has_it(tmp_path):
    tiny_sets.photo(tmp_path / "b.jpg")
    tiny_sets.voc_file(tmp_path / "a.xml", "gone.jpg", [])
    annotations = voc.read(tmp_path)[""]
    assert annotations.records[0].image == tmp_path / "gone.jpg"
    (fault,) = annotations.faults  # of the image that has no file
    assert fault.kind == "image without annotations" and "b.jpg" in fault.found


@pytest.mark.parametrize("size", [(0, 0), ("", ""), (30, 0)])
def test_a_size_that_is_not_declared(tmp_path, size):
    record, faults = one(tmp_path, size=size)
    assert record.size is None and faults == []


def test_values_that_are_none(tmp_path):
    nameless = tiny_sets.voc_object(" ", 1, 1, 9, 9)
    wordy = tiny_sets.voc_object("cat", 1, "two", 9, 9)
    boxless = tiny_sets.element("object", tiny_sets.element("name", "cat"))
    click = tiny_sets.voc_object("cat", 5, 5, 5, 5)
    good = tiny_sets.voc_object("cat", "1.0", 1, 9, 9)
    record, faults = one(
        tmp_path, nameless, wordy, boxless, click, good, size=("wide", 20)
    )
    assert [(o.name, o.id) for o in record.objects] == [("cat", 5)]
    assert record.size is None
    kinds = ["bad value"] * 3 + ["empty box", "bad value"]
    assert [fault.kind for fault in faults] == kinds
    said = [f"{fault.where}: {fault.found}" for fault in faults]
    assert "object 1: found no <name>" in said
    assert "object 2: <bndbox/ymin>: expected a number, found 'two'" in said
    assert "object 3: <bndbox/xmin>: expected a number, found ''" in said


def test_a_part_of_an_object_is_no_object(tmp_path):
    """VOC's person layout has boxes of heads and hands inside <object>."""
    whole = tiny_sets.voc_object("person", 1, 1, 9, 9)
    part = tiny_sets.voc_object("head", 2, 2, 4, 4)
    part.tag = "part"
    whole.insert(0, part)
    record, faults = one(tmp_path, whole)
    assert [o.name for o in record.objects] == ["person"] and faults == []
    assert record.objects[0].box == (0, 0, 9, 9)


@pytest.mark.parametrize("text", ["<annotation><object>", "<note/>", ""])
def test_one_broken_file_of_two(tmp_path, text):
    tiny_sets.voc(tmp_path).write_text(text)
    annotations = voc.read(tmp_path)[""]
    assert [record.image_id for record in annotations.records] == ["b"]
    (fault,) = annotations.faults
    assert fault.kind == "unreadable annotations" and "a.xml" in fault.file


def test_nothing_that_can_be_read(tmp_path):
    file = tiny_sets.voc_file(tmp_path / "a.xml", "a.jpg", [])
    file.write_text("<annotation>")
    with pytest.raises(ValueError, match=r"no image could be read: .*a\.xml"):
        voc.read(tmp_path)


def lists(folder, kind="Main", **splits):
    (folder / "ImageSets" / kind).mkdir(parents=True, exist_ok=True)
    for split, text in splits.items():
        (folder / "ImageSets" / kind / f"{split}.txt").write_text(text)


def stems(splits):
    return {key: [r.image_id for r in part.records] for key, part in splits.items()}


def test_lists_are_the_splits(tmp_path, caplog):
    tiny_sets.voc(tmp_path)
    lists(tmp_path, train="b\n", trainval="b\na\n", cat_train="b  1\n")
    with caplog.at_level(logging.WARNING):
        splits = voc.read(tmp_path)
    assert stems(splits) == {"train": ["b"]}
    assert splits["train"].classes == ("dog",)  # a cat is in no list
    assert "1 of 2 XML files are in none of its lists" in caplog.text
    lists(tmp_path, val=" a \n\n")
    assert stems(voc.read(tmp_path)) == {"train": ["b"], "val": ["a"]}
    assert voc.read(tmp_path)["train"].classes == ("cat", "dog")


def test_trainval_alone_is_not_divided(tmp_path):
    tiny_sets.voc(tmp_path)
    lists(tmp_path, trainval="b\na\n")
    assert stems(voc.read(tmp_path)) == {"": ["b", "a"]}
    lists(tmp_path, trainval="b\n", test="a\n")
    assert stems(voc.read(tmp_path)) == {"train": ["b"], "test": ["a"]}


def test_a_list_with_a_name_that_has_no_file(tmp_path):
    tiny_sets.voc(tmp_path)
    lists(tmp_path, train="a\nzebra\n")
    (fault,) = voc.read(tmp_path)["train"].faults
    assert fault.kind == "unreadable annotations" and "zebra" in str(fault)


def test_masks_are_the_indices_of_the_palette(tmp_path):
    tiny_sets.voc_with_masks(tmp_path)
    splits = read_annotations(tmp_path)
    sample = AnnotatedImages(splits[""])[0]
    pixels = tiny_sets.numbers()
    assert [splits[""].classes[c - 1] for c in sample.classes] == ["z", "y"]
    # Not the first row, which is void.
    np.testing.assert_array_equal(sample.dense_masks(), [pixels == 1, pixels == 2])


def test_lists_of_segmentation_come_first_where_there_are_masks(tmp_path):
    tiny_sets.voc(tmp_path)
    lists(tmp_path, "Segmentation", train="a\n")
    lists(tmp_path, val="b\n")
    assert stems(voc.read(tmp_path)) == {"val": ["b"]}
    (tmp_path / "SegmentationObject").mkdir()
    tiny_sets.palette_image(tiny_sets.numbers()).save(
        tmp_path / "SegmentationObject" / "a.png"
    )
    assert stems(voc.read(tmp_path)) == {"train": ["a"]}


def test_a_coloured_mask_is_refused_in_words(tmp_path):
    tiny_sets.voc_with_masks(tmp_path)
    mask = tmp_path / "SegmentationObject" / "a.png"
    Image.open(mask).convert("RGB").save(mask)
    annotations = voc.read(tmp_path)[""]
    sample, faults = make_sample(annotations.records[0], annotations.classes, True)
    assert len(sample.boxes) == 0
    assert ["it has colours" in str(fault) for fault in faults] == [True, True]


def test_what_matches(tmp_path):
    file = tiny_sets.voc(tmp_path)
    assert voc.matches(file) and voc.matches(tmp_path) and voc.matches(file.parent)
    assert stems(voc.read(file)) == {"": ["a"]}
    assert stems(voc.read(file.parent)) == {"": ["a", "b"]}
    other = tmp_path / "other"
    other.mkdir()
    (other / "note.xml").write_text("<note/>")
    (other / "._a.xml").write_bytes(file.read_bytes())  # as macOS leaves them
    assert not voc.matches(other) and not voc.matches(other / "none.xml")


@pytest.mark.skipif(not BCCD.is_dir(), reason=f"{BCCD} is not there")
def test_blood_cells():
    splits = read_annotations(BCCD)
    assert {key: len(part.records) for key, part in splits.items()} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    classes, faults, labels = ("Platelets", "RBC", "WBC"), [], Counter()
    for part in splits.values():
        assert part.classes == classes
        faults += part.faults
        for record in part.records:
            sample, found = make_sample(record, classes, part.has_masks)
            faults += found
            labels.update(sample.classes.tolist())
    assert labels.total() == 4886
    assert sorted((Path(f.file).stem, f.kind) for f in faults) == [
        ("BloodImage_00338", "empty box"),
        ("BloodImage_00343", "empty box"),
    ]
