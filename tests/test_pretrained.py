"""Published weights: mapped by name and shape, or refused; COCO to other classes.

Whole networks are compared with torchvision in test_checkpoints.py. Here a narrow one
stands for them.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_writer
from small import batch

import mrcnn_tf as mr
from mrcnn_tf.pretrained import COCO_CLASSES, COCO_NAMES, coco, files
from mrcnn_tf.pretrained.torchvision_names import mask_rcnn_slots, modern_name

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"
NARROW = {
    "image": {"resize": "square", "short_side": 64, "long_side": 64},
    "backbone": {"width": 8, "fpn_channels": 8},
    "rpn": {"post_nms_train": 40, "post_nms_test": 40},
    "roi": {"samples": 8, "box_units": 12, "mask_channels": 8},
    "detection": {"max_detections": 10, "min_score": 0.001},  # it knows nothing
    "train": {"batch_size": 2, "max_objects": 4},
}
FC7 = "roi_heads.box_head.fc7.weight"  # square, and a matrix
CONV = "backbone.fpn.layer_blocks.2.0.weight"


@pytest.fixture(scope="module")
def model():
    """A narrow Mask R-CNN with COCO's classes."""
    return mr.MaskRCNN(coco.coco_config("coco", **NARROW))


@pytest.fixture(scope="module")
def tensors(model):
    """A checkpoint that fits it."""
    rng = np.random.default_rng(0)

    def numbers(shape):
        # Kernels about zero, so that the activations stay small.
        low, high = (0.5, 1.5) if len(shape) == 1 else (-0.1, 0.1)
        return rng.uniform(low, high, shape).astype(np.float32)

    return {slot.name: numbers(slot.shape) for slot in mask_rcnn_slots(model)}


def old_name(name):
    """What torchvision called a tensor when it published the first COCO file."""
    name = name.replace("rpn.head.conv.0.0", "rpn.head.conv")
    for block in ("inner_blocks", "layer_blocks"):
        for level in range(4):
            name = name.replace(f"{block}.{level}.0", f"{block}.{level}")
    for index in range(4):
        name = name.replace(f"mask_head.{index}.0", f"mask_head.mask_fcn{index + 1}")
    return name


def values(model):
    """All weights, to compare before and after."""
    return [variable.numpy() for variable in model.weights]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_names_and_shapes_are_those_of_the_published_file(version):
    name = {"v1": "coco", "v2": "coco_v2"}[version]
    manifest = json.loads((GOLDEN / f"checkpoint_{version}.json").read_text())
    published = {
        modern_name(name): tuple(shape)
        for name, shape, dtype in manifest["tensors"]
        if dtype == "float32"
    }
    slots = mask_rcnn_slots(mr.MaskRCNN(coco.coco_config(name)))
    assert {slot.name: slot.shape for slot in slots} == published
    assert len(slots) == len(published)
    assert files.PUBLISHED[name].name == manifest["published_file"]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("naming", [str, old_name])
def test_both_spellings_and_both_formats(model, tensors, tmp_path, naming, legacy):
    path = tmp_path / "file.pth"
    torch_writer.save({naming(k): v for k, v in tensors.items()}, path, legacy)
    report = coco.load_coco(model, "coco", path)
    assert report.tensors == len(tensors) == 307
    assert report.parameters == sum(tensor.size for tensor in tensors.values())
    assert report.new == report.unused == ()
    assert "307 tensors" in str(report)


def test_every_weight_comes_from_its_tensor(model, tensors, tmp_path):
    torch_writer.save(tensors, tmp_path / "file.pth")
    coco.load_coco(model, "coco", tmp_path / "file.pth")
    # [out, in, height, width] to [height, width, in, out]
    kernel = model.fpn.get_layer("p4").kernel.numpy()
    np.testing.assert_array_equal(kernel[0, 2, 3, 5], tensors[CONV][5, 3, 0, 2])
    # The first dense layer sees [row, column, channel], PyTorch's sees channels first.
    kernel = model.box_head.get_layer("fc1").kernel.numpy()  # [7 * 7 * 8, 12]
    fc6 = tensors["roi_heads.box_head.fc6.weight"]  # [12, 8 * 7 * 7]
    row, column, channel = 2, 5, 3
    np.testing.assert_array_equal(
        kernel[(row * 7 + column) * 8 + channel],
        fc6[:, (channel * 7 + row) * 7 + column],
    )
    # (dx, dy, dw, dh) of class 3 to (dy, dx, dh, dw).
    bias = model.box_head.get_layer("box_deltas").bias.numpy()
    dx, dy, dw, dh = tensors["roi_heads.box_predictor.bbox_pred.bias"][12:16]
    np.testing.assert_array_equal(bias[12:16], [dy, dx, dh, dw])
    # A transposed convolution is [in, out, height, width] there.
    kernel = model.mask_head.get_layer("upsample").kernel.numpy()
    theirs = tensors["roi_heads.mask_predictor.conv5_mask.weight"]
    np.testing.assert_array_equal(kernel[0, 1, 2, 3], theirs[3, 2, 0, 1])


def without(tensors, name):
    return {k: v for k, v in tensors.items() if k != name}


DEFECTS = {
    "renamed": (
        lambda t: {**without(t, CONV), "fpn.p4": t[CONV]},
        [f"{CONV}: missing", "fpn.p4: left over"],
    ),
    "missing": (lambda t: without(t, FC7), [f"{FC7}: missing"]),
    "misshapen": (
        lambda t: {**t, "rpn.head.bbox_pred.weight": np.zeros((8, 12, 1, 1), "f")},
        [r"rpn.head.bbox_pred.weight: expected float32 \[12, 8, 1, 1\], found"],
    ),
    "transposed": (
        lambda t: {
            **t,
            "roi_heads.box_head.fc6.weight": np.ascontiguousarray(
                t["roi_heads.box_head.fc6.weight"].T
            ),
        },
        [r"roi_heads.box_head.fc6.weight: expected float32 \[12, 392\], found"],
    ),
    "transposed in place": (
        # Square, so that its shape says nothing; what tensor.t() saves does.
        lambda t: [
            (k, torch_writer.tensor(v, i, strides=(1, 12)) if k == FC7 else v)
            for i, (k, v) in enumerate(t.items())
        ],
        [f"transposed tensor at '{FC7}'"],
    ),
    "doubled": (lambda t: [*t.items(), (CONV, t[CONV])], [f"holds '{CONV}' twice"]),
    "doubled in another spelling": (
        lambda t: {**t, old_name(CONV): t[CONV]},
        [f"{old_name(CONV)}: twice there, also as {CONV}"],
    ),
    "of another precision": (
        lambda t: {**t, FC7: t[FC7].astype(np.float64)},
        [rf"{FC7}: expected float32 \[12, 12\], found float64"],
    ),
    "of integers": (
        lambda t: {**t, FC7: t[FC7].astype(np.int64)},
        [rf"{FC7}: expected float32 \[12, 12\], found int64"],
    ),
    "of half precision": (
        lambda t: {**t, FC7: t[FC7].astype(np.float16)},
        [rf"{FC7}: expected float32 \[12, 12\], found float16"],
    ),
    "calls a function": (
        lambda t: {**t, FC7: torch_writer.evil("/tmp/never")},
        [f"call the name os.system at '{FC7}'"],
    ),
    "a counter of nothing": (
        lambda t: {**t, "bn9.num_batches_tracked": np.array(3)},
        ["bn9.num_batches_tracked: left over"],
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("legacy", [False, True])
def test_defective_checkpoints_change_nothing(model, tensors, tmp_path, defect, legacy):
    spoil, messages = DEFECTS[defect]
    torch_writer.save(spoil(tensors), tmp_path / "bad.pth", legacy)
    before = values(model)
    for message in messages:
        with pytest.raises(ValueError, match=message):
            coco.load_coco(model, "coco", tmp_path / "bad.pth")
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_entry_twice_in_the_zip(model, tensors, tmp_path):
    torch_writer.save(tensors, tmp_path / "bad.pth")
    with (
        zipfile.ZipFile(tmp_path / "bad.pth", "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("archive/data/3", b"other numbers")
    with pytest.raises(ValueError, match="holds an entry twice"):
        coco.load_coco(model, "coco", tmp_path / "bad.pth")


def test_many_problems_are_listed_in_part(model, tmp_path):
    torch_writer.save({"a": np.ones(1, np.float32)}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="and 298 more"):
        coco.load_coco(model, "coco", tmp_path / "bad.pth")


def test_counters_of_batch_norm_are_told_apart(model, tensors, tmp_path):
    counters = {
        name.replace("running_var", "num_batches_tracked"): np.array(5)
        for name in tensors
        if name.endswith("running_var")
    }
    torch_writer.save({**tensors, **counters}, tmp_path / "file.pth")
    report = coco.load_coco(model, "coco", tmp_path / "file.pth")
    assert len(report.unused) == len(counters) == 53
    assert "53 not used: backbone.body.bn1.num_batches_tracked" in str(report)


def test_classes_are_category_ids():
    assert len(COCO_CLASSES) == 90 and len(COCO_NAMES) == 80
    assert COCO_CLASSES[0] == "person" and COCO_CLASSES[89] == "toothbrush"
    assert COCO_CLASSES[17 - 1] == "cat" and COCO_CLASSES[18 - 1] == "dog"
    gaps = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert [i for i in range(1, 91) if COCO_CLASSES[i - 1].startswith("unused")] == gaps


def test_names_are_those_of_the_annotations():
    path = SHARED / "data/coco_mini/annotations/instances_val2017.json"
    if not path.is_file():
        pytest.skip("needs ../shared/data/coco_mini")
    categories = json.loads(path.read_text())["categories"]
    assert {c["id"]: c["name"] for c in categories} == COCO_NAMES


@pytest.mark.slow
def test_predictions_carry_names(tensors, tmp_path, capsys):
    torch_writer.save(tensors, tmp_path / "file.pth")
    model = mr.MaskRCNN.from_pretrained("coco", tmp_path / "file.pth", **NARROW)
    assert "307 tensors" in capsys.readouterr().out
    result = model.detect(np.zeros((50, 60, 3), np.uint8))
    assert len(result) and result.class_names == COCO_CLASSES
    assert result.names == [COCO_CLASSES[c - 1] for c in result.classes]
    model.save(tmp_path / "coco.keras")  # as it is, never compiled
    again = mr.MaskRCNN.load(tmp_path / "coco.keras")
    np.testing.assert_array_equal(
        again.detect(np.zeros((50, 60, 3), np.uint8)).scores, result.scores
    )


@pytest.mark.slow
def test_fine_tuning_keeps_what_fits_and_says_what_is_new(tensors, tmp_path, capsys):
    path = tmp_path / "file.pth"
    torch_writer.save(tensors, path)
    shapes = mr.datasets.Shapes(4, size=64)
    model = mr.MaskRCNN.from_pretrained("coco", path, shapes.classes, **NARROW)
    said = capsys.readouterr().out
    assert "301 tensors" in said
    assert (
        "new and to be trained: "
        "box_head/class_logits, box_head/box_deltas, mask_head/mask_logits" in said
    )
    assert model.config.classes == shapes.classes
    assert model.config.train.learning_rate == 0.005  # presets.FINE_TUNE
    np.testing.assert_array_equal(
        model.box_head.get_layer("fc2").kernel.numpy().T, tensors[FC7]
    )
    new = model.box_head.get_layer("class_logits").kernel.numpy()
    assert new.shape == (12, len(shapes.classes) + 1)
    assert abs(new).max() < 0.1  # those of the file are not
    model.compile()
    before = new.copy()
    frozen = model.backbone.get_layer("stem_conv").kernel.numpy()
    model.fit(batch(shapes, model)[1].take(1), steps_per_epoch=1, verbose=0)
    assert (model.box_head.get_layer("class_logits").kernel.numpy() != before).any()
    np.testing.assert_array_equal(
        model.backbone.get_layer("stem_conv").kernel.numpy(), frozen
    )


def test_as_many_classes_as_coco_keep_the_heads(tensors, tmp_path, capsys):
    torch_writer.save(tensors, tmp_path / "file.pth")
    own = [f"thing {i}" for i in range(90)]
    model = mr.MaskRCNN.from_pretrained("coco", tmp_path / "file.pth", own, **NARROW)
    assert "307 tensors" in capsys.readouterr().out
    assert model.config.classes == tuple(own)


def test_a_network_of_boxes_leaves_the_mask_branch_in_the_file(
    tensors, tmp_path, capsys
):
    torch_writer.save(tensors, tmp_path / "file.pth")
    roi = {**NARROW["roi"], "mask_kind": "none"}
    changes = {**NARROW, "roi": roi}
    model = mr.MaskRCNN.from_pretrained(
        "coco", tmp_path / "file.pth", ("cell",), **changes
    )
    # Twelve of the mask branch, and four of the layers that are new.
    assert "291 tensors" in (said := capsys.readouterr().out)
    assert "16 not used" in said and "mask_head" not in said.partition("; new")[2]
    np.testing.assert_array_equal(
        model.box_head.get_layer("fc2").kernel.numpy().T, tensors[FC7]
    )


def test_wrong_number_of_classes_in_the_file(model, tensors, tmp_path):
    name = "roi_heads.box_predictor.cls_score.bias"
    torch_writer.save({**tensors, name: np.ones(3, np.float32)}, tmp_path / "f.pth")
    with pytest.raises(ValueError, match=rf"{name}: expected float32 \[91\]"):
        mr.MaskRCNN.from_pretrained("coco", tmp_path / "f.pth", ("cat",), **NARROW)


def test_unknown_network():
    with pytest.raises(ValueError, match="no pretrained network 'imagenet'"):
        mr.MaskRCNN.from_pretrained("imagenet")


def test_the_other_network_is_refused(tensors, tmp_path):
    torch_writer.save(tensors, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"rpn\.head\.conv\.1\.0\.bias: missing"):
        changes = {**NARROW, "roi": {**NARROW["roi"], "box_convs": 0, "box_layers": 2}}
        changes["roi"]["head_norm"] = changes["backbone"]["fpn_norm"] = False
        mr.MaskRCNN.from_pretrained("coco_v2", tmp_path / "file.pth", **changes)
