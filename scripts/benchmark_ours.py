"""Our side of scripts/benchmark.py, which starts this and talks to it."""

import platform
import types

import benchmark_stages
import keras
import numpy as np
import tensorflow as tf
from benchmark_flops import count_layers
from benchmark_scene import CLASSES, OBJECTS, scene
from benchmark_side import resident, serve
from options import choose_device, parse_changes

import mrcnn_tf as mr


def prepare(job):
    """Builds our network for a job of the benchmark; see `serve`."""
    choose_device(types.SimpleNamespace(cpu=job["cpu"], gpu=job["gpu"]))
    libraries = resident()
    keras.utils.set_random_seed(0)
    data = None
    if job["data"]:
        data = mr.datasets.load(job["data"], compose=job["compose"]).train
    config = make_config(job, data.classes if data else CLASSES)
    model = mr.MaskRCNN(config)
    damp(model)
    if job["kind"] == "training":
        run, found, stages = training(job, model, data)
    else:
        run, found, stages = inference(job, model, data)
    gpus = tf.config.get_visible_devices("GPU")
    about = {
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "mrcnn_tf": mr.__version__,
        },
        "device": "cuda" if gpus else "cpu",
        "libraries_mb": libraries,
        "weights": sum(int(np.prod(w.shape)) for w in network_weights(model)),
        "config": config.to_dict(),
    }
    actions = {"run": run, "found": found, "stages": stages, "gpu": gpu_memory}
    return about, {**actions, "ceiling": benchmark_stages.ceiling}


def make_config(job, classes):
    """Returns the config of a job; what --set says comes last."""
    size = job["size"]
    sizes = {"short_side": size, "long_side": size} if size else {}
    config = mr.Config.preset(
        job["preset"],
        classes=classes,
        image=sizes,
        # A rate so small that every step is the same work on the same weights.
        train={
            "optimizer": "sgd",
            "learning_rate": 1e-6,
            "frozen_stages": 0,
            "batch_size": job["batch"],
        },
    )
    return config.replace(**parse_changes(job["changes"]))


def network_weights(model):
    """Returns the variables of the network alone, without the optimiser's."""
    parts = (model.backbone, model.fpn, model.rpn, model.box_head, model.mask_head)
    return [weight for part in parts if part is not None for weight in part.weights]


def damp(model):
    """Makes the last norm of each bottleneck small, else untrained features grow."""
    for weight in model.backbone.weights:
        if "norm3/" in weight.path and weight.path.endswith("gamma"):
            weight.assign(tf.fill(weight.shape, 0.2))


class Scenes:
    """A dataset of one scene."""

    classes = CLASSES

    def __init__(self, size):
        image, boxes, masks = scene(size, size)
        rles = tuple(mr.rle.encode(mask) for mask in masks)
        self._sample = mr.Sample(image, boxes, np.arange(OBJECTS) + 1, rles)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        if index != 0:
            raise IndexError(index)
        return self._sample


def inference(job, model, data):
    """Returns what predicts, what tells what it found, and what times its stages."""
    data = data or Scenes(job["size"])
    turn = 0
    sample = data[0].image
    height, width = mr.sizes.network_size(*sample.shape[:2], model.config.image)
    below, right = mr.sizes.padded_size(height, width, model.config.image)
    image = mr.inputs.resize_image(sample, height, width)
    image = tf.pad(image, [[0, below - height], [0, right - width], [0, 0]])
    inputs = {
        "images": tf.stack([image] * job["batch"]),  # [B, H, W, 3]
        "sizes": tf.constant([[height, width]] * job["batch"]),
    }
    predict = model._infer  # what `detect` runs

    def run():
        nonlocal turn
        if job["kind"] == "network":
            predict(inputs)["detection_scores"].numpy()
            return
        images = [data[(turn + i) % len(data)].image for i in range(job["batch"])]
        model.detect(images)
        turn += job["batch"]

    def found():
        stages = model.inspection_graph(inputs)
        proposals = tf.reduce_any(stages["proposals"][0] != 0, axis=-1)
        detections = stages["detection_classes"][0] > 0
        return {
            "proposals": count(proposals),
            "detections": count(detections),
            "gflop": count_layers(model.inference_graph, inputs),
        }

    def stages():
        return benchmark_stages.inference_stages(model, inputs, job["runs"])

    return run, found, stages


def training(job, model, data):
    """Returns what takes a step, what tells its RoIs, and what times its stages."""
    layer = model.training_graph.get_layer("roi_targets")
    if data is None:
        pin_positives(layer, job["positives"])
        # As `fit` is given it: the same types, and shapes as much or as little known.
        batches = mr.datasets.batches(Scenes(job["size"]), model.config, True)
        batches = batches.take(1).cache().repeat()
    else:
        augment = mr.datasets.Augment(model.config.augment)
        batches = mr.datasets.batches(data, model.config, True, augment=augment)
    model.compile()
    model.make_train_function()
    stream = iter(batches)

    def run():
        float(model.train_function(stream)["loss"])

    def found():
        graph = model.training_graph
        batch = next(stream)
        inputs = {name: batch[name] for name in graph.input}
        labels = keras.Model(graph.input, layer.output[1])(inputs)[0]
        return {
            "positives": count(labels > 0),
            "rois": count(labels >= 0),
            "gflop": count_layers(graph, inputs),  # forward
        }

    def stages():
        return benchmark_stages.training_stages(model, next(stream), job["runs"])

    return run, found, stages


def pin_positives(layer, positives):
    """Puts copies of the objects' own boxes in the place of the first proposals.

    Args:
        layer: the RoITargets of a training graph.
        positives: how many RoIs of each image are to be positive, the objects
            themselves among them.
    """
    choose = layer.call

    def call(proposals, gt_boxes, *truth):
        index = tf.range(positives - OBJECTS) % OBJECTS
        copies = tf.gather(gt_boxes, index, axis=1)  # [B, positives - OBJECTS, 4]
        proposals = tf.concat([copies, proposals[:, positives - OBJECTS :]], axis=1)
        return choose(proposals, gt_boxes, *truth)

    layer.call = call


def gpu_memory():
    """Returns the largest memory of the GPU so far, where there is one."""
    if not tf.config.get_visible_devices("GPU"):
        return {}
    return {
        "gpu_peak_mb": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    }


def count(flags):
    """Returns how many are true."""
    return int(tf.math.count_nonzero(flags))


if __name__ == "__main__":
    serve(prepare)
