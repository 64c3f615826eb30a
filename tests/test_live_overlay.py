"""What live draws over a frame, and which models it takes: pixels checked by hand."""

import dataclasses
import json
import zipfile

import evaluate
import export
import numpy as np
import predict
import pytest
import small
from matplotlib.colors import to_rgb
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import live, unet, yolo
from mrcnn_tf.live import models, overlay

GREY = np.full((120, 200, 3), 100, np.uint8)
ORANGE, BLUE, GREEN = (
    np.rint(255 * np.array(to_rgb(tone))) for tone in mr.visualize.canvas.PALETTE[:3]
)


def rectangle(y1, x1, y2, x2):
    mask = np.zeros(GREY.shape[:2], bool)
    mask[y1:y2, x1:x2] = True
    return mask


def result(masks, classes, scores, with_masks=True):
    rles = tuple(mr.rle.encode(mask) for mask in masks)
    boxes = np.array([mr.rle.box(mask) for mask in rles]).reshape(-1, 4)
    return mr.Result(
        boxes=boxes.astype(np.float32),
        classes=np.array(classes, np.int32),
        scores=np.array(scores, np.float32),
        rles=rles if with_masks else (),
        height=120,
        width=200,
        class_names=("cat", "dog"),
    )


def mixed(tone, share):
    return (1 - share) * 100 + share * tone


def test_masks_boxes_and_labels_in_colours_of_classes():
    masks = [rectangle(30, 20, 100, 90), rectangle(40, 120, 110, 190)]
    drawn = live.draw(GREY, result(masks, [1, 2], [0.9, 0.8]))
    assert (GREY == 100).all()  # drawn on a copy
    np.testing.assert_allclose(drawn[60, 50], mixed(ORANGE, 0.4), atol=1)
    np.testing.assert_allclose(drawn[80, 150], mixed(BLUE, 0.4), atol=1)
    # The first and the last pixel of a box, which is half-open; then none.
    for y, x, tone in ((60, 20, ORANGE), (60, 89, ORANGE), (109, 150, BLUE)):
        np.testing.assert_array_equal(drawn[y, x], tone)
    for y, x in ((60, 19), (60, 90), (110, 150), (60, 119)):
        np.testing.assert_array_equal(drawn[y, x], 100)
    # A plate stands above its box, black on orange.
    plate = drawn[13:30, 20:40]
    assert (plate == ORANGE).all(2).mean() > 0.4 and (plate == 0).all(2).any()


def test_the_surest_is_on_top():
    masks = [rectangle(30, 20, 100, 90), rectangle(30, 60, 100, 150)]
    drawn = live.draw(GREY, result(masks, [2, 1], [0.9, 0.8]))
    below = mixed(ORANGE, 0.4)
    np.testing.assert_allclose(drawn[90, 75], 0.6 * below + 0.4 * BLUE, atol=1)
    np.testing.assert_allclose(drawn[90, 120], below, atol=1)


def test_boxes_alone_and_nothing_at_all():
    masks = [rectangle(30, 20, 100, 90)]
    drawn = live.draw(GREY, result(masks, [2], [0.9], with_masks=False))
    np.testing.assert_array_equal(drawn[60, 50], 100)
    np.testing.assert_array_equal(drawn[60, 20], BLUE)
    np.testing.assert_array_equal(live.draw(GREY, result([], [], [])), GREY)


def test_what_reaches_over_the_edge_is_cut_off():
    whole = result([rectangle(0, 0, 120, 200)], [1], [0.5])
    over = dataclasses.replace(whole, boxes=np.float32([[-9, -9, 129, 209]]))
    drawn = live.draw(GREY, over)
    np.testing.assert_array_equal(drawn[119, 150], ORANGE)
    for height, width in ((1, 1), (3, 200), (40, 2)):  # smaller than any label
        image = GREY[:height, :width]
        tiny = mr.Result(
            np.array([[0, 0, height, width]], np.float32),
            *(np.array([1]), np.array([0.5]), (), height, width, ("cat",)),
        )
        assert live.draw(image, tiny, "status").shape == image.shape


def test_the_status_stands_in_the_corner():
    watch = live.Stopwatch()
    with watch.time("read"):
        pass
    drawn = live.draw(GREY, result([], [], []), watch.status())
    for line in (drawn[:14, :60], drawn[20:30, :60]):
        assert (line == 0).mean() > 0.6 and line.max() == 255
    np.testing.assert_array_equal(drawn[40:], GREY[40:])
    assert watch.status() == "0.0 frames/s\nread 0.0 ms"


def test_labels_are_painted_and_the_background_is_not():
    label_map = np.zeros((120, 200), np.uint8)
    label_map[40:80, :100], label_map[40:80, 100:] = 1, 2
    answer = live.Labels(label_map, ("background", "cat", "dog"))
    drawn = live.draw(GREY, answer.keep(0.5))
    np.testing.assert_allclose(drawn[60, 50], mixed(ORANGE, 0.6), atol=1)
    np.testing.assert_allclose(drawn[60, 150], mixed(BLUE, 0.6), atol=1)
    np.testing.assert_array_equal(drawn[20], GREY[20])
    legend = drawn[106:, :60]
    assert (legend == ORANGE).all(2).any() and (legend == BLUE).all(2).any()
    # Of a trimap, the background is the second label, and what is absent has no name.
    trimap = np.full((120, 200), 1, np.uint8)
    trimap[40:80] = 2
    drawn = live.draw(GREY, live.Labels(trimap, ("object", "background", "border")))
    np.testing.assert_allclose(drawn[60, 50], mixed(BLUE, 0.6), atol=1)
    np.testing.assert_array_equal(drawn[20], GREY[20])
    assert not (drawn[106:, :60] == ORANGE).all(2).any()


def test_a_thousand_scores_do_not_fill_the_memory():
    for number in range(1000):
        overlay._plate(f"cat {number}", (9, 9, 9), 11)
    assert overlay._plate.cache_info().currsize <= 512


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A Mask R-CNN, and a U-Net with what belongs beside it."""
    folder = tmp_path_factory.mktemp("models")
    small.model().save(folder / "mask_rcnn.keras")
    unet.build(3, 32, width=35).save(folder / "unet.keras")
    unet.save_labels(folder, "class", ("cat", "dog"))
    model = yolo.build(mr.datasets.Shapes.classes, "small", size=64)
    yolo.Detector(model).save(folder / "yolo.keras")
    return folder


def test_a_file_says_which_network_it_holds(files):
    image = mr.datasets.Shapes(1, size=64)[0].image
    assert isinstance(live.load(files / "mask_rcnn.keras"), mr.MaskRCNN)
    detector = live.load(files / "yolo.keras")
    assert isinstance(detector, yolo.Detector)
    assert detector.class_names == mr.datasets.Shapes.classes
    labeller = live.load(files / "unet.keras")
    answer = labeller.detect(image)
    assert answer.names == ("background", "cat", "dog")
    np.testing.assert_array_equal(answer.map, unet.predict(labeller.model, image)[0])


def test_predict_and_evaluate_take_a_yolo_too(files, tmp_path, capsys):
    model = ("--model", str(files / "yolo.keras"))
    image = mr.datasets.Shapes(1, size=64)[0].image
    Image.fromarray(image).save(tmp_path / "a.png")
    out = ("--out", str(tmp_path), "--min-score", "0")
    assert predict.main([str(tmp_path / "a.png"), *model, *out]) == 0
    entries = json.loads((tmp_path / "results.json").read_text())
    assert len(entries) == len(yolo.load(files / "yolo.keras").detect(image))
    path = tmp_path / "ap.json"
    assert evaluate.main([*model, "--data", "shapes", "--json", str(path)]) == 0
    assert "box" in json.loads(path.read_text())
    assert evaluate.main([*model, "--data", "shapes", "--precision", "bfloat16"]) == 1
    assert "--precision is for Mask R-CNN" in capsys.readouterr().err
    assert (
        export.main([*model, "--to", "saved_model", "--out", str(tmp_path / "x")]) == 1
    )
    assert "no MaskRCNN" in capsys.readouterr().err


def stored(path, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
    return path


def test_other_files_are_refused_in_a_sentence(files, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.keras: no such file"):
        live.load(tmp_path / "no.keras")
    (tmp_path / "a.keras").write_text("hello")
    for text in ("[]", "hello", '{"config": 3}'):
        stored(tmp_path / "b.keras", text)
        for name in ("a", "b"):
            with pytest.raises(ValueError, match=rf"{name}\.keras: not a .keras file"):
                live.load(tmp_path / f"{name}.keras")
    (tmp_path / "unet.keras").write_bytes((files / "unet.keras").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"unet\.json: no such file"):
        live.load(tmp_path / "unet.keras")
    (tmp_path / "unet.json").write_text("{}")
    with pytest.raises(ValueError, match=r"unet\.json: not what .*train_unet"):
        live.load(tmp_path / "unet.keras")


def test_a_name_is_read_without_loading(tmp_path):
    text = json.dumps({"config": {"name": "yolo"}})
    assert models.stored_name(stored(tmp_path / "yolo.keras", text)) == "yolo"
