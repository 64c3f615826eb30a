#!/usr/bin/env python
"""Measures the input pipeline: images a second, and whether its memory stays flat.

Augmentation is on, all but random crops; --set changes it, and anything else of the
preset. Nothing is trained: images are read, augmented, resized and batched alone.

Examples:
    scripts/benchmark_input.py --data data/coco2017
    taskset -c 0,1 scripts/benchmark_input.py --data data/coco2017 --images 10000
    scripts/benchmark_input.py --data photos/ --preset pets --set augment.copy_paste=0
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import tensorflow as tf
from options import add_changes, add_data, parse_changes, sentence

import mrcnn_tf as mr

_AUGMENTED = {"zoom": (0.5, 2.0), "copy_paste": 0.5}
_WARM_UP = 50  # images, not measured: buffers fill, and TensorFlow traces
_SPANS = 10


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--preset", default="resnet50_fpn")
    parser.add_argument("--batch", type=int, default=2, help="images (default 2)")
    parser.add_argument(
        "--images", type=int, default=500, help="to measure (default 500)"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_changes(parser)
    return parser.parse_args(arguments)


def resident():
    """Returns the memory of this process that is in use now, in MB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def measure(options):
    """Reads images for a while and prints a line for each tenth of them."""
    data = mr.datasets.load(options.data, compose=options.compose).train
    config = mr.Config.preset(
        options.preset, classes=data.classes, augment=_AUGMENTED
    ).replace(**parse_changes(options.changes))
    config = config.replace(train={"batch_size": options.batch})
    span = max(1, options.images // _SPANS // options.batch)  # batches
    print(
        f"reading {_SPANS * span * options.batch} images of {options.data}, which has "
        f"{len(data)}, for {options.preset}: {config.image.short_side} pixels, batches "
        f"of {options.batch}\n{config.augment}"
    )
    augment = mr.datasets.Augment(config.augment)
    batches = iter(mr.datasets.batches(data, config, True, options.seed, augment))
    for _ in range(max(1, _WARM_UP // options.batch)):
        next(batches)
    print(f"{'images':>8} {'images/s':>9} {'CPU, ms/image':>14} {'memory, MB':>11}")
    print(f"{0:8} {'':9} {'':14} {resident():11.0f}", flush=True)
    rates, costs, memory = [], [], []
    for number in range(1, _SPANS + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(span):
            next(batches)
        count = span * options.batch
        rates.append(count / (time.perf_counter() - start))
        costs.append(1000 * (time.process_time() - start_cpu) / count)
        memory.append(resident())
        row = (
            f"{number * count:8} {rates[-1]:9.1f} {costs[-1]:14.0f} {memory[-1]:11.0f}"
        )
        print(row, flush=True)
    half = _SPANS // 2
    growth = statistics.median(memory[half:]) - statistics.median(memory[:half])
    print(
        f"median {statistics.median(rates):.1f} images/s at "
        f"{statistics.median(costs):.0f} ms of processor each; memory of the second "
        f"half against the first {growth:+.0f} MB, at most {max(memory):.0f} MB"
    )


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        measure(options)
    except (ValueError, OSError, tf.errors.OpError) as error:
        print(f"benchmark_input: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
