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
    # By name: Maine_Coon_0, 1, 10, 11, 12, 13, *2*, 3, 4, 5, 6, 7, 8, *9*.
    assert val.names == ["Maine_Coon_2", "Maine_Coon_9", "pug_6"]
    assert not set(train.names) & set(val.names)
    assert sorted(train.names + val.names) == sorted(both.names)
    assert len(both) == 22 and len(train) == 19


def test_validation_does_not_depend_on_the_order_of_the_list(root):
    listed = root / "annotations" / "trainval.txt"
    heading, *rows = listed.read_text().splitlines()
    listed.write_text("\n".join([heading, *rows[::-1]]) + "\n")
    assert Pets(root, "val").names == ["pug_6", "Maine_Coon_9", "Maine_Coon_2"]


def test_photographs_that_no_list_knows_are_named_once(root, caplog):
    write(root, "pug_500")
    write(root, "pug_501")
    with caplog.at_level(logging.WARNING):
        splits = [Pets(root, split) for split in ("train", "val", "test")]
    (record,) = caplog.records
    assert "2 photographs" in record.getMessage()
    assert "pug_500, pug_501" in record.getMessage()
    for pets in splits:
        assert pets.unlisted == ["pug_500", "pug_501"]
        assert not {"pug_500", "pug_501"} & set(pets.names)
    assert not splits[0].faults


def test_files_that_are_no_jpeg(root):
    image = Image.new("RGB", (30, 20), (10, 200, 30))
    image.save(root / "images" / "Maine_Coon_90.jpg", format="GIF")
    transparent = Image.new("RGBA", (30, 20), (10, 200, 30, 255))
    transparent.save(root / "images" / "pug_90.jpg", format="PNG")
    pets = Pets(root, "test")
    assert not pets.faults
    for sample in pets:
        assert sample.image.shape == (20, 30, 3)
        assert np.abs(sample.image[0, 0].astype(int) - (10, 200, 30)).max() <= 8


def test_a_photograph_that_is_turned_when_read(root):
    """EXIF orientation 6: stored lying down, shown upright, as the trimap is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.full((30, 20), 2, np.uint8)
    upright[5:20, 4:9] = 1
    write(root, "pug_90", upright)
    Image.new("RGB", (30, 20)).save(root / "images" / "pug_90.jpg", exif=exif)
    pets = Pets(root, "test")
    assert not pets.faults
    assert pets[1].image.shape == (30, 20, 3)
    assert pets[1].boxes.tolist() == [[5, 4, 20, 9]]


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


ODD = PETS.parent / "odd_images"


@pytest.mark.skipif(not ODD.exists(), reason="no ../shared beside the repository")
def test_the_real_files_that_are_no_jpeg(root):
    listed = root / "annotations" / "test.txt"
    listed.write_text("Abyssinian_34 1 1 1\nAbyssinian_5 1 1 1\n")
    everything = root / "annotations" / "list.txt"
    everything.write_text(everything.read_text() + listed.read_text())
    for name in ("Abyssinian_34", "Abyssinian_5"):
        data = (ODD / f"{name}.jpg").read_bytes()
        with Image.open(ODD / f"{name}.jpg") as image:
            assert image.format in ("GIF", "PNG")
            write(root, name, trimap_of(*image.size[::-1]))
        (root / "images" / f"{name}.jpg").write_bytes(data)
    pets = Pets(root, "test")
    assert pets.names == ["Abyssinian_34", "Abyssinian_5"] and not pets.faults
    assert all(sample.image.std() > 10 for sample in pets)
