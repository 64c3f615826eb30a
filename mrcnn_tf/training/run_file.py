"""A run in a file: what learns what, from which data, into which folder.

The file is JSON: the parts of `Config` as they are, and a part "run" beside them.
Paths in it are relative to where the command runs, not to the file. TensorFlow is not
needed to read or write it.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from mrcnn_tf import datasets
from mrcnn_tf.config import Config, merged

# "none": from scratch. "imagenet": the backbone. Else a whole network, to fine-tune.
WEIGHTS = ("none", "imagenet", "coco", "coco_v2")
# What may change when a run goes on: a larger number of steps, which the decay of the
# learning rate then follows; how it is measured; and where its files lie.
MAY_CHANGE = (
    "train.steps",
    "run.evaluate_every",
    "run.evaluate_images",
    "run.weights_file",
    "run.folder",
)


@dataclass(frozen=True)
class RunConfig:
    """What a run is besides its network: data, weights to begin with, folder."""

    data: str = ""  # a name or a path, as `datasets.load` takes it
    format: str = "auto"  # of the annotations, see `datasets.formats`; auto: look
    compose: int = 0  # objects; scenes of 1 to so many, composed; 0: images as they are
    weights: str = "none"  # to begin with, one of WEIGHTS
    weights_file: str = ""  # path of a copy of the published file; "": downloaded
    folder: str = ""  # path of the run's folder; it is made
    seed: int = 0  # of first weights, order of images, augmentation and sampling
    # Batches; a part ends with a checkpoint, so a kill costs at most one part.
    steps_per_part: int = 100
    evaluate_every: int = 1  # parts between two measurements on val; 0: none
    evaluate_images: int = 200  # of val that are measured, spread evenly; 0: all
    # True: the same numbers to the last bit from every start, and slower.
    deterministic: bool = False

    def __post_init__(self):
        if self.weights not in WEIGHTS:
            raise ValueError(
                f"config: run.weights must be one of {WEIGHTS}, found {self.weights!r}"
            )
        for name, least in (
            ("compose", 0),
            ("seed", 0),
            ("steps_per_part", 1),
            ("evaluate_every", 0),
            ("evaluate_images", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"config: run.{name} must be at least {least}, found "
                    f"{getattr(self, name)}"
                )

    @property
    def format_name(self):
        """The format as `datasets.load` takes it: None to look."""
        return None if self.format == "auto" else self.format


def run_to_json(run, config):
    """Returns the JSON text of a run, every field in it.

    Args:
        run: a `RunConfig`.
        config: a `Config`.
    """
    return json.dumps({"run": dataclasses.asdict(run), **config.to_dict()}, indent=2)


def run_from_json(text):
    """Reads what `run_to_json` wrote; what is absent keeps its default.

    Returns:
        run: a `RunConfig`.
        config: a `Config`.
    Raises:
        ValueError: names the field that is unknown or of a wrong type or value.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"config: not JSON: {error}") from error
    if not isinstance(values, dict) or "run" not in values:
        raise ValueError(
            'config: no part "run", which says what to train on and where; '
            "scripts/make_config.py writes a whole file"
        )
    run = values.pop("run")
    return merged(RunConfig(), run, "run."), Config.from_dict(values)


def read_run(path):
    """Reads the file of a run, as `run_from_json`.

    Raises:
        FileNotFoundError, ValueError: name the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; scripts/make_config.py writes one"
        )
    try:
        return run_from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def changed_run(run, config, changes):
    """Changes fields of a run by name.

    Args:
        run: a `RunConfig`.
        config: a `Config`.
        changes: dict from part to dict from field to value; "run" is a part.
    Returns:
        the `RunConfig` and the `Config`.
    Raises:
        ValueError: as `Config.replace`.
    """
    changes = dict(changes)
    run = merged(run, changes.pop("run", {}), "run.")
    return run, config.replace(**changes)


def open_data(run, config):
    """Opens the data of a run; classes are numbered as the config has them.

    Returns:
        `datasets.Splits`.
    Raises:
        ValueError, OSError: as `datasets.load`.
    """
    return datasets.load(
        run.data,
        size=config.image.long_side,
        compose=run.compose,
        format=run.format_name,
        classes=config.classes or None,
    )


def differences(old, new):
    """Says in what two runs, or two configs, differ that may not.

    Args:
        old: nested dicts, what `json.loads` gives for a run or a config.
        new: the same of another; `train.steps` may be larger in it.
    Returns:
        list of strings such as "run.seed 0 there, 1 asked".
    """
    old, new = dict(_flat(old)), dict(_flat(new))
    found = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        fewer = name == "train.steps" and before is not None and after < before
        if before != after and (fewer or name not in MAY_CHANGE):
            found.append(f"{name} {before} there, {after} asked")
    return found


def _flat(values, path=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
