"""Semantic measures: is each pixel's class right, and each boundary in its place?

What is kept of an image is small, so that a dataset may be larger than the memory,
and any group of its images can be scored from the same counts.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

IGNORE = 255  # in a true label map: not known, and not counted
_TOLERANCE = 0.0075  # of the image's diagonal; Csurka et al. 2013


@dataclass(frozen=True, eq=False)
class SemanticCounts:
    """What one image contributes to the semantic measures; C classes.

    Attributes:
        confusion: int64 [C, C], pixels by true class (row) and predicted (column).
        boundary: float64 [C], boundary F-scores, NaN for a class without any boundary.
    """

    confusion: np.ndarray
    boundary: np.ndarray


def semantic_counts(truth, predicted, num_classes):
    """Compares the label maps of one image.

    Args:
        truth: integers [H, W], 0 to num_classes - 1, or `IGNORE`.
        predicted: integers [H, W], 0 to num_classes - 1.
        num_classes: int C, with the background if that is a class.
    Returns:
        `SemanticCounts`; `semantic_scores` makes figures of many.
    Raises:
        ValueError: if a map is no integers [H, W], the maps differ in size, or hold
            other labels.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    _check(truth, predicted, num_classes)
    return SemanticCounts(
        confusion_matrix(truth, predicted, num_classes),
        boundary_f_scores(truth, predicted, num_classes),
    )


def semantic_scores(counts, class_names):
    """Adds up images and gives the figures.

    Args:
        counts: iterable of `SemanticCounts`, one an image; a generator will do.
        class_names: C names in the order of the labels.
    Returns:
        dict, each figure 0 to 1, or None where nothing could be counted:
            "mIoU": mean IoU over the classes that occur in truth or prediction of
                any image. A class that is only predicted counts, with IoU 0.
            "pixel accuracy": share of the pixels whose class is right.
            "boundary F": mean over images of the mean over the image's classes.
            "classes": dict from name to {"IoU", "boundary F"}, over all pixels
                and over the images in which the class has a boundary.
            "images": int.
    Raises:
        ValueError: if there are no images.
    Source: mIoU, Everingham et al. 2010, Pascal VOC; boundary F, `boundary_f_scores`.
    """
    size = len(class_names)
    confusion = np.zeros((size, size), np.int64)
    boundary_sum, boundary_images = np.zeros(size), np.zeros(size, np.int64)
    image_sum, scored_images, images = 0.0, 0, 0
    for image in counts:
        images += 1
        confusion += image.confusion
        known = ~np.isnan(image.boundary)
        boundary_sum[known] += image.boundary[known]
        boundary_images += known
        if known.any():
            image_sum += image.boundary[known].mean()
            scored_images += 1
    if images == 0:
        raise ValueError("no images were counted: expected at least one")

    right = np.diagonal(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right  # [C]
    iou = [_ratio(r, u) for r, u in zip(right, union, strict=True)]
    present = [value for value in iou if value is not None]
    boundary = [
        _ratio(s, n) for s, n in zip(boundary_sum, boundary_images, strict=True)
    ]
    return {
        "mIoU": _ratio(sum(present), len(present)),
        "pixel accuracy": _ratio(right.sum(), confusion.sum()),
        "boundary F": _ratio(image_sum, scored_images),
        "classes": {
            name: {"IoU": i, "boundary F": b}
            for name, i, b in zip(class_names, iou, boundary, strict=True)
        },
        "images": images,
    }


def confusion_matrix(truth, predicted, num_classes):
    """Counts pixels by true and predicted class.

    Args:
        truth: integers [H, W], 0 to num_classes - 1, or `IGNORE`.
        predicted: integers [H, W], 0 to num_classes - 1.
        num_classes: int C.
    Returns:
        int64 [C, C], true classes in rows; ignored pixels are left out.
    """
    counted = truth != IGNORE
    cells = truth[counted].astype(np.int64) * num_classes + predicted[counted]
    count = np.bincount(cells, minlength=num_classes**2)
    return count.reshape(num_classes, num_classes)


def boundary_f_scores(truth, predicted, num_classes):
    """Measures how well each class's boundary is met, in one image.

    A boundary pixel of a class is one with a neighbour, of four, of another class;
    the image's edge is no boundary. Precision is the share of the predicted
    boundary that lies at most 0.75 % of the image's diagonal from the true one,
    recall the share of the true one as near to the predicted, and F their harmonic
    mean. It is 0 if only one of the two maps has a boundary of the class.

    Ignored pixels take the label of the nearest pixel that counts, each map its own:
    a boundary anywhere within an ignored border is right, one beyond it is not.

    Args:
        truth: integers [H, W], 0 to num_classes - 1, or `IGNORE`.
        predicted: integers [H, W], 0 to num_classes - 1.
        num_classes: int C.
    Returns:
        float64 [C], 0 to 1; NaN for a class without a boundary in either map.
    Source: Csurka et al. 2013, What is a good evaluation measure for semantic
        segmentation? The treatment of ignored pixels is our own.
    """
    ignored = truth == IGNORE
    if ignored.all():
        return np.full(num_classes, np.nan)
    if ignored.any():
        nearest = distance_transform_edt(
            ignored, return_distances=False, return_indices=True
        )  # [2, H, W], rows and columns
        truth, predicted = truth[tuple(nearest)], predicted[tuple(nearest)]
    reach = _TOLERANCE * math.hypot(*truth.shape)  # pixels
    return np.array(
        [_boundary_f(truth == c, predicted == c, reach) for c in range(num_classes)]
    )


def _boundary_f(truth, predicted, reach):
    """Returns F of two masks, bool [H, W], within `reach` pixels; NaN without any."""
    truth, predicted = _boundary(truth), _boundary(predicted)
    if not (truth.any() and predicted.any()):
        return 0.0 if truth.any() or predicted.any() else np.nan
    precision = np.mean(distance_transform_edt(~truth)[predicted] <= reach)
    recall = np.mean(distance_transform_edt(~predicted)[truth] <= reach)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def _boundary(mask):
    return mask & ~binary_erosion(mask, border_value=1)


def _ratio(part, whole):
    return float(part / whole) if whole else None


def _check(truth, predicted, num_classes):
    for name, labels in (("true", truth), ("predicted", predicted)):
        if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"the {name} label map must be integers [H, W], found {labels.dtype} "
                f"{list(labels.shape)}; take the argmax of logits first"
            )
    if truth.shape != predicted.shape:
        raise ValueError(
            f"the true label map is {list(truth.shape)}, the predicted one "
            f"{list(predicted.shape)} (height, width); resize the prediction"
        )
    for name, labels, note in (
        ("true", truth[truth != IGNORE], f", or {IGNORE} where it is not known"),
        ("predicted", predicted, ""),
    ):
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            raise ValueError(
                f"the {name} label map holds {labels.min()} to {labels.max()}, "
                f"expected 0 to {num_classes - 1}{note}"
            )
