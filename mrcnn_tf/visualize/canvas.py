"""What every picture is made of: colours, masks, lines, labels, panels."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

# Okabe and Ito 2008, colours that colour-blind people tell apart; black left out.
PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442",
)  # fmt: skip
FONT_SIZE = 8  # points
_SMALL = 512  # pixels; up to here an image is shown with its pixels as squares


def color(index):
    """Returns a colour, float64 [3] RGB on [0, 1]; seven hues, then paler, darker."""
    base = np.array(to_rgb(PALETTE[index % len(PALETTE)]))
    shade = index // len(PALETTE) % 3
    return (base, 0.5 * base + 0.5, 0.55 * base)[shade]


def blend(image, mask, color, alpha=0.4):
    """Lays a translucent colour over the pixels of a mask.

    Args:
        image: uint8 [H, W, 3].
        mask: bool [H, W].
        color: three floats, RGB on [0, 1].
        alpha: share of the colour, 0 to 1.
    Returns:
        uint8 [H, W, 3], a new image.
    """
    blended = image.copy()
    mixed = (1 - alpha) * image[mask] + alpha * 255 * np.asarray(color)  # [pixels, 3]
    blended[mask] = np.rint(mixed).astype(np.uint8)
    return blended


def outline(mask):
    """Finds the pixel edges between a mask and what is not the mask.

    Edges rather than pixels, so that a line is as wide on a picture of 128 pixels
    as on a photograph.

    Args:
        mask: bool [H, W].
    Returns:
        int [S, 2, 2], S segments one pixel long, each two points (x, y).
    """
    padded = np.pad(mask, 1)
    # A mask pixel differs from its upper neighbour: a horizontal segment at its top.
    y, x = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    horizontal = np.stack([np.stack([x, y], 1), np.stack([x + 1, y], 1)], 1)
    y, x = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    vertical = np.stack([np.stack([x, y], 1), np.stack([x, y + 1], 1)], 1)
    return np.concatenate([horizontal, vertical])  # [S, 2, 2]


def panels(count, columns=4, height_to_width=1.0, titles=None):
    """Makes a figure of empty panels, to give as `axes` to the functions here.

    Args:
        count: number of panels.
        columns: panels in a row, at most.
        height_to_width: shape of a panel.
        titles: `count` strings, or None.
    Returns:
        (figure, list of `count` axes).
    """
    columns = max(1, min(count, columns))
    rows = max(1, -(-count // columns))
    side = min(6, 12 / columns)  # inches; 12 is about what a notebook shows
    heading = 0.3 if titles else 0
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(columns * side, rows * (side * height_to_width + heading)),
        layout="compressed",
        squeeze=False,
    )
    plt.close(figure)
    axes = axes.ravel().tolist()
    for panel in axes:
        panel.set_axis_off()
    if titles:
        for panel, title in zip(axes[:count], titles, strict=True):
            panel.set_title(title, fontsize=FONT_SIZE + 2)
    return figure, axes[:count]


def check_image(image):
    """Returns `image` as an array; raises ValueError unless it is uint8 [H, W, 3]."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"the image must be uint8 [H, W, 3], found {image.dtype} "
            f"{list(image.shape)}; multiply a float image on [0, 1] by 255 and use "
            ".astype(np.uint8)"
        )
    return image


def show_image(image, title=None, axes=None):
    """Shows uint8 [H, W, 3] in `axes`, or in a new figure; returns the axes."""
    height, width = image.shape[:2]
    if axes is None:
        _, (axes,) = panels(1, height_to_width=height / width)
    small = max(height, width) <= _SMALL
    axes.imshow(
        image,
        # (0, 0) is the top-left corner of the top-left pixel, as for boxes.
        extent=(0, width, height, 0),
        interpolation="nearest" if small else "antialiased",
    )
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=FONT_SIZE + 2)
    return axes


def draw_lines(axes, lines, colors, width, style="solid"):
    """Draws polylines.

    Args:
        axes: where.
        lines: float [N, P, 2], P points (x, y) each, in pixels.
        colors: one colour, or N.
        width: in points.
        style: a line style of matplotlib.
    """
    drawn = LineCollection(
        lines, colors=colors, linewidths=width, linestyles=style, capstyle="projecting"
    )
    axes.add_collection(drawn, autolim=False)


def box_lines(boxes):
    """Returns the closed outlines float [N, 5, 2], points (x, y), of boxes [N, 4]."""
    y1, x1, y2, x2 = np.asarray(boxes, np.float32).reshape(-1, 4).T
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    return np.array(corners).transpose(2, 0, 1)  # [5, 2, N] -> [N, 5, 2]


def place_labels(boxes, sizes, height, width):
    """Chooses where labels stand: by their box, in the frame, off one another.

    Args:
        boxes: float [N, 4], (y1, x1, y2, x2) in pixels; the first chooses first.
        sizes: float [N, 2], height and width of each label in pixels.
        height, width: size of the frame in pixels.
    Returns:
        float [N, 2], the top-left corner (y, x) of each label.
    """
    placed = np.zeros((0, 4))
    for (y1, x1, y2, x2), (tall, wide) in zip(boxes, sizes, strict=True):
        # Above the box, inside at its top and its bottom, below it; at its left,
        # then at its right.
        tops, lefts = (y1 - tall, y1, y2 - tall, y2), (x1, x2 - wide)
        corners = np.array([(top, left) for left in lefts for top in tops])
        corners = corners.clip(0, [max(height - tall, 0), max(width - wide, 0)])
        size = np.array([tall, wide])
        places = np.concatenate([corners, corners + size], axis=1)  # [8, 4]
        low = np.maximum(places[:, None, :2], placed[:, :2])  # [8, placed, 2]
        high = np.minimum(places[:, None, 2:], placed[:, 2:])
        covered = np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)  # [8]
        placed = np.concatenate([placed, places[[covered.argmin()]]])
    return placed[:, :2]


def write_labels(axes, texts, boxes, colors):
    """Writes a text on a plate of its colour beside each box."""
    drawn = []
    for text, plate in zip(texts, colors, strict=True):
        luminance = np.dot(plate, (0.299, 0.587, 0.114))
        drawn.append(
            axes.text(
                0,
                0,
                text,
                fontsize=FONT_SIZE,
                color="black" if luminance > 0.45 else "white",
                va="top",
                bbox={"boxstyle": "square,pad=0.15", "color": plate, "linewidth": 0},
            )
        )
    if not drawn:
        return
    # How large a text is in pixels of the image is known once it has been drawn.
    axes.figure.draw_without_rendering()
    x1, x2 = axes.get_xlim()
    y2, y1 = axes.get_ylim()
    scale = (x2 - x1) / axes.bbox.width
    plates = [text.get_bbox_patch().get_window_extent() for text in drawn]
    sizes = np.array([(plate.height, plate.width) for plate in plates]) * scale
    inner = [text.get_window_extent() for text in drawn]
    corners = place_labels(boxes, sizes, y2 - y1, x2 - x1)
    for text, (y, x), plate, letters in zip(drawn, corners, plates, inner, strict=True):
        text.set_x(x + (letters.x0 - plate.x0) * scale)
        text.set_y(y + (plate.y1 - letters.y1) * scale)
