"""The doctor: what it says, counts and mends, for a data set of each kind of fault."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from faulty_sets import HEIGHT, KINDS, WIDTH, entry, few, no_annotations, photo, save
from PIL import Image

from mrcnn_tf.datasets import doctor
from mrcnn_tf.datasets.examined import examine_images
from mrcnn_tf.datasets.faults import ERRORS, WARNINGS
from mrcnn_tf.datasets.formats import read_annotations
from mrcnn_tf.datasets.records import Annotations, Object, Record

SHARED = Path(__file__).parents[2] / "shared" / "data"


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
    save(tmp_path, "val.json", first=3, change=no_annotations)
    report = doctor.examine(tmp_path, least=3, progress=False)
    assert list(report.counts) == ["train", "val"]
    [empty, few] = report.faults
    assert empty.kind == "image without annotations" and empty.where == "val"
    assert few.kind == "few objects" and few.where == "train"
    assert "cat 2, dog 2" in few.found


def test_a_class_that_is_not_trained(tmp_path):
    save(tmp_path, "train.json")
    save(tmp_path, "val.json", first=3, change=few)
    [fault] = doctor.examine(tmp_path, least=1, progress=False).faults
    assert fault.kind == "few objects" and fault.found.endswith(": bird 0")


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


def test_a_folder_that_may_not_be_written_to(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert doctor.main([str(save(tmp_path)), "--fix"]) == 2
    out, err = capsys.readouterr()
    assert "set_fixed.json: its folder may not be written to" in err
    assert "2/2" not in err and "Anchors" not in out  # said before it begins
    assert not (tmp_path / "set_fixed.json").exists()


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


def test_a_repaired_copy_is_read_in_place_of_its_original(tmp_path, caplog):
    path = KINDS["reversed box"][0](tmp_path)
    doctor.examine(path, least=0, progress=False, fix=True)
    report = doctor.examine(path.parent, least=0, progress=False)
    assert f"_fixed.json is read in place of {path.name}" in caplog.text
    assert report.errors == 0 and report.counts[""].objects > 0


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
