"""A video that needs no camera: the toy shapes, moving."""

import numpy as np

from mrcnn_tf.live.opencv import load_cv2

_NOISE = 1.0  # grey levels, standard deviation; more makes large files
_SHIFT = 64  # pixels
_CONTRAST = 200  # grey levels, summed over R, G and B


def moving_shapes(frames, height=480, width=640, objects=4, seed=0):
    """Makes squares, circles and triangles that bounce off the frame's edges.

    Seen at 128 x 128 they are of the sizes of `datasets.Shapes`.

    Args:
        frames: how many.
        height, width: of a frame, in pixels.
        objects: how many; they pass over one another.
        seed: another seed, another video.
    Yields:
        uint8 RGB [H, W, 3].
    """
    cv2 = load_cv2()
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(objects) % 3
    halves = rng.uniform(0.1, 0.2, objects) * min(height, width)
    ground, *colours = _colours(rng, objects + 1)
    # Noise is what costs time: once, and from another place of it for each frame.
    shape = (height + _SHIFT, width + _SHIFT, 3)
    noise = np.rint(_NOISE * rng.standard_normal(shape)).astype(np.int16)
    room = np.array([width, height]) - 2 * halves[:, None]  # [N, 2], of the centres
    start = rng.uniform(0, 1, (objects, 2)) * room
    # In 100 frames once through the frame, or nearly so, in any direction.
    angle = rng.uniform(0, 2 * np.pi, objects)
    speed = 0.01 * min(height, width) * np.stack([np.cos(angle), np.sin(angle)], 1)
    for index in range(frames):
        image = np.empty((height, width, 3), np.uint8)
        image[:] = ground
        # Back and forth: the way unfolded, as in a row of mirrors.
        way = np.abs((start + index * speed) % (2 * room) - room)
        centres = np.rint(way + halves[:, None]).astype(int)
        for kind, (x, y), half, colour in zip(
            kinds, centres.tolist(), np.rint(halves).astype(int).tolist(), colours,
            strict=True,
        ):  # fmt: skip
            if kind == 0:
                corners = (x - half, y - half), (x + half, y + half)
                cv2.rectangle(image, *corners, colour, -1)
            elif kind == 1:
                cv2.circle(image, (x, y), half, colour, -1)
            else:
                points = [(x, y - half), (x + half, y + half), (x - half, y + half)]
                cv2.fillPoly(image, [np.array(points)], colour)
        y, x = rng.integers(0, _SHIFT, 2)
        noisy = image + noise[y : y + height, x : x + width]
        yield noisy.clip(0, 255).astype(np.uint8)


def _colours(rng, count):
    """Draws colours, lists of three ints; all others differ from the first."""
    colours = [rng.integers(0, 256, 3)]
    while len(colours) < count:
        colour = rng.integers(0, 256, 3)
        if np.abs(colour - colours[0]).sum() > _CONTRAST:
            colours.append(colour)
    return [colour.tolist() for colour in colours]
