"""COCO JSON: all that a file may hold, against pycocotools and numbers on paper."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mrcnn_tf import rle
from mrcnn_tf.datasets import coco
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.checks import make_sample
from mrcnn_tf.datasets.formats import read_annotations
from mrcnn_tf.evaluation import evaluate_results
from mrcnn_tf.result import Result

COCO_MINI = Path(__file__).parents[2] / "shared" / "data" / "coco_mini"
needs_coco = pytest.mark.skipif(
    not COCO_MINI.is_dir(), reason="no shared/data/coco_mini beside the repository"
)
SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x from 2 to 12, y from 3 to 13
CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}]


def image(number=1, **changes):
    name = f"{number}.png"
    return {"id": number, "file_name": name, "height": 20, "width": 30, **changes}


def annotation(number=1, **changes):
    """A square; `None` takes a member away."""
    entry = {
        "id": number,
        "image_id": 1,
        "category_id": 7,
        "bbox": [2, 3, 10, 10],
        "segmentation": [SQUARE],
        "area": 100,
        "iscrowd": 0,
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not None}


def write(file, annotations, images=None, categories=CATEGORIES, pixels=True):
    """Writes a COCO file and, beside it, its images of 20 x 30 pixels."""
    images = [image()] if images is None else images
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(content))
    for entry in images if pixels else ():
        save(file.parent / str(entry["file_name"]))
    return file


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20)).save(path)


def read(tmp_path, *args, **kwargs):
    return coco.read(write(tmp_path / "a.json", *args, **kwargs))[""]


def objects(tmp_path, *annotations):
    """Reads annotations of one image; returns its objects, without a fault."""
    found = read(tmp_path, annotations)
    assert found.faults == []
    return found.records[0].objects


def kinds(faults):
    return [fault.kind for fault in faults]


@needs_coco
@pytest.mark.parametrize(("split", "count"), [("train", 739), ("val", 624)])
def test_each_mask_is_that_of_pycocotools(split, count):
    file = COCO_MINI / "annotations" / f"instances_{split}2017.json"
    oracle = COCO(file)
    found = read_annotations(COCO_MINI)[split]
    assert found.faults == []
    assert list(found.classes) == [
        category["name"] for category in oracle.loadCats(sorted(oracle.getCatIds()))
    ]
    for record in found.records:
        sample, faults = make_sample(record, found.classes, has_masks=True)
        assert faults == [] and len(sample.masks) == len(record.objects)
        for item, box, mask, crowd, label in zip(
            record.objects,
            sample.boxes,
            sample.masks,
            sample.crowd,
            sample.classes,
            strict=True,
        ):
            expected = oracle.anns[item.id]
            pixels = oracle.annToMask(expected)
            np.testing.assert_array_equal(rle.decode(mask), pixels)
            assert rle.area(mask) == pixels.sum()
            assert crowd == expected["iscrowd"]
            category = oracle.cats[expected["category_id"]]["name"]
            assert found.classes[label - 1] == category
            x, y, width, height = expected["bbox"]
            # Boxes of COCO end up to a hundredth of a pixel outside.
            np.testing.assert_allclose(box, [y, x, y + height, x + width], atol=0.011)
            count -= 1
    assert count == 0


@needs_coco
@pytest.mark.parametrize("split", ["train", "val"])
def test_perfect_predictions_score_one_on_all_figures(split):
    dataset = AnnotatedImages(read_annotations(COCO_MINI)[split])
    samples = [dataset[index] for index in range(len(dataset))]
    results = []
    for sample in samples:
        kept = np.flatnonzero(~sample.crowd)
        results.append(
            Result(
                boxes=sample.boxes[kept],
                classes=sample.classes[kept],
                scores=np.ones(len(kept), np.float32),
                rles=tuple(sample.masks[i] for i in kept),
                height=sample.height,
                width=sample.width,
                class_names=dataset.classes,
            )
        )
    scores = evaluate_results(samples, results, dataset.classes)
    assert scores["objects"] == sum(map(len, results))
    expected = dict.fromkeys(scores["box"], 1.0)
    # One detection, or ten, of a class cannot find more objects than that in an image.
    expected |= {"AR1": most_found(samples, 1), "AR10": most_found(samples, 10)}
    for kind in ("box", "mask"):
        assert scores[kind] == pytest.approx(expected, abs=1e-6)


def most_found(samples, limit):
    """The share of objects that so many detections can find, a mean over classes."""
    counts = np.array(
        [np.bincount(s.classes[~s.crowd], minlength=81)[1:] for s in samples]
    )  # [images, classes]
    counts = counts[:, counts.sum(axis=0) > 0]
    return np.mean(np.minimum(counts, limit).sum(axis=0) / counts.sum(axis=0))


def test_a_polygon_becomes_its_box_and_mask(tmp_path):
    found = read(tmp_path, [annotation()])
    (record,) = found.records
    assert found.classes == ("cat", "dog") and found.faults == []
    assert record.image == tmp_path / "1.png" and record.size == (20, 30)
    assert (record.image_id, record.file) == (1, tmp_path / "a.json")
    (item,) = record.objects
    assert (item.name, item.box, item.crowd, item.id) == (
        "cat",
        (3, 2, 13, 12),
        False,
        1,
    )
    (polygon,) = item.outline
    assert polygon.dtype == np.float64 and polygon.tolist() == SQUARE
    sample, faults = make_sample(record, found.classes, has_masks=True)
    square = np.zeros((20, 30), bool)
    square[3:13, 2:12] = True
    np.testing.assert_array_equal(sample.dense_masks(), [square])
    assert sample.boxes.tolist() == [[3, 2, 13, 12]] and faults == []


def test_boxes_keep_their_double_precision(tmp_path):
    (item,) = objects(tmp_path, annotation(bbox=[0.1, 0.2, 0.3, 0.4]))
    assert item.box == (0.2, 0.1, 0.2 + 0.4, 0.1 + 0.3)


def test_both_kinds_of_rle_and_a_crowd(tmp_path):
    # Down the columns of 20 pixels: 45 without, 5 with, the rest without.
    counts = [45, 5, 550]
    pixels = np.zeros((30, 20), bool)
    pixels[2, 5:10] = True
    compressed = rle.encode(pixels.T)["counts"].decode()
    found = read(
        tmp_path,
        [
            annotation(1, segmentation={"size": [20, 30], "counts": counts}, iscrowd=1),
            annotation(2, segmentation={"size": [20, 30], "counts": compressed}),
        ],
    )
    assert [item.crowd for item in found.records[0].objects] == [True, False]
    sample, _ = make_sample(found.records[0], found.classes, has_masks=True)
    np.testing.assert_array_equal(sample.dense_masks(), [pixels.T, pixels.T])


@pytest.mark.parametrize("empty", [None, [], [[]]])
def test_a_box_alone(tmp_path, empty):
    (item,) = objects(tmp_path, annotation(segmentation=empty))
    assert item.outline is None and item.box == (3, 2, 13, 12)


@pytest.mark.parametrize("empty", [None, []])
def test_an_outline_alone(tmp_path, empty):
    (item,) = objects(tmp_path, annotation(bbox=empty))
    assert item.box is None and len(item.outline) == 1


def test_ids_with_gaps_order_the_classes_and_may_be_texts(tmp_path):
    categories = [
        {"id": "b", "name": "from b"},
        {"id": 90, "name": "from 90"},
        {"id": 7, "name": "from 7"},
    ]
    found = read(
        tmp_path,
        [annotation(1, category_id="b"), annotation(2, category_id=7.0)],
        categories=categories,
    )
    assert found.classes == ("from 7", "from 90", "from b")
    assert [item.name for item in found.records[0].objects] == ["from b", "from 7"]


def test_images_without_annotations_are_kept(tmp_path):
    found = read(tmp_path, [annotation(image_id=2)], [image(1), image(2), image(3)])
    assert [len(record.objects) for record in found.records] == [0, 1, 0]
    assert found.faults == []
    sample = AnnotatedImages(found)[0]
    assert sample.boxes.shape == (0, 4) and sample.masks == ()


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"category_id": 8}, "unknown category", "no category has the id 8"),
        ({"category_id": None}, "unknown category", "no category"),
        ({"image_id": 5}, "annotation without image", "no image .* 5"),
        ({"image_id": [1]}, "annotation without image", r"\[1\]"),
        ({"bbox": None, "segmentation": None}, "bad value", "neither"),
        ({"bbox": [2, 3, 10]}, "bad value", "bbox of four numbers"),
        ({"bbox": [2, 3, "10", 10]}, "bad value", "bbox of four numbers"),
        ({"bbox": [2, 3, True, 10]}, "bad value", "bbox of four numbers"),
        ({"bbox": [2, 3, 10**400, 10]}, "bad value", "bbox of four numbers"),
        ({"bbox": 5}, "bad value", "bbox of four numbers"),
        ({"bbox": 0}, "bad value", "bbox of four numbers"),
        ({"segmentation": SQUARE}, "bad value", "lists of numbers"),
        ({"segmentation": [["2"] * 6]}, "bad value", "lists of numbers"),
        ({"segmentation": [[2, 3, [4], 5]]}, "bad value", "lists of numbers"),
        ({"segmentation": [[2, 3, 10**400]]}, "bad value", "lists of numbers"),
        ({"segmentation": "RLE"}, "bad value", "lists of numbers"),
        ({"iscrowd": 2}, "bad value", "iscrowd of 0 or 1"),
        ({"iscrowd": "0"}, "bad value", "iscrowd of 0 or 1"),
    ],
)
def test_a_bad_annotation_is_left_out_and_named(tmp_path, changes, kind, words):
    found = read(tmp_path, [annotation(6, **changes), annotation(7)])
    (fault,) = found.faults
    assert fault.kind == kind and fault.where == "annotation 6"
    assert fault.file == str(tmp_path / "a.json")
    assert re.search(words, fault.found), fault.found
    assert [item.id for item in found.records[0].objects] == [7]


def test_values_that_are_numbers_are_left_to_the_checks(tmp_path):
    (item,) = objects(tmp_path, annotation(bbox=[float("nan"), 3, -5, 1e300]))
    assert np.isnan(item.box[1]) and item.box[2] == 1e300


def test_an_annotation_that_is_no_object(tmp_path):
    found = read(tmp_path, [annotation(), 5, None])
    assert kinds(found.faults) == ["bad value"] * 2
    assert found.faults[0].where == "annotation 2 of the list"
    assert len(found.records[0].objects) == 1


def test_ids_of_annotations(tmp_path):
    found = read(tmp_path, [annotation(4), annotation(4), annotation(None)])
    (fault,) = found.faults
    assert (fault.kind, fault.where) == ("duplicate id", "annotation 4")
    assert [item.id for item in found.records[0].objects] == [4, 4, ""]


def test_an_image_listed_twice_is_one_with_the_objects_of_both(tmp_path):
    found = read(
        tmp_path,
        [annotation(1, image_id=1), annotation(2, image_id=5)],
        [image(1), image(5, file_name="1.png"), image(1)],
    )
    assert kinds(found.faults) == ["image listed twice"] * 2
    assert [fault.where for fault in found.faults] == ["image 5", "image 1"]
    (record,) = found.records
    assert [item.id for item in record.objects] == [1, 2]


def test_two_images_of_one_id(tmp_path):
    found = read(tmp_path, [annotation()], [image(1), image(1, file_name="2.png")])
    (fault,) = found.faults
    assert (fault.kind, fault.where) == ("duplicate id", "image 1")
    assert "1.png and 2.png" in fault.found
    assert [record.image.name for record in found.records] == ["1.png"]


def test_categories_that_clash(tmp_path):
    categories = [
        {"id": 1, "name": "cat"},
        {"id": 1, "name": "dog"},
        {"id": 2, "name": "cat"},
        {"id": 3, "name": ""},
        {"name": "cow"},
        "pig",
    ]
    found = read(
        tmp_path,
        [annotation(category_id=2), annotation(2, category_id=3)],
        categories=categories,
    )
    assert found.classes == ("cat",)
    assert sorted(kinds(found.faults)) == [
        *["bad value"] * 3,
        *["duplicate id"] * 2,
        "unknown category",
    ]
    assert [item.name for item in found.records[0].objects] == ["cat"]


def test_images_with_bad_members(tmp_path):
    images = [
        image(1, height="20"),
        image(2, height=None),
        {"id": 3},
        {"id": [4], "file_name": "4.png"},
        image(5, height=None, width=None),
    ]
    found = read(tmp_path, [], images, pixels=False)
    assert [record.size for record in found.records] == [None, None, None]
    assert kinds(found.faults) == ["bad value"] * 4
    assert [fault.where for fault in found.faults] == [
        "image 1",
        "image 2",
        "image 3",
        "image 4 of the list",
    ]


@pytest.mark.parametrize(
    "content",
    [[], {"images": []}, {"images": {}, "annotations": [], "categories": []}, 5],
)
def test_a_file_of_another_structure_is_refused(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"a\.json: expected .* images, annotations"):
        coco.read(file)


def test_what_looks_like_coco(tmp_path):
    file = write(tmp_path / "a.json", [])
    other = tmp_path / "b.json"
    other.write_text('{"shapes": [], "imagePath": "1.png"}')
    assert coco.matches(file) and not coco.matches(other)
    assert not coco.matches(tmp_path / "1.png")
    assert coco.matches(tmp_path)
    assert not coco.matches(tmp_path / "missing.json")
    file.unlink()
    assert not coco.matches(tmp_path)


def images_of(tmp_path):
    """Reads a folder; returns a dict from split to its images, relative to it."""
    return {
        split: [str(r.image.resolve().relative_to(tmp_path)) for r in found.records]
        for split, found in read_annotations(tmp_path).items()
    }


def test_the_layout_of_coco_2017(tmp_path):
    for split in ("train2017", "val2017"):
        for kind in ("instances", "captions", "person_keypoints"):
            name = f"{kind}_{split}.json"
            write(tmp_path / "annotations" / name, [], pixels=False)
        save(tmp_path / split / "1.png")
    write(tmp_path / "annotations" / "image_info_test2017.json", [], pixels=False)
    assert images_of(tmp_path) == {
        "train": ["train2017/1.png"],
        "val": ["val2017/1.png"],
    }


def test_the_layout_of_a_folder_for_each_split(tmp_path):
    for split in ("train", "val", "test"):
        file = tmp_path / "annotations" / f"{split}_annotations.json"
        write(file, [], pixels=False)
        save(tmp_path / split / "1.png")
    assert images_of(tmp_path) == {s: [f"{s}/1.png"] for s in ("train", "val", "test")}


def test_the_layout_of_roboflow(tmp_path):
    for folder in ("train", "valid"):
        write(tmp_path / folder / "_annotations.coco.json", [])
    assert images_of(tmp_path) == {"train": ["train/1.png"], "val": ["valid/1.png"]}


@pytest.mark.parametrize(
    "place",
    [
        "1.png",
        "images/1.png",
        "train/1.png",
        "images/train/1.png",
        "images/train2020/1.png",
    ],
)
@pytest.mark.parametrize("folder", ["", "annotations"])
def test_where_images_are_found(tmp_path, place, folder):
    write(tmp_path / folder / "instances_train2020.json", [], pixels=False)
    save(tmp_path / place)
    assert images_of(tmp_path) == {"train": [place]}


def test_the_folder_of_the_file_comes_first_then_that_of_the_split(tmp_path):
    file = write(tmp_path / "annotations" / "val.json", [], pixels=False)
    for place in ("1.png", "images/1.png", "val/1.png", "train/1.png"):
        save(tmp_path / place)
    assert images_of(tmp_path) == {"val": ["val/1.png"]}
    save(file.parent / "val" / "1.png")
    assert images_of(tmp_path) == {"val": ["annotations/val/1.png"]}
    save(file.parent / "1.png")
    assert images_of(tmp_path) == {"val": ["annotations/1.png"]}


@pytest.mark.parametrize("name", ["sub/1.png", "sub\\1.png"])
def test_file_names_with_folders(tmp_path, name):
    write(
        tmp_path / "annotations" / "a.json", [], [image(file_name=name)], pixels=False
    )
    save(tmp_path / "images" / "sub" / "1.png")
    assert images_of(tmp_path) == {"": ["images/sub/1.png"]}


def test_a_file_name_that_is_a_whole_path(tmp_path):
    save(tmp_path / "elsewhere" / "1.png")
    name = str(tmp_path / "elsewhere" / "1.png")
    write(tmp_path / "a.json", [], [image(file_name=name)], pixels=False)
    assert images_of(tmp_path) == {"": ["elsewhere/1.png"]}


def test_a_missing_image_is_expected_where_the_others_are(tmp_path, caplog):
    images = [image(1), image(2), image(3)]
    write(tmp_path / "annotations" / "train.json", [], images, pixels=False)
    assert images_of(tmp_path)["train"][0] == "annotations/1.png"  # none is there
    (tmp_path / "images").mkdir()
    assert images_of(tmp_path)["train"][0] == "images/1.png"
    save(tmp_path / "train" / "2.png")
    assert images_of(tmp_path)["train"] == [f"train/{i}.png" for i in (1, 2, 3)]
    with caplog.at_level(logging.WARNING):
        dataset = AnnotatedImages(read_annotations(tmp_path)["train"])
    assert len(dataset) == 1 and kinds(dataset.faults) == ["missing image"] * 2
    assert "2 missing image" in caplog.text


@pytest.mark.parametrize(
    "names",
    [("a.json", "b.json"), ("train.json", "train2.json"), ("all.json", "val.json")],
)
def test_two_files_that_may_be_meant(tmp_path, names):
    for name in names:
        write(tmp_path / name, [])
    with pytest.raises(ValueError, match=" and ".join(names)):
        coco.read(tmp_path)
    assert list(coco.read(tmp_path / names[1])) == [""]
