"""The comparison: groups of scenes, both questions, choice of settings, the command."""

import itertools
import json

import keras
import numpy as np
import pytest

import mrcnn_tf as mr
from mrcnn_tf import rle
from mrcnn_tf.evaluation import (
    Comparison,
    ObjectAnswers,
    PixelAnswers,
    choose_setting,
    compare_models,
    telling_scenes,
)
from mrcnn_tf.evaluation import compare as compare_module
from mrcnn_tf.evaluation.scenes import contact, touching

CLASSES = ("cat", "dog")
SIZE = 40, 60  # height, width in pixels
CAT, DOG = 1, 2


def mask(y1, x1, y2, x2):
    """A rectangle, bool [H, W]."""
    full = np.zeros(SIZE, bool)
    full[y1:y2, x1:x2] = True
    return full


def scene(*objects, border=None, crowd=None, number=0):
    """A Sample of (class, mask); its image holds its number, for the networks below."""
    classes = [class_id for class_id, _ in objects]
    rles = tuple(rle.encode(m) for _, m in objects)
    trimap = None if border is None else np.where(border, 3, 2).astype(np.uint8)
    return mr.Sample(
        image=np.full((*SIZE, 3), number, np.uint8),
        boxes=np.array([rle.box(m) for m in rles]).reshape(-1, 4),
        classes=classes,
        masks=rles,
        crowd=crowd,
        trimap=trimap,
        image_id=f"scene {number}",
    )


def result(*objects):
    """A Result of (class, mask, score), by falling score."""
    rles = tuple(rle.encode(m) for _, m, _ in objects)
    return mr.Result(
        boxes=np.array([rle.box(m) for m in rles], np.float32).reshape(-1, 4),
        classes=np.array([class_id for class_id, *_ in objects], np.int32),
        scores=np.array([score for *_, score in objects], np.float32),
        rles=rles,
        height=SIZE[0],
        width=SIZE[1],
        class_names=CLASSES,
    )


class Network:
    """Answers by the number in the image; ten parameters of four bytes."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        self.weights = [keras.Variable(np.zeros((2, 5), np.float32))]

    def count_params(self):
        return 10

    def detect(self, image):
        self.asked.append(int(image[0, 0, 0]))
        return self.answers[self.asked[-1]]


def predict(network, image):
    """A predictor as `unet.predict`, 0.75 sure of every pixel."""
    labels = network.detect(image)
    others = np.full((*SIZE, 3), 0.125, np.float32)
    np.put_along_axis(others, labels[..., None].astype(int), 0.75, axis=-1)
    return labels, others


def pixels(answers):
    return PixelAnswers(Network(answers), predict, CLASSES)


def objects(answers):
    return ObjectAnswers(Network(answers))


# Scenes of which all can be told by hand: 20 x 20 pixels each object.
LEFT, RIGHT = mask(10, 8, 30, 28), mask(10, 30, 30, 50)
BETWEEN = mask(10, 28, 30, 30)
FAR = mask(10, 35, 30, 55)
SCENES = [
    scene((CAT, LEFT), number=0),
    scene((CAT, LEFT), (CAT, RIGHT), border=BETWEEN, number=1),
    scene((CAT, LEFT), (DOG, FAR), number=2),
]


def painted(*objects):
    """A class map, uint8 [H, W]."""
    class_map = np.zeros(SIZE, np.uint8)
    for class_id, where in objects:
        class_map[where] = class_id
    return class_map


# Every pixel that counts is right, and the two cats are one: the border is cat.
MERGED = [
    painted((CAT, LEFT)),
    painted((CAT, LEFT | BETWEEN | RIGHT)),
    painted((CAT, LEFT), (DOG, FAR)),
]
PERFECT = [
    result((CAT, LEFT, 0.9)),
    result((CAT, LEFT, 0.9), (CAT, RIGHT, 0.8)),
    result((CAT, LEFT, 0.9), (DOG, FAR, 0.8)),
]


@pytest.fixture(scope="module")
def comparison():
    contenders = {"pixels": pixels(MERGED), "objects": objects(PERFECT)}
    settings = {"pixels": 100, "objects": 0.5}
    return compare_models(contenders, settings, SCENES, CLASSES, progress=False)


def figures(comparison, group, model):
    (found,) = (g for g in comparison["groups"] if g["name"] == group)
    return found["figures"][model]


# Groups of scenes


def test_contact_by_hand():
    assert contact(scene()) == "empty"
    assert contact(scene((CAT, LEFT))) == "alone"
    assert contact(scene((CAT, LEFT), (CAT, FAR))) == "apart"
    assert contact(scene((CAT, LEFT), (CAT, RIGHT))) == "apart"  # background between
    assert contact(scene((CAT, LEFT), (DOG, RIGHT), border=BETWEEN)) == (
        "touching, other class"
    )
    assert contact(scene((CAT, LEFT), (CAT, RIGHT), border=BETWEEN)) == (
        "touching, same class"
    )


def test_objects_touch_through_border_alone():
    pair = (CAT, LEFT), (DOG, RIGHT)
    assert touching(scene(*pair)) == set()
    assert touching(scene(*pair, border=BETWEEN)) == {(0, 1)}
    one_row = mask(29, 28, 30, 30)
    assert touching(scene(*pair, border=one_row)) == {(0, 1)}
    interrupted = mask(10, 28, 30, 29)  # a column of background is left
    assert touching(scene(*pair, border=interrupted)) == set()
    elsewhere = mask(30, 8, 33, 28)
    assert touching(scene(*pair, border=elsewhere)) == set()


def test_objects_touch_side_to_side_and_at_corners():
    for other in (
        mask(10, 28, 30, 48),  # right of LEFT
        mask(0, 8, 10, 28),  # above
        mask(30, 28, 40, 38),  # below, at the right corner
        mask(30, 0, 40, 8),  # below, at the left corner
    ):
        assert touching(scene((CAT, LEFT), (DOG, other))) == {(0, 1)}
        assert touching(scene((DOG, other), (CAT, LEFT))) == {(0, 1)}
    upper, lower = mask(0, 8, 10, 9), mask(10, 8, 20, 9)  # meet in one pixel's side
    assert touching(scene((CAT, upper), (DOG, lower))) == {(0, 1)}


def test_objects_overlap_by_more_than_half_of_the_smaller_box():
    # An L of 20 x 20 round a square of 10 x 10 in its free corner.
    corner = mask(10, 18, 20, 28)
    bent = LEFT & ~corner
    assert contact(scene((CAT, bent), (CAT, corner))) == "overlapping, same class"
    assert contact(scene((CAT, bent), (DOG, corner))) == "touching, other class"
    half_out = mask(0, 18, 20, 28)  # 10 of its 20 rows lie in the other's box
    assert contact(scene((CAT, bent), (CAT, half_out))) == "touching, same class"


def test_the_hardest_pair_decides_and_crowds_do_not_count():
    dog = mask(30, 8, 40, 50)  # below both cats
    three = (DOG, dog), (CAT, LEFT), (CAT, RIGHT)
    assert touching(scene(*three)) == {(0, 1), (0, 2)}
    assert contact(scene(*three)) == "touching, other class"
    for order in itertools.permutations(three):
        assert contact(scene(*order, border=BETWEEN)) == "touching, same class"
    crowd = [False, False, True]
    assert touching(scene(*three, border=BETWEEN, crowd=crowd)) == {(0, 1)}
    assert contact(scene((CAT, LEFT), (CAT, RIGHT), crowd=[True, False])) == "alone"


# What a network answers


def test_pixel_answers():
    speck = mask(0, 0, 5, 5)
    contender = pixels([painted((CAT, LEFT), (DOG, speck))])
    seen = contender.look(SCENES[0].image)
    np.testing.assert_array_equal(contender.semantic(seen, 100)[speck], DOG)
    assert contender.instances(seen, 0).names == ["cat", "dog"]
    kept = contender.instances(seen, 100)
    assert kept.names == ["cat"] and kept.scores == [0.75]
    np.testing.assert_array_equal(kept.masks[0], LEFT)


def test_object_answers():
    # The dog hides a part of the cat; below its score, the cat is whole.
    dog = mask(10, 20, 30, 28)
    contender = objects([result((DOG, dog, 0.9), (CAT, LEFT, 0.6))])
    seen = contender.look(SCENES[0].image)
    expected = painted((CAT, LEFT), (DOG, dog))
    np.testing.assert_array_equal(contender.semantic(seen, 0), expected)
    expected = painted((DOG, dog))
    np.testing.assert_array_equal(contender.semantic(seen, 0.7), expected)
    assert contender.instances(seen, 0).names == ["dog", "cat"]
    assert contender.instances(seen, 0.7).names == ["dog"]


def test_a_network_of_other_labels_is_refused():
    contender = PixelAnswers(Network([painted()]), predict, ("cat", "dog", "owl"))
    with pytest.raises(ValueError, match="3 labels apart, expected background and cat"):
        contender.look(SCENES[0].image)


# The choice of a setting


def test_the_smallest_region_is_chosen_by_panoptic_quality():
    contender = pixels([painted((CAT, LEFT), (CAT, mask(0, 0, 6, 5)))])  # 400, 30
    best, quality = choose_setting(contender, SCENES[:1], CLASSES)
    assert quality[0] == pytest.approx(1 / 1.5)  # one TP, one FP
    assert [quality[s] for s in (50, 100, 200, 400)] == [1, 1, 1, 1]
    assert quality[800] == 0
    assert best == 50  # the first of equals


def test_the_lowest_score_is_chosen_by_panoptic_quality():
    contender = objects([result((CAT, LEFT, 0.65), (CAT, FAR, 0.35))])
    best, quality = choose_setting(contender, SCENES[:1], CLASSES)
    assert quality[0.3] == pytest.approx(1 / 1.5)
    assert quality[0.4] == quality[0.6] == 1
    assert quality[0.7] == 0
    assert best == 0.4
    assert contender.network.asked == [0]  # once, whatever the number of settings


def test_a_setting_cannot_be_chosen_without_objects():
    for samples in ([], [scene()]):
        with pytest.raises(ValueError, match="these validation samples have none"):
            choose_setting(objects([result()]), samples, CLASSES)


# The comparison


def test_groups(comparison):
    groups = [(g["by"], g["name"], g["images"]) for g in comparison["groups"]]
    assert groups == [
        ("all", "all", 3),
        ("objects", "1 object", 1),
        ("objects", "2 objects", 2),
        ("contact", "apart", 1),
        ("contact", "touching, same class", 1),
    ]
    assert comparison["scenes"][1] == {
        "image": "scene 1",
        "objects": 2,
        "contact": "touching, same class",
        "PQ": {"pixels": 0.0, "objects": 1.0},
    }


def test_perfect_objects(comparison):
    for group in comparison["groups"]:
        perfect = group["figures"]["objects"]
        assert perfect["count error"] == perfect["count bias"] == 0
        for name in (*compare_module.SEMANTIC, *compare_module.INSTANCE[:5]):
            assert perfect[name] == pytest.approx(1), (group["name"], name)


def test_merged_objects_by_hand(comparison):
    for group in ("all", "touching, same class", "apart"):
        merged = figures(comparison, group, "pixels")
        for name in compare_module.SEMANTIC:
            assert merged[name] == 1  # no pixel is wrong
    # One region of 800 known pixels, an IoU of a half with each cat: no match.
    merged = figures(comparison, "touching, same class", "pixels")
    assert merged["PQ"] == merged["box AP"] == merged["mask AP"] == 0
    assert (merged["count error"], merged["count bias"]) == (1, -1)
    apart = figures(comparison, "apart", "pixels")
    assert apart["PQ"] == 1 and apart["mask AP"] == pytest.approx(1)
    # Cats: 2 TP, 1 FP, 2 FN; the dog is found.
    merged = figures(comparison, "all", "pixels")
    assert merged["PQ"] == pytest.approx((2 / (2 + 0.5 + 1) + 1) / 2)
    assert merged["SQ"] == 1
    assert merged["count error"] == pytest.approx(1 / 3)
    assert merged["count bias"] == pytest.approx(-1 / 3)


def test_the_setting_counts_except_for_average_precision():
    contenders = {"objects": objects(PERFECT)}
    bare = compare_models(contenders, {"objects": 0.85}, SCENES, CLASSES, False)
    pair = figures(bare, "touching, same class", "objects")
    assert pair["PQ"] == pytest.approx(1 / 1.5)  # the cat of 0.8 is not kept
    assert pair["mIoU"] < 1 and pair["count bias"] == -1
    assert pair["box AP"] == pair["mask AP"] == pytest.approx(1)
    assert bare["models"]["objects"]["setting"] == {
        "name": "lowest score",
        "value": 0.85,
    }


def test_what_a_network_costs(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(compare_module.time, "perf_counter", lambda: clock[0])

    class Slow(Network):
        def detect(self, image):
            clock[0] += (4, 1, 9)[image[0, 0, 0]]
            return super().detect(image)

    network = Slow(PERFECT)
    contenders = {"slow": ObjectAnswers(network), "pixels": pixels(MERGED)}
    settings = {"slow": 0.5, "pixels": 0}
    costs = compare_models(contenders, settings, SCENES, CLASSES, False)["models"]
    assert costs["slow"]["seconds per image"] == 4  # the median of 4, 1 and 9
    assert costs["pixels"]["seconds per image"] == 0  # the other's time is not its
    assert network.asked == [0, 0, 1, 2]  # one to warm up
    assert costs["slow"]["parameters"] == 10
    assert costs["slow"]["weights MB"] == 40 / 2**20


def test_models_that_find_nothing():
    contenders = {
        "pixels": pixels([painted()] * 3),
        "objects": objects([result()] * 3),
    }
    nothing = compare_models(contenders, {"pixels": 0, "objects": 0.5}, SCENES, CLASSES)
    for model in contenders:
        found = figures(nothing, "all", model)
        assert found["PQ"] == found["box AP"] == found["mask AP"] == 0
        assert found["count bias"] == pytest.approx(-5 / 3)
        # Of 3 x 2400 pixels but 40 of border, 5 x 400 are not background.
        assert found["pixel accuracy"] == pytest.approx(5160 / 7160)
    assert [index for index, _ in telling_scenes(nothing)] == [0]  # none is ahead


def test_empty_scenes():
    contenders = {"right": objects([result()]), "wrong": objects(PERFECT[2:])}
    settings = {"right": 0.5, "wrong": 0.5}
    empty = compare_models(contenders, settings, [scene()], CLASSES, False)
    assert [g["name"] for g in empty["groups"]] == ["all", "0 objects"]
    right, wrong = (figures(empty, "all", name) for name in contenders)
    assert right["PQ"] is None and right["mask AP"] is None
    assert right["count error"] == 0 and right["mIoU"] == 1
    assert wrong["PQ"] == 0 and wrong["count bias"] == 2
    assert empty["scenes"][0]["PQ"] == {"right": None, "wrong": 0}
    assert telling_scenes(empty) == []
    assert "| all | 1 | right | 1.000 | 1.000 | - | - | - | - | - |" in str(empty)


def test_bad_input_of_the_comparison():
    contenders, settings = {"objects": objects(PERFECT)}, {"objects": 0.5}
    with pytest.raises(ValueError, match="nothing to compare on"):
        compare_models(contenders, settings, [], CLASSES)
    with pytest.raises(ValueError, match="image 'scene 0': the dataset's classes"):
        compare_models(contenders, settings, SCENES, ("dog", "cat"), False)
    boxes_only = mr.Sample(SCENES[0].image, [[0, 0, 9, 9]], [1], image_id="bare")
    with pytest.raises(ValueError, match="image 'bare': this sample has boxes only"):
        compare_models(contenders, settings, [boxes_only], CLASSES, False)


def test_json_round_trip(comparison):
    again = Comparison(**json.loads(json.dumps(comparison)))
    assert again == comparison
    assert str(again) == str(comparison)


def test_the_table(comparison):
    comparison = Comparison(**json.loads(json.dumps(comparison)))
    comparison["models"]["objects"] |= {"seconds per image": 0.1234, "peak MB": 99.6}
    lines = str(comparison).splitlines()
    assert lines[0] == (
        "| scenes | images | model | mIoU | pixel accuracy | boundary F | box AP | "
        "mask AP | PQ | SQ | RQ | count error | count bias |"
    )
    columns = {line.count("|") for line in lines[: lines.index("")]}
    assert columns == {14}
    assert len(lines[: lines.index("")]) == 2 + 2 * len(comparison["groups"])
    row = lines.index(
        "| touching, same class | 1 | pixels | 1.000 | 1.000 | 1.000 | 0.000 | 0.000 "
        "| 0.000 | 0.000 | 0.000 | 1.00 | -1.00 |"
    )
    assert lines[row + 1].startswith("|  |  | objects | 1.000 |")
    assert lines[-1] == "| objects | 0.123 | 10 | 0.0 | 100 | lowest score: 0.5 |"
    assert lines[-2].split(" | ")[4] == "-"  # not measured


# Scenes to look at


def test_telling_scenes():
    pairs = [(0.5, 0.6), (0.9, 0.2), (0, 1), (None, 0), (0.3, 0.8), (0.1, 0.2), (1, 1)]
    quality = [{"A": a, "B": b} for a, b in pairs]
    comparison = Comparison(
        models={"A": {}, "B": {}}, scenes=[{"PQ": both} for both in quality]
    )
    assert telling_scenes(comparison) == [
        (2, "B furthest ahead"),
        (4, "B furthest ahead"),
        (1, "A furthest ahead"),  # the only one, though two are asked for
        (0, "a typical scene"),  # ahead by 0.1, as the median
    ]
    assert [index for index, _ in telling_scenes(comparison, each=1)] == [2, 1, 0]
    del comparison["scenes"][1:]  # no scene is picked twice
    assert telling_scenes(comparison) == [(0, "B furthest ahead")]


def test_the_figure():
    compared = mr.visualize.ComparedScene(
        title="B furthest ahead: touching, same class",
        sample=SCENES[1],
        class_map=MERGED[1],
        regions=pixels(MERGED).instances((MERGED[1], np.ones(SIZE)), 0),
        objects=PERFECT[1],
        titles=("A: 1 found, PQ 0.00", "B: 2 found, PQ 1.00"),
    )
    figure = mr.visualize.draw_comparison([compared, compared], CLASSES)
    assert len(figure.axes) == 8
    assert [panel.get_title() for panel in figure.axes[4:]] == [
        "image",
        "truth: 2 objects",
        "A: 1 found, PQ 0.00",
        "B: 2 found, PQ 1.00",
    ]
    assert figure.axes[0].get_title("left").startswith("B furthest ahead")
    # A line goes round each object: none, two cats, one region, two cats.
    assert [len(panel.collections) for panel in figure.axes[:4]] == [0, 2, 1, 2]
    seen = [np.asarray(panel.images[0].get_array()) for panel in figure.axes[:4]]
    np.testing.assert_array_equal(seen[0], SCENES[1].image)
    np.testing.assert_array_equal(seen[1], seen[3])
    changed = (seen[1] != seen[2]).any(axis=-1)
    np.testing.assert_array_equal(changed, BETWEEN)  # the border, in the truth open
    with pytest.raises(ValueError, match="no scenes to draw"):
        mr.visualize.draw_comparison([], CLASSES)
