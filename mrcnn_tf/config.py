"""Every number of the network and its training, one frozen dataclass per concern.

`config_parts.py` has the fields and their defaults, `presets.py` the departures from
them. A config is checked as it is made, and goes to JSON and back whole.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field

from mrcnn_tf.config_parts import (
    AugmentConfig,
    BackboneConfig,
    DetectionConfig,
    ImageConfig,
    RoIConfig,
    RPNConfig,
    TrainConfig,
    check,
)
from mrcnn_tf.presets import PRESETS


@dataclass(frozen=True)
class Config:
    """The whole: what the network is, how it is trained, what its classes are."""

    classes: tuple = ()  # names without background; class 1 is classes[0]
    image: ImageConfig = field(default_factory=ImageConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    rpn: RPNConfig = field(default_factory=RPNConfig)
    roi: RoIConfig = field(default_factory=RoIConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        check(
            len(set(self.classes)) == len(self.classes),
            "classes",
            self.classes,
            "names that differ",
        )
        check(
            self.rpn.post_nms_test >= self.detection.max_detections,
            "detection.max_detections",
            self.detection.max_detections,
            f"at most rpn.post_nms_test = {self.rpn.post_nms_test}",
        )
        check(
            self.roi.samples <= self.rpn.post_nms_train + self.train.max_objects,
            "roi.samples",
            self.roi.samples,
            "at most rpn.post_nms_train + train.max_objects",
        )

    @property
    def num_outputs(self):
        """Channels of the class scores: the classes and background."""
        return len(self.classes) + 1

    @property
    def has_masks(self):
        """Whether the network has a mask branch."""
        return self.roi.mask_kind != "none"

    @property
    def num_mask_outputs(self):
        """Channels of the mask logits: as many, or one for all classes."""
        return 1 if self.roi.mask_kind == "agnostic" else self.num_outputs

    @classmethod
    def preset(cls, name, classes=(), **changes):
        """Makes a named config.

        Args:
            name: a key of `PRESETS`.
            classes: names without background.
            **changes: whole parts, or dicts that change some of their fields:
                `Config.preset("tiny", classes=("cat",), train={"steps": 100})`.
        Raises:
            ValueError: for an unknown preset or field, or one that contradicts.
        """
        if name not in PRESETS:
            raise ValueError(f"config: no preset {name!r}; there are {list(PRESETS)}")
        config = cls.from_dict({**PRESETS[name], "classes": tuple(classes)})
        return config.replace(**changes)

    def replace(self, **changes):
        """Returns a config with some fields changed; dicts change parts of parts."""
        return merged(self, changes, "")

    @classmethod
    def from_dict(cls, values):
        """Makes a config from nested dicts; what is absent keeps its default."""
        return merged(cls(), values, "")

    @classmethod
    def from_json(cls, text):
        """Reads what `to_json` wrote."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"config: not JSON: {error}") from error
        return cls.from_dict(values)

    def to_dict(self):
        """Returns nested dicts of plain values."""
        return dataclasses.asdict(self)

    def to_json(self):
        """Returns JSON text with every field."""
        return json.dumps(self.to_dict(), indent=2)


def merged(config, changes, path):
    """Returns a frozen dataclass with the (nested) `changes` made.

    Args:
        config: a `Config`, or any frozen dataclass whose fields have defaults.
        changes: dict from field to value; dicts change parts of parts.
        path: put before the names of fields in errors, as "run.".
    Raises:
        ValueError: for an unknown field or a value of another type.
    """
    if not isinstance(changes, dict):
        raise ValueError(
            f"config: {path or 'config'} must be a dict, found {changes!r}"
        )
    known = {f.name: f for f in dataclasses.fields(config)}
    values = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(
                f"config: no field {path + name!r}; there are {sorted(known)}"
            )
        old = getattr(config, name)
        if dataclasses.is_dataclass(old):
            is_part = dataclasses.is_dataclass(value)
            value = value if is_part else merged(old, value, f"{path}{name}.")
        else:
            value = _like(known[name].default, value, path + name)
        values[name] = value
    return dataclasses.replace(config, **values)


def _like(default, value, name):
    """Gives `value` the type of the field's default, or says what is wrong."""
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, (bool, str, tuple)):
        right = isinstance(value, type(default))
    elif isinstance(default, int):
        right = is_number and math.isfinite(value) and value == int(value)
        value = int(value) if right else value
    else:  # a float, or None where a number may stand
        right = is_number and math.isfinite(value)
        value = float(value) if right else value
        right = right or (default is None and value is None)
    if not right:
        kind = "number" if default is None else type(default).__name__
        raise ValueError(f"config: {name} must be a {kind}, found {value!r}")
    return value
