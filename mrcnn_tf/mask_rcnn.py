"""Mask R-CNN: the model that people build, fit, save and ask.

Source: He et al. 2017. How its parts are put together stands in `graphs.py`.
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
    graphs,
    heads,
    losses,
    masks,
    replicas,
    rle,
    rpn,
)
from mrcnn_tf.config import Config
from mrcnn_tf.datasets.images import as_rgb
from mrcnn_tf.inputs import network_size, padded_size, resize_image
from mrcnn_tf.precision import with_precision
from mrcnn_tf.pretrained import coco
from mrcnn_tf.result import Result
from mrcnn_tf.training.optimizer import make_optimizer


@keras.saving.register_keras_serializable("mrcnn_tf")
class MaskRCNN(keras.Model):
    """Finds, names and outlines objects.

    Args:
        config: a `Config` with classes.
        name: of the model.

    Attributes:
        config: the `Config` it was made from.
        backbone, fpn, rpn, box_head, mask_head: functional models; `mask_head` is
            None where `config.roi.mask_kind` is "none".
        loss_names: of the losses that `fit` reports, four or five.
        training_graph, inference_graph, inspection_graph: functional models over
            those five; see the functions of the same names in `graphs.py`.

    Raises:
        ValueError: if the config names no classes.
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
        precision = config.train.precision
        self.backbone = with_precision(backbones.build(config.backbone), precision)
        backbones.freeze(self.backbone, config.train.frozen_stages)
        pyramid = fpn.build(
            [c.shape[-1] for c in self.backbone.outputs],
            channels,
            config.backbone.fpn_norm,
        )
        self.fpn = with_precision(pyramid, precision)
        self.rpn = with_precision(
            rpn.build(channels, len(config.rpn.anchor_ratios), config.rpn.convs),
            precision,
        )
        box_head = heads.box_head(
            channels,
            config.num_outputs,
            config.roi.box_size,
            config.roi.box_convs,
            config.roi.box_layers,
            config.roi.box_units,
            config.roi.head_norm,
        )
        self.box_head = with_precision(box_head, precision)
        self.mask_head = None
        if config.has_masks:
            mask_head = heads.mask_head(
                channels,
                config.num_mask_outputs,
                config.roi.mask_size,
                config.roi.mask_convs,
                config.roi.mask_channels,
                config.roi.head_norm,
            )
            self.mask_head = with_precision(mask_head, precision)
        self.training_graph = graphs.training_graph(self)
        self.inspection_graph = graphs.inspection_graph(self)
        self.inference_graph = graphs.inference_graph(self)
        self.loss_names = losses.NAMES if config.has_masks else losses.BOX_NAMES
        self._loss_means = [keras.metrics.Mean(name) for name in self.loss_names]
        self._infer = tf.function(
            self.inference_graph,
            input_signature=[
                {
                    "images": tf.TensorSpec([None, None, None, 3], tf.float32),
                    "sizes": tf.TensorSpec([None, 2], tf.int32),
                }
            ],
        )
        self._image_losses = tf.function(
            lambda batch: self(batch, training=False), reduce_retracing=True
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
        # The optimiser's variables live where the network's do.
        with self.distribute_strategy.scope():
            if optimizer is None:
                optimizer = make_optimizer(self.config.train)
            optimizer = keras.optimizers.get(optimizer)
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            if self.config.train.precision == "float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            super().compile(optimizer, jit_compile=jit_compile, **kwargs)
            # Left to the first step, it would have Keras trace that step twice.
            self.optimizer.build(self.trainable_variables)

    def get_compile_config(self):
        """The optimiser, for `save`; the rest of `compile` follows from the config."""
        if not self.compiled:
            return None  # a network that only predicts
        # What `compile` wraps around it, it will wrap around it again.
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return {"optimizer": keras.saving.serialize_keras_object(optimizer)}

    def compile_from_config(self, config):
        """Compiles with the optimiser that was saved."""
        self.compile(keras.saving.deserialize_keras_object(config["optimizer"]))

    @property
    def metrics(self):
        """The means of the losses, which `fit` and `evaluate` report."""
        return [*super().metrics, *self._loss_means]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The sum of the losses; stops where one is not finite.

        Raises:
            tf.errors.InvalidArgumentError: names the images, before the optimiser
                has touched a weight.
        """
        names = self.loss_names
        per_image = tf.stack([y_pred[name] for name in names], axis=1)  # [B, L]
        per_image = losses.stop_unless_finite(per_image, names, x["image_index"])
        totals = tf.reduce_sum(per_image, axis=0)  # [L]
        whole = replicas.total(tf.stop_gradient(totals))  # of all replicas
        for mean, total in zip(self._loss_means, tf.unstack(whole), strict=True):
            mean.update_state(total)
        # One kernel: TensorFlow adds the terms of `add_n` in an order of its own, which
        # is another in another process.
        return replicas.with_total(tf.reduce_sum(totals))

    def fit(self, x=None, *others, **fields):
        """Trains; Keras's own `fit`, also on several devices."""
        x = replicas.without_bools(self.distribute_strategy, x)
        return super().fit(x, *others, **fields)

    def evaluate(self, x=None, *others, **fields):
        """Measures the losses; Keras's own `evaluate`, of several devices on one."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().evaluate(x, *others, **fields)
        losses = replicas.mean_losses(self._image_losses, x, fields.get("steps"))
        return losses if fields.get("return_dict") else list(losses.values())

    def train_step(self, data):
        """Learns from a batch; Keras's own step, but for how gradients are clipped."""
        inputs, *_ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, y_pred=self(inputs, training=True))
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        gradients = replicas.clipped(gradients, self.optimizer)
        # Else what the optimiser makes of its own variables alone, a copy of all
        # momentum, is made first and held through the whole step. By one `group`: an
        # edge from each gradient to each operation takes 80 MB and more.
        with tf.control_dependencies([tf.group(*gradients)]):
            self.optimizer.apply_gradients(
                zip(gradients, self.trainable_weights, strict=True)
            )
        mean_loss, *_ = self.metrics
        images = tf.shape(inputs["image_index"])[0]
        mean_loss.update_state(loss * replicas.count(), sample_weight=images)
        return self.get_metrics_result()

    def detect(self, images, mask_threshold=None):
        """Finds objects.

        Args:
            images: uint8 [H, W, 3] RGB of any size, or a list of such.
            mask_threshold: 0 to 1, pixels whose probability is at least this are
                object; None takes `config.detection.mask_threshold`.
        Returns:
            `Result` in pixels of the image, or a list of them.
        Raises:
            ValueError: if an image is not what `datasets.images.as_rgb` takes.
        """
        if isinstance(images, (list, tuple)):
            return [self.detect(image, mask_threshold) for image in images]
        image = as_rgb(images)
        outputs = self._infer(self._network_inputs(image))
        if mask_threshold is None:
            mask_threshold = self.config.detection.mask_threshold
        return self._result(outputs, *image.shape[:2], mask_threshold)

    def inspect(self, image):
        """Runs one image, uint8 [H, W, 3], through the inspection graph.

        Returns:
            dict of every intermediate as NumPy arrays, by name, with a batch
            dimension of 1; boxes in pixels of the network's input. The names stand
            in the order in which data flows.
        """
        outputs = self.inspection_graph(self._network_inputs(as_rgb(image)))
        return {name: np.asarray(value) for name, value in outputs.items()}

    def in_precision(self, precision):
        """Makes a copy that computes in another precision, to predict.

        Args:
            precision: "float32", "bfloat16" or "float16"; see `precision.py`.
        Returns:
            MaskRCNN with the same weights, not compiled; the model itself if it
            computes so already.
        """
        if precision == self.config.train.precision:
            return self
        copy = type(self)(self.config.replace(train={"precision": precision}))
        copy.set_weights(self.get_weights())
        return copy

    @classmethod
    def from_pretrained(cls, name, path=None, classes=None, **changes):
        """Makes a network with the weights that torchvision trained on COCO.

        Prints what was taken from the file and, with other classes, what is new.

        Args:
            name: "coco", 37.9 box AP and 34.6 mask AP on val2017 as published, or
                "coco_v2", 47.4 and 41.8.
            path: of a copy of the published file; without one it is downloaded.
            classes: names of your own classes, without background, to train on. The
                config then has the schedule of `presets.FINE_TUNE`.
            **changes: to the config, as of `Config.preset`.
        Returns:
            MaskRCNN: without `classes` its classes are COCO's category ids, so that
            `result.classes` are category ids and `result.names` their names.
        Raises:
            FileNotFoundError: if the file is neither here nor to be downloaded.
            ValueError: if it is not exactly these weights, or a change of the config
                asks for another network.
        """
        model = cls(coco.coco_config(name, classes, **changes))
        print(coco.load_coco(model, name, path))
        return model

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
            with zipfile.ZipFile(filepath) as archive:
                if "config.json" not in archive.namelist():
                    raise ValueError(f"{filepath}: a zip file, but no .keras file")
                saved = json.loads(archive.read("config.json"))
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

    def _result(self, outputs, height, width, mask_threshold):
        """Takes the detections of one image back to its own pixels."""
        boxes, classes, scores = (outputs[name][0].numpy() for name in graphs.BOX_NAMES)
        found = classes > 0
        new_height, new_width = network_size(height, width, self.config.image)
        scale = np.array([height / new_height, width / new_width] * 2, np.float32)
        boxes = boxes[found] * scale
        rles = []
        if self.config.has_masks:
            probabilities = outputs[graphs.MASK_NAME][0].numpy()[found]
            for probability, box in zip(probabilities, boxes, strict=True):
                if self.config.detection.whole_pixel_boxes:
                    box = masks.whole_pixel_box(box, len(probability))
                mask = masks.paste(probability, box, height, width, mask_threshold)
                rles.append(rle.encode(mask))
        return Result(
            boxes=boxes,
            classes=classes[found],
            scores=scores[found],
            rles=tuple(rles),
            height=height,
            width=width,
            class_names=self.config.classes,
        )
