"""The learning rate over time, and the optimiser that follows it."""

import keras


@keras.saving.register_keras_serializable("mrcnn_tf")
class WarmupStep(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then steps down.

    Args:
        peak: learning rate after the warm-up.
        warmup_steps: it rises from a thousandth of `peak` over so many steps.
        boundaries: steps at which it is multiplied by `factor`.
        factor: of each step down.
    Source: Goyal et al. 2017 for the warm-up; Detectron's schedule.
    """

    def __init__(self, peak, warmup_steps, boundaries, factor):
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.boundaries = tuple(boundaries)
        self.factor = factor

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        share = keras.ops.minimum(step / max(self.warmup_steps, 1), 1.0)
        rate = self.peak * (0.001 + 0.999 * share)
        for boundary in self.boundaries:
            rate = keras.ops.where(step >= boundary, rate * self.factor, rate)
        return rate

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "boundaries": self.boundaries,
            "factor": self.factor,
        }


@keras.saving.register_keras_serializable("mrcnn_tf")
class SGD(keras.optimizers.SGD):
    """Keras's SGD, whose momentum stays where it lies in memory.

    Keras gives a momentum new memory in every step, and the old piece is left between
    others as a gap. Of `resnet50_fpn` it takes some 100 MB more (docs/performance.md).
    """

    def assign(self, variable, value):
        """Gives a variable a value; the last bit may differ."""
        self.assign_add(variable, value - keras.ops.convert_to_tensor(variable))


def make_optimizer(config):
    """Makes the optimiser of a `TrainConfig`, its schedule within.

    Returns:
        keras.optimizers.Optimizer. AdamW's and SGD's weight decay is decoupled from
        the gradient (Loshchilov and Hutter 2019), and scaled by the learning rate.
    """
    rate = WarmupStep(
        config.learning_rate,
        config.warmup_steps,
        [round(share * config.steps) for share in config.decay_at],
        config.decay_factor,
    )
    shared = {"weight_decay": config.weight_decay, "global_clipnorm": config.clip_norm}
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, **shared)
    return SGD(rate, momentum=config.momentum, **shared)
