"""U-Net: a class for every pixel, and no objects; Mask R-CNN's counterpart.

MobileNetV2 looks at the image at strides 2 to 32; from stride 32 each step up doubles
the size and joins what the encoder saw at that size.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from mrcnn_tf import visualize
from mrcnn_tf.datasets.images import as_rgb
from mrcnn_tf.datasets.semantic import IGNORED, label_map, label_names
from mrcnn_tf.evaluation.semantic import semantic_counts, semantic_scores
from mrcnn_tf.inputs import resize_image
from mrcnn_tf.training.monitor import Preview
from mrcnn_tf.visualize.canvas import show_image

# Of MobileNetV2, at strides 2, 4, 8, 16 and 32: the widest features at each size, and
# the end of the last block.
TAPS = (
    "block_1_expand_relu",
    "block_3_expand_relu",
    "block_6_expand_relu",
    "block_13_expand_relu",
    "block_16_project_BN",
)
# At strides 16, 8, 4, 2: half of pix2pix's and the tutorial's, whose steps up cost
# several times what the encoder does.
UP_CHANNELS = (256, 128, 64, 32)
LAST_BLOCK = 16  # of MobileNetV2
# Beside a saved U-Net: what its labels are, which three numbers do not show.
LABELS_FILE = "unet.json"


def build(num_outputs, size=128, width=100):
    """Builds a U-Net with random weights.

    The encoder is `model.get_layer("encoder")`, its layers named as in Keras
    Applications. Its batch norm always uses the statistics of pretraining.

    Args:
        num_outputs: K, labels to tell apart.
        size: S, side of the image it sees in pixels, a multiple of 32.
        width: alpha of MobileNetV2, the width multiplier, in hundredths.
    Returns:
        keras.Model: float32 [B, S, S, 3], 0 to 255, to logits float32 [B, S, S, K].
    Raises:
        ValueError: for another size, or fewer than two labels.
    Source: Ronneberger et al. 2015 for the U; the encoder and its taps as in
        TensorFlow's segmentation tutorial, the steps up as in pix2pix, Isola et al.
        2017.
    """
    if size < 32 or size % 32:
        raise ValueError(
            f"unet: size must be a multiple of 32, as five halvings ask for, found "
            f"{size}; the next is {32 * (max(size, 0) // 32 + 1)}"
        )
    if num_outputs < 2:
        raise ValueError(f"unet: expected at least 2 labels, found {num_outputs}")
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(image)  # [-1, 1]
    *skips, x = _encoder(size, width)(x)  # [B, S/32, S/32, C]
    for channels, skip in zip(UP_CHANNELS, reversed(skips), strict=True):
        x = _upsample(x, channels, f"up_{size // skip.shape[1]}")  # twice the size
        x = layers.Concatenate()([x, skip])
    logits = layers.Conv2DTranspose(
        num_outputs, 3, strides=2, padding="same", name="logits"
    )(x)  # [B, S, S, K]
    return keras.Model(image, logits, name="unet")


def _encoder(size, width):
    network = keras.applications.MobileNetV2(
        (size, size, 3), alpha=width / 100, include_top=False, weights=None
    )
    for layer in network.layers:
        # `training=False` where the encoder is called would not do: the U-Net's own
        # training=True overrides it (keras issue 20285).
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    outputs = [network.get_layer(name).output for name in TAPS]
    return keras.Model(network.input, outputs, name="encoder")


def _upsample(x, channels, name):
    x = layers.Conv2DTranspose(
        channels,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def measure_norms(model, images):
    """Gives the encoder's batch norms the statistics of one batch of images.

    A network that starts from random weights needs it: its encoder's batch norms do
    not learn, and divide by 1 where they should divide by the deviation of what comes
    in. Signals then fade from layer to layer, to a billionth at stride 32.

    Args:
        model: what `build` returned, without pretrained weights.
        images: float32 [B, S, S, 3], 0 to 255, of `semantic_batches`.
    """
    encoder = model.get_layer("encoder")
    norms = [x for x in encoder.layers if isinstance(x, layers.BatchNormalization)]
    states = [(norm.trainable, norm.momentum) for norm in norms]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0  # keep the next batch's alone
    encoder(model.get_layer("normalize")(images), training=True)
    for norm, (trainable, momentum) in zip(norms, states, strict=True):
        norm.trainable, norm.momentum = trainable, momentum


def compile_phase(model, learning_rate, encoder_from=None):
    """Compiles the model for a phase of training.

    Args:
        model: what `build` returned.
        learning_rate: of Adam; a float, or a schedule of Keras.
        encoder_from: the first block of the encoder that learns, 0 (all of it) to
            16; None holds the whole encoder still. The rest always learns.
    Raises:
        ValueError: for another block.
    """
    if encoder_from is not None and not 0 <= encoder_from <= LAST_BLOCK:
        raise ValueError(
            f"unet: encoder_from must be 0 to {LAST_BLOCK}, or None, found "
            f"{encoder_from}"
        )
    learns = encoder_from == 0
    for layer in model.get_layer("encoder").layers:
        learns = learns or layer.name.startswith(f"block_{encoder_from}_")
        layer.trainable = learns and not isinstance(layer, layers.BatchNormalization)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=IGNORED
        ),
        metrics=[
            keras.metrics.MeanIoU(
                model.output_shape[-1],
                ignore_class=IGNORED,
                sparse_y_pred=False,
                name="mean_iou",
            )
        ],
        jit_compile=False,
    )
    # Now, not within the first step, which Keras would trace twice.
    model.optimizer.build(model.trainable_variables)


def save_labels(folder, labels, classes):
    """Writes what the U-Net saved in this folder answers, for `load`.

    Args:
        folder: that the `.keras` file is, or will be, in.
        labels: "trimap" or "class".
        classes: class names of the data, without background.
    """
    about = {"labels": labels, "classes": list(classes)}
    (Path(folder) / LABELS_FILE).write_text(json.dumps(about), encoding="utf-8")


def saved_labels(path):
    """Reads what the U-Net in a file answers.

    Args:
        path: of a `.keras` file, with what `save_labels` wrote beside it.
    Returns:
        labels, "trimap" or "class", and the list of class names, without background.
    Raises:
        FileNotFoundError: if either file is missing.
        ValueError: if what lies beside it was not written by `save_labels`.
    """
    path = Path(path)
    about = path.parent / LABELS_FILE
    for file in (path, about):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file}: no such file; scripts/train_unet.py writes a U-Net, and "
                f"{LABELS_FILE} beside it"
            )
    try:
        found = json.loads(about.read_text(encoding="utf-8"))
        return found["labels"], list(found["classes"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{about}: not what scripts/train_unet.py writes ({error!r}); copy it "
            "again with the network"
        ) from error


def load(path, labels, classes):
    """Loads a U-Net that answers what you expect.

    Args:
        path: of a `.keras` file, with what `save_labels` wrote beside it.
        labels: "trimap" or "class".
        classes: class names of the data, without background.
    Returns:
        keras.Model, as of `build`.
    Raises:
        FileNotFoundError: if either file is missing.
        ValueError: if the file holds another network, or its labels are others.
    """
    found_labels, found_classes = saved_labels(path)
    if found_labels != labels or found_classes != list(classes):
        raise ValueError(
            f"{Path(path).parent / LABELS_FILE}: the U-Net answers {found_labels!r} of "
            f"{', '.join(found_classes)}, expected {labels!r} of "
            f"{', '.join(classes)}; train it on the same data, with --labels {labels}"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a .keras file, or damaged; save it again")
    model = keras.models.load_model(path)
    if model.name != "unet":
        raise ValueError(f"{path}: holds a network called {model.name!r}, no U-Net")
    return model


def create_mask(logits):
    """Returns the label of the highest logit: [B, H, W, K] to uint8 [B, H, W]."""
    return np.argmax(logits, axis=-1).astype(np.uint8)


def predict(model, image):
    """Labels each pixel of an image of any size.

    Args:
        model: a U-Net.
        image: uint8 RGB [H, W, 3], or what else `as_rgb` takes.
    Returns:
        labels uint8 [H, W], and probabilities float32 [H, W, K], in the image's own
        pixels: the logits are resized, bilinearly, before the highest is taken.
    Raises:
        ValueError: if the image is none.
    """
    image = as_rgb(image)
    size = model.input_shape[1]
    logits = model.predict_on_batch(resize_image(image, size, size)[None])
    logits = tf.image.resize(logits, image.shape[:2])  # [1, H, W, K]
    return create_mask(logits)[0], tf.nn.softmax(logits)[0].numpy()


def evaluate(model, dataset, labels):
    """Measures a U-Net on a dataset, in each image's own pixels.

    Args:
        model: a U-Net.
        dataset: `len`, `[i]` giving a Sample, and `classes`.
        labels: "trimap" or "class", what the model was trained to answer.
    Returns:
        dict of `evaluation.semantic.semantic_scores`.
    Raises:
        ValueError: for another question, or a model of another number of labels.
    """
    names = label_names(labels, dataset.classes)
    if model.output_shape[-1] != len(names):
        raise ValueError(
            f"the U-Net tells {model.output_shape[-1]} labels apart, the question "
            f"{labels!r} has {len(names)}: {', '.join(names)}"
        )
    samples = (dataset[index] for index in range(len(dataset)))
    counts = (
        semantic_counts(
            label_map(sample, labels), predict(model, sample.image)[0], len(names)
        )
        for sample in samples
    )
    return semantic_scores(counts, names)


def preview(samples, labels, classes, show, every=1):
    """Makes the callback that shows what the model answers: before it learns, and on.

    Args:
        samples: a few Samples.
        labels: "trimap" or "class", what the model is trained to answer.
        classes: class names without background.
        show: called with (epochs done, figure): saves it, or displays it.
        every: epochs between two calls.
    Returns:
        `training.Preview`.
    """

    def answers(model, images):
        return [predict(model, image)[0] for image in images]

    def draw(epoch, answers):
        show(epoch, draw_answers(samples, answers, labels, classes))

    return Preview([sample.image for sample in samples], draw, every, answers)


def draw_answers(samples, answers, labels, classes):
    """Draws images, below them the truth, and below that a model's answers.

    Args:
        samples: list of Samples.
        answers: list of label maps, integers [H, W] of the image's size.
        labels: "trimap" or "class".
        classes: class names without background.
    Returns:
        the matplotlib figure.
    """
    count = len(samples)
    shape = max(sample.height / sample.width for sample in samples)
    titles = [title for title in ("image", "truth", "answer") for _ in samples]
    figure, axes = visualize.panels(3 * count, count, shape, titles)
    for column, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        show_image(sample.image, axes=axes[column])
        for row, values in ((1, label_map(sample, labels)), (2, answer)):
            panel = axes[row * count + column]
            if labels == "trimap":
                visualize.draw_trimap(sample.image, values + 1, axes=panel)
            else:
                known = np.where(values == IGNORED, 0, values)
                visualize.draw_semantic(sample.image, known, classes, axes=panel)
    return figure
