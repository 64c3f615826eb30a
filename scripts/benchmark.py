#!/usr/bin/env python
"""Measures how fast a network predicts and trains, and in how much memory.

Each side, ours and with --peer another, is a process of its own, a fresh one for every
line of the table. Where there are two, they run in turn. Times are medians of --runs
after --warm-up, with quartiles. Peak memory is the process's, its libraries included.

What is measured (--mode):
    network    an image in the network's size to boxes and masks of 28 x 28 cells
    answers    a uint8 image of that size to boxes and masks of all its pixels; ours
               are run-length encoded besides
    training   a step on a batch: forward, backward, SGD with momentum

All weights are random, and the rate of learning so small that they stay so. Without
--data the image is noise with four objects, so wide and low that no anchor matches
them; on both sides copies of their boxes take the place of as many proposals as
--positives asks for beyond those four. What was found is read on both sides and
printed: proposals, detections, positive RoIs.

Examples:
    scripts/benchmark.py --preset tiny --mode all
    scripts/benchmark.py --size 256 512 800 --peer torchvision
    scripts/benchmark.py --size 512 --mode training --positives 8 --peer torchvision \\
        --peer-python ~/torch/bin/python --json training.json
    scripts/benchmark.py --preset pets --data photos/ --mode training --batch 8
    scripts/benchmark.py --mode training --set train.precision=bfloat16
"""

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path

from benchmark_scene import OBJECTS
from benchmark_side import Side, alternate, cores, summary
from benchmark_table import show, show_start, show_steady, work
from options import add_changes, add_device, parse_changes

from mrcnn_tf.config import Config

HERE = Path(__file__).resolve().parent
KINDS = {
    "network": ("network",),
    "answers": ("answers",),
    "inference": ("network", "answers"),
    "training": ("training",),
    "all": ("network", "answers", "training"),
}


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="resnet50_fpn")
    parser.add_argument(
        "--size", type=int, nargs="+", help="pixels a side (default the preset's)"
    )
    parser.add_argument("--batch", type=int, default=1, help="images (default 1)")
    parser.add_argument("--mode", choices=KINDS, default="all")
    parser.add_argument("--runs", type=int, default=5, help="timed (default 5)")
    parser.add_argument("--warm-up", type=int, default=2, help="runs (default 2)")
    parser.add_argument(
        "--positives",
        type=int,
        nargs="+",
        default=[8],
        metavar="N",
        help=f"positive RoIs an image, at least {OBJECTS}: one number, or one for "
        "each size (default 8)",
    )
    parser.add_argument(
        "--data", help="real images in place of noise, the input pipeline included"
    )
    parser.add_argument("--compose", type=int, default=0, metavar="N")
    parser.add_argument("--peer", choices=("torchvision",))
    parser.add_argument(
        "--peer-python",
        default=sys.executable,
        metavar="FILE",
        help="the Python that has it, if not this one",
    )
    parser.add_argument(
        "--stages", action="store_true", help="time each part of the network by itself"
    )
    parser.add_argument(
        "--steady",
        type=int,
        nargs=2,
        metavar=("PREDICTIONS", "STEPS"),
        help="only whether memory stays flat over so many on images of varying size, "
        "and how often functions were traced: 1000 500",
    )
    parser.add_argument(
        "--start",
        action="store_true",
        help="only the seconds from the import to the end of the first step of "
        "training on shapes, median of three fresh processes",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was measured here")
    add_changes(parser)
    add_device(parser)
    return parser.parse_args(arguments)


def check(options):
    """Raises ValueError for options that contradict."""
    sizes = options.size or [None]
    if len(options.positives) not in (1, len(sizes)):
        raise ValueError(
            f"--positives takes one number or one for each --size: found "
            f"{len(options.positives)} numbers for {len(sizes)} sizes"
        )
    for name in ("batch", "runs"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} must be at least 1")
    if min(options.positives) < OBJECTS:
        raise ValueError(f"--positives must be at least the {OBJECTS} objects")
    if min(options.size or [32]) < 32:
        raise ValueError("--size must be at least 32 pixels")
    if options.data and options.peer:
        raise ValueError(
            "--peer compares networks on the same noise: leave out --data, which "
            "measures our own input"
        )


def jobs(options):
    """Yields what each fresh pair of workers is to prepare, a dict."""
    config = Config.preset(options.preset).replace(**parse_changes(options.changes))
    # Real images are of any size: the preset says what becomes of them.
    sizes = options.size or [None if options.data else config.image.short_side]
    positives = options.positives
    if len(positives) == 1:
        positives = positives * len(sizes)
    for size, count in zip(sizes, positives, strict=True):
        for kind in KINDS[options.mode]:
            yield {
                "kind": kind,
                "size": size,
                "positives": count,
                "preset": options.preset,
                "changes": options.changes,
                "batch": options.batch,
                "data": options.data,
                "compose": options.compose,
                "cpu": options.cpu,
                "gpu": options.gpu,
                "runs": options.runs,
            }


def measure(job, options):
    """Runs one job on each side in turn; returns a dict for the report."""
    with Side("ours", [sys.executable, HERE / "benchmark_ours.py"], job) as ours:
        sides = {"ours": ours}
        if options.peer:
            theirs = {**job, "config": ours.about["config"]}
            command = [options.peer_python, HERE / f"benchmark_{options.peer}.py"]
            with Side(options.peer, command, theirs) as peer:
                check_same(ours.about, peer.about, options.peer, options.preset)
                sides[options.peer] = peer
                return report(job, sides, options)
        return report(job, sides, options)


def check_same(ours, theirs, peer, preset):
    """Raises ValueError if two networks have not as many weights."""
    if theirs["weights"] != ours["weights"]:
        raise ValueError(
            f"{peer}'s network has {theirs['weights']:,} weights, ours "
            f"{ours['weights']:,}: it has none like {preset} with these changes"
        )


def report(job, sides, options):
    """Times the sides; returns a dict."""
    times = alternate(sides, options.runs, options.warm_up)
    result = {name: job[name] for name in ("kind", "size", "batch")}
    for name, side in sides.items():
        result[name] = {
            **summary(times[name]),
            # Before anything else runs there.
            **side.do("memory"),
            **side.do("gpu"),
            **{key: side.about[key] for key in ("libraries_mb", "device", "versions")},
            "found": side.do("found"),
        }
    ours = sides["ours"]
    result["config"] = ours.about["config"]
    result["size"] = job["size"] or ours.about["config"]["image"]["short_side"]
    if job["kind"] != "answers":
        result["ceiling"] = ours.do("ceiling")
        result["work"] = work(
            job["kind"],
            result["ours"]["found"]["gflop"],
            result["ours"]["median"],
            result["ceiling"]["convolution"],
        )
        if options.stages:
            result["stages"] = ours.do("stages")
    if options.peer:
        medians = [result[name]["median"] for name in sides]
        result["ratio"] = medians[0] / medians[1]
        result["compiled_operators"] = sides[options.peer].about["compiled_operators"]
    return result


def steady(job, options):
    """Predicts and trains for long; returns a dict of what the memory did in each."""
    rows = {}
    for kind, count in (
        ("predictions", options.steady[0]),
        ("steps", options.steady[1]),
    ):
        # A fresh process for each, as memory is compared.
        command = [sys.executable, HERE / "benchmark_steady.py"]
        with Side("steady", command, {**job, "count": count}) as worker:
            rows[kind] = worker.do(kind)
    return rows


def start(job, options):
    """Starts anew three times; returns a dict of medians, by part."""
    told = []
    for _ in range(3):
        command = [sys.executable, HERE / "benchmark_start.py"]
        with Side("start", command, job) as worker:
            told.append(worker.about["seconds"])
    return {part: statistics.median(each[part] for each in told) for part in told[0]}


def run(options):
    """Measures as the command line says."""
    check(options)
    everything = {
        "arguments": vars(options),
        "machine": {"cores": cores(), "processor": processor(), "load": load()},
    }
    if options.steady or options.start:
        (job,) = list(jobs(options))[:1]
        if options.steady:
            everything["steady"] = steady(job, options)
            show_steady(everything["steady"])
        if options.start:
            everything["start"] = start(job, options)
            show_start(everything["start"])
    else:
        print(
            f"{options.preset}, batch {options.batch}, {cores()} cores, median of "
            f"{options.runs} after {options.warm_up}"
        )
        everything["results"] = []
        for job in jobs(options):
            everything["results"].append(measure(job, options))
            show(everything["results"][-1], options.peer)
    if options.json:
        Path(options.json).write_text(json.dumps(everything, indent=1))


def processor():
    """Returns the name of the machine's processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def load():
    """Returns the machine's load, a minute's mean of running processes."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the workers
    try:
        run(options)
    except (ValueError, OSError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
