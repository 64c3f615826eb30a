"""Trains on one device and on two logical ones; run by test_distribution.py.

Two logical devices must be made before TensorFlow computes anything, hence a process
of its own. It writes what it found into the folder named on its command line.
"""

import csv
import json
import sys
from pathlib import Path

import keras
import numpy as np
import small
import tensorflow as tf
from worker import prepare, quick_run

import mrcnn_tf as mr
from mrcnn_tf.training import distribution
from mrcnn_tf.training.optimizer import SGD
from mrcnn_tf.training.run import train

SCENES = mr.datasets.Shapes(16, size=64)


def network(strategy, clip_norm):
    """Its norms see no batch, and a step of its SGD is the gradient."""
    with strategy.scope():
        model = small.model(backbone={"norm": "frozen"}, train={"batch_size": 4})
        # The first step of momentum is the gradient, too.
        model.compile(SGD(1.0, momentum=0.9, global_clipnorm=clip_norm))
    return model


def step(model):
    """The change of each weight by a step, and the losses that `fit` logged."""
    before = [weight.numpy() for weight in model.trainable_weights]
    logged = []
    log = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: logged.append(dict(logs))
    )
    history = model.fit(
        mr.datasets.batches(SCENES, model.config, training=True),
        steps_per_epoch=1,
        callbacks=[log],
        shuffle=False,
        verbose=0,
    ).history
    changes = [
        weight.numpy() - old
        for weight, old in zip(model.trainable_weights, before, strict=True)
    ]
    logged.append({name: values[0] for name, values in history.items()})
    return changes, logged


def compare(strategy, clip_norm):
    """One device against a strategy, from the same weights on the same batch."""
    alone = network(tf.distribute.get_strategy(), clip_norm)
    together = network(strategy, clip_norm)
    together.set_weights(alone.get_weights())
    # Nine images: the last batch is of one, which two replicas cannot halve.
    validation = mr.datasets.batches(
        mr.datasets.Shapes(9, seed=1, size=64), alone.config, training=False
    )
    evaluated = [
        model.evaluate(validation, verbose=0, return_dict=True)
        for model in (alone, together)
    ]
    (ours, logs), (theirs, their_logs) = step(alone), step(together)
    apart = [np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)]
    return {
        "largest": float(max(np.abs(change).max() for change in ours)),
        "apart": float(max(apart)),
        "norms": [
            float(np.sqrt(sum((change**2).sum() for change in changes)))
            for changes in (ours, theirs)
        ],
        "logs": [logs, their_logs],
        "evaluated": evaluated,
    }


def whole_run(folder, strategy):
    """The rows of the logs of a run that stopped after two steps and went on."""
    distribution.make_strategy = lambda: strategy
    for steps in (2, 4):
        train(*quick_run(folder, steps))
    rows = {}
    for name in ("steps.csv", "log.csv"):
        with open(folder / name) as file:
            rows[name] = list(csv.DictReader(file))
    model = mr.MaskRCNN.load(folder / "last.keras")
    return {
        "rows": rows,
        "detections": len(model.detect(SCENES[0].image).scores),
        "iterations": int(model.optimizer.iterations.numpy()),
    }


if __name__ == "__main__":
    prepare()
    folder = Path(sys.argv[1])
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {
        "plain": compare(two, None),
        "clipped": compare(two, 0.5),
        "alone": whole_run(folder / "alone", tf.distribute.get_strategy()),
        "together": whole_run(folder / "together", two),
    }
    (folder / "found.json").write_text(json.dumps(found))
