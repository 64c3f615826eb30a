"""A window on the screen, where there is one."""

import os
import sys

from mrcnn_tf.live.opencv import load_cv2

_KEYS = (27, ord("q"))  # Escape and q close it


class Window:
    """Shows frames; belongs to the main thread, as macOS wants it.

    Args:
        title: above it.
    Raises:
        OSError: if there is no display, or this OpenCV has no windows.
    """

    def __init__(self, title="mrcnn_tf: q ends it"):
        # Without a display some of OpenCV's windows end the whole process.
        if sys.platform == "linux" and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise OSError("no window: there is no display here")
        self._cv2, self._title = load_cv2(), title
        try:
            self._cv2.namedWindow(title, self._cv2.WINDOW_NORMAL)
        except self._cv2.error as error:
            raise OSError(
                "no window: this OpenCV was built without; opencv-python has them, in "
                "place of opencv-python-headless"
            ) from error

    def show(self, image):
        """Shows a frame, uint8 RGB [H, W, 3]; True if the person is done."""
        cv2 = self._cv2
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) & 0xFF in _KEYS:
            return True
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1

    def close(self):
        """Takes the window away."""
        self._cv2.destroyWindow(self._title)
