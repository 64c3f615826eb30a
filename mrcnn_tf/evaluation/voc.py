"""Average precision as Pascal VOC computes it, at an IoU of one half.

Each detection, by falling score, asks for the one object of its class and image that
it overlaps most. COCO's differs: it takes the best object that nothing has found yet,
and samples the curve at 101 recalls. Boxes alone count, and crowd regions are what VOC
calls difficult objects: neither found nor missed.
"""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as mask_api

from mrcnn_tf.datasets.coco_writer import coco_box
from mrcnn_tf.evaluation.coco import check_pair

# What `match_detections` says of a detection that found no object.
FALSE, IGNORED = -1, -2


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of one class, as its detections are taken by falling score.

    Attributes:
        recall: float [D], share of the objects found among the first 1, 2, ..., D.
        precision: float [D], share of those that are right.
        objects: int, of this class, without crowds.
    """

    recall: np.ndarray
    precision: np.ndarray
    objects: int

    @property
    def average_precision(self):
        """Area under the curve, VOC's since 2010; None without objects.

        At each recall the highest precision at that recall or a higher one counts.
        """
        if not self.objects:
            return None
        # From the right: what is best from here on.
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        steps = np.diff(self.recall, prepend=0)
        return float(np.sum(steps * best))

    @property
    def eleven_points(self):
        """Mean precision at recalls 0, 0.1, ..., 1, VOC's until 2009; None likewise."""
        if not self.objects:
            return None
        reached = [self.recall >= point / 10 for point in range(11)]
        return float(np.mean([self.precision[at].max(initial=0) for at in reached]))


def voc_curves(samples, results, classes, iou=0.5):
    """Traces precision against recall for each class.

    Args:
        samples: a dataset or a list of `Sample`, the ground truth.
        results: list of `Result`, one for each sample, in the same order.
        classes: class names without background.
        iou: from which on a box is found, 0 to 1.
    Returns:
        dict from class name to `Curve`. Of equal scores the earlier image, and in it
        the earlier detection, comes first.
    Raises:
        ValueError: if there are no samples; if a result is missing, of another size
            than its image, or of other classes than `classes`.
    Source: Everingham et al. 2010, section 4.2, and the development kit's `VOCevaldet`.
    """
    classes = tuple(classes)
    if len(samples) != len(results):
        raise ValueError(
            f"expected one result for each of {len(samples)} samples, "
            f"found {len(results)} results"
        )
    if not results:
        raise ValueError("the dataset is empty: expected at least one image")
    objects = np.zeros(1 + len(classes), int)
    labels, scores, outcomes = [], [], []  # of all detections
    for index, result in enumerate(results):
        sample = samples[index]
        check_pair(sample, result, classes)
        objects += np.bincount(sample.classes[~sample.crowd], minlength=len(objects))
        labels.append(result.classes)
        scores.append(result.scores)
        outcomes.append(match_detections(sample, result, iou))
    labels, scores, outcomes = map(np.concatenate, (labels, scores, outcomes))
    order = np.argsort(-scores, kind="stable")
    order = order[outcomes[order] != IGNORED]
    return {
        name: _curve(outcomes[order[labels[order] == label]], int(objects[label]))
        for label, name in enumerate(classes, start=1)
    }


def voc_scores(samples, results, classes):
    """Measures VOC's mean average precision at an IoU of 0.5, by both of its rules.

    Args:
        samples, results, classes: as of `voc_curves`.
    Returns:
        dict of "AP50", the mean over classes that have objects, None without any;
        "AP50 2007", the same of eleven points; and "classes", a dict from each class
        name to both.
    Raises:
        ValueError: as `voc_curves`.
    Source: Everingham et al. 2010; the VOC2010 development kit for the area.
    """
    by_class = {
        name: {"AP50": curve.average_precision, "AP50 2007": curve.eleven_points}
        for name, curve in voc_curves(samples, results, classes).items()
    }
    means = {
        rule: _mean([figures[rule] for figures in by_class.values()])
        for rule in ("AP50", "AP50 2007")
    }
    return {**means, "classes": by_class}


def match_detections(sample, result, iou=0.5):
    """Says which object each detection of one image finds.

    Args:
        sample: a `Sample`.
        result: the `Result` of the same image.
        iou: from which on a box is found, 0 to 1.
    Returns:
        int [D], the index of the object; `FALSE` for none, or one found already by a
        higher score; `IGNORED` for a crowd.
    Source: the VOC development kit's `VOCevaldet`.
    """
    outcomes = np.full(len(result), FALSE)
    if not len(result) or not len(sample.boxes):
        return outcomes
    overlaps = mask_api.iou(  # [D, N]
        [coco_box(box) for box in result.boxes],
        [coco_box(box) for box in sample.boxes],
        [0] * len(sample.boxes),  # plain IoU, with crowds too
    )
    overlaps[result.classes[:, None] != sample.classes] = -1  # of another class
    found = np.zeros(len(sample.boxes), bool)
    for detection in np.argsort(-result.scores, kind="stable"):
        wanted = int(overlaps[detection].argmax())
        if overlaps[detection, wanted] < iou:
            continue
        if sample.crowd[wanted]:
            outcomes[detection] = IGNORED
        elif not found[wanted]:
            found[wanted] = True
            outcomes[detection] = wanted
    return outcomes


def _curve(outcomes, objects):
    """Makes the curve of one class from its outcomes [D], by falling score."""
    right = np.cumsum(outcomes >= 0)  # [D]
    return Curve(
        recall=right / max(objects, 1),
        precision=right / np.arange(1, len(outcomes) + 1),
        objects=objects,
    )


def _mean(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
