"""A source, a model and a place for the answers: the whole of it."""

import contextlib

import numpy as np

from mrcnn_tf.live.overlay import draw
from mrcnn_tf.live.pipeline import run
from mrcnn_tf.live.stopwatch import Stopwatch
from mrcnn_tf.live.writer import Writer


def annotate(
    source, model, out=None, window=None, min_score=0.5, limit=None, each=None
):
    """Runs a model on every frame of a source, and draws, writes and shows the answers.

    Without `out` a camera's frames give way to newer ones; with it, and from a video or
    a folder, none is lost.

    Args:
        source: what `open_source` returns, or whatever else has its `rate`,
            `is_camera` and `problems` and iterates over uint8 RGB [H, W, 3].
        model: `detect(image)` gives a `Result` or `Labels`.
        out: path of a video to write, at the rate of the source; see `Writer`.
        window: a `Window`, or None.
        min_score: 0 to 1, what scores less is left out.
        limit: frames to read, None for all.
        each: called in the caller's thread with every annotated frame, uint8 RGB
            [H, W, 3].
    Returns:
        `Report`. What went wrong on the way, of whatever kind, stands in it.
    Raises:
        ValueError: if the name of `out` is none of a video.
        ImportError: without OpenCV.
    """
    watch = Stopwatch()
    writer = Writer(out, source.rate) if out else None
    # The first answer takes seconds, as TensorFlow builds its graph: not while frames
    # wait. A model that fails will do so again, and be reported.
    with contextlib.suppress(Exception):
        model.detect(np.zeros((480, 640, 3), np.uint8))

    def predict(image):
        return image, model.detect(image).keep(min_score)

    def draw_answer(image_and_answer):
        watch.tick()
        return draw(*image_and_answer, watch.status())

    def write(image):
        writer.write(image)
        return image

    def show(image):
        if each:
            each(image)
        return window is not None and window.show(image)

    stages = {"predict": predict, "draw": draw_answer}
    if writer:
        stages["write"] = write
    with writer or contextlib.nullcontext():
        newest = source.is_camera and not writer
        frames = _first(source, limit)
        report = run(frames, stages, newest=newest, each=show, watch=watch)
    report.problems = [*source.problems, *report.problems]
    if writer:
        try:
            writer.check()
        except OSError as error:
            report.problems.append(str(error))
    return report


def _first(frames, limit):
    """Yields the first frames; the rest is not read."""
    for count, frame in enumerate(frames, 1):
        yield frame
        if count == limit:
            return
