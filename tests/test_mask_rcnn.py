"""The whole network: its graphs, its losses, saving, and what it does with oddities."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import small
import tensorflow as tf

import mrcnn_tf as mr
from mrcnn_tf import backbones, losses
from mrcnn_tf.datasets.sample import Sample


class Samples(list):
    """A dataset that is a list."""

    classes = small.CLASSES


def empty_sample(height=64, width=64):
    return Sample(np.full((height, width, 3), 90, np.uint8), [], [], masks=())


@pytest.fixture(scope="module")
def network():
    return small.model()


@pytest.fixture(scope="module")
def scenes():
    return mr.datasets.Shapes(8, size=64)


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_resnet50_fpn_has_the_reference_number_of_parameters():
    classes = tuple(f"class {i}" for i in range(90))
    model = mr.MaskRCNN(mr.Config.preset("resnet50_fpn", classes=classes))
    assert trainable_parameters(model) == 44_401_393


def test_frozen_stages_do_not_learn():
    backbone = backbones.resnet((1, 1, 1, 1), False, width=8, norm="batch")
    everything = trainable_parameters(backbone)
    backbones.freeze(backbone, 0)
    assert trainable_parameters(backbone) == everything
    counts = []
    for stages in range(1, 6):
        backbones.freeze(backbone, stages)
        counts.append(trainable_parameters(backbone))
    stem = 7 * 7 * 3 * 8 + 16
    assert counts[0] == everything - stem
    assert counts[1] == counts[0] - 2 * (9 * 8 * 8 + 16)
    assert counts == sorted(counts, reverse=True) and counts[-1] == 0


@pytest.mark.parametrize("name", ["resnet18", "resnet101", "mobilenet_v2"])
def test_backbones_halve_five_times(name):
    config = mr.config.BackboneConfig(name=name, width=35 if "mobile" in name else 8)
    outputs = backbones.build(config)(tf.zeros([1, 64, 96, 3]))
    assert [o.shape[1:3] for o in outputs] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_losses_have_names_and_sum_to_the_loss(network, scenes):
    batch, _ = small.batch(scenes, network)
    values = network(batch, training=True)
    assert tuple(values) == losses.NAMES
    assert all(value.shape == (2,) for value in values.values())
    logs = network.train_on_batch(batch, return_dict=True)
    assert set(logs) == {"loss", *losses.NAMES}
    assert logs["loss"] == pytest.approx(sum(logs[n] for n in losses.NAMES), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "outputs"), [("softmax", 4), ("agnostic", 1)])
def test_the_other_kinds_of_mask_train_save_and_load(scenes, tmp_path, kind, outputs):
    network = small.model(roi={"mask_kind": kind}, detection={"min_score": 0.0})
    assert network.mask_head.output_shape == (None, 28, 28, outputs)
    logs = network.train_on_batch(small.batch(scenes, network)[0], return_dict=True)
    assert np.isfinite(logs["mask"])
    network.save(tmp_path / "kind.keras")
    loaded = mr.MaskRCNN.load(tmp_path / "kind.keras")
    assert loaded.config.roi.mask_kind == kind
    stages = network.inspect(scenes[0].image)
    assert stages["detection_masks"].any()
    np.testing.assert_array_equal(
        loaded.inspect(scenes[0].image)["detection_masks"], stages["detection_masks"]
    )


@pytest.mark.slow
def test_a_network_without_masks_trains_finds_saves_and_loads(scenes, tmp_path):
    network = small.model(roi={"mask_kind": "none"}, detection={"min_score": 0.0})
    assert network.mask_head is None
    batch, _ = small.batch(scenes, network)
    logs = network.train_on_batch(batch, return_dict=True)
    assert set(logs) == {"loss", *losses.BOX_NAMES}
    result = network.detect(scenes[0].image)
    assert len(result) and result.rles == () and result.masks.shape == (0, 64, 64)
    assert len(result.keep(0.0)) == len(result) and len(result.keep(1.1)) == 0
    mr.visualize.draw(scenes[0].image, result)
    evaluation = mr.evaluate(network, mr.datasets.Shapes(2, size=64), progress=False)
    assert evaluation["mask"] is None and "boxes only" in str(evaluation)
    network.save(tmp_path / "boxes.keras")
    loaded = mr.MaskRCNN.load(tmp_path / "boxes.keras")
    again = loaded.detect(scenes[0].image)
    np.testing.assert_array_equal(again.boxes, result.boxes)


def test_validation_reports_the_same_losses(network, scenes):
    validation = mr.datasets.batches(scenes, network.config, training=False)
    logs = network.evaluate(validation, return_dict=True, verbose=0)
    assert set(logs) == {"loss", *losses.NAMES}
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.slow
def test_a_batch_without_objects_trains():
    network = small.model()
    batch, _ = small.batch(Samples([empty_sample(), empty_sample()]), network)
    with tf.GradientTape() as tape:
        values = network(batch, training=True)
        total = tf.add_n([tf.reduce_sum(value) for value in values.values()])
    assert float(tf.reduce_sum(values["mask"])) == 0
    assert float(tf.reduce_sum(values["box"])) == 0
    gradients = [
        tf.convert_to_tensor(g)
        for g in tape.gradient(total, network.trainable_weights)
        if g is not None
    ]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    logs = network.train_on_batch(batch, return_dict=True)
    assert np.isfinite(logs["loss"])


def test_a_loss_that_is_not_finite_names_its_image(network):
    y_pred = {name: tf.constant([0.5, 1.0]) for name in losses.NAMES}
    y_pred["mask"] = tf.constant([0.5, np.nan])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)not finite.*\b17\b"):
        network.compute_loss({"image_index": tf.constant([3, 17])}, None, y_pred)


@pytest.mark.slow
def test_training_stops_before_a_loss_that_is_not_finite_changes_a_weight(scenes):
    network = small.model()
    network.mask_head.get_layer("mask_logits").bias.assign([np.nan] * 4)
    _, stream = small.batch(scenes, network)
    before = [w.numpy() for w in network.trainable_weights]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
        network.fit(stream, steps_per_epoch=1, verbose=0)
    for weight, old in zip(network.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize(
    "shape", [(64, 64, 3), (1, 200, 3), (300, 20, 4), (33, 57), (2500, 3500, 3)]
)
def test_images_of_any_size(network, shape):
    rng = np.random.default_rng(0)
    result = network.detect(rng.integers(0, 256, shape, dtype=np.uint8))
    height, width = shape[:2]
    assert result.masks.shape == (len(result), height, width)
    assert (result.boxes >= 0).all()
    assert (result.boxes <= np.array([height, width] * 2) + 1e-3).all()
    assert (np.diff(result.scores) <= 0).all()
    assert set(result.names) <= set(small.CLASSES)


def test_a_list_in_is_a_list_out(network, scenes):
    images = [scenes[0].image, scenes[1].image[:40]]
    results = network.detect(images)
    alone = network.detect(images[1])
    np.testing.assert_array_equal(results[1].boxes, alone.boxes)
    assert network.detect([]) == []


def test_a_higher_mask_threshold_gives_smaller_masks(network, scenes):
    image = scenes[0].image
    low, usual, high = (network.detect(image, t).masks for t in (0.2, 0.5, 0.8))
    assert low[usual].all() and usual[high].all()  # each lies in the one before
    assert low.sum() > usual.sum() > high.sum()
    np.testing.assert_array_equal(network.detect(image).masks, usual)  # the config's
    (listed,) = network.detect([image], 0.2)
    np.testing.assert_array_equal(listed.masks, low)


def test_a_batch_is_its_images(network, scenes):
    images = np.stack([scenes[i].image for i in range(3)]).astype(np.float32)
    sizes = np.array([[64, 64], [64, 40], [30, 64]])  # the rest is padding
    together = network.inference_graph({"images": images, "sizes": sizes})
    for i in range(3):
        one = {"images": images[i : i + 1], "sizes": sizes[i : i + 1]}
        alone = network.inference_graph(one)
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][i], value[0], atol=1e-3)


def test_inference_leaves_out_masks_of_empty_slots_alone(network, scenes):
    inputs = {"images": scenes[0].image[None].astype(np.float32), "sizes": [[64, 64]]}
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    shown = network.inspection_graph(inputs)
    found = network.inference_graph(inputs)
    assert 0 < np.count_nonzero(found["detection_classes"])
    for name, value in found.items():
        np.testing.assert_allclose(value, shown[name], atol=1e-5)


def test_the_mask_branch_trains_on_the_positives_alone(network, scenes):
    batch, _ = small.batch(scenes, network)
    graph = network.training_graph
    names = ("roi_targets", "positives", "mask_roi_align")
    outputs = [graph.get_layer(name).output for name in names]
    targets, positives, features = keras.Model(graph.input, outputs)(
        {name: batch[name] for name in graph.input}
    )
    most = int(tf.reduce_max(tf.math.count_nonzero(targets[1] > 0, axis=1)))
    slots = positives[0].shape[1]
    assert most <= slots <= 1.5 * most
    assert features.shape[0] == 2 * slots


def test_nothing_found_is_an_empty_result():
    network = small.model(detection={"min_score": 1.0})
    result = network.detect(empty_sample().image)
    assert len(result) == 0 and result.masks.shape == (0, 64, 64)


def test_float_images_are_refused(network):
    with pytest.raises(ValueError, match="uint8"):
        network.detect(np.zeros((8, 8, 3), np.float32))


def test_padding_is_zero_and_leaves_the_content_alone(network):
    # The same image in a square of 64 and in one of 128, both padded with zeros.
    image = mr.datasets.Shapes(1, size=64)[0].image[:32, :48].astype(np.float32)
    features = []
    for side in (64, 128):
        padded = np.zeros((1, side, side, 3), np.float32)
        padded[0, :32, :48] = image
        inputs = {"images": padded, "sizes": np.array([[32, 48]])}
        normalized = network.inspection_graph(inputs)["normalized_images"].numpy()
        assert not normalized[0, 32:].any() and not normalized[0, :, 48:].any()
        features.append(normalized[0, :32, :48])
    np.testing.assert_array_equal(*features)


def test_inspection_names_every_stage(network, scenes):
    stages = network.inspect(scenes[0].image)
    first, *_, last = stages
    assert (first, last) == ("normalized_images", "detection_masks")
    assert stages["p2"].shape == (1, 16, 16, 16)
    assert stages["anchors_p2"].shape == (16 * 16 * 3, 4)
    assert stages["rpn_logits_p6"].shape == (1, 3)
    assert stages["proposals"].shape == (1, 40, 4)
    assert stages["box_features"].shape == (40, 7, 7, 16)
    assert stages["mask_logits"].shape == (20, 28, 28, 4)
    result = network.detect(scenes[0].image)
    found = stages["detection_classes"][0] > 0
    np.testing.assert_allclose(
        stages["detection_boxes"][0][found], result.boxes, atol=1e-3
    )


@pytest.mark.slow
def test_keras_file_gives_identical_detections_in_a_fresh_process(
    tmp_path, network, scenes
):
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "image.npy", scenes[0].image)
    code = """
import sys, numpy as np, mrcnn_tf as mr
model = mr.MaskRCNN.load(sys.argv[1] + "/model.keras")
result = model.detect(np.load(sys.argv[1] + "/image.npy"))
np.savez(sys.argv[1] + "/result.npz", boxes=result.boxes, scores=result.scores,
         classes=result.classes, masks=result.masks)
assert model.optimizer is not None
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    result = network.detect(scenes[0].image)
    assert len(result) > 0
    loaded = np.load(tmp_path / "result.npz")
    for name in ("boxes", "scores", "classes", "masks"):
        np.testing.assert_array_equal(loaded[name], getattr(result, name))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_for_other_classes_are_refused(tmp_path, network, suffix):
    path = tmp_path / f"model{suffix}"
    network.save(path) if suffix == ".keras" else network.save_weights(path)
    other = small.model(classes=("cat", "dog"))
    with pytest.raises(ValueError, match=r"(?s)cat.*MaskRCNN\.load"):
        other.load_weights(path)
    small.model(seed=1).load_weights(path)


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mr.MaskRCNN.load(tmp_path / "nowhere.keras")
    (tmp_path / "broken.keras").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"broken\.keras: not a"):
        mr.MaskRCNN.load(tmp_path / "broken.keras")
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    dense.save(tmp_path / "dense.keras")
    with pytest.raises(ValueError, match="holds a Sequential"):
        mr.MaskRCNN.load(tmp_path / "dense.keras")


def test_a_zip_that_is_no_keras_file_has_no_weights(tmp_path, network):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"other\.keras: a zip file, but no"):
        network.load_weights(tmp_path / "other.keras")


def test_a_model_without_classes_is_refused():
    with pytest.raises(ValueError, match="classes is empty"):
        mr.MaskRCNN(mr.Config.preset("tiny"))


def test_weight_decay_spares_biases_and_norms():
    network = small.model()
    network.compile(keras.optimizers.SGD(0.1, weight_decay=0.1))
    weights = network.trainable_weights
    for weight in weights:
        weight.assign(tf.ones(weight.shape))
    network.optimizer.apply([tf.zeros(w.shape) for w in weights], weights)
    for weight in weights:
        expected = 0.99 if weight.path.endswith("kernel") else 1.0
        np.testing.assert_allclose(weight, expected, rtol=1e-5)


@pytest.mark.slow
def test_resnet101_fpn_trains_a_step_and_saves(tmp_path):
    config = mr.Config.preset(
        "resnet101_fpn",
        classes=small.CLASSES,
        image={"short_side": 256, "long_side": 256},
        train={"batch_size": 1, "max_objects": 4, "learning_rate": 1e-4},
    )
    model = mr.MaskRCNN(config)
    model.compile()
    stream = mr.datasets.batches(mr.datasets.Shapes(4), config, training=True)
    history = model.fit(stream, steps_per_epoch=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    image = mr.datasets.Shapes(1)[0].image
    np.testing.assert_array_equal(again.detect(image).boxes, model.detect(image).boxes)
