"""Formats are found by looking, folders of splits too, and one set is divided."""

import shutil

import pytest
import tiny_sets

from mrcnn_tf.datasets.formats import divide, find_format, merge, read_annotations
from mrcnn_tf.datasets.records import Annotations, Object, Record

MADE = {
    "voc": [tiny_sets.voc, tiny_sets.voc_with_masks],
    "via": [tiny_sets.via, tiny_sets.via_project],
    "labelme": [tiny_sets.labelme],
    "masks": [tiny_sets.masks, tiny_sets.numbered_masks],
}
PAIRS = [(name, make) for name, makes in MADE.items() for make in makes]
each_format = pytest.mark.parametrize(
    ("name", "make"), PAIRS, ids=[make.__name__ for _, make in PAIRS]
)


@each_format
def test_found_by_looking(tmp_path, name, make):
    make(tmp_path)
    assert find_format(tmp_path) == find_format(str(tmp_path)) == name
    looked, named = read_annotations(tmp_path), read_annotations(tmp_path, name)
    assert looked[""].classes == named[""].classes
    assert find_format(tmp_path / "none") is None


@each_format
def test_folders_of_splits(tmp_path, name, make):
    for folder in ("train", "valid", "test"):
        make(tmp_path / folder if folder != "valid" else tmp_path / "valid")
    assert find_format(tmp_path) is None
    for splits in (read_annotations(tmp_path), read_annotations(tmp_path, name)):
        assert list(splits) == ["train", "val", "test"]
        assert all(part.records for part in splits.values())


def test_splits_have_the_same_classes(tmp_path):
    """Also if one split has none of a class."""
    for split, name in (("train", "dog"), ("val", "cat")):
        (tmp_path / split).mkdir()
        tiny_sets.via(tmp_path / split, [tiny_sets.via_star(name)])
    splits = read_annotations(tmp_path)
    assert [part.classes for part in splits.values()] == [("dog", "cat")] * 2


def test_splits_in_different_formats(tmp_path):
    tiny_sets.voc(tmp_path / "train")
    (tmp_path / "val").mkdir()
    tiny_sets.labelme(tmp_path / "val")
    splits = read_annotations(tmp_path)
    assert splits["train"].classes == splits["val"].classes == ("cat", "dog", "owl")


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_annotations(tmp_path / "none")
    with pytest.raises(ValueError, match="found no annotations; expected a COCO JSON"):
        read_annotations(tmp_path)
    with pytest.raises(ValueError, match="no format 'yolo'; there are"):
        read_annotations(tmp_path, "yolo")
    tiny_sets.voc(tmp_path)
    with pytest.raises(ValueError, match="found no annotations in the format via"):
        read_annotations(tmp_path, "via")


def test_a_folder_of_images_alone_is_no_data_set(tmp_path):
    tiny_sets.photo(tmp_path / "a.png")
    (tmp_path / "notes.json").write_text("{}")
    assert find_format(tmp_path) is None


def test_one_unreadable_file_of_a_name_that_fits(tmp_path):
    (tmp_path / "a.json").write_text('{"shapes": [')
    with pytest.raises(ValueError, match=r"a\.json: .*not JSON"):
        read_annotations(tmp_path)


def annotations(count, classes=("cat",)):
    return Annotations(
        classes, [Record(b"", f"image {i}", (), "a.json") for i in range(count)], ["f"]
    )


def names(part):
    return {record.image_id for record in part.records}


@pytest.mark.parametrize("count", [3, 4, 10, 100])
def test_divide(count):
    whole = annotations(count)
    parts = divide(whole)
    assert list(parts) == ["train", "val", "test"]
    assert sum(len(part.records) for part in parts.values()) == count
    assert set.union(*map(names, parts.values())) == names(whole)
    assert all(part.records for part in parts.values())
    assert len(parts["val"].records) == len(parts["test"].records)
    assert len(parts["val"].records) == max(1, round(0.15 * count))
    assert [part.faults for part in parts.values()] == [["f"], [], []]
    # The order of the files does not matter.
    turned = Annotations(whole.classes, whole.records[::-1], [])
    assert names(divide(turned)["val"]) == names(parts["val"])


def test_more_images_move_few():
    before, after = divide(annotations(100)), divide(annotations(110))
    for split, part in before.items():
        assert len(names(part) - names(after[split])) <= 6


def test_too_few_to_divide():
    with pytest.raises(ValueError, match="2 annotated images cannot be divided"):
        divide(annotations(2))


def test_merge():
    one, other = annotations(2, ("cat", "dog")), annotations(1, ("owl", "cat"))
    merged = merge([one, other])
    assert merged.classes == ("cat", "dog", "owl")
    assert merged.records == one.records + other.records
    assert merged.faults == ["f", "f"] and merge([one]) is one


def test_the_lists_of_voc_in_a_folder_of_a_split(tmp_path):
    """A folder called train is for training, whatever is in it."""
    tiny_sets.voc(tmp_path / "train")
    (tmp_path / "train" / "ImageSets" / "Main").mkdir(parents=True)
    for split, name in (("train", "a"), ("val", "b")):
        (tmp_path / "train" / "ImageSets" / "Main" / f"{split}.txt").write_text(name)
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    splits = read_annotations(tmp_path)
    assert {key: names(part) for key, part in splits.items()} == {
        "train": {"a", "b"},
        "val": {"a", "b"},
    }


def test_an_object_says_what_it_has():
    assert not annotations(1).has_masks
    item = Object("cat", None, ())
    assert Annotations((), [Record(b"", 0, (item,), "a.json")], []).has_masks
