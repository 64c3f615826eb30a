"""Whether two networks that should be one and the same give the same detections."""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from mrcnn_tf import rle

# An exported network must keep within these of the Keras model. The numbers differ
# only by the order in which a runtime adds.
MAX_BOX = 0.1  # pixels of the image, each edge
MAX_SCORE = 1e-3
MIN_MASK_IOU = 0.99


@dataclass(frozen=True)
class Agreement:
    """How near one network's detections come to another's, over some images.

    Attributes:
        expected, found: numbers of detections of the two.
        unmatched: those of either that the other lacks, but for those at the cut-off:
            within `MAX_SCORE` of the least score that is given at all.
        box: the largest difference of an edge, pixels.
        score: the largest difference of a score.
        mask_iou: the least IoU of two masks, 1 where there are none. Masks that differ
            by a single pixel count as equal: of a small one that is above 1 %.
    """

    expected: int
    found: int
    unmatched: int
    box: float
    score: float
    mask_iou: float

    @property
    def holds(self):
        """Whether all is within the bars."""
        return (
            self.unmatched == 0
            and self.box <= MAX_BOX
            and self.score <= MAX_SCORE
            and self.mask_iou >= MIN_MASK_IOU
        )

    def __add__(self, other):
        """Of the images of both."""
        return Agreement(
            self.expected + other.expected,
            self.found + other.found,
            self.unmatched + other.unmatched,
            max(self.box, other.box),
            max(self.score, other.score),
            min(self.mask_iou, other.mask_iou),
        )


def compare_results(expected, found, detection_config):
    """Compares the detections of two networks in one image.

    Args:
        expected, found: a `Result` each.
        detection_config: the DetectionConfig of both.
    Returns:
        an `Agreement`.
    """
    unmatched, pairs = [], []
    free = list(range(len(found)))
    for index in range(len(expected)):
        same = [j for j in free if found.classes[j] == expected.classes[index]]
        distances = [
            float(np.abs(found.boxes[j] - expected.boxes[index]).max()) for j in same
        ]
        if distances and min(distances) <= 10 * MAX_BOX:
            nearest = same[int(np.argmin(distances))]
            free.remove(nearest)
            pairs.append((index, nearest))
        else:
            unmatched.append(expected.scores[index])
    unmatched += [found.scores[j] for j in free]
    cut_off = detection_config.min_score
    if len(expected) == detection_config.max_detections:  # there may be more
        cut_off = max(cut_off, expected.scores[-1])
    boxes = [np.abs(expected.boxes[i] - found.boxes[j]).max() for i, j in pairs]
    scores = [abs(expected.scores[i] - found.scores[j]) for i, j in pairs]
    ious = [1.0]
    if bool(expected.rles) != bool(found.rles) and pairs:
        ious = [0.0]  # one has no masks
    elif expected.rles:
        ious += [_mask_iou(expected.rles[i], found.rles[j]) for i, j in pairs]
    return Agreement(
        expected=len(expected),
        found=len(found),
        unmatched=sum(abs(score - cut_off) > MAX_SCORE for score in unmatched),
        box=float(max(boxes, default=0.0)),
        score=float(max(scores, default=0.0)),
        mask_iou=float(min(ious)),
    )


def _mask_iou(one, other):
    """IoU of two RLEs; 1 where they differ by a pixel at most."""
    shared = rle.area(coco_mask.merge([one, other], intersect=True))
    union = rle.area(one) + rle.area(other) - shared
    return 1.0 if union - shared <= 1 else shared / union
