"""What the tests of live have in common: videos, a camera, and a model that made them.

Frame i of the videos is of the grey level 8 i, so that order and loss can be seen.
"""

import signal
import threading
import time

import cv2
import numpy as np
import pytest

import mrcnn_tf as mr

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
