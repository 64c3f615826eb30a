"""Live: that no frame is lost, nothing hangs, and whatever ends it ends it cleanly.

Frame i of the videos here is of the grey level 8 i, so that order and loss can be seen.
"""

import _thread
import os
import signal
import sys
import threading
import time

import cv2
import live as command
import numpy as np
import pytest
import small
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import live
from mrcnn_tf.live import channel, pipeline
from mrcnn_tf.live import writer as writers

STEP = 8  # grey levels between one frame and the next
FRAMES = 30


@pytest.fixture(autouse=True)
def deadline():
    """Fails a test that hangs, and one that leaves a thread behind."""

    def too_late(number, frame):
        raise TimeoutError("hangs")

    threads = threading.active_count()
    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    assert threading.active_count() <= threads


class Nothing:
    """A model that finds nothing; keeps the grey levels of what it was asked about."""

    def __init__(self, seconds=0, fails_at=None):
        self.seconds, self.fails_at, self.seen = seconds, fails_at, []

    def detect(self, image):
        height, width = image.shape[:2]
        if (height, width) == (480, 640):  # to warm up
            return empty(height, width)
        time.sleep(self.seconds)
        self.seen.append(number_of(image))
        if number_of(image) == self.fails_at:
            raise ValueError("the model broke")
        return empty(height, width)


def empty(height, width):
    none = np.zeros((0, 4), np.float32)
    return mr.Result(none, np.zeros(0, int), np.zeros(0), (), height, width)


class FakeCamera:
    """Stands for cv2.VideoCapture(0): dies after some frames."""

    def __init__(self, frames=FRAMES, seconds=0):
        self.left, self.seconds, self.released = frames, seconds, None
        self.number = 0

    def read(self):
        assert not self.released
        time.sleep(self.seconds)
        if self.number == self.left:
            return False, None
        self.number += 1
        return True, np.full((48, 64, 3), STEP * (self.number - 1), np.uint8)

    def get(self, what):
        return 0.0  # many cameras do not know their rate

    def release(self):
        self.released = threading.current_thread()


def number_of(image):
    """The number of a frame, by its last rows: the status stands above."""
    return round(image[-10:].mean() / STEP)


def make_video(path, frames=FRAMES, size=(64, 48), rate=20, codec="MJPG"):
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
    for number in range(frames):
        video.write(np.full((size[1], size[0], 3), STEP * number, np.uint8))
    video.release()
    return path


def read_video(path):
    """The numbers of a video's frames, its size (width, height) and its rate."""
    capture = cv2.VideoCapture(str(path))
    numbers, size = [], None
    while True:
        found, frame = capture.read()
        if not found:
            break
        numbers.append(number_of(frame))
        size = frame.shape[1::-1]
    return numbers, size, capture.get(cv2.CAP_PROP_FPS)


def start(work):
    thread = threading.Thread(target=work, daemon=True)  # not to outlive a failure
    thread.start()
    return thread


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


@pytest.mark.parametrize("ending", writers.CODECS)
def test_every_frame_of_a_video_is_written_in_order(tmp_path, ending):
    source = live.open_source(make_video(tmp_path / "in.avi"))
    model = Nothing(seconds=0.002)
    report = live.annotate(source, model, tmp_path / f"out{ending}")
    assert model.seen == list(range(FRAMES))
    numbers, size, rate = read_video(tmp_path / f"out{ending}")
    assert numbers == list(range(FRAMES)) and size == (64, 48) and rate == 20
    assert (report.frames, report.dropped, report.problems) == (FRAMES, 0, [])


def test_sides_that_are_odd_lose_no_pixel(tmp_path):
    frames = [np.full((49, 65, 3), 200, np.uint8), np.full((98, 65, 3), 200, np.uint8)]
    with live.Writer(tmp_path / "out.mp4", 10) as video:
        for frame in frames:
            video.write(frame)
    video.check()
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    first, second = capture.read()[1], capture.read()[1]
    assert first.shape == (50, 66, 3) and first.min() > 190
    # The taller one stands in the middle, with black at its sides.
    assert second[25, 33].min() > 180 and second[25, [2, 63]].max() < 20


def test_a_limit_reads_no_further(tmp_path):
    source = live.open_source(make_video(tmp_path / "in.avi"))
    report = live.annotate(source, Nothing(), tmp_path / "out.avi", limit=7)
    assert read_video(tmp_path / "out.avi")[0] == list(range(7))
    assert report.frames == 7 and report.problems == []


def test_a_cut_off_video_is_written_as_far_as_it_goes(tmp_path):
    path = make_video(tmp_path / "in.avi")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    report = live.annotate(live.open_source(path), Nothing(), tmp_path / "out.mp4")
    numbers = read_video(tmp_path / "out.mp4")[0]
    assert 1 < report.frames < 25 and numbers == list(range(report.frames))
    assert report.problems == [
        f"{path}: ended after {report.frames} frames where its header promises 30; "
        "the file is cut off or damaged"
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"RIFF" + bytes(40), "no frame"), (b"hello " * 99, "no frame")],
)
def test_what_is_no_video_is_refused(tmp_path, data, words):
    (tmp_path / "in.mp4").write_bytes(data)
    with pytest.raises(ValueError, match=rf"in\.mp4: .*{words}"):
        live.open_source(tmp_path / "in.mp4")


def test_a_header_alone_is_refused(tmp_path):
    make_video(tmp_path / "whole.mp4", codec="mp4v")
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(data[: len(data) // 2])  # its index comes last
    make_video(tmp_path / "in.avi", frames=0)
    for name in ("in.mp4", "in.avi"):
        with pytest.raises(ValueError, match=f"{name}: no frame in it"):
            live.open_source(tmp_path / name)


def test_a_folder_passes_over_what_it_cannot_read(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(5):
        Image.new("L", (64, 48), STEP * number).save(folder / f"{number}.png")
    (folder / "2b.png").write_text("no image")
    (folder / "notes.txt").touch()
    Image.new("L", (3840, 2160), STEP * 5).save(folder / "5.png")
    source = live.open_source(folder, rate=5)
    sizes = []
    report = live.annotate(
        source, Nothing(), tmp_path / "out.avi", each=lambda i: sizes.append(i.shape)
    )
    numbers, size, rate = read_video(tmp_path / "out.avi")
    assert numbers[:5] == list(range(5)) and len(numbers) == 6
    assert (size, rate) == ((64, 48), 5)
    assert sizes[-1] == (1080, 1920, 3)
    assert len(report.problems) == 1 and "2b.png: not an image" in report.problems[0]


def test_a_camera_that_dies_is_a_sentence(tmp_path):
    capture = FakeCamera(12)
    report = live.annotate(live.Camera(0, capture), Nothing(), tmp_path / "out.mp4")
    numbers, _, rate = read_video(tmp_path / "out.mp4")
    assert numbers == list(range(12)) and rate == 25
    assert report.problems == [
        "camera 0: gave no more frames after 12; was it unplugged?"
    ]
    assert capture.released


def test_a_camera_is_released_by_the_thread_that_reads():
    capture = FakeCamera(10_000, seconds=0.001)
    report = live.annotate(live.Camera(0, capture), Nothing(), limit=5)
    assert report.frames + report.dropped == 5 and report.problems == []
    assert capture.released not in (None, threading.main_thread())

    def each(image):
        raise KeyboardInterrupt

    capture = FakeCamera(10_000, seconds=0.001)
    assert live.annotate(live.Camera(0, capture), Nothing(), each=each).interrupted
    assert capture.released not in (None, threading.main_thread())


def test_a_camera_may_fail_once():
    capture = FakeCamera(3)
    read = capture.read
    answers = iter([True, False, True])
    capture.read = lambda: read() if next(answers, True) else (False, None)
    report = live.annotate(live.Camera(0, capture), Nothing())
    assert report.frames + report.dropped == 3


def test_a_camera_that_gives_nothing_is_refused():
    capture = FakeCamera(0)
    with pytest.raises(ValueError, match="camera 3: gives no frame; is it plugged in"):
        live.Camera(3, capture)
    assert capture.released


def test_of_a_camera_the_newest_frame_wins():
    capture, model = FakeCamera(30, seconds=0.01), Nothing(seconds=0.05)
    report = live.annotate(live.Camera(0, capture), model)
    assert report.dropped > 10 and report.frames + report.dropped == 30
    assert model.seen == sorted(set(model.seen)) and model.seen[-1] == 29
    assert report.frames == len(model.seen)
    assert f"{report.dropped} dropped for newer ones" in str(report)


def test_of_a_camera_that_is_written_none_is_dropped(tmp_path):
    capture, model = FakeCamera(20), Nothing(seconds=0.01)
    report = live.annotate(live.Camera(0, capture), model, tmp_path / "out.avi")
    assert read_video(tmp_path / "out.avi")[0] == list(range(20))
    assert report.dropped == 0


def test_a_model_that_breaks_leaves_what_was_written(tmp_path):
    source = live.open_source(make_video(tmp_path / "in.avi"))
    report = live.annotate(source, Nothing(fails_at=9), tmp_path / "out.mp4")
    assert read_video(tmp_path / "out.mp4")[0] == list(range(9))
    assert report.problems == ["the model broke"] and report.frames == 9


def test_ctrl_c_leaves_what_was_written(tmp_path):
    source = live.open_source(make_video(tmp_path / "in.avi"))
    model = Nothing(seconds=0.02)
    threading.Timer(0.25, _thread.interrupt_main).start()
    report = live.annotate(source, model, tmp_path / "out.mp4")
    numbers = read_video(tmp_path / "out.mp4")[0]
    assert report.interrupted and 0 < len(numbers) < FRAMES
    assert numbers == list(range(report.frames)) == model.seen


def test_a_codec_that_is_missing_is_a_sentence(tmp_path):
    source = live.open_source(make_video(tmp_path / "in.avi"))
    model = Nothing()

    class Writer(live.Writer):
        def __init__(self, path, rate):
            super().__init__(path, rate, codec="zzzz")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrcnn_tf.live.annotating.Writer", Writer)
        report = live.annotate(source, model, tmp_path / "out.mp4")
    (problem,) = report.problems
    assert (
        "out.mp4: this OpenCV cannot write it, 64 x 48 pixels with the codec zzzz"
        in (problem)
    )
    assert report.frames == 0 and len(model.seen) < FRAMES
    assert not (tmp_path / "out.mp4").exists()


def test_low_scores_are_left_out(tmp_path):
    class TwoBoxes:
        def detect(self, image):
            boxes = np.array([[0, 0, 48, 20], [0, 40, 48, 64]], np.float32)
            scores, classes = np.array([0.6, 0.4]), np.array([1, 1])
            return mr.Result(boxes, classes, scores, (), 48, 64, ("cat",))

    source = live.open_source(make_video(tmp_path / "in.avi", frames=1))
    shown = []
    live.annotate(source, TwoBoxes(), min_score=0.5, each=shown.append)
    (image,) = shown
    assert image[40, 19].tolist() == [230, 159, 0] and image[40, 63].max() == 0


def test_a_full_disk_is_noticed(tmp_path, monkeypatch):
    def full(writer):
        raise OSError("the disk is full")

    source = live.open_source(make_video(tmp_path / "in.avi"))
    with monkeypatch.context() as patch:
        patch.setattr(live.Writer, "check", full)
        report = live.annotate(source, Nothing(), tmp_path / "out.avi")
    assert report.problems == ["the disk is full"]
    with live.Writer(tmp_path / "out.avi", 10) as video:
        for _ in range(5):
            video.write(np.zeros((48, 64, 3), np.uint8))
        video.count += 5  # as if they had been lost
    with pytest.raises(OSError, match=r"out\.avi: holds 5 of the 10 frames written"):
        video.check()


# From here on the command.


def run(*arguments):
    before = signal.getsignal(signal.SIGTERM)
    try:
        return command.main([str(argument) for argument in arguments])
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def coco(monkeypatch):
    model = Nothing()
    monkeypatch.setattr(mr.MaskRCNN, "from_pretrained", lambda name, path: model)
    return model


def test_the_command_with_an_untrained_network(tmp_path, capsys):
    mr.MaskRCNN(small.config()).save(tmp_path / "small.keras")
    options = ("--model", tmp_path / "small.keras", "--min-score", 0.2)
    out = tmp_path / "new" / "out.webm"
    assert run("toy", *options, "--out", out, "--limit", 6) == 0
    said = capsys.readouterr()
    assert "6 frames in " in said.out and "predict " in said.out
    assert "no window: " in said.out and said.err == ""
    numbers, size, rate = read_video(out)
    assert len(numbers) == 6 and size == (640, 480) and rate == 25


def test_the_command_reports_and_returns_1(tmp_path, coco, capsys):
    path = make_video(tmp_path / "in.avi")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert run(path, "--out", tmp_path / "out.avi") == 1
    assert "live: " in capsys.readouterr().err
    assert len(coco.seen) == len(read_video(tmp_path / "out.avi")[0]) > 0


def test_a_kill_ends_as_ctrl_c_does(tmp_path, coco, capsys):
    coco.seconds = 0.02
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # where the command does not care
    path = make_video(tmp_path / "in.avi")
    assert run(path, "--out", tmp_path / "out.mp4") == 130
    assert "live: interrupted" in capsys.readouterr().err
    numbers = read_video(tmp_path / "out.mp4")[0]
    assert numbers == coco.seen and 0 < len(numbers) < FRAMES


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("in.avi", [], "there is no display here; name a video to write, --out"),
        ("in.avi", ["--no-window"], "nothing to show and nothing to write"),
        ("in.avi", ["--out", "out.txt"], "must end in .mp4, .mov, .mkv, .avi, .webm"),
        ("in.avi", ["--out", "in.avi"], "is what is read, and would be overwritten"),
        ("none.avi", ["--out", "out.avi"], "none.avi: no such video or folder"),
        ("folder", ["--out", "out.avi"], "folder: a folder without images"),
        ("a.png", ["--out", "out.avi"], "a single image; scripts/predict.py is for"),
        ("99", ["--out", "out.avi"], "camera 99: gives no frame; is it plugged in"),
    ],
)
def test_the_command_refuses_in_a_sentence(
    tmp_path, monkeypatch, coco, capsys, source, options, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = make_video(tmp_path / "in.avi").read_bytes()
    Image.new("L", (9, 9)).save("a.png")
    (tmp_path / "folder").mkdir()
    assert run(source, *options) == 1
    said = capsys.readouterr().err
    assert said.startswith("live: ") and words in said and said.count("\n") == 1
    assert (tmp_path / "in.avi").read_bytes() == before and coco.seen == []


def test_a_display_without_windows_is_a_sentence(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")

    def no_windows(*arguments):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", no_windows)
    with pytest.raises(OSError, match="this OpenCV was built without; opencv-python"):
        live.Window()


def test_a_window_shows_every_frame_until_q(tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    shown, keys = [], iter([-1, -1, ord("q")])
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    source = live.open_source(make_video(tmp_path / "in.avi"))
    report = live.annotate(source, Nothing(), window=live.Window())
    assert [number_of(image) for image in shown] == [0, 1, 2]
    assert 3 <= report.frames < FRAMES and report.problems == []


def test_without_opencv_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert run("toy", "--out", tmp_path / "out.mp4") == 1
    said = capsys.readouterr().err
    assert said.startswith("live: OpenCV is missing") and "pip install" in said
