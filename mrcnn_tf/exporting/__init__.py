"""A trained network as a file that runs without this package, and without Keras."""

from mrcnn_tf.exporting.agreement import (
    MAX_BOX,
    MAX_SCORE,
    MIN_MASK_IOU,
    Agreement,
    compare_results,
)
from mrcnn_tf.exporting.files import FORMATS, check_exportable, write

__all__ = [
    "FORMATS",
    "MAX_BOX",
    "MAX_SCORE",
    "MIN_MASK_IOU",
    "Agreement",
    "check_exportable",
    "compare_results",
    "write",
]
