"""The Pets reader on a miniature folder made here, its faults, and the real one."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrcnn_tf.datasets.pets import Pets

PETS = Path(__file__).parents[2] / "shared" / "data" / "oxford_pets"


def trimap_of(height=20, width=30):
    """A border of one pixel about an object in rows 5 to 11, columns 8 to 19."""
    trimap = np.full((height, width), 2, np.uint8)
    trimap[4:13, 7:21] = 3
    trimap[5:12, 8:20] = 1
    return trimap


@pytest.fixture
def root(tmp_path):
    """Fourteen Maine_Coon (cats) and eight pug (dogs) in trainval, two in test."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations" / "trimaps").mkdir(parents=True)
    trainval = [f"Maine_Coon_{i} 21 1 9" for i in range(14)]
    trainval += [f"pug_{i} 26 2 18" for i in range(8)]
    test = ["Maine_Coon_90 21 1 9", "pug_90 26 2 18"]
    for name, rows in (
        ("list", trainval + test),
        ("trainval", trainval),
        ("test", test),
    ):
        text = "#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(rows) + "\n"
        (tmp_path / "annotations" / f"{name}.txt").write_text(text)
    for row in trainval + test:
        write(tmp_path, row.split()[0])
    return tmp_path


def write(root, name, trimap=None):
    trimap = trimap_of() if trimap is None else trimap
    Image.new("RGB", (30, 20), "teal").save(root / "images" / f"{name}.jpg")
    Image.fromarray(trimap).save(root / "annotations" / "trimaps" / f"{name}.png")


def test_sample_by_hand(root):
    pets = Pets(root, "test")
    assert pets.classes == ("cat", "dog")
    cat, dog = pets[0], pets[1]
    assert (cat.image_id, dog.image_id) == ("Maine_Coon_90", "pug_90")
    assert cat.classes.tolist() == [1] and dog.classes.tolist() == [2]
    assert cat.image.shape == (20, 30, 3)
    assert cat.boxes.tolist() == [[5, 8, 12, 20]]  # the border is outside
    np.testing.assert_array_equal(cat.dense_masks()[0], trimap_of() == 1)
    np.testing.assert_array_equal(cat.trimap, trimap_of())


def test_validation_is_every_seventh_of_each_breed(root):
    train, val, both = (Pets(root, split) for split in ("train", "val", "trainval"))
    assert val.names == ["Maine_Coon_6", "Maine_Coon_13", "pug_6"]
    assert not set(train.names) & set(val.names)
    assert sorted(train.names + val.names) == sorted(both.names)
    assert len(both) == 22 and len(train) == 19


def test_faults_are_named_and_the_rest_is_used(root, caplog):
    write(root, "pug_0", trimap_of(20, 29))
    write(root, "pug_1", np.full((20, 30), 7, np.uint8))
    write(root, "pug_2", np.full((20, 30), 2, np.uint8))
    (root / "images" / "pug_3.jpg").unlink()
    (root / "annotations" / "trimaps" / "pug_4.png").write_bytes(b"no picture")
    (root / "images" / "pug_5.jpg").write_bytes(b"")
    listed = root / "annotations" / "list.txt"
    listed.write_text(listed.read_text().replace("pug_6 26 2 18\n", ""))
    with caplog.at_level(logging.WARNING):
        pets = Pets(root, "trainval")
    assert len(pets) == 15 and "pug_7" in pets.names
    expected = {
        "pug_0": "trimap is 20 x 29, the photograph 20 x 30",
        "pug_1": r"values [7], expected 1, 2 and 3",
        "pug_2": "no object pixel",
        "pug_3": "images/pug_3.jpg is missing",
        "pug_4": "cannot be read",
        "pug_5": "cannot be read",
        "pug_6": "not in annotations/list.txt",
    }
    assert set(pets.faults) == set(expected)
    (record,) = caplog.records
    message = record.getMessage()
    assert "7 of 22" in message
    for name, text in expected.items():
        assert text in pets.faults[name]
        assert f"{name}: " in message


def test_wrong_folder_says_how_it_should_look(root, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nowhere.*annotations/trimaps/\*\.png"
    ):
        Pets(tmp_path / "nowhere", "train")
    (root / "annotations" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"test\.txt is missing.*robots\.ox"):
        Pets(root, "test")
    with pytest.raises(ValueError, match=r"'trainval', 'test'\), found 'dev'"):
        Pets(root, "dev")


def test_all_faulty_is_an_error(root):
    for name in ("Maine_Coon_90", "pug_90"):
        (root / "images" / f"{name}.jpg").unlink()
    with pytest.raises(ValueError, match=r"no photograph of 'test'.*2 have faults"):
        Pets(root, "test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("pug_1 26 3 18", "line 2: expected 'name class species breed'"),
        ("pug_1 26", "line 2: expected"),
        ("pug_0 26 2 18", "line 2: pug_0 is listed twice"),
    ],
)
def test_rows_that_cannot_be_read(root, row, message):
    path = root / "annotations" / "trainval.txt"
    path.write_text(f"pug_0 26 2 18\n{row}\n")
    with pytest.raises(ValueError, match=rf"trainval\.txt, {message}"):
        Pets(root, "train")


@pytest.mark.skipif(not PETS.exists(), reason="no ../shared beside the repository")
def test_real_photographs():
    splits = {
        split: Pets(PETS, split) for split in ("train", "val", "trainval", "test")
    }
    sizes = {split: len(pets) for split, pets in splits.items()}
    assert sizes == {"train": 351, "val": 50, "trainval": 401, "test": 169}
    assert not set(splits["trainval"].names) & set(splits["test"].names)
    for index in range(0, 169, 40):
        sample = splits["test"][index]
        rows, columns = np.nonzero(sample.trimap == 1)
        tight = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        assert sample.boxes.tolist() == [tight]
        # Breeds of cats are written with a capital, of dogs without.
        assert sample.classes[0] == (1 if sample.image_id[0].isupper() else 2)
