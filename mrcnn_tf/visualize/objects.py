"""Objects, boxes and maps of classes drawn over their image."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from mrcnn_tf import rle
from mrcnn_tf.result import Result
from mrcnn_tf.visualize.canvas import (
    FONT_SIZE,
    PALETTE,
    blend,
    box_lines,
    check_image,
    color,
    draw_lines,
    outline,
    panels,
    show_image,
    write_labels,
)

PARTS = ("masks", "outlines", "boxes", "labels")
_TRIMAP = {
    1: ("object", PALETTE[0]),
    2: ("background", PALETTE[5]),
    3: ("border", PALETTE[6]),
}
_LINE_WIDTH = 1.5  # points


def semantic_map(objects, height, width):
    """Paints objects into one map of classes, the highest score on top.

    Args:
        objects: a `Result`, or a `Sample`, whose first object is on top.
        height, width: size of the map in pixels.
    Returns:
        int32 [H, W], class ids, 0 where there is no object.
    Raises:
        ValueError: if the objects have boxes only.
    """
    class_map = np.zeros((height, width), np.int32)
    classes, rles = objects.classes, _rles(objects)
    if len(rles) != len(classes):
        raise ValueError(f"{len(classes)} objects but {len(rles)} masks to paint")
    for index in _by_score(objects)[::-1]:
        class_map[rle.decode(rles[index])] = classes[index]
    return class_map


def draw(
    image,
    objects,
    classes=None,
    title=None,
    min_score=0.0,
    show=PARTS,
    color_by="instance",
    axes=None,
):
    """Draws the objects of one image: masks, outlines, boxes and labels.

    Args:
        image: uint8 [H, W, 3].
        objects: a `Sample` (its ground truth) or a `Result`.
        classes: class names without background; a `Result` knows its own.
        title: text above the picture.
        min_score: detections below it are left out, 0 to 1.
        show: which of `PARTS` to draw.
        color_by: "instance", or "class": the same for all objects of a class.
        axes: a panel to draw in; a new figure otherwise.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if the image is not uint8 [H, W, 3], the objects belong to an
            image of another size, or `show` or `color_by` is unknown.
    """
    image = check_image(image)
    if not set(show) <= set(PARTS):
        raise ValueError(f"show must be some of {PARTS}, found {show!r}")
    if color_by not in ("instance", "class"):
        raise ValueError(f"color_by must be 'instance' or 'class', found {color_by!r}")
    if isinstance(objects, Result):
        objects, classes = objects.keep(min_score), classes or objects.class_names
    rles = _rles(objects)
    if any(tuple(mask["size"]) != image.shape[:2] for mask in rles):
        raise ValueError(
            f"the image is {image.shape[:2]} (height, width), the masks "
            f"{tuple(rles[0]['size'])}; draw objects on the image they belong to"
        )
    keys = objects.classes - 1 if color_by == "class" else range(len(objects.classes))
    colors = [color(int(key)) for key in keys]
    order = _by_score(objects)
    # From the lowest score up, none where there are boxes only. Masks are decoded
    # one at a time: all of a large photograph's would fill the memory.
    upwards = order[::-1] if rles else ()
    if "masks" in show:
        for index in upwards:
            image = blend(image, rle.decode(rles[index]), colors[index])
    axes = show_image(image, title, axes)
    if "outlines" in show:
        for index in upwards:
            lines = outline(rle.decode(rles[index]))
            draw_lines(axes, lines, colors[index], _LINE_WIDTH)
    if "boxes" in show:
        draw_lines(axes, box_lines(objects.boxes), colors, _LINE_WIDTH)
    if "labels" in show:
        texts = [_label(objects, index, classes) for index in order]
        write_labels(axes, texts, objects.boxes[order], [colors[i] for i in order])
    return axes.figure


def draw_boxes(image, boxes, before=None, title=None, line_width=1.0, axes=None):
    """Draws many boxes in thin lines: anchors, proposals.

    Args:
        image: uint8 [H, W, 3].
        boxes: float [N, 4], (y1, x1, y2, x2) in pixels; what lies outside the
            image is cut off. Boxes without area, as in unused slots, are left out.
        before: float [N, 4] or None, the same boxes before they were refined, drawn
            dotted in the same colour.
        title: text above the picture.
        line_width: in points.
        axes: a panel to draw in; a new figure otherwise.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if an argument has another shape.
    """
    image = check_image(image)
    axes = show_image(image, title, axes)
    boxes = _check_boxes("boxes", boxes)
    styles = [(boxes, "solid")]
    if before is not None:
        before = _check_boxes("before", before)
        if len(before) != len(boxes):
            raise ValueError(f"{len(boxes)} boxes but {len(before)} before")
        styles.insert(0, (before, (0, (1, 1.5))))
    colors = np.array([color(index) for index in range(len(boxes))]).reshape(-1, 3)
    for shown, style in styles:
        real = (shown[:, 2:] > shown[:, :2]).all(axis=1)
        draw_lines(axes, box_lines(shown[real]), colors[real], line_width, style)
    return axes.figure


def draw_semantic(image, class_map, classes, title=None, axes=None):
    """Draws a map of classes over an image, with a legend of those present.

    Args:
        image: uint8 [H, W, 3].
        class_map: int [H, W], 0 for background.
        classes: class names without background.
        title: text above the picture.
        axes: a panel to draw in; a new figure otherwise.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if image and map differ in size.
    """
    present = [int(value) for value in np.unique(class_map) if value]
    names = {value: (_name(value, classes), color(value - 1)) for value in present}
    return _draw_map(image, class_map, names, title, axes)


def draw_trimap(image, trimap, title=None, axes=None):
    """Draws a trimap over an image: object, background and the border between.

    Args:
        image: uint8 [H, W, 3].
        trimap: uint8 [H, W]; 1 object, 2 background, 3 border.
        title: text above the picture.
        axes: a panel to draw in; a new figure otherwise.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if image and trimap differ in size.
    """
    return _draw_map(image, trimap, _TRIMAP, title, axes)


def grid(images, titles=None, columns=4):
    """Draws images in rows.

    Args:
        images: list of uint8 [H, W, 3], of any sizes.
        titles: a string for each, or None.
        columns: images in a row.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if an image is not uint8 [H, W, 3].
    """
    images = [check_image(image) for image in images]
    shape = max((image.shape[0] / image.shape[1] for image in images), default=1)
    figure, axes = panels(len(images), columns, shape, titles)
    for panel, image in zip(axes, images, strict=True):
        show_image(image, None, panel)
    return figure


def _rles(objects):
    """Returns the RLEs of a Sample or a Result, () where there are boxes only."""
    return (objects.rles if isinstance(objects, Result) else objects.masks) or ()


def _by_score(objects):
    """Returns indices by falling score; ground truth keeps its order."""
    scores = getattr(objects, "scores", np.ones(len(objects.classes)))
    return np.argsort(-scores, kind="stable")


def _name(class_id, classes):
    if not classes:
        return f"class {class_id}"
    if class_id > len(classes):
        raise ValueError(f"class {class_id} has no name: there are {tuple(classes)}")
    return classes[class_id - 1]


def _label(objects, index, classes):
    name = _name(objects.classes[index], classes)
    if isinstance(objects, Result):
        return f"{name} {objects.scores[index]:.2f}"
    return f"{name} (crowd)" if objects.crowd[index] else name


def _check_boxes(name, boxes):
    boxes = np.asarray(boxes, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} must be [N, 4], found {list(boxes.shape)}")
    return boxes


def _draw_map(image, values, names, title, axes):
    """Draws an int map [H, W]; `names` maps a value to (name, colour)."""
    image = check_image(image)
    values = np.asarray(values)
    if values.shape != image.shape[:2]:
        raise ValueError(
            f"the image is {image.shape[:2]} (height, width), its map {values.shape}"
        )
    for value, (_, tone) in names.items():
        image = blend(image, values == value, to_rgb(tone), alpha=0.6)
    axes = show_image(image, title, axes)
    patches = [Patch(color=tone, label=name) for name, tone in names.values()]
    if patches:
        axes.legend(
            handles=patches,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=len(patches),
            fontsize=FONT_SIZE,
            frameon=False,
            handlelength=1,
        )
    return axes.figure
