#!/usr/bin/env python
"""Finds objects with an exported ONNX file: ONNX Runtime, NumPy and Pillow alone.

    python onnx_example.py pets.onnx photo.jpg --out found.png

A file to copy: it needs nothing else of the repository that it comes from.
"""

import argparse
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageOps

COLORS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167)]


def load(path):
    """Returns the model and the names of its classes, the first of which is 1."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map["mrcnn_tf.json"]
    return session, json.loads(about)["classes"]


def detect(model, image):
    """Finds objects in a uint8 image [H, W, 3], RGB.

    Returns:
        dict of "boxes" float32 [N, 4], (y1, x1, y2, x2) in pixels, "classes" int32 [N],
        "scores" float32 [N] and, if the network has them, "masks" uint8 [N, H, W].
    """
    names = [output.name for output in model.get_outputs()]
    return dict(zip(names, model.run(names, {"image": image}), strict=True))


def draw(image, found, names, min_score):
    """Returns a picture of the detections that score at least `min_score`."""
    shown = np.flatnonzero(found["scores"] >= min_score)
    pixels = image.astype(np.float32)
    for index in shown if "masks" in found else ():
        inside = found["masks"][index] > 0
        pixels[inside] = 0.5 * pixels[inside] + 0.5 * np.array(COLORS[index % 5])
    picture = Image.fromarray(pixels.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for index in shown:
        y1, x1, y2, x2 = found["boxes"][index].tolist()
        pen.rectangle((x1, y1, x2, y2), outline=COLORS[index % 5])
        name = names[found["classes"][index] - 1]
        text = f"{name} {found['scores'][index]:.2f}"
        pen.rectangle(pen.textbbox((x1 + 2, y1), text), fill="black")
        pen.text((x1 + 2, y1), text, fill="white")
    return picture


def main(arguments=None):
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the .onnx file")
    parser.add_argument("image")
    parser.add_argument("--out", default="found.png", help="picture to write")
    parser.add_argument("--min-score", type=float, default=0.5)
    options = parser.parse_args(arguments)
    model, names = load(options.model)
    photograph = ImageOps.exif_transpose(Image.open(options.image)).convert("RGB")
    image = np.asarray(photograph)
    found = detect(model, image)
    fields = (found[name] for name in ("boxes", "classes", "scores"))
    for box, label, score in zip(*fields, strict=True):
        if score >= options.min_score:
            edges = ", ".join(f"{edge:.1f}" for edge in box)
            print(f"{names[label - 1]} {score:.3f} box ({edges})")
    draw(image, found, names, options.min_score).save(options.out)
    print(f"the picture is {options.out}")


if __name__ == "__main__":
    main()
