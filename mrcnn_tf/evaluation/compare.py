"""One comparison: networks of different kinds, the same images, both questions.

What is each pixel, and which are the objects? Each network is asked both, through
`PixelAnswers` or `ObjectAnswers`, and judged by the same figures, on all scenes and on
groups of them: by the number of objects, and by how close these come (`CONTACTS`).
"""

import time
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mrcnn_tf.evaluation.coco import evaluate_results
from mrcnn_tf.evaluation.panoptic import (
    PanopticCounts,
    panoptic_counts,
    panoptic_scores,
)
from mrcnn_tf.evaluation.scenes import CONTACTS, contact
from mrcnn_tf.evaluation.segments import sample_segments
from mrcnn_tf.evaluation.semantic import (
    SemanticCounts,
    semantic_counts,
    semantic_scores,
)
from mrcnn_tf.result import Result

SEMANTIC = ("mIoU", "pixel accuracy", "boundary F")
INSTANCE = ("box AP", "mask AP", "PQ", "SQ", "RQ", "count error", "count bias")


class Comparison(dict):
    """What `compare_models` measured: a plain dict for JSON, which prints as Markdown.

    Keys:
        "classes": list of class names without background.
        "models": dict from each network's name to {"setting": {"name", "value"},
            "seconds per image": median; "parameters": int; "weights MB": in memory,
            2**20 bytes; "peak MB": of a whole process, where the caller measures it}.
        "groups": list of {"by": "all", "objects" or "contact"; "name"; "images": int;
            "figures": dict from each network's name to a dict of `SEMANTIC` and
            `INSTANCE`, None where nothing could be counted}. The first is all.
        "scenes": list of {"image": id, "objects": int, "contact", "PQ": dict from
            each network's name to the PQ of this image alone}, in the samples' order.
    """

    def __str__(self):
        rows = [
            ["scenes", "images", "model", *SEMANTIC, *INSTANCE],
            ["---", "---:", "---"] + ["---:"] * len(SEMANTIC + INSTANCE),
        ]
        for group in self["groups"]:
            title, images = group["name"], str(group["images"])
            for name, figures in group["figures"].items():
                values = [_written(key, figures[key]) for key in SEMANTIC + INSTANCE]
                rows.append([title, images, name, *values])
                title = images = ""
        costs = [
            [
                "model",
                "seconds per image",
                "parameters",
                "weights, MB",
                "peak memory, MB",
                "setting",
            ],
            ["---", "---:", "---:", "---:", "---:", "---"],
        ]
        for name, about in self["models"].items():
            setting = about["setting"]
            costs.append(
                [
                    name,
                    f"{about['seconds per image']:.3f}",
                    f"{about['parameters']:,}",
                    f"{about['weights MB']:.1f}",
                    f"{about['peak MB']:.0f}" if "peak MB" in about else "-",
                    f"{setting['name']}: {setting['value']}",
                ]
            )
        return f"{_markdown(rows)}\n\n{_markdown(costs)}"


@dataclass(frozen=True, eq=False)
class _Measured:
    """What one network contributes on one image."""

    semantic: SemanticCounts
    panoptic: PanopticCounts
    ranked: Result  # all that was found, for average precision
    seconds: float


def compare_models(contenders, settings, samples, classes, progress=True):
    """Asks networks both questions on the same images.

    Args:
        contenders: dict from a name to `PixelAnswers`, `ObjectAnswers` or another such.
        settings: dict from the name to what `choose_setting` found on other images.
        samples: list of `Sample` with masks, which stay in memory.
        classes: class names without background.
        progress: whether to show a progress bar, on stderr.
    Returns:
        a `Comparison`. A network's seconds hold all that it takes from an image to
        both answers; the networks take turns on each image, after a first that is
        not counted, so that a busy machine slows them alike.
    Raises:
        ValueError: if there are no samples, one has boxes only, or an answer is of
            another size or of other classes; names the image.
    """
    classes = tuple(classes)
    if not samples:
        raise ValueError("nothing to compare on: expected at least one sample")
    for contender in contenders.values():
        contender.look(samples[0].image)  # the first time, TensorFlow traces graphs
    measured = {name: [] for name in contenders}
    for sample in tqdm(samples, "compare", disable=not progress):
        truth = sample_segments(sample).class_map()
        for name, contender in contenders.items():
            measured[name].append(
                _measure(contender, settings[name], sample, truth, classes)
            )

    scenes = [
        {
            "image": sample.image_id,
            "objects": int((~sample.crowd).sum()),
            "contact": contact(sample),
            "PQ": {
                name: panoptic_scores([images[index].panoptic], classes)["PQ"]
                for name, images in measured.items()
            },
        }
        for index, sample in enumerate(samples)
    ]
    groups = [
        {
            "by": by,
            "name": name,
            "images": len(indices),
            "figures": {
                name: _figures(
                    [samples[index] for index in indices],
                    [images[index] for index in indices],
                    classes,
                )
                for name, images in measured.items()
            },
        }
        for by, name, indices in _groups(scenes)
    ]
    models = {
        name: _about(contender, settings[name], measured[name])
        for name, contender in contenders.items()
    }
    return Comparison(
        classes=list(classes), models=models, groups=groups, scenes=scenes
    )


def telling_scenes(comparison, each=2):
    """Picks scenes to look at: where each of two networks is furthest ahead.

    Args:
        comparison: a `Comparison`; of more than two networks, the first two count.
        each: scenes for either network; fewer if it is ahead on fewer.
    Returns:
        list of (index of the sample, why, a sentence): those of the second network,
        of the first, and the one whose difference of PQ is the median.
    """
    first, second = list(comparison["models"])[:2]
    ahead = {}  # index to how far the second network is ahead
    for index, scene in enumerate(comparison["scenes"]):
        if None not in (scene["PQ"][first], scene["PQ"][second]):
            ahead[index] = scene["PQ"][second] - scene["PQ"][first]
    rising = sorted(ahead, key=ahead.get)  # stable: of equals, the first scene
    picked = []
    for name, order, sign in ((second, rising[::-1], 1), (first, rising, -1)):
        best = [index for index in order[:each] if sign * ahead[index] > 0]
        picked += [(index, f"{name} furthest ahead") for index in best]
    chosen = {index for index, _ in picked}
    middle = np.median(list(ahead.values())) if ahead else 0
    others = [index for index in ahead if index not in chosen]
    if others:
        typical = min(others, key=lambda index: abs(ahead[index] - middle))
        picked.append((typical, "a typical scene"))
    return picked


def _measure(contender, setting, sample, truth, classes):
    """Asks one network both questions about one image, and counts."""
    start = time.perf_counter()
    seen = contender.look(sample.image)
    class_map = contender.semantic(seen, setting)
    result = contender.instances(seen, setting)
    seconds = time.perf_counter() - start
    # First, as it names the image if the answer is of another size or other classes.
    panoptic = panoptic_counts(sample, result, classes)
    semantic = semantic_counts(truth, class_map, 1 + len(classes))
    return _Measured(semantic, panoptic, contender.instances(seen, 0), seconds)


def _about(contender, setting, images):
    """Returns what one network is and costs."""
    weights = contender.network.weights
    return {
        "setting": {"name": contender.setting_name, "value": setting},
        "seconds per image": float(np.median([image.seconds for image in images])),
        "parameters": int(contender.network.count_params()),
        "weights MB": sum(weight.numpy().nbytes for weight in weights) / 2**20,
    }


def _figures(samples, images, classes):
    """Returns the figures of one network on one group of images."""
    semantic = semantic_scores(
        (image.semantic for image in images), ("background", *classes)
    )
    panoptic = panoptic_scores((image.panoptic for image in images), classes)
    precision = evaluate_results(samples, [image.ranked for image in images], classes)
    return {
        **{name: semantic[name] for name in SEMANTIC},
        "box AP": precision["box"]["AP"],
        "mask AP": precision["mask"]["AP"],
        **{name: panoptic[name] for name in INSTANCE[2:]},
    }


def _groups(scenes):
    """Yields (by, name, indices of its scenes) of each group that has scenes."""
    yield "all", "all", list(range(len(scenes)))
    for number in sorted({scene["objects"] for scene in scenes}):
        name = "1 object" if number == 1 else f"{number} objects"
        yield "objects", name, _where(scenes, "objects", number)
    for name in CONTACTS[2:]:  # those before have no object, or one
        if indices := _where(scenes, "contact", name):
            yield "contact", name, indices


def _where(scenes, key, value):
    return [index for index, scene in enumerate(scenes) if scene[key] == value]


def _written(name, value):
    if value is None:
        return "-"
    if name.startswith("count"):
        return f"{value:+.2f}" if name == "count bias" else f"{value:.2f}"
    return f"{value:.3f}"


def _markdown(rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
