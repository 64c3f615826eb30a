"""The paper's learning rate over time, and what `fit` is told."""

import keras

from mrcnn_tf.yolo.losses import WEIGHTS, Loss, LossPart

# Epochs of the paper's run: at the peak, of which the first raise the rate to it, then
# at a tenth and at a hundredth. "For the first epochs" is all it says of the first.
EPOCHS = (75, 30, 30)
WARMUP_EPOCHS = 5


@keras.saving.register_keras_serializable("mrcnn_tf>yolo")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The paper's learning rate, drawn out or pressed into any number of steps.

    It rises from a tenth of the peak in a straight line over the first 5 of 135 parts,
    stays until the 75th, then is a tenth of the peak until the 105th, and a hundredth.

    Args:
        steps: batches in all.
        peak: the highest learning rate; the paper's is 0.01.
    Source: Redmon et al. 2016, section 2.2.
    """

    def __init__(self, steps, peak=1e-2):
        self.steps = steps
        self.peak = peak

    def __call__(self, step):
        """Returns the learning rate at a step."""
        whole = sum(EPOCHS)
        epoch = keras.ops.cast(step, "float32") * whole / self.steps
        risen = keras.ops.minimum(epoch / WARMUP_EPOCHS, 1.0)
        rate = self.peak * (0.1 + 0.9 * risen)
        first, second, _ = EPOCHS
        rate = keras.ops.where(epoch >= first, self.peak / 10, rate)
        return keras.ops.where(epoch >= first + second, self.peak / 100, rate)

    def get_config(self):
        """The arguments, for `save`."""
        return {"steps": self.steps, "peak": self.peak}


# The highest learning rates: the paper's, and what suits the small network.
PEAKS = {"sgd": 1e-2, "adamw": 2e-3}
WEIGHT_DECAYS = {"sgd": 5e-4, "adamw": 1e-4}


def compile(model, steps, peak=None, optimizer="adamw"):
    """Prepares a network of `build` for `fit`.

    Squares are slow to tell classes apart: their slope fades as an answer nears 0 or 1.
    From random weights AdamW gets the small network there in minutes. "sgd" is the
    paper's, with momentum 0.9, for a network that has learnt ImageNet before.

    Args:
        model: what `build` returned.
        steps: batches in all; the learning rate follows `Schedule`.
        peak: the highest learning rate; None for that of `PEAKS`.
        optimizer: "adamw" or "sgd".
    Raises:
        ValueError: for another optimizer.
    Source: Redmon et al. 2016, section 2.2; the weight decay is Keras's, off the
        weights and not in the gradient, and not of norms and biases.
    """
    if optimizer not in PEAKS:
        raise ValueError(f"optimizer must be 'adamw' or 'sgd', found {optimizer!r}")
    rate = Schedule(steps, PEAKS[optimizer] if peak is None else peak)
    shared = {"weight_decay": WEIGHT_DECAYS[optimizer]}
    if optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, **shared)
    else:
        optimizer = keras.optimizers.AdamW(rate, **shared)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    boxes_per_cell = model.layers[-1].boxes_per_cell
    model.compile(
        optimizer,
        Loss(boxes_per_cell),
        metrics=[LossPart(name, boxes_per_cell) for name in WEIGHTS],
        jit_compile=False,
    )
    # Now, not within the first step, which Keras would trace twice.
    model.optimizer.build(model.trainable_variables)
