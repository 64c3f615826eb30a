"""What happens at each step and at the end of each part of a run."""

import math

import keras

from mrcnn_tf.datasets.pipeline import batches
from mrcnn_tf.evaluation.coco import evaluate
from mrcnn_tf.training import checkpoints
from mrcnn_tf.training.logs import Curves, Log

AVERAGE_PRECISIONS = ("val_box_AP", "val_box_AP50", "val_mask_AP", "val_mask_AP50")


class Some:
    """A few samples of a dataset, spread evenly over it."""

    def __init__(self, dataset, count):
        """Takes `count` samples, or all where there are fewer or `count` is 0."""
        count = min(count or len(dataset), len(dataset))
        self.dataset, self.classes = dataset, dataset.classes
        self.has_masks = getattr(dataset, "has_masks", True)
        self._indices = [i * len(dataset) // count for i in range(count)]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        return self.dataset[self._indices[index]]


class Parts(keras.callbacks.Callback):
    """Logs every step; measures, logs and saves at the end of every part.

    The order is that of safety: rows of the logs, then `last.keras`, then its copy
    `best.keras`. A kill between any two leaves what `Log` and this can mend.

    `best.keras` is the part with the highest mask AP on val, of boxes alone the
    highest box AP, the first where several are equal. The validation loss is logged
    but has no say: it weighs losses, not answers.
    """

    def __init__(self, model, folder, run, steps, val, step=0, progress=False):
        """Opens the logs.

        Args:
            model: a compiled MaskRCNN.
            folder: Path of the run.
            run: a `RunConfig`.
            steps: at which the run ends.
            val: a dataset.
            step: of the checkpoint that the run goes on from.
            progress: whether to show a bar while it measures.
        """
        super().__init__()
        self.folder, self.run, self.steps, self.progress = folder, run, steps, progress
        self.val = Some(val, run.evaluate_images)
        losses = ["loss", *model.loss_names]
        self.by = "val_mask_AP" if model.config.has_masks else "val_box_AP"
        measured = [f"val_{name}" for name in losses]
        self.log = Log(
            folder / "log.csv",
            ["step", *losses, "learning_rate", *measured, *AVERAGE_PRECISIONS],
            step,
        )
        self.step_log = Log(folder / "steps.csv", ["step", *losses], step)
        self.curves = Curves(folder / "tensorboard")
        self.step = self.saved = step
        self.best = -math.inf
        best_step = None
        for row in self.log.rows:
            if row[self.by] and float(row[self.by]) > self.best:
                self.best, best_step = float(row[self.by]), int(row["step"])
        if best_step is not None and best_step == step:
            # A kill may have come before the copy.
            checkpoints.copy(folder / "last.keras", folder / "best.keras")

    def on_epoch_begin(self, epoch, logs=None):
        """Begins a part."""
        self.losses = []  # dicts, of each step

    def on_train_batch_begin(self, batch, logs=None):
        """Has Keras report the step's own losses, not means since the part began."""
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        """Logs the step's losses."""
        losses = {name: float(value) for name, value in logs.items()}
        self.losses.append(losses)
        self.step += 1
        self.step_log.add({"step": self.step, **losses})

    def on_epoch_end(self, epoch, logs=None):
        """Measures where it is time to, logs and saves."""
        step = self.step
        for name in self.losses[0]:
            values = [losses[name] for losses in self.losses]
            logs[name] = math.fsum(values) / len(values)
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        every = self.run.evaluate_every
        parts = math.ceil(step / self.run.steps_per_part)
        if every and (parts % every == 0 or step >= self.steps):
            logs.update(self._measure())
        row = {"step": step, **logs}
        self.log.add(row)
        self.step_log.sync()
        self.log.sync()
        self.curves.add(row)
        checkpoints.save(self.model, self.folder / "last.keras")
        self.saved = step
        if logs.get(self.by) is not None and logs[self.by] > self.best:
            self.best = logs[self.by]
            checkpoints.copy(self.folder / "last.keras", self.folder / "best.keras")

    def close(self):
        """Closes the logs."""
        for log in (self.log, self.step_log, self.curves):
            log.close()

    def _measure(self):
        """Losses and average precisions on val, by their names in the log."""
        config = self.model.config
        found = self.model.evaluate(
            batches(self.val, config, training=False), verbose=0, return_dict=True
        )
        measured = {f"val_{name}": float(value) for name, value in found.items()}
        evaluation = evaluate(self.model, self.val, progress=self.progress)
        for name in AVERAGE_PRECISIONS:
            _, kind, figure = name.split("_")
            value = evaluation[kind] and evaluation[kind][figure]
            if value is not None:  # boxes alone, or no object at all
                measured[name] = value
        return measured
