"""Slots in use: work is done for what is there, not for all that there is room for.

Objects, positives and detections stand in a fixed number of slots an image, and in
most images few are filled: 8 of 128 positives, 5 of 100 detections. A mask costs more
than all else that is done for an RoI, so the mask branch is given the filled slots
alone. They come first in every image; how many that is at most is rounded up to one of
a few numbers, as a GPU chooses its way of computing anew for each shape that it meets.
"""

import keras
import tensorflow as tf


def ladder(most):
    """The numbers that are rounded up to: 1, 2, 3, 4, 6, 8, 12, 16, 24, ... `most`.

    So less than a third of the slots is idle, and up to 128 there are 14 numbers.
    """
    steps = sorted(b * 2**k for k in range(most.bit_length()) for b in (2, 3))
    return [1, *(step for step in steps if step < most), most] if most > 1 else [1]


def filled(labels):
    """How many slots, from the first on, hold whatever any image has in its own.

    Args:
        labels: int32 [B, M], above 0 in a filled slot.
    Returns:
        int32 scalar, 0 to M.
    """
    numbers = tf.range(1, tf.shape(labels)[1] + 1)  # [M]
    return tf.reduce_max(tf.where(labels > 0, numbers, 0))


@keras.saving.register_keras_serializable("mrcnn_tf")
class SlotsInUse(keras.layers.Layer):
    """Cuts tensors to the slots in use.

    Call it with labels int32 [B, M], above 0 in a filled slot, and others
    [B, M, ...]; returns them all as [B, N, ...]. N is the same for every image, the
    next of `ladder(M)` to what `filled` counts, and never 0: TensorFlow's kernels
    do not all bear it.
    """

    def call(self, labels, *others):
        steps = tf.constant(ladder(labels.shape[1]))
        count = tf.gather(steps, tf.searchsorted(steps, filled(labels)[None])[0])
        return tuple(tensor[:, :count] for tensor in (labels, *others))

    def compute_output_spec(self, labels, *others):
        return tuple(
            keras.KerasTensor((tensor.shape[0], None, *tensor.shape[2:]), tensor.dtype)
            for tensor in (labels, *others)
        )


@keras.saving.register_keras_serializable("mrcnn_tf")
class AllSlots(keras.layers.Layer):
    """Brings a tensor [B, N, ...] back to `count` slots, zeros behind its own."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, tensor):
        empty = self.count - tf.shape(tensor)[1]
        return tf.pad(tensor, [[0, 0], [0, empty]] + [[0, 0]] * (len(tensor.shape) - 2))

    def compute_output_spec(self, tensor):
        shape = (tensor.shape[0], self.count, *tensor.shape[2:])
        return keras.KerasTensor(shape, tensor.dtype)

    def get_config(self):
        return {**super().get_config(), "count": self.count}
