"""The scene that both sides of the benchmark are given.

NumPy alone, as the other side has no TensorFlow.
"""

import numpy as np

OBJECTS = 4
CLASSES = ("a", "b", "c", "d")


def scene(height, width):
    """Makes an image of noise with four objects.

    They lie so wide and so low that no anchor overlaps one by half, wherever it is:
    an untrained network's positive RoIs are these four and what is put beside them.

    Args:
        height, width: pixels, at least 32.
    Returns:
        image: uint8 [height, width, 3].
        boxes: float32 [4, 4], (y1, x1, y2, x2).
        masks: bool [4, height, width], each object fills its box but a corner.
    """
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    masks = np.zeros((OBJECTS, height, width), bool)
    boxes = np.zeros((OBJECTS, 4), np.float32)
    tall, left, right = max(2, height // 13), width // 10, width - width // 10
    for index in range(OBJECTS):
        top = height * (index + 1) // (OBJECTS + 1) - tall // 2
        boxes[index] = top, left, top + tall, right
        masks[index, top : top + tall, left:right] = True
        masks[index, top : top + tall // 2, left : width // 3] = False
    return image, boxes, masks
