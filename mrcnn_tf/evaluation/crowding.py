"""How crowded an object stands, in cells of a grid, and which of the crowded are found.

YOLO's first version lays a grid of 7 x 7 cells over an image, and each cell answers for
the objects whose centre it holds, all of one class. Objects that share a cell are what
that costs; the same grid laid over anyone's answers tells who else finds them.
"""

import numpy as np

from mrcnn_tf.evaluation.voc import IGNORED, match_detections

# Where the centre of the nearest other object is, from the easiest to the hardest:
# more than a cell away, in one of the eight cells round its own, in its own.
CROWDING = ("apart", "next cell", "same cell")


def crowding(sample, grid=7):
    """Says how crowded each object of an image stands.

    Args:
        sample: a `Sample`.
        grid: cells a side of the image, wide or high; their number, not pixels.
    Returns:
        int [N], indices into `CROWDING`, by the centres of boxes and the nearest other
        object of any class. Crowd regions are nobody's neighbour, and are given -1.
    Raises:
        ValueError: if the grid has no cell.
    """
    if grid < 1:
        raise ValueError(f"grid must be at least 1 cell a side, found {grid}")
    levels = np.full(len(sample.boxes), -1)
    objects = np.flatnonzero(~sample.crowd)
    levels[objects] = 0
    if len(objects) < 2:
        return levels
    centers = (sample.boxes[:, :2] + sample.boxes[:, 2:])[objects] / 2  # [M, 2]
    cells = (centers * grid / [sample.height, sample.width]).astype(int)
    steps = np.abs(cells[:, None] - cells).max(axis=-1)  # [M, M], as a king walks
    np.fill_diagonal(steps, grid + 1)  # not its own neighbour
    levels[objects] = (2 - steps.min(axis=1)).clip(0)
    return levels


def scene_crowding(sample, grid=7):
    """Returns how crowded an image is: the index of its most crowded object, or 0."""
    return int(crowding(sample, grid).max(initial=0))


def found_objects(sample, result, iou=0.5):
    """Says which objects are found when each image is allowed n answers for n objects.

    No threshold has to be chosen that would suit one detector better than another, and
    answering a hundred times gains nothing.

    Args:
        sample: a `Sample`.
        result: the `Result` of the same image.
        iou: from which on a box is found, 0 to 1.
    Returns:
        bool [N]: found, with its class, by one of the n highest scores. Answers that
        fall on crowd regions do not count among the n.
    """
    outcomes = match_detections(sample, result, iou)
    order = np.argsort(-result.scores, kind="stable")
    order = order[outcomes[order] != IGNORED]
    best = outcomes[order[: int((~sample.crowd).sum())]]
    found = np.zeros(len(sample.boxes), bool)
    found[best[best >= 0]] = True
    return found


class Picked:
    """Some images of a dataset, in an order of their own."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, list(indices)
        self.classes = dataset.classes

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]


def pick_by_crowding(dataset, each, grid=7):
    """Picks as many images of each degree of crowding, where crowded ones are rare.

    Args:
        dataset: looked through from its beginning, until there are enough.
        each: images whose most crowded object stands so, for each of `CROWDING`; of a
            degree that the dataset has less of, all.
        grid: cells a side.
    Returns:
        `Picked`, in the dataset's order.
    Raises:
        ValueError: if `each` is below 1.
    """
    if each < 1:
        raise ValueError(f"each must be at least 1 image, found {each}")
    missing = [each] * len(CROWDING)
    indices = []
    for index in range(len(dataset)):
        level = scene_crowding(dataset[index], grid)
        if missing[level]:
            missing[level] -= 1
            indices.append(index)
        if not any(missing):
            break
    return Picked(dataset, indices)
