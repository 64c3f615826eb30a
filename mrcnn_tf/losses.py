"""The five losses.

Each function returns one value per image, already divided by the count over the
whole batch: their sum is the loss, and a value that is not finite names its image.
Slots with label -1 are empty. Of a batch that several replicas share, the counts are
over all of it, so that the replicas' losses add up to the loss of the batch.
"""

import keras
import tensorflow as tf

from mrcnn_tf import replicas

BOX_NAMES = ("objectness", "anchor_box", "class", "box")  # of boxes alone
NAMES = (*BOX_NAMES, "mask")

SMOOTH_L1_BETA = 1 / 9  # Detectron: quadratic below a ninth


def smooth_l1(targets, predictions):
    """Smooth L1, elementwise: quadratic near zero, linear beyond `SMOOTH_L1_BETA`.

    Source: Girshick 2015, with Detectron's beta.
    """
    error = tf.abs(targets - predictions)
    quadratic = 0.5 * error**2 / SMOOTH_L1_BETA
    return tf.where(error < SMOOTH_L1_BETA, quadratic, error - 0.5 * SMOOTH_L1_BETA)


def objectness_loss(labels, logits):
    """Is there an object at this anchor? Binary cross-entropy.

    Args:
        labels: int32 [B, S], 1 object, 0 background, -1 empty.
        logits: float32 [B, S].
    Returns:
        float32 [B]; the sum is the mean over all sampled anchors of the batch.
    """
    target = tf.cast(labels == 1, tf.float32)
    loss = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)
    used = labels >= 0
    return _per_image(loss, used) / _count(used)


def anchor_box_loss(labels, targets, deltas):
    """Where exactly is the object of this anchor? Smooth L1 on positives.

    Args:
        labels: int32 [B, S].
        targets, deltas: float32 [B, S, 4].
    Returns:
        float32 [B]; the sum is divided by all sampled anchors of the batch.
    """
    loss = tf.reduce_sum(smooth_l1(targets, deltas), axis=-1)  # [B, S]
    return _per_image(loss, labels == 1) / _count(labels >= 0)


def class_loss(labels, logits):
    """What is in this RoI? Softmax cross-entropy with background as class 0.

    Args:
        labels: int32 [B, R], 0 background, -1 empty.
        logits: float32 [B, R, K + 1].
    Returns:
        float32 [B]; the sum is the mean over all sampled RoIs of the batch.
    """
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    used = labels >= 0
    return _per_image(loss, used) / _count(used)


def roi_box_loss(labels, targets, deltas):
    """Where exactly is it? Smooth L1 on the true class's box of the positives.

    Args:
        labels: int32 [B, R].
        targets: float32 [B, R, 4].
        deltas: float32 [B, R, K + 1, 4].
    Returns:
        float32 [B]; the sum is divided by all sampled RoIs of the batch, so that
        an image with many objects does not weigh more than its RoIs.
    Source: Girshick 2015; divided as torchvision's fastrcnn_loss does.
    """
    own = tf.gather(deltas, tf.maximum(labels, 0), batch_dims=2)  # [B, R, 4]
    loss = tf.reduce_sum(smooth_l1(targets, own), axis=-1)  # [B, R]
    return _per_image(loss, labels > 0) / _count(labels >= 0)


def mask_loss(labels, targets, logits, kind="sigmoid"):
    """Which of its pixels? Cross-entropy on the masks of the positives.

    Args:
        labels: int32 [B, M], class; only positives count.
        targets: float32 [B, M, m, m], 0 to 1.
        logits: float32 [B, M, m, m, K + 1], or 1 in place of K + 1.
        kind: "sigmoid", binary on the true class's mask alone; "agnostic", binary
            on the only mask; "softmax", a pixel is the true class or background.
    Returns:
        float32 [B]; the sum is the mean over pixels of the batch's positives.
    Source: He et al. 2017, section 3, and its table 2b for the other two kinds.
    """
    planes = tf.transpose(logits, [0, 1, 4, 2, 3])  # [B, M, K + 1, m, m]
    if kind == "softmax":
        planes = tf.nn.log_softmax(planes, axis=2)
    channel = 0 * labels if kind == "agnostic" else tf.maximum(labels, 0)
    own = tf.gather(planes, channel, batch_dims=2)  # [B, M, m, m]
    if kind == "softmax":
        loss = -targets * own - (1.0 - targets) * planes[:, :, 0]
    else:
        loss = tf.nn.sigmoid_cross_entropy_with_logits(targets, own)
    loss = tf.reduce_mean(loss, axis=[2, 3])  # [B, M]
    return _per_image(loss, labels > 0) / _count(labels > 0)


def stop_unless_finite(per_image, names, image_index):
    """Passes losses on, or stops training before the optimiser runs.

    Args:
        per_image: float32 [B, L], the losses.
        names: of the L losses.
        image_index: int [B], place of each image in its dataset.
    Returns:
        `per_image`. The gradient, too, waits for the check: in a graph the
        optimiser would otherwise not, as a sum's gradient does not need the sum.
    Raises:
        tf.errors.InvalidArgumentError: names the images whose loss is not finite.
    """

    @tf.custom_gradient
    def checked(per_image):
        finite = tf.reduce_all(tf.math.is_finite(per_image), axis=1)  # [B]
        check = tf.debugging.Assert(
            tf.reduce_all(finite),
            [
                "The loss is not finite at dataset index",
                tf.boolean_mask(image_index, ~finite),
                "with the losses",
                names,
                tf.boolean_mask(per_image, ~finite),
                "The optimiser has not run on this batch. Look at these images' "
                "objects; if they are sound, lower train.learning_rate or set "
                "train.clip_norm.",
            ],
            summarize=20,
        )
        # In eager mode Assert has raised by now, and there is nothing to wait for.
        waiting = [] if check is None else [check]

        def gradient(upstream):
            with tf.control_dependencies(waiting):
                return tf.identity(upstream)

        with tf.control_dependencies(waiting):
            return tf.identity(per_image), gradient

    return checked(per_image)


def _per_image(loss, used):
    """Sums [B, N] over the slots in use: [B]."""
    return tf.reduce_sum(tf.where(used, loss, 0.0), axis=1)


def _count(used):
    """How many slots of the batch are in use; at least 1, for a batch of none."""
    return tf.maximum(replicas.total(tf.reduce_sum(tf.cast(used, tf.float32))), 1.0)


@keras.saving.register_keras_serializable("mrcnn_tf")
class RPNLosses(keras.layers.Layer):
    """The RPN's two losses at the sampled anchors, each float32 [B].

    Call it with index, labels, targets of `targets.RPNTargets` and the RPN's
    outputs: lists of logits [B, A_l] and of deltas [B, A_l, 4].
    """

    def call(self, index, labels, targets, logits, deltas):
        logits = tf.concat(logits, axis=1)  # [B, A]
        deltas = tf.concat(deltas, axis=1)  # [B, A, 4]
        sampled_logits = tf.gather(logits, index, batch_dims=1)  # [B, S]
        sampled_deltas = tf.gather(deltas, index, batch_dims=1)  # [B, S, 4]
        return (
            objectness_loss(labels, sampled_logits),
            anchor_box_loss(labels, targets, sampled_deltas),
        )

    def compute_output_spec(self, index, labels, targets, logits, deltas):
        return tuple(keras.KerasTensor(index.shape[:1], "float32") for _ in range(2))


@keras.saving.register_keras_serializable("mrcnn_tf")
class RoILosses(keras.layers.Layer):
    """The box head's two losses, each float32 [B].

    Call it with labels [B, R] and box targets [B, R, 4] of `targets.RoITargets`, and
    the head's outputs by RoI: class logits [B * R, K + 1] and box deltas
    [B * R, K + 1, 4].
    """

    def call(self, labels, targets, class_logits, box_deltas):
        rois = labels.shape[1]
        class_logits = tf.reshape(class_logits, [-1, rois, *class_logits.shape[1:]])
        box_deltas = tf.reshape(box_deltas, [-1, rois, *box_deltas.shape[1:]])
        return (
            class_loss(labels, class_logits),
            roi_box_loss(labels, targets, box_deltas),
        )

    def compute_output_spec(self, labels, *others):
        return tuple(keras.KerasTensor(labels.shape[:1], "float32") for _ in range(2))


@keras.saving.register_keras_serializable("mrcnn_tf")
class MaskLoss(keras.layers.Layer):
    """The mask head's loss, float32 [B].

    Call it with labels [B, M], mask targets [B, M, m, m] of `targets.MaskTargets`, and
    mask logits by RoI, [B * M, m, m, K + 1]. `kind` is as of `mask_loss`.
    """

    def __init__(self, kind="sigmoid", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, labels, targets, logits):
        rois = tf.shape(labels)[1]
        logits = tf.reshape(logits, [-1, rois, *logits.shape[1:]])
        return mask_loss(labels, targets, logits, self.kind)

    def compute_output_spec(self, labels, targets, logits):
        return keras.KerasTensor(labels.shape[:1], "float32")

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
