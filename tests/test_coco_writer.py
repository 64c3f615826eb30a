"""Any dataset as COCO JSON and back, by the writer and by scripts/convert.py."""

import io
import json
import os
from pathlib import Path

import convert
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mrcnn_tf import rle
from mrcnn_tf.datasets import coco_writer
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.formats import read_annotations
from mrcnn_tf.datasets.records import Annotations, Object, Record
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.datasets.toy import Shapes

COCO_MINI = Path(__file__).parents[2] / "shared" / "data" / "coco_mini"
SQUARE = (np.array([2.0, 3, 12, 3, 12, 13, 2, 13]),)
TURNED = Image.Exif()
TURNED[0x0112] = 6  # a quarter to the right, as most telephones write it


def same(one, other):
    """Two samples have the same pixels, boxes, classes and masks."""
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(one.crowd, other.crowd)
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01, rtol=0)
    assert one.masks == other.masks


def read_back(file):
    return AnnotatedImages(read_annotations(file)[""])


def photo(path, size=(20, 30), exif=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif or Image.Exif())
    return path


def dataset(*records, classes=("cat", "dog")):
    return AnnotatedImages(Annotations(classes, list(records), []))


def record(image, image_id=1, size=None, outline=SQUARE, **changes):
    item = Object("dog", (3, 2, 13, 12), outline, **changes)
    return Record(image, image_id, (item,), Path("a.xml"), size)


def test_a_file_by_hand(tmp_path):
    image = photo(tmp_path / "photos" / "1.png")
    # The square without a corner of 5 x 5 pixels.
    outline = (np.array([2.0, 3, 12, 3, 12, 8, 7, 8, 7, 13, 2, 13]),)
    whole = dataset(record(image, 17, outline=outline))
    coco_writer.write(tmp_path / "out" / "a.json", whole)
    content = json.loads((tmp_path / "out" / "a.json").read_text())
    assert content["images"] == [
        {"id": 17, "file_name": "../photos/1.png", "height": 20, "width": 30}
    ]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (entry,) = content["annotations"]
    outline = entry.pop("segmentation")
    assert entry == {
        "id": 1,
        "image_id": 17,
        "category_id": 2,
        "bbox": [2, 3, 10, 10],
        "area": 75,
        "iscrowd": 0,
    }
    assert outline["size"] == [20, 30] and isinstance(outline["counts"], str)
    pixels = COCO(tmp_path / "out" / "a.json").annToMask(
        {**entry, "segmentation": outline}
    )
    assert pixels[3:8, 2:12].all() and pixels.sum() == 75


def test_boxes_alone_have_no_segmentation(tmp_path):
    image = photo(tmp_path / "1.png")
    whole = dataset(record(image, outline=None, crowd=True))
    coco_writer.write(tmp_path / "a.json", whole)
    (entry,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert "segmentation" not in entry and entry["iscrowd"] == 1
    assert entry["area"] == 100
    assert not read_back(tmp_path / "a.json").has_masks
    same(whole[0], read_back(tmp_path / "a.json")[0])


def test_a_dataset_without_objects(tmp_path):
    empty = Record(photo(tmp_path / "1.png"), 1, (), Path("a.xml"))
    coco_writer.write(tmp_path / "a.json", dataset(empty))
    assert len(read_back(tmp_path / "a.json")[0].boxes) == 0


@pytest.mark.parametrize("upright", [True, False])
def test_exif_orientation_is_kept(tmp_path, upright):
    image = photo(tmp_path / "1.jpg", exif=TURNED)
    size = (30, 20) if upright else (20, 30)
    whole = dataset(record(image, size=size))
    coco_writer.write(tmp_path / "a.json", whole)
    assert whole[0].image.shape[:2] == size
    same(whole[0], read_back(tmp_path / "a.json")[0])


def test_an_orientation_that_no_file_declares_is_upright(tmp_path):
    whole = dataset(record(photo(tmp_path / "1.jpg", exif=TURNED), size=None))
    coco_writer.write(tmp_path / "a.json", whole)
    assert whole[0].image.shape[:2] == (30, 20)
    same(whole[0], read_back(tmp_path / "a.json")[0])


def test_embedded_images_are_written_as_they_are(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, "JPEG")
    whole = dataset(record(file.getvalue(), "a"), record(file.getvalue(), "b"))
    coco_writer.write(tmp_path / "a.json", whole)
    names = [r.image.name for r in read_back(tmp_path / "a.json").records]
    assert names == ["000001.jpeg", "000002.jpeg"]
    assert (tmp_path / "a_images" / names[0]).read_bytes() == file.getvalue()
    same(whole[0], read_back(tmp_path / "a.json")[0])


def test_scenes_that_are_no_file_are_written_as_png(tmp_path):
    scenes = Shapes(3, seed=1, size=64)
    coco_writer.write(tmp_path / "shapes.json", scenes)
    back = read_back(tmp_path / "shapes.json")
    assert back.classes == scenes.classes and back.faults == []
    for index in range(3):
        same(scenes[index], back[index])


@pytest.mark.parametrize(
    ("ids", "written"),
    [((30, 4), [30, 4]), ((4, 4), [1, 2]), (("a", 4), [1, 2]), ((True, 7), [1, 2])],
)
def test_image_ids(tmp_path, ids, written):
    images = [photo(tmp_path / f"{n}.png") for n in (1, 2)]
    records = [record(path, i) for path, i in zip(images, ids, strict=True)]
    coco_writer.write(tmp_path / "a.json", dataset(*records))
    content = json.loads((tmp_path / "a.json").read_text())
    assert [image["id"] for image in content["images"]] == written
    assert [entry["image_id"] for entry in content["annotations"]] == written
    assert [entry["id"] for entry in content["annotations"]] == [1, 2]


def test_names_with_spaces_and_letters_of_all_kinds(tmp_path):
    image = photo(tmp_path / "mes données" / "猫 1.png")
    whole = dataset(record(image), classes=("dog", "Gänse & 猫"))
    coco_writer.write(tmp_path / "a.json", whole)
    assert read_back(tmp_path / "a.json").records[0].image.samefile(image)
    assert read_back(tmp_path / "a.json").classes == whole.classes


def test_images_are_named_from_where_the_folder_really_is(tmp_path):
    photo(tmp_path / "photos" / "1.png")
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    whole = dataset(record(tmp_path / "photos" / "1.png"))
    coco_writer.write(tmp_path / "link" / "a.json", whole)
    same(whole[0], read_back(tmp_path / "link" / "a.json")[0])
    # A link to the folder of the images, too, is where they are.
    photo(tmp_path / "far" / "away" / "2.png")
    whole = dataset(record(tmp_path / "far" / "away" / "2.png"))
    coco_writer.write(tmp_path / "link" / "b.json", whole)
    content = json.loads((tmp_path / "link" / "b.json").read_text())
    assert content["images"][0]["file_name"] == "2.png"
    whole = dataset(record(tmp_path / "link" / "2.png"))
    coco_writer.write(tmp_path / "far" / "away" / "c.json", whole)
    content = json.loads((tmp_path / "link" / "c.json").read_text())
    assert content["images"][0]["file_name"] == "2.png"


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(Path("1.png"))
    coco_writer.write("a.json", dataset(record(Path("1.png"))))
    assert json.loads(Path("a.json").read_text())["images"][0]["file_name"] == "1.png"


def test_an_interrupted_writer_leaves_the_old_file(tmp_path, monkeypatch):
    image = photo(tmp_path / "1.png")
    whole = dataset(record(image))

    def broken():
        yield whole[0], image
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        coco_writer.write_samples(tmp_path / "a.json", broken(), whole.classes)
    assert os.listdir(tmp_path) == ["1.png"]

    (tmp_path / "a.json").write_text("old")

    def full(*_):
        raise OSError("No space left on device")

    # Half of the file is written by then.
    written = json.dumps
    calls = iter([written, written, full])
    monkeypatch.setattr(json, "dumps", lambda value: next(calls)(value))
    with pytest.raises(OSError, match="No space"):
        coco_writer.write(tmp_path / "a.json", whole)
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["1.png", "a.json"]


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="no shared/data/coco_mini")
@pytest.mark.parametrize("split", ["train", "val"])
def test_coco_to_samples_to_coco(tmp_path, split):
    whole = AnnotatedImages(read_annotations(COCO_MINI)[split])
    coco_writer.write(tmp_path / "a.json", whole)
    back = read_back(tmp_path / "a.json")
    assert back.classes == whole.classes and len(back) == len(whole)
    ids = [(r.image_id, r.image.name) for r in whole.records]
    assert [(r.image_id, r.image.name) for r in back.records] == ids
    for index in range(len(whole)):
        same(whole[index], back[index])


def coco_set(folder, splits=("train", "val")):
    """A COCO data set in splits: a good object and an empty box in each image."""
    for split in splits:
        photo(folder / split / "1.png")
        good = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 3, 10, 10]}
        content = {
            "images": [{"id": 1, "file_name": "1.png"}],
            "annotations": [good, {**good, "id": 2, "bbox": [2, 3, 0, 10]}],
            "categories": [{"id": 3, "name": split}],
        }
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def test_convert_writes_each_split_and_says_what_is_wrong(tmp_path, capsys):
    data, out = coco_set(tmp_path / "data"), tmp_path / "out"
    assert convert.main([str(data), "--out", str(out)]) == 0
    assert sorted(os.listdir(out)) == ["train_annotations.json", "val_annotations.json"]
    before, after = read_annotations(data), read_annotations(out)
    for split in ("train", "val"):
        # The same ids of categories in both.
        assert after[split].classes == ("train", "val")
        one, other = AnnotatedImages(before[split]), AnnotatedImages(after[split])
        assert one[0].boxes.tolist() == other[0].boxes.tolist() == [[3, 2, 13, 12]]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("converting") and str(data) in lines[0]
    assert "1 of 1 images, 1 objects" in lines[1]
    assert lines[3] == "faults: 2 empty box" and "object 2: empty box" in lines[4]


def test_convert_to_one_file(tmp_path):
    data, file = coco_set(tmp_path / "data"), tmp_path / "val.json"
    arguments = [str(data), "--format", "coco", "--split", "val", "--out", str(file)]
    assert convert.main(arguments) == 0
    assert len(read_back(file)) == 1


def test_convert_leaves_out_images_that_cannot_be_read(tmp_path, capsys):
    data = coco_set(tmp_path / "data", ["train"])
    content = json.loads((data / "train.json").read_text())
    content["images"] += [{"id": i, "file_name": f"{i}.png"} for i in (2, 3)]
    (data / "train.json").write_text(json.dumps(content))
    whole = (data / "train" / "1.png").read_bytes()
    (data / "train" / "2.png").write_bytes(whole[: len(whole) // 2])
    assert convert.main([str(data), "--out", str(tmp_path / "a.json")]) == 0
    assert len(read_back(tmp_path / "a.json")) == 1
    out = capsys.readouterr().out
    assert "1 of 3 images" in out and "1 unreadable image, 1 missing image" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "--out", "a.json"], "splits ['train', 'val']: give --out a folder"),
        (["data", "--out", "out", "--split", "test"], "no split 'test'"),
        (["data/val.json", "--out", "data/val.json", "--force"], "is what is read"),
        (["data/val.json", "--out", "data/train.json"], "exists: --force"),
        (["missing", "--out", "out"], "missing: no such file"),
        (["data/val", "--out", "out"], "found no annotations"),
        (["data", "--format", "voc", "--out", "out"], "in the format voc"),
        (["data/val.json", "--out", "data/val/1.png/x.json"], "1.png"),
    ],
)
def test_convert_refuses_with_a_sentence(
    tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    before = (coco_set(Path("data")) / "val.json").read_bytes()
    assert convert.main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("convert: ") and words in error
    assert (tmp_path / "data" / "val.json").read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_convert_replaces_only_when_forced(tmp_path):
    data, out = coco_set(tmp_path / "data", ["train"]), tmp_path / "out"
    arguments = [str(data), "--out", str(out)]
    assert [convert.main(arguments) for _ in range(2)] == [0, 1]
    assert convert.main([*arguments, "--force"]) == 0


def test_convert_writes_nothing_without_an_image(tmp_path, capsys):
    data = coco_set(tmp_path / "data", ["train"])
    (data / "train" / "1.png").unlink()
    assert convert.main([str(data), "--out", str(tmp_path / "a.json")]) == 1
    assert "no image can be used" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()


def test_the_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        convert.parse(["--help"])
    assert "scripts/convert.py my_photos/ --out" in capsys.readouterr().out


def test_samples_alone(tmp_path):
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    sample = Sample(
        image=np.full((8, 9, 3), 7, np.uint8),
        boxes=[[2, 3, 5, 7]],
        classes=[1],
        masks=(rle.encode(mask),),
        image_id="Abyssinian_1",
    )
    coco_writer.write_samples(tmp_path / "a.json", [(sample, None)], ("cat",))
    same(sample, read_back(tmp_path / "a.json")[0])
