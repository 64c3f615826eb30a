"""Live: that no frame of a source is lost, and what no source or no film is."""

import _thread
import signal
import threading

import cv2
import numpy as np
import pytest
from live_parts import (
    FRAMES,
    STEP,
    FakeCamera,
    Nothing,
    deadline,  # noqa: F401  applies to every test
    make_video,
    read_video,
)
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import live
from mrcnn_tf.live import writer as writers


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


@pytest.fixture
def listens():
    """Ctrl-C is heard: a shell's job in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_leaves_what_was_written(tmp_path, listens):
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
