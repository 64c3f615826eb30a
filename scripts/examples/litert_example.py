#!/usr/bin/env python
"""Finds objects with an exported LiteRT file: ai-edge-litert, NumPy and Pillow alone.

    python litert_example.py pets.tflite photo.jpg --out found.png

The file holds the network alone, all of whose shapes are fixed. What comes before it,
resizing, and after it, the pasting of masks, stands here; on a telephone it is yours.

A file to copy: it needs nothing else of the repository that it comes from.
"""

import argparse
import json
import math
import os
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageDraw, ImageOps

COLORS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167)]


def load(path):
    """Returns the model and the names of its classes, the first of which is 1."""
    with zipfile.ZipFile(path) as archive:  # it follows the network in the same file
        about = json.loads(archive.read("mrcnn_tf.json"))
    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    return (interpreter.get_signature_runner(), about), about["classes"]


def detect(model, image):
    """Finds objects in a uint8 image [H, W, 3], RGB.

    Returns:
        dict of "boxes" float32 [N, 4], (y1, x1, y2, x2) in pixels, "classes" int32 [N],
        "scores" float32 [N] and, if the network has them, "masks" uint8 [N, H, W].
    """
    run, about = model
    height, width = image.shape[:2]
    scale = min(
        about["short_side"] / min(height, width),
        about["long_side"] / max(height, width),
    )
    size = [max(1, math.floor(side * scale)) for side in (height, width)]
    square = np.zeros((about["long_side"], about["long_side"], 3), np.float32)
    square[: size[0], : size[1]] = resize(image, *size)
    found = run(image=square, size=np.array(size, np.int32))

    count = np.count_nonzero(found["classes"])  # empty slots stand last
    masks = found.pop("mask_probabilities", None)
    found = {name: value[:count] for name, value in found.items()}
    found["boxes"] = found["boxes"] * np.float32(
        [height / size[0], width / size[1]] * 2
    )
    if masks is not None:
        found["masks"] = np.zeros((count, height, width), np.uint8)
        for index, box in enumerate(found["boxes"]):
            pasted = paste(masks[index], box, height, width)
            found["masks"][index] = pasted >= about["mask_threshold"]
    return found


def resize(image, height, width):
    """Resizes bilinearly about the centres of pixels, without smoothing before."""

    def along(length, new_length):
        position = (np.arange(new_length) + 0.5) * length / new_length - 0.5
        position = np.clip(position, 0, length - 1)
        low = np.floor(position).astype(int)
        return low, np.minimum(low + 1, length - 1), np.float32(position - low)

    top, bottom, share = along(image.shape[0], height)
    share = share[:, None, None]
    image = image[top] * (1 - share) + image[bottom] * share
    left, right, share = along(image.shape[1], width)
    share = share[:, None]
    return image[:, left] * (1 - share) + image[:, right] * share


def paste(mask, box, height, width):
    """Lays a mask of m x m probabilities into its box of an image."""
    size = len(mask)

    def weights(length, low, high):  # of the mask's cells at each pixel's centre
        position = (np.arange(length) + 0.5 - low) / (high - low) * size - 0.5
        distance = np.abs(position[:, None] - np.arange(size))
        return np.maximum(1 - distance, 0).astype(np.float32)

    y1, x1, y2, x2 = box.tolist()
    return weights(height, y1, y2) @ mask @ weights(width, x1, x2).T


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
    parser.add_argument("model", help="the .tflite file")
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
