"""Box AP and mask AP, the twelve COCO figures of each, through pycocotools.

Images stream through: only their objects and detections are kept, so that a
dataset may be larger than the memory.
"""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from mrcnn_tf import rle
from mrcnn_tf.datasets.coco_writer import coco_box

# In the order of `COCOeval.stats`. AP without a number is the mean over the IoU
# thresholds 0.50, 0.55, ..., 0.95; small is below 32 x 32 pixels of area, large
# above 96 x 96; AR1 is the recall of the best detection of each image and class.
FIGURES = (
    "AP", "AP50", "AP75", "AP small", "AP medium", "AP large",
    "AR1", "AR10", "AR100", "AR small", "AR medium", "AR large",
)  # fmt: skip


class Evaluation(dict):
    """The figures of one evaluation: a plain dict that prints as a table.

    Keys:
        "box": dict of the twelve `FIGURES`, each 0 to 1, or None where no object
            of the data is of that size.
        "mask": the same for masks; None where the data or the model has boxes only.
        "classes": dict from class name to {"box": AP, "mask": AP}; None where
            the class has no object, or there are no masks.
        "images", "objects", "detections": counts. Crowd regions are no objects.
    """

    def __str__(self):
        kinds = [kind for kind in ("box", "mask") if self[kind] is not None]
        width = max([10, *(len(name) + 2 for name in self["classes"])])

        def row(name, values):
            cells = (f"{'-' if value is None else f'{value:.3f}'}" for value in values)
            return f"{name:<{width}}" + "".join(f"{cell:>8}" for cell in cells)

        lines = [" " * width + "".join(f"{kind:>8}" for kind in kinds)]
        lines += [row(name, [self[kind][name] for kind in kinds]) for name in FIGURES]
        lines += ["", "AP of each class"]
        lines += [
            row(f"  {name}", [values[kind] for kind in kinds])
            for name, values in self["classes"].items()
        ]
        lines += [
            "",
            f"{self['images']} images, {self['objects']} objects, "
            f"{self['detections']} detections",
        ]
        if self["mask"] is None:
            lines.append("no mask figures: the data or the model has boxes only")
        return "\n".join(lines)


def evaluate(model, dataset, progress=True):
    """Runs a model over a dataset and measures box AP and mask AP.

    Args:
        model: anything whose `detect(image)` takes uint8 [H, W, 3] and gives a
            `Result`.
        dataset: anything with `len(dataset)`, `dataset[i]` giving a `Sample`,
            and `dataset.classes`.
        progress: whether to show a progress bar, on stderr.
    Returns:
        an `Evaluation`.
    Raises:
        ValueError: as `evaluate_results`.
    Source: Lin et al. 2014, as pycocotools computes it.
    """
    samples = _each(
        tqdm(range(len(dataset)), "evaluate", disable=not progress), dataset
    )
    pairs = ((sample, model.detect(sample.image)) for sample in samples)
    return _evaluate(pairs, tuple(dataset.classes))


def evaluate_results(samples, results, classes):
    """Measures box AP and mask AP of detections that were made before.

    Args:
        samples: a dataset or a list of `Sample`, the ground truth.
        results: list of `Result`, one for each sample, in the same order.
        classes: class names without background.
    Returns:
        an `Evaluation`.
    Raises:
        ValueError: if there are no samples; if a result is missing, of another
            size than its image, or of other classes than `classes`; if a label
            has no name; if only some of the samples have masks.
    Source: Lin et al. 2014, as pycocotools computes it.
    """
    if len(samples) != len(results):
        raise ValueError(
            f"expected one result for each of {len(samples)} samples, "
            f"found {len(results)} results"
        )
    pairs = zip(_each(range(len(samples)), samples), results, strict=True)
    return _evaluate(pairs, tuple(classes))


def _each(indices, samples):
    return (samples[index] for index in indices)


def _evaluate(pairs, classes):
    """Collects (Sample, Result) pairs as COCO annotations and scores them."""
    images, objects, detections = [], [], []
    have_masks = set()  # of the samples with objects
    for number, (sample, result) in enumerate(pairs, start=1):
        check_pair(sample, result, classes)
        # Numbered here: image ids of a dataset may be strings, or repeat.
        size = {"height": sample.height, "width": sample.width}
        images.append({"id": number, **size})
        objects += _objects(sample, number)
        detections += [
            {**item, "area": item["bbox"][2] * item["bbox"][3], "iscrowd": 0}
            for item in coco_results(result, number)
        ]
        if len(sample.boxes):
            have_masks.add(sample.masks is not None)
        if len(have_masks) == 2:
            raise ValueError(
                f"image {sample.image_id!r}: this sample has "
                f"{'boxes only' if sample.masks is None else 'masks'}, those before "
                "it are otherwise; evaluate the two kinds apart"
            )
    if not images:
        raise ValueError("the dataset is empty: expected at least one image")

    # A model may have boxes only, too.
    with_masks = have_masks != {False} and all("segmentation" in d for d in detections)
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, start=1)]
    box, box_by_class = _score("bbox", images, categories, objects, detections)
    mask, mask_by_class = None, [None] * len(classes)
    if with_masks:
        mask, mask_by_class = _score("segm", images, categories, objects, detections)
    by_class = zip(classes, box_by_class, mask_by_class, strict=True)
    return Evaluation(
        box=box,
        mask=mask,
        classes={name: {"box": b, "mask": m} for name, b, m in by_class},
        images=len(images),
        objects=sum(not item["iscrowd"] for item in objects),
        detections=len(detections),
    )


def check_pair(sample, result, classes):
    """Refuses what pycocotools would take and silently score as wrong."""
    where = f"image {sample.image_id!r}"
    if tuple(result.class_names) != classes:
        raise ValueError(
            f"{where}: the dataset's classes are {classes}, the model's "
            f"{tuple(result.class_names)}; use a model trained on these classes, "
            "in this order"
        )
    if (result.height, result.width) != (sample.height, sample.width):
        raise ValueError(
            f"{where}: the image is {sample.height} x {sample.width} pixels, its "
            f"result {result.height} x {result.width}; detect on the same image"
        )
    for owner, labels in (("object", sample.classes), ("detection", result.classes)):
        if len(labels) and not 1 <= labels.min() <= labels.max() <= len(classes):
            raise ValueError(
                f"{where}: {owner}s have class ids {sorted(set(labels.tolist()))}, "
                f"expected 1 to {len(classes)} for the classes {classes}"
            )
    if len(result.rles) not in (0, len(result)):  # 0: a model of boxes only
        raise ValueError(
            f"{where}: {len(result)} detections but {len(result.rles)} masks"
        )


def coco_results(result, image_id):
    """Converts the detections of one image to entries of a COCO results file.

    Args:
        result: a `Result`.
        image_id: int, the image's id.
    Returns:
        list of a dict for each detection, in their order, of plain values that
        `json.dump` takes: "image_id"; "category_id", the class; "bbox", [x, y,
        width, height] in pixels; "score"; "segmentation", an RLE whose counts are
        a string, left out where the model has boxes only.
    Source: the results format of https://cocodataset.org/#format-results.
    """
    entries = []
    for index, box in enumerate(result.boxes):
        entry = {
            "image_id": image_id,
            "category_id": int(result.classes[index]),
            "bbox": coco_box(box),
            "score": float(result.scores[index]),
        }
        if result.rles:
            size, counts = (result.rles[index][key] for key in ("size", "counts"))
            entry["segmentation"] = {"size": list(size), "counts": counts.decode()}
        entries.append(entry)
    return entries


def _objects(sample, image_number):
    """Returns the ground truth of one sample as COCO annotations."""
    annotations = []
    for index, box in enumerate(sample.boxes):
        bbox = coco_box(box)
        annotation = {
            "image_id": image_number,
            "category_id": int(sample.classes[index]),
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": int(sample.crowd[index]),
        }
        if sample.masks is not None:
            mask = sample.masks[index]
            annotation |= {"segmentation": mask, "area": rle.area(mask)}
        annotations.append(annotation)
    return annotations


def _score(iou_type, images, categories, objects, detections):
    """Returns twelve figures and the AP of each class; "bbox" or "segm"."""
    if iou_type == "segm":
        detections = [
            {**item, "area": rle.area(item["segmentation"])} for item in detections
        ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        scorer = COCOeval(
            _coco(images, categories, objects),
            _coco(images, categories, detections),
            iou_type,
        )
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    figures = {
        name: _figure(np.array([value]))
        for name, value in zip(FIGURES, scorer.stats, strict=True)
    }
    # [T thresholds, R recalls, K classes, areas, limits]: all areas, 100 detections.
    precision = scorer.eval["precision"][..., 0, -1]  # [T, R, K]
    per_class = [_figure(precision[..., k]) for k in range(len(categories))]
    return figures, per_class


def _figure(values):
    """Returns the mean; pycocotools marks with -1 where there is no ground truth."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _coco(images, categories, annotations):
    """Makes a COCO index in memory; `loadRes` would fail without detections."""
    index = COCO()
    # Ids start at 1: COCOeval takes a matched id of 0 for no match. The copies
    # are needed because COCOeval writes into the annotations.
    numbered = [{"id": i, **item} for i, item in enumerate(annotations, start=1)]
    index.dataset = {
        "images": images,
        "categories": categories,
        "annotations": numbered,
    }
    index.createIndex()
    return index
