"""Three networks that look once: the paper's, one on VGG16, and a small one.

Each is a plain Keras model whose last layer, `Cells`, knows what its numbers mean.
"""

import keras
from keras import layers

BACKBONES = ("small", "darknet", "vgg16")
LEAK = 0.1  # of the leaky ReLU below zero; the paper's
DROPOUT = 0.5  # after the first dense layer
# Pixels a side; at 7 x 7 cells a cell is 16 pixels of the first, 64 of the others.
SIZES = {"small": 112, "darknet": 448, "vgg16": 448}
# Of the last layer's weights: hardly any object anywhere is the best first guess.
FAINT = keras.initializers.RandomNormal(stddev=0.01)
# The small network's channels at strides 2, 4, 8, ...; the last is repeated.
SMALL_CHANNELS = (16, 32, 64, 128, 256)
# Channels, side of the kernel and stride of figure 3's 24 convolutions; "pool" halves.
# The first twenty are those that the paper trains on ImageNet first.
DARKNET = (
    *((64, 7, 2), "pool"),
    *((192, 3, 1), "pool"),
    *((128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1), "pool"),
    *(((256, 1, 1), (512, 3, 1)) * 4),
    *((512, 1, 1), (1024, 3, 1), "pool"),
    *(((512, 1, 1), (1024, 3, 1)) * 2),
)
# The last four, which come after any pretrained network.
DETECTION = ((1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1))


@keras.saving.register_keras_serializable("mrcnn_tf>yolo")
class Cells(layers.Layer):
    """Lays a network's numbers out as the grid, and knows what they mean.

    Args:
        grid: S, cells a side.
        boxes_per_cell: B.
        classes: C class names without background.

    Call it with float [N, S * S * (5B + C)], or in any shape of as many numbers an
    image. Returns float32 [N, S, S, 5B + C]; their order stands in `cells`.
    """

    def __init__(self, grid, boxes_per_cell, classes, **kwargs):
        super().__init__(**kwargs)
        self.grid = grid
        self.boxes_per_cell = boxes_per_cell
        self.classes = tuple(classes)

    @property
    def depth(self):
        """Numbers of one cell, 5B + C."""
        return 5 * self.boxes_per_cell + len(self.classes)

    def call(self, numbers):
        """Reshapes."""
        return keras.ops.reshape(numbers, (-1, self.grid, self.grid, self.depth))

    def get_config(self):
        """The arguments, for `save`."""
        return {
            **super().get_config(),
            "grid": self.grid,
            "boxes_per_cell": self.boxes_per_cell,
            "classes": self.classes,
        }


def build(classes, backbone="small", size=None, grid=7, boxes_per_cell=2):
    """Builds a YOLO with random weights.

    "small" trains on a processor and departs from the paper: batch norm, which YOLOv2
    brought, and in place of the dense layers a convolution, which all cells share.
    "darknet" is figure 3 of the paper. "vgg16" is Keras's VGG16 with the paper's last
    layers on it; `pretrained.imagenet.load_vgg16` gives it what it learnt on ImageNet,
    without which it hardly learns.

    Args:
        classes: C class names without background.
        backbone: one of `BACKBONES`.
        size: pixels a side of the square image it sees; None for that of `SIZES`. A
            multiple of 64 for "darknet" and "vgg16". "small" takes any, and learns best
            where a cell is 8, 16 or 32 pixels: its features then lie on the cells.
        grid: S, cells a side.
        boxes_per_cell: B.
    Returns:
        keras.Model called "yolo": float32 [N, size, size, 3], 0 to 255, to float32
        [N, S, S, 5B + C], not limited to 0 to 1; `cells.decode` reads it. The last
        layer is the `Cells` called "cells".
    Raises:
        ValueError: says which argument is wrong.
    Source: Redmon et al. 2016, section 2.1 and figure 3.
    """
    if backbone not in BACKBONES:
        raise ValueError(
            f"yolo: backbone must be one of {', '.join(BACKBONES)}, found {backbone!r}"
        )
    size = SIZES[backbone] if size is None else size
    if isinstance(classes, str) or not (classes := tuple(classes)):
        raise ValueError(
            "yolo: expected a list of class names, what the network is to find, found "
            f"{classes!r}"
        )
    for name, value in (("grid", grid), ("boxes_per_cell", boxes_per_cell)):
        if value < 1:
            raise ValueError(f"yolo: {name} must be at least 1, found {value}")
    if backbone == "small" and size < 2 * grid:
        raise ValueError(
            f"yolo: size must be at least two pixels a cell, found {size} for "
            f"{grid} cells"
        )
    if backbone != "small" and (size < 64 or size % 64):
        raise ValueError(f"yolo: size must be a multiple of 64, found {size}")
    image = keras.Input((size, size, 3), name="image")
    cells = Cells(grid, boxes_per_cell, classes, name="cells")
    network = {"small": _small, "darknet": _darknet, "vgg16": _vgg16}[backbone]
    return keras.Model(image, cells(network(image, cells)), name="yolo")


def _small(image, cells):
    x = layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(image)  # [-1, 1]
    size = image.shape[1]
    halvings = (size // cells.grid).bit_length() - 1  # down to S, or just above
    for number in range(halvings):
        channels = SMALL_CHANNELS[min(number, len(SMALL_CHANNELS) - 1)]
        x = _normed(x, channels, 2, f"down_{number + 1}")  # half the size
        x = _normed(x, channels, 1, f"look_{number + 1}")
    if x.shape[1] != cells.grid:
        # About the middles of pixels, so that cells and features lie on each other.
        x = layers.Resizing(cells.grid, cells.grid, name="to_grid")(x)
    for number in range(3):
        x = _normed(x, x.shape[-1], 1, f"think_{number + 1}")
    return layers.Conv2D(cells.depth, 1, kernel_initializer=FAINT, name="numbers")(
        x
    )  # [N, S, S, 5B + C]


def _normed(x, channels, stride, name):
    x = layers.Conv2D(
        channels,
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.97, name=f"{name}_norm")(x)
    return layers.LeakyReLU(LEAK, name=f"{name}_leaky")(x)


def _darknet(image, cells):
    x = layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(image)  # [-1, 1]
    x = _convolutions(x, DARKNET, first=1)  # [N, size / 32, size / 32, 1024]
    return _detection(x, cells, first=21)


def _vgg16(image, cells):
    # What ImageNet's means leave; the first kernel is turned from BGR when it is read.
    x = layers.Rescaling(1.0, offset=(-123.68, -116.779, -103.939), name="normalize")(
        image
    )
    network = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=image.shape[1:]
    )
    encoder = keras.Model(network.input, network.output, name="encoder")
    return _detection(encoder(x), cells, first=14)  # of [N, size / 32, size / 32, 512]


def _detection(x, cells, first):
    """The four convolutions and two dense layers that turn features into a grid."""
    x = _convolutions(x, DETECTION, first)  # [N, size / 64, size / 64, 1024]
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, kernel_initializer="he_normal", name="dense")(x)
    x = layers.LeakyReLU(LEAK, name="dense_leaky")(x)
    x = layers.Dropout(DROPOUT, name="dropout")(x)
    return layers.Dense(
        cells.grid**2 * cells.depth, kernel_initializer=FAINT, name="numbers"
    )(x)  # linear


def _convolutions(x, plan, first):
    number = first
    for step in plan:
        if step == "pool":
            x = layers.MaxPooling2D(name=f"pool_{number - 1}")(x)
            continue
        channels, kernel, stride = step
        x = layers.Conv2D(
            channels,
            kernel,
            strides=stride,
            padding="same",
            kernel_initializer="he_normal",
            name=f"conv_{number}",
        )(x)
        x = layers.LeakyReLU(LEAK, name=f"leaky_{number}")(x)
        number += 1
    return x
