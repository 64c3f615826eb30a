"""The file of a run: round trip, faults named, differences; what the log says."""

import json

import evaluate as evaluate_script
import options
import predict as predict_script
import pytest
import small
import tensorflow as tf
import tiny_sets
import train as train_script
import train_unet as train_unet_script

import mrcnn_tf as mr
from mrcnn_tf.training.parts import Some
from mrcnn_tf.training.run import train
from mrcnn_tf.training.run_file import changed_run, differences

RUN = mr.training.RunConfig(data="photos", folder="runs/x", seed=3, weights="coco")


def written(tmp_path):
    """The path of a file of that run."""
    path = tmp_path / "config.json"
    path.write_text(mr.training.run_to_json(RUN, small.config()))
    return path


def test_a_file_comes_back_whole(tmp_path):
    path = written(tmp_path)
    assert mr.training.read_run(path) == (RUN, small.config())
    path.write_text('{"run": {"data": "shapes"}, "roi": {"samples": 8}}')
    run, config = mr.training.read_run(path)
    assert run == mr.training.RunConfig(data="shapes")
    assert config == mr.Config().replace(roi={"samples": 8})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json: config: not JSON"),
        ("[]", 'no part "run"'),
        ('{"classes": []}', 'no part "run"'),
        ('{"run": 3}', "run. must be a dict, found 3"),
        ('{"run": {"sed": 1}}', "no field 'run.sed'; there are"),
        ('{"run": {"seed": "one"}}', "run.seed must be a int, found 'one'"),
        ('{"run": {"seed": -1}}', "run.seed must be at least 0, found -1"),
        ('{"run": {"steps_per_part": 0}}', "run.steps_per_part must be at least 1"),
        ('{"run": {"weights": "best"}}', "run.weights must be one of"),
        ('{"run": {"deterministic": 1}}', "run.deterministic must be a bool"),
        ('{"run": {}, "train": {"step": 1}}', "no field 'train.step'"),
        ('{"run": {}, "train": {"steps": null}}', "train.steps must be a int"),
    ],
)
def test_a_fault_is_named_with_its_file_and_field(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError) as stop:
        mr.training.read_run(path)
    assert str(path) in str(stop.value) and message in str(stop.value)


def test_a_missing_file_says_where_files_come_from(tmp_path, capsys):
    assert train_script.main(["--config", str(tmp_path / "no.json")]) == 1
    assert "no such file; scripts/make_config.py" in capsys.readouterr().err


def test_differences_name_the_fields_that_may_not_differ():
    def of(run=RUN, **changes):
        return json.loads(mr.training.run_to_json(run, small.config(**changes)))

    assert differences(of(), of()) == []
    assert differences(of(), of(train={"steps": 2000})) == []
    moved = changed_run(RUN, small.config(), {"run": {"evaluate_every": 9}})[0]
    assert differences(of(), of(moved)) == []
    assert differences(of(), of(train={"steps": 10, "clip_norm": 1})) == [
        "train.steps 1000 there, 10 asked",
        "train.clip_norm None there, 1.0 asked",
    ]
    old = of()
    del old["run"]["seed"]  # of an older version
    assert differences(old, of()) == ["run.seed None there, 3 asked"]


def test_some_samples_are_spread_evenly():
    scenes = mr.datasets.Shapes(10, size=64)
    some = Some(scenes, 3)
    assert [some[i].image_id for i in range(3)] == [
        scenes[i].image_id for i in (0, 3, 6)
    ]
    assert len(Some(scenes, 0)) == len(Some(scenes, 99)) == 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": ""}, "run.data is empty"),
        ({"folder": ""}, "run.folder is empty"),
        ({"weights": "none", "weights_file": "x.pth"}, "needs run.weights to say"),
    ],
)
def test_a_run_that_contradicts_itself(fields, message):
    run, config = changed_run(RUN, small.config(), {"run": fields})
    with pytest.raises(ValueError, match=message):
        train(run, config)


def test_the_file_and_options_that_it_holds_do_not_mix(tmp_path, capsys):
    arguments = ["--config", str(written(tmp_path)), "--seed", "1", "--epochs", "2"]
    assert train_script.main(arguments) == 1
    assert "--epochs, --seed stands in the file" in capsys.readouterr().err


def test_set_changes_the_run_and_the_config(tmp_path):
    changes = ["run.seed=5", "train.steps=7", "run.folder=runs/y", "run.compose=2"]
    run, config = train_script.choose_run(
        train_script.parse(["--config", str(written(tmp_path)), "--set", *changes])
    )
    assert (run.seed, run.folder, run.compose) == (5, "runs/y", 2)
    assert config == small.config(train={"steps": 7})


def test_options_make_the_same_run_as_a_file():
    run, config = train_script.choose_run(
        train_script.parse(
            "--data shapes --run runs/x --steps 25 --epochs 3 --seed 2".split()
        )
    )
    assert run == mr.training.RunConfig(
        data="shapes", folder="runs/x", seed=2, steps_per_part=9, evaluate_images=0
    )
    assert config == mr.Config.preset("tiny", train={"steps": 25})


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (train_script, ["--data", "shapes", "--run", "x"]),
        (evaluate_script, ["--data", "shapes", "--model", "x.keras"]),
        (predict_script, ["x.jpg"]),
        (train_unet_script, ["--data", "shapes", "--run", "x"]),
    ],
)
def test_a_gpu_that_is_not_there(script, arguments, capsys):
    assert script.main([*arguments, "--gpu", "7"]) == 1
    assert "--gpu 7: TensorFlow finds" in capsys.readouterr().err


def test_errors_are_their_sentence_alone():
    frames = "Graph execution error:\nDetected at node x\nFile y\n"
    fault = "ValueError: dataset[3]: ValueError: photo.jpg: cut short"
    assert options.sentence(OSError(frames + fault + "\nTraceback")) == (
        "dataset[3]: ValueError: photo.jpg: cut short"
    )
    loss = "assertion failed: [The loss is not finite at dataset index] [4]"
    assert options.sentence(OSError(frames + loss)).startswith("The loss is not finite")
    assert options.sentence(ValueError("plain")) == "plain"


def test_evaluating_what_is_no_model(capsys):
    assert evaluate_script.main(["--model", "mobilenet", "--data", "shapes"]) == 1
    assert "--model must be coco, coco_v2 or a .keras file" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate_writes_its_figures(tmp_path, capsys):
    small.model().save(tmp_path / "model.keras")
    figures = tmp_path / "new" / "figures.json"
    arguments = ["--model", str(tmp_path / "model.keras"), "--data", "shapes"]
    assert evaluate_script.main([*arguments, "--json", str(figures), "--cpu"]) == 0
    found = json.loads(figures.read_text())
    assert found["images"] == 200 and found["split"] == "test"
    assert set(found["box"]) == set(found["mask"]) >= {"AP", "AP50"}
    assert capsys.readouterr().out.startswith(f"measuring {arguments[1]} on 200 images")


def test_all_images_may_be_measured_whatever_their_split(tmp_path):
    tiny_sets.masks(tmp_path)  # two images: too few to divide
    model = small.model(classes=("object", *small.CLASSES))
    arguments = ["--model", "m.keras", "--data", str(tmp_path), "--split"]
    everything = evaluate_script.parse([*arguments, "all"])
    dataset = evaluate_script.open_dataset(everything, model)
    assert len(dataset) == 2 and dataset.classes == model.config.classes
    with pytest.raises(ValueError, match="cannot be divided"):
        evaluate_script.open_dataset(evaluate_script.parse([*arguments, "val"]), model)


def test_float16_wants_a_gpu():
    run = mr.training.RunConfig(data="shapes", folder="runs/half")
    config = small.config(backbone={"width": 16}, train={"precision": "float16"})
    if tf.config.get_visible_devices("GPU"):
        pytest.skip("there is a GPU, where float16 trains")
    with pytest.raises(ValueError, match=r"train\.precision is float16.*bfloat16"):
        train(run, config)
