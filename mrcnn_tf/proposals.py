"""Proposals: the few boxes, out of all anchors, that are worth a second look."""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf import nms

MIN_SIDE = 1e-3  # pixels; smaller proposals are dropped (torchvision)


def propose(logits, deltas, anchors, sizes, pre_nms, post_nms, nms_iou):
    """Turns the RPN's outputs into proposals.

    Args:
        logits: list of float32 [B, A_l], objectness by level.
        deltas: list of float32 [B, A_l, 4].
        anchors: list of float32 [A_l, 4].
        sizes: int32 [B, 2], (height, width) of the images inside their padding.
        pre_nms: candidates kept of each level before NMS.
        post_nms: P, proposals kept of each image.
        nms_iou: threshold of the NMS, which runs on each level by itself.
    Returns:
        boxes: float32 [B, P, 4], clipped to the image, by falling score; zeros in
            empty slots.
        scores: float32 [B, P], objectness logits; -inf in empty slots.
    Source: Ren et al. 2015 and Lin et al. 2017, numbers as torchvision's
        RegionProposalNetwork.filter_proposals. Candidates are picked before they
        are decoded, which changes nothing but the time.
    """
    candidates = [
        _top_candidates(*level, sizes, pre_nms)
        for level in zip(logits, deltas, anchors, strict=True)
    ]
    boxes, scores = (tf.stack(part, axis=1) for part in zip(*candidates, strict=True))
    shape = tf.shape(scores)  # [B, L, pre_nms]
    kept = min(pre_nms, post_nms)  # a level alone may fill every slot
    flat_boxes = tf.reshape(boxes, [-1, pre_nms, 4])  # [B * L, pre_nms, 4]
    flat_scores = tf.reshape(scores, [-1, pre_nms])
    index, valid = nms.batched_nms(flat_boxes, flat_scores, nms_iou, kept)
    boxes = tf.gather(flat_boxes, index, batch_dims=1)  # [B * L, kept, 4]
    scores = tf.gather(flat_scores, index, batch_dims=1)
    scores = tf.where(valid, scores, -float("inf"))

    # The best of all levels together.
    boxes = tf.reshape(boxes, [shape[0], len(logits) * kept, 4])
    scores = tf.reshape(scores, [shape[0], len(logits) * kept])
    scores, index = top_k_padded(scores, post_nms)  # [B, P]
    boxes = tf.gather(boxes, index, batch_dims=1)  # [B, P, 4]
    return tf.where(tf.math.is_finite(scores)[..., None], boxes, 0.0), scores


def _top_candidates(logits, deltas, anchors, sizes, count):
    """The best `count` of one level: boxes [B, count, 4], scores [B, count]."""
    scores, index = top_k_padded(logits, count)
    deltas = tf.gather(deltas, index, batch_dims=1)  # [B, count, 4]
    boxes = box_ops.decode(deltas, tf.gather(anchors, index))
    boxes = box_ops.clip(boxes, sizes)
    sides = boxes[..., 2:] - boxes[..., :2]
    is_box = tf.reduce_all(sides >= MIN_SIDE, axis=-1)
    return boxes, tf.where(is_box, scores, -float("inf"))


def top_k_padded(scores, count):
    """top_k that fills up with -inf (and index 0) where there are fewer."""
    available = tf.minimum(tf.shape(scores)[1], count)
    values, index = tf.math.top_k(scores, available)
    fill = [[0, 0], [0, count - available]]
    values = tf.pad(values, fill, constant_values=-float("inf"))
    index = tf.pad(index, fill)
    return tf.ensure_shape(values, [None, count]), tf.ensure_shape(index, [None, count])


@keras.saving.register_keras_serializable("mrcnn_tf")
class Proposals(keras.layers.Layer):
    """`propose` in the graph. No gradient flows through proposals."""

    supports_jit = False  # NMS has no XLA kernel that takes these shapes

    def __init__(self, pre_nms, post_nms, nms_iou, **kwargs):
        super().__init__(**kwargs)
        self.pre_nms = pre_nms
        self.post_nms = post_nms
        self.nms_iou = nms_iou

    def call(self, logits, deltas, anchors, sizes):
        boxes, scores = propose(
            logits, deltas, anchors, sizes, self.pre_nms, self.post_nms, self.nms_iou
        )
        return tf.stop_gradient(boxes), tf.stop_gradient(scores)

    def compute_output_spec(self, logits, deltas, anchors, sizes):
        return (
            keras.KerasTensor((None, self.post_nms, 4), "float32"),
            keras.KerasTensor((None, self.post_nms), "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "pre_nms": self.pre_nms,
            "post_nms": self.post_nms,
            "nms_iou": self.nms_iou,
        }
