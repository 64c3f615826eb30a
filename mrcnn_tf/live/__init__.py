"""Models at work on a camera, a video or a folder: frames in, annotated frames out.

Reading, predicting, drawing and writing overlap, each in a thread of its own. OpenCV is
needed, and imported when the first frame is.
"""

from mrcnn_tf.live import colab
from mrcnn_tf.live.annotating import annotate
from mrcnn_tf.live.frames import Camera, Images, Video, open_source
from mrcnn_tf.live.models import Labels, UNetLabeller, load
from mrcnn_tf.live.overlay import draw
from mrcnn_tf.live.pipeline import Report, run
from mrcnn_tf.live.stopwatch import Stopwatch
from mrcnn_tf.live.toy import moving_shapes
from mrcnn_tf.live.window import Window
from mrcnn_tf.live.writer import Writer

__all__ = [
    "Camera",
    "Images",
    "Labels",
    "Report",
    "Stopwatch",
    "UNetLabeller",
    "Video",
    "Window",
    "Writer",
    "annotate",
    "colab",
    "draw",
    "load",
    "moving_shapes",
    "open_source",
    "run",
]
