"""A trained YOLO that people ask, save and load."""

import zipfile
from pathlib import Path

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf.datasets.images import as_rgb
from mrcnn_tf.inputs import resize_image
from mrcnn_tf.nms import batched_nms
from mrcnn_tf.result import Result
from mrcnn_tf.training import checkpoints

# Registers what a saved network is made of, for `load`.
from mrcnn_tf.yolo import losses, schedule  # noqa: F401
from mrcnn_tf.yolo.cells import decode
from mrcnn_tf.yolo.networks import Cells

MAX_DETECTIONS = 100  # of an image, as COCO's measure takes


class Detector:
    """Finds and names objects, as MaskRCNN does but without outlines.

    Args:
        model: what `build` returned.
        class_names: C names without background; None for those it was built with.
        min_score: 0 to 1; what scores less is not told.
        nms_iou: boxes of one class above this IoU with a better one are dropped.
    Raises:
        ValueError: if the model is no YOLO, or of another number of classes.
    """

    def __init__(self, model, class_names=None, min_score=0.05, nms_iou=0.5):
        last = model.layers[-1]
        if not isinstance(last, Cells):
            raise ValueError(
                f"expected a network of yolo.build, found {model.name!r}, which ends "
                f"in a {type(last).__name__}"
            )
        self.model = model
        self.class_names = tuple(last.classes if class_names is None else class_names)
        if len(self.class_names) != len(last.classes):
            raise ValueError(
                f"the network tells {len(last.classes)} classes apart "
                f"({', '.join(last.classes)}), found {len(self.class_names)} names"
            )
        self.boxes_per_cell = last.boxes_per_cell
        self.min_score = min_score
        self.nms_iou = nms_iou
        self._infer = tf.function(self._detections, reduce_retracing=True)

    def detect(self, image):
        """Finds objects.

        Args:
            image: uint8 [H, W, 3] RGB of any size, or a list of such.
        Returns:
            `Result` in pixels of the image, or a list of them.
        Raises:
            ValueError: if an image is not what `datasets.images.as_rgb` takes.
        """
        if isinstance(image, (list, tuple)):
            return [self.detect(one) for one in image]
        image = as_rgb(image)
        height, width = image.shape[:2]
        side = self.model.input_shape[1]
        pixels = resize_image(image, side, side)[None]
        found = self._infer(pixels, tf.constant([height, width], tf.float32))
        boxes, classes, scores = (values.numpy() for values in found)
        return Result(boxes, classes, scores, (), height, width, self.class_names)

    def save(self, path):
        """Saves the network with its class names, as a `.keras` file."""
        names = self.model.layers[-1].classes
        if self.class_names != names:
            raise ValueError(
                f"the network was built for {', '.join(names)}, which it is saved "
                f"with; these are {', '.join(self.class_names)}"
            )
        checkpoints.save(self.model, path)

    def _detections(self, pixels, size):
        cells = self.model(pixels, training=False)
        boxes, scores = decode(cells, self.boxes_per_cell, tf.unstack(size))
        return detections(boxes[0], scores[0], size, self.min_score, self.nms_iou)


def detections(boxes, scores, size, min_score, nms_iou):
    """Keeps, of each class by itself, the best of boxes that overlap.

    Args:
        boxes: float32 [P, 4], (y1, x1, y2, x2) in pixels, of one image.
        scores: float32 [P, C], for each class; what is above 1 counts as 1, as sums of
            squares do not keep a network from saying more.
        size: float32 [2], (height, width) of the image, which boxes are clipped to.
        min_score: what scores less is left out.
        nms_iou: boxes of one class above this IoU with a better one are dropped.
    Returns:
        boxes float32 [D, 4], classes int32 [D] from 1 and scores float32 [D], by
        falling score, `MAX_DETECTIONS` at most.
    """
    boxes = box_ops.clip(boxes[None], tf.cast(size, tf.int32)[None])[0]  # [P, 4]
    is_box = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=-1)
    scores = tf.minimum(tf.transpose(scores), 1.0)  # [C, P]
    scores = tf.where((scores >= min_score) & is_box, scores, -float("inf"))
    every = tf.repeat(boxes[None], tf.shape(scores)[0], axis=0)  # [C, P, 4]
    index, valid = batched_nms(every, scores, nms_iou, MAX_DETECTIONS)  # [C, M]
    kept = tf.where(valid)[:, 0]  # [K], the class of each, from 0
    boxes = tf.gather(boxes, index[valid])  # [K, 4]
    scores = tf.gather(scores, index, batch_dims=1)[valid]
    best = tf.argsort(scores, direction="DESCENDING", stable=True)[:MAX_DETECTIONS]
    classes = tf.cast(kept, tf.int32) + 1
    return tuple(tf.gather(values, best) for values in (boxes, classes, scores))


def load(path):
    """Loads a detector.

    Args:
        path: of a `.keras` file, of `Detector.save` or scripts/train_yolo.py.
    Returns:
        `Detector`.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no YOLO.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; scripts/train_yolo.py writes a YOLO"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a .keras file, or damaged; save it again")
    try:
        model = keras.models.load_model(path)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{path}: no network that can be read: {error}") from error
    if not isinstance(model.layers[-1], Cells):
        raise ValueError(f"{path}: holds a network called {model.name!r}, no YOLO")
    return Detector(model)
