"""Scenes with several objects, composed from photographs that hold one each.

A photograph is taken whole, with its own objects labelled, and objects cut from
others by their masks are pasted on it: true occlusion, no unlabelled animal.
"""

import functools
import math

import numpy as np
from PIL import Image, ImageFilter

from mrcnn_tf import rle
from mrcnn_tf.datasets.sample import Sample

# What is pasted must leave every object this share of its mask, and these pixels.
_MIN_VISIBLE = 0.5
_MIN_PIXELS = 100
_TRIES = 10  # objects tried for each one that is asked for
_PLACES = 5  # compared for each object, and the one that hides least is taken
_CACHED = 1024  # source samples kept decoded; a 320 x 240 photograph is 0.3 MB
_PASTED_SIDE = 0.35, 0.75  # long side of a pasted object, share of the scene's
_MAX_ENLARGED = 1.25  # of a pasted object, so that it is not blurred
_FEATHER = 0.015  # blur of a seam, share of the object's long side


class Composed:
    """A dataset of copy-paste scenes; scene i depends on `seed` and i alone.

    The base photograph is scaled between fitting into the scene and a little more
    than covering it, then cropped: a scene is at most `size` x `size`. An object
    that its photograph's edge cuts off is pasted against the same edge of the
    scene. Seams are feathered over the border of the trimap, and no part of a mask.

    Attributes:
        classes: those of the source.
    """

    def __init__(self, source, length, seed=0, size=256, min_objects=1, max_objects=4):
        """Takes any dataset with masks; its trimaps, if any, say where seams may be.

        Args:
            source: a dataset of Samples; up to 1024 of them stay in memory.
            length: number of scenes.
            seed: int of the whole dataset.
            size: long side of a scene, pixels.
            min_objects, max_objects: objects in a scene, drawn evenly. A base
                photograph may itself hold more; where no place is left that does
                not hide another object, there are fewer.
        Raises:
            ValueError: for an empty source, or numbers that contradict.
        Source: Ghiasi et al. 2021, Simple Copy-Paste; Dwibedi et al. 2017.
        """
        if len(source) == 0:
            raise ValueError("composed scenes: the source dataset is empty")
        if not 1 <= min_objects <= max_objects:
            raise ValueError(
                "composed scenes: expected 1 <= min_objects <= max_objects, found "
                f"{min_objects} and {max_objects}"
            )
        if length < 1 or size < 32:
            raise ValueError(
                "composed scenes: expected a length of at least 1 and a size of at "
                f"least 32 pixels, found {length} and {size}"
            )
        self.classes = tuple(source.classes)
        self._source = functools.lru_cache(_CACHED)(source.__getitem__)
        self._source_length = len(source)
        self._length, self._seed, self._size = length, seed, size
        self._objects = min_objects, max_objects

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        """Returns scene `index`: a Sample with masks and trimap."""
        if not 0 <= index < self._length:
            raise IndexError(f"composed scenes: no scene {index} of {self._length}")
        rng = np.random.default_rng((self._seed, index))
        wanted = rng.integers(*self._objects, endpoint=True)
        scene = _base_scene(self._draw(rng), self._size, rng)
        for _ in range(_TRIES * wanted):
            if len(scene.masks) >= wanted:
                break
            _paste(scene, self._draw(rng), self._size, rng)
        return scene.sample(f"scene {index}")

    def _draw(self, rng):
        sample = self._source(int(rng.integers(self._source_length)))
        if sample.masks is None:
            raise ValueError(
                f"image {sample.image_id!r} has boxes only; composing needs masks"
            )
        return sample


class _Scene:
    """A scene in the making; masks hold what is visible of each object."""

    def __init__(self, image, trimap, masks, classes, crowd):
        self.image, self.trimap = image, trimap  # [h, w, 3], [h, w]
        self.masks, self.classes, self.crowd = masks, classes, crowd
        self.areas = [mask.sum() for mask in masks]  # pixels, before any is hidden

    def sample(self, image_id):
        masks = tuple(rle.encode(mask) for mask in self.masks)
        boxes = np.array([rle.box(mask) for mask in masks])
        return Sample(
            self.image, boxes, self.classes, masks, self.crowd, self.trimap, image_id
        )


def _base_scene(sample, size, rng):
    """Returns a _Scene of one photograph: scaled, cropped, perhaps mirrored."""
    fits = size / max(sample.height, sample.width)
    covers = size / min(sample.height, sample.width)
    scale = fits * (1.2 * covers / fits) ** rng.random()  # even on a log scale
    full = [max(1, round(side * scale)) for side in (sample.height, sample.width)]
    shape = [min(side, size) for side in full]
    window = []
    for axis in (0, 1):
        # The crop holds the objects whole where it can.
        low, high = 0, full[axis] - shape[axis]
        if len(sample.boxes):
            first = sample.boxes[:, axis].min() * scale
            last = sample.boxes[:, axis + 2].max() * scale
            low, high = sorted(np.clip([last - shape[axis], first], low, high))
        start = int(rng.uniform(low, high))
        window.append(slice(start, start + shape[axis]))
    step = -1 if rng.random() < 0.5 else 1

    def view(array, resample):
        scaled = Image.fromarray(array).resize(full[::-1], resample)
        return np.array(np.asarray(scaled)[tuple(window)][:, ::step])

    masks = [
        view(mask.astype(np.uint8), Image.Resampling.NEAREST) > 0
        for mask in sample.dense_masks()
    ]
    if sample.trimap is None:
        trimap = np.full(shape, 2, np.uint8)
        for mask in masks:
            trimap[mask] = 1
    else:
        trimap = view(sample.trimap, Image.Resampling.NEAREST)
    kept = [index for index, mask in enumerate(masks) if mask.sum() >= _MIN_PIXELS]
    for index in set(range(len(masks))) - set(kept):
        trimap[masks[index]] = 3  # too little to find, and no background either
    return _Scene(
        view(sample.image, Image.Resampling.BILINEAR),
        trimap,
        [masks[index] for index in kept],
        [int(sample.classes[index]) for index in kept],
        [bool(sample.crowd[index]) for index in kept],
    )


def _paste(scene, sample, size, rng):
    """Pastes one object of `sample` if the place drawn hides no other object."""
    candidates = np.flatnonzero(~sample.crowd)
    if len(candidates) == 0:
        return
    index = rng.choice(candidates)
    share = math.exp(rng.uniform(*np.log(_PASTED_SIDE)))
    flip = rng.random() < 0.5
    cut = _cut_out(sample, index, share * size, flip)
    if cut is None:
        return
    pixels, mask, alpha, touches = cut
    height, width = scene.trimap.shape
    if mask.shape[0] > height or mask.shape[1] > width or mask.sum() < _MIN_PIXELS:
        return
    covered = alpha > 0.1
    places = []
    for _ in range(_PLACES):
        top = _start(rng, height - mask.shape[0], end=touches[2])
        left = _start(rng, width - mask.shape[1], start=touches[1], end=touches[3])
        places.append(np.s_[top : top + mask.shape[0], left : left + mask.shape[1]])
    place = min(
        places,
        key=lambda window: sum(
            (below[window] & covered).sum() for below in scene.masks
        ),
    )
    visible = [below.copy() for below in scene.masks]
    for below, area in zip(visible, scene.areas, strict=True):
        below[place] &= ~covered
        if below.sum() < max(_MIN_PIXELS, _MIN_VISIBLE * area):
            return
    alpha = alpha[..., None]  # [h, w, 1]
    blended = alpha * pixels + (1 - alpha) * scene.image[place]
    scene.image[place] = np.round(blended).astype(np.uint8)
    scene.trimap[place][covered] = 3
    scene.trimap[place][mask] = 1
    pasted = np.zeros((height, width), bool)
    pasted[place] = mask
    scene.masks = [*visible, pasted]
    scene.areas.append(mask.sum())
    scene.classes.append(int(sample.classes[index]))
    scene.crowd.append(False)


def _cut_out(sample, index, long_side, flip):
    """Cuts one object with its seam, scaled so that its box has `long_side`.

    Returns:
        pixels float32 [h, w, 3]; mask bool [h, w]; alpha float32 [h, w], 1 on the
        mask and falling to 0 over the border; touches, four bools: whether the
        photograph's top, left, bottom, right edge cuts the object off. None if the
        top does, or both sides: it would hang from above, or fit nowhere.
    """
    y1, x1, y2, x2 = sample.boxes[index].astype(int)
    margin = max(4, (max(y2 - y1, x2 - x1)) // 16)
    touches = (
        y1 < margin // 2,
        x1 < margin // 2,
        y2 > sample.height - margin // 2,
        x2 > sample.width - margin // 2,
    )
    if touches[0] or (touches[1] and touches[3]):
        return None
    window = np.s_[max(0, y1 - margin) : y2 + margin, max(0, x1 - margin) : x2 + margin]
    step = -1 if flip else 1
    if flip:
        touches = (touches[0], touches[3], touches[2], touches[1])
    mask = rle.decode(sample.masks[index])[window]
    seam = ~mask if sample.trimap is None else sample.trimap[window] == 3
    scale = min(long_side / max(y2 - y1, x2 - x1), _MAX_ENLARGED)
    size = [max(1, round(side * scale)) for side in mask.shape[::-1]]  # (w, h)

    def view(array):
        image = Image.fromarray(array).resize(size, Image.Resampling.BILINEAR)
        return np.asarray(image)[:, ::step]

    pixels = view(sample.image[window]).astype(np.float32)
    mask = view(mask.astype(np.uint8) * 255) > 127
    seam = view(seam.astype(np.uint8) * 255).astype(np.float32) / 255
    radius = max(1.0, _FEATHER * max(size))
    blurred = Image.fromarray(mask.astype(np.uint8) * 255).filter(
        ImageFilter.GaussianBlur(radius)
    )
    # The blur is a half at the edge of the mask: doubled, it falls from 1.
    falloff = np.minimum(np.asarray(blurred, np.float32) / 127.5, 1)
    return pixels, mask, np.where(mask, 1, falloff * seam), touches


def _start(rng, spare, start=False, end=False):
    """Draws where a piece starts, 0 to `spare`; one that touches an end stays there."""
    if start or end:
        return 0 if start else spare
    return int(rng.integers(spare, endpoint=True))
