"""Pictures of images, objects and what a network computes: NumPy in, a figure out.

Every function returns a matplotlib figure that pyplot has already let go: as the
last line of a notebook cell it is shown once, without a screen it is saved with
`figure.savefig`, and none stays open. To set several side by side, make `panels`
and give one to each function as `axes`.
"""

from mrcnn_tf.visualize.canvas import blend, color, outline, panels
from mrcnn_tf.visualize.cells import draw_cells, draw_grid
from mrcnn_tf.visualize.comparison import ComparedScene, draw_comparison
from mrcnn_tf.visualize.detectors import draw_answers, draw_detectors
from mrcnn_tf.visualize.network import (
    draw_features,
    draw_mask_probabilities,
    loss_curves,
)
from mrcnn_tf.visualize.objects import (
    draw,
    draw_boxes,
    draw_semantic,
    draw_trimap,
    grid,
    semantic_map,
)

__all__ = [
    "ComparedScene",
    "blend",
    "color",
    "draw",
    "draw_answers",
    "draw_boxes",
    "draw_cells",
    "draw_comparison",
    "draw_detectors",
    "draw_features",
    "draw_grid",
    "draw_mask_probabilities",
    "draw_semantic",
    "draw_trimap",
    "grid",
    "loss_curves",
    "outline",
    "panels",
    "semantic_map",
]
