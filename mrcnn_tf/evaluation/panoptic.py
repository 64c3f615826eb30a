"""Panoptic quality of things, and how far the count of objects is off.

A true and a predicted segment match if they are of one class and their IoU is above
a half; as segments share no pixels, each has one match at most. Matched are the TP,
left over are FP and FN, and

    PQ = SQ x RQ,  SQ = mean IoU of the matched,  RQ = TP / (TP + FP / 2 + FN / 2)
"""

from dataclasses import dataclass

import numpy as np

from mrcnn_tf.evaluation.coco import check_pair
from mrcnn_tf.evaluation.segments import VOID, result_segments, sample_segments


@dataclass(frozen=True, eq=False)
class PanopticCounts:
    """What one image contributes to panoptic quality; K classes without background.

    Attributes:
        iou: float64 [K], sum of the IoUs of matched segments.
        matched: int64 [K], true positives.
        made_up: int64 [K], false positives: predicted segments without a match.
        missed: int64 [K], false negatives: true segments without a match.
    """

    iou: np.ndarray
    matched: np.ndarray
    made_up: np.ndarray
    missed: np.ndarray


def panoptic_counts(sample, result, classes):
    """Matches the objects of one image with what was detected.

    Void pixels (a trimap's border) are taken from predicted segments before the IoU.
    Crowd regions are matched with nothing and missed by nobody. A predicted segment
    without a match is no mistake if more than half of it is void or crowd of its class.

    Args:
        sample: a `Sample` with masks, the truth.
        result: a `Result` with masks; overlaps go by `result_segments`.
        classes: class names without background.
    Returns:
        `PanopticCounts`; `panoptic_scores` makes figures of many.
    Raises:
        ValueError: names the image, if the result is of another size, of other
            classes, or either has boxes only.
    Source: Kirillov et al. 2019, Panoptic Segmentation, section 4; crowds of one's own
        class and void are added up as COCO's panopticapi does.
    """
    classes = tuple(classes)
    check_pair(sample, result, classes)
    truth, predicted = sample_segments(sample), result_segments(result)
    overlap = _overlap(truth, predicted)  # [2 + T, 1 + P]
    shared = overlap[2:, 1:]  # [T, P]
    void = overlap[0, 1:]  # [P]
    area = overlap[:, 1:].sum(axis=0)  # [P]
    union = overlap[2:].sum(axis=1)[:, None] + (area - void) - shared  # [T, P]
    same = truth.classes[:, None] == predicted.classes
    match = same & ~truth.crowd[:, None] & (2 * shared > union)

    crowd = (shared * (same & truth.crowd[:, None])).sum(axis=0)  # [P]
    made_up = ~match.any(axis=0) & (2 * (void + crowd) <= area)
    missed = ~match.any(axis=1) & ~truth.crowd
    rows, columns = np.nonzero(match)

    def count(labels, weights=None):
        return np.bincount(labels - 1, weights, minlength=len(classes))

    return PanopticCounts(
        iou=count(truth.classes[rows], shared[rows, columns] / union[rows, columns]),
        matched=count(truth.classes[rows]),
        made_up=count(predicted.classes[made_up]),
        missed=count(truth.classes[missed]),
    )


def panoptic_scores(counts, classes):
    """Adds up images and gives the figures.

    Args:
        counts: iterable of `PanopticCounts`, one an image; a generator will do.
        classes: class names without background.
    Returns:
        dict:
            "PQ", "SQ", "RQ": means over the classes that occur, in truth or
                prediction, 0 to 1; None if none does. Without a match all are 0.
            "TP", "FP", "FN": ints, of all classes together.
            "count error": mean over images of |objects predicted - true|, of all
                classes together. Neither crowds nor what was forgiven in them count.
            "count bias": the same with its sign; above 0, too many are predicted.
            "classes": dict from name to {"PQ", "SQ", "RQ", "TP", "FP", "FN"}.
            "images": int.
    Raises:
        ValueError: if there are no images.
    Source: Kirillov et al. 2019, section 4.
    """
    iou = np.zeros(len(classes))
    matched, made_up, missed = np.zeros((3, len(classes)), np.int64)
    differences = []
    for image in counts:
        iou += image.iou
        matched += image.matched
        made_up += image.made_up
        missed += image.missed
        # Predicted are TP + FP, true are TP + FN.
        differences.append(int(image.made_up.sum() - image.missed.sum()))
    if not differences:
        raise ValueError("no images were counted: expected at least one")

    by_class = {
        name: _quality(*numbers)
        for name, *numbers in zip(classes, iou, matched, made_up, missed, strict=True)
    }
    present = [figures for figures in by_class.values() if figures["PQ"] is not None]
    means = {
        name: float(np.mean([figures[name] for figures in present]))
        if present
        else None
        for name in ("PQ", "SQ", "RQ")
    }
    return {
        **means,
        "TP": int(matched.sum()),
        "FP": int(made_up.sum()),
        "FN": int(missed.sum()),
        "count error": float(np.mean(np.abs(differences))),
        "count bias": float(np.mean(differences)),
        "classes": by_class,
        "images": len(differences),
    }


def _quality(iou, matched, made_up, missed):
    """Returns the figures of one class."""
    objects = matched + (made_up + missed) / 2
    segmentation = float(iou / matched) if matched else 0.0
    recognition = float(matched / objects) if objects else None
    return {
        "PQ": segmentation * recognition if objects else None,
        "SQ": segmentation if objects else None,
        "RQ": recognition,
        "TP": int(matched),
        "FP": int(made_up),
        "FN": int(missed),
    }


def _overlap(truth, predicted):
    """Counts the pixels of each pair of segments; T true, P predicted.

    Returns:
        int64 [2 + T, 1 + P]: rows void, nothing, the true segments; columns nothing,
        the predicted segments.
    """
    shape = 2 + len(truth.classes), 1 + len(predicted.classes)
    cells = (truth.labels - VOID).astype(np.int64) * shape[1] + predicted.labels
    return np.bincount(cells.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
