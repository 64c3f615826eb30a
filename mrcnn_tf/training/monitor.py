"""What happens besides learning while `fit` runs."""

from pathlib import Path

import keras

from mrcnn_tf.training import checkpoints


def callbacks(folder):
    """Makes the callbacks of `model.fit`, in a notebook or a script of your own.

    `training.train` does more: it measures, and goes on after a kill.

    Args:
        folder: of the run, made where it is missing. It gets `last.keras` and, with
            validation data, `best.keras` (least validation loss) after each epoch,
            `log.csv` with every loss, and `tensorboard/`.
    Returns:
        list of keras.callbacks.Callback.
    Raises:
        OSError: if the folder cannot be written, before an hour is spent.
    """
    folder = Path(folder)
    checkpoints.make_folder(folder)
    return [
        LearningRate(),  # first: the others report what it adds
        LastCheckpoint(folder / "last.keras"),
        BestCheckpoint(folder / "best.keras"),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.TensorBoard(folder / "tensorboard"),
    ]


class LearningRate(keras.callbacks.Callback):
    """Reports the learning rate with the losses of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Adds `learning_rate` to the logs."""
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class LastCheckpoint(keras.callbacks.Callback):
    """Saves the model after each epoch; a crash meanwhile leaves the one before."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        """Saves."""
        checkpoints.save(self.model, self.path)


class BestCheckpoint(keras.callbacks.Callback):
    """Saves the model when the validation loss is the least so far.

    Without validation data there is nothing to call best, and nothing is saved.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.least = float("inf")

    def on_epoch_end(self, epoch, logs=None):
        """Saves, where this epoch is the best."""
        loss = (logs or {}).get("val_loss", float("inf"))
        if loss < self.least:
            self.least = loss
            checkpoints.save(self.model, self.path)


class Preview(keras.callbacks.Callback):
    """Shows what the model finds as it learns: before the start, then now and then.

    Args:
        images: list of uint8 [H, W, 3].
        show: called with (epochs done, list of answers).
        every: epochs between two calls.
        answer: called with (model, images) for the list of answers; `model.detect`
            and its `Result`s, if None.
    """

    def __init__(self, images, show, every=1, answer=None):
        super().__init__()
        self.images = images
        self.show = show
        self.every = every
        self.answer = answer or (lambda model, images: model.detect(images))
        self.started = False

    def on_train_begin(self, logs=None):
        """Shows the model that knows nothing yet, once: a second `fit` goes on."""
        if not self.started:
            self.started = True
            self.show(0, self.answer(self.model, self.images))

    def on_epoch_end(self, epoch, logs=None):
        """Shows the model after `epoch + 1` epochs."""
        if (epoch + 1) % self.every == 0:
            self.show(epoch + 1, self.answer(self.model, self.images))
