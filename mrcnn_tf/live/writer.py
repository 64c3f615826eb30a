"""A video file, frame by frame."""

import contextlib
import os
from pathlib import Path

from mrcnn_tf.live.opencv import load_cv2, silence

# By the ending of the name: codecs that OpenCV's own packages bring. Browsers, and so
# notebooks, play the one of .webm.
CODECS = {
    ".mp4": "mp4v",
    ".mov": "mp4v",
    ".mkv": "mp4v",
    ".avi": "MJPG",
    ".webm": "VP80",
}


class Writer:
    """Writes frames to a video file, all of the size of the first.

    The file plays once it is closed: use it in a `with` block.

    Args:
        path: ends in one of `CODECS`.
        rate: frames a second.
        codec: four letters, if not those of `CODECS`.

    Attributes:
        count: frames written.
    Raises:
        ValueError: for another ending.
        OSError: if the folder cannot be made.
    """

    def __init__(self, path, rate, codec=None):
        self.path, self.rate, self.count = Path(path), rate, 0
        suffix = self.path.suffix.lower()
        if suffix not in CODECS:
            raise ValueError(
                f"{path}: a video's name must end in {', '.join(CODECS)}, found "
                f"{suffix or 'no ending'!r}"
            )
        self._codec = codec or CODECS[suffix]
        self._video = self._size = None
        load_cv2()
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, image):
        """Writes a frame; one of another size is fitted in, with black around it.

        Args:
            image: uint8 RGB [H, W, 3].
        Raises:
            ValueError: if this OpenCV cannot write such a file.
        """
        cv2 = load_cv2()
        if self._video is None:
            self._open(cv2, *image.shape[:2])
        image = _fit(cv2, image, *self._size)
        self._video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.count += 1

    def _open(self, cv2, height, width):
        # Codecs halve the colours' resolution: of an odd side they cut a pixel off.
        self._size = height + height % 2, width + width % 2
        code = cv2.VideoWriter_fourcc(*self._codec)
        with silence():  # of .webm it says that it does not, and does
            video = cv2.VideoWriter(str(self.path), code, self.rate, self._size[::-1])
        if not video.isOpened():
            video.release()
            with contextlib.suppress(OSError):
                if self.path.stat().st_size == 0:
                    self.path.unlink()
            raise ValueError(
                f"{self.path}: this OpenCV cannot write it, {width} x {height} pixels "
                f"with the codec {self._codec}; may the folder be written? A name that "
                "ends in .avi needs the least"
            )
        self._video = video

    def close(self):
        """Finishes the file."""
        if self._video is not None:
            self._video.release()
            self._video = None

    def check(self):
        """Looks whether the file, once closed, holds what was written.

        Raises:
            OSError: if not, as on a full disk; OpenCV itself does not say so.
        """
        if not self.count:
            return
        cv2 = load_cv2()
        capture = cv2.VideoCapture(str(self.path))
        held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        # Counts reckoned from a duration, as of .webm, may be off by one.
        if held < self.count - 1:
            raise OSError(
                f"{self.path}: holds {max(held, 0)} of the {self.count} frames "
                "written; is the disk full?"
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def check_target(path, source):
    """Raises ValueError if writing to `path` would overwrite what is read."""
    with contextlib.suppress(OSError):
        if os.path.samefile(path, source):
            raise ValueError(
                f"{path} is what is read, and would be overwritten; choose another name"
            )


def _fit(cv2, image, height, width):
    """Returns an image in a frame of this size, scaled down or up, not squeezed."""
    old_height, old_width = image.shape[:2]
    if (old_height, old_width) == (height, width):
        return image
    border = cv2.BORDER_REPLICATE  # of the pixel that makes a side even
    if not (0 <= height - old_height <= 1 and 0 <= width - old_width <= 1):
        border = cv2.BORDER_CONSTANT
        scale = min(height / old_height, width / old_width)
        size = (max(1, round(old_width * scale)), max(1, round(old_height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    down, right = height - image.shape[0], width - image.shape[1]
    top, left = down // 2, right // 2
    return cv2.copyMakeBorder(image, top, down - top, left, right - left, border)
