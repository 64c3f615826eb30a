"""Both questions asked of one network: what is each pixel, and which are the objects?

A network is made for one of them, and its answer holds one to the other: objects
are the regions of a class map that hang together, and a class map is what objects
cover. For each there is a setting, which `choose_setting` finds on validation images.

Another kind of network joins `compare` with a class of the same attributes and methods.
"""

from mrcnn_tf.evaluation.instances import connected_components
from mrcnn_tf.evaluation.panoptic import panoptic_counts, panoptic_scores
from mrcnn_tf.evaluation.segments import result_segments


class PixelAnswers:
    """Answers of a network that gives each pixel a class, as U-Net.

    Attributes:
        network: the Keras model.
        setting_name: what its setting is.
        settings: those worth trying; 0 drops nothing.
    """

    setting_name = "smallest region, pixels"
    settings = (0, 50, 100, 200, 400, 800, 1600, 3200, 6400)

    def __init__(self, network, predict, classes):
        """Takes a network and the function that runs it.

        Args:
            network: Keras model whose labels are background, then `classes`.
            predict: callable (network, image) to labels [H, W] and probabilities
                [H, W, 1 + K], in pixels of the image; for a U-Net `unet.predict`.
            classes: K class names without background.
        """
        self.network, self.classes = network, tuple(classes)
        self._predict = predict

    def look(self, image):
        """Passes an image, uint8 [H, W, 3], through the network.

        Returns:
            what `semantic` and `instances` take.
        Raises:
            ValueError: if the network answers another number of labels.
        """
        labels, probabilities = self._predict(self.network, image)
        if probabilities.shape[-1] != 1 + len(self.classes):
            raise ValueError(
                f"the network tells {probabilities.shape[-1]} labels apart, expected "
                f"background and {', '.join(self.classes)}; train it on these"
            )
        return labels, probabilities.max(axis=-1)

    def semantic(self, seen, setting):
        """Returns the class of each pixel, integers [H, W], 0 background."""
        return seen[0]

    def instances(self, seen, setting):
        """Returns a `Result`: the connected regions of at least `setting` pixels."""
        labels, probability = seen
        return connected_components(labels, self.classes, setting, probability)


class ObjectAnswers:
    """Answers of a network that finds objects with masks, as Mask R-CNN.

    Attributes:
        network: the Keras model, whose `detect(image)` gives a `Result`.
        setting_name: what its setting is.
        settings: those worth trying; 0 drops nothing.
    """

    setting_name = "lowest score"
    settings = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

    def __init__(self, network):
        self.network = network

    def look(self, image):
        """Passes an image, uint8 [H, W, 3], through the network.

        Returns:
            what `semantic` and `instances` take.
        """
        return self.network.detect(image)

    def semantic(self, seen, setting):
        """Returns the class of each pixel, int32 [H, W], 0 background."""
        return result_segments(seen.keep(setting), min_visible=0).class_map()

    def instances(self, seen, setting):
        """Returns a `Result`: the detections of at least the score `setting`."""
        return seen.keep(setting)


def choose_setting(contender, samples, classes):
    """Tries the settings of a network on validation images.

    Args:
        contender: `PixelAnswers`, `ObjectAnswers` or another such.
        samples: iterable of `Sample` with masks; never those of the comparison.
        classes: class names without background.
    Returns:
        the setting of the best PQ, the first of equals; and a dict from each setting
        to its PQ.
    Raises:
        ValueError: if there are no samples, or none of them has an object.
    """
    counts = {setting: [] for setting in contender.settings}
    objects = 0
    for sample in samples:
        objects += int((~sample.crowd).sum())
        seen = contender.look(sample.image)
        for setting, images in counts.items():
            result = contender.instances(seen, setting)
            images.append(panoptic_counts(sample, result, classes))
    if objects == 0:
        raise ValueError(
            "a setting is chosen by the objects found, and these validation samples "
            "have none"
        )
    quality = {
        setting: panoptic_scores(images, classes)["PQ"]
        for setting, images in counts.items()
    }
    return max(quality, key=quality.get), quality
