"""Boxes and arrows: how the parts of a network hang together."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from mrcnn_tf.visualize.canvas import FONT_SIZE, color

_WIDTH, _HEIGHT = 0.72, 0.44  # of a box; places are 1 apart
_PALE = 0.35  # of a box's colour, so that black letters stand out


def draw_diagram(nodes, arrows, title=None, axes=None):
    """Draws named boxes, and arrows from one to another.

    Args:
        nodes: dict from name to (x, y, text, number of a colour), x to the right and
            y upwards, with boxes 1 apart or more.
        arrows: list of (from, to) or (from, to, bend), names of `nodes`; a bend of
            0.3 curves to the right of the arrow's way, -0.3 to its left.
        title: text above, or None.
        axes: where; None makes a new figure.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: for an arrow whose end is no node.
    """
    for arrow in arrows:
        for end in arrow[:2]:
            if end not in nodes:
                raise ValueError(
                    f"the arrow {arrow[0]!r} to {arrow[1]!r} ends in {end!r}, which "
                    f"is no node; there are {', '.join(nodes)}"
                )
    columns, rows = zip(*(node[:2] for node in nodes.values()), strict=True)
    left, right, low, high = min(columns), max(columns), min(rows), max(rows)
    if axes is None:
        size = (1.2 * (right - left + 1), 0.9 * (high - low + 1) + 0.3)
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        plt.close(figure)
    patches = {}
    for name, (x, y, text, number) in nodes.items():
        patches[name] = FancyBboxPatch(
            (x - _WIDTH / 2, y - _HEIGHT / 2),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=(1 - _PALE) + _PALE * color(number),
            edgecolor=color(number),
            linewidth=1.5,
        )
        axes.add_patch(patches[name])
        axes.text(x, y, text, ha="center", va="center", fontsize=FONT_SIZE)
    for start, end, *bend in arrows:
        axes.add_patch(
            FancyArrowPatch(
                nodes[start][:2],
                nodes[end][:2],
                patchA=patches[start],
                patchB=patches[end],
                connectionstyle=f"arc3,rad={bend[0] if bend else 0}",
                arrowstyle="-|>",
                mutation_scale=10,  # points, of the head
                shrinkA=1,
                shrinkB=1,
                color="0.25",
                linewidth=1.2,
                clip_on=False,  # a bend may pass above the boxes
            )
        )
    axes.set(xlim=(left - 0.6, right + 0.6), ylim=(low - 0.5, high + 0.5))
    axes.set_aspect(0.75)  # boxes of one shape in every panel
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=FONT_SIZE + 2, pad=12)  # above a bend
    return axes.figure
