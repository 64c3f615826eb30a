"""A whole run: from its config to a trained network, through any number of kills.

A run is cut into parts of `run.steps_per_part` batches. At the end of each, the
network with its optimiser is saved; the steps that the optimiser has taken say where
the run stands. What is random in a batch comes from the seed and the batch's place in
the run alone, so that nothing else need be saved: a run that goes on from a
checkpoint does what it would have done.
"""

import contextlib
import functools
import json
import math
import sys
from pathlib import Path

import keras
import tensorflow as tf

from mrcnn_tf import datasets, pretrained
from mrcnn_tf.evaluation.coco import evaluate
from mrcnn_tf.mask_rcnn import MaskRCNN
from mrcnn_tf.training import checkpoints, distribution
from mrcnn_tf.training.parts import Parts
from mrcnn_tf.training.run_file import differences, open_data, run_to_json
from mrcnn_tf.training.versions import device_name, versions

# Of the run's folder.
LAST, BEST = "last.keras", "best.keras"
CONFIG, VERSIONS, TEST = "config.json", "versions.json", "test.json"


def train(run, config):
    """Trains a network, or goes on where a run of the same config was stopped.

    The folder gets `last.keras`, with its optimiser, after each part; `best.keras`,
    see `parts.Parts`; `log.csv`, a row for each part; `steps.csv`, a row for each
    step; `tensorboard/`; `config.json`, this run; `versions.json`, an entry for each
    start; and `test.json`, the best network measured on the test split.

    With several GPUs it trains on all of them, and with TF_CONFIG on several machines,
    of which the chief alone writes; see `distribution` and docs/distribution.md.

    Args:
        run: a `RunConfig`.
        config: a `Config`; without classes it takes the data's.
    Returns:
        `Evaluation` of the best network on the test split; None if the run was
        finished before, or this is not the chief.
    Raises:
        ValueError, OSError: if the config contradicts itself, the data or what is in
            the folder, a file is damaged, the disk is full or read-only, or another
            worker has stopped.
        tf.errors.InvalidArgumentError: if the loss is not finite, or an image of the
            data cannot be read.
        KeyboardInterrupt: upon Ctrl-C, with a sentence on how to go on.
    """
    _check(run, config)
    strategy = distribution.make_strategy()
    with distribution.lost_worker():
        return _train(run, config, strategy)


def _train(run, config, strategy):
    distribution.check_batch(config.train.batch_size, strategy)
    splits = open_data(run, config)
    if not config.classes:
        # Opened again, for the other splits to number their classes alike.
        config = config.replace(classes=splits.train.classes)
        splits = open_data(run, config)
    if config.has_masks and not getattr(splits.train, "has_masks", True):
        config = config.replace(roi={"mask_kind": "none"})
        print(f"{run.data} has boxes alone: the network gets no mask branch")
    if run.deterministic:
        _be_deterministic()
    if not distribution.is_chief(strategy):
        return _follow(run, config, strategy, splits)
    folder = Path(run.folder)
    checkpoints.make_folder(folder)
    with checkpoints.locked(folder):
        _check_same_run(folder, run, config)
        keras.utils.set_random_seed(run.seed)
        in_team = distribution.is_team(strategy)
        with contextlib.nullcontext() if in_team else strategy.scope():
            model = MaskRCNN(config)
            model.compile()
        checkpoints.check_space(folder, model)
        step = 0
        if (folder / LAST).exists():
            step = checkpoints.restore(model, folder / LAST)
        print(_plan(run, config, splits, step, strategy), flush=True)
        if step == 0:
            _load_weights(model, run)
        _record(folder, run, config, step)
        team = distribution.Team(strategy, config, model) if in_team else None
        if step < config.train.steps:
            (folder / TEST).unlink(missing_ok=True)
            _fit(model, team, run, splits, step)
        evaluation = _test(folder, model, splits.test)
        if team:
            team.wait()
        return evaluation


def _follow(run, config, strategy, splits):
    """Trains as one of several workers, which writes nothing."""
    resolver = strategy.cluster_resolver
    name = f"{resolver.task_type} {resolver.task_id}"
    print(f"{name} trains with the chief, which alone writes", flush=True)
    team = distribution.Team(strategy, config)
    print(f"{name} begins at step {team.steps} of {config.train.steps}", flush=True)
    for first, place in _spans(team.steps, config.train.steps, run.steps_per_part):
        team.fit(_batches(splits, config, run, first), **place, callbacks=[], verbose=0)
    # The chief measures; to leave now would look like a fault.
    team.wait()


def _check(run, config):
    """Says what contradicts, before any time is spent."""
    for name, example in (("data", "photos/"), ("folder", "runs/photos")):
        if not getattr(run, name):
            raise ValueError(f"config: run.{name} is empty; expected such as {example}")
    if run.weights_file and run.weights == "none":
        raise ValueError(
            "config: run.weights_file needs run.weights to say what it holds, found "
            "none"
        )
    if config.train.precision == "float16" and not tf.config.get_visible_devices("GPU"):
        raise ValueError(
            "config: train.precision is float16, which TensorFlow trains in on GPUs "
            "alone, and none is to be used here; set bfloat16 or float32"
        )
    if run.weights == "none" and config.backbone.norm == "frozen":
        raise ValueError(
            "config: backbone.norm is frozen, which needs pretrained weights: set "
            "run.weights to imagenet, or take a preset that learns from scratch, such "
            "as tiny"
        )


def _check_same_run(folder, run, config):
    """Refuses a folder in which another run has got as far as a checkpoint."""
    advice = "take another folder, or delete this one to begin anew"
    if not (folder / LAST).exists():
        if (folder / BEST).exists():
            raise ValueError(f"{folder} holds a {BEST} but no {LAST}; {advice}")
        return
    path = folder / CONFIG
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        old = {}
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}; {advice}") from error
    if not isinstance(old, dict) or "run" not in old:
        raise ValueError(
            f"{folder} holds a {LAST} that this command has not written; {advice}"
        )
    found = differences(old, json.loads(run_to_json(run, config)))
    if found:
        raise ValueError(f"another run is in {folder}: {'; '.join(found)}; {advice}")


def _be_deterministic():
    """Has TensorFlow compute the same bits each time, from here to its end."""
    tf.config.experimental.enable_op_determinism()
    # It gathers sums, and adds what is ready first: which that is depends on how long
    # the process has run, as cheap operations are scheduled otherwise after 90 steps.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def _load_weights(model, run):
    path = run.weights_file or None
    if run.weights == "imagenet":
        print(pretrained.load_imagenet(model, path))
    elif run.weights != "none":
        print(pretrained.load_coco(model, run.weights, path))


def _plan(run, config, splits, step, strategy):
    """One line on what is about to happen."""
    train, names = config.train, config.classes
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    masks = "masks" if config.has_masks else "boxes only"
    weights = "" if run.weights == "none" else f" with {run.weights} weights"
    if step == 0:
        where = f"{train.steps} steps"
    elif step < train.steps:
        where = f"going on at step {step} of {train.steps}"
    else:
        where = f"finished, {step} steps done"
    devices = strategy.num_replicas_in_sync
    together = f"{devices} devices such as " if devices > 1 else ""
    return (
        f"training on {run.data}: {len(splits.train)} images, {len(names)} classes "
        f"({shown}), {config.backbone.name}{weights} at {config.image.long_side} "
        f"pixels, {masks}; {where}, {train.batch_size} images each, on "
        f"{together}{device_name()}, into {run.folder}/"
    )


def _record(folder, run, config, step):
    """Writes the config as it is now, and with what this start is made."""
    starts = []
    if step:
        # They are for people: without them, too, the run goes on.
        with contextlib.suppress(ValueError, FileNotFoundError):
            starts = json.loads((folder / VERSIONS).read_text(encoding="utf-8"))
    starts.append({"step": step, **versions()})
    checkpoints.write_text(folder / VERSIONS, json.dumps(starts, indent=2))
    checkpoints.write_text(folder / CONFIG, run_to_json(run, config))


def _fit(model, team, run, splits, step):
    """Trains from a step to the end, part by part."""
    folder, steps = Path(run.folder), model.config.train.steps
    in_terminal = sys.stdout.isatty()
    parts = Parts(model, folder, run, steps, splits.val, step, in_terminal)
    shown = {"callbacks": [parts], "verbose": 1 if in_terminal else 2}
    try:
        for first, place in _spans(step, steps, run.steps_per_part):
            make_batches = _batches(splits, model.config, run, first)
            if team:
                team.fit(make_batches, **place, **shown)
            else:
                # `batches` has shuffled
                model.fit(make_batches(), **place, **shown, shuffle=False)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped at step {parts.step} of {steps}; the same command goes on from "
            f"step {parts.saved}"
            + (f", {folder / LAST}" if parts.saved else ", the beginning")
        ) from None
    finally:
        parts.close()


def _spans(step, steps, length):
    """Cuts the steps from `step` on: whole parts at once, one cut short alone.

    Yields:
        the first step, and for `fit` what parts these are.
    """
    while step < steps:
        into, left = step % length, steps - step
        count = 1 if into or left < length else left // length
        first, size = math.ceil(step / length), min(length - into, left)
        yield (
            step,
            {
                "initial_epoch": first,
                "epochs": first + count,
                "steps_per_epoch": size,
            },
        )
        step += count * size


def _batches(splits, config, run, first):
    """Makes what makes the batches of training from a step on."""
    return functools.partial(
        datasets.batches,
        splits.train,
        config,
        True,
        run.seed,
        datasets.Augment(config.augment),
        first,
    )


def _test(folder, model, dataset):
    """Measures the best network on the test split, once."""
    if (folder / TEST).exists():
        print(f"it is measured too: {folder / TEST}; nothing is left to do")
        return None
    chosen = BEST if (folder / BEST).exists() else LAST
    if chosen == BEST:
        model = MaskRCNN.load(folder / BEST)
    print(f"measuring {folder / chosen} on {len(dataset)} images for test", flush=True)
    evaluation = evaluate(model, dataset)
    print(evaluation)
    figures = json.dumps({"model": chosen, **evaluation}, indent=2)
    checkpoints.write_text(folder / TEST, figures)
    return evaluation
