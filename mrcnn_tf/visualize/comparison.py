"""Scenes in rows: image, truth, a semantic answer and an instance answer."""

from dataclasses import dataclass

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.result import Result
from mrcnn_tf.visualize.canvas import draw_lines, outline, panels, show_image
from mrcnn_tf.visualize.objects import draw_semantic, semantic_map

_LINE_WIDTH = 1.5  # points


@dataclass(frozen=True, eq=False)
class ComparedScene:
    """One row of `draw_comparison`.

    Attributes:
        title: why this scene is shown.
        sample: the `Sample`, with its truth.
        class_map: int [H, W], 0 for background: the semantic answer.
        regions: `Result`, the objects made of that.
        objects: `Result`, the instance answer.
        titles: two strings, over the semantic and the instance answer.
    """

    title: str
    sample: Sample
    class_map: object
    regions: Result
    objects: Result
    titles: tuple


def draw_comparison(scenes, classes):
    """Draws a row for each scene: image, truth, semantic and instance answer.

    A colour is a class, and a white line goes round each object: two animals that
    became one lie within one line.

    Args:
        scenes: list of `ComparedScene`, at least one.
        classes: class names without background.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if there are no scenes, or an answer belongs to another image.
    """
    if not scenes:
        raise ValueError("no scenes to draw: expected at least one")
    titles = []
    for scene in scenes:
        number = int((~scene.sample.crowd).sum())
        truth = f"truth: {number} object{'' if number == 1 else 's'}"
        titles += ["image", truth, *scene.titles]
    shape = max(scene.sample.height / scene.sample.width for scene in scenes)
    figure, axes = panels(4 * len(scenes), 4, shape, titles)
    for row, scene in enumerate(scenes):
        sample = scene.sample
        photo, truth, semantic, instance = axes[4 * row : 4 * row + 4]
        show_image(sample.image, axes=photo)
        # The empty line is where the titles of the panels stand.
        photo.set_title(f"{scene.title}\n", loc="left", fontweight="bold")
        size = sample.height, sample.width
        for panel, class_map, rles in (
            (truth, semantic_map(sample, *size), sample.masks),
            (semantic, scene.class_map, scene.regions.rles),
            (instance, semantic_map(scene.objects, *size), scene.objects.rles),
        ):
            draw_semantic(sample.image, class_map, classes, axes=panel)
            for mask in rles or ():
                draw_lines(panel, outline(rle.decode(mask)), "white", _LINE_WIDTH)
    return figure
