#!/usr/bin/env python
"""Looks at a dataset and writes the config file of a run that suits it.

It chooses the number of steps by the number of images, the slots for objects by the
fullest image, and a network without masks where there are only boxes; it says what it
chose and why. Every field stands in the file, to be changed. Paths are relative to the
folder that the commands run in.

Examples:
    scripts/make_config.py --data photos/ --weights coco --out config.json
    scripts/make_config.py --data photos/ --weights imagenet --preset pets \\
        --run runs/photos --out photos.json
    scripts/make_config.py --data shapes --steps 1000 --out config.json
"""

import argparse
import sys
from pathlib import Path

from options import add_changes, add_data, add_format, add_weights, parse_changes

import mrcnn_tf as mr
from mrcnn_tf.training.run_file import WEIGHTS, changed_run


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    add_format(parser)
    parser.add_argument(
        "--preset",
        help="see mrcnn_tf/presets.py; coco weights bring their own (default: pets "
        "for imagenet weights, else tiny)",
    )
    add_weights(
        parser,
        WEIGHTS,
        "to begin with: a backbone's, a whole network's to fine-tune, or none "
        "(default)",
    )
    parser.add_argument(
        "--run", default="", metavar="FOLDER", help="of the run (default runs/NAME)"
    )
    parser.add_argument("--steps", type=int, help="batches, if not chosen by the data")
    parser.add_argument("--seed", type=int, default=0)
    add_changes(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("config.json"), help="file to write"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file if it is there"
    )
    return parser.parse_args(arguments)


def make(options):
    """Writes the file as the command line says."""
    if options.out.exists() and not options.force:
        raise ValueError(f"{options.out} is there already; --force replaces it")
    if options.steps is not None and options.steps < 1:
        raise ValueError(f"--steps must be at least 1, found {options.steps}")
    print(f"looking at {options.data} to write {options.out}", flush=True)
    run, config, reasons = mr.training.make_run(
        options.data,
        options.run,
        options.preset,
        options.steps,
        format=options.format,
        compose=options.compose,
        weights=options.weights or "none",
        weights_file=options.weights_file,
        seed=options.seed,
    )
    run, config = changed_run(run, config, parse_changes(options.changes))
    if options.changes:
        reasons.append(f"after all that, as asked: {', '.join(options.changes)}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(mr.training.run_to_json(run, config) + "\n", "utf-8")
    print("\n".join(f"- {reason}" for reason in reasons))
    print(f"next: scripts/train.py --config {options.out}   # into {run.folder}/")


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        make(options)
    except (ValueError, OSError) as error:
        print(f"make_config: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake_config: stopped; nothing is written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
