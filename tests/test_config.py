"""The config says what is wrong with it."""

import pytest

from mrcnn_tf.config import Config
from mrcnn_tf.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name):
    config = Config.preset(name, classes=("cat", "dog"))
    assert Config.from_json(config.to_json()) == config


def test_defaults_are_the_reference():
    config = Config()
    assert config.rpn.anchor_sizes == (32, 64, 128, 256, 512)
    assert config.roi.samples == 512 and not config.roi.aligned
    assert Config.preset("resnet50_fpn") == config


def test_changes_reach_nested_fields_and_nothing_else():
    config = Config.preset("tiny", train={"steps": 7})
    assert config.train.steps == 7
    assert config.replace(train={"steps": 8}).image == config.image
    assert config.train.optimizer == Config.preset("tiny").train.optimizer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "no field 'colour'"),
        ({"rpn": {"anchor_size": (1,)}}, "no field 'rpn.anchor_size'"),
        ({"rpn": {"anchor_sizes": (32, 64)}}, "five numbers"),
        ({"rpn": {"negative_iou": 0.9}}, "rpn.negative_iou must be from 0 to"),
        ({"image": {"short_side": 900, "long_side": 800}}, "image.short_side"),
        ({"image": {"resize": "square", "long_side": 1000}}, "multiple of"),
        ({"image": {"resize": "stretch"}}, "'stretch'"),
        ({"backbone": {"name": "vgg16"}}, "'vgg16'"),
        ({"train": {"steps": "many"}}, "train.steps must be a int"),
        ({"train": {"steps": 0}}, "at least 1"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate"),
        ({"train": 3}, "must be a dict"),
        ({"detection": {"max_detections": 2000}}, "at most rpn.post_nms_test"),
        ({"classes": ("cat", "cat")}, "names that differ"),
    ],
)
def test_unknown_or_contradictory_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Config().replace(**changes)


def test_unknown_preset_lists_those_there_are():
    with pytest.raises(ValueError, match="tiny"):
        Config.preset("huge")


def test_not_json():
    with pytest.raises(ValueError, match="not JSON"):
        Config.from_json("{")


def test_a_field_keeps_its_type_whatever_it_was_changed_to():
    config = Config.preset("tiny", backbone={"norm_epsilon": 0})
    assert isinstance(config.backbone.norm_epsilon, float)
    assert config.replace(backbone={"norm_epsilon": 1e-3}).backbone.norm_epsilon == 1e-3
    clipped = config.replace(train={"clip_norm": 5})
    assert clipped.replace(train={"clip_norm": None}).train.clip_norm is None
    with pytest.raises(ValueError, match=r"train\.clip_norm must be a number"):
        clipped.replace(train={"clip_norm": "much"})


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_stride_that_a_backbone_has_not_is_refused(name):
    with pytest.raises(ValueError, match=rf"stride_in must be 3x3 for {name}"):
        Config.preset("resnet50_fpn", backbone={"name": name, "stride_in": "1x1"})
