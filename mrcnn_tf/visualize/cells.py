"""The cells of a grid over an image, and the numbers that they hold."""

import numpy as np
from matplotlib.patches import Rectangle

from mrcnn_tf.visualize.canvas import (
    FONT_SIZE,
    box_lines,
    check_image,
    color,
    draw_lines,
    panels,
    show_image,
)

_GRID = "white", 0.8  # colour and width in points of the lines between cells
_OF_A_BOX = ("x", "y", "root w", "root h", "confidence")
_FEW = 8  # cells a side, at most, for their numbers to be readable


def draw_grid(image, grid, boxes=(), title=None, axes=None):
    """Draws the cells of a grid, and in which of them the centres of boxes lie.

    Args:
        image: uint8 [H, W, 3].
        grid: S, cells a side.
        boxes: float [N, 4], (y1, x1, y2, x2) in pixels. A box, the dot in its centre
            and the shade over the cell that the centre is in have one colour.
        title: text above the picture.
        axes: a panel to draw in; a new figure otherwise.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if the image is not uint8 [H, W, 3].
    """
    image = check_image(image)
    height, width = image.shape[:2]
    axes = show_image(image, title, axes)
    for place in np.arange(1, grid) / grid:
        line = [[(0, place * height), (width, place * height)]]
        line.append([(place * width, 0), (place * width, height)])
        draw_lines(axes, line, _GRID[0], _GRID[1])
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    colors = [color(index) for index in range(len(boxes))]
    draw_lines(axes, box_lines(boxes), colors, 1.5)
    for (y1, x1, y2, x2), tone in zip(boxes, colors, strict=True):
        y, x = (y1 + y2) / 2, (x1 + x2) / 2
        tall, wide = height / grid, width / grid
        corner = (x // wide * wide, y // tall * tall)
        axes.add_patch(
            Rectangle(corner, wide, tall, facecolor=tone, alpha=0.45, linewidth=0)
        )
        axes.plot(x, y, "o", color=tone, markeredgecolor="white", markersize=7)
    return axes.figure


def draw_cells(cells, classes, boxes_per_cell, columns=5):
    """Draws what the cells of a grid hold: a map for each of their numbers.

    Args:
        cells: float [S, S, 5B + C], as of `yolo.encode` for one image, or a network's.
        classes: C class names without background.
        boxes_per_cell: B.
        columns: maps in a row.
    Returns:
        the matplotlib figure. Numbers other than zero are written into their cells
        where these are few.
    Raises:
        ValueError: if there is not a map for each number.
    """
    cells = np.asarray(cells)
    names = [f"{n}, box {b + 1}" for b in range(boxes_per_cell) for n in _OF_A_BOX]
    names += list(classes)
    if cells.ndim != 3 or cells.shape[-1] != len(names):
        raise ValueError(
            f"expected cells of {len(names)} numbers, [S, S, {len(names)}], found "
            f"{list(cells.shape)}"
        )
    figure, axes = panels(len(names), columns, 1, names)
    for panel, values in zip(axes, np.moveaxis(cells, -1, 0), strict=True):
        panel.imshow(values, cmap="viridis", vmin=0, vmax=1)
        if len(values) > _FEW:
            continue
        for row, column in zip(*np.nonzero(np.round(values, 2)), strict=True):
            value = values[row, column]
            panel.text(
                column,
                row,
                f"{value:.2f}".replace("0.", "."),
                color="black" if value > 0.6 else "white",
                fontsize=FONT_SIZE,
                ha="center",
                va="center",
            )
    return figure
