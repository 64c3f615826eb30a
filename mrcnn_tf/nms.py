"""Non-maximum suppression: one to read, and the fixed-size one the graph uses."""

import numpy as np
import tensorflow as tf


def nms_by_hand(boxes, scores, iou_threshold):
    """Keeps the best box, drops those that overlap it, and so on.

    Args:
        boxes: float32 [N, 4], (y1, x1, y2, x2) in pixels.
        scores: float32 [N].
        iou_threshold: boxes above this IoU with a kept one are dropped.
    Returns:
        int64 [K], indices of the boxes kept, by falling score.
    Source: Felzenszwalb et al. 2010, section 6.2. The readable form, in NumPy.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    waiting = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        top_left = np.maximum(boxes[best, :2], boxes[waiting, :2])
        bottom_right = np.minimum(boxes[best, 2:], boxes[waiting, 2:])
        shared = np.maximum(bottom_right - top_left, 0).prod(axis=1)
        union = areas[best] + areas[waiting] - shared
        waiting = waiting[shared <= iou_threshold * union]
    return np.array(kept, np.int64)


def batched_nms(boxes, scores, iou_threshold, max_outputs):
    """Runs NMS on many lists of boxes at once, each by itself, in fixed shapes.

    A "list" is whatever must not suppress others: a level of an image for
    proposals, a class of an image for detections.

    Args:
        boxes: float32 [L, N, 4], (y1, x1, y2, x2) in pixels.
        scores: float32 [L, N]; -inf marks an empty slot.
        iou_threshold: boxes above this IoU with a kept one are dropped.
        max_outputs: M, the most boxes kept of a list.
    Returns:
        index: int32 [L, M], into N, by falling score; 0 in slots left empty.
        valid: bool [L, M], slots that hold a box.
    """

    def one(arguments):
        # The kernel by its own name: tf.image.non_max_suppression_padded takes
        # another way, written in Python ops, that goes wrong on scores of -inf.
        index, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=arguments[0],
            scores=arguments[1],
            max_output_size=max_outputs,
            iou_threshold=iou_threshold,
            score_threshold=tf.float32.min,  # above -inf: empty slots drop out
            pad_to_max_output_size=True,
        )
        return index, tf.range(max_outputs) < count

    return tf.map_fn(
        one,
        (boxes, scores),
        fn_output_signature=(
            tf.TensorSpec([max_outputs], tf.int32),
            tf.TensorSpec([max_outputs], tf.bool),
        ),
    )
