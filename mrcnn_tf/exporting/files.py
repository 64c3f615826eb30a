"""The three formats: SavedModel, ONNX and LiteRT.

Each file says itself which classes it knows: beside the graph it has a small JSON text,
`about`, which a SavedModel keeps among its extra assets, ONNX among its metadata and
LiteRT in a zip archive that follows the graph, as its own tools do with labels.
"""

import importlib.util
import json
import logging
import zipfile
from pathlib import Path

import tensorflow as tf

from mrcnn_tf.exporting.serving import network_module, portable_graph, serving_module

# What each needs to be written and read, besides TensorFlow.
FORMATS = {
    "saved_model": (),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}
ABOUT = "mrcnn_tf.json"
ONNX_OPSET = 17  # of 2022; ONNX Runtime reads it since 1.12


def check_exportable(config, kind):
    """Says whether a network can be exported, before the work is done.

    Args:
        config: a `Config`.
        kind: a key of `FORMATS`.
    Raises:
        ValueError: if a package is missing, or the format cannot hold the network.
    """
    missing = [name for name in FORMATS[kind] if not importlib.util.find_spec(name)]
    if missing:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise ValueError(
            f"{kind} needs packages that are not here: pip install {packages}"
        )
    if kind == "saved_model":
        return
    if config.image.resize != "square":
        raise ValueError(
            f"{kind} takes networks with one size of input, as the presets tiny and "
            f"pets: config.image.resize must be square, found {config.image.resize!r}; "
            "saved_model takes every network"
        )
    if kind == "litert" and config.detection.whole_pixel_boxes:
        raise ValueError(
            "litert leaves the pasting of masks to its reader, which does not know "
            "torchvision's: config.detection.whole_pixel_boxes must be False"
        )


def about(config):
    """Returns what a reader must know besides the graph, a dict of plain values."""
    return {
        "classes": list(config.classes),  # class 1 is the first
        "short_side": config.image.short_side,
        "long_side": config.image.long_side,
        "mask_threshold": config.detection.mask_threshold,
    }


def write(model, kind, path):
    """Writes a model, which nothing has checked yet.

    Args:
        model: a `MaskRCNN`.
        kind: a key of `FORMATS`.
        path: file to write; of a SavedModel, folder.
    Raises:
        ValueError: as `check_exportable`.
    """
    check_exportable(model.config, kind)
    if kind != "saved_model":
        model = model.in_precision("float32")  # few of their runtimes know others
    text = json.dumps(about(model.config))
    {"saved_model": _saved_model, "onnx": _onnx, "litert": _litert}[kind](
        model, Path(path), text
    )


def _saved_model(model, path, text):
    module = serving_module(model, model.inference_graph)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(path), signatures=module.detect, options=options)
    extra = path / "assets.extra"  # TensorFlow's name for what is not in the graph
    extra.mkdir()
    (extra / ABOUT).write_text(text, encoding="utf-8")


def _onnx(model, path, text):
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    module = serving_module(model, portable_graph(model))
    proto, _ = tf2onnx.convert.from_function(
        module.detect, module.detect.input_signature, opset=ONNX_OPSET
    )
    onnx.helper.set_model_props(proto, {ABOUT: text})
    onnx.save(proto, str(path))


def _litert(model, path, text):
    module = network_module(model, portable_graph(model))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.detect.get_concrete_function()], module
    )
    # Else -inf, which marks empty slots, becomes a large number, which does not.
    converter.canonicalizing_inf_as_min_max_float = False
    path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(ABOUT, text)
