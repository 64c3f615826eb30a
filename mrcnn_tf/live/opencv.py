"""OpenCV, which is needed here alone: imported when asked for, or a sentence."""

import contextlib
import os

INSTALL = ".venv/bin/pip install -e '.[live]', or pip install opencv-python"


def load_cv2():
    """Imports OpenCV, and has it keep its own messages to itself.

    What goes wrong with a video is said once, in our words; FFmpeg inside OpenCV
    would add a line for each broken block of a frame.

    Returns:
        the module cv2.
    Raises:
        ImportError: if it is not installed; says what to install.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's AV_LOG_QUIET
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"OpenCV is missing, which reads and writes videos: {INSTALL} ({error})"
        ) from error
    return cv2


@contextlib.contextmanager
def silence():
    """Closes the mouth of what OpenCV prints past its own settings, in C.

    Nothing that any thread writes to the error output in the `with` block is seen:
    for calls that take a moment.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
