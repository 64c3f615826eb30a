"""Matching boxes to objects by IoU, and sampling a balanced few of them."""

import tensorflow as tf


def match(overlaps, valid, positive_iou, negative_iou, keep_best=False):
    """Labels each box by its best overlap with an object.

    Args:
        overlaps: float32 [B, N, G], IoU of N boxes with G ground-truth slots.
        valid: bool [B, G], slots that hold an object.
        positive_iou: at least this is positive.
        negative_iou: below this is negative; between the two, neither.
        keep_best: an object's best boxes (ties too) are positive at any IoU, so
            that no object is left without an anchor.
    Returns:
        labels: int32 [B, N], 1 positive, 0 negative, -1 neither.
        index: int32 [B, N], the slot of the best overlap.
    Source: torchvision's Matcher. An object that overlaps no box at all claims
        none (torchvision lets it claim every box, as all tie at 0).
    """
    overlaps = tf.where(valid[:, None, :], overlaps, -1.0)
    index = tf.argmax(overlaps, axis=2, output_type=tf.int32)  # [B, N]
    best = tf.reduce_max(overlaps, axis=2)  # [B, N], -1 in an image without objects
    labels = tf.where(best >= positive_iou, 1, tf.where(best < negative_iou, 0, -1))
    if keep_best:
        best_of_object = tf.reduce_max(overlaps, axis=1, keepdims=True)  # [B, 1, G]
        is_best = (overlaps == best_of_object) & (best_of_object > 0)
        labels = tf.where(tf.reduce_any(is_best, axis=2), 1, labels)
    return labels, index


def balanced_sample(labels, count, positive_fraction, draw):
    """Picks at random a fixed number of boxes, positives first.

    Args:
        labels: int32 [B, N], 1 positive, 0 negative, -1 neither.
        count: S, slots to fill; negatives take what positives leave.
        positive_fraction: the largest share of `count` that positives may take.
        draw: int32 [B, 2], for each image a seed: the same seed picks the same
            boxes, whatever the batch around it.
    Returns:
        index: int32 [B, S], into N. Positives come first.
        picked: int32 [B, S], label of each slot; -1 where the slot is empty.
    Raises:
        ValueError: if N is known and less than S.
    Source: Ren et al. 2015, section 3.1.3.
    """
    if labels.shape[1] is not None and labels.shape[1] < count:
        raise ValueError(f"cannot sample {count} of {labels.shape[1]} boxes")
    # Random numbers in (0, 1) rank the boxes; a positive that is taken stands
    # above every negative, and what may not be taken stands below all.
    noise = tf.map_fn(
        lambda seed: tf.random.stateless_uniform(tf.shape(labels)[1:], seed, 1e-6, 1.0),
        draw,
        fn_output_signature=tf.float32,
    )  # [B, N]
    max_positives = int(count * positive_fraction)
    positive_rank = tf.where(labels == 1, noise, 0.0)
    # The smallest rank that is still among the `max_positives` highest.
    cut = tf.math.top_k(positive_rank, max_positives).values[:, -1:]  # [B, 1]
    taken = (labels == 1) & (positive_rank >= cut)
    rank = tf.where(taken, 1.0 + noise, tf.where(labels == 0, noise, 0.0))
    rank, index = tf.math.top_k(rank, count)  # [B, S]
    picked = tf.where(rank > 0, tf.gather(labels, index, batch_dims=1), -1)
    return index, picked
