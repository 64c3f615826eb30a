"""Stages side by side: each in a thread, a short queue between one and the next.

While a network looks at one frame, the next is read and the one before it is drawn.
One rule ends everything, whatever happens and wherever: a stage that leaves ends the
queue that it gives to. What lies behind it finishes what it has, until the last queue
has ended too; then all queues are cancelled, which stops what lies before.
"""

import dataclasses
import threading
import time

from mrcnn_tf.live.channel import Cancelled, Channel
from mrcnn_tf.live.stopwatch import Stopwatch

PATIENCE = 5.0  # seconds for a camera that does not answer; then it is left alone


@dataclasses.dataclass
class Report:
    """What came of a run.

    Attributes:
        frames: how many came out of the last stage.
        dropped: how many were read and lost because newer ones came.
        seconds: from the first frame read to the last done.
        means: mean milliseconds of each stage, by name, "read" first.
        failure: the exception of a stage that ended it, or None.
        interrupted: whether Ctrl-C did.
        problems: sentences, one for whatever went wrong.
    """

    frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    means: dict = dataclasses.field(default_factory=dict)
    failure: Exception | None = None
    interrupted: bool = False
    problems: list = dataclasses.field(default_factory=list)

    def __str__(self):
        rate = self.frames / self.seconds if self.seconds else 0
        stages = ", ".join(f"{name} {ms:.1f}" for name, ms in self.means.items())
        dropped = f"; {self.dropped} dropped for newer ones" if self.dropped else ""
        return (
            f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} frames a second"
            f"{dropped}\n"
            f"milliseconds a frame, side by side: {stages or 'none'}"
        )


def run(frames, stages, size=4, newest=False, each=None, watch=None):
    """Sends frames through stages, each in a thread of its own.

    Args:
        frames: an iterable; if it is a generator, it is closed by the thread that
            reads it.
        stages: dict from a name to a function, of what the stage before returned.
        size: how many frames wait before each stage at most.
        newest: a frame that waits for the first stage gives way to a newer one;
            otherwise none is lost, and reading waits.
        each: called in the caller's thread with what the last stage returned, in
            order; True stops the run.
        watch: a `Stopwatch` to look at meanwhile.
    Returns:
        `Report`. No exception of a stage gets out, nor Ctrl-C.
    """
    watch = watch or Stopwatch()
    report = Report()
    # One frame alone waits where the newest wins: of two, the older would be next.
    channels = [Channel(1 if newest else size, newest)]
    channels += [Channel(size) for _ in stages]
    work = [(_read, (frames, channels[0], watch))]
    for index, (name, function) in enumerate(stages.items()):
        work.append((_work, (name, function, *channels[index : index + 2], watch)))
    threads = [
        threading.Thread(target=_guarded, args=(report, *job), daemon=True)
        for job in work
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    finished = iter(channels[-1])
    try:
        try:
            for frame in finished:
                report.frames += 1
                if each and each(frame):
                    break
        except KeyboardInterrupt:
            report.interrupted = True
        channels[0].cancel()
        report.frames += sum(1 for _ in channels[-1])  # what was under way
    finally:  # whatever `each` raised, or a second Ctrl-C
        for channel in channels:
            channel.cancel()
        for thread in threads:
            thread.join(PATIENCE)
    report.seconds = time.perf_counter() - started
    if report.failure is not None:
        error = report.failure
        report.problems.append(str(error) or type(error).__name__)
    if threads[0].is_alive():
        report.problems.append(
            f"the source has not answered for {PATIENCE:g} seconds and was left alone"
        )
    report.dropped, report.means = channels[0].dropped, watch.means
    return report


def _guarded(report, job, arguments):
    """Runs what a thread does; keeps the first exception for the report."""
    try:
        job(*arguments)
    except Cancelled:
        pass
    except Exception as error:
        report.failure = report.failure or error


def _read(frames, outgoing, watch):
    frames = iter(frames)
    try:
        while True:
            with watch.time("read"):
                frame = next(frames)
            outgoing.put(frame)
    except StopIteration:
        pass
    finally:
        outgoing.end()
        # By the thread that reads: to release a camera under a read would crash.
        getattr(frames, "close", lambda: None)()


def _work(name, function, incoming, outgoing, watch):
    try:
        for frame in incoming:
            with watch.time(name):
                frame = function(frame)
            outgoing.put(frame)
    finally:
        outgoing.end()
