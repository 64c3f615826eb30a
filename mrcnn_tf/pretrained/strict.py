"""Gives a network the tensors of a checkpoint: all of them and no others, or none.

Everything is checked by name, shape and type first. Only then does a weight change.
"""

from dataclasses import dataclass

import numpy as np

from mrcnn_tf.pretrained.torchvision_names import modern_name

# Told apart from what is left over: batch norm's step counter, which inference and
# frozen statistics have no use for.
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Report:
    """What was taken out of a checkpoint.

    Attributes:
        source: of the tensors, as a sentence names it.
        tensors: number of tensors that became weights.
        parameters: number of values in them.
        unused: names of the tensors that were known and had no place.
        new: names of our layers that keep their fresh random weights.
    """

    source: str
    tensors: int
    parameters: int
    unused: tuple = ()
    new: tuple = ()

    def __str__(self):
        text = f"{self.source}: {self.tensors} tensors, {self.parameters:,} values"
        if self.unused:
            text += f"; {len(self.unused)} not used: {_some(self.unused)}"
        if self.new:
            text += f"; new and to be trained: {', '.join(self.new)}"
        return text


def assign(slots, tensors, source, new=(), unused=()):
    """Fills every slot with its tensor.

    Args:
        slots: list of `Slot`; its shapes are those the checkpoint must have.
        tensors: dict from torchvision's name, today's or the old one, to
            `StoredTensor`.
        source: what to call the checkpoint in errors and in the report.
        new: names of layers whose tensors must be there, and are not taken.
        unused: names of tensors that must be there too, and are not taken.
    Returns:
        `Report`.
    Raises:
        ValueError: if a tensor is missing, left over, twice there, misshapen, or not
            float32. Names each (the first ten); no weight has changed then.
    """
    by_name, problems = {}, []
    for original in tensors:
        name = modern_name(original)
        if name in by_name:
            problems.append(f"{original}: twice there, also as {by_name[name]}")
        by_name[name] = original
    expected = {slot.name: slot for slot in slots}
    counters = {slot.name.rpartition(".")[0] + _COUNTER for slot in slots}
    known = {*expected, *unused}
    problems += [f"{name}: missing" for name in known - by_name.keys()]
    for name, original in by_name.items():
        tensor = tensors[original]
        if name in counters:
            shape, dtype = (), np.dtype(np.int64)
        elif name in expected:
            shape, dtype = expected[name].shape, np.dtype(np.float32)
        elif name in unused:
            continue
        else:
            problems.append(f"{original}: left over, the network has no place for it")
            continue
        if (tensor.shape, tensor.dtype) != (shape, dtype):
            problems.append(
                f"{original}: expected {dtype} {list(shape)}, "
                f"found {tensor.dtype} {list(tensor.shape)}"
            )
    if problems:
        listed = "\n  ".join(sorted(problems)[:10])
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ValueError(
            f"{source}: not the weights of this network, nothing was loaded:\n  "
            f"{listed}{more}"
        )

    taken = [slot for slot in slots if slot.layer not in new]
    for slot in taken:
        stored = tensors[by_name[slot.name]]
        # In one expression, so that no copy is held longer than it is needed.
        slot.variable.assign(slot.convert(stored.load()))
    left = [by_name[slot.name] for slot in slots if slot.layer in new]
    left += [by_name[name] for name in unused]
    left += [original for name, original in by_name.items() if name in counters]
    return Report(
        source=source,
        tensors=len(taken),
        parameters=sum(int(np.prod(slot.shape)) for slot in taken),
        unused=tuple(left),
        new=tuple(new),
    )


def _some(names, limit=3):
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
