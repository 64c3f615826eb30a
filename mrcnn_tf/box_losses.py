"""Losses that are overlaps: GIoU, DIoU and CIoU of a box and its target.

Smooth L1 treats the four deltas of a box as if they had nothing to do with each other.
These measure what the score measures, the overlap, and unlike IoU itself they still
fall for boxes that do not touch.
"""

from mrcnn_tf import boxes as box_ops


def giou_loss(boxes1, boxes2):
    """One less the generalised IoU of each box and its partner.

    Args:
        boxes1, boxes2: float32 [..., 4], (y1, x1, y2, x2) in pixels, paired.
    Returns:
        float32 [...], 0 for equal boxes, up to 2.
    Raises:
        ValueError: if the last dimension of either is not 4.
    Source: Rezatofighi et al. 2019; numbers as
        torchvision.ops.generalized_box_iou_loss.
    """
    return _loss(box_ops.giou, boxes1, boxes2)


def diou_loss(boxes1, boxes2):
    """One less the distance IoU of each box and its partner.

    Args:
        boxes1, boxes2: float32 [..., 4], (y1, x1, y2, x2) in pixels, paired.
    Returns:
        float32 [...], 0 for equal boxes, up to 2.
    Raises:
        ValueError: if the last dimension of either is not 4.
    Source: Zheng et al. 2020; numbers as torchvision.ops.distance_box_iou_loss.
    """
    return _loss(box_ops.diou, boxes1, boxes2)


def ciou_loss(boxes1, boxes2):
    """One less the complete IoU of each box and its partner.

    Args:
        boxes1, boxes2: float32 [..., 4], (y1, x1, y2, x2) in pixels, paired.
    Returns:
        float32 [...], 0 for equal boxes, below 3.
    Raises:
        ValueError: if the last dimension of either is not 4.
    Source: Zheng et al. 2020; numbers as torchvision.ops.complete_box_iou_loss.
    """
    return _loss(box_ops.ciou, boxes1, boxes2)


def _loss(overlap, boxes1, boxes2):
    """A pair is all pairs of one box and one box."""
    one, other = boxes1[..., None, :], boxes2[..., None, :]  # [..., 1, 4]
    # Where two edges coincide, tf.minimum gives its first argument the whole gradient.
    # In both orders each gets half, and equal boxes, the optimum, are not pushed.
    both = (overlap(one, other) + overlap(other, one)) / 2  # [..., 1, 1]
    return 1.0 - both[..., 0, 0]
