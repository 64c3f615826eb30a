"""The benchmark counts, takes turns and says what it measured."""

import json
import os
import stat
import subprocess
import sys
import textwrap

import benchmark
import benchmark_ours
import benchmark_stages
import benchmark_start
import benchmark_steady
import benchmark_torchvision
import keras
import numpy as np
import pytest
from benchmark_flops import count_layers, layer_flop
from benchmark_scene import scene
from benchmark_side import Side, alternate, summary
from benchmark_table import work

JOB = {
    "kind": "network",
    "size": 64,
    "positives": 7,
    "preset": "tiny",
    "changes": [],
    "batch": 1,
    "data": None,
    "compose": 0,
    "cpu": True,
    "gpu": None,
    "runs": 2,
}


def worker(tmp_path, prepare):
    """Writes a Python that is a worker, whatever it is given to run."""
    path = tmp_path / "python"
    scripts = benchmark.HERE
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(scripts)!r})\n"
        "from benchmark_side import serve\n" + textwrap.dedent(prepare)
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("kernel", "given", "made", "transposed", "flop"),
    [
        # 30 cells of 8 channels, each a sum of 3 * 3 * 4 products.
        ((3, 3, 4, 8), (1, 5, 6, 4), (1, 5, 6, 8), False, 2 * 30 * 8 * 36),
        # Every one of 9 * 4 inputs goes into 2 * 2 * 8 outputs.
        ((2, 2, 8, 4), (1, 3, 3, 4), (1, 6, 6, 8), True, 2 * 36 * 32),
        ((10, 7), (5, 10), (5, 7), False, 2 * 5 * 70),
        # Depthwise: a sum of 9 in each of 4 channels.
        ((3, 3, 4, 1), (1, 2, 2, 4), (1, 2, 2, 4), False, 2 * 16 * 9),
    ],
)
def test_operations_by_hand(kernel, given, made, transposed, flop):
    assert layer_flop(kernel, given, made, transposed) == flop


def test_layers_are_counted_as_often_as_they_run():
    shared = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    x = keras.Input((8,))
    model = keras.Model(x, keras.layers.Dense(3)(shared(shared(x))))
    ones = np.ones((5, 8), np.float32)
    before = model(ones)
    expected = 1e-9 * 2 * 5 * (8 * 8 + 8 * 8 + 8 * 3)
    assert count_layers(model, ones) == pytest.approx(expected)
    assert count_layers(model, ones) == pytest.approx(expected)  # nothing stays behind
    np.testing.assert_array_equal(model(ones), before)


def test_share_of_the_ceiling():
    assert work("network", 229, 2.0, 200)["share"] == pytest.approx(229 / 2 / 200)
    # Backward is twice as much.
    assert work("training", 100, 3.0, 200)["gflop_per_second"] == pytest.approx(100)


def test_median_and_quartiles():
    told = summary([5.0, 1.0, 2.0, 4.0, 3.0])
    quartiles = [told[name] for name in ("first_quartile", "median", "third_quartile")]
    assert quartiles == [2, 3, 4]
    assert told["seconds"] == [5, 1, 2, 4, 3]
    assert summary([7.0])["median"] == 7


def test_sides_take_turns():
    turns = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def do(self, action):
            assert action == "run"
            turns.append(self.name)
            return {"seconds": len(turns)}

    times = alternate({"a": Fake("a"), "b": Fake("b")}, runs=3, warm_up=1)
    assert turns == ["a", "b"] * 4
    assert times == {"a": [3, 5, 7], "b": [4, 6, 8]}  # the first two were warming up


def test_a_worker_answers(tmp_path):
    program = worker(
        tmp_path,
        """
        import time
        def prepare(job):
            print("a library says something")
            def fail():
                raise ValueError("no more")
            return {"sum": job["a"] + job["b"]}, {
                "run": lambda: time.sleep(0.05), "found": lambda: {"x": 1}, "bad": fail
            }
        serve(prepare)
        """,
    )
    with Side("fake", [program], {"a": 2, "b": 3}) as side:
        assert side.about == {"sum": 5}
        assert 0.05 <= side.do("run")["seconds"] < 5
        assert side.do("found") == {"x": 1}
        assert 1 < side.do("memory")["peak_mb"] < 500
        with pytest.raises(ValueError, match="fake: no more"):
            side.do("bad")
        assert side.do("found") == {"x": 1}  # and goes on


def test_a_worker_that_ends(tmp_path):
    with pytest.raises(ValueError, match="its process ended with status 3"):
        Side("fake", [worker(tmp_path, "sys.exit(3)")], {})


def test_objects_of_the_scene_fill_their_boxes():
    image, boxes, masks = scene(64, 96)
    assert image.shape == (64, 96, 3)
    for mask, box in zip(masks, boxes, strict=True):
        rows, columns = np.nonzero(mask)
        found = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        assert found == box.tolist()
        assert box[3] - box[1] > 8 * (box[2] - box[0])  # wider than any anchor


@pytest.mark.slow
def test_stages_of_prediction():
    about, actions = benchmark_ours.prepare(JOB)
    actions["run"]()
    found = actions["found"]()
    assert found["proposals"] == 100 and found["detections"] == 20
    stages = actions["stages"]()
    assert list(stages) == ["input", *benchmark_stages.STAGES, "paste"]
    # The stages together compute what the whole does.
    parts = sum(row.get("gflop", 0) for row in stages.values())
    assert parts == pytest.approx(found["gflop"])
    assert all(len(row["seconds"]) == 2 for row in stages.values())
    assert about["config"]["image"]["long_side"] == 64


@pytest.mark.slow
@pytest.mark.parametrize("positives", [4, 7])
def test_positives_are_as_many_as_asked(positives):
    job = {**JOB, "kind": "training", "positives": positives}
    found = benchmark_ours.prepare(job)[1]["found"]()
    assert (found["positives"], found["rois"]) == (positives, 48)


@pytest.mark.slow
def test_stages_of_training():
    _, actions = benchmark_ours.prepare({**JOB, "kind": "training"})
    found = actions["found"]()
    stages = actions["stages"]()
    assert list(stages) == ["targets", "losses", "forward", "backward", "optimiser"]
    assert stages["forward"]["gflop"] == pytest.approx(found["gflop"])


@pytest.mark.slow  # it is many
def test_memory_over_many():
    _, actions = benchmark_steady.prepare({**JOB, "count": 60})
    for action in ("predictions", "steps"):
        told = actions[action]()
        assert told["count"] == 60 and told["padded_shapes"] > 2
        assert told["traces"] <= told["padded_shapes"]
        deviation = 100 * abs(told["end_mb"] / told["settled_mb"] - 1)
        assert told["largest_deviation_percent"] >= deviation
    _, actions = benchmark_steady.prepare({**JOB, "count": 49})
    with pytest.raises(ValueError, match="memory settles after 50"):
        actions["predictions"]()


@pytest.mark.slow
def test_seconds_to_the_first_step():
    about, _ = benchmark_start.prepare(JOB)
    seconds = about["seconds"]
    assert list(seconds) == ["import", "build", "compile", "first step", "all"]
    assert seconds["all"] == pytest.approx(sum(seconds.values()) - seconds["all"])


FAKE_PEER = """
def prepare(job):
    found = {"positives": job["positives"], "rois": job["config"]["roi"]["samples"]}
    about = {"versions": {}, "compiled_operators": False, "device": "cpu",
             "libraries_mb": 1, "weights": WEIGHTS}
    return about, {"run": int, "found": lambda: found, "gpu": dict}
serve(prepare)
"""


@pytest.mark.slow
def test_command(tmp_path, capsys):
    about, _ = benchmark_ours.prepare({**JOB, "kind": "training"})
    fake = FAKE_PEER.replace("WEIGHTS", str(about["weights"]))
    path = tmp_path / "told.json"
    arguments = "--preset tiny --size 64 --mode training --runs 2 --warm-up 1 --cpu"
    arguments += f" --positives 5 --peer torchvision --json {path} --stages"
    peer = ["--peer-python", str(worker(tmp_path, fake))]
    assert benchmark.main([*arguments.split(), *peer, "--set", "roi.samples=32"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tiny, batch 1,")
    assert "5 positives, 32 rois" in said and "UNFAIR" in said and "backward" in said
    told = json.loads(path.read_text())
    assert told["arguments"]["positives"] == [5] and told["machine"]["cores"] >= 1
    (result,) = told["results"]
    assert result["kind"] == "training" and result["size"] == 64
    ours, theirs = result["ours"], result["torchvision"]
    assert len(ours["seconds"]) == 2 and ours["peak_mb"] > ours["libraries_mb"] > 50
    assert result["ratio"] == pytest.approx(ours["median"] / theirs["median"])
    assert ours["found"]["positives"] == theirs["found"]["positives"] == 5
    assert result["ceiling"]["convolution"] > 0 and result["work"]["gflop"] > 0
    assert "tensorflow" in ours["versions"] and result["config"]["roi"]["samples"] == 32


def test_another_network_is_no_comparison():
    with pytest.raises(ValueError, match="has 1 weights, ours 2: it has none like a"):
        benchmark.check_same({"weights": 2}, {"weights": 1}, "torchvision", "a")
    benchmark.check_same({"weights": 2}, {"weights": 2}, "torchvision", "a")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--size 64 128 --positives 4 5 6", "3 numbers for 2 sizes"),
        ("--positives 3", "at least the 4 objects"),
        ("--size 16", "at least 32 pixels"),
        ("--runs 0", "--runs must be at least 1"),
        ("--data shapes --peer torchvision", "leave out --data"),
    ],
)
def test_options_that_contradict(arguments, says, capsys):
    assert benchmark.main(arguments.split()) == 1
    assert says in capsys.readouterr().err


def test_no_such_python():
    with pytest.raises(ValueError, match="torchvision: cannot start /nowhere/python"):
        Side("torchvision", ["/nowhere/python", "a.py"], {})


def test_a_python_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="pip install torch torchvision, or name"):
        benchmark_torchvision.prepare(JOB)


@pytest.fixture
def peer_python():
    """A Python with torchvision; TensorFlow and PyTorch in one process may crash."""
    python = os.environ.get("PEER_PYTHON", sys.executable)
    asked = subprocess.run([python, "-c", "import torchvision"], capture_output=True)
    if asked.returncode:
        pytest.skip("no torchvision; PEER_PYTHON may name a Python that has it")
    return python


@pytest.mark.parametrize("kind", ["network", "answers", "training"])
def test_torchvision_does_the_same(peer_python, kind):
    ours, _ = benchmark_ours.prepare({**JOB, "kind": kind, "preset": "resnet50_fpn"})
    job = {**JOB, "kind": kind, "config": ours["config"]}
    command = [peer_python, benchmark.HERE / "benchmark_torchvision.py"]
    with Side("torchvision", command, job) as peer:
        assert peer.about["weights"] == ours["weights"]
        assert peer.do("run")["seconds"] > 0
        found = peer.do("found")
    if kind == "training":
        assert found["positives"] == 7  # of fewer RoIs than 512, the image is small
    else:
        assert found["detections"] == 100
