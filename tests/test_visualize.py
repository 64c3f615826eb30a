import csv
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from mrcnn_tf import rle, visualize
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.result import Result
from mrcnn_tf.visualize.canvas import PALETTE, box_lines, place_labels

CLASSES = ("square", "circle")
IMAGE = np.full((40, 60, 3), 100, np.uint8)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    assert plt.get_fignums() == []


def rectangle(y1, x1, y2, x2, size=(40, 60)):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def result(boxes, classes, scores):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rles = tuple(rectangle(*box.astype(int)) for box in boxes)
    classes = np.asarray(classes, np.int32)
    scores = np.asarray(scores, np.float32)
    return Result(boxes, classes, scores, rles, 40, 60, CLASSES)


TWO = result([[5, 5, 20, 30], [10, 20, 35, 50]], [1, 2], [0.9, 0.6])
SAMPLE = Sample(IMAGE, TWO.boxes, TWO.classes, TWO.rles, np.array([False, True]))


def png(figure, tmp_path):
    path = tmp_path / "figure.png"
    figure.savefig(path)
    return plt.imread(path)  # [H, W, 4] on [0, 1]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_color_repeats_in_other_shades_not_in_the_same():
    colors = [tuple(visualize.color(index)) for index in range(3 * len(PALETTE))]
    assert len(set(colors)) == len(colors)
    np.testing.assert_allclose(colors[0], np.array([0xE6, 0x9F, 0]) / 255)
    assert tuple(visualize.color(len(colors))) == colors[0]


def test_blend_mixes_under_the_mask_alone():
    mask = np.zeros((40, 60), bool)
    mask[0, 0] = True
    blended = visualize.blend(IMAGE, mask, (1.0, 0.0, 0.5), alpha=0.4)
    # 0.6 * 100 + 0.4 * (255, 0, 127.5)
    assert blended[0, 0].tolist() == [162, 60, 111]
    assert blended.dtype == np.uint8
    assert (blended[~mask] == 100).all()
    assert (IMAGE == 100).all()


def test_outline_of_one_pixel_is_its_four_sides():
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True  # spans x 2..3 and y 1..2
    segments = {tuple(map(tuple, s.tolist())) for s in visualize.outline(mask)}
    assert segments == {
        ((2, 1), (3, 1)),
        ((2, 2), (3, 2)),
        ((2, 1), (2, 2)),
        ((3, 1), (3, 2)),
    }


def test_outline_follows_the_frame_and_is_as_long_as_the_perimeter():
    mask = np.zeros((5, 6), bool)
    mask[0:3, 2:6] = True  # touches the frame above and at the right
    assert visualize.outline(mask).shape == (2 * (3 + 4), 2, 2)
    assert visualize.outline(np.zeros((5, 6), bool)).shape == (0, 2, 2)
    assert len(visualize.outline(np.ones((5, 6), bool))) == 2 * (5 + 6)


def test_box_lines_go_round_and_close():
    assert box_lines([[1, 2, 3, 5]]).tolist() == [
        [[2, 1], [5, 1], [5, 3], [2, 3], [2, 1]]
    ]
    assert box_lines(np.zeros((0, 4))).shape == (0, 5, 2)


def test_labels_stand_above_their_box_in_the_frame():
    size = np.array([[10, 20]])
    # Room above; none above, then inside; none at the right, then moved in.
    for box, corner in (
        ([30, 5, 60, 40], [20, 5]),
        ([0, 5, 60, 40], [0, 5]),
        ([30, 95, 60, 99], [20, 80]),
    ):
        assert place_labels([box], size, 100, 100).tolist() == [corner]
    assert place_labels(np.zeros((0, 4)), np.zeros((0, 2)), 100, 100).shape == (0, 2)


def test_labels_of_equal_boxes_do_not_cover_one_another():
    boxes = [[30, 30, 70, 70]] * 4
    corners = place_labels(boxes, [[10, 20]] * 4, 100, 100)
    canvas = np.zeros((100, 100), int)
    for y, x in corners.astype(int):
        canvas[y : y + 10, x : x + 20] += 1
    assert canvas.max() == 1


def test_semantic_map_puts_the_highest_score_on_top():
    boxes = [[0, 0, 2, 2], [1, 1, 3, 3]]
    first = visualize.semantic_map(result(boxes, [1, 2], [0.9, 0.6]), 40, 60)
    assert first.dtype == np.int32
    assert first[:4, :4].tolist() == [
        [1, 1, 0, 0],
        [1, 1, 2, 0],
        [0, 2, 2, 0],
        [0, 0, 0, 0],
    ]
    # The same whatever the order: pixel (1, 1) belongs to the higher score.
    second = visualize.semantic_map(result(boxes, [1, 2], [0.6, 0.9]), 40, 60)
    assert second[1, 1] == 2
    assert visualize.semantic_map(result([], [], []), 4, 6).tolist() == [[0] * 6] * 4
    assert set(np.unique(visualize.semantic_map(SAMPLE, 40, 60))) == {0, 1, 2}
    boxes_only = Sample(IMAGE, TWO.boxes, TWO.classes)
    with pytest.raises(ValueError, match="2 objects but 0 masks"):
        visualize.semantic_map(boxes_only, 40, 60)


def test_draw_labels_objects_with_names_and_scores():
    assert texts(visualize.draw(IMAGE, TWO)) == ["square 0.90", "circle 0.60"]
    assert texts(visualize.draw(IMAGE, TWO, min_score=0.7)) == ["square 0.90"]
    assert texts(visualize.draw(IMAGE, SAMPLE, CLASSES)) == ["square", "circle (crowd)"]
    assert texts(visualize.draw(IMAGE, SAMPLE)) == ["class 1", "class 2 (crowd)"]
    assert texts(visualize.draw(IMAGE, TWO, show=("masks", "boxes"))) == []


def test_draw_keeps_labels_inside_the_frame():
    corners = [[0, 0, 9, 9], [0, 51, 9, 60], [31, 0, 40, 9], [31, 51, 40, 60]]
    figure = visualize.draw(IMAGE, result(corners, [1, 2, 1, 2], [0.9, 0.8, 0.7, 0.6]))
    figure.draw_without_rendering()
    frame = figure.axes[0].bbox
    for text in figure.axes[0].texts:
        plate = text.get_bbox_patch().get_window_extent()
        assert plate.x0 >= frame.x0 - 1 and plate.x1 <= frame.x1 + 1
        assert plate.y0 >= frame.y0 - 1 and plate.y1 <= frame.y1 + 1


def shown_image(figure):
    return figure.axes[0].images[0].get_array()


def test_draw_tints_masks_and_leaves_the_image_alone():
    figure = visualize.draw(IMAGE, TWO)
    drawn = shown_image(figure)
    outside = ~TWO.masks.any(axis=0)
    assert (drawn[outside] == 100).all()
    # Where the two overlap, the higher score is tinted last.
    both = visualize.blend(IMAGE, TWO.masks[1], visualize.color(1))
    both = visualize.blend(both, TWO.masks[0], visualize.color(0))
    np.testing.assert_array_equal(drawn, both)
    assert (IMAGE == 100).all()
    # Pixel (0, 0)'s top-left corner is (0, 0), as it is for boxes.
    assert figure.axes[0].images[0].get_extent() == [0, 60, 40, 0]


def test_draw_by_class_gives_a_class_one_color():
    same = result([[0, 0, 9, 9], [20, 20, 30, 30]], [2, 2], [0.9, 0.8])
    by_class = shown_image(visualize.draw(IMAGE, same, color_by="class"))
    assert (by_class[5, 5] == by_class[25, 25]).all()
    by_instance = shown_image(visualize.draw(IMAGE, same))
    assert (by_instance[5, 5] != by_instance[25, 25]).any()


def test_draw_without_objects_and_with_boxes_only(tmp_path):
    assert png(visualize.draw(IMAGE, result([], [], []), title="none"), tmp_path).size
    boxes_only = Sample(IMAGE, TWO.boxes, TWO.classes)
    figure = visualize.draw(IMAGE, boxes_only, CLASSES)
    assert (shown_image(figure) == 100).all()
    assert texts(figure) == ["square", "circle"]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((40, 60, 3), np.float32), "float32"),
        (np.zeros((40, 60), np.uint8), r"\[40, 60\]"),
        (np.zeros((1, 40, 60, 3), np.uint8), r"\[1, 40, 60, 3\]"),
        (np.zeros((40, 60, 4), np.uint8), r"\[40, 60, 4\]"),
    ],
)
def test_images_of_another_kind_are_refused(image, found):
    message = rf"uint8 \[H, W, 3\], found .*{found}"
    with pytest.raises(ValueError, match=message):
        visualize.draw(image, TWO)
    with pytest.raises(ValueError, match=message):
        visualize.draw_boxes(image, TWO.boxes)
    with pytest.raises(ValueError, match=message):
        visualize.grid([image])


def test_draw_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="image they belong to"):
        visualize.draw(IMAGE[:20], TWO)
    with pytest.raises(ValueError, match="show must be some of"):
        visualize.draw(IMAGE, TWO, show=("mask",))
    with pytest.raises(ValueError, match="color_by must be"):
        visualize.draw(IMAGE, TWO, color_by="score")
    with pytest.raises(ValueError, match="class 2 has no name"):
        visualize.draw(IMAGE, SAMPLE, classes=("square",))


def test_draw_boxes_leaves_out_unused_slots():
    boxes = np.array([[5, 5, 20, 30], [0, 0, 0, 0], [-10, 2, 90, 9]], np.float32)
    figure = visualize.draw_boxes(IMAGE, boxes, before=boxes[::-1])
    dotted, solid = figure.axes[0].collections
    assert len(dotted.get_segments()) == len(solid.get_segments()) == 2
    assert figure.axes[0].get_xlim() == (0, 60)  # an anchor outside does not zoom
    visualize.draw_boxes(IMAGE, np.zeros((0, 4)))
    with pytest.raises(ValueError, match="3 boxes but 2 before"):
        visualize.draw_boxes(IMAGE, boxes, before=boxes[:2])
    with pytest.raises(ValueError, match=r"boxes must be \[N, 4\], found \[4\]"):
        visualize.draw_boxes(IMAGE, boxes[0])


def test_maps_are_drawn_with_a_legend_of_what_is_there():
    class_map = np.zeros((40, 60), np.int32)
    class_map[:10] = 2
    figure = visualize.draw_semantic(IMAGE, class_map, CLASSES)
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["circle"]
    assert (shown_image(figure)[10:] == 100).all()
    assert (shown_image(figure)[:10] != 100).any(axis=2).all()
    visualize.draw_semantic(IMAGE, np.zeros((40, 60), int), CLASSES)
    trimap = np.full((40, 60), 2, np.uint8)
    trimap[5:9, 5:9] = 1
    drawn = shown_image(visualize.draw_trimap(IMAGE, trimap))
    assert (drawn[6, 6] != drawn[20, 20]).any()
    with pytest.raises(ValueError, match=r"\(40, 60\).*\(60, 40\)"):
        visualize.draw_trimap(IMAGE, trimap.T)


def test_features_show_the_channels_that_vary_most():
    features = np.zeros((8, 12, 20), np.float32)
    features[2, 3, 7], features[2, 3, 5] = 4, 2
    figure = visualize.draw_features(features)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 16
    assert titles[:2] == ["channel 7", "channel 5"]
    figure = visualize.draw_features(features, channels=[3])
    assert [axes.get_title() for axes in figure.axes] == ["channel 3"]
    with pytest.raises(ValueError, match="one image of the batch"):
        visualize.draw_features(features[None])


def test_mask_probabilities_share_one_scale():
    masks = np.stack([np.full((28, 28), 0.2), np.full((28, 28), 0.8)])
    figure = visualize.draw_mask_probabilities(masks, ["cat 0.9", "dog 0.8"])
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["cat 0.9", "dog 0.8"]
    assert {axes.images[0].get_clim() for axes in panels} == {(0, 1)}
    visualize.draw_mask_probabilities(np.zeros((0, 28, 28)))
    with pytest.raises(ValueError, match=r"\[D, m, m\]"):
        visualize.draw_mask_probabilities(masks[0])


def test_grid_takes_images_of_any_sizes():
    figure = visualize.grid([IMAGE, IMAGE[:10], IMAGE[:, :5]], ["a", "b", "c"], 2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    visualize.grid([])
    with pytest.raises(ValueError, match="zip"):
        visualize.grid([IMAGE], ["a", "b"])


def test_panels_set_pictures_side_by_side(tmp_path):
    figure, axes = visualize.panels(2, titles=["instance", "class"])
    assert visualize.draw(IMAGE, TWO, axes=axes[0]) is figure
    visualize.draw(IMAGE, TWO, color_by="class", axes=axes[1])
    height, width, _ = png(figure, tmp_path).shape
    assert width > 1.5 * height


def test_a_diagram_has_its_boxes_and_arrows():
    nodes = {"in": (0, 0, "C", 1), "conv": (1, 0, "3x3", 0), "sum": (2, 0, "+", 2)}
    arrows = [("in", "conv"), ("conv", "sum"), ("in", "sum", 0.3)]
    figure = visualize.draw_diagram(nodes, arrows, "block")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["C", "3x3", "+"]
    assert [text.get_position() for text in axes.texts] == [(0, 0), (1, 0), (2, 0)]
    assert len(axes.patches) == 3 + 3 and axes.get_title() == "block"
    _, (panel,) = visualize.panels(1)
    assert visualize.draw_diagram(nodes, [], axes=panel) is panel.figure
    with pytest.raises(ValueError, match="'in' to 'out' ends in 'out', which is no"):
        visualize.draw_diagram(nodes, [("in", "out")])


def test_loss_curves_take_a_history_or_the_rows_of_its_csv(tmp_path):
    history = {
        "mask": [0.7, 0.4],
        "loss": [3.0, 2.0],
        "val_loss": [3.5, 2.5],
        "learning_rate": [0.1, 0.1],
    }
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        writer.writerows(zip(range(2), *history.values(), strict=True))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for figure in (visualize.loss_curves(history), visualize.loss_curves(rows)):
        lines = [line.get_ydata() for line in figure.axes[0].lines]
        drawn = [list(line) for line in lines if len(line)]
        assert drawn == [[3.0, 2.0], [3.5, 2.5], [0.7, 0.4]]
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == ["total", "mask", "dashed: validation"]
    for empty in ([], {}, {"epoch": [0], "learning_rate": [0.1]}):
        with pytest.raises(ValueError, match="no losses to draw"):
            visualize.loss_curves(empty)


def test_a_gap_in_the_csv_is_a_gap_in_the_line():
    figure = visualize.loss_curves([{"loss": "1.5"}, {"loss": ""}, {"loss": "NA"}])
    values = figure.axes[0].lines[0].get_ydata()
    assert values[0] == 1.5
    assert np.isnan(values[1:]).all()


def test_a_notebook_shows_a_returned_figure_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # as a kernel starts elsewhere
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cell = nbformat.v4.new_code_cell(
        "import numpy as np\nfrom mrcnn_tf import visualize\n"
        "visualize.grid([np.zeros((8, 8, 3), np.uint8)])"
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    kinds = [set(output.get("data", {})) for output in notebook.cells[0].outputs]
    assert kinds == [{"image/png", "text/plain"}]


def test_pictures_need_no_tensorflow():
    code = "import sys, mrcnn_tf.visualize; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
