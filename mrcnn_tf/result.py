"""What a model found in one image, in pixels of that image."""

from dataclasses import dataclass, field

import numpy as np

from mrcnn_tf import rle


@dataclass(frozen=True, eq=False)
class Result:
    """The detections of one image, by falling score; D of them.

    Attributes:
        boxes: float32 [D, 4], (y1, x1, y2, x2) in pixels of the original image.
        classes: int32 [D], from 1.
        scores: float32 [D], 0 to 1.
        rles: tuple of D COCO RLEs of the original image's size; empty where the
            network has no mask branch.
        height, width: size of the original image in pixels.
        class_names: names without background, `class_names[c - 1]` for class c.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    rles: tuple
    height: int
    width: int
    class_names: tuple = field(default=())

    def __len__(self):
        return len(self.scores)

    @property
    def names(self):
        """Class names, a list of D strings."""
        return [self.class_names[c - 1] for c in self.classes]

    @property
    def masks(self):
        """Masks decoded on each access, bool [D, H, W]: mind the memory."""
        return rle.decode_all(self.rles, self.height, self.width)

    def keep(self, min_score):
        """Returns a Result with the detections of at least `min_score`, 0 to 1."""
        index = np.flatnonzero(self.scores >= min_score)
        return Result(
            self.boxes[index],
            self.classes[index],
            self.scores[index],
            tuple(self.rles[i] for i in index) if self.rles else (),
            self.height,
            self.width,
            self.class_names,
        )
