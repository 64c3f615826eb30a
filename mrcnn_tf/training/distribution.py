"""Training on several GPUs of a machine, and on several machines.

On one machine Keras's own `fit` does it, for a network made within the scope of a
MirroredStrategy. Between machines `fit` does not work, so there is `Team`: each
worker takes the same steps on a network whose gradients are summed with the others'.
The chief, the first of them, has a plain network besides, which it measures and saves.
"""

import contextlib
import json
import os

import keras
import tensorflow as tf

from mrcnn_tf.mask_rcnn import MaskRCNN

# What TensorFlow raises on a worker when another is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make_strategy():
    """Chooses how to train: as TF_CONFIG says, else on every GPU that is visible.

    Within the scope of a strategy it is that one. For several machines it comes
    before anything is computed, and waits for the others.

    Returns:
        tf.distribute.Strategy, TensorFlow's default one for a single device.
    Raises:
        ValueError: if TF_CONFIG does not say who works and who this is.
    """
    if tf.distribute.has_strategy():
        return tf.distribute.get_strategy()
    if _cluster_size() > 1:
        with lost_worker():
            return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.get_visible_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_team(strategy):
    """Returns whether a strategy is one of several machines."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Returns whether this process is the one that measures and writes."""
    if not is_team(strategy):
        return True
    resolver = strategy.cluster_resolver
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)


def check_batch(batch_size, strategy):
    """Sees to it that every device gets as many images.

    Raises:
        ValueError: with both numbers.
    """
    devices = strategy.num_replicas_in_sync
    if batch_size % devices:
        raise ValueError(
            f"config: train.batch_size must be a multiple of {devices}, as it is "
            f"shared by {devices} devices; found {batch_size}"
        )


@contextlib.contextmanager
def lost_worker():
    """Turns what TensorFlow says when another worker is gone into a sentence.

    Raises:
        OSError: it is gone.
    """
    try:
        yield
    except _LOST as error:
        reason = str(error).partition("aborted by: ")[2].partition("\n")[0]
        raise OSError(
            "another worker has stopped, and this one cannot go on alone"
            + (f" ({reason.strip()})" if reason else "")
            + "; give the same command again on every worker: it goes on from the "
            "last checkpoint"
        ) from error


class Team:
    """The workers' common network, one of whose replicas is on each device here."""

    def __init__(self, strategy, config, source=None):
        """Makes the network of all workers, equal to the chief's.

        Args:
            strategy: a MultiWorkerMirroredStrategy.
            config: a `Config`.
            source: on the chief a compiled MaskRCNN, from whose weights and optimiser
                all begin, and which gets them back after each part; else None.
        """
        self.strategy, self.config, self.source = strategy, config, source
        with strategy.scope():
            self.network = MaskRCNN(config)
            self.network.compile()
        own = _state(self.network)
        if source is None:
            values = [tf.zeros(value.shape, value.dtype) for value in own]
        else:
            values = [tf.convert_to_tensor(value.value) for value in _state(source)]
        for variable, value in zip(own, self._from_chief(values), strict=True):
            variable.assign(value)

    @property
    def steps(self):
        """How many the optimiser has taken."""
        return int(self.network.optimizer.iterations.numpy())

    def fit(self, make_batches, initial_epoch, epochs, steps_per_epoch, **shown):
        """Trains as `MaskRCNN.fit`, with all workers.

        Args:
            make_batches: callable tf.distribute.InputContext -> tf.data.Dataset of
                the batches of one replica after another.
            initial_epoch, epochs, steps_per_epoch: as of `fit`.
            **shown: callbacks and verbose, as of `fit`; their model is the chief's
                plain one, which has the weights of the team at an epoch's end.
        """
        # They do not end, and known to, no step begins by asking all workers whether.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        stream = iter(
            self.strategy.distribute_datasets_from_function(
                lambda context: make_batches(context).apply(endless)
            )
        )
        callbacks = keras.callbacks.CallbackList(
            shown["callbacks"],
            add_progbar=shown["verbose"] > 0,
            verbose=shown["verbose"],
            epochs=epochs,
            steps=steps_per_epoch,
            model=self.source,
        )
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch)
            for step in range(steps_per_epoch):
                callbacks.on_train_batch_begin(step)
                losses = self._step(stream)
                logs = {name: float(loss) for name, loss in losses.items()}
                callbacks.on_train_batch_end(step, logs)
            if self.source is not None:
                self._give_back()
            callbacks.on_epoch_end(epoch, logs)
        callbacks.on_train_end(logs)

    def wait(self):
        """Waits until all workers are here."""
        self._from_chief([tf.zeros(())])

    @tf.function
    def _step(self, stream):
        """Learns; the losses of the whole batch, the same on every replica."""

        def step(batch):
            # Of this replica alone; outside, each mean would be a talk of all workers.
            self.network.reset_metrics()
            return self.network.train_step(batch)

        losses = self.strategy.run(step, args=(next(stream),))
        return {
            name: self.strategy.experimental_local_results(loss)[0]
            for name, loss in losses.items()
        }

    @tf.function
    def _from_chief(self, values):
        """The chief's tensors, on every worker."""

        def share(values):
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0  # on the chief
            # Sent together, and so of one type, which holds each of them exactly.
            values = [tf.cast(value, tf.float64) for value in values]
            values = [tf.where(first, value, tf.zeros_like(value)) for value in values]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        shared = self.strategy.run(share, args=(values,))
        return [
            tf.cast(
                self.strategy.experimental_local_results(shared_one)[0], value.dtype
            )
            for shared_one, value in zip(shared, values, strict=True)
        ]

    def _give_back(self):
        pairs = zip(_state(self.source), _state(self.network), strict=True)
        for mine, common in pairs:
            mine.assign(common.numpy())


def _state(model):
    return [*model.weights, *model.optimizer.variables]


def _cluster_size():
    """How many workers TF_CONFIG names; 0 without it."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0
    try:
        found = json.loads(text)
        cluster, task = found.get("cluster", {}), found.get("task", {})
        addresses = {job: list(cluster.get(job, ())) for job in ("chief", "worker")}
        size = sum(map(len, addresses.values()))
        known = task["index"] < len(addresses[task["type"]])
    except (ValueError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise ValueError(
            "TF_CONFIG must name all workers and the place of this one, as in "
            '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}; found {text}'
        )
    return size
