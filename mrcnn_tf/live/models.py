"""Any model of this package from its file: what is in it is found by looking."""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """What a U-Net says of an image.

    Attributes:
        map: uint8 [H, W], the label of each pixel.
        names: of the labels; what is called background is not painted.
    """

    map: np.ndarray
    names: tuple

    def keep(self, min_score):
        """Returns itself: labels have no scores."""
        return self


class UNetLabeller:
    """A U-Net behind the method that detectors have.

    Args:
        model: a U-Net of `mrcnn_tf.unet`.
        names: of its labels.
    """

    def __init__(self, model, names):
        self.model, self.names = model, tuple(names)

    def detect(self, image):
        """Labels uint8 RGB [H, W, 3]; returns `Labels`."""
        from mrcnn_tf import unet

        return Labels(unet.predict(self.model, image)[0], self.names)


def load(path):
    """Loads a Mask R-CNN, a YOLO or a U-Net.

    Args:
        path: of a `.keras` file.
    Returns:
        MaskRCNN, yolo.Detector or UNetLabeller: `detect(image)` answers.
    Raises:
        FileNotFoundError: if the file, or what belongs beside it, is missing.
        ValueError: if it is no `.keras` file, or of none of these networks.
    """
    # Each loads TensorFlow, which those who bring a model of their own may not need.
    kind = stored_name(path)
    if kind.startswith("yolo"):
        from mrcnn_tf import yolo

        return yolo.load(path)
    if kind == "unet":
        from mrcnn_tf import unet
        from mrcnn_tf.datasets.semantic import label_names

        labels, classes = unet.saved_labels(path)
        model = unet.load(path, labels, classes)
        return UNetLabeller(model, label_names(labels, classes))
    from mrcnn_tf.mask_rcnn import MaskRCNN

    return MaskRCNN.load(path)  # which says what else it found


def stored_name(path):
    """Returns the name of the network in a `.keras` file, without loading it.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; is the path right?")
    try:
        with zipfile.ZipFile(path) as archive:
            stored = json.loads(archive.read("config.json"))
        return str(stored["config"]["name"])
    # A zip's parts may be broken in many ways, and what JSON holds be anything.
    except Exception as error:
        raise ValueError(
            f"{path}: not a .keras file, or damaged ({error}); save it again"
        ) from error
