"""scripts/live.py: what it says, and that whatever ends it leaves a film that plays."""

import os
import signal
import sys
import threading

import cv2
import live as command
import pytest
import small
from live_parts import (
    FRAMES,
    Nothing,
    deadline,  # noqa: F401  applies to every test
    make_video,
    number_of,
    read_video,
)
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf import live


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
