"""What a network computes and how it learns: features, masks, losses."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from mrcnn_tf.visualize.canvas import color, panels


def draw_features(features, channels=None, columns=4):
    """Draws channels of a feature map, each stretched from its lowest to highest.

    Args:
        features: float [H, W, C].
        channels: indices; None takes the 16 that vary most, the most varied first.
        columns: panels in a row.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if `features` has not three dimensions.
    """
    features = np.asarray(features)
    if features.ndim != 3:
        raise ValueError(
            f"features must be [H, W, C], found {list(features.shape)}; "
            "take one image of the batch"
        )
    if channels is None:
        channels = np.argsort(-features.std(axis=(0, 1)), kind="stable")[:16]
    titles = [f"channel {channel}" for channel in channels]
    figure, axes = panels(
        len(titles), columns, features.shape[0] / features.shape[1], titles
    )
    for panel, channel in zip(axes, channels, strict=True):
        panel.imshow(features[..., channel], "viridis", interpolation="nearest")
    return figure


def draw_mask_probabilities(probabilities, names=None, columns=6):
    """Draws the mask head's answer for each detection, on one scale from 0 to 1.

    Args:
        probabilities: float [D, m, m], 0 to 1.
        names: D strings, or None.
        columns: panels in a row.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if `probabilities` has not three dimensions.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3:
        raise ValueError(
            f"probabilities must be [D, m, m], found {list(probabilities.shape)}"
        )
    figure, axes = panels(len(probabilities), columns, titles=names)
    for panel, mask in zip(axes, probabilities, strict=True):
        drawn = panel.imshow(mask, "viridis", vmin=0, vmax=1, interpolation="nearest")
    if axes:
        figure.colorbar(drawn, ax=figure.axes, label="probability of object")
    return figure


def loss_curves(history, title=None):
    """Draws one line for each loss, dashed in validation.

    Args:
        history: dict from name to a value for each epoch, as `fit(...).history`, or
            a list of rows, as `csv.DictReader` reads a `CSVLogger`'s file. "loss" is
            the total, names that start with "val_" are validation, and "epoch" and
            "learning_rate" are left out.
        title: text above the picture.
    Returns:
        the matplotlib figure.
    Raises:
        ValueError: if there is no loss in `history`.
    """
    if not isinstance(history, dict):
        rows = list(history)
        history = {name: [row[name] for row in rows] for name in (rows or [{}])[0]}
    # The total first; a dict rather than a set keeps the order of the others.
    names = dict.fromkeys(name.removeprefix("val_") for name in history)
    names = [name for name in names if name not in ("epoch", "learning_rate")]
    names.sort(key=lambda name: name != "loss")
    if not names:
        raise ValueError(f"no losses to draw; the names are {list(history)}")
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    plt.close(figure)
    for index, name in enumerate(names):
        # The total stands out: black and wide.
        tone, width = ("black", 2.5) if name == "loss" else (color(index - 1), 1.5)
        for key, style in ((name, "-"), (f"val_{name}", "--")):
            if key in history:
                values = [_number(value) for value in history[key]]
                epochs = np.arange(1, len(values) + 1)
                # One epoch alone is a point, which a line would not show.
                marker = "o" if len(values) == 1 else None
                axes.plot(epochs, values, style, color=tone, lw=width, marker=marker)
        label = "total" if name == "loss" else name.replace("_", " ")
        axes.plot([], [], color=tone, lw=width, label=label)
    if any(key.startswith("val_") for key in history):
        axes.plot([], [], "--", color="gray", label="dashed: validation")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _number(value):
    """Returns a float; NaN, which is not drawn, for a gap in a CSV file."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
