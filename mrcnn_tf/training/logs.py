"""Logs of a run that a kill can neither lose a row of nor double one.

A row is written before the checkpoint that knows of its step. What goes on from a
checkpoint first drops the rows after it, and then writes them again.
"""

import csv
import os
from pathlib import Path

import tensorflow as tf

from mrcnn_tf.training.checkpoints import write_whole


class Log:
    """A CSV file whose rows have a `step`, floats in full precision.

    Attributes:
        rows: list of dicts from column to string, those before `step` that it was
            opened with; `add` does not add to it.
    """

    def __init__(self, path, columns, step=0):
        """Opens the file, without the rows after a step.

        Args:
            path: of the file, made if missing.
            columns: names, "step" first.
            step: of the checkpoint that the run goes on from.
        Raises:
            ValueError: if the file has other columns.
            OSError: if it cannot be written.
        """
        self.path, self.columns = Path(path), tuple(columns)
        self.rows = [row for row in self._read() if int(row["step"]) <= step]
        write_whole(self.path, self._write)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, self.columns)

    def add(self, row):
        """Adds a row, a dict; columns it has not stay empty."""
        self._writer.writerow(row)
        self._file.flush()

    def sync(self):
        """Brings all rows to the disk."""
        os.fsync(self._file.fileno())

    def close(self):
        """Closes the file."""
        self._file.close()

    def _read(self):
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        # A kill may have cut the last line short.
        lines = text[: text.rfind("\n") + 1].splitlines()
        if lines and tuple(lines[0].split(",")) != self.columns:
            raise ValueError(
                f"{self.path}: expected the columns {','.join(self.columns)}, found "
                f"{lines[0]}; move the file away, or take another folder"
            )
        rows = list(csv.DictReader(lines))
        for number, row in enumerate(rows, start=2):
            if not (row["step"] or "").isdecimal():
                raise ValueError(
                    f"{self.path}, line {number}: expected a number of steps first, "
                    f"found {row['step']!r}; remove the line, or move the file away"
                )
        return rows

    def _write(self, path):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)


class Curves:
    """TensorBoard's logs of a run; each point is on the disk when `add` returns."""

    def __init__(self, folder):
        self._writers = {
            kind: tf.summary.create_file_writer(str(Path(folder) / kind))
            for kind in ("train", "val")
        }

    def add(self, row):
        """Adds a point at `row["step"]` to the curve of each other number.

        Names that begin with val_ go to the curves of "val", without it.
        """
        for name, value in row.items():
            if name == "step" or value is None:
                continue
            kind = "val" if name.startswith("val_") else "train"
            with self._writers[kind].as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, row["step"])
        for writer in self._writers.values():
            writer.flush()

    def close(self):
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
