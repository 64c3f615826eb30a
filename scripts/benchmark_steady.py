"""Does memory stay flat? A worker of scripts/benchmark.py, for --steady."""

import types

import keras
import numpy as np
from benchmark_scene import CLASSES, OBJECTS, scene
from benchmark_side import resident, serve
from options import choose_device, parse_changes

import mrcnn_tf as mr

SETTLED = 50  # after so many, memory is to stay as it is


def prepare(job):
    """Builds a network whose input varies in shape; see `serve`."""
    choose_device(types.SimpleNamespace(cpu=job["cpu"], gpu=job["gpu"]))
    keras.utils.set_random_seed(0)
    sizes = {"short_side": job["size"], "long_side": job["size"]} if job["size"] else {}
    config = mr.Config.preset(
        job["preset"],
        classes=CLASSES,
        image={"resize": "aspect", **sizes},
        train={"learning_rate": 1e-6, "batch_size": job["batch"]},
    ).replace(**parse_changes(job["changes"]))
    model = mr.MaskRCNN(config)
    actions = {
        "predictions": lambda: predictions(model, job["count"]),
        "steps": lambda: training(model, job["count"]),
    }
    return {"config": config.to_dict()}, actions


class VaryingScenes:
    """A dataset of scenes, each of its own height and width.

    Attributes:
        shapes: set of (height, width) that the scenes had in the network's input.
    """

    classes = CLASSES

    def __init__(self, config, length):
        side = config.image.long_side
        random = np.random.default_rng(0)
        self._sides = random.integers(max(32, side // 4), 2 * side, (length, 2))
        self._config = config.image
        self.shapes = set()

    def __len__(self):
        return len(self._sides)

    def __getitem__(self, index):
        height, width = (int(side) for side in self._sides[index])
        size = mr.sizes.network_size(height, width, self._config)
        self.shapes.add(mr.sizes.padded_size(*size, self._config))
        image, boxes, masks = scene(height, width)
        rles = tuple(mr.rle.encode(mask) for mask in masks)
        return mr.Sample(image, boxes, np.arange(OBJECTS) + 1, rles)


def predictions(model, count):
    """Predicts `count` images; returns a dict of what the memory did."""
    data = VaryingScenes(model.config, count)
    memory = Memory()
    for index in range(count):
        model.detect(data[index].image)
        memory.note(index + 1)
    traces = model._infer.experimental_get_tracing_count()
    return {**memory.report(), "traces": traces, "padded_shapes": len(data.shapes)}


def training(model, count):
    """Takes `count` steps of training; returns a dict of what the memory did."""
    data = VaryingScenes(model.config, count)
    traces = 0
    step = model.train_step

    def traced(batch):
        nonlocal traces
        traces += 1  # Python runs it only to trace it
        return step(batch)

    model.train_step = traced
    model.compile()
    model.make_train_function()
    stream = iter(mr.datasets.batches(data, model.config, True))
    memory = Memory()
    for index in range(count):
        float(model.train_function(stream)["loss"])
        memory.note(index + 1)
    return {**memory.report(), "traces": traces, "padded_shapes": len(data.shapes)}


class Memory:
    """What the resident memory did from `SETTLED` on."""

    def __init__(self):
        self._count = 0
        self._noted = []  # MB

    def note(self, count):
        """Reads the memory, after so many predictions or steps."""
        self._count = count
        if count >= SETTLED:
            self._noted.append(resident())

    def report(self):
        """Returns a dict: MB settled and at the end, largest deviation in percent."""
        if not self._noted:
            raise ValueError(f"memory settles after {SETTLED}: ask for more than that")
        deviation = np.abs(np.array(self._noted) / self._noted[0] - 1).max()
        return {
            "count": self._count,
            "settled_mb": self._noted[0],
            "end_mb": self._noted[-1],
            "largest_deviation_percent": 100 * float(deviation),
        }


if __name__ == "__main__":
    serve(prepare)
