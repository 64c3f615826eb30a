"""Images and their objects: the record, its readers, and batches for training.

As with the package itself, importing this takes no time: the batches alone bring
TensorFlow.
"""

import importlib

# Public names, each in the module that defines it.
_NAMES = {
    "AnnotatedImages": "annotated",
    "Animals": "toy",
    "Augment": "augment",
    "Composed": "compose",
    "Pets": "pets",
    "Sample": "sample",
    "Shapes": "toy",
    "Splits": "splits",
    "TfdsPets": "pets_tfds",
    "batches": "pipeline",
    "load": "splits",
    "load_all": "splits",
    "read_image": "images",
    "semantic_batches": "semantic",
}
_MODULES = (
    "anchor_kmeans", "anchor_recall", "annotated", "augment", "bitmaps", "checks",
    "coco", "coco_files", "coco_writer", "compose", "copy_paste", "crossings", "doctor",
    "doctor_checks", "examined", "faults", "formats", "images", "json_files",
    "labelme", "outlines", "pets", "pets_tfds", "pipeline", "png_masks",
    "reading", "records", "repair", "report", "sample", "semantic", "splits",
    "stream", "toy", "via", "voc",
)  # fmt: skip

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        module = importlib.import_module(f"{__name__}.{_NAMES[name]}")
        return getattr(module, name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
