"""How long each stage takes, and how many frames a second come through."""

import collections
import contextlib
import time

_RECENT = 30  # frames, about a second: what is shown while it runs


class Stopwatch:
    """Times of stages, by name, in the order in which they were first measured.

    Each stage is measured by one thread; any thread may look.
    """

    def __init__(self):
        self._sums = {}  # stage -> [seconds, count]
        self._recent = collections.defaultdict(
            lambda: collections.deque(maxlen=_RECENT)
        )
        self._ticks = collections.deque(maxlen=_RECENT + 1)

    @contextlib.contextmanager
    def time(self, stage):
        """Measures what happens in the `with` block; not if it raises."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        total = self._sums.setdefault(stage, [0.0, 0])
        total[0] += seconds
        total[1] += 1
        self._recent[stage].append(seconds)

    def tick(self):
        """Counts a frame that comes through now."""
        self._ticks.append(time.perf_counter())

    @property
    def rate(self):
        """Frames a second of late, a float; 0 before the second frame."""
        ticks = list(self._ticks)
        elapsed = ticks[-1] - ticks[0] if ticks else 0
        return (len(ticks) - 1) / elapsed if elapsed > 0 else 0.0

    @property
    def recent(self):
        """Mean milliseconds of each stage of late, a dict."""
        recent = {stage: list(self._recent[stage]) for stage in list(self._sums)}
        return {name: 1e3 * sum(times) / len(times) for name, times in recent.items()}

    @property
    def means(self):
        """Mean milliseconds of each stage since the start, a dict."""
        return {name: 1e3 * sum_ / count for name, (sum_, count) in self._sums.items()}

    def status(self):
        """Returns two lines: frames a second, and the time of each stage of late."""
        stages = "  ".join(f"{name} {ms:.1f}" for name, ms in self.recent.items())
        return f"{self.rate:.1f} frames/s\n{stages} ms"
