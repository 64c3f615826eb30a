"""YOLO's loss: five sums of squares.

Everything is regression, classes and confidence too. Two weights keep it in balance:
boxes count 5 times, and the confidence of the many boxes without an object half.
"""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf.yolo.cells import corner_form, image_form, split

# What each part is multiplied by; the paper's lambda_coord is 5, its lambda_noobj 0.5.
WEIGHTS = {"center": 5.0, "size": 5.0, "object": 1.0, "no_object": 0.5, "class": 1.0}


def responsible(target, prediction, boxes_per_cell):
    """Chooses the box of each cell that answers for its object.

    Args:
        target: float [N, S, S, 5B + C], of `cells.encode`.
        prediction: float [N, S, S, 5B + C], of the network.
        boxes_per_cell: B.
    Returns:
        chosen: [N, S, S, B], 1 for the box of highest IoU with the object of the cell,
            of equals the first, and 0 for the others; all 0 where there is no object.
        overlap: [N, S, S, B], the IoU of each box with that object. No gradient goes
            through either.
    Source: Redmon et al. 2016, section 2.2.
    """
    wanted, confidence, _ = split(target, boxes_per_cell)
    said, *_ = split(tf.stop_gradient(prediction), boxes_per_cell)
    # Shares of the image do for an IoU: both boxes are squeezed alike.
    wanted, said = (corner_form(image_form(b), (1, 1)) for b in (wanted, said))
    overlap = box_ops.iou(said[..., None, :], wanted[..., None, :])[..., 0, 0]
    best = tf.argmax(overlap, axis=-1)  # [N, S, S]
    chosen = tf.one_hot(best, boxes_per_cell, dtype=prediction.dtype)
    return chosen * tf.cast(confidence > 0, prediction.dtype), overlap


def loss_parts(target, prediction, boxes_per_cell):
    """Computes the five parts of the loss, each times its weight.

    The responsible box is to say where the object is, and as its confidence the IoU
    that it has come to: "we want the confidence score to equal the IOU". Every other
    box is to say a confidence of 0, and no more. The class is the cell's.

    Sizes are compared by their square roots, so that a pixel counts for more on a small
    box. Both sides hold the roots (see `cells`), which leaves a difference of what is
    said and what is wanted: the paper's formula, with a gradient everywhere.

    Args:
        target: float [N, S, S, 5B + C], of `cells.encode`.
        prediction: float [N, S, S, 5B + C], of the network.
        boxes_per_cell: B.
    Returns:
        dict from the names of `WEIGHTS` to float [N], summed over an image's cells.
    Source: Redmon et al. 2016, equation 3.
    """
    chosen, overlap = responsible(target, prediction, boxes_per_cell)
    wanted, asked, classes = split(target, boxes_per_cell)
    said, confidence, said_classes = split(prediction, boxes_per_cell)
    has_object = tf.reduce_max(chosen, axis=-1)  # [N, S, S]
    # A confidence that is asked to be IGNORED is neither.
    is_known = tf.cast(asked >= 0, prediction.dtype)  # [N, S, S, B]
    off = (said - wanted) ** 2  # [N, S, S, B, 4]
    parts = {
        "center": chosen * tf.reduce_sum(off[..., :2], axis=-1),
        "size": chosen * tf.reduce_sum(off[..., 2:], axis=-1),
        "object": chosen * (confidence - overlap) ** 2,
        "no_object": (1 - chosen) * is_known * confidence**2,
        "class": has_object[..., None] * (said_classes - classes) ** 2,
    }
    return {
        name: WEIGHTS[name] * tf.reduce_sum(part, axis=[1, 2, 3])
        for name, part in parts.items()
    }


@keras.saving.register_keras_serializable("mrcnn_tf>yolo")
class Loss(keras.losses.Loss):
    """The sum of the five parts, of each image; Keras takes the mean over images.

    Args:
        boxes_per_cell: B.
    """

    def __init__(self, boxes_per_cell, name="yolo", **kwargs):
        super().__init__(name=name, **kwargs)
        self.boxes_per_cell = boxes_per_cell

    def call(self, target, prediction):
        """Returns float [N]."""
        return tf.add_n(
            list(loss_parts(target, prediction, self.boxes_per_cell).values())
        )

    def get_config(self):
        """The arguments, for `save`."""
        return {**super().get_config(), "boxes_per_cell": self.boxes_per_cell}


@keras.saving.register_keras_serializable("mrcnn_tf>yolo")
class LossPart(keras.metrics.Mean):
    """The mean of one of the five parts over images, for `fit` to report.

    Args:
        part: a name of `WEIGHTS`.
        boxes_per_cell: B.
    """

    def __init__(self, part, boxes_per_cell, name=None, **kwargs):
        super().__init__(name=name or part, **kwargs)
        self.part = part
        self.boxes_per_cell = boxes_per_cell

    def update_state(self, target, prediction, sample_weight=None):
        """Takes a batch in."""
        parts = loss_parts(target, prediction, self.boxes_per_cell)
        super().update_state(parts[self.part])

    def get_config(self):
        """The arguments, for `save`."""
        about = {"part": self.part, "boxes_per_cell": self.boxes_per_cell}
        return {**super().get_config(), **about}
