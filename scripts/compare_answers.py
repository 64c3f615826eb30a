"""The networks behind the page of compare_app.py, and what it shows of them."""

import dataclasses
from html import escape

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import unet
from mrcnn_tf.visualize.canvas import draw_lines

LONG_SIDE = 1333  # pixels; larger pictures are reduced: no preset of ours sees more
TRAIN_UNET = "scripts/train_unet.py --data animals --labels class --run runs/unet"
TRAIN_MASK_RCNN = "scripts/train.py --data animals --run runs/animals"
DRAWN_SIDE, DRAWN_INCHES = 900, 4.5  # of an answer; twice what the page shows


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """What both networks say about one picture.

    Attributes:
        image: uint8 [H, W, 3].
        class_map: uint8 [H, W], 0 for background: the U-Net's.
        result: a `Result` with every detection: Mask R-CNN's.
    """

    image: np.ndarray
    class_map: np.ndarray
    result: mr.Result


def load_models(unet_path, mask_rcnn_path):
    """Loads two networks that tell the same classes apart.

    Args:
        unet_path, mask_rcnn_path: Path of two .keras files.
    Returns:
        the U-Net, the `MaskRCNN`.
    Raises:
        FileNotFoundError: if a file is missing; says how to make it.
        ValueError: if a file holds another network, or their classes differ.
    """
    for path, command in ((unet_path, TRAIN_UNET), (mask_rcnn_path, TRAIN_MASK_RCNN)):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; to train one: {command}")
    instance = mr.MaskRCNN.load(mask_rcnn_path)
    return unet.load(unet_path, "class", instance.config.classes), instance


def read_picture(path, name, max_megapixels):
    """Reads what somebody uploaded, reduced to `LONG_SIDE`.

    Args:
        path: of the file.
        name: what its owner calls it.
        max_megapixels: larger pictures are not decoded.
    Returns:
        uint8 [H, W, 3], RGB.
    Raises:
        ValueError: in a sentence for its owner, if it is no image or too large.
    """
    try:
        with Image.open(path) as picture:
            megapixels = picture.width * picture.height / 1e6
    except Exception:  # it cannot be opened, and `read_image` says why
        megapixels = 0
    if megapixels > max_megapixels:
        raise ValueError(
            f"{name}: too large, {megapixels:.1f} megapixels; this page takes up to "
            f"{max_megapixels:g}; scale it down first"
        )
    try:
        image = mr.datasets.read_image(path)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), name)) from error
    picture = Image.fromarray(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    return np.array(picture)


def answer(image, semantic, instance, mask_threshold=None):
    """Asks both networks.

    Args:
        image: uint8 [H, W, 3].
        semantic: the U-Net.
        instance: the `MaskRCNN`, of the same classes.
        mask_threshold: 0 to 1; None for the network's own.
    Returns:
        `Answers`.
    """
    class_map, _ = unet.predict(semantic, image)
    return Answers(image, class_map, instance.detect(image, mask_threshold))


def summarize(answers, min_score):
    """Counts objects and measures areas.

    Where detections overlap, a pixel belongs to the higher score.

    Args:
        answers: `Answers`.
        min_score: detections below it are left out, 0 to 1.
    Returns:
        list of a dict for each class: "name"; "objects", Mask R-CNN's count;
        "semantic" and "instance", shares of the image, 0 to 1, of the two answers.
    """
    result = answers.result.keep(min_score)
    instance_map = mr.visualize.semantic_map(result, result.height, result.width)
    return [
        {
            "name": name,
            "objects": int((result.classes == label).sum()),
            "semantic": float((answers.class_map == label).mean()),
            "instance": float((instance_map == label).mean()),
        }
        for label, name in enumerate(result.class_names, 1)
    ]


def draw_semantic(answers):
    """Draws the U-Net's answer: each class as one region.

    Returns:
        uint8 [h, w, 3], RGB, the longer side `DRAWN_SIDE`.
    """
    canvas, axes = _canvas(answers.image)
    classes = answers.result.class_names
    # Its legend falls outside of the canvas: the table is the legend.
    mr.visualize.draw_semantic(answers.image, answers.class_map, classes, axes=axes)
    return _pixels(canvas)


def draw_instances(answers, min_score):
    """Draws Mask R-CNN's answer: each object outlined, in the colour of its class.

    Args:
        answers: `Answers`.
        min_score: detections below it are left out, 0 to 1.
    Returns:
        uint8 [h, w, 3], RGB, the longer side `DRAWN_SIDE`.
    """
    canvas, axes = _canvas(answers.image)
    result = answers.result.keep(min_score)
    parts = ("masks", "labels")
    mr.visualize.draw(answers.image, result, show=parts, color_by="class", axes=axes)
    for mask in result.rles:
        draw_lines(axes, mr.visualize.outline(mr.rle.decode(mask)), "white", 1.2)
    return _pixels(canvas)


def _canvas(image):
    """Returns a canvas of the image's shape, and the axes that fill it."""
    size = np.array(image.shape[1::-1]) * DRAWN_INCHES / max(image.shape)
    figure = Figure(size, DRAWN_SIDE / DRAWN_INCHES)
    return FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))


def _pixels(canvas):
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def headline(rows, min_score):
    """Says what was found in a sentence, of the rows of `summarize`."""
    total = sum(row["objects"] for row in rows)
    objects = "1 object" if total == 1 else f"{total or 'no'} objects"
    counts = [f"{row['name']} {row['objects']}" for row in rows if row["objects"]]
    listed = f": {', '.join(counts)}" if counts else ""
    return f"Mask R-CNN finds {objects} of score {min_score:.2f} or more{listed}."


def table(rows):
    """Writes the rows of `summarize` as HTML, each class beside its colour."""
    lines = [
        "<table><thead><tr><th>Class</th><th>Objects</th><th>Area by U-Net</th>"
        "<th>Area by Mask R-CNN</th></tr></thead><tbody>"
    ]
    for index, row in enumerate(rows):
        color = to_hex(mr.visualize.color(index))
        line = f"<td><i class='swatch' style='background:{color}'></i>"
        line += f"{escape(row['name'])}</td><td>{row['objects']}</td>"
        for share in (row["semantic"], row["instance"]):
            bar = f"<i style='background:{color};width:{share:.1%}'></i>"
            line += f"<td>{share:.1%}<div>{bar}</div></td>"
        lines.append(f"<tr>{line}</tr>")
    return "\n".join([*lines, "</tbody></table>"])
