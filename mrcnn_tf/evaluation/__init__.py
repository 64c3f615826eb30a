"""How good the detections are: figures that others report too."""

from mrcnn_tf.evaluation.coco import Evaluation, evaluate, evaluate_results

__all__ = ["Evaluation", "evaluate", "evaluate_results"]
