"""Keeps the direction of imports: data flows one way, and so do they.

A new file must be given its place in `MAY_IMPORT`.
"""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import mrcnn_tf

PACKAGE = Path(mrcnn_tf.__file__).parent

GEOMETRY = {
    "boxes",
    "rle",
    "sampling",
    "roi",
    "masks",
    "anchors",
    "matching",
    "nms",
} | {"slots"}
NETWORK = {"inputs", "backbones", "fpn", "rpn", "heads", "precision"}
STAGES = {"proposals", "targets", "losses", "detections"}

# What each file, or each file of a folder, may import of this package. The files
# of one folder may import each other.
MAY_IMPORT = {
    "__init__": set(),  # what it offers is imported when asked for
    "presets": set(),
    "config_parts": set(),
    "config": {"config_parts", "presets"},
    "rle": set(),
    "result": {"rle"},
    "boxes": set(),
    "sampling": set(),
    "roi": {"boxes", "sampling"},
    "masks": {"boxes", "rle", "roi"},
    "sizes": {"config"},
    "anchors": {"boxes", "sizes"},
    "matching": {"boxes"},
    "box_losses": {"boxes"},
    "nms": {"boxes"},
    "slots": set(),
    "inputs": {"config", "sizes"},
    "norm": set(),
    "precision": set(),
    "backbones": {"config", "norm"},
    "fpn": {"config", "norm"},
    "rpn": {"config"},
    "heads": {"config", "norm"},
    "proposals": GEOMETRY | {"config"},
    "targets": GEOMETRY | {"config"},
    "replicas": set(),
    "losses": GEOMETRY | {"config", "replicas"},
    "detections": GEOMETRY | {"config", "proposals"},
    "graphs": GEOMETRY | NETWORK | STAGES | {"config"},
    # Of datasets, how any image becomes RGB; of training, the optimizer of a preset.
    "mask_rcnn": GEOMETRY
    | NETWORK
    | STAGES
    | {
        "config",
        "graphs",
        "replicas",
        "result",
        "datasets",
        "training",
        "pretrained",
    },
    "pretrained": {"config", "presets", "backbones"},
    "datasets": {"config", "inputs", "boxes", "masks", "rle", "sizes", "presets"},
    "unet": {"inputs", "datasets", "training", "evaluation", "visualize"},
    "yolo": {"boxes", "nms", "result", "inputs", "datasets", "training"},
    # Of the network, what a whole run builds; the network takes the optimizer alone.
    "training": {
        "__init__",
        "config",
        "datasets",
        "evaluation",
        "mask_rcnn",
        "pretrained",
    },
    "evaluation": {"config", "boxes", "masks", "rle", "result", "datasets"},
    "visualize": {"rle", "result", "datasets"},
    "exporting": {"graphs", "inputs", "roi", "rle", "slots"},
    # Of the networks, each loaded when a file turns out to hold it.
    "live": {"rle", "datasets", "visualize", "mask_rcnn", "unet", "yolo"},
}


def module_of(path):
    """Returns `("datasets", "toy")` for mrcnn_tf/datasets/toy.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def file_of(dotted):
    """Returns the key in `MODULES` of the file that holds a dotted name."""
    parts = tuple(dotted.split("."))[1:]
    for end in range(len(parts), -1, -1):
        for key in (parts[:end], (*parts[:end], "__init__")):
            if key in MODULES:
                return key
    raise AssertionError(f"{dotted} is no file of the package")


def imports_of(path):
    """Returns the keys of our files that the file at `path` imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write mrcnn_tf.x, not a relative one"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {file_of(n) for n in names if n.split(".")[0] == "mrcnn_tf"}


def test_every_file_has_its_place():
    assert {key[0] for key in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("key", MODULES, ids=".".join)
def test_imports_go_one_way(key):
    imported = {name[0] for name in imports_of(MODULES[key])} - {key[0]}
    assert imported <= MAY_IMPORT[key[0]]


def test_no_circle_of_imports():
    graph = {key: imports_of(path) - {key} for key, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_the_reading_of_imports_itself(tmp_path):
    file = tmp_path / "example.py"
    file.write_text(
        "import mrcnn_tf.rle\nimport numpy\nfrom mrcnn_tf import config, Result\n"
        "def f():\n    from mrcnn_tf.datasets.sample import Sample\n"
    )
    assert imports_of(file) == {
        ("rle",),
        ("config",),
        ("__init__",),  # Result is a name of the package, not a file
        ("datasets", "sample"),
    }


def test_importing_the_package_does_not_load_tensorflow():
    program = (
        "import sys, mrcnn_tf\n"
        "mrcnn_tf.Config, mrcnn_tf.Result, mrcnn_tf.Sample, mrcnn_tf.visualize\n"
        "mrcnn_tf.live\n"
        "sys.exit(bool({'tensorflow', 'keras', 'cv2'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("name", mrcnn_tf.__all__)
def test_every_public_name_is_there(name):
    assert getattr(mrcnn_tf, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'MaskRNN'"):
        mrcnn_tf.MaskRNN  # noqa: B018
