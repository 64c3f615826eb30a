"""How hard a scene is to take apart: how many objects it holds, how close they are."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from mrcnn_tf.evaluation.segments import VOID, sample_segments

# What `contact` answers, from the easiest to the hardest.
CONTACTS = (
    "empty",
    "alone",
    "apart",
    "touching, other class",
    "touching, same class",
    "overlapping, same class",
)
_OVERLAPPING = 0.5  # share of the smaller box that lies in the larger's


def contact(sample):
    """Says how close the objects of a scene come, by its closest pair.

    Two objects touch if nothing lies between them somewhere but unknown border, or
    nothing at all. A distance in pixels would not do: round every pasted object the
    masks leave a ring of border, as wide as the photograph's own, so that no two
    masks meet, however much one object hides of another.

    Touching objects of one class overlap if more than half of one's box lies in the
    other's: boxes, as masks hold only what can be seen.

    Args:
        sample: a `Sample` with masks, or without objects; crowds do not count.
    Returns:
        one of `CONTACTS`.
    Raises:
        ValueError: if the sample has boxes only.
    """
    number = int(np.sum(~sample.crowd))
    if number < 2:
        return CONTACTS[number]
    hardest = CONTACTS.index("apart")
    for first, second in touching(sample):
        name = "touching, other class"
        if sample.classes[first] == sample.classes[second]:
            overlap = _shared_box(sample.boxes[first], sample.boxes[second])
            kind = "overlapping" if overlap > _OVERLAPPING else "touching"
            name = f"{kind}, same class"
        hardest = max(hardest, CONTACTS.index(name))
    return CONTACTS[hardest]


def touching(sample):
    """Finds the objects between which there is nothing, or nothing but border.

    Each pixel of border is given to the object nearest to it; objects touch if
    pixels of theirs are then neighbours, at a corner too, as the pixels of
    `connected_components`.

    Args:
        sample: a `Sample` with masks, or without objects.
    Returns:
        set of pairs (i, j), i < j, indices of the sample's objects. Crowds are in none.
    Raises:
        ValueError: if the sample has boxes only.
    """
    labels = sample_segments(sample).labels
    if not (labels > 0).any():
        return set()
    nearest = distance_transform_edt(
        labels <= 0, return_distances=False, return_indices=True
    )  # [2, H, W], rows and columns
    labels = np.where(labels == VOID, labels[tuple(nearest)], labels)
    pairs = set()
    for one, other in (
        (labels[1:], labels[:-1]),
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ):
        meet = (one != other) & (one > 0) & (other > 0)
        both = np.sort(np.stack([one[meet], other[meet]]) - 1, axis=0)  # [2, meetings]
        pairs |= {(int(i), int(j)) for i, j in np.unique(both, axis=1).T}
    return {(i, j) for i, j in pairs if not (sample.crowd[i] or sample.crowd[j])}


def _shared_box(one, other):
    """Returns the share of the smaller box that lies in the other."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return np.prod(np.maximum(high - low, 0)) / min(areas)
