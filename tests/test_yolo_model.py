"""YOLO's networks, its detector, and that it learns."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_sets
import train_yolo as script

import mrcnn_tf as mr
from mrcnn_tf import yolo
from mrcnn_tf.pretrained.imagenet import load_vgg16

CLASSES = ("square", "circle", "triangle")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return yolo.build(CLASSES, size=64, grid=4)


def test_the_papers_network():
    names = [f"class {i}" for i in range(20)]
    # At a seventh of the paper's 448 pixels: only the dense layers know the size.
    model = yolo.build(names, backbone="darknet", size=64)
    assert model.output_shape == (None, 7, 7, 30)
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(found) == 24
    # Figure 3, block by block: inputs x outputs x kernel, and a bias for each output.
    plan = [(3, 64, 7), (64, 192, 3)]
    plan += [(192, 128, 1), (128, 256, 3), (256, 256, 1), (256, 512, 3)]
    plan += [(512, 256, 1), (256, 512, 3)] * 4
    plan += [(512, 512, 1), (512, 1024, 3)]
    plan += [(1024, 512, 1), (512, 1024, 3)] * 2
    plan += [(1024, 1024, 3)] * 4
    weights = [i * o * k * k + o for i, o, k in plan]
    assert [layer.count_params() for layer in found] == weights
    dense = 1 * 1 * 1024 * 4096 + 4096 + 4096 * 7 * 7 * 30 + 7 * 7 * 30
    assert model.count_params() == sum(weights) + dense
    assert [layer.strides[0] for layer in found].count(2) == 2  # the first, the 22nd
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("MaxPooling2D") == 4 and kinds.count("LeakyReLU") == 25
    assert kinds[-5:] == ["Dense", "LeakyReLU", "Dropout", "Dense", "Cells"]
    assert model.get_layer("leaky_1").negative_slope == pytest.approx(0.1)
    assert model.get_layer("dropout").rate == 0.5


def test_vgg16_needs_what_it_was_trained_on(tmp_path):
    model = yolo.build(CLASSES, backbone="vgg16", size=64, grid=2)
    encoder = model.get_layer("encoder")
    with pytest.raises(
        FileNotFoundError, match="no such file; expected the weights of"
    ):
        load_vgg16(encoder, tmp_path / "gone.h5")
    theirs = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    file = tmp_path / "vgg16.weights.h5"
    theirs.save_weights(file)
    report = load_vgg16(encoder, file)
    assert report.tensors == 26 and report.parameters == 14_714_688
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3))
    expected = theirs(keras.applications.vgg16.preprocess_input(image.copy()))
    seen = keras.Model(model.input, model.get_layer("normalize").output)(image)
    np.testing.assert_allclose(encoder(seen), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet"}, "one of small, darknet, vgg16, found 'resnet'"),
        (
            {"backbone": "vgg16", "size": 100},
            "size must be a multiple of 64, found 100",
        ),
        ({"size": 9}, "at least two pixels a cell, found 9"),
        ({"classes": ()}, r"expected a list of class names.*found \(\)"),
        ({"classes": "cat"}, "expected a list of class names.*found 'cat'"),
        ({"grid": 0}, "grid must be at least 1, found 0"),
        ({"boxes_per_cell": 0}, "boxes_per_cell must be at least 1"),
    ],
)
def test_a_network_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=f"yolo: .*{message}"):
        yolo.build(**{"classes": CLASSES, **changes})


@pytest.mark.parametrize(("size", "grid"), [(128, 7), (224, 14), (96, 6), (100, 5)])
def test_the_small_network_takes_any_size_and_grid(size, grid):
    model = yolo.build(CLASSES, size=size, grid=grid, boxes_per_cell=1)
    assert model.output_shape == (None, grid, grid, 8)


def test_batches_are_images_and_their_grids():
    scenes = mr.datasets.Shapes(5, seed=1, size=64)
    data = list(yolo.batches(scenes, 32, 4, 2, batch_size=2, training=False))
    assert [len(images) for images, _ in data] == [2, 2, 1]
    sample = scenes[3]
    target, _ = yolo.encode(
        tf.constant(sample.boxes), tf.constant(sample.classes), (64, 64), 4, 2, 3
    )
    np.testing.assert_allclose(data[1][1][1], target)
    expected = mr.inputs.resize_image(sample.image, 32, 32)
    np.testing.assert_allclose(data[1][0][1], expected)
    options = {"size": 32, "grid": 4, "boxes_per_cell": 2, "batch_size": 2}
    first, second = (
        next(
            iter(yolo.batches(scenes, **options, training=True, first=skipped).skip(n))
        )
        for skipped, n in ((0, 2), (4, 0))
    )
    np.testing.assert_array_equal(first[1], second[1])


def test_names_of_voc_files_are_sorted(tmp_path):
    for name, label in (("a", "zebra"), ("b", "ant"), ("c", "moth")):
        tiny_sets.photo(tmp_path / f"{name}.jpg")
        item = tiny_sets.voc_object(label, 7, 3, 12, 10)
        tiny_sets.voc_file(tmp_path / f"{name}.xml", f"{name}.jpg", [item])
    dataset = mr.datasets.load_all(tmp_path)
    assert dataset.classes == ("ant", "moth", "zebra")
    # 1-based and with their last pixel: columns 6 to 12 of 30, rows 2 to 10 of 20.
    shares = yolo.center_form(tf.constant(dataset[0].boxes), (20, 30))
    np.testing.assert_allclose(shares, [[9 / 30, 6 / 20, 6 / 30, 8 / 20]], rtol=1e-6)
    _, target = next(iter(yolo.batches(dataset, 32, 7, 2, 3, training=False)))
    np.testing.assert_array_equal(
        target[:, 2, 2, 10:], [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    )


def test_detections_are_told_in_the_images_own_pixels(model):
    class Says(keras.layers.Layer):
        """One box in the middle, half as wide and a quarter as tall, twice over."""

        def call(self, images):
            five = [0.0, 0.0, 0.5**0.5, 0.5, 0.9]
            middle = tf.constant([*five, *five, 0.1, 1.0, 0.0])
            cell = tf.one_hot(10, 16)[:, None] * middle  # row 2, column 2 of 4
            return tf.repeat(cell[None], tf.shape(images)[0], axis=0)

        def compute_output_spec(self, images):
            return keras.KerasTensor((images.shape[0], 16, 13), "float32")

    image = keras.Input((64, 64, 3))
    fake = keras.Model(image, yolo.Cells(4, 2, CLASSES)(Says()(image)))
    detector = yolo.Detector(fake, CLASSES)
    for height, width in ((64, 64), (37, 91), (200, 3)):
        result = detector.detect(np.zeros((height, width, 3), np.uint8))
        # Of the two, NMS leaves one of each class that scores 0.05 or more.
        assert result.names == ["circle", "square"] and result.rles == ()
        np.testing.assert_allclose(result.scores, [0.9, 0.09], rtol=1e-6)
        box = [0.375 * height, 0.25 * width, 0.625 * height, 0.75 * width]
        np.testing.assert_allclose(result.boxes, [box, box], rtol=1e-5)
        assert (result.height, result.width) == (height, width)
    assert len(detector.detect([np.zeros((9, 9, 3), np.uint8)] * 2)) == 2
    assert detector.detect([]) == []


def test_one_box_of_a_class_does_not_drop_anothers():
    boxes = tf.constant([[0.0, 0, 10, 10], [0, 0, 10, 9], [-5, 0, 3, 20], [5, 5, 5, 9]])
    scores = tf.constant([[0.9, 0.0], [0.8, 0.7], [0.0, 1.7], [0.9, 0.9]])
    size = tf.constant([12.0, 12.0])
    found, classes, told = yolo.detector.detections(boxes, scores, size, 0.05, 0.5)
    np.testing.assert_array_equal(classes, [2, 1, 2])
    np.testing.assert_allclose(told, [1, 0.9, 0.7])
    # Clipped to the image; what has no area is nothing.
    np.testing.assert_array_equal(found[0], [0, 0, 3, 12])


def test_saved_and_loaded(model, tmp_path):
    path = tmp_path / "shapes.keras"
    yolo.compile(model, 100, peak=0.02, optimizer="sgd")
    detector = yolo.Detector(model, min_score=0.0)
    detector.save(path)
    copy = yolo.load(path)
    assert copy.class_names == CLASSES and copy.boxes_per_cell == 2
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    np.testing.assert_array_equal(copy.model(image), model(image))
    assert float(copy.model.optimizer.learning_rate) == pytest.approx(0.002)
    target = np.zeros((2, 4, 4, 13), np.float32)
    found = copy.model.evaluate(image, target, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(found["no_object"]) and len(found) == 6
    with pytest.raises(ValueError, match="built for square, circle, triangle, which"):
        yolo.Detector(model, ("a", "b", "c")).save(path)


def test_what_is_no_yolo_is_refused(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.keras: no such file; scripts/"):
        yolo.load(tmp_path / "gone.keras")
    (tmp_path / "text.keras").write_text("no")
    with pytest.raises(ValueError, match=r"text\.keras: not a \.keras file"):
        yolo.load(tmp_path / "text.keras")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w"):
        pass
    with pytest.raises(ValueError, match=r"empty\.keras: no network that can be read"):
        yolo.load(tmp_path / "empty.keras")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="other")
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="holds a network called 'other', no YOLO"):
        yolo.load(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"expected a network of yolo\.build"):
        yolo.Detector(other, CLASSES)
    with pytest.raises(ValueError, match=r"tells 3 classes apart .* found 1 names"):
        yolo.Detector(model, ("cat",))
    with pytest.raises(ValueError, match="expected an image of uint8"):
        yolo.Detector(model).detect(np.zeros((4, 4, 3)))


@pytest.fixture
def few_scenes(monkeypatch):
    few = [mr.datasets.Shapes(n, seed=n, size=64) for n in (20, 5, 3)]
    splits = mr.datasets.splits.Splits(*few)
    monkeypatch.setattr("mrcnn_tf.datasets.load", lambda *_: splits)


def run(folder, *others):
    options = f"--data shapes --size 64 --grid 4 --run {folder}"
    options += " --steps 5 --epochs 2 --batch-size 2"
    return script.main([*options.split(), *others])


@pytest.mark.slow
def test_a_run_in_parts_ends_as_the_whole_does(few_scenes, tmp_path, capsys):
    assert run(tmp_path / "whole") == 0
    said = capsys.readouterr().out
    assert "4 steps of 2 images, 0 of them done" in said
    assert "cannot hold" in said and "3 images, " in said  # of the test split
    assert run(tmp_path / "parts", "--parts", "1") == 0
    assert "not finished: the same command goes on" in capsys.readouterr().out
    assert run(tmp_path / "parts") == 0
    assert "2 of them done" in capsys.readouterr().out
    whole, parts = (
        yolo.load(tmp_path / name / "last.keras").model for name in ("whole", "parts")
    )
    assert int(parts.optimizer.iterations) == 4
    for one, other in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)
    assert (tmp_path / "parts" / "test.txt").read_text().startswith(" ")
    best = yolo.load(tmp_path / "parts" / "best.keras")
    assert best.class_names == CLASSES
    # What is another run does not go on in this folder.
    assert run(tmp_path / "parts", "--peak", "0.5") == 1
    said = capsys.readouterr().err
    assert (
        said.startswith("train_yolo: another run is in")
        and "peak: None, now 0.5" in said
    )
    least = script.least_loss(tmp_path / "parts" / "log.csv")
    assert least == script.least_loss(tmp_path / "whole" / "log.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "9"], "--epochs must be at most the 5 steps"),
        (["--batch-size", "0"], "--batch-size must be at least 1, found 0"),
        (["--peak", "0"], "--peak must be above 0"),
        (["--weights-file", "a.h5"], "--weights-file is for --backbone vgg16"),
        (["--size", "7"], "at least two pixels a cell, found 7"),
        (
            ["--backbone", "vgg16", "--weights-file", "gone.h5"],
            "gone.h5: no such file; expected the weights of VGG16",
        ),
    ],
)
def test_a_run_that_cannot_be(arguments, message, few_scenes, tmp_path, capsys):
    assert run(tmp_path, *arguments) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.glob("*.keras"))


@pytest.mark.slow
def test_it_learns_two_images_by_heart():
    keras.utils.set_random_seed(0)
    scenes = mr.datasets.Shapes(2, seed=4)
    model = yolo.build(CLASSES)
    yolo.compile(model, 120)
    images, target = next(iter(yolo.batches(scenes, 112, 7, 2, 2, training=False)))
    model.fit(images, target, epochs=120, verbose=0)
    detector = yolo.Detector(model, min_score=0.3)
    assert yolo.lost_objects(scenes, 7)[0] == 0
    assert mr.evaluate(detector, scenes, progress=False)["box"]["AP50"] > 0.99
