"""A trained network as a file that runs without this package, and without Keras."""

from mrcnn_tf.exporting.agreement import Agreement, compare_results
from mrcnn_tf.exporting.files import FORMATS, check_exportable, write

__all__ = ["FORMATS", "Agreement", "check_exportable", "compare_results", "write"]
