"""Segments: what an image consists of, where no two objects share a pixel.

Panoptic quality compares segments, and a label map of classes follows from them:
so that the one answer of an instance model is asked both questions.
"""

from dataclasses import dataclass

import numpy as np

from mrcnn_tf import rle
from mrcnn_tf.evaluation.semantic import IGNORE

VOID = -1  # in a map of true segments: not known what is there
_BORDER = 3  # of a trimap


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of one image, S of them.

    Attributes:
        labels: int32 [H, W], s (from 1) on segment s, 0 where there is none, `VOID`.
        classes: int32 [S], from 1; `classes[s - 1]` is that of segment s.
        crowd: bool [S], regions of many objects that were not told apart.
    """

    labels: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray

    def class_map(self):
        """Returns int32 [H, W]: each pixel's class, 0 background, `IGNORE` for void."""
        known = np.maximum(self.labels, 0)
        classes = np.concatenate([[0], self.classes]).astype(np.int32)[known]
        return np.where(self.labels == VOID, np.int32(IGNORE), classes)


def sample_segments(sample):
    """Makes segments of the truth.

    A pixel of several masks belongs to the smallest, as what is smaller usually lies
    in front; crowd regions come last. A trimap's border is void.

    Args:
        sample: a `Sample` with masks, or without objects.
    Returns:
        `Segments`, segment s for object s - 1.
    Raises:
        ValueError: if the sample has boxes only.
    """
    if sample.masks is None and len(sample.boxes):
        raise ValueError(
            f"image {sample.image_id!r}: this sample has boxes only; segments are "
            "made of masks"
        )
    masks = sample.masks or ()
    labels = np.zeros((sample.height, sample.width), np.int32)
    areas = [rle.area(mask) for mask in masks]
    for index in np.lexsort((areas, sample.crowd)):  # by crowd, then by area
        labels[rle.decode(masks[index]) & (labels == 0)] = index + 1
    if sample.trimap is not None:
        labels[np.asarray(sample.trimap) == _BORDER] = VOID
    return Segments(labels, sample.classes, sample.crowd)


def result_segments(result, min_visible=0.5):
    """Makes segments of detections, which may overlap: the higher score wins.

    Low scores count as much as high ones: `result.keep(0.5)` comes first.

    Args:
        result: a `Result` with masks.
        min_visible: share of its mask that a detection must keep of what higher
            scores leave, or all of it is dropped; 0 drops only what is hidden.
    Returns:
        `Segments`, numbered by falling score, without the dropped.
    Raises:
        ValueError: if the result has boxes only.
    Source: Kirillov et al. 2019, section 6, who choose the share by grid search.
    """
    if len(result.rles) != len(result):
        raise ValueError(
            f"{len(result)} detections but {len(result.rles)} masks; segments are "
            "made of masks"
        )
    labels = np.zeros((result.height, result.width), np.int32)
    classes = []
    for index in np.argsort(-result.scores, kind="stable"):
        mask = rle.decode(result.rles[index])
        visible = mask & (labels == 0)
        area = visible.sum()
        if area == 0 or area < min_visible * mask.sum():
            continue
        classes.append(result.classes[index])
        labels[visible] = len(classes)
    classes = np.array(classes, np.int32)
    return Segments(labels, classes, np.zeros(len(classes), bool))
