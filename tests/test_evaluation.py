import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.evaluation import evaluate, evaluate_results
from mrcnn_tf.evaluation.coco import FIGURES, coco_box, coco_results
from mrcnn_tf.result import Result

CLASSES = ("square", "circle")
COCO_MINI = Path(__file__).parents[2] / "shared/data/coco_mini"


def box_mask(box, height, width):
    y1, x1, y2, x2 = (round(float(value)) for value in box)
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def sample(boxes, classes, masks=True, crowd=None, size=(100, 100), image_id=7):
    rles = tuple(box_mask(box, *size) for box in boxes) if masks else None
    image = np.zeros((*size, 3), np.uint8)
    return Sample(image, boxes, classes, rles, crowd=crowd, image_id=image_id)


def result(boxes, classes, scores, size=(100, 100), names=CLASSES):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rles = tuple(box_mask(box, *size) for box in boxes)
    classes = np.asarray(classes, np.int32)
    return Result(boxes, classes, np.asarray(scores, np.float32), rles, *size, names)


NOTHING = result([], [], [])
TRUTH = sample([[10, 10, 60, 60], [20, 70, 40, 90]], [1, 2])


class Dataset:
    classes = CLASSES

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_coco_box_is_x_y_width_height():
    assert coco_box(np.array([1, 2, 11, 5], np.float32)) == [2, 1, 3, 10]


def test_coco_results_by_hand():
    found = result([[1, 2, 11, 5], [0, 0, 4, 4]], [2, 1], [0.75, 0.5], size=(20, 30))
    entries = json.loads(json.dumps(coco_results(found, 42)))
    first, second = entries
    mask = first.pop("segmentation")
    assert first == {
        "image_id": 42,
        "category_id": 2,
        "bbox": [2, 1, 3, 10],
        "score": 0.75,
    }
    assert mask["size"] == [20, 30] and isinstance(mask["counts"], str)
    np.testing.assert_array_equal(rle.decode(mask), found.masks[0])
    assert (second["category_id"], second["score"]) == (1, 0.5)
    assert coco_results(NOTHING, 42) == []


def test_coco_results_of_boxes_only_have_no_segmentation():
    boxes_only = Result(TRUTH.boxes[:1], TRUTH.classes, np.ones(1), (), 100, 100)
    (entry,) = coco_results(boxes_only, 1)
    assert set(entry) == {"image_id", "category_id", "bbox", "score"}


def test_perfect_detections_score_one():
    found = result(TRUTH.boxes, TRUTH.classes, [0.9, 0.8])
    scores = evaluate_results([TRUTH], [found], CLASSES)
    for kind in ("box", "mask"):
        assert tuple(scores[kind]) == FIGURES
        assert scores[kind]["AP"] == pytest.approx(1)
        assert scores[kind]["AP small"] == pytest.approx(1)  # 20 x 20
        assert scores[kind]["AP medium"] == pytest.approx(1)  # 50 x 50
        assert scores[kind]["AP large"] is None  # no object above 96 x 96
    assert (scores["images"], scores["objects"], scores["detections"]) == (1, 2, 2)
    assert json.loads(json.dumps(scores)) == scores


@pytest.mark.parametrize(("side", "ap"), [(31, 0.3), (41, 0.7), (20, 0.0)])
def test_shifted_boxes_score_the_share_of_thresholds_they_pass(side, ap):
    # A 50 x side box inside a 50 x 50 one: IoU side/50 = 0.62, which passes 0.50,
    # 0.55 and 0.60 of the ten thresholds; 0.82 passes seven; 0.40 none.
    truth = sample([[10, 10, 60, 60]], [1])
    found = result([[10, 10, 60, 10 + side]], [1], [0.9])
    scores = evaluate_results([truth], [found], CLASSES)
    assert scores["box"]["AP"] == pytest.approx(ap)
    assert scores["mask"]["AP"] == pytest.approx(ap)
    assert scores["box"]["AR100"] == pytest.approx(ap)


def test_masks_are_measured_apart_from_boxes():
    half = np.zeros((100, 100), bool)
    half[10:60, 10:35] = True  # half of the object: IoU 0.5, one threshold of ten
    found = result([[10, 10, 60, 60]], [1], [0.9])
    found = Result(
        found.boxes, found.classes, found.scores, (rle.encode(half),), 100, 100, CLASSES
    )
    scores = evaluate_results([sample([[10, 10, 60, 60]], [1])], [found], CLASSES)
    assert scores["box"]["AP"] == pytest.approx(1)
    assert scores["mask"]["AP"] == pytest.approx(0.1)


def test_no_detections_score_zero():
    scores = evaluate_results([TRUTH], [NOTHING], CLASSES)
    assert scores["box"]["AP"] == scores["mask"]["AP"] == scores["box"]["AR100"] == 0
    assert scores["box"]["AP large"] is None


def test_each_class_has_its_own_ap():
    found = result(TRUTH.boxes[:1], [1], [0.9])  # the circle is missed
    names = (*CLASSES, "triangle")
    found = Result(*list(vars(found).values())[:-1], names)
    scores = evaluate_results([TRUTH], [found], names)
    assert scores["classes"]["square"]["box"] == pytest.approx(1)
    assert scores["classes"]["circle"] == {"box": 0, "mask": 0}
    assert scores["classes"]["triangle"] == {"box": None, "mask": None}
    assert scores["box"]["AP"] == pytest.approx(0.5)


@pytest.mark.parametrize(("crowd", "ap"), [(True, 1.0), (False, 0.5)])
def test_detections_inside_a_crowd_are_not_counted_against_the_model(crowd, ap):
    truth = sample(
        [[0, 0, 50, 100], [60, 0, 100, 40]], [1, 1], crowd=np.array([crowd, False])
    )
    # The first is a small part of the crowd and scores higher than the hit.
    found = result([[5, 5, 20, 20], [60, 0, 100, 40]], [1, 1], [0.9, 0.8])
    scores = evaluate_results([truth], [found], CLASSES)
    assert scores["objects"] == 2 - crowd
    # As an object it is missed: precision 1/2 up to a recall of 1/2, then none.
    expected = 1.0 if crowd else 0.5 * 51 / 101
    assert scores["box"]["AP"] == pytest.approx(expected)
    assert scores["mask"]["AP"] == pytest.approx(expected)


def test_data_with_boxes_only_has_no_mask_figures_and_says_so():
    truth = sample([[10, 10, 60, 60]], [1], masks=False)
    scores = evaluate_results([truth], [result(truth.boxes, [1], [0.9])], CLASSES)
    assert scores["box"]["AP"] == pytest.approx(1)
    assert scores["box"]["AP medium"] == pytest.approx(1)  # by the box's area
    assert scores["mask"] is None
    assert scores["classes"]["square"]["mask"] is None
    assert "boxes only" in str(scores)
    assert "mask " not in str(scores).splitlines()[0]


def test_a_model_of_boxes_only_has_no_mask_figures():
    found = result(TRUTH.boxes, TRUTH.classes, [0.9, 0.8])
    found = Result(found.boxes, found.classes, found.scores, (), 100, 100, CLASSES)
    scores = evaluate_results([TRUTH], [found], CLASSES)
    assert scores["box"]["AP"] == pytest.approx(1)
    assert scores["mask"] is None


def test_images_without_objects_only_add_false_alarms():
    empty = sample(np.zeros((0, 4)), [])
    hit = result(TRUTH.boxes, TRUTH.classes, [0.5, 0.5])
    alarm = result(TRUTH.boxes, TRUTH.classes, [0.9, 0.9])
    assert evaluate_results([empty], [NOTHING], CLASSES)["box"]["AP"] is None
    quiet = evaluate_results([empty, TRUTH], [NOTHING, hit], CLASSES)
    assert quiet["box"]["AP"] == pytest.approx(1)
    alarmed = evaluate_results([empty, TRUTH], [alarm, hit], CLASSES)
    assert alarmed["box"]["AP"] == pytest.approx(0.5)


def test_the_table_has_every_figure_and_a_dash_where_there_is_none():
    scores = evaluate_results([TRUTH], [NOTHING], CLASSES)
    lines = str(scores).splitlines()
    assert lines[0].split() == ["box", "mask"]
    for name, line in zip(FIGURES, lines[1:13], strict=True):
        assert line.startswith(name)
    assert lines[6].split() == ["AP", "large", "-", "-"]
    assert len({len(line) for line in lines[:13]}) == 1  # aligned
    assert "1 images, 2 objects, 0 detections" in lines


def test_evaluate_asks_the_model_once_for_each_image(capfd):
    class Model:
        seen = 0

        def detect(self, image):
            self.seen += 1
            assert image.dtype == np.uint8 and image.shape == (100, 100, 3)
            return result(TRUTH.boxes, TRUTH.classes, [0.9, 0.8])

    model = Model()
    scores = evaluate(model, Dataset([TRUTH, TRUTH, TRUTH]))
    assert model.seen == 3
    assert scores["mask"]["AP"] == pytest.approx(1)
    output = capfd.readouterr()
    assert output.out == ""
    assert "3/3" in output.err
    evaluate(model, Dataset([TRUTH]), progress=False)
    assert capfd.readouterr().err == ""


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="dataset is empty"):
        evaluate(None, Dataset([]), progress=False)
    with pytest.raises(ValueError, match="dataset is empty"):
        evaluate_results([], [], CLASSES)


def test_a_missing_result_is_refused():
    with pytest.raises(ValueError, match="2 samples, found 1 results"):
        evaluate_results([TRUTH, TRUTH], [NOTHING], CLASSES)


def test_other_classes_are_refused_with_both_named():
    other = result([], [], [], names=("cat", "dog"))
    with pytest.raises(ValueError, match=r"square.*circle.*cat.*dog"):
        evaluate_results([TRUTH], [other], CLASSES)


def test_a_class_id_without_a_name_is_refused():
    with pytest.raises(ValueError, match=r"image 7: objects have class ids \[3\]"):
        evaluate_results([sample([[0, 0, 9, 9]], [3])], [NOTHING], CLASSES)
    found = result([[0, 0, 9, 9]], [0], [0.9])
    with pytest.raises(ValueError, match=r"image 7: detections have class ids \[0\]"):
        evaluate_results([TRUTH], [found], CLASSES)


def test_a_result_of_another_size_is_refused():
    found = result([], [], [], size=(50, 100))
    with pytest.raises(ValueError, match=r"image 7: .* 100 x 100 .* 50 x 100"):
        evaluate_results([TRUTH], [found], CLASSES)


def test_samples_with_and_without_masks_do_not_mix():
    boxes_only = sample([[10, 10, 60, 60]], [1], masks=False, image_id="b.jpg")
    with pytest.raises(ValueError, match=r"b\.jpg.*boxes only"):
        evaluate_results([TRUTH, boxes_only], [NOTHING, NOTHING], CLASSES)


def iou(box, others):
    top_left = np.maximum(box[:2], others[:, :2])
    bottom_right = np.minimum(box[2:], others[:, 2:])
    overlap = np.prod(np.clip(bottom_right - top_left, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return overlap / (np.prod(box[2:] - box[:2]) + areas - overlap)


def average_precision(truths, founds, threshold):
    """101-point interpolated AP of one class, written from its definition."""
    hits, scores = [], []
    for truth, found in zip(truths, founds, strict=True):
        free = np.ones(len(truth.boxes), bool)
        for index in np.argsort(-found.scores):
            overlaps = np.where(free, iou(found.boxes[index], truth.boxes), 0)
            best = overlaps.argmax()
            hits.append(overlaps[best] >= threshold)
            free[best] &= not hits[-1]
            scores.append(found.scores[index])
    hits = np.array(hits)[np.argsort(-np.array(scores))]
    recall = hits.cumsum() / sum(len(truth.boxes) for truth in truths)
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    points = [
        precision[recall >= wanted].max(initial=0) for wanted in np.linspace(0, 1, 101)
    ]
    return np.mean(points)


@pytest.mark.parametrize("seed", range(3))
def test_ap50_agrees_with_its_definition(seed):
    random = np.random.default_rng(seed)
    truths, founds = [], []
    for _ in range(6):
        corners = random.integers(0, 60, (5, 2))
        boxes = np.concatenate([corners, corners + random.integers(12, 40, (5, 2))], 1)
        moved = boxes + random.integers(-6, 7, boxes.shape)
        moved = np.concatenate([moved, boxes[:2] + random.integers(-4, 5, (2, 4))])
        truths.append(sample(boxes, [1] * 5))
        founds.append(result(np.clip(moved, 0, 100), [1] * 7, random.random(7)))
    scores = evaluate_results(truths, founds, CLASSES)
    expected = average_precision(truths, founds, 0.5)
    assert 0.2 < expected < 0.95  # a case that can tell
    assert scores["box"]["AP50"] == pytest.approx(expected, abs=1e-6)
    assert scores["mask"]["AP50"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="no shared/data/coco_mini here")
def test_figures_equal_those_of_pycocotools_on_the_published_json():
    path = next((COCO_MINI / "annotations").glob("instances_val*.json"))
    with contextlib.redirect_stdout(io.StringIO()):
        published = COCO(str(path))
    ids = sorted(published.getCatIds())
    names = tuple(published.cats[i]["name"] for i in ids)
    random = np.random.default_rng(0)
    samples, results, plain = [], [], {"bbox": [], "segm": []}
    for image_id in sorted(published.getImgIds()):
        image = published.imgs[image_id]
        size = (image["height"], image["width"])
        objects = published.imgToAnns[image_id]
        rles = tuple(published.annToRLE(item) for item in objects)
        labels = [ids.index(item["category_id"]) + 1 for item in objects]
        x, y, w, h = np.array([i["bbox"] for i in objects]).reshape(-1, 4).T
        boxes = np.stack([y, x, y + h, x + w], 1).astype(np.float32)
        crowd = np.array([item["iscrowd"] for item in objects], bool)
        blank = np.zeros((*size, 3), np.uint8)
        samples.append(Sample(blank, boxes, labels, rles, crowd, image_id=image_id))

        # Detections: the objects, moved by up to a tenth, a third of them relabelled.
        jitter = random.uniform(-0.1, 0.1, boxes.shape) * np.stack([h, w, h, w], 1)
        moved = (boxes + jitter).astype(np.float32)
        masks = tuple(
            rle.encode(np.roll(rle.decode(m), random.integers(-4, 5, 2), (0, 1)))
            for m in rles
        )
        relabel = random.random(len(labels)) < 0.3
        found = np.where(relabel, random.integers(1, 81, len(labels)), labels)
        scores = random.random(len(labels)).astype(np.float32)
        results.append(Result(moved, found, scores, masks, *size, names))
        for box, label, score, mask in zip(moved, found, scores, masks, strict=True):
            common = {
                "image_id": image_id,
                "category_id": ids[label - 1],
                "score": float(score),
            }
            plain["bbox"].append({**common, "bbox": coco_box(box)})
            plain["segm"].append({**common, "segmentation": mask})

    ours = evaluate_results(samples, results, names)
    for kind, iou_type in (("box", "bbox"), ("mask", "segm")):
        with contextlib.redirect_stdout(io.StringIO()):
            scorer = COCOeval(published, published.loadRes(plain[iou_type]), iou_type)
            scorer.evaluate()
            scorer.accumulate()
            scorer.summarize()
        assert 0.1 < scorer.stats[0] < 0.9
        for name, value in zip(FIGURES, scorer.stats, strict=True):
            # The JSON's areas are of polygons, ours of the pixels they cover: an
            # object on the border of two sizes may change its side.
            tolerance = 0.01 if name.split()[-1] in ("small", "medium", "large") else 0
            assert ours[kind][name] == pytest.approx(value, abs=1e-6 + tolerance), name
