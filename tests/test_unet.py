"""The U-Net: its shape, its phases, its loss, what it answers, and that it learns."""

import keras
import numpy as np
import pytest
import small
import train_unet as script

import mrcnn_tf as mr
from mrcnn_tf import unet
from mrcnn_tf.datasets.semantic import IGNORED, label_map, semantic_batches


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return unet.build(3, size=64, width=35)


@pytest.fixture(scope="module")
def scenes():
    return mr.datasets.Shapes(4, seed=1, size=64)


def pictures(count=2, height=64, width=64):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), np.uint8)


def test_taps_are_at_strides_2_to_32(model):
    encoder = model.get_layer("encoder")
    assert [tap.shape[1] for tap in encoder.outputs] == [32, 16, 8, 4, 2]
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 64, 64, 3)
    small = unet.build(5, size=32, width=35)
    assert small.output_shape == (None, 32, 32, 5)
    # Whoever compiles it by hand keeps the statistics of pretraining too.
    assert not any(n.trainable for path, n in norms(small) if path.startswith("enc"))


def test_the_encoder_gets_what_it_was_trained_on(model):
    image = pictures().astype(np.float32)
    seen = keras.Model(model.input, model.get_layer("normalize").output)(image)
    expected = keras.applications.mobilenet_v2.preprocess_input(image.copy())
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)


@pytest.mark.parametrize(
    ("size", "message"), [(100, "found 100; the next is 128"), (0, "next is 32")]
)
def test_other_sizes_are_refused(size, message):
    with pytest.raises(ValueError, match=f"multiple of 32.*{message}"):
        unet.build(3, size=size)
    with pytest.raises(ValueError, match="at least 2 labels, found 1"):
        unet.build(1)


def learning(model):
    layers = model.get_layer("encoder").layers
    return [layer.name for layer in layers if layer.trainable_weights]


def test_phases_of_the_encoder(model):
    unet.compile_phase(model, 1e-3)
    assert learning(model) == []
    assert len(model.trainable_weights) == 4 * 3 + 2  # four steps up, and the last
    unet.compile_phase(model, 1e-3, encoder_from=15)
    names = learning(model)
    assert names[0] == "block_15_expand" and names[-1] == "block_16_project"
    assert all(name.startswith(("block_15_", "block_16_")) for name in names)
    unet.compile_phase(model, 1e-3, encoder_from=1)
    assert learning(model)[0] == "block_1_expand"
    unet.compile_phase(model, 1e-3, encoder_from=0)
    assert learning(model)[0] == "Conv1"
    with pytest.raises(ValueError, match="0 to 16, or None, found 17"):
        unet.compile_phase(model, 1e-3, encoder_from=17)


def test_measured_norms_keep_the_signal_alive():
    keras.utils.set_random_seed(0)
    network = unet.build(2, size=64, width=35)
    encoder = network.get_layer("encoder")
    images = np.stack([mr.datasets.Shapes(4, size=64)[i].image for i in range(4)])
    images = images.astype(np.float32)
    inputs = network.get_layer("normalize")(images)
    assert np.std(encoder(inputs)[-1]) < 1e-6
    weights = [w.numpy() for w in encoder.trainable_weights]

    unet.measure_norms(network, images)
    assert 0.1 < np.std(encoder(inputs)[-1]) < 10
    norms = [
        x for x in encoder.layers if isinstance(x, keras.layers.BatchNormalization)
    ]
    assert not any(norm.trainable for norm in norms)
    assert all(norm.momentum > 0.9 for norm in norms)
    # The first norm holds the mean and variance of what comes into it.
    arriving = encoder.get_layer("Conv1")(inputs).numpy()
    first = encoder.get_layer("bn_Conv1")
    np.testing.assert_allclose(
        first.moving_mean, arriving.mean(axis=(0, 1, 2)), atol=1e-4
    )
    for before, after in zip(weights, encoder.trainable_weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_loss_counts_pixels_that_are_known(model):
    unet.compile_phase(model, 1e-3)
    images = pictures().astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 3, (2, 64, 64)).astype(np.uint8)
    labels[0, :40] = IGNORED
    logits = model.predict(images, verbose=0).astype(np.float64)
    log_sum = np.log(np.exp(logits).sum(axis=-1))
    known = labels != IGNORED
    taken = np.take_along_axis(logits, np.where(known, labels, 0)[..., None], -1)
    expected = (log_sum - taken[..., 0])[known].mean()
    found = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    answers = logits.argmax(axis=-1)
    overlaps = [
        ((labels == c) & (answers == c)).sum()
        / (((labels == c) | (answers == c)) & known).sum()
        for c in range(3)
    ]
    assert found["mean_iou"] == pytest.approx(np.mean(overlaps), rel=1e-4)


def test_mask_by_hand():
    logits = np.array([[[[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]]])  # [1, 1, 2, 3]
    mask = unet.create_mask(logits)
    assert mask.tolist() == [[[1, 0]]] and mask.dtype == np.uint8


def test_answers_in_the_pixels_of_the_image(model):
    image = pictures(1, 50, 90)[0]
    labels, probabilities = unet.predict(model, image)
    assert labels.shape == (50, 90) and labels.dtype == np.uint8
    assert probabilities.shape == (50, 90, 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), labels)


def test_an_image_of_the_networks_size_is_not_resized(model):
    image = pictures(1)[0]
    logits = model.predict(image[None].astype(np.float32), verbose=0)
    labels, probabilities = unet.predict(model, image)
    np.testing.assert_array_equal(labels, logits[0].argmax(axis=-1))
    np.testing.assert_allclose(probabilities, keras.ops.softmax(logits)[0], atol=1e-5)


def test_what_is_no_image_is_refused(model):
    labels, _ = unet.predict(model, pictures(1)[0, ..., 0])  # grey will do
    assert labels.shape == (64, 64)
    with pytest.raises(ValueError, match="float64"):
        unet.predict(model, np.zeros((64, 64, 3)))


@pytest.fixture(scope="module")
def trained(scenes):
    """A U-Net fit to two scenes; its statistics before; what the preview showed."""
    keras.utils.set_random_seed(1)
    network = unet.build(4, size=64, width=35)
    give_statistics(network, np.stack([sample.image for sample in scenes]))
    before = statistics(network)
    unet.compile_phase(network, 3e-3, encoder_from=14)
    shown = []
    samples = [scenes[0], scenes[1], mr.datasets.Shapes(1, size=80)[0]]
    network.fit(
        semantic_batches(mr.datasets.Shapes(2, 1, 64), "class", 64, 2, training=True),
        steps_per_epoch=20,
        epochs=2,
        callbacks=[
            unet.preview(
                samples, "class", scenes.classes, lambda *call: shown.append(call)
            )
        ],
        shuffle=False,
        verbose=0,
    )
    return network, before, shown


def norms(network):
    for owner in (network, network.get_layer("encoder")):
        for layer in owner.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                yield f"{owner.name}/{layer.name}", layer


def statistics(network):
    return {
        path: np.stack([norm.moving_mean, norm.moving_variance])
        for path, norm in norms(network)
    }


def give_statistics(network, images):
    """Lets a random encoder measure its own: with none, the signal dies out in it."""
    encoder = [norm for path, norm in norms(network) if path.startswith("encoder/")]
    for norm in encoder:
        norm.trainable, norm.momentum = True, 0.0
    network.get_layer("encoder")(images / np.float32(127.5) - 1, training=True)
    for norm in encoder:
        norm.trainable = False


@pytest.mark.slow
def test_it_learns_two_scenes(trained, scenes):
    for sample in (scenes[0], scenes[1]):
        truth = label_map(sample, "class")
        answer, _ = unet.predict(trained[0], sample.image)
        assert (answer == truth)[truth != IGNORED].mean() > 0.95


def test_statistics_of_the_encoder_stay(trained):
    network, before, _ = trained
    after = statistics(network)
    assert before.keys() == after.keys() and len(before) == 52 - 1 + 4  # no last one
    for path, value in before.items():
        same = np.array_equal(value, after[path])
        assert same == path.startswith("encoder/"), path


def test_saving_and_loading_keeps_the_answers(trained, tmp_path, scenes):
    network = trained[0]
    network.save(tmp_path / "unet.keras")
    again = keras.models.load_model(tmp_path / "unet.keras")
    for sample in scenes:
        for ours, its in zip(
            unet.predict(network, sample.image),
            unet.predict(again, sample.image),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, its)
    # What is loaded can go on learning, the encoder's statistics still.
    assert learning(again) == learning(network) != []
    frozen = [n for path, n in norms(again) if path.startswith("encoder/")]
    assert not any(norm.trainable for norm in frozen)


def test_preview_before_and_while_learning(trained):
    shown = trained[2]
    assert [epoch for epoch, _ in shown] == [0, 1, 2]
    for _, figure in shown:
        titles = [axes.get_title() for axes in figure.axes]
        assert titles == ["image"] * 3 + ["truth"] * 3 + ["answer"] * 3
    first, last = (
        [axes.images[0].get_array() for axes in figure.axes]
        for _, figure in (shown[0], shown[-1])
    )
    assert first[8].shape == (80, 80, 3)  # in the image's own pixels
    for index in range(6):
        np.testing.assert_array_equal(first[index], last[index])
    assert not np.array_equal(first[3], first[0])  # the truth is painted
    assert not np.array_equal(first[6], last[6])  # and the answer has changed


def test_a_second_phase_is_no_new_start():
    shown = []
    preview = mr.training.Preview(
        [], lambda epoch, _: shown.append(epoch), answer=lambda model, images: []
    )
    for epoch in (0, 1):  # two calls of fit, of one epoch each
        preview.on_train_begin()
        preview.on_epoch_end(epoch)
    assert shown == [0, 1, 2]


def test_answers_about_the_trimap_are_drawn(scenes):
    answers = [label_map(sample, "trimap") for sample in scenes]
    figure = unet.draw_answers(list(scenes), answers, "trimap", scenes.classes)
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    for sample, truth, answer in zip(scenes, drawn[4:8], drawn[8:], strict=True):
        (expected,) = mr.visualize.draw_trimap(sample.image, sample.trimap).axes
        np.testing.assert_array_equal(truth, expected.images[0].get_array())
        np.testing.assert_array_equal(answer, truth)
    texts = [text.get_text() for text in figure.axes[4].get_legend().get_texts()]
    assert texts == ["object", "background", "border"]


def test_measured_in_the_pixels_of_each_image():
    """Answers everything as class 2: half of the truth, were all else background."""

    class Halves:
        classes = ("left", "right")

        def __len__(self):
            return 2

        def __getitem__(self, index):
            mask = np.zeros((20, 30), bool)
            mask[:, 15:] = True
            image = np.zeros((20, 30, 3), np.uint8)
            rles = (mr.rle.encode(mask),)
            return mr.Sample(image, [mr.rle.box(rles[0])], [2], rles)

    network = unet.build(3, size=32, width=35)
    network.get_layer("logits").set_weights(
        [np.zeros_like(network.get_layer("logits").kernel), np.array([0.0, 0.0, 1.0])]
    )
    scores = unet.evaluate(network, Halves(), "class")
    assert scores["images"] == 2 and scores["pixel accuracy"] == 0.5
    overlaps = [figures["IoU"] for figures in scores["classes"].values()]
    assert list(scores["classes"]) == ["background", "left", "right"]
    assert overlaps == [0, None, 0.5] and scores["mIoU"] == 0.25
    with pytest.raises(ValueError, match=r"tells 3 labels apart.* has 4: background"):
        unet.evaluate(network, mr.datasets.Shapes(1), "class")


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    network = keras.applications.MobileNetV2(
        (224, 224, 3), alpha=0.35, include_top=False, weights=None
    )
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    network.save_weights(path)
    return path


@pytest.mark.slow
def test_the_command_trains_measures_and_leaves_a_run(
    tmp_path, capsys, monkeypatch, weights_file
):
    def load(source, size, compose):
        assert (source, size, compose) == ("shapes", 64, 0)
        return mr.datasets.Splits(
            *(mr.datasets.Shapes(5, seed, size) for seed in range(3))
        )

    monkeypatch.setattr("mrcnn_tf.datasets.splits.load", load)
    run = tmp_path / "run"
    arguments = "--data shapes --labels class --size 64 --width 35 --epochs 3"
    arguments += f" --steps 6 --batch-size 2 --weights-file {weights_file} --run {run}"
    assert script.main(arguments.split()) == 0
    output = capsys.readouterr().out
    assert "5 images of the test split" in output and "IoU triangle" in output
    for name in ("last.keras", "best.keras", "unet.json", "test.txt"):
        assert (run / name).stat().st_size
    assert len((run / "log.csv").read_text().splitlines()) == 4  # heading, epochs
    previews = sorted(path.name for path in (run / "preview").iterdir())
    assert previews == [f"epoch_00{epoch}.png" for epoch in range(4)]
    assert keras.models.load_model(run / "last.keras").output_shape[-1] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data shapes --epochs 1", "--epochs must be from 2"),
        ("--data shapes --epochs 3 --steps 2", "to the 2 steps of the run, found 3"),
        ("--data nowhere", "nowhere: no such file or folder"),
        ("--data shapes --size 100", "a multiple of 32"),
        ("--data shapes --width 35 --weights-file none.h5", "none.h5: no such file"),
    ],
)
def test_the_command_says_in_a_sentence_what_is_wrong(
    tmp_path, capsys, arguments, message
):
    assert script.main([*arguments.split(), "--run", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_load_refuses_what_answers_something_else(tmp_path):
    path = tmp_path / "unet.keras"

    def refused(message, error=ValueError):
        with pytest.raises(error, match=message):
            unet.load(path, "class", ("cat", "dog"))

    refused(r"unet\.keras: no such file; scripts/train_unet\.py", FileNotFoundError)
    unet.build(3, size=32, width=35).save(path)
    refused(r"unet\.json: no such file", FileNotFoundError)
    unet.save_labels(tmp_path, "trimap", ("cat", "dog"))
    refused(r"answers 'trimap' of cat, dog, expected 'class'.* --labels class")
    unet.save_labels(tmp_path, "class", ("cat", "owl"))
    refused("'class' of cat, owl, expected 'class' of cat, dog")
    unet.save_labels(tmp_path, "class", ("cat", "dog"))
    assert unet.load(path, "class", ["cat", "dog"]).output_shape == (None, 32, 32, 3)
    small.model().save(path)
    refused("holds a network called 'mask_rcnn', no U-Net")
    path.write_bytes(path.read_bytes()[:1000])
    refused(r"not a \.keras file, or damaged")
