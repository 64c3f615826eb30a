"""Detectors side by side: their figures as bars, their answers on the same images."""

import matplotlib.pyplot as plt
import numpy as np

from mrcnn_tf.visualize.canvas import color, panels
from mrcnn_tf.visualize.objects import PARTS, draw

_WIDTH = 0.8  # of all bars of a group; 1 would leave no gap
_LABELLED = 10  # objects in a panel; the labels of more hide what they name


def draw_detectors(comparison):
    """Draws AP by size, AP by crowding and the objects found by crowding, as bars.

    Args:
        comparison: what `evaluation.compare_detectors` returns.
    Returns:
        the matplotlib figure: a colour for each detector, its value over each bar; no
        bar where there was nothing to measure.
    """
    models, crowding = comparison["models"], comparison["crowding"]
    sizes = [
        (size, {name: about[f"AP {size}"] for name, about in models.items()})
        for size in ("small", "medium", "large")
    ]
    scenes, objects = [], []
    for group in crowding:
        name, images, count = group["name"], group["images"], group["objects"]
        if images:
            scenes.append((f"{name}\n{_counted(images, 'image')}", group["AP"]))
        if count:
            objects.append((f"{name}\n{_counted(count, 'object')}", group["found"]))
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    plt.close(figure)
    for panel, title, groups in zip(
        axes,
        (
            "box AP, by size of the object",
            "box AP, by the most crowded of the image",
            "share of objects found, by nearest other",
        ),
        ([group for group in sizes if _known(group[1])], scenes, objects),
        strict=True,
    ):
        _draw_bars(panel, groups, list(models))
        panel.set_title(title, fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(models), frameon=False
    )
    return figure


def draw_answers(samples, results, classes):
    """Draws a row for each image: the truth, then what each detector answers.

    Args:
        samples: list of `Sample`, at least one.
        results: dict from a detector's name to its list of `Result`, one for each.
        classes: class names without background.
    Returns:
        the matplotlib figure. A colour is a class; masks are drawn where there are
        any, of the truth too, and labels where they are few.
    Raises:
        ValueError: if there are no samples, or another number of results.
    """
    if not samples or any(len(each) != len(samples) for each in results.values()):
        counts = {name: len(each) for name, each in results.items()}
        raise ValueError(
            f"expected images, and a result for each; found {len(samples)} images and "
            f"results {counts}"
        )
    columns = 1 + len(results)
    titles = []
    for row, sample in enumerate(samples):
        count = int((~sample.crowd).sum())
        titles.append(f"truth: {_counted(count, 'object')}")
        titles += [
            f"{name}: {_counted(len(each[row]), 'answer')}"
            for name, each in results.items()
        ]
    shape = max(sample.height / sample.width for sample in samples)
    figure, axes = panels(columns * len(samples), columns, shape, titles)
    for row, sample in enumerate(samples):
        answers = [sample, *(each[row] for each in results.values())]
        start = columns * row
        for panel, answer in zip(axes[start : start + columns], answers, strict=True):
            draw(
                sample.image,
                answer,
                classes,
                show=PARTS if len(answer.classes) <= _LABELLED else PARTS[:3],
                color_by="class",
                axes=panel,
            )
    return figure


def _known(values):
    return any(value is not None for value in values.values())


def _draw_bars(panel, groups, names):
    """Draws groups, (title, {name: value}), as bars side by side."""
    width = _WIDTH / len(names)
    for index, name in enumerate(names):
        places = np.arange(len(groups)) + (index - (len(names) - 1) / 2) * width
        values = [np.nan if g[name] is None else g[name] for _, g in groups]
        bars = panel.bar(places, values, width, color=color(index), label=name)
        texts = ["" if np.isnan(value) else f"{value:.2f}" for value in values]
        panel.bar_label(bars, texts, fontsize=7, padding=1)
    panel.set_xticks(range(len(groups)), [title for title, _ in groups], fontsize=8)
    panel.set(ylim=(0, 1.08), xlim=(-0.5, max(len(groups), 1) - 0.5))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", alpha=0.3)


def _counted(count, what):
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
