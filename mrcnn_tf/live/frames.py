"""Where frames come from: a camera, a video file or a folder of images.

A source has `name`, `rate` in frames a second, `is_camera`, and `problems`, sentences
that grow while one iterates. Iterating gives uint8 RGB [H, W, 3], once. What is wrong
from the start, such as no frame at all, is said when the source is opened.
"""

import math
import time
from pathlib import Path

from mrcnn_tf.datasets.images import image_suffixes, read_image
from mrcnn_tf.live.opencv import load_cv2

RATE = 25.0  # frames a second, where a source does not say
LONG_SIDE = 1920  # pixels; images of a folder are reduced to it, as films are
_TRIES, _PAUSE = 5, 0.1  # a camera may fail once and go on; seconds between


def open_source(source, rate=10.0):
    """Opens what a person names.

    Args:
        source: "0", "1", ... or an int, a camera by its number; or the path of a video
            or of a folder of images.
        rate: frames a second that the images of a folder stand for.
    Returns:
        `Camera`, `Video` or `Images`.
    Raises:
        FileNotFoundError, ValueError: if there is nothing to read; says why.
        ImportError: without OpenCV.
    """
    text = str(source)
    if text.isascii() and text.isdecimal():
        return Camera(int(text))
    path = Path(text)
    if path.is_dir():
        return Images(path, rate)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such video or folder; a camera is given by its number, 0 for "
            "the first"
        )
    if path.suffix.lower() in image_suffixes() - {".gif"}:
        raise ValueError(
            f"{path}: a single image; scripts/predict.py is for those, here name its "
            "folder"
        )
    return Video(path)


class Video:
    """A video file; all its frames, in order.

    Args:
        path: str or Path.

    Attributes:
        promised: how many frames its header speaks of, 0 if of none.
    Raises:
        ValueError: if it holds no frame that OpenCV reads.
    """

    is_camera = False

    def __init__(self, path):
        self.name = str(path)
        if Path(path).stat().st_size == 0:
            raise ValueError(f"{path}: the file is empty (0 bytes); fetch it again")
        cv2 = load_cv2()
        self._capture = cv2.VideoCapture(self.name)
        # The first frame now: a header alone, cut off before any frame, opens too.
        found, self._first = self._capture.read()
        if not found:
            self._capture.release()
            raise ValueError(
                f"{path}: no frame in it that this OpenCV reads; it is no video, or "
                "was cut off, or needs a codec that is missing: save it as MP4 (H.264)"
            )
        self.rate = _rate(self._capture.get(cv2.CAP_PROP_FPS))
        self.promised = _whole(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.problems = []

    def __iter__(self):
        count, frame = 0, self._first
        try:
            while frame is not None:
                yield _rgb(frame)
                count += 1
                _, frame = self._capture.read()
            # A count reckoned from a duration may be off by one, or a few of many.
            if self.promised - count > max(1, self.promised // 100):
                self.problems.append(
                    f"{self.name}: ended after {count} frames where its header "
                    f"promises {self.promised}; the file is cut off or damaged"
                )
        finally:
            self._capture.release()


class Camera:
    """A camera, until it is stopped or gives nothing more.

    Args:
        index: 0 for the first.
        capture: what stands for `cv2.VideoCapture(index)`, with `read`, `get` and
            `release`.
    Raises:
        ValueError: if it gives no frame.
    """

    is_camera = True

    def __init__(self, index, capture=None):
        self.name = f"camera {index}"
        cv2 = load_cv2()
        self._capture = cv2.VideoCapture(index) if capture is None else capture
        self._first = self._read()
        if self._first is None:
            self._capture.release()
            raise ValueError(
                f"{self.name}: gives no frame; is it plugged in, and used by no other "
                "program?"
            )
        self.rate = _rate(self._capture.get(cv2.CAP_PROP_FPS))
        self.problems = []

    def __iter__(self):
        count, frame = 0, self._first
        try:
            while frame is not None:
                yield _rgb(frame)
                count += 1
                frame = self._read()
            self.problems.append(
                f"{self.name}: gave no more frames after {count}; was it unplugged?"
            )
        finally:
            self._capture.release()

    def _read(self):
        """Returns a frame, BGR, or None if several tries give none."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            found, frame = self._capture.read()
            if found:
                return frame
        return None


class Images:
    """The images of a folder in the order of their names, each a frame.

    Args:
        folder: str or Path.
        rate: frames a second that they stand for.
    Raises:
        ValueError: if there is none.
    """

    is_camera = False

    def __init__(self, folder, rate):
        suffixes = image_suffixes()
        self.name, self.rate, self.problems = str(folder), rate, []
        self._paths = [
            path
            for path in sorted(Path(folder).iterdir())
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        ]
        if not self._paths:
            raise ValueError(f"{folder}: a folder without images")

    def __iter__(self):
        cv2 = load_cv2()
        for path in self._paths:
            try:
                image = read_image(path)
            except (ValueError, OSError) as error:
                self.problems.append(str(error))
                continue
            height, width = image.shape[:2]
            scale = LONG_SIDE / max(height, width)
            if scale < 1:
                size = (max(1, round(width * scale)), max(1, round(height * scale)))
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            yield image


def _rgb(frame):
    """Returns a frame of OpenCV, BGR, as RGB."""
    cv2 = load_cv2()
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _rate(found):
    """Returns frames a second that can be; cameras say 0, broken headers anything."""
    return float(found) if 1 <= found <= 240 else RATE


def _whole(found):
    return int(found) if math.isfinite(found) and found > 0 else 0
