"""The TensorFlow Datasets route, offline through its own mock, against the folder's."""

import io
import logging

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf.datasets.pets import Pets
from mrcnn_tf.datasets.pets_tfds import BUILDER, TfdsPets

BREEDS = {"Abyssinian": (1, 1), "Bengal": (6, 1), "pug": (26, 2)}  # class, species


@pytest.fixture
def root(tmp_path):
    """Eight photographs of each of three breeds for training, one each for test."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations" / "trimaps").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lists = {"trainval": [], "test": []}
    for breed, (label, species) in BREEDS.items():
        for number in (*range(8), 100):
            row = f"{breed}_{number} {label} {species} 1"
            lists["test" if number == 100 else "trainval"].append(row)
            height, width = rng.integers(20, 40, 2)
            image = rng.integers(0, 256, (height, width, 3), np.uint8)
            trimap = rng.integers(1, 4, (height, width), np.uint8)
            name = f"{breed}_{number}"
            Image.fromarray(image).save(tmp_path / "images" / f"{name}.jpg")
            trimap_path = tmp_path / "annotations" / "trimaps" / f"{name}.png"
            Image.fromarray(trimap).save(trimap_path)
    lists["list"] = lists["trainval"] + lists["test"]
    for name, rows in lists.items():
        path = tmp_path / "annotations" / f"{name}.txt"
        path.write_text("\n".join(rows) + "\n")
    return tmp_path


def mocked(root):
    """TFDS's mock, whose records are those that TFDS makes of the official archives.

    The random ones that the mock makes by itself are no trimaps.
    """

    def as_dataset(self, split, decoders=None, **_):
        rows = "test" if split == "test" else "trainval"
        rows = (root / "annotations" / f"{rows}.txt").read_text().splitlines()
        examples = []
        for row in rows[::-1]:  # TFDS shuffles
            name, label, species, _ = row.split()
            photograph = root / "images" / f"{name}.jpg"
            trimap = root / "annotations" / "trimaps" / f"{name}.png"
            example = {
                "image": io.BytesIO(photograph.read_bytes()),
                "label": int(label) - 1,
                "species": int(species) - 1,
                "file_name": f"{name}.jpg",
                "segmentation_mask": io.BytesIO(trimap.read_bytes()),
                "head_bbox": tfds.features.BBox(0.0, 0.0, 0.0, 0.0),
            }
            examples.append(self.info.features.encode_example(example))
        columns = {key: [example[key] for example in examples] for key in examples[0]}
        return tf.data.Dataset.from_tensor_slices(columns).map(
            lambda example: self.info.features.decode_example(
                example, decoders=decoders
            )
        )

    return tfds.testing.mock_data(as_dataset_fn=as_dataset)


def test_the_same_records_as_from_a_folder(root):
    with mocked(root):
        for split in ("train", "val", "trainval", "test"):
            folder, downloaded = Pets(root, split), TfdsPets(split)
            assert downloaded.classes == folder.classes
            assert downloaded.names == sorted(folder.names)
            assert len(downloaded) == len(folder)
            for index, name in enumerate(downloaded.names):
                expected = folder[folder.names.index(name)]
                sample = downloaded[index]
                assert sample.image_id == name
                np.testing.assert_array_equal(sample.image, expected.image)
                np.testing.assert_array_equal(sample.trimap, expected.trimap)
                np.testing.assert_array_equal(sample.boxes, expected.boxes)
                assert sample.classes == expected.classes
                assert sample.masks == expected.masks


def test_a_name_opens_all_splits(root):
    with mocked(root):
        splits = mr.datasets.load("oxford_iiit_pet")
        scenes = mr.datasets.load("oxford_iiit_pet", size=64, compose=2)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [21, 3, 3]
    names = [set(part.names) for part in (splits.train, splits.val, splits.test)]
    assert len(set.union(*names)) == 27
    assert splits.test.names == ["Abyssinian_100", "Bengal_100", "pug_100"]
    assert [int(sample.classes[0]) for sample in splits.test] == [1, 1, 2]
    assert scenes.train.classes == ("cat", "dog") and len(scenes.test) == 200


def test_faults_are_named_and_the_rest_is_used(root, caplog):
    trimaps = root / "annotations" / "trimaps"
    with Image.open(trimaps / "pug_0.png") as image:
        values = np.array(image)
    Image.fromarray(values[1:]).save(trimaps / "pug_0.png")
    Image.fromarray(np.full_like(values, 7)).save(trimaps / "pug_1.png")
    with mocked(root), caplog.at_level(logging.WARNING):
        pets = TfdsPets("trainval")
    assert set(pets.faults) == {"pug_0", "pug_1"} and len(pets) == 22
    assert "the trimap is" in pets.faults["pug_0"]
    (message,) = [r.getMessage() for r in caplog.records if r.name.startswith("mrcnn")]
    assert "2 of 24 photographs of 'trainval'" in message and "pug_1: " in message


def test_unknown_split():
    with pytest.raises(ValueError, match=r"'trainval', 'test'\), found 'dev'"):
        TfdsPets("dev")


def test_a_download_that_fails_says_what_to_do(monkeypatch, tmp_path):
    def fail(self, **_):
        raise ConnectionError("no such host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match=r"(?s)no such host.*unpack both into one"):
        TfdsPets("test", data_dir=tmp_path)


def test_the_real_builder_has_the_fields_and_can_start(tmp_path):
    """What the mock replaces: the fields by name, and TFDS's own dependencies."""
    builder = tfds.builder(BUILDER, data_dir=tmp_path)
    assert str(builder.version).startswith("4.")
    wanted = {"image", "label", "species", "file_name", "segmentation_mask"}
    assert wanted <= set(builder.info.features)
    names = builder.info.features["species"].names
    assert [name.lower() for name in names] == list(TfdsPets.classes)
    assert len(builder.url_infos) >= 2  # read on the way to a download
