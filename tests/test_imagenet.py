"""ImageNet weights: ours computes what the published networks compute, or refuses."""

import functools
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import torch_writer

from mrcnn_tf import backbones
from mrcnn_tf.config import Config
from mrcnn_tf.inputs import Normalize
from mrcnn_tf.presets import KERAS_RESNET
from mrcnn_tf.pretrained import load_imagenet
from mrcnn_tf.pretrained.imagenet import load_mobilenet_v2
from mrcnn_tf.pretrained.torchvision_names import resnet_slots

KERAS = Config.preset("resnet50_fpn").replace(**KERAS_RESNET)
TORCHVISION = Config.preset("resnet50_fpn")
MOBILENET = Config.preset("pets", backbone={"width": 35})
RESNET_OUTPUTS = [
    f"conv{name}_out" for name in ("2_block3", "3_block4", "4_block6", "5_block3")
]
MOBILENET_OUTPUTS = [f"block_{n}_expand_relu" for n in (3, 6, 13)] + ["out_relu"]
PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "weights"


def with_backbone(config):
    """What `load_imagenet` uses of a MaskRCNN; the rest takes seconds to build."""
    return SimpleNamespace(config=config, backbone=backbones.build(config.backbone))


@functools.cache
def source(name):
    """A network of Keras Applications, trained on nothing; batch norm's numbers too."""
    keras.utils.set_random_seed(1)
    options = {"include_top": False, "weights": None, "input_shape": (64, 64, 3)}
    if name == "mobilenet_v2":
        network = keras.applications.MobileNetV2(alpha=0.35, **options)
    else:
        network = keras.applications.ResNet50(**options)
    random = np.random.default_rng(0)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name != "kernel":
                low, high = (-0.2, 0.2) if weight.name in SIGNED else (0.5, 1.2)
                weight.assign(random.uniform(low, high, weight.shape))
    return network


SIGNED = ("bias", "beta", "moving_mean")


def outputs_of(model, config, image):
    """C2..C5 of a photograph, normalised as our graph does it."""
    normalize = Normalize(config.image.mean, config.image.std)
    return model.backbone(normalize(image, np.array([image.shape[1:3]], np.int32)))


def photograph():
    image = np.random.default_rng(2).integers(0, 256, (1, 64, 64, 3))
    # The three colours unlike each other, else RGB for BGR would pass.
    return (image * [1.0, 0.5, 0.2]).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of the source networks' weights, in today's format and Keras's older."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name in ("resnet50", "mobilenet_v2"):
        paths[name] = folder / f"{name}.weights.h5"
        source(name).save_weights(paths[name])
        paths[f"{name}_older"] = folder / f"{name}_notop.h5"
        save_older(source(name), paths[f"{name}_older"])
    return paths


def save_older(network, path):
    """The format before Keras 3, that of the published files: layers by name."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(weight)


def assert_refused(model, message, path=None, error=ValueError):
    before = model.backbone.get_weights()
    with pytest.raises(error, match=message):
        load_imagenet(model, path)
    for weight, old in zip(model.backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def change(path, new_path, edit):
    """Copies an h5 file and edits the copy."""
    new_path.write_bytes(Path(path).read_bytes())
    with h5py.File(new_path, "r+") as file:
        edit(file)
    return new_path


@pytest.mark.parametrize(
    ("name", "config", "taps", "preprocess"),
    [
        (
            "resnet50",
            KERAS,
            RESNET_OUTPUTS,
            keras.applications.resnet.preprocess_input,
        ),
        (
            "mobilenet_v2_older",
            MOBILENET,
            MOBILENET_OUTPUTS,
            keras.applications.mobilenet_v2.preprocess_input,
        ),
    ],
)
def test_features_are_those_of_keras(files, name, config, taps, preprocess):
    network = source(name.removesuffix("_older"))
    model, image = with_backbone(config), photograph()
    report = load_imagenet(model, files[name])
    theirs = keras.Model(network.input, [network.get_layer(t).output for t in taps])
    wanted = theirs(preprocess(image.copy()))
    found = outputs_of(model, config, image)
    for ours, their in zip(found, wanted, strict=True):
        ours, their = np.asarray(ours), np.asarray(their)
        assert their.std() > 1e-3  # there is something to compare
        assert np.abs(ours - their).max() <= 1e-4 * np.abs(their).max()
    assert report.tensors == len(model.backbone.weights)
    assert report.parameters == model.backbone.count_params()
    assert report.unused == report.new == ()
    assert str(files[name]) in str(report)


def test_a_network_that_ends_early_takes_what_it_has(files):
    network = keras.applications.MobileNetV2(
        (None, None, 3), 0.35, include_top=False, weights=None
    )
    encoder = keras.Model(network.input, network.get_layer("block_13_expand").output)
    report = load_mobilenet_v2(encoder, 35, files["mobilenet_v2"])
    theirs = source("mobilenet_v2").get_layer("block_13_expand").get_weights()
    np.testing.assert_array_equal(encoder.layers[-1].get_weights(), theirs)
    assert report.tensors == len(encoder.weights)
    assert "block_13_expand_BN/gamma" in report.unused
    assert "Conv_1/kernel" in report.unused
    assert report.tensors + len(report.unused) == len(network.weights)


@pytest.mark.parametrize(
    ("config", "changes", "messages"),
    [
        (
            KERAS,
            {"image": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}},
            ["image.mean", "image.std"],
        ),
        (KERAS, {"backbone": {"norm_epsilon": 1e-5}}, ["backbone.norm_epsilon"]),
        (TORCHVISION, {"backbone": {"norm_epsilon": 0.0}}, ["backbone.norm_epsilon"]),
        (TORCHVISION, {"backbone": {"width": 32}}, ["backbone.width"]),
        (TORCHVISION, {"image": {"mean": (0.5, 0.5, 0.5)}}, ["image.mean"]),
        (MOBILENET, {"image": {"std": (1.0, 1.0, 1.0)}}, ["image.std"]),
    ],
)
def test_another_config_is_refused_and_mended_as_it_says(config, changes, messages):
    model = SimpleNamespace(config=config.replace(**changes), backbone=None)
    with pytest.raises(ValueError) as caught:
        load_imagenet(model, "never read")
    for message in messages:
        assert f"{message}: expected" in str(caught.value)
    advice = str(caught.value).partition("config.replace(**")[2].removesuffix(")")
    model.config = model.config.replace(**eval(advice))
    with pytest.raises(FileNotFoundError):  # one step further
        load_imagenet(model, "never read")


def test_numbers_copied_by_hand_are_close_enough():
    mean = (0.4850, 0.45796, 0.40760)
    model = SimpleNamespace(config=KERAS.replace(image={"mean": mean}), backbone=None)
    with pytest.raises(FileNotFoundError, match="never read"):
        load_imagenet(model, "never read")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [({"name": "resnet18"}, "resnet18"), ({"name": "mobilenet_v2", "width": 60}, "60")],
)
def test_networks_that_nobody_published(backbone, message):
    config = MOBILENET.replace(backbone=backbone)
    model = SimpleNamespace(config=config, backbone=None)
    with pytest.raises(ValueError, match=f"no ImageNet weights for .*{message}"):
        load_imagenet(model)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (KERAS, "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        (TORCHVISION, "resnet101-63fe2227.pth"),
        (MOBILENET, "0.35_224_no_top.h5"),
    ],
)
def test_offline_it_says_where_to_put_which_file(monkeypatch, config, name):
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    if any(cache.rglob(f"*{name}")):
        pytest.skip("Keras's cache has it")

    def unreachable(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    if config is not MOBILENET:
        config = config.replace(backbone={"name": "resnet101"})
    model = SimpleNamespace(config=config, backbone=None)
    with pytest.raises(FileNotFoundError, match="or pass its path") as error:
        load_imagenet(model)
    assert name in str(error.value)


def test_files_of_something_else_are_refused(files, tmp_path):
    model = with_backbone(MOBILENET)
    assert_refused(model, "none.h5: no such file", "none.h5", FileNotFoundError)
    for path in (files["resnet50"], files["resnet50_older"]):
        assert_refused(model, f"{path}: not the weights of .*, found", path)
    (tmp_path / "noise.weights.h5").write_bytes(b"no weights")
    assert_refused(model, "noise.weights.h5: not", tmp_path / "noise.weights.h5")
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(files["mobilenet_v2"].read_bytes()[:100_000])
    assert_refused(model, "cut.weights.h5: not", cut)


def test_files_with_one_fault_are_refused(files, tmp_path):
    model = with_backbone(MOBILENET)

    def miss(file):
        del file["layers/batch_normalization/vars/2"]

    def misshape(file):
        shape = file["layers/conv2d/vars/0"].shape
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = np.zeros((*shape[:3], shape[3] + 8), np.float32)

    def add_top(file):
        file["layers/dense/vars/0"] = np.zeros((1280, 1000), np.float32)
        file["layers/dense/vars/1"] = np.zeros(1000, np.float32)

    for edit in (miss, misshape, add_top):
        path = change(
            files["mobilenet_v2"], tmp_path / f"{edit.__name__}.weights.h5", edit
        )
        assert_refused(model, f"{path}: not the weights of", path)


def test_layers_in_another_order_are_refused(files, tmp_path):
    """The two batch norms that meet in a block are alike in shape."""

    def swap(file):
        names = list(file.attrs["layer_names"])
        i, j = (names.index(f"conv2_block1_{n}_bn") for n in (0, 3))
        names[i], names[j] = names[j], names[i]
        file.attrs["layer_names"] = names

    path = change(files["resnet50_older"], tmp_path / "swapped.h5", swap)
    assert_refused(with_backbone(KERAS), "expected the layer conv2_block1_", path)


def test_another_alpha_is_refused(files):
    config = MOBILENET.replace(backbone={"width": 50})
    path = files["mobilenet_v2"]
    assert_refused(with_backbone(config), "not the weights of .* alpha 0.5", path)


def test_a_backbone_of_another_width_is_refused(files):
    backbone = backbones.mobilenet_v2(50)
    with pytest.raises(ValueError, match=r"block_1_project/kernel: expected .*, found"):
        load_mobilenet_v2(backbone, 35, files["mobilenet_v2"])


@pytest.fixture(scope="module")
def torchvision():
    """A ResNet-50 and what a file of torchvision's would hold, less the classifier."""
    model = with_backbone(TORCHVISION)
    random = np.random.default_rng(3)
    state = {
        slot.name: random.normal(0, 0.1, slot.shape).astype(np.float32)
        for slot in resnet_slots(model.backbone)
    }
    state["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    state["fc.weight"] = np.zeros((1000, 2048), np.float32)
    state["fc.bias"] = np.zeros(1000, np.float32)
    return model, state


def test_torchvision_weights_reach_every_layer(torchvision, tmp_path):
    model, state = torchvision
    torch_writer.save(state, tmp_path / "resnet50.pth")
    report = load_imagenet(model, tmp_path / "resnet50.pth")
    assert report.tensors == 265 and report.parameters == 23_561_152
    assert set(report.unused) == {"fc.weight", "fc.bias", "bn1.num_batches_tracked"}

    block = [model.backbone.get_layer(f"c4_5_{name}") for name in ("conv2", "norm2")]
    kernel = state["layer3.5.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(block[0].get_weights()[0], kernel)
    parts = ("weight", "bias", "running_mean", "running_var")
    for part, found in zip(parts, block[1].get_weights(), strict=True):
        np.testing.assert_array_equal(found, state[f"layer3.5.bn2.{part}"])
    np.testing.assert_array_equal(
        model.backbone.get_layer("c2_0_shortcut_conv").get_weights()[0],
        state["layer1.0.downsample.0.weight"].transpose(2, 3, 1, 0),
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fc.weight", None, "fc.weight: missing"),
        ("fc.weight", np.zeros((365, 2048), np.float32), "fc.weight: expected"),
        ("layer2.0.conv1.weight", None, "layer2.0.conv1.weight: missing"),
        ("conv1.weight", np.zeros((64, 7, 7, 3), np.float32), "conv1.weight: expected"),
        ("extra", np.zeros(3, np.float32), "extra: left over"),
    ],
)
def test_torchvision_files_with_one_fault(torchvision, tmp_path, name, value, message):
    model, state = torchvision
    state = {**state, name: value}
    state = {key: array for key, array in state.items() if array is not None}
    torch_writer.save(state, tmp_path / "bad.pth")
    assert_refused(model, rf"bad.pth: (.|\n)*{message}", tmp_path / "bad.pth")


def test_the_names_of_a_resnet_101():
    """As many blocks as torchvision's, 23 of them in its third layer."""
    config = TORCHVISION.replace(backbone={"name": "resnet101"})
    slots = resnet_slots(backbones.build(config.backbone))
    shapes = {slot.name: slot.shape for slot in slots}
    assert len(shapes) == len(slots) == 104 * 5
    assert shapes["layer3.22.conv3.weight"] == (1024, 256, 1, 1)
    assert shapes["layer4.0.downsample.0.weight"] == (2048, 1024, 1, 1)
    assert shapes["conv1.weight"] == (64, 3, 7, 7)


@pytest.mark.parametrize(
    ("width", "name"),
    [
        (35, "mobilenet_v2_0.35_224_no_top_imagenet.weights.h5"),
        (100, "mobilenet_v2_1.0_no_top_imagenet_dequantised.weights.h5"),
    ],
)
def test_published_mobilenets(width, name):
    if not (PUBLISHED / name).is_file():
        pytest.skip("no ../shared/data/weights")
    model = with_backbone(MOBILENET.replace(backbone={"width": width}))
    report = load_imagenet(model, PUBLISHED / name)
    assert report.tensors == 260
    # Trained: no batch norm has its fresh variance of 1.
    norm = model.backbone.get_layer("block_13_project_BN")
    assert np.abs(np.asarray(norm.moving_variance) - 1).min() > 1e-4
