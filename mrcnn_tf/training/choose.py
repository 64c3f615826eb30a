"""Chooses the config of a run by looking at the data; says what it chose and why."""

from pathlib import Path

from mrcnn_tf.config import Config
from mrcnn_tf.pretrained.coco import NETWORKS, coco_config
from mrcnn_tf.training.run_file import RunConfig, open_data

# Passes over the data: a network that can see already needs fewer.
_PASSES = {"none": 60, "imagenet": 40, "coco": 20, "coco_v2": 20}
_STEPS = 200, 20_000  # at least and at most, whatever the number of images
_PARTS = 20  # of a run
_PART_STEPS = 20, 500  # at least and at most, in a part
_LOOKED_AT = 200  # images whose objects are counted where no file lists them
_MAX_OBJECTS = 200  # slots; each is a mask of the size of the network's input
_GENERATED = 100_000  # images: no photographs, and passes over them mean nothing


def network_config(preset=None, weights="none"):
    """Makes the config of a preset, or of published weights.

    Args:
        preset: a name in `presets.PRESETS`; None takes "pets" for ImageNet weights
            and "tiny" for none.
        weights: one of `run_file.WEIGHTS`.
    Returns:
        `Config`, without classes.
    Raises:
        ValueError: for an unknown preset, or one beside weights that bring their own.
    """
    if weights in NETWORKS:
        if preset:
            raise ValueError(
                f"--weights {weights} is a whole network: leave out --preset"
            )
        return coco_config(weights, classes=())
    return Config.preset(preset or ("pets" if weights == "imagenet" else "tiny"))


def make_run(data, folder="", preset=None, steps=None, **fields):
    """Makes the config of a run that suits the data.

    Args:
        data: a name or a path, as `datasets.load` takes it.
        folder: of the run; runs/ and the name of the data, if "".
        preset: see `network_config`.
        steps: batches, if not chosen by the number of images.
        **fields: others of `RunConfig`, such as weights="coco".
    Returns:
        run: a `RunConfig`.
        config: a `Config`.
        reasons: list of strings, what was found and chosen and why.
    Raises:
        ValueError, OSError: if the data cannot be read, or fields contradict.
    """
    name = Path(str(data).rstrip("/")).stem or "data"
    run = RunConfig(data=str(data), folder=folder or f"runs/{name}", **fields)
    config = network_config(preset, run.weights)
    splits = open_data(run, config)
    train, images = splits.train, len(splits.train)
    config = config.replace(classes=train.classes)
    reasons = [
        f"{data}: {images} images for training, {len(splits.val)} for validation, "
        f"{len(splits.test)} for test; {len(train.classes)} classes: "
        f"{', '.join(train.classes)}"
    ]
    config, reason = _objects(config, _largest_count(train))
    reasons.append(reason)
    if not getattr(train, "has_masks", True):
        config = config.replace(roi={"mask_kind": "none"})
        reasons.append(
            "no masks, boxes alone: the network gets no mask branch "
            "(roi.mask_kind none), which makes it Faster R-CNN"
        )
    config, reason = _schedule(config, images, run.weights, steps)
    reasons.append(reason)
    steps = config.train.steps
    part = min(max(steps // _PARTS, _PART_STEPS[0]), _PART_STEPS[1], steps)
    run = RunConfig(
        **{
            **vars(run),
            "steps_per_part": fields.get("steps_per_part", part),
            "evaluate_images": fields.get(
                "evaluate_images", min(len(splits.val), run.evaluate_images)
            ),
        }
    )
    reasons.append(
        f"a checkpoint every {run.steps_per_part} steps, and AP on "
        f"{run.evaluate_images} of {len(splits.val)} validation images"
    )
    return run, config, reasons


def _largest_count(dataset):
    """Objects of the fullest image, without crowd regions."""
    records = getattr(dataset, "records", None)
    if records is not None:
        return max(sum(not o.crowd for o in record.objects) for record in records)
    count = min(len(dataset), _LOOKED_AT)
    samples = (dataset[i * len(dataset) // count] for i in range(count))
    return max(int((~sample.crowd).sum()) for sample in samples)


def _objects(config, largest):
    """Gives the ground truth and the answers slots for the fullest image."""
    slots = min(max(largest, 1), _MAX_OBJECTS)
    answers = max(config.detection.max_detections, min(largest, _MAX_OBJECTS))
    proposals = max(config.rpn.post_nms_test, answers)
    config = config.replace(
        train={"max_objects": slots},
        detection={"max_detections": answers},
        rpn={
            "post_nms_test": proposals,
            "pre_nms_test": max(config.rpn.pre_nms_test, proposals),
        },
    )
    more = "" if largest <= slots else f", the {slots} largest are used: memory"
    return config, (
        f"the fullest image has {largest} objects{more}: train.max_objects {slots}, "
        f"detection.max_detections {answers}"
    )


def _schedule(config, images, weights, steps):
    """Chooses steps, batch size and warm-up by the number of images."""
    train = config.train
    batch = min(train.batch_size, images)
    if steps:
        reason = "as asked"
    elif images >= _GENERATED:
        steps, reason = train.steps, "as the preset has it"
    else:
        wanted = round(_PASSES[weights] * images / batch)
        steps = min(max(wanted, _STEPS[0]), _STEPS[1])
        reason = f"{steps * batch / images:.0f} passes over the {images} images"
    # The share of the run that the preset warms up for, at most its own steps.
    warmup = min(train.warmup_steps, max(1, steps // 10))
    config = config.replace(
        train={"steps": steps, "batch_size": batch, "warmup_steps": warmup}
    )
    return config, (
        f"{steps} steps of {batch} images ({reason}), the first {warmup} to warm up"
    )
