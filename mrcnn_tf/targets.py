"""Targets: what the RPN and the heads should have said.

Ground truth comes in G slots an image, of which some are empty (class 0) and some
are crowds: regions of many objects, whose boxes are no target, and inside which a
box that finds something is not wrong.
"""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf import masks as mask_ops
from mrcnn_tf import matching, slots

# A box with more than this share of its area inside a crowd is left out.
MAX_CROWD_COVERAGE = 0.7


def label_boxes(boxes, gt_boxes, classes, crowd, **thresholds):
    """Labels boxes by their overlap with objects, leaving out those in crowds.

    Args:
        boxes: float32 [B, N, 4] or, the same for every image, [1, N, 4].
        gt_boxes: float32 [B, G, 4].
        classes: int32 [B, G], 0 in empty slots.
        crowd: bool [B, G].
        **thresholds: `positive_iou`, `negative_iou`, `keep_best` of
            `matching.match`.
    Returns:
        labels, index: int32 [B, N], as `matching.match`.
    """
    # Pairs are many: a hundred slots cost a second where four objects cost nothing.
    count = tf.maximum(slots.filled(classes), 1)
    gt_boxes, classes, crowd = gt_boxes[:, :count], classes[:, :count], crowd[:, :count]
    is_object = (classes > 0) & ~crowd
    overlaps = box_ops.iou(boxes, gt_boxes)  # [B, N, G]
    labels, index = matching.match(overlaps, is_object, **thresholds)
    inside = box_ops.coverage(boxes, gt_boxes)  # [B, N, G]
    in_crowd = tf.reduce_any((inside > MAX_CROWD_COVERAGE) & crowd[:, None], axis=2)
    return tf.where((labels == 0) & in_crowd, -1, labels), index


@keras.saving.register_keras_serializable("mrcnn_tf")
class RPNTargets(keras.layers.Layer):
    """Samples anchors for the RPN's losses.

    Call it with anchors (list of [A_l, 4]), gt_boxes [B, G, 4], classes [B, G], crowd
    [B, G] and draw [B, 2]. Returns, for S sampled anchors an image:
        index: int32 [B, S], into all anchors.
        labels: int32 [B, S], 1 object, 0 background, -1 empty slot.
        deltas: float32 [B, S, 4], targets of the positives; zeros elsewhere.
    Source: Ren et al. 2015, section 3.1.2.
    """

    def __init__(
        self, samples, positive_fraction, positive_iou, negative_iou, **kwargs
    ):
        super().__init__(**kwargs)
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou

    def call(self, anchors, gt_boxes, classes, crowd, draw):
        anchors = tf.concat(anchors, axis=0)  # [A, 4]
        labels, match = label_boxes(
            anchors[None],
            gt_boxes,
            classes,
            crowd,
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            keep_best=True,
        )
        index, labels = matching.balanced_sample(
            labels, self.samples, self.positive_fraction, draw
        )
        match = tf.gather(match, index, batch_dims=1)  # [B, S]
        matched = tf.gather(gt_boxes, match, batch_dims=1)  # [B, S, 4]
        deltas = box_ops.encode(matched, tf.gather(anchors, index))
        return index, labels, tf.where(labels[..., None] == 1, deltas, 0.0)

    def compute_output_spec(self, anchors, gt_boxes, classes, crowd, draw):
        shape = (gt_boxes.shape[0], self.samples)
        return (
            keras.KerasTensor(shape, "int32"),
            keras.KerasTensor(shape, "int32"),
            keras.KerasTensor((*shape, 4), "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "samples": self.samples,
            "positive_fraction": self.positive_fraction,
            "positive_iou": self.positive_iou,
            "negative_iou": self.negative_iou,
        }


@keras.saving.register_keras_serializable("mrcnn_tf")
class RoITargets(keras.layers.Layer):
    """Samples RoIs for the heads' losses.

    Call it with proposals [B, P, 4], gt_boxes [B, G, 4], classes [B, G], crowd
    [B, G] and draw [B, 2]. Ground truth joins the proposals, so that there are
    positives before the RPN has learnt. Returns, for R sampled RoIs an image, of
    which the positives stand in the first `max_positives` slots:
        rois: float32 [B, R, 4]; zeros in empty slots.
        labels: int32 [B, R], class, 0 background, -1 empty slot.
        deltas: float32 [B, R, 4], targets of the positives; zeros elsewhere.
        object_index: int32 [B, R], the slot of G that each overlaps most.
    Source: Ren et al. 2015.
    """

    def __init__(self, samples, positive_fraction, positive_iou, box_weights, **kwargs):
        super().__init__(**kwargs)
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.positive_iou = positive_iou
        self.box_weights = tuple(box_weights)

    @property
    def max_positives(self):
        """M, the slots of an image that may hold positives."""
        return int(self.samples * self.positive_fraction)

    def call(self, proposals, gt_boxes, classes, crowd, draw):
        is_object = (classes > 0) & ~crowd
        extra = tf.where(is_object[..., None], gt_boxes, 0.0)
        candidates = tf.concat([extra, proposals], axis=1)  # [B, G + P, 4]
        labels, match = label_boxes(
            candidates,
            gt_boxes,
            classes,
            crowd,
            positive_iou=self.positive_iou,
            negative_iou=self.positive_iou,
        )
        labels = tf.where(box_ops.area(candidates) > 0, labels, -1)
        index, labels = matching.balanced_sample(
            labels,
            self.samples,
            self.positive_fraction,
            draw + tf.constant([1, 0]),  # other numbers than the RPN's
        )
        rois = tf.gather(candidates, index, batch_dims=1)  # [B, R, 4]
        rois = tf.where(labels[..., None] >= 0, rois, 0.0)
        match = tf.gather(match, index, batch_dims=1)  # [B, R]
        matched = tf.gather(gt_boxes, match, batch_dims=1)  # [B, R, 4]
        deltas = box_ops.encode(matched, rois, self.box_weights)
        deltas = tf.where(labels[..., None] == 1, deltas, 0.0)
        matched_class = tf.gather(classes, match, batch_dims=1)
        classes_of_rois = tf.where(labels == 1, matched_class, labels)
        outputs = (rois, classes_of_rois, deltas, match)
        return tuple(tf.stop_gradient(output) for output in outputs)

    def compute_output_spec(self, proposals, gt_boxes, classes, crowd, draw):
        shape = (gt_boxes.shape[0], self.samples)
        return (
            keras.KerasTensor((*shape, 4), "float32"),
            keras.KerasTensor(shape, "int32"),
            keras.KerasTensor((*shape, 4), "float32"),
            keras.KerasTensor(shape, "int32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "samples": self.samples,
            "positive_fraction": self.positive_fraction,
            "positive_iou": self.positive_iou,
            "box_weights": self.box_weights,
        }


@keras.saving.register_keras_serializable("mrcnn_tf")
class MaskTargets(keras.layers.Layer):
    """Cuts the mask target of each RoI, `masks.crop_targets` in the graph.

    Call it with masks [B, G, S, S], windows [B, G, 4], RoIs [B, M, 4] and their
    object_index [B, M]; returns float32 [B, M, m, m].
    """

    supports_jit = False  # CropAndResize has no XLA kernel

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size  # m

    def call(self, masks, windows, rois, object_index):
        targets = mask_ops.crop_targets(masks, windows, rois, object_index, self.size)
        return tf.stop_gradient(targets)

    def compute_output_spec(self, masks, windows, rois, object_index):
        return keras.KerasTensor((*rois.shape[:2], self.size, self.size), "float32")

    def get_config(self):
        return {**super().get_config(), "size": self.size}
