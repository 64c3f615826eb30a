"""What several commands ask for in the same words."""

import json
from pathlib import Path

import tensorflow as tf

import mrcnn_tf as mr
from mrcnn_tf import yolo
from mrcnn_tf.config_parts import PRECISIONS
from mrcnn_tf.live.models import stored_name

PUBLISHED = ("coco", "coco_v2")


def add_data(parser, required=True):
    """Adds --data and --compose, which `mrcnn_tf.datasets.load` takes."""
    parser.add_argument(
        "--data",
        required=required,
        help="shapes, animals, oxford_iiit_pet, or a folder",
    )
    parser.add_argument(
        "--compose",
        type=int,
        default=0,
        metavar="N",
        help="compose scenes of 1 to N objects from the images",
    )


def add_format(parser):
    """Adds --format, of annotations."""
    parser.add_argument(
        "--format",
        default="auto",
        help="of the annotations, if not found by looking: coco, voc, via, labelme or "
        "masks",
    )


def add_weights(parser, choices, text):
    """Adds --weights and --weights-file."""
    parser.add_argument("--weights", choices=choices, help=text)
    parser.add_argument(
        "--weights-file",
        default="",
        metavar="FILE",
        help="a copy of the published file; without it, it is downloaded",
    )


def add_model(parser, default=None):
    """Adds --model, required without a default, and --weights-file."""
    says = f" (default {default})" if default else ""
    parser.add_argument(
        "--model",
        required=default is None,
        default=default,
        help=f"a .keras file, coco or coco_v2{says}",
    )
    parser.add_argument(
        "--weights-file",
        type=Path,
        metavar="FILE",
        help="the checkpoint of coco or coco_v2, if you have downloaded it",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the computation, if not the model's own; bfloat16 is faster on "
        "processors with AVX512-BF16 and newer GPUs",
    )


def load_detector(path):
    """Loads the Mask R-CNN or the YOLO in a .keras file."""
    if stored_name(path).startswith("yolo"):
        return yolo.load(path)
    return mr.MaskRCNN.load(path)


def class_names(model):
    """Returns what a Mask R-CNN or a YOLO tells apart, without background."""
    return model.config.classes if hasattr(model, "config") else model.class_names


def long_side(model):
    """Returns the pixels a side, at most, of what a Mask R-CNN or a YOLO looks at."""
    if hasattr(model, "config"):
        return model.config.image.long_side
    return model.model.input_shape[1]


def load_model(options, load=load_detector):
    """Returns the model that the command line names; `load` reads the .keras file."""
    model = _load(options, load)
    if not options.precision:
        return model
    if not isinstance(model, mr.MaskRCNN):
        raise ValueError(
            f"--precision is for Mask R-CNN: {options.model} computes in its own"
        )
    return model.in_precision(options.precision)


def _load(options, load):
    if options.model in PUBLISHED:
        return mr.MaskRCNN.from_pretrained(options.model, path=options.weights_file)
    if Path(options.model).suffix != ".keras":
        raise ValueError(
            f"--model must be {', '.join(PUBLISHED)} or a .keras file, "
            f"found {options.model!r}"
        )
    if options.weights_file:
        raise ValueError(
            f"--weights-file is for {' and '.join(PUBLISHED)}: {options.model} holds "
            "its own"
        )
    return load(options.model)


def add_device(parser):
    """Adds --gpu and --cpu."""
    device = parser.add_mutually_exclusive_group()
    device.add_argument(
        "--gpu", type=int, metavar="N", help="the GPU to use, from 0; without it, all"
    )
    device.add_argument("--cpu", action="store_true", help="use no GPU")


def choose_device(options):
    """Hides all GPUs but the one asked for; comes before anything is computed.

    Raises:
        ValueError: if there is no such GPU.
    """
    if options.cpu:
        tf.config.set_visible_devices([], "GPU")
    elif options.gpu is not None:
        gpus = tf.config.list_physical_devices("GPU")
        if not 0 <= options.gpu < len(gpus):
            there = f"the GPUs 0 to {len(gpus) - 1}" if gpus else "no GPU"
            raise ValueError(
                f"--gpu {options.gpu}: TensorFlow finds {there} here; leave it out, "
                "or see what nvidia-smi lists"
            )
        tf.config.set_visible_devices(gpus[options.gpu], "GPU")


def add_changes(parser):
    """Adds --set, which changes fields of a config."""
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="PART.FIELD=VALUE",
        dest="changes",
        help="change fields of the config: its parts stand in "
        "mrcnn_tf/config_parts.py, and run in mrcnn_tf/training/run_file.py",
    )


def parse_changes(changes):
    """Turns ["train.clip_norm=5"] into {"train": {"clip_norm": 5}}."""
    nested = {}
    for change in changes:
        field, equals, text = change.partition("=")
        part, _, name = field.partition(".")
        if not (equals and name):
            raise ValueError(
                f"--set takes PART.FIELD=VALUE, as in train.clip_norm=5; found {change}"
            )
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text  # a word
        nested.setdefault(part, {})[name] = value
    return nested


def sentence(error):
    """Returns what an error says, without the frames that TensorFlow adds to it."""
    lines = str(error).splitlines()
    for line in lines:
        # A fault of the data comes as "ValueError: dataset[3]: ..." among the frames.
        kind, _, rest = line.partition(": ")
        if kind in ("ValueError", "FileNotFoundError") and "dataset[" in rest:
            return rest
    for line in lines:
        if "The loss is not finite" in line:
            said = line[line.index("The loss") :].replace("\\'", "'")
            return said.replace("] [", " ").removesuffix("]")
    return str(error)
