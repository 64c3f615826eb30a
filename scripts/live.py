#!/usr/bin/env python
"""Runs a model on a camera, a video or a folder of images, and shows what it finds.

Any model of this package: Mask R-CNN, YOLO, or a U-Net with its unet.json beside it.
Reading, predicting, drawing and writing overlap in threads; frames a second and the
milliseconds of each stage stand on the picture, and their means are printed at the end.

Examples:
    scripts/live.py 0                            a camera, with COCO's classes
    scripts/live.py street.mp4 --out outputs/street.mp4
    scripts/live.py frames/ --rate 25 --model runs/shapes/best.keras --out out.webm
    scripts/live.py toy --model runs/shapes/best.keras --out toy.mp4 --limit 2000

"toy" is a video of moving shapes, made as it goes: to measure by. With --out no frame
is lost, and no display is needed; from a camera without --out, the newest frame wins
and the others are counted. q closes the window, Ctrl-C stops: what was written so far
plays. The exit status is 0 if all went well to the end.
"""

import argparse
import signal
import sys
from pathlib import Path

from options import add_device, add_model, choose_device, load_model

from mrcnn_tf import live
from mrcnn_tf.live.opencv import load_cv2
from mrcnn_tf.live.writer import CODECS, check_target

TOY_FRAMES = 300


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", help='a camera\'s number, a video, a folder of images, or "toy"'
    )
    add_model(parser, default="coco")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"a video: {', '.join(CODECS)}"
    )
    parser.add_argument(
        "--no-window", action="store_true", help="shows nothing, though it could"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.5,
        help="leaves out what scores less (default 0.5)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=10,
        metavar="N",
        help="frames a second that the images of a folder stand for (default 10)",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="stops after so many frames"
    )
    add_device(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.min_score <= 1:
        parser.error(f"--min-score must be from 0 to 1, found {options.min_score}")
    if not 0.1 <= options.rate <= 240:
        parser.error(f"--rate must be from 0.1 to 240, found {options.rate}")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit must be at least 1, found {options.limit}")
    return options


class Toy:
    """Moving shapes as a source."""

    name, rate, is_camera = "toy", live.frames.RATE, False

    def __init__(self, count):
        self.count, self.problems = count, []

    def __iter__(self):
        return live.moving_shapes(self.count)


def open_window(options):
    """Returns a window, or None where it is not wanted or not to be had.

    Raises:
        OSError: if nobody would see anything, as nothing is written either.
    """
    if options.no_window:
        if options.out is None:
            raise OSError("nothing to show and nothing to write: name a video, --out")
        return None
    try:
        return live.Window()
    except OSError as error:
        if options.out is None:
            raise OSError(f"{error}; name a video to write, --out") from error
        print(f"{error}; the video is written all the same")
        return None


def run(options):
    """Runs as the command line says; returns the exit status."""
    load_cv2()  # or a sentence, before anything takes time
    if options.out is not None:
        live.Writer(options.out, 1).close()  # the same for a name that is no video's
        check_target(options.out, options.source)
    if options.source == "toy":
        source = Toy(options.limit or TOY_FRAMES)
    else:
        source = live.open_source(options.source, options.rate)
    window = open_window(options)
    model = load_model(options, live.load)
    report = live.annotate(
        source, model, options.out, window, options.min_score, options.limit
    )
    if window is not None:
        window.close()
    print(report)
    if options.out is not None and report.frames:
        print(f"written: {options.out}, {source.rate:g} frames a second")
        speed = source.rate * report.seconds / report.frames
        if source.is_camera and speed > 1.1:
            print(f"it plays {speed:.1f} times as fast as it happened: fewer came")
    for problem in report.problems:
        print(f"live: {problem}", file=sys.stderr)
    if report.interrupted:
        print("live: interrupted", file=sys.stderr)
        return 130  # as shells say it
    return 1 if report.problems else 0


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    # A kill ends as Ctrl-C does: with a video that plays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        choose_device(options)
        return run(options)
    except KeyboardInterrupt:
        print("\nlive: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"live: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
