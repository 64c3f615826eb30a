"""What the copies of a network that learn together on several devices must share.

Each replica sees its own part of a batch. The losses are divided by counts over the
whole batch, and the gradients are summed: then any number of replicas takes the step
that one would take. With one replica, nothing here does anything.
"""

import itertools

import numpy as np
import tensorflow as tf


def count():
    """Returns how many replicas learn together; 1 outside a strategy."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def total(values):
    """Sums a tensor, or a list of them, over the replicas; each gets the sum."""
    if count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def with_total(loss):
    """Gives the part of a loss a value by which all replicas agree.

    Args:
        loss: float32 scalar, this replica's part of the sum.
    Returns:
        float32 scalar: the sum over the replicas, divided by their number, as Keras
        multiplies by it; the gradient is the part's own.
    """
    if count() == 1:
        return loss
    part = tf.stop_gradient(loss)
    return loss - part + total(part) / count()


def clipped(gradients, optimizer):
    """Clips the gradient of the whole batch, where the optimiser would clip parts.

    Keras clips the gradient of each replica, and then sums. Here they are summed
    first, clipped, and divided by their number; Keras's own limit is then never
    reached. So they cross the network twice, but only with clipping.

    Args:
        gradients: list of tensors, this replica's; multiplied by the loss scale, as
            `optimizer.scale_loss` has it.
        optimizer: keras.optimizers.Optimizer.
    Returns:
        list of tensors to apply.
    """
    limit = getattr(optimizer, "inner_optimizer", optimizer).global_clipnorm
    if count() == 1 or not limit:
        return gradients
    limit = optimizer.scale_loss(tf.constant(limit, tf.float32))
    gradients, _ = tf.clip_by_global_norm(total(gradients), limit)
    return [gradient / count() for gradient in gradients]


def without_bools(strategy, data):
    """Makes 0 and 1 of bools, for `fit` on several devices.

    Keras begins it with the mean of a batch over the replicas, for models of yet
    unknown shape, and bools have no mean.

    Args:
        strategy: tf.distribute.Strategy.
        data: tf.data.Dataset of dicts; anything else stays as it is, and so does
            all with one replica.
    Returns:
        tf.data.Dataset, of uint8 where there was bool.
    """
    if strategy.num_replicas_in_sync == 1 or not isinstance(data, tf.data.Dataset):
        return data

    def number(value):
        return tf.cast(value, tf.uint8) if value.dtype == tf.bool else value

    return data.map(lambda batch: tf.nest.map_structure(number, batch))


def mean_losses(losses_of, batches, steps=None):
    """Measures losses as Keras's `evaluate` does, on one device.

    Of several, some would get nothing of a last batch that is smaller than they are
    many, and convolutions of no image at all fail.

    Args:
        losses_of: callable from a batch to a dict of losses, float32 [B] each.
        batches: iterable of dicts.
        steps: how many, at most; None for all.
    Returns:
        dict of floats: "loss", the mean over images, then each loss's over batches.
    """
    counts, sums = [], []
    for batch in itertools.islice(batches, steps):
        found = losses_of(batch)
        counts.append(len(batch["image_index"]))
        sums.append({name: float(tf.reduce_sum(loss)) for name, loss in found.items()})
    wholes = [sum(losses.values()) for losses in sums]
    return {
        "loss": float(np.average(wholes, weights=counts)),
        **{name: float(np.mean([each[name] for each in sums])) for name in sums[0]},
    }
