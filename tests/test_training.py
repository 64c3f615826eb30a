"""Schedule, callbacks, the training command, and a network that must overfit."""

import csv

import evaluate as evaluate_script
import keras
import numpy as np
import pytest
import small
import tensorflow as tf
import train as train_script

import mrcnn_tf as mr
from mrcnn_tf.training.monitor import BestCheckpoint, callbacks
from mrcnn_tf.training.optimizer import SGD, WarmupStep, make_optimizer


def test_schedule_by_hand():
    rate = WarmupStep(peak=1.0, warmup_steps=10, boundaries=(20, 30), factor=0.1)
    steps = [0, 5, 10, 19, 20, 29, 30, 1000]
    expected = [0.001, 0.5005, 1, 1, 0.1, 0.1, 0.01, 0.01]
    np.testing.assert_allclose([float(rate(s)) for s in steps], expected, rtol=1e-5)


def test_schedule_without_warmup_starts_at_the_top():
    assert float(WarmupStep(0.5, 0, (), 0.1)(1)) == pytest.approx(0.5)


def test_optimizer_survives_saving():
    optimizer = make_optimizer(small.config().train)
    saved = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["learning_rate"]["class_name"] == "WarmupStep"


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adamw", "AdamW")])
def test_optimizers_by_name(name, kind):
    config = small.config(train={"optimizer": name, "clip_norm": 2.0}).train
    optimizer = make_optimizer(config)
    assert type(optimizer).__name__ == kind and optimizer.global_clipnorm == 2.0


def test_momentum_is_keras_s_and_stays_where_it_lies():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(64, 64)).astype(np.float32)
    kinds = SGD, keras.optimizers.SGD
    ours, keras_s = (kind(0.1, momentum=0.9, weight_decay=0.01) for kind in kinds)
    weights = [keras.Variable(start), keras.Variable(start)]

    def address():
        (momentum,) = ours.momentums
        return np.frombuffer(memoryview(momentum.value.value()), np.float32).ctypes.data

    for optimizer, weight in zip((ours, keras_s), weights, strict=True):
        optimizer.build([weight])
    first = address()
    for _ in range(5):
        gradient = tf.constant(rng.normal(size=start.shape), tf.float32)
        for optimizer in (ours, keras_s):
            optimizer.apply([gradient])
        assert address() == first
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_run_leaves_models_logs_and_tensorboard(tmp_path):
    network = small.model()
    scenes = mr.datasets.Shapes(8, size=64)
    stream = mr.datasets.batches(scenes, network.config, training=True)
    validation = mr.datasets.batches(
        mr.datasets.Shapes(2, seed=1, size=64), network.config, training=False
    )
    seen = []
    preview = mr.training.Preview(
        [scenes[0].image], lambda epoch, results: seen.append((epoch, len(results)))
    )
    run = tmp_path / "run"
    network.fit(
        stream,
        steps_per_epoch=2,
        epochs=2,
        validation_data=validation,
        callbacks=[*callbacks(run), preview],
        shuffle=False,
        verbose=0,
    )
    assert seen == [(0, 1), (1, 1), (2, 1)]
    with open(run / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    wanted = {"loss", "val_loss", "objectness", "val_mask", "learning_rate"}
    assert wanted <= set(rows[0])
    assert list((run / "tensorboard" / "train").iterdir())
    image = scenes[0].image
    last = mr.MaskRCNN.load(run / "last.keras")
    np.testing.assert_array_equal(
        last.detect(image).scores, network.detect(image).scores
    )
    assert (run / "best.keras").exists()


def test_best_is_the_least_validation_loss(tmp_path):
    class Model:
        saved = 0

        def save(self, path):
            self.saved += 1
            path.touch()

    callback = BestCheckpoint(tmp_path / "best.keras")
    callback.set_model(Model())
    for loss in (3.0, 2.0, 2.5, float("nan"), 1.0):
        callback.on_epoch_end(0, {"val_loss": loss})
    callback.on_epoch_end(0, {"loss": 0.0})  # no validation: nothing to call best
    assert callback.model.saved == 3


def test_a_folder_that_cannot_be_written_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        callbacks(tmp_path / "file" / "run")


def test_unknown_data_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*shapes"):
        mr.datasets.load(tmp_path / "nowhere")


def test_splits_of_toy_scenes_differ():
    splits = mr.datasets.load("shapes", size=64)
    images = [split[0].image for split in (splits.train, splits.val, splits.test)]
    assert not (images[0] == images[1]).all() and not (images[1] == images[2]).all()
    assert len(splits.val) == len(splits.test) == 200


def test_toy_animals_are_composed_too():
    plain, composed = (mr.datasets.load("animals", 96, n).val for n in (0, 6))
    counts = [[len(data[i].masks) for i in range(20)] for data in (plain, composed)]
    assert max(counts[1]) > max(counts[0])
    np.testing.assert_array_equal(composed[0].image, composed[0].image)


@pytest.mark.parametrize("flag", ["--help", "--data"])
def test_the_command_explains_itself(flag, capsys):
    with pytest.raises(SystemExit) as stop:
        train_script.main([flag])
    assert stop.value.code == (0 if flag == "--help" else 2)
    output = capsys.readouterr()
    assert "--weights-file" in output.out + output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "shapes", "--preset", "pets"], "needs pretrained weights"),
        (["--data", "shapes", "--preset", "huge"], "no preset 'huge'"),
        (["--data", "nowhere"], "no such file or folder"),
        (["--data", "shapes", "--epochs", "0"], "--epochs must be from 1 to"),
        ("--data shapes --steps 5 --epochs 6".split(), "the 5 steps of the run"),
        (
            "--data shapes --preset pets --weights imagenet --weights-file x".split(),
            "x: no such file",
        ),
        (
            "--data shapes --weights coco --weights-file none.pth".split(),
            "none.pth: no such file; expected a copy of maskrcnn_resnet50_fpn_coco",
        ),
        ("--data shapes --weights coco --preset tiny".split(), "leave out --preset"),
        ("--data shapes --weights-file x".split(), "needs run.weights to say"),
        ("--data shapes --set clip_norm=5".split(), "takes PART.FIELD=VALUE"),
        ("--data shapes --set train.clip_norm".split(), "takes PART.FIELD=VALUE"),
        ("--data shapes --set train.clip=5".split(), "no field 'train.clip'"),
        ("--data shapes --set roi.mask_kind=red".split(), "roi.mask_kind must be"),
    ],
)
def test_the_command_says_in_a_sentence_what_is_wrong(
    tmp_path, capsys, arguments, message
):
    assert train_script.main([*arguments, "--run", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err


def test_fields_of_the_config_from_the_command_line():
    changes = ["train.clip_norm=5", "roi.mask_kind=softmax", "image.mean=[0, 0.5, 1]"]
    options = train_script.parse("--data shapes --run x --set".split() + changes)
    config = train_script.choose_run(options)[1]
    assert config == mr.Config.preset(
        "tiny",
        train={"clip_norm": 5},
        roi={"mask_kind": "softmax"},
        image={"mean": (0, 0.5, 1)},
    )


def test_evaluating_a_missing_model_is_a_sentence(capsys):
    assert evaluate_script.main(["--model", "none.keras", "--data", "shapes"]) == 1
    assert "none.keras: no such file" in capsys.readouterr().err


@pytest.mark.slow
def test_overfits_two_scenes():
    scenes = mr.datasets.Shapes(2, seed=4)
    config = mr.Config.preset(
        "tiny",
        classes=scenes.classes,
        train={"batch_size": 2, "steps": 300, "warmup_steps": 20},
    )
    keras.utils.set_random_seed(0)
    network = mr.MaskRCNN(config)
    network.compile()
    stream = mr.datasets.batches(scenes, config, training=True)
    history = network.fit(
        stream, steps_per_epoch=10, epochs=30, shuffle=False, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0] / 10
    for sample in scenes:
        result = network.detect(sample.image).keep(0.5)
        assert sorted(result.classes) == sorted(sample.classes)
        found, wanted = result.masks, sample.dense_masks()
        shared = (found[:, None] & wanted).sum(axis=(2, 3))
        union = (found[:, None] | wanted).sum(axis=(2, 3))
        assert ((shared / union).max(axis=0) > 0.9).all()
