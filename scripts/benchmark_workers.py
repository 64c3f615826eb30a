#!/usr/bin/env python
"""Measures how much faster two workers train than one, with a core for each.

All train the same network from the same toy scenes, with as many images for each
worker in a batch: one alone by `fit`, two at once that know nothing of each other,
which is what the machine can do, and two together by TF_CONFIG, in turns. Each is a
process that taskset holds to a core of its own; nothing else should run on these
cores. To make, resize and augment the images is part of it.

Examples:
    scripts/benchmark_workers.py
    scripts/benchmark_workers.py --batch 4 --steps 60 --rounds 5 --cores 2 3
"""

import argparse
import functools
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import keras
import tensorflow as tf
from options import add_changes, parse_changes, sentence

import mrcnn_tf as mr
from mrcnn_tf.training import distribution

_WARM_UP = 5  # steps, not measured: TensorFlow traces, and buffers fill


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tiny")
    parser.add_argument(
        "--batch", type=int, default=8, help="images for each worker (default 8)"
    )
    parser.add_argument("--steps", type=int, default=30, help="measured (default 30)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument(
        "--cores", type=int, nargs=2, default=(0, 1), help="default 0 1"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    add_changes(parser)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


class Clock(keras.callbacks.Callback):
    """Notes when each step ends."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        """Notes the time."""
        self.ends.append(time.perf_counter())


def work(options):
    """Trains as one worker; prints the images a second of its team as JSON."""
    strategy = distribution.make_strategy()
    scenes = mr.datasets.Shapes(1_000_000)
    config = mr.Config.preset(options.preset, classes=scenes.classes).replace(
        **parse_changes(options.changes)
    )
    config = config.replace(
        train={"batch_size": options.batch * strategy.num_replicas_in_sync}
    )
    make_batches = functools.partial(
        mr.datasets.batches,
        scenes,
        config,
        training=True,
        augment=mr.datasets.Augment(config.augment),
    )
    clock, model = Clock(), None
    if distribution.is_chief(strategy):
        keras.utils.set_random_seed(0)
        model = mr.MaskRCNN(config)
        model.compile()
    shown = {
        "initial_epoch": 0,
        "epochs": 1,
        "steps_per_epoch": _WARM_UP + options.steps,
        "callbacks": [clock],
        "verbose": 0,
    }
    if distribution.is_team(strategy):
        team = distribution.Team(strategy, config, model)
        team.fit(lambda context: make_batches(context=context), **shown)
        team.wait()
    else:
        model.fit(make_batches(), shuffle=False, **shown)
    seconds = clock.ends[-1] - clock.ends[_WARM_UP - 1]
    print(json.dumps(options.steps * config.train.batch_size / seconds))


def rate(arguments, cores, together=False):
    """Runs a worker on each core; returns the images a second of all of them."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(cores))]
    started = []
    for index, core in enumerate(cores):
        cluster = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CONFIG": json.dumps(cluster) if together else "",
        }
        command = ["taskset", "-c", str(core), sys.executable, __file__, "--worker"]
        started.append(
            subprocess.Popen(
                [*command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    said = [one.communicate() for one in started]
    for one, (_, errors) in zip(started, said, strict=True):
        if one.returncode:
            last = errors.strip().splitlines()[-1:]
            raise OSError(f"a worker failed: {' '.join(last)}")
    rates = [json.loads(out.splitlines()[-1]) for out, _ in said]
    return rates[0] if together else sum(rates)


def free_ports(count):
    """Returns ports of this machine on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def measure(options, arguments):
    """Runs one worker and two in turns; prints their rates and the ratios."""
    print(
        f"{options.preset}, {options.batch} images a worker and step, "
        f"{options.steps} steps after {_WARM_UP}, cores {options.cores}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    one, two = options.cores[:1], options.cores
    rates = {"one": [], "two_apart": [], "two_together": []}
    for number in range(options.rounds):
        rates["one"].append(rate(arguments, one))
        rates["two_apart"].append(rate(arguments, two))
        rates["two_together"].append(rate(arguments, two, together=True))
        shown = ", ".join(f"{name} {values[-1]:.2f}" for name, values in rates.items())
        print(f"round {number + 1}, images/s: {shown}", flush=True)
    figures = {name: statistics.median(values) for name, values in rates.items()}
    figures["ratio"] = figures["two_together"] / figures["one"]
    print(
        f"medians: two together have {figures['ratio']:.2f} times the images/s of one, "
        f"two apart {figures['two_apart'] / figures['one']:.2f} times"
    )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**vars(options), **figures}, file, indent=2)


def main(arguments=None):
    """Runs the command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    try:
        if options.worker:
            work(options)
        else:
            measure(options, arguments)
    except (ValueError, OSError, tf.errors.OpError) as error:
        print(f"benchmark_workers: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
