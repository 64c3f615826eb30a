"""Exported networks: what stands around the network, the files, and their check."""

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import export
import numpy as np
import pytest
import small
import tensorflow as tf
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import exporting, masks, rle, roi
from mrcnn_tf.exporting import agreement, files, serving
from mrcnn_tf.exporting.gather_align import gather_align

EXAMPLES = Path(export.__file__).parent / "examples"
SCENE = mr.datasets.Shapes(1, seed=3, size=96)[0].image[:71]  # 71 x 96


@pytest.fixture(scope="module")
def model():
    network = small.model(image={"resize": "square"}, detection={"min_score": 0.9})
    for variable in network.trainable_variables:
        if "logits" in variable.path:  # scores that differ, as a trained network's
            variable.assign(variable * 30.0)
    return network


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.keras"
    model.save(path)
    return path


def command(model_file, kind, out, *more):
    """Runs the command; returns its exit status."""
    return export.main(
        ["--model", str(model_file), "--to", kind, "--out", str(out), *map(str, more)]
    )


# What stands around the network


# In floating point 49 * (64 / 49) is below 64, and floor makes it 63.
@pytest.mark.parametrize("size", [(64, 64), (49, 49), (71, 96), (1, 300), (333, 500)])
@pytest.mark.parametrize(
    "image_config",
    [
        {"resize": "square", "short_side": 64, "long_side": 64},
        {"resize": "square", "short_side": 48, "long_side": 96},
        {"resize": "aspect", "short_side": 80, "long_side": 133},
    ],
)
def test_the_network_sees_what_it_sees_in_keras(size, image_config):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    config = mr.Config(image=mr.config.ImageConfig(**image_config))
    expected = mr.MaskRCNN._network_inputs(SimpleNamespace(config=config), image)
    images, sizes = tf.function(serving.network_inputs)(image, config.image)
    np.testing.assert_array_equal(sizes, expected["sizes"])
    np.testing.assert_array_equal(images, expected["images"])


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_masks_are_pasted_as_in_keras(threshold):
    rng = np.random.default_rng(1)
    boxes = [
        [3, 4, 33, 28],
        [-7, -9, 70, 90],
        [10.2, 11.7, 12.9, 13.1],
        [50, 60, 71, 96],
    ]
    boxes = np.array([*boxes, [80, 100, 90, 120]], np.float32)
    probabilities = rng.random((len(boxes), 28, 28), np.float32)
    found = serving.paste(probabilities, boxes, tf.constant([71, 96]), threshold)
    for mask, probability, box in zip(found, probabilities, boxes, strict=True):
        expected = masks.paste(probability, box, 71, 96, threshold)
        np.testing.assert_array_equal(mask.numpy() > 0, expected)


def test_outside_its_box_is_no_object_at_any_threshold():
    box = tf.constant([[20.0, 30.0, 40.0, 50.0]])
    found = serving.paste(tf.ones([1, 28, 28]), box, tf.constant([71, 96]), 0.0)
    assert found.numpy().sum() < 23 * 23


def test_no_masks_are_pasted_into_no_objects():
    paste = tf.function(serving.paste, reduce_retracing=True)
    none = paste(tf.zeros([0, 28, 28]), tf.zeros([0, 4]), tf.constant([71, 96]), 0.5)
    assert none.shape == (0, 71, 96)


def test_boxes_of_whole_pixels_are_torchvisions():
    boxes = np.random.default_rng(2).uniform(-20, 120, (50, 4)).astype(np.float32)
    boxes[:, 2:] = boxes[:, :2] + np.abs(boxes[:, 2:])
    expected = [masks.whole_pixel_box(box, 28) for box in boxes]
    np.testing.assert_array_equal(serving.whole_pixel_boxes(boxes, 28), expected)


@pytest.mark.parametrize("whole", [True, False])
def test_masks_are_pasted_into_boxes_of_whole_pixels_where_the_config_says(
    model, whole
):
    network = mr.MaskRCNN(
        model.config.replace(detection={"whole_pixel_boxes": whole, "min_score": 0.0})
    )
    network.set_weights(model.get_weights())
    found = serving.serving_module(network, network.inference_graph).detect(SCENE)
    expected = network.detect(SCENE)
    same = (found["masks"] == expected.masks).numpy().all(axis=(1, 2))
    # The fraction that is dropped may be nearly none, or nearly a pixel.
    assert len(same) == 20 and same.mean() > 0.75


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("levels", [1, 4])
def test_gathered_roi_align_is_roi_align(aligned, levels):
    rng = np.random.default_rng(3)
    strides = (4, 8, 16, 32)[:levels]
    features = [
        tf.constant(rng.normal(size=(1, 160 // s, 192 // s, 5)), tf.float32)
        for s in strides
    ]
    start = rng.uniform(-30, 150, (60, 2))
    boxes = np.concatenate([start, start + rng.uniform(0, 180, (60, 2))], axis=1)
    # Whole images, an empty slot, just inside, just outside, nothing but outside.
    boxes[:5] = [
        [0, 0, 160, 192],
        [0, 0, 0, 0],
        [0, 0, 4, 4],
        [-8, -8, 4, 4],
        [-99, -99, -60, -60],
    ]
    boxes = boxes[None].astype(np.float32)
    expected = roi.roi_align(features, boxes, 7, strides, aligned)[0]
    found = gather_align(features, boxes, 7, strides, aligned)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.5


def test_the_portable_graph_has_the_models_weights(model):
    graph = serving.portable_graph(model)
    ours = [variable.path for variable in graph.variables]
    assert ours == [variable.path for variable in model.inference_graph.variables]
    kinds = {type(layer).__name__ for layer in graph.layers}
    assert {"GatherRoIAlign", "EverySlot"} <= kinds
    assert not {"RoIAlign", "SlotsInUse"} & kinds
    # The model itself keeps its own.
    assert "RoIAlign" in {
        type(layer).__name__ for layer in model.inference_graph.layers
    }


def test_a_network_of_boxes_alone():
    network = small.model(roi={"mask_kind": "none"})
    found = serving.serving_module(network, network.inference_graph).detect(SCENE)
    assert set(found) == {"boxes", "classes", "scores"}
    np.testing.assert_allclose(found["boxes"], network.detect(SCENE).boxes, atol=1e-3)


# Files


@pytest.mark.slow
@pytest.mark.parametrize("kind", exporting.FORMATS)
def test_the_file_does_what_the_model_does(kind, model, model_file, tmp_path, capsys):
    for package in exporting.FORMATS[kind]:
        pytest.importorskip(package)
    photo = tmp_path / "photo.png"
    Image.fromarray(SCENE).save(photo)
    out = tmp_path / "new" / f"small{export.SUFFIXES[kind]}"
    status = command(model_file, kind, out, "--check", photo)
    said = capsys.readouterr()
    assert status == 0, said.err
    assert "done:" in said.out and "photo.png  96 x 71" in said.out
    assert [path.name for path in out.parent.iterdir()] == [out.name]

    exported = export.Exported(kind, out)
    for image in (SCENE, np.ascontiguousarray(SCENE[:, ::-1]), SCENE[:40, :33]):
        expected, found = model.detect(image), exported.detect(image)
        assert len(expected) > 3
        assert found.class_names == small.CLASSES
        one = agreement.compare_results(expected, found, model.config.detection)
        assert one.holds and one.expected == one.found, one

    # Where there is nothing.
    grey = np.full((40, 50, 3), 124, np.uint8)
    assert len(model.detect(grey)) == 0
    nothing = exported.example.detect(exported.model, grey)
    assert nothing["boxes"].shape == (0, 4) and nothing["masks"].shape == (0, 40, 50)

    # The example by itself, as a person runs it.
    picture = tmp_path / "found.png"
    exported.example.main(
        [str(out), str(photo), "--out", str(picture), "--min-score=0"]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(model.detect(SCENE)) + 1
    assert lines[0].split()[0] in small.CLASSES
    with Image.open(picture) as drawn:
        assert drawn.size == (96, 71)
        assert np.abs(np.asarray(drawn) - np.float32(SCENE)).mean() > 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_an_example_needs_its_runtime_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    runtime = {
        "saved_model_example": "tensorflow",
        "onnx_example": "onnxruntime",
        "litert_example": "ai_edge_litert",
    }[path.stem]
    assert imported - sys.stdlib_module_names == {"numpy", "PIL", runtime}


# The check


def result(scores=(0.9, 0.6), moved=0.0, cut=0, classes=(1, 2)):
    """Two squares of 10 pixels; `cut` rows are missing of the second's mask."""
    boxes = np.array([[10, 10, 20, 20], [30, 30, 40, 40]], np.float32)
    pasted = np.zeros((2, 50, 60), bool)
    pasted[0, 10:20, 10:20] = pasted[1, 30 + cut : 40, 30:40] = True
    count = len(scores)
    return mr.Result(
        boxes=boxes[:count] + np.float32(moved),
        classes=np.array(classes, np.int32)[:count],
        scores=np.array(scores, np.float32),
        rles=tuple(rle.encode(mask) for mask in pasted[:count]),
        height=50,
        width=60,
        class_names=("a", "b"),
    )


DETECTION = mr.config.DetectionConfig(min_score=0.05, max_detections=20)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (result(), True),
        (result(moved=0.09), True),
        (result(moved=0.2), False),
        (result(scores=(0.9, 0.6009)), True),
        (result(scores=(0.9, 0.602)), False),
        (result(cut=1), False),
        (result(scores=(0.9,)), False),
        (result(classes=(1, 1)), False),
    ],
)
def test_what_agrees(found, holds):
    assert agreement.compare_results(result(), found, DETECTION).holds == holds
    assert agreement.compare_results(found, result(), DETECTION).holds == holds


def test_one_pixel_of_a_mask_is_no_difference():
    one, other = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    one[2:5, 2:5] = other[2:5, 2:5] = True
    other[2, 2] = False
    assert agreement._mask_iou(rle.encode(one), rle.encode(other)) == 1.0
    other[2, 3] = False
    assert agreement._mask_iou(rle.encode(one), rle.encode(other)) == 7 / 9


def test_at_the_cut_off_a_detection_may_be_missing():
    one = agreement.compare_results(
        result(scores=(0.9, 0.0504)), result(scores=(0.9,)), DETECTION
    )
    assert one.holds and (one.expected, one.found) == (2, 1)
    # A score far below the cut-off should never be given: no excuse.
    odd = result(scores=(0.9, -1.0))
    assert not agreement.compare_results(result((0.9,)), odd, DETECTION).holds
    # The last of a full list is at the cut-off, too.
    full = mr.config.DetectionConfig(max_detections=2)
    assert agreement.compare_results(result(), result((0.9,)), full).holds


def test_masks_that_one_alone_has():
    bare = result()
    bare = mr.Result(bare.boxes, bare.classes, bare.scores, (), 50, 60, ("a", "b"))
    assert not agreement.compare_results(result(), bare, DETECTION).holds


def test_sums_keep_the_worst():
    one = agreement.Agreement(3, 2, 1, 0.5, 0.1, 0.9)
    other = agreement.Agreement(4, 4, 0, 0.1, 0.2, 0.7)
    assert one + other == agreement.Agreement(7, 6, 1, 0.5, 0.2, 0.7)


def test_a_file_that_differs_gets_no_name(model_file, tmp_path, capsys, monkeypatch):
    old = tmp_path / "model"
    old.mkdir()
    (old / "kept").touch()
    monkeypatch.setattr(agreement, "MAX_SCORE", -1.0)
    assert command(model_file, "saved_model", old, "--force") == 1
    said = capsys.readouterr()
    assert "does not do what the Keras model does, on shapes 0" in said.err
    assert "done" not in said.out
    assert list(tmp_path.iterdir()) == [old] and (old / "kept").exists()


def test_a_model_that_finds_nothing_proves_nothing(capsys):
    nothing = SimpleNamespace(
        detect=lambda image: result(()), config=SimpleNamespace(detection=DETECTION)
    )
    with pytest.raises(ValueError, match="finds nothing in these images"):
        export.check(nothing, nothing, {"scene": SCENE})


def test_ap_is_compared(monkeypatch, capsys):
    scenes = mr.datasets.Shapes(3)
    data = SimpleNamespace(test=scenes)
    monkeypatch.setattr(mr.datasets, "load", lambda *args, **kwargs: data)

    class Truth:
        """Gives what the annotations say, less the last `lacking` objects."""

        config = SimpleNamespace(
            image=SimpleNamespace(long_side=128), classes=scenes.classes
        )

        def __init__(self, lacking):
            self.lacking = lacking

        def detect(self, image):
            (sample,) = (s for s in scenes if np.array_equal(s.image, image))
            kept = slice(0, max(0, len(sample.boxes) - self.lacking))
            return mr.Result(
                sample.boxes[kept],
                sample.classes[kept],
                np.ones(len(sample.boxes[kept]), np.float32),
                sample.masks[kept],
                128,
                128,
                scenes.classes,
            )

    options = SimpleNamespace(measure="shapes", compose=0, images=2)
    export.measure(Truth(0), Truth(0), options)
    said = capsys.readouterr().out
    assert "AP on 2 images" in said and "mask  1.0000  1.0000" in said
    with pytest.raises(ValueError, match="AP differs by 0"):
        export.measure(Truth(0), Truth(1), options)


# What cannot be


def test_refusals_come_before_the_work(model_file, tmp_path, capsys):
    assert command(model_file, "onnx", tmp_path / "a.tflite") == 1
    assert "--out of onnx must end in .onnx" in capsys.readouterr().err
    assert command(model_file, "saved_model", tmp_path) == 1
    assert "exists: --force replaces it" in capsys.readouterr().err
    assert command(tmp_path / "no.keras", "saved_model", tmp_path / "new") == 1
    assert "no such file" in capsys.readouterr().err
    missing = tmp_path / "no.jpg"
    out = tmp_path / "new"
    assert command(model_file, "saved_model", out, "--check", missing) == 1
    assert "no.jpg" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_formats_of_one_input_size(monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: True)
    aspect = small.config(image={"resize": "aspect"})
    for kind in ("onnx", "litert"):
        with pytest.raises(ValueError, match="as the presets tiny and pets"):
            exporting.check_exportable(aspect, kind)
    exporting.check_exportable(aspect, "saved_model")
    whole = small.config(
        image={"resize": "square"}, detection={"whole_pixel_boxes": True}
    )
    exporting.check_exportable(whole, "onnx")
    with pytest.raises(ValueError, match="whole_pixel_boxes must be False"):
        exporting.check_exportable(whole, "litert")


def test_a_package_that_is_not_there(monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    config = small.config(image={"resize": "square"})
    with pytest.raises(ValueError, match="pip install ai-edge-litert"):
        exporting.check_exportable(config, "litert")
    with pytest.raises(ValueError, match="pip install tf2onnx onnx onnxruntime"):
        exporting.check_exportable(config, "onnx")
    exporting.check_exportable(config, "saved_model")
