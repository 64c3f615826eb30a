"""Mask R-CNN: the parts put together, as three graphs over the same layers.

    training:    images and ground truth -> five losses
    inference:   images -> detections with their masks
    inspection:  images -> every intermediate by name

Source: He et al. 2017, on the feature pyramid of Lin et al. 2017.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mrcnn_tf import (
    backbones,
    fpn,
    heads,
    losses,
    masks,
    rle,
    rpn,
)
from mrcnn_tf.anchors import Anchors
from mrcnn_tf.config import Config
from mrcnn_tf.datasets.images import as_rgb
from mrcnn_tf.detections import Detections, MaskProbabilities
from mrcnn_tf.inputs import Normalize, network_size, padded_size, resize_image
from mrcnn_tf.proposals import Proposals
from mrcnn_tf.result import Result
from mrcnn_tf.roi import RoIAlign
from mrcnn_tf.targets import RoITargets, RPNTargets
from mrcnn_tf.training.optimizer import make_optimizer


@keras.saving.register_keras_serializable("mrcnn_tf")
class MaskRCNN(keras.Model):
    """The model that people build, fit, save and ask.

    Attributes:
        config: the `Config` it was made from.
        backbone, fpn, rpn, box_head, mask_head: functional models.
        training_graph, inference_graph, inspection_graph: functional models over
            those five; see the functions of the same names.
    """

    supports_jit = False  # NMS and CropAndResize have no XLA kernels

    def __init__(self, config, name="mask_rcnn", **kwargs):
        super().__init__(name=name, **kwargs)
        if not config.classes:
            raise ValueError(
                "config.classes is empty: name what the network is to find, "
                'as in Config.preset("tiny", classes=("cat", "dog"))'
            )
        self.config = config
        channels = config.backbone.fpn_channels
        self.backbone = backbones.build(config.backbone)
        backbones.freeze(self.backbone, config.train.frozen_stages)
        self.fpn = fpn.build([c.shape[-1] for c in self.backbone.outputs], channels)
        self.rpn = rpn.build(channels, len(config.rpn.anchor_ratios))
        self.box_head = heads.box_head(
            channels, config.num_outputs, config.roi.box_size, config.roi.box_units
        )
        self.mask_head = heads.mask_head(
            channels,
            config.num_outputs,
            config.roi.mask_size,
            config.roi.mask_convs,
            config.roi.mask_channels,
        )
        self.training_graph = training_graph(self)
        self.inspection_graph = inspection_graph(self)
        self.inference_graph = keras.Model(
            self.inspection_graph.inputs,
            {n: self.inspection_graph.output[n] for n in DETECTION_NAMES},
            name="inference",
        )
        self._loss_means = [keras.metrics.Mean(name) for name in losses.NAMES]
        self._infer = tf.function(
            self.inference_graph,
            input_signature=[
                {
                    "images": tf.TensorSpec([None, None, None, 3], tf.float32),
                    "sizes": tf.TensorSpec([None, 2], tf.int32),
                }
            ],
        )
        self.built = True

    def call(self, inputs, training=None):
        """Losses where there is ground truth among the inputs, else detections."""
        graph = self.training_graph if "boxes" in inputs else self.inference_graph
        return graph({name: inputs[name] for name in graph.input}, training=training)

    def compile(self, optimizer=None, jit_compile=False, **kwargs):
        """Prepares `fit`; without an optimizer, with the one of `config.train`.

        Biases and norms are kept from weight decay, whichever the optimiser.
        """
        if optimizer is None:
            optimizer = make_optimizer(self.config.train)
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        # Left to the first step, it would have Keras trace that step twice.
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        """The means of the five losses, which `fit` and `evaluate` report."""
        return [*super().metrics, *self._loss_means]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The sum of the five losses; stops where one is not finite.

        Raises:
            tf.errors.InvalidArgumentError: names the images, before the optimiser
                has touched a weight.
        """
        per_image = tf.stack([y_pred[name] for name in losses.NAMES], axis=1)  # [B, 5]
        finite = tf.reduce_all(tf.math.is_finite(per_image), axis=1)  # [B]
        check = tf.debugging.Assert(
            tf.reduce_all(finite),
            [
                "The loss is not finite, at dataset index",
                tf.boolean_mask(x["image_index"], ~finite),
                "; losses",
                losses.NAMES,
                tf.boolean_mask(per_image, ~finite),
                "; no weight was changed by this batch. Look at that image's boxes; "
                "if it is sound, lower train.learning_rate or set train.clip_norm.",
            ],
            summarize=20,
        )
        # In eager mode there is no op to wait for: Assert has raised by now.
        with tf.control_dependencies([] if check is None else [check]):
            totals = tf.unstack(tf.reduce_sum(per_image, axis=0))
        for mean, total in zip(self._loss_means, totals, strict=True):
            mean.update_state(total)
        return tf.add_n(totals)

    def detect(self, images):
        """Finds objects.

        Args:
            images: uint8 [H, W, 3] RGB of any size, or a list of such.
        Returns:
            `Result` in pixels of the image, or a list of them.
        Raises:
            ValueError: if an image is not what `datasets.images.as_rgb` takes.
        """
        if isinstance(images, (list, tuple)):
            return [self.detect(image) for image in images]
        image = as_rgb(images)
        outputs = self._infer(self._network_inputs(image))
        return self._result(outputs, *image.shape[:2])

    def inspect(self, image):
        """Runs one image, uint8 [H, W, 3], through the inspection graph.

        Returns:
            dict of every intermediate as NumPy arrays, by name, with a batch
            dimension of 1; boxes in pixels of the network's input. The names stand
            in the order in which data flows.
        """
        outputs = self.inspection_graph(self._network_inputs(as_rgb(image)))
        return {name: np.asarray(value) for name, value in outputs.items()}

    @classmethod
    def load(cls, path):
        """Loads a whole model, with its config and classes.

        Args:
            path: of a `.keras` file that `save` or a training run wrote.
        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file; is the path right?")
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path}: not a .keras file, or damaged; save it again")
        model = keras.models.load_model(path)
        if not isinstance(model, cls):
            raise ValueError(f"{path}: holds a {type(model).__name__}, no MaskRCNN")
        return model

    def load_weights(self, filepath, **kwargs):
        """Loads weights that a model of the same classes saved.

        Args:
            filepath: a `.keras` or `.weights.h5` file.
        Raises:
            ValueError: if the file is of another network or other classes.
        """
        advice = (
            "load a whole model with MaskRCNN.load, or make this one with "
            "the file's config and classes"
        )
        if zipfile.is_zipfile(filepath):
            saved = json.loads(zipfile.ZipFile(filepath).read("config.json"))
            classes = tuple(saved["config"].get("config", {}).get("classes", ()))
            if classes != self.config.classes:
                raise ValueError(
                    f"{filepath}: weights for the classes {classes}, this model has "
                    f"{self.config.classes}; {advice}"
                )
        try:
            super().load_weights(filepath, **kwargs)
        except ValueError as error:
            raise ValueError(
                f"{filepath}: not the weights of this model, which has the classes "
                f"{self.config.classes}; {advice}: {error}"
            ) from error

    def get_config(self):
        """The config as plain values; Keras saves it with the weights."""
        return {"config": self.config.to_dict(), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Rebuilds the model that `get_config` described."""
        return cls(Config.from_dict(config["config"]), name=config["name"])

    def _network_inputs(self, image):
        image_config = self.config.image
        height, width = network_size(*image.shape[:2], image_config)
        padded = padded_size(height, width, image_config)
        image = resize_image(image, height, width)
        image = tf.pad(image, [[0, padded[0] - height], [0, padded[1] - width], [0, 0]])
        return {"images": image[None], "sizes": tf.constant([[height, width]])}

    def _result(self, outputs, height, width):
        """Takes the detections of one image back to its own pixels."""
        boxes, classes, scores, probabilities = (
            outputs[name][0].numpy() for name in DETECTION_NAMES
        )
        found = classes > 0
        new_height, new_width = network_size(height, width, self.config.image)
        scale = np.array([height / new_height, width / new_width] * 2, np.float32)
        boxes = boxes[found] * scale
        threshold = self.config.detection.mask_threshold
        return Result(
            boxes=boxes,
            classes=classes[found],
            scores=scores[found],
            rles=tuple(
                rle.encode(masks.paste(probability, box, height, width, threshold))
                for probability, box in zip(probabilities[found], boxes, strict=True)
            ),
            height=height,
            width=width,
            class_names=self.config.classes,
        )


DETECTION_NAMES = (
    "detection_boxes",
    "detection_classes",
    "detection_scores",
    "detection_masks",
)


def training_graph(model):
    """Builds the graph that `fit` runs.

    Args:
        model: a MaskRCNN with its five parts.
    Returns:
        keras.Model: the dict of `datasets.batches`, less `image_index`, to a dict of
        the five losses, float32 [B] each, by the names in `losses.NAMES`.
    """
    config = model.config
    slots = config.train.max_objects
    inputs = {
        **_image_inputs(),
        "boxes": keras.Input((slots, 4), name="boxes"),
        "classes": keras.Input((slots,), dtype="int32", name="classes"),
        "crowd": keras.Input((slots,), dtype="bool", name="crowd"),
        "masks": keras.Input((slots, None, None), dtype="uint8", name="masks"),
    }
    truth = [inputs[name] for name in ("boxes", "classes", "crowd")]
    stages = _first_stage(
        model, inputs, config.rpn.pre_nms_train, config.rpn.post_nms_train
    )

    rpn_targets = RPNTargets(
        config.rpn.samples,
        config.rpn.positive_fraction,
        config.rpn.positive_iou,
        config.rpn.negative_iou,
        name="rpn_targets",
    )(stages["anchors"], *truth)
    objectness, anchor_box = losses.RPNLosses(name="rpn_losses")(
        *rpn_targets, stages["rpn_logits"], stages["rpn_deltas"]
    )

    rois, labels, box_targets, mask_targets = RoITargets(
        config.roi.samples,
        config.roi.positive_fraction,
        config.roi.positive_iou,
        config.roi.box_weights,
        2 * config.roi.mask_size,
        name="roi_targets",
    )(stages["proposals"], *truth, inputs["masks"])
    class_logits, box_deltas = model.box_head(
        _align(config, config.roi.box_size, "box_roi_align")(stages["pyramid"], rois)
    )
    # Positives stand first: the mask head sees only the slots that can hold them.
    mask_rois = rois[:, : mask_targets.shape[1]]
    mask_logits = model.mask_head(
        _align(config, config.roi.mask_size, "mask_roi_align")(
            stages["pyramid"], mask_rois
        )
    )
    roi_losses = losses.RoILosses(name="roi_losses")(
        labels, box_targets, mask_targets, class_logits, box_deltas, mask_logits
    )
    values = (objectness, anchor_box, *roi_losses)
    return keras.Model(
        inputs, dict(zip(losses.NAMES, values, strict=True)), name="training"
    )


def inspection_graph(model):
    """Builds the graph that shows every intermediate; detections are among them.

    Args:
        model: a MaskRCNN with its five parts.
    Returns:
        keras.Model: images float32 [B, H, W, 3], 0 to 255, and their sizes int32
        [B, 2], to a dict of tensors, in the order in which data flows. A list by
        level becomes entries named `rpn_logits_p2`, `rpn_logits_p3` and so on.
    """
    config = model.config
    inputs = _image_inputs()
    stages = _first_stage(
        model, inputs, config.rpn.pre_nms_test, config.rpn.post_nms_test
    )
    proposals = stages["proposals"]
    box_features = _align(config, config.roi.box_size, "box_roi_align")(
        stages["pyramid"], proposals
    )
    class_logits, box_deltas = model.box_head(box_features)
    boxes, classes, scores = Detections(
        config.roi.box_weights,
        config.detection.min_score,
        config.detection.nms_iou,
        config.detection.max_detections,
        name="detections",
    )(class_logits, box_deltas, proposals, inputs["sizes"])
    mask_features = _align(config, config.roi.mask_size, "mask_roi_align")(
        stages["pyramid"], boxes
    )
    mask_logits = model.mask_head(mask_features)
    by_level = {
        f"{name}_{level}": tensor
        for name in ("anchors", "rpn_logits", "rpn_deltas")
        for level, tensor in zip(fpn.LEVELS, stages[name], strict=True)
    }
    outputs = {
        "normalized_images": stages["normalized_images"],
        **dict(zip(("c2", "c3", "c4", "c5"), stages["backbone"], strict=True)),
        **dict(zip(fpn.LEVELS, stages["levels"], strict=True)),
        **by_level,
        "proposals": proposals,
        "proposal_logits": stages["proposal_logits"],
        "box_features": box_features,
        "class_logits": class_logits,
        "box_deltas": box_deltas,
        "detection_boxes": boxes,
        "detection_classes": classes,
        "detection_scores": scores,
        "mask_features": mask_features,
        "mask_logits": mask_logits,
        "detection_masks": MaskProbabilities(name="mask_probabilities")(
            mask_logits, classes
        ),
    }
    return keras.Model(inputs, outputs, name="inspection")


def _image_inputs():
    return {
        "images": keras.Input((None, None, 3), name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


def _first_stage(model, inputs, pre_nms, post_nms):
    """Images to proposals, a dict of everything on the way; lists are by level."""
    config = model.config
    images = Normalize(config.image.mean, config.image.std, name="normalize")(
        inputs["images"], inputs["sizes"]
    )
    backbone = model.backbone(images)
    levels = model.fpn(backbone)
    logits, deltas = zip(*(model.rpn(level) for level in levels), strict=True)
    anchors = Anchors(
        config.rpn.anchor_sizes, config.rpn.anchor_ratios, name="anchors"
    )(images, levels)
    proposals, proposal_logits = Proposals(
        pre_nms, post_nms, config.rpn.nms_iou, name="proposals"
    )(list(logits), list(deltas), anchors, inputs["sizes"])
    return {
        "normalized_images": images,
        "backbone": backbone,
        "levels": levels,
        "pyramid": levels[:4],  # P6 is for the RPN alone
        "anchors": anchors,
        "rpn_logits": list(logits),
        "rpn_deltas": list(deltas),
        "proposals": proposals,
        "proposal_logits": proposal_logits,
    }


def _align(config, size, name):
    return RoIAlign(size, backbones.STRIDES, config.roi.aligned, name=name)
