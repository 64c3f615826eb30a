"""The predict command: what goes in, what comes out, and what may go wrong between."""

import contextlib
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import predict
import pytest
import small
from matplotlib.figure import Figure
from PIL import Image
from pycocotools.coco import COCO

import mrcnn_tf as mr
from mrcnn_tf import rle

CLASSES = ("cat", "dog")


class TwoObjects:
    """Finds in every image a dog in the upper half and, less surely, a cat below."""

    def __init__(self):
        self.sizes = []  # of the images it was asked about

    def detect(self, image):
        height, width = image.shape[:2]
        self.sizes.append((height, width))
        masks = np.zeros((2, height, width), bool)
        masks[0, : height // 2] = masks[1, height // 2 :] = True
        rles = tuple(rle.encode(mask) for mask in masks)
        return mr.Result(
            boxes=np.array([rle.box(mask) for mask in rles]),
            classes=np.array([2, 1], np.int32),
            scores=np.array([0.75, 0.25], np.float32),
            rles=rles,
            height=height,
            width=width,
            class_names=CLASSES,
        )


@pytest.fixture
def model(monkeypatch):
    """Stands for COCO's network; its `asked` is how it was asked for."""
    stand_in = TwoObjects()
    stand_in.asked = []

    def from_pretrained(name, path=None):
        stand_in.asked.append((name, path))
        return stand_in

    monkeypatch.setattr(mr.MaskRCNN, "from_pretrained", from_pretrained)
    return stand_in


def photo(path, width=6, height=4):
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (width, height), "teal").save(path)
    return path


def run(*arguments):
    return predict.main([str(argument) for argument in arguments])


def results(out):
    return json.loads((out / "results.json").read_text())


def ids(out):
    return [entry["image_id"] for entry in results(out)]


def test_results_are_those_of_coco_with_names(tmp_path, model, capsys):
    path = photo(tmp_path / "photos" / "a.png")
    assert run(path, "--min-score", 0, "--out", tmp_path / "out") == 0
    dog, cat = results(tmp_path / "out")
    mask = dog.pop("segmentation")
    assert dog == {
        "image_id": 1,
        "category_id": 2,
        "bbox": [0, 0, 6, 2],
        "score": 0.75,
        "file_name": path.as_posix(),
        "category_name": "dog",
    }
    assert rle.decode(mask).tolist() == [[True] * 6] * 2 + [[False] * 6] * 2
    assert (cat["category_name"], cat["score"]) == ("cat", 0.25)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "a.jpg",
        "results.json",
    ]
    output = capsys.readouterr()
    assert "1/1" in output.err  # the progress bar
    assert "2 detections of at least 0 in 1 of 1 images" in output.out


def test_pycocotools_loads_the_results(tmp_path, model):
    photo(tmp_path / "photos" / "000000000139.jpg")
    photo(tmp_path / "photos" / "000000397133.jpg", 8, 6)
    run(tmp_path / "photos", "--min-score", 0, "--out", tmp_path / "out")
    truth = COCO()
    truth.dataset = {
        "images": [
            {"id": 139, "height": 4, "width": 6},
            {"id": 397133, "height": 6, "width": 8},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        loaded = truth.loadRes(str(tmp_path / "out" / "results.json"))
    assert len(loaded.anns) == 4
    dog, cat = loaded.imgToAnns[397133]
    assert (dog["category_id"], cat["category_id"]) == (2, 1)
    np.testing.assert_array_equal(loaded.annToMask(cat), [[0] * 8] * 3 + [[1] * 8] * 3)


def test_a_network_from_a_file(tmp_path):
    network = small.model()
    network.save(tmp_path / "small.keras")
    scene = mr.datasets.Shapes(1, size=64)[0].image
    Image.fromarray(scene).save(tmp_path / "scene.png")
    # Untrained, it gives each of four classes about a quarter.
    options = ("--model", tmp_path / "small.keras", "--min-score", 0.2)
    assert run(tmp_path / "scene.png", *options, "--out", tmp_path / "out") == 0
    found = network.detect(scene).keep(0.2)
    assert len(found)
    written = results(tmp_path / "out")
    np.testing.assert_allclose([e["score"] for e in written], found.scores, atol=1e-6)
    assert [entry["category_name"] for entry in written] == found.names


def test_low_scores_are_left_out(tmp_path, model, capsys):
    assert run(photo(tmp_path / "a.png"), "--out", tmp_path / "out") == 0
    assert [entry["score"] for entry in results(tmp_path / "out")] == [0.75]
    assert "1 detections of at least 0.5 in 1 of 1 images" in capsys.readouterr().out


def test_no_detections_are_an_empty_list(tmp_path, model):
    options = ("--min-score", 0.9, "--out", tmp_path / "out")
    assert run(photo(tmp_path / "a.png"), *options) == 0
    assert results(tmp_path / "out") == []
    assert (tmp_path / "out" / "a.jpg").exists()


def test_images_in_folders(tmp_path):
    folder = tmp_path / "photos"
    wanted = [photo(folder / name) for name in ("a.png", "b.JPG", "c.webp")]
    (folder / "sub.jpg").mkdir()
    (folder / "notes.txt").touch()
    (folder / "._a.png").touch()  # macOS leaves such
    odd = photo(tmp_path / "a.png").rename(tmp_path / "without_ending")
    images, passed_over, failures = predict.find_images([odd, folder, wanted[0]])
    assert images == [*wanted, odd]  # sorted, and a.png but once
    names = [path.name for path in passed_over]
    assert names == ["._a.png", "notes.txt", "sub.jpg"]
    assert failures == {}


def test_what_is_passed_over_is_said(tmp_path, model, capsys):
    photo(tmp_path / "photos" / "a.png")
    for number in range(6):
        (tmp_path / "photos" / f"{number}.heic").touch()
    assert run(tmp_path / "photos", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "6 passed over in folders, no images: 0.heic, 1.heic" in said
    assert "4.heic, ..." in said


@pytest.mark.parametrize(
    ("names", "expected", "explanation"),
    [
        (["000000397133.jpg", "000000000139.png"], [397133, 139], "named by"),
        (["0.jpg"], [0], "named by"),
        (["1.jpg", "b.jpg"], [1, 2], "in sorted order"),
        (["07.jpg", "7.jpg"], [1, 2], "in sorted order"),  # both would be 7
        (["a/5.jpg", "b/5.jpg"], [1, 2], "in sorted order"),
        (["-3.jpg"], [1], "in sorted order"),
        (["٣.jpg"], [1], "in sorted order"),  # a digit, though not COCO's
    ],
)
def test_ids(names, expected, explanation):
    found, reason = predict.number_images([Path(name) for name in names])
    assert found == expected and explanation in reason


def test_no_two_pictures_have_one_name():
    images = ["a/cat.jpg", "a/cat.png", "b/Cat.jpg", "b/cat_2.jpg", "b/x.tar.png"]
    pictures = predict.name_pictures([Path(name) for name in images])
    assert pictures == ["cat.jpg", "cat_2.jpg", "Cat_3.jpg", "cat_2_2.jpg", "x.tar.jpg"]


def test_images_of_one_name_keep_their_own_pictures(tmp_path, model):
    wide = photo(tmp_path / "a" / "cat.jpg", 700, 350)
    tall = photo(tmp_path / "b" / "cat.jpg", 350, 700)
    assert run(wide.parent, tall.parent, "--out", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "cat.jpg") as picture:
        assert picture.size == (700, 350)
    with Image.open(tmp_path / "out" / "cat_2.jpg") as picture:
        assert picture.size == (350, 700)
    names = [entry["file_name"] for entry in results(tmp_path / "out")]
    assert names == [wide.as_posix(), tall.as_posix()]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (640, 480)),
        ((801, 1203), (801, 1203)),
        ((150, 100), (600, 400)),  # four times
        ((1, 1), (600, 600)),
        ((1, 700), (1, 700)),
        ((8192, 16), (4096, 8)),  # half
    ],
)
def test_pictures_are_of_the_size_of_their_image(size, expected):
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    file = io.BytesIO()
    predict.draw_picture(image, TwoObjects().detect(image)).savefig(file, format="png")
    assert Image.open(file).size == expected
    assert plt.get_fignums() == []  # none is kept: a thousand would fill the memory


@pytest.mark.parametrize("times", [1, 4])
def test_a_pixel_of_the_image_is_a_pixel_of_the_picture(times):
    height, width = 400 // times, 600 // times
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    nothing = TwoObjects().detect(image).keep(1)
    predict.draw_picture(image, nothing).savefig(file, format="png")
    picture = np.asarray(Image.open(file).convert("RGB"))
    enlarged = image.repeat(times, axis=0).repeat(times, axis=1)
    np.testing.assert_array_equal(picture, enlarged)


def test_one_broken_file_does_not_stop_the_rest(tmp_path, model, capsys):
    photos, empty = tmp_path / "photos", tmp_path / "empty"
    photo(photos / "1.png")
    photo(photos / "4.png")
    whole = photo(photos / "2.png", 90, 90).read_bytes()
    (photos / "2.png").write_bytes(whole[: len(whole) // 2])
    (photos / "3.jpg").write_text("<html>404</html>")
    empty.mkdir()
    inputs = (photos, empty, tmp_path / "9.png")
    assert run(*inputs, "--out", tmp_path / "out") == 1
    assert ids(tmp_path / "out") == [1, 4]
    assert (tmp_path / "out" / "4.jpg").exists()
    assert not (tmp_path / "out" / "2.jpg").exists()
    said = capsys.readouterr().out
    assert "in 2 of 5 images" in said
    assert "4 failed:" in said
    assert f"  {photos / '2.png'}: damaged" in said
    assert f"  {photos / '3.jpg'}: not an image that Pillow reads" in said
    assert f"  {tmp_path / '9.png'}: no such file" in said
    assert f"  {empty}: a folder without images" in said


def test_an_image_that_the_model_fails_on_is_named(
    tmp_path, model, monkeypatch, capsys
):
    detect = model.detect

    def fail_on_large(image):
        if image.shape[0] > 10:
            raise MemoryError  # which says nothing itself
        return detect(image)

    monkeypatch.setattr(model, "detect", fail_on_large)
    photo(tmp_path / "photos" / "a.png", 20, 20)
    photo(tmp_path / "photos" / "b.png")
    assert run(tmp_path / "photos", "--out", tmp_path / "out") == 1
    assert ids(tmp_path / "out") == [2]  # b keeps its number
    assert "a.png: MemoryError" in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_found(tmp_path, model, monkeypatch, capsys):
    detect = model.detect

    def interrupted_at_the_third(image):
        if len(model.sizes) == 2:
            raise KeyboardInterrupt
        return detect(image)

    monkeypatch.setattr(model, "detect", interrupted_at_the_third)
    for name in "abcd":
        photo(tmp_path / "photos" / f"{name}.png")
    assert run(tmp_path / "photos", "--out", tmp_path / "out") == 130
    assert ids(tmp_path / "out") == [1, 2]
    output = capsys.readouterr()
    assert "in 2 of 4 images" in output.out
    assert "predict: interrupted" in output.err


def test_a_full_disk_stops_and_keeps_what_was_found(
    tmp_path, model, monkeypatch, capsys
):
    save = Figure.savefig

    def full_at_the_second(figure, path, **options):
        if path.name == "b.jpg":
            raise OSError(28, "No space left on device", str(path))
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", full_at_the_second)
    for name in "abc":
        photo(tmp_path / "photos" / f"{name}.png")
    assert run(tmp_path / "photos", "--out", tmp_path / "out") == 1
    assert ids(tmp_path / "out") == [1]
    assert len(model.sizes) == 2  # c was not tried
    assert "predict: [Errno 28] No space left" in capsys.readouterr().err


def test_coco_networks_are_asked_for_by_name(tmp_path, model):
    image = photo(tmp_path / "a.png")
    run(image, "--out", tmp_path)
    run(image, "--model", "coco_v2", "--weights-file", "v2.pth", "--out", tmp_path)
    assert model.asked == [("coco", None), ("coco_v2", Path("v2.pth"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "coco_v3"], "must be coco, coco_v2 or a .keras file, found"),
        (["--model", "none.keras"], "none.keras: no such file"),
        (["--model", "a.keras", "--weights-file", "a.pth"], "a.keras holds its own"),
    ],
)
def test_another_model_is_a_sentence(tmp_path, capsys, arguments, message):
    image = photo(tmp_path / "a.png")
    assert run(image, *arguments, "--out", tmp_path / "out") == 1
    assert message in capsys.readouterr().err


def test_missing_weights_are_a_sentence(tmp_path, monkeypatch, capsys):
    def from_pretrained(name, path=None):
        raise FileNotFoundError(f"{path}: no such file")

    monkeypatch.setattr(mr.MaskRCNN, "from_pretrained", from_pretrained)
    image = photo(tmp_path / "a.png")
    assert run(image, "--weights-file", "none.pth", "--out", tmp_path / "out") == 1
    assert "predict: none.pth: no such file" in capsys.readouterr().err


def test_an_empty_folder_alone_is_refused_before_the_model_loads(
    tmp_path, model, capsys
):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(empty, "--out", tmp_path / "out") == 1
    assert f"nothing to do: {empty}: a folder without" in capsys.readouterr().err
    assert model.asked == [] and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_an_error_at_once(
    tmp_path, model, monkeypatch, capsys
):
    image = photo(tmp_path / "a.png")
    assert run(image, "--out", image / "out") == 1
    assert "a.png" in capsys.readouterr().err

    def locked(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", locked)  # root may write anywhere
    assert run(image, "--out", tmp_path) == 1
    assert "predict: [Errno 13] Permission denied" in capsys.readouterr().err
    assert model.asked == []


def test_a_photograph_is_never_overwritten(tmp_path, model, capsys):
    image = photo(tmp_path / "a.jpg")
    before = image.read_bytes()
    assert run(image, "--out", tmp_path) == 1
    assert "a.jpg is one of the images and would be" in capsys.readouterr().err
    assert image.read_bytes() == before
    assert model.asked == []


def test_a_score_is_from_0_to_1(capsys):
    with pytest.raises(SystemExit):
        run("a.png", "--min-score", 50)
    assert "--min-score must be from 0 to 1, found 50" in capsys.readouterr().err
