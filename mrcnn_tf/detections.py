"""Detections: from class scores and box deltas to the final few objects."""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf import nms
from mrcnn_tf.proposals import top_k_padded


def detect(
    logits, deltas, proposals, sizes, box_weights, min_score, nms_iou, max_detections
):
    """Picks detections among the proposals' classes.

    Args:
        logits: float32 [B, P, K + 1].
        deltas: float32 [B, P, K + 1, 4].
        proposals: float32 [B, P, 4]; zeros in empty slots.
        sizes: int32 [B, 2], (height, width) of the images inside their padding.
        box_weights: four floats, as in training.
        min_score: detections score above this.
        nms_iou: threshold of the NMS within each class.
        max_detections: D.
    Returns:
        boxes: float32 [B, D, 4], by falling score; zeros in empty slots.
        classes: int32 [B, D], 0 in empty slots.
        scores: float32 [B, D], 0 in empty slots.
    Source: torchvision's RoIHeads.postprocess_detections.
    """
    scores = tf.nn.softmax(logits)[..., 1:]  # [B, P, K]
    boxes = box_ops.decode(deltas[..., 1:, :], proposals[..., None, :], box_weights)
    shape = tf.shape(scores)
    batch, count, classes = shape[0], shape[1], shape[2]
    boxes = box_ops.clip(tf.reshape(boxes, [batch, count * classes, 4]), sizes)
    boxes = tf.reshape(boxes, [batch, count, classes, 4])

    # Every class of every image is a list for NMS of its own: [B * K, P].
    boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [-1, count, 4])
    scores = tf.where(scores > min_score, scores, -float("inf"))
    scores = tf.reshape(tf.transpose(scores, [0, 2, 1]), [-1, count])
    sides = boxes[..., 2:] - boxes[..., :2]
    # In pixels, as in torchvision. Empty proposals, too, decode to boxes of no size.
    is_box = tf.reduce_all(sides >= 1e-2, axis=-1)
    scores = tf.where(is_box, scores, -float("inf"))
    index, valid = nms.batched_nms(boxes, scores, nms_iou, max_detections)
    boxes = tf.gather(boxes, index, batch_dims=1)  # [B * K, D, 4]
    scores = tf.where(valid, tf.gather(scores, index, batch_dims=1), -float("inf"))

    # The best of all classes together.
    boxes = tf.reshape(boxes, [batch, classes * max_detections, 4])
    scores = tf.reshape(scores, [batch, classes * max_detections])
    scores, index = top_k_padded(scores, max_detections)  # [B, D]
    valid = tf.math.is_finite(scores)
    labels = tf.where(valid, index // max_detections + 1, 0)
    boxes = tf.gather(boxes, index, batch_dims=1)
    boxes = tf.where(valid[..., None], boxes, 0.0)
    return boxes, labels, tf.where(valid, scores, 0.0)


@keras.saving.register_keras_serializable("mrcnn_tf")
class Detections(keras.layers.Layer):
    """`detect` in the graph, on the heads' outputs by RoI.

    Call it with logits [B * P, K + 1], deltas [B * P, K + 1, 4], proposals
    [B, P, 4] and sizes [B, 2].
    """

    supports_jit = False  # NMS has no XLA kernel that takes these shapes

    def __init__(self, box_weights, min_score, nms_iou, max_detections, **kwargs):
        super().__init__(**kwargs)
        self.box_weights = tuple(box_weights)
        self.min_score = min_score
        self.nms_iou = nms_iou
        self.max_detections = max_detections

    def call(self, logits, deltas, proposals, sizes):
        count = tf.shape(proposals)[1]
        outputs = logits.shape[-1]
        return detect(
            tf.reshape(logits, [-1, count, outputs]),
            tf.reshape(deltas, [-1, count, outputs, 4]),
            proposals,
            sizes,
            self.box_weights,
            self.min_score,
            self.nms_iou,
            self.max_detections,
        )

    def compute_output_spec(self, logits, deltas, proposals, sizes):
        shape = (proposals.shape[0], self.max_detections)
        return (
            keras.KerasTensor((*shape, 4), "float32"),
            keras.KerasTensor(shape, "int32"),
            keras.KerasTensor(shape, "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "box_weights": self.box_weights,
            "min_score": self.min_score,
            "nms_iou": self.nms_iou,
            "max_detections": self.max_detections,
        }


@keras.saving.register_keras_serializable("mrcnn_tf")
class MaskProbabilities(keras.layers.Layer):
    """Where each detection's own class is, by its mask.

    Call it with mask logits [B * D, m, m, K + 1], or 1 in place of K + 1, and
    classes [B, D]; returns float32 [B, D, m, m], zeros in empty slots. `kind` is as
    of `losses.mask_loss`.
    """

    def __init__(self, kind="sigmoid", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, logits, classes):
        flat = tf.reshape(classes, [-1])  # [B * D]
        planes = tf.transpose(logits, [0, 3, 1, 2])
        if self.kind == "softmax":
            planes = tf.nn.softmax(planes, axis=1)
        channel = 0 * flat if self.kind == "agnostic" else flat
        own = tf.gather(planes, channel, batch_dims=1)  # [B * D, m, m]
        if self.kind != "softmax":
            own = tf.sigmoid(own)
        own = tf.where(flat[:, None, None] > 0, own, 0.0)
        shape = tf.concat([tf.shape(classes), tf.shape(own)[1:]], axis=0)
        return tf.reshape(own, shape)

    def compute_output_spec(self, logits, classes):
        return keras.KerasTensor((*classes.shape, *logits.shape[1:3]), "float32")

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
