"""How good the answers are: figures that others report too, and one comparison."""

from mrcnn_tf.evaluation.answers import ObjectAnswers, PixelAnswers, choose_setting
from mrcnn_tf.evaluation.coco import Evaluation, evaluate, evaluate_results
from mrcnn_tf.evaluation.compare import Comparison, compare_models, telling_scenes
from mrcnn_tf.evaluation.detectors import Detectors, compare_detectors
from mrcnn_tf.evaluation.voc import voc_scores

__all__ = [
    "Comparison",
    "Detectors",
    "Evaluation",
    "ObjectAnswers",
    "PixelAnswers",
    "choose_setting",
    "compare_detectors",
    "compare_models",
    "evaluate",
    "evaluate_results",
    "telling_scenes",
    "voc_scores",
]
