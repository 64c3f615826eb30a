"""Detectors of any make side by side: the same images, boxes alone, one table.

How often they are right, by COCO's measure and by VOC's, on small objects and large
ones, and where objects crowd; how fast they are; and how large.
"""

import time

import numpy as np
from tqdm import tqdm

from mrcnn_tf.evaluation.coco import evaluate_results
from mrcnn_tf.evaluation.crowding import (
    CROWDING,
    crowding,
    found_objects,
    scene_crowding,
)
from mrcnn_tf.evaluation.voc import voc_scores

# Of boxes; "AP" to "AP large" are COCO's.
BOX = ("AP", "AP50", "AP small", "AP medium", "AP large")
VOC = ("VOC AP50", "VOC AP50 2007")


class Detectors(dict):
    """What `compare_detectors` measured: a dict for JSON, which prints as Markdown.

    Keys:
        "classes": list of class names without background.
        "images", "objects": counts; crowd regions are no objects.
        "grid": cells a side, of the crowding.
        "models": dict from each detector's name to a dict of `BOX` and `VOC`; "mask
            AP", None where the data or the detector has boxes only; "images a
            second", by the median; "parameters": int.
        "classes AP50": dict from class name to {detector: VOC's AP50}.
        "crowding": list of a dict for each of `CROWDING` that occurs: "name";
            "images", those whose most crowded object stands so; "AP", {detector: box
            AP on these}; "objects", those of all images that stand so; "found",
            {detector: share of them, see `found_objects`}. None where there are none.
    """

    def __str__(self):
        names = list(self["models"])
        figures = [*BOX, *VOC, "mask AP", "images a second", "parameters"]
        measured = [["model", *figures]]
        for name, about in self["models"].items():
            measured.append([name, *(_written(key, about[key]) for key in figures)])
        classes = [["VOC AP50 of a class", *names]]
        for label, values in self["classes AP50"].items():
            classes.append([label, *(_written("", values[name]) for name in names)])
        crowded = [["most crowded pair of the image", "images"]]
        crowded[0] += [f"{name}, AP" for name in names]
        objects = [["nearest other object", "objects"]]
        objects[0] += [f"{name}, found" for name in names]
        for group in self["crowding"]:
            for rows, count, key in (
                (crowded, "images", "AP"),
                (objects, "objects", "found"),
            ):
                values = (_written(key, group[key][name]) for name in names)
                rows.append([group["name"], str(group[count]), *values])
        cells = f"Cells are those of a grid of {self['grid']} x {self['grid']}."
        counts = f"{self['images']} images, {self['objects']} objects. {cells}"
        tables = (measured, classes, crowded, objects)
        return "\n\n".join([*map(_markdown, tables), counts])


def compare_detectors(models, dataset, grid=7, progress=True):
    """Measures detectors on the same images.

    Args:
        models: dict from a name to anything whose `detect(image)` takes uint8
            [H, W, 3] and gives a `Result`, and which is a Keras model or has one as
            its `model`.
        dataset: anything with `len(dataset)`, `dataset[i]` giving a `Sample`, and
            `dataset.classes`. Each image is read once.
        grid: cells a side, by which objects are crowded or not.
        progress: whether to show a progress bar, on stderr.
    Returns:
        a `Detectors`. The seconds of an image are all that `detect` takes; the
        detectors take turns on each image, after a first that is not counted, so that
        a busy machine slows them alike. To know how fast they are, leave it idle.
    Raises:
        ValueError: if there are no detectors or images; if a result is of another
            size than its image, or of other classes than the dataset's.
    """
    if not models:
        raise ValueError("nothing to compare: expected at least one detector")
    if not len(dataset):
        raise ValueError("the dataset is empty: expected at least one image")
    classes = tuple(dataset.classes)
    samples, results = [], {name: [] for name in models}
    seconds = {name: [] for name in models}
    for index in tqdm(range(len(dataset)), "compare", disable=not progress):
        sample = dataset[index]
        for name, model in models.items():
            if index == 0:
                model.detect(sample.image)  # the first time, TensorFlow traces graphs
            start = time.perf_counter()
            results[name].append(model.detect(sample.image))
            seconds[name].append(time.perf_counter() - start)
        samples.append(_Truth(sample))
    voc = {name: voc_scores(samples, results[name], classes) for name in models}
    about = {
        name: {
            **_coco(samples, results[name], classes),
            **{f"VOC {rule}": voc[name][rule] for rule in ("AP50", "AP50 2007")},
            "images a second": 1 / float(np.median(seconds[name])),
            "parameters": int(getattr(model, "model", model).count_params()),
        }
        for name, model in models.items()
    }
    return Detectors(
        {
            "classes": list(classes),
            "images": len(samples),
            "objects": int(sum((~sample.crowd).sum() for sample in samples)),
            "grid": grid,
            "models": about,
            "classes AP50": {
                label: {name: voc[name]["classes"][label]["AP50"] for name in models}
                for label in classes
            },
            "crowding": _crowding(samples, results, classes, grid),
        }
    )


class _Truth:
    """A sample without its image: many would fill the memory."""

    def __init__(self, sample):
        self.height, self.width = sample.height, sample.width
        self.boxes, self.classes = sample.boxes, sample.classes
        self.masks, self.crowd = sample.masks, sample.crowd
        self.image_id = sample.image_id


def _coco(samples, answers, classes):
    """Returns COCO's figures of one detector."""
    scores = evaluate_results(samples, answers, classes)
    # A detector of boxes that found nothing at all would get a mask AP of 0.
    has_masks = scores["mask"] and any(result.rles for result in answers)
    mask = scores["mask"]["AP"] if has_masks else None
    return {**{name: scores["box"][name] for name in BOX}, "mask AP": mask}


def _crowding(samples, results, classes, grid):
    """Returns the groups of "crowding"."""
    of_scene = [scene_crowding(sample, grid) for sample in samples]
    of_object = np.concatenate([crowding(sample, grid) for sample in samples])
    found = {
        name: np.concatenate(
            [found_objects(*pair) for pair in zip(samples, answers, strict=True)]
        )
        for name, answers in results.items()
    }
    groups = []
    for level, title in enumerate(CROWDING):
        scenes = [index for index, value in enumerate(of_scene) if value == level]
        objects = of_object == level
        if not scenes and not objects.any():
            continue
        group = {"name": title, "images": len(scenes), "objects": int(objects.sum())}
        group["AP"] = {
            name: _ap(samples, answers, scenes, classes)
            for name, answers in results.items()
        }
        group["found"] = {
            name: float(those[objects].mean()) if objects.any() else None
            for name, those in found.items()
        }
        groups.append(group)
    return groups


def _ap(samples, answers, indices, classes):
    """Returns the box AP on some of the images, None without any."""
    if not indices:
        return None
    chosen = [[values[index] for index in indices] for values in (samples, answers)]
    return evaluate_results(*chosen, classes)["box"]["AP"]


def _written(key, value):
    if value is None:
        return "-"
    if key == "parameters":
        return f"{value:,}"
    return f"{value:.1f}" if key == "images a second" else f"{value:.3f}"


def _markdown(rows):
    aligned = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in aligned)
