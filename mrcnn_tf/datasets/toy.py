"""Generated scenes: nothing to download, no end to them, the same for everybody.

`Shapes` is the easy set and the benchmark, `Animals` the one to look at. Scene
`i` of seed `s` depends on `(s, i)` alone: any order, any subset and any number of
workers give the same scenes.

A scene is drawn as an image and an *owner map*: for each pixel the object seen
there. Later objects overwrite earlier ones, which is occlusion; masks, boxes
and the trimap are all read from this one map, so they cannot disagree.
"""

import operator

import numpy as np

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample
from mrcnn_tf.datasets.toy_animals import ANIMALS, draw_animal
from mrcnn_tf.datasets.toy_scenery import draw_scenery

MIN_VISIBLE = 40  # pixels; an object that shows less is not labelled
MIN_SIZE = 64  # pixels; in a smaller frame the objects do not fit
_NOBODY = -1  # the owner of a background pixel


class _Scenes:
    """What all generated datasets share; a subclass draws one scene."""

    classes = ()

    def __init__(self, length, seed=0, size=128):
        for name, value, least in (
            ("length", length, 0),
            ("seed", seed, 0),
            ("size", size, MIN_SIZE),
        ):
            if not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be a whole number of at "
                    f"least {least}, found {value!r}"
                )
        self.length, self.seed, self.size = int(length), int(seed), int(size)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        index = operator.index(index)
        if not 0 <= index < self.length:
            raise IndexError(
                f"{type(self).__name__}: scene {index} of {self.length}; "
                f"expected 0 to {self.length - 1}"
            )
        rng = np.random.default_rng([self.seed, index])
        # Now and then the frame cuts a lone object to less than MIN_VISIBLE:
        # the next draw replaces the scene, so that each has an object.
        while True:
            image, owner, classes = self._draw(rng)
            visible = np.bincount(owner[owner != _NOBODY], minlength=len(classes))
            if (visible >= MIN_VISIBLE).any():
                return _sample(image, owner, classes, visible >= MIN_VISIBLE, index)

    def _draw(self, rng):
        """Returns image uint8 [S, S, 3], owner int16 [S, S] and N class ids."""
        raise NotImplementedError


class Shapes(_Scenes):
    """Squares, circles and triangles of one colour on one colour.

    One to four objects of half-size 12 to 32 pixels, centred anywhere in the
    frame, all colours uniform over RGB; then Gaussian noise of 8 grey levels.

    Args:
        length: number of scenes.
        seed: another seed is another dataset.
        size: side of the image in pixels, at least 64.
    Raises:
        ValueError: for a length or seed below 0 or a size below 64.
    """

    classes = ("square", "circle", "triangle")
    noise = 8.0  # grey levels, standard deviation

    def _draw(self, rng):
        size = self.size
        owner = np.full((size, size), _NOBODY, np.int16)
        classes = rng.integers(1, 4, rng.integers(1, 5))
        y, x = np.ogrid[:size, :size]
        for number, label in enumerate(classes):
            centre_y, centre_x = rng.uniform(0, size, 2)
            half = rng.uniform(12, 32)
            # 0.5: whether a pixel is inside is asked at its centre.
            mask = _shape(label, y + 0.5 - centre_y, x + 0.5 - centre_x, half)
            owner[mask] = number
        # Nobody, -1, takes the last colour: what lies behind.
        colours = rng.integers(0, 256, (len(classes) + 1, 3)).astype(np.float32)
        image = colours[owner]  # [S, S, 3]
        image += self.noise * rng.standard_normal(image.shape, np.float32)
        return np.rint(image.clip(0, 255)).astype(np.uint8), owner, classes


def _shape(label, y, x, half):
    """Returns the bool mask of one shape; y [S, 1] and x [1, S] from its centre."""
    if label == 1:
        return (np.abs(y) <= half) & (np.abs(x) <= half)
    if label == 2:
        return y * y + x * x <= half * half
    # The apex is at y = -half; the half-width grows from 0 there to `half` below.
    return (np.abs(y) <= half) & (np.abs(x) <= (y + half) / 2)


class Animals(_Scenes):
    """Cartoon animals in meadows, on beaches and on rugs, alone and in groups.

    Two to six animals, from small to nearly the frame. About half of them are
    the kin of the one before: of its class, its size, and touching it.

    Args:
        length: number of scenes.
        seed: another seed is another dataset.
        size: side of the image in pixels, at least 64.
    Raises:
        ValueError: for a length or seed below 0 or a size below 64.
    """

    classes = ANIMALS

    def _draw(self, rng):
        size = self.size
        image = draw_scenery(size, rng)
        owner = np.full((size, size), _NOBODY, np.int16)
        herd = _herd(rng, len(self.classes))
        for number, (label, x, y, height) in enumerate(herd):
            x, y, height = x * size, y * size, height * size
            _cast_shadow(image, x, y + height / 2, height)
            animal = draw_animal(self.classes[label - 1], height, rng)
            _paste(image, owner, animal, round(y), round(x), number)
        image = np.rint(image.clip(0, 255)).astype(np.uint8)
        return image, owner, [label for label, *_ in herd]


def _herd(rng, class_count):
    """Places animals; returns (class id, x, y, height) in sides of the frame.

    Who stands lower in the frame stands nearer, and comes later in the list.
    """
    herd = []
    for _ in range(rng.integers(2, 7)):
        if herd and rng.random() < 0.5:
            label, x, y, height = herd[-1]
            x += rng.choice((-1, 1)) * rng.uniform(0.45, 0.7) * height
            y += rng.uniform(-0.2, 0.2) * height
            height *= rng.uniform(0.8, 1.25)
        else:
            label = int(rng.integers(1, class_count + 1))
            height = 0.11 * 8 ** rng.uniform()  # each doubling is as likely
            x, y = rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.85)
        height = min(height, 0.88)
        x, y = np.clip(x, 0.05, 0.95), np.clip(y, 0.1, 0.9)
        herd.append((label, x, y, height))
    return sorted(herd, key=lambda animal: animal[2] + animal[3] / 2)


def _cast_shadow(image, x, y, height):
    """Darkens an ellipse of the ground, softly, in place; pixels."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    away = ((columns - x) / (0.4 * height)) ** 2 + ((rows - y) / (0.1 * height)) ** 2
    image *= (1 - 0.35 * np.clip(1.5 - away, 0, 1))[..., None]


def _paste(image, owner, animal, y, x, number):
    """Lays an animal centred on (y, x) over image and owner map, in place.

    It owns the pixels that it covers by half or more.
    """
    side, size = len(animal), len(image)
    top, left = y - side // 2, x - side // 2
    rows = slice(max(0, top), min(size, top + side))
    columns = slice(max(0, left), min(size, left + side))
    animal = animal[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    colour, coverage = animal[..., :3], animal[..., 3]
    image[rows, columns] *= 1 - coverage[..., None]
    image[rows, columns] += colour
    owner[rows, columns][coverage >= 0.5] = number


def trimap_of(owner):
    """Returns the trimap of an owner map.

    A pixel is border when its neighbourhood holds two owners: 2 pixels on both
    sides of each visible outline in a frame of 128, in proportion in others.

    Args:
        owner: int [H, W], the number of the object seen at each pixel, -1 for none.
    Returns:
        uint8 [H, W]; 1 object, 2 background, 3 border.
    """
    reach = max(1, round(min(owner.shape) / 64))
    highest = _over_window(np.maximum, owner, reach)
    lowest = _over_window(np.minimum, owner, reach)
    trimap = np.where(owner == _NOBODY, 2, 1).astype(np.uint8)
    trimap[highest != lowest] = 3
    return trimap


def _over_window(function, values, reach):
    """Reduces each pixel's window of 2 * reach + 1 a side, rows then columns."""
    for _ in range(2):  # a square window is a row of columns
        height = len(values)
        padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
        shifted = [padded[shift : shift + height] for shift in range(2 * reach + 1)]
        values = function.reduce(shifted).T
    return values


def _sample(image, owner, classes, keep, image_id):
    """Reads masks, boxes and trimap off the owner map, for the objects in `keep`."""
    kept = np.flatnonzero(keep)
    owner = np.where(np.isin(owner, kept), owner, _NOBODY)
    masks = tuple(rle.encode(owner == number) for number in kept)
    return Sample(
        image=image,
        boxes=np.stack([rle.box(mask) for mask in masks]),
        classes=np.asarray(classes)[kept],
        masks=masks,
        trimap=trimap_of(owner),
        image_id=image_id,
    )
