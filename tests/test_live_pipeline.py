"""Live's channels and threads: that order is kept, and nothing hangs."""

import threading
import time

import pytest
from live_parts import (
    deadline,  # noqa: F401  applies to every test
    start,
)

from mrcnn_tf import live
from mrcnn_tf.live import channel, pipeline


def test_a_channel_keeps_order_and_ends():
    line = channel.Channel(2)
    taken = []
    taker = start(lambda: taken.extend(line))
    for item in range(50):
        line.put(item)
    line.end()
    taker.join(5)
    assert taken == list(range(50)) and line.dropped == 0


def test_a_full_channel_waits_or_drops_its_oldest():
    waits = channel.Channel(2)
    giver = start(lambda: [waits.put(i) for i in range(3)])
    giver.join(0.1)
    assert giver.is_alive()
    assert next(iter(waits)) == 0
    giver.join(5)
    assert not giver.is_alive()
    drops = channel.Channel(2, newest=True)
    for item in range(5):
        drops.put(item)
    drops.end()
    assert list(drops) == [3, 4] and drops.dropped == 3


def test_a_cancelled_channel_wakes_both_ends():
    full, ended = channel.Channel(1), []
    full.put(0)

    def give():
        with pytest.raises(channel.Cancelled):
            full.put(1)
        ended.append("giver")

    empty_one = channel.Channel(1)
    threads = [
        start(give),
        start(lambda: ended.extend(["taker", *empty_one])),
    ]
    time.sleep(0.05)
    full.cancel()
    empty_one.cancel()
    for thread in threads:
        thread.join(5)
    assert sorted(ended) == ["giver", "taker"]


def test_stages_overlap_and_keep_order():
    def slow(item):
        time.sleep(0.02)
        return item + 1

    done = []
    report = live.run(range(25), dict.fromkeys("abc", slow), each=done.append)
    assert done == list(range(3, 28)) and report.frames == 25
    assert list(report.means) == ["read", "a", "b", "c"]
    assert all(report.means[name] >= 20 for name in "abc")
    # Three stages of 0.02 s: 1.5 s one after the other, 0.54 s side by side.
    assert report.seconds < 1.2


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_whichever_stage_breaks_the_others_end(broken):
    stages = [lambda item: item, lambda item: item]

    def breaks(item):
        if item == 10:
            raise MemoryError  # which says nothing itself
        return item

    frames = (breaks(i) for i in range(1000)) if broken == 0 else iter(range(1000))
    if broken:
        stages[broken - 1] = breaks
    done = []
    report = live.run(frames, dict(zip("ab", stages, strict=True)), each=done.append)
    assert done == list(range(10)) == list(range(report.frames))
    assert isinstance(report.failure, MemoryError)
    assert report.problems == ["MemoryError"]


def test_of_what_waits_the_newest_is_next():
    taken, ended = threading.Event(), threading.Event()

    def frames():
        yield 0
        taken.wait(5)
        yield from range(1, 10)
        ended.set()

    def look(number):
        taken.set()
        ended.wait(5)
        return number

    seen = []
    report = live.run(frames(), {"look": look}, newest=True, each=seen.append)
    assert seen == [0, 9] and report.dropped == 8


def test_a_stopwatch_by_hand(monkeypatch):
    clock = iter([0, 1, 10, 13, 20, 20.5, 30, 30.25])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    watch = live.Stopwatch()
    for stage in ("read", "read", "draw"):
        with watch.time(stage):
            pass
    assert watch.means == watch.recent == {"read": 2000, "draw": 500}
    assert watch.rate == 0
    watch.tick()
    watch.tick()
    assert watch.rate == 4
    assert watch.status() == "4.0 frames/s\nread 2000.0  draw 500.0 ms"
    report = live.Report(frames=6, seconds=3.0, means=watch.means)
    assert str(report) == (
        "6 frames in 3.0 s: 2.0 frames a second\n"
        "milliseconds a frame, side by side: read 2000.0, draw 500.0"
    )


def test_what_each_raises_gets_out_after_the_threads():
    def each(item):
        raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"):
        live.run(iter(range(1000)), {"a": lambda item: item}, each=each)


def test_a_source_that_does_not_answer_is_left_alone(monkeypatch):
    monkeypatch.setattr(pipeline, "PATIENCE", 0.2)
    release = threading.Event()

    def frames():
        yield 1
        release.wait()

    def each(item):
        raise KeyboardInterrupt

    report = live.run(frames(), {"a": lambda item: item}, each=each)
    assert report.interrupted and "has not answered" in report.problems[0]
    release.set()
    time.sleep(0.1)
