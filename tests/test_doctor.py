"""The doctor: a data set for each kind of fault, and what it says, counts and mends."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mrcnn_tf.datasets import doctor
from mrcnn_tf.datasets.doctor_checks import (
    class_fault,
    duplicate_faults,
    orientation_fault,
    repeated_images,
)
from mrcnn_tf.datasets.examined import examine_images
from mrcnn_tf.datasets.faults import ERRORS, WARNINGS
from mrcnn_tf.datasets.formats import read_annotations
from mrcnn_tf.datasets.records import Annotations, Object, Record
from mrcnn_tf.datasets.sample import Sample

SHARED = Path(__file__).parents[2] / "shared" / "data"
WIDTH, HEIGHT = 60, 40


def photo(path, seed, orientation=None, size=(WIDTH, HEIGHT)):
    """Writes noise, whose file a cut spoils; no two of different seeds are the same."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(noise.astype(np.uint8)).save(path, exif=exif)


def entry(number, image_id, left, top, side=10):
    """An annotation of a square of `side` pixels."""
    right, bottom = left + side, top + side
    return {
        "id": number,
        "image_id": image_id,
        "category_id": number % 2 + 1,
        "bbox": [left, top, side, side],
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "area": side * side,
        "iscrowd": 0,
    }


def content(first=1):
    """Two images of two objects each, of a cat and a dog, without a fault."""
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in (first, first + 1)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            entry(10 * i + k, i, 5 + 20 * k, 5)
            for i in (first, first + 1)
            for k in (1, 2)
        ],
    }


def save(folder, name="set.json", first=1, change=None):
    """Writes a data set, of content that `change` has changed; returns its file."""
    made = content(first)
    for image in made["images"]:
        photo(folder / image["file_name"], image["id"])
    if change:
        change(made)
    (folder / name).write_text(json.dumps(made))
    return folder / name


def first_entry(**fields):
    """A change of fields of the first annotation, whose id is 11."""
    return lambda made: made["annotations"][0].update(fields)


# What spoils a data set so that it has just one fault, of the kind, and where that is.
# Each returns the path to examine.
def unreadable_annotations(folder):
    file = save(folder)
    file.write_text(file.read_text()[:-5])
    return file


def unreadable_image(folder):
    file = save(folder)
    data = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(data[: len(data) // 2])
    return file


def missing_image(folder):
    file = save(folder)
    (folder / "1.jpg").unlink()
    return file


def orientation(folder):
    file = save(folder)
    photo(folder / "1.jpg", 1, orientation=3)
    return file


def copied_image(folder):
    file = save(folder)
    (folder / "2.jpg").write_bytes((folder / "1.jpg").read_bytes())
    return file


def shared_image(folder):
    save(folder, "train.json")
    save(folder, "val.json", first=3)
    (folder / "3.jpg").write_bytes((folder / "1.jpg").read_bytes())
    return folder


def unsupported_shape(folder):
    photo(folder / "1.jpg", 1)
    boxes = [
        {"name": "rect", "x": 10 * k, "y": 5, "width": 8, "height": 8} for k in (1, 2)
    ]
    shapes = [*boxes, {"name": "point", "cx": 3, "cy": 4}]
    regions = [{"shape_attributes": s, "region_attributes": {}} for s in shapes]
    listed = {"1.jpg-1": {"filename": "1.jpg", "size": 1, "regions": regions}}
    (folder / "via.json").write_text(json.dumps(listed))
    return folder / "via.json"


def changed(change):
    return lambda folder: save(folder, change=change)


def listed_twice(made):
    made["images"].append({**made["images"][0], "id": 9})


def no_annotations(made):
    del made["annotations"][:2]


def twice(made):
    made["annotations"].append({**made["annotations"][0], "id": 99})


def few(made):
    made["categories"].append({"id": 3, "name": "bird"})


def full(made):
    made["annotations"][0] |= {
        "bbox": [0, 0, WIDTH, HEIGHT],
        "segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, WIDTH * HEIGHT]},
    }


FIRST = "image 1, object 11"
# Of each kind: what makes it, and the file, the place and a part of what is found.
KINDS = {
    "unreadable annotations": (unreadable_annotations, "set.json", "", "not JSON"),
    "unreadable image": (unreadable_image, "1.jpg", "", "truncated"),
    "missing image": (missing_image, "set.json", "image 1", "1.jpg does not exist"),
    "size mismatch": (
        changed(lambda made: made["images"][0].update(width=61)),
        "set.json",
        "image 1",
        "declared 40 x 61",
    ),
    "bad value": (
        changed(first_entry(segmentation=[[1, 2, 3, 4, 5, 1e9]])),
        "set.json",
        FIRST,
        "1e+09",
    ),
    "reversed box": (
        changed(first_entry(bbox=[35, 15, -10, -10])),
        "set.json",
        FIRST,
        "[15.0, 35.0, 5.0, 25.0]",
    ),
    "empty box": (changed(first_entry(bbox=[25, 5, 0, 9])), "set.json", FIRST, "area"),
    "box outside": (
        changed(first_entry(bbox=[70, 5, 10, 10])),
        "set.json",
        FIRST,
        "70.0, 15.0, 80.0",
    ),
    "box over the edge": (
        changed(
            first_entry(
                bbox=[52, 5, 11, 10], segmentation=[[52, 5, 60, 5, 60, 15, 52, 15]]
            )
        ),
        "set.json",
        FIRST,
        "63.0",
    ),
    "short polygon": (
        changed(first_entry(segmentation=[[1, 2, 3, 4]])),
        "set.json",
        FIRST,
        "4 numbers",
    ),
    "self-crossing polygon": (
        changed(first_entry(segmentation=[[25, 5, 35, 15, 35, 5, 25, 15]])),
        "set.json",
        FIRST,
        "x = 30.0, y = 10.0, where a loop of 50%",
    ),
    "empty mask": (
        changed(first_entry(segmentation=[[70, 1, 80, 1, 80, 9]])),
        "set.json",
        FIRST,
        "no pixel",
    ),
    "full mask": (changed(full), "set.json", FIRST, "whole image"),
    "mask and box disagree": (
        changed(first_entry(bbox=[25, 5, 20, 10])),
        "set.json",
        FIRST,
        "fills [5.0, 25.0, 15.0, 35.0]",
    ),
    "object without mask": (
        changed(first_entry(segmentation=[])),
        "set.json",
        FIRST,
        "box alone",
    ),
    "duplicate id": (changed(first_entry(id=12)), "set.json", "12", "has it"),
    "duplicate object": (
        changed(twice),
        "set.json",
        "image 1, object 99",
        "it is object 11 again: 'dog', IoU 1.00",
    ),
    "unknown category": (
        changed(first_entry(category_id=7)),
        "set.json",
        "11",
        "7",
    ),
    "annotation without image": (
        changed(first_entry(image_id=77)),
        "set.json",
        "11",
        "77",
    ),
    "image listed twice": (changed(listed_twice), "set.json", "9", "1.jpg"),
    "image without annotations": (
        changed(no_annotations),
        "set.json",
        "",
        "1 of 2 images: 1",
    ),
    "copied image": (copied_image, "set.json", "image 2", "1.jpg"),
    "shared image": (shared_image, "train.json", "image 1", "in val as "),
    "few objects": (changed(few), "set.json", "", "fewer than 1 objects: bird 0"),
    "orientation": (orientation, "1.jpg", "", "EXIF orientation 3"),
    "unsupported shape": (unsupported_shape, "via.json", "1.jpg", "point"),
}


def test_every_kind_has_its_data_set():
    assert KINDS.keys() == {*ERRORS, *WARNINGS}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault(tmp_path, capsys, kind):
    make, file, where, found = KINDS[kind]
    path = make(tmp_path)
    status = doctor.main([str(path), "--json", "--min-objects", "1"])
    document = json.loads(capsys.readouterr().out)
    [fault] = document["faults"]
    assert fault["kind"] == kind
    assert Path(fault["file"]) == tmp_path / file
    assert where in fault["where"] and bool(where) == bool(fault["where"])
    assert found in fault["found"] and fault["mend"]
    assert fault["is_error"] == (kind in ERRORS)
    assert status == document["errors"] == (kind in ERRORS)
    assert document["warnings"] == (kind in WARNINGS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_has_no_errors(tmp_path, capsys, kind):
    path = KINDS[kind][0](tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    doctor.main([str(path), "--fix", "--min-objects", "1"])
    said = capsys.readouterr().out
    written = sorted(set(tmp_path.iterdir()) - set(before))
    assert {file: file.read_bytes() for file in before} == before
    splits = ["train", "val"] if kind == "shared image" else [path.stem]
    if kind == "unreadable annotations":
        splits = []
    assert [file.name for file in written] == [f"{name}_fixed.json" for name in splits]
    for file in written:
        assert f"wrote {file}: " in said
        report = doctor.examine(file, least=0, progress=False)
        assert report.errors == 0 and report.counts[""].objects > 0


@pytest.mark.parametrize("preset", ["tiny", "resnet50_fpn"])
def test_a_clean_data_set(tmp_path, capsys, preset):
    file = save(tmp_path)
    arguments = [str(file), "--min-objects", "2", "--preset", preset]
    assert doctor.main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Examining {file}: every image is read")
    assert "no errors, no warnings." in out and f"preset {preset}" in out
    assert "error:" not in out and "warning:" not in out
    assert "2/2" in err  # the progress bar


def test_counts_by_hand(tmp_path):
    def change(made):
        crowd = {"size": [HEIGHT, WIDTH], "counts": [0, 40, 2360]}
        made["annotations"][0] |= {"iscrowd": 1, "segmentation": crowd, "bbox": None}
        made["annotations"][1] |= {"bbox": [1, 1, 0, 0]}
        large = [[0, 0, 60, 0, 60, 39, 0, 39]]
        made["annotations"][2] |= {"bbox": [0, 0, 60, 39], "segmentation": large}
        made["images"] += [
            {"id": 3, "file_name": "3.jpg"},
            {"id": 4, "file_name": "gone.jpg"},
        ]
        photo(tmp_path / "3.jpg", 3, size=(80, 50))

    report = doctor.examine(save(tmp_path, change=change), least=0, progress=False)
    assert report.format == "coco"
    counts = report.counts[""]
    assert (counts.images, counts.unusable, counts.empty) == (4, 1, 1)
    assert (counts.objects, counts.crowds, counts.most) == (2, 1, 2)
    assert counts.classes == {"cat": 1, "dog": 1}
    assert counts.groups == {"medium": 1, "small": 1}  # 2340 and 100 pixels
    assert counts.image_sizes == {"40 x 60": 2, "50 x 80": 1}
    kinds = sorted(fault.kind for fault in report.faults)
    assert kinds == ["empty box", "image without annotations", "missing image"]
    assert report.recall.shares["all"][0] == 2
    assert report.recall.shares["medium"][0] == 1
    text = str(report)
    for part in ("cat 1, dog 1", "40 x 60 (2), 50 x 80 (1)", "2 errors, 1 warning."):
        assert part in text


def test_more_objects_than_slots(tmp_path):
    def change(made):
        made["annotations"] = [entry(k, 1, 5 * k, 5, 4) for k in range(1, 10)]

    report = doctor.examine(
        save(tmp_path, change=change), preset="tiny", least=0, progress=False
    )
    assert (report.slots, report.overfull) == (8, 1)
    assert "more objects than train.max_objects = 8: 1;" in str(report)


def test_many_faults_of_a_kind_are_counted_and_the_first_shown(tmp_path):
    def change(made):
        made["annotations"] += [
            {**entry(100 + k, 1, 5, 5), "bbox": [5, 5, 0, 0]} for k in range(7)
        ]

    report = doctor.examine(save(tmp_path, change=change), least=0, progress=False)
    text = str(report)
    assert report.errors == 7 and "error: empty box (7)" in text
    assert text.count("has no area") == 3 and "... and 4 more" in text
    assert "--json lists every one" in text
    assert len(report.to_dict()["faults"]) == 7


def test_only_the_split_to_train_on_needs_many_objects(tmp_path):
    save(tmp_path, "train.json")
    save(tmp_path, "val.json", first=3, change=few)
    report = doctor.examine(tmp_path, least=3, progress=False)
    assert list(report.counts) == ["train", "val"]
    [fault] = report.faults
    assert fault.kind == "few objects" and fault.where == "train"
    assert "cat 2, dog 2" in fault.found


def test_nothing_can_be_used(tmp_path, capsys):
    file = save(tmp_path)
    for image in tmp_path.glob("*.jpg"):
        image.unlink()
    assert doctor.main([str(file), "--fix"]) == 1
    out = capsys.readouterr().out
    assert "no image can be used, nothing written" in out and "Anchors" not in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.json"]


def test_wrong_commands(tmp_path, capsys):
    assert doctor.main([str(tmp_path / "gone")]) == 2
    assert "gone: no such file or folder" in capsys.readouterr().err
    for wrong in (["--format", "x", "a"], ["--preset", "x", "a"], []):
        with pytest.raises(SystemExit) as stopped:
            doctor.main(wrong)
        assert stopped.value.code == 2
    with pytest.raises(ValueError, match="no format 'x'"):
        doctor.examine(tmp_path, "x")
    with pytest.raises(ValueError, match="no preset 'x'"):
        doctor.examine(tmp_path, preset="x")


def test_a_folder_of_nothing(tmp_path):
    report = doctor.examine(tmp_path, progress=False)
    [fault] = report.faults
    assert fault.kind == "unreadable annotations" and fault.file == str(tmp_path)
    assert fault.found.startswith("found no annotations")


def test_the_command_itself_needs_no_tensorflow(tmp_path):
    program = (
        "import sys; from mrcnn_tf.datasets import doctor; "
        f"status = doctor.main([{str(save(tmp_path))!r}, '--fix']); "
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    command = [sys.executable, "-m", "mrcnn_tf.datasets.doctor", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Examples:" in shown and "--min-objects N" in shown


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes that have names")
def test_an_image_without_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    record = Record(tmp_path / "pipe.jpg", 1, (), tmp_path / "a.json")
    [image] = examine_images(Annotations((), [record], []), "", progress=False)
    assert [fault.kind for fault in image.faults] == ["unreadable image"]
    assert image.digest is None and image.used is None


def test_no_pixels_are_kept(tmp_path):
    records = []
    for index in range(12):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (1000, 1000)).save(path)  # 3 MB of pixels
        item = Object("cat", None, (np.array([0, 0, 9, 0, 9, 9.0]),))
        records.append(Record(path, index, (item,), tmp_path / "a.json"))
    annotations = Annotations(("cat",), records, [])
    tracemalloc.start()
    try:
        images = examine_images(annotations, "", progress=False)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(images) == 12 and all(image.used for image in images)
    assert kept < 1_000_000


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


def test_listed_twice_in_two_files_comes_together(tmp_path):
    photo(tmp_path / "1.jpg", 1)
    for name, left in (("a", 5), ("b", 25)):
        shape = {"label": "cat", "shape_type": "rectangle"}
        shape["points"] = [[left, 5], [left + 10, 15]]
        file = {"imagePath": "1.jpg", "imageData": None, "shapes": [shape]}
        file |= {"imageHeight": HEIGHT, "imageWidth": WIDTH, "version": "5"}
        (tmp_path / f"{name}.json").write_text(json.dumps(file))
    report = doctor.examine(tmp_path, least=0, progress=False, fix=True)
    assert [fault.kind for fault in report.faults] == ["image listed twice"]
    fixed = tmp_path.with_name(f"{tmp_path.name}_fixed.json")
    assert (
        str(fixed) in report.written[0]
        and "images (1), objects (2)" in report.written[0]
    )
    assert "images that were listed before (1)" in report.written[0]
    [record] = read_annotations(fixed)[""].records
    assert sorted(item.box[1] for item in record.objects) == [5, 25]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no data beside the repository")
@pytest.mark.parametrize(
    ("name", "kinds", "objects"),
    [
        ("coco_mini", {"few objects": 1}, 731 + 619),
        ("bccd_voc", {"empty box": 2}, 4886),
        ("nucleus", {}, 1095),
    ],
)
def test_no_false_alarm_on_real_data(name, kinds, objects):
    report = doctor.examine(SHARED / name, progress=False)
    found = [fault.kind for fault in report.faults]
    assert {kind: found.count(kind) for kind in found} == kinds
    assert sum(count.objects for count in report.counts.values()) == objects
