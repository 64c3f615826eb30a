"""Targets: what the RPN and the heads should have said.

Ground truth comes in G slots an image, of which some are empty (class 0) and some
are crowds: regions of many objects, whose boxes are no target, and inside which a
box that finds something is not wrong.
"""

import keras
import tensorflow as tf

from mrcnn_tf import boxes as box_ops
from mrcnn_tf import masks as mask_ops
from mrcnn_tf import matching

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
    is_object = (classes > 0) & ~crowd
    overlaps = box_ops.iou(boxes, gt_boxes)  # [B, N, G]
    labels, index = matching.match(overlaps, is_object, **thresholds)
    inside = box_ops.coverage(boxes, gt_boxes)  # [B, N, G]
    in_crowd = tf.reduce_any((inside > MAX_CROWD_COVERAGE) & crowd[:, None], axis=2)
    return tf.where((labels == 0) & in_crowd, -1, labels), index


@keras.saving.register_keras_serializable("mrcnn_tf")
class RPNTargets(keras.layers.Layer):
    """Samples anchors for the RPN's losses.

    Call it with anchors (list of [A_l, 4]), gt_boxes [B, G, 4], classes [B, G] and
    crowd [B, G]. Returns, for S sampled anchors an image:
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

    def call(self, anchors, gt_boxes, classes, crowd):
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
            labels, self.samples, self.positive_fraction
        )
        match = tf.gather(match, index, batch_dims=1)  # [B, S]
        matched = tf.gather(gt_boxes, match, batch_dims=1)  # [B, S, 4]
        deltas = box_ops.encode(matched, tf.gather(anchors, index))
        return index, labels, tf.where(labels[..., None] == 1, deltas, 0.0)

    def compute_output_spec(self, anchors, gt_boxes, classes, crowd):
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
    """Samples RoIs for the heads' losses, and cuts their mask targets.

    Call it with proposals [B, P, 4], gt_boxes [B, G, 4], classes [B, G], crowd
    [B, G] and masks [B, G, H, W]. Ground truth joins the proposals, so that there
    are positives before the RPN has learnt. Returns, for R sampled RoIs an image, of
    which the positives stand in the first M = R * positive_fraction slots:
        rois: float32 [B, R, 4]; zeros in empty slots.
        labels: int32 [B, R], class, 0 background, -1 empty slot.
        deltas: float32 [B, R, 4], targets of the positives; zeros elsewhere.
        masks: float32 [B, M, m, m], targets of the first M RoIs.
    Source: Ren et al. 2015; He et al. 2017, section 3.1.
    """

    supports_jit = False  # mask targets are cut with CropAndResize

    def __init__(
        self,
        samples,
        positive_fraction,
        positive_iou,
        box_weights,
        mask_size,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.positive_iou = positive_iou
        self.box_weights = tuple(box_weights)
        self.mask_size = mask_size

    @property
    def max_positives(self):
        """M, the slots of an image that may hold positives."""
        return int(self.samples * self.positive_fraction)

    def call(self, proposals, gt_boxes, classes, crowd, masks):
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
            labels, self.samples, self.positive_fraction
        )
        rois = tf.gather(candidates, index, batch_dims=1)  # [B, R, 4]
        rois = tf.where(labels[..., None] >= 0, rois, 0.0)
        match = tf.gather(match, index, batch_dims=1)  # [B, R]
        matched = tf.gather(gt_boxes, match, batch_dims=1)  # [B, R, 4]
        deltas = box_ops.encode(matched, rois, self.box_weights)
        deltas = tf.where(labels[..., None] == 1, deltas, 0.0)
        matched_class = tf.gather(classes, match, batch_dims=1)
        classes_of_rois = tf.where(labels == 1, matched_class, labels)
        first = self.max_positives
        targets = mask_ops.crop_targets(
            masks, rois[:, :first], match[:, :first], self.mask_size
        )
        outputs = (rois, classes_of_rois, deltas, targets)
        return tuple(tf.stop_gradient(output) for output in outputs)

    def compute_output_spec(self, proposals, gt_boxes, classes, crowd, masks):
        batch, size = gt_boxes.shape[0], self.mask_size
        return (
            keras.KerasTensor((batch, self.samples, 4), "float32"),
            keras.KerasTensor((batch, self.samples), "int32"),
            keras.KerasTensor((batch, self.samples, 4), "float32"),
            keras.KerasTensor((batch, self.max_positives, size, size), "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "samples": self.samples,
            "positive_fraction": self.positive_fraction,
            "positive_iou": self.positive_iou,
            "box_weights": self.box_weights,
            "mask_size": self.mask_size,
        }
