"""The record that every reader makes and every consumer takes: one image, its objects.

A dataset is anything with `len(dataset)`, `dataset[i]` giving a `Sample`, and
`dataset.classes`, the tuple of class names without background: class id `c`
(1, 2, ...) is called `dataset.classes[c - 1]`.
"""

from dataclasses import dataclass

import numpy as np

from mrcnn_tf import rle

# Rounding in annotation tools leaves boxes a fraction of a pixel outside.
_EDGE_TOLERANCE = 1.0  # pixels


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated image.

    Everything is checked on construction, so that a fault is reported with the
    name of its image and object, not as a NaN an hour into training.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        boxes: float32 [N, 4], (y1, x1, y2, x2) in pixels of `image`, half-open.
            Up to one pixel outside the image is rounding, and clipped.
        classes: int32 [N], from 1; 0 is background and never a label.
        masks: tuple of N COCO RLEs of the image's size, or None where the data
            has boxes only.
        crowd: bool [N], regions of many objects that were not told apart.
        trimap: uint8 [H, W] or None; 1 object, 2 background, 3 border
            (Oxford-IIIT Pets' values).
        image_id: int or str, the name that errors and results use.
    Raises:
        ValueError: names the image, the object's index, what was expected, what
            was found and how to mend it.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    masks: tuple | None = None
    crowd: np.ndarray | None = None
    trimap: np.ndarray | None = None
    image_id: int | str = 0

    def __post_init__(self):
        image = np.asarray(self.image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            self._fail(
                f"the image must be uint8 [H, W, 3], found {image.dtype} "
                f"{list(image.shape)}; mrcnn_tf.datasets.read_image reads any file so"
            )
        if 0 in image.shape:
            self._fail(f"the image has no pixels: {list(image.shape)}")
        boxes = np.asarray(self.boxes, np.float32)
        boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
        classes = np.asarray(self.classes).reshape(-1)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            self._fail(f"boxes must be [N, 4], found {list(boxes.shape)}")
        if len(classes) != len(boxes):
            self._fail(f"{len(boxes)} boxes but {len(classes)} classes")
        crowd = np.zeros(len(boxes), bool) if self.crowd is None else self.crowd
        crowd = np.asarray(crowd, bool)
        if crowd.shape != (len(boxes),):
            self._fail(f"{len(boxes)} boxes but crowd flags {list(crowd.shape)}")
        boxes = self._checked_boxes(boxes, *image.shape[:2])
        for index, label in enumerate(classes):
            if label < 1 or label != int(label):
                self._fail(
                    f"object {index}: class ids are whole numbers from 1 "
                    f"(0 is background), found {label}"
                )
        if self.masks is not None:
            self._check_masks(len(boxes), list(image.shape[:2]))
        if self.trimap is not None:
            self._check_trimap(image.shape[:2])
        # A frozen dataclass is set through `object`: the arrays are normalised
        # once, here, and never again.
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "classes", classes.astype(np.int32))
        object.__setattr__(self, "crowd", crowd)
        if self.masks is not None:
            object.__setattr__(self, "masks", tuple(self.masks))

    @property
    def height(self):
        """Height of the image in pixels."""
        return self.image.shape[0]

    @property
    def width(self):
        """Width of the image in pixels."""
        return self.image.shape[1]

    def dense_masks(self):
        """Returns bool [N, H, W]; raises ValueError where there are boxes only."""
        if self.masks is None:
            self._fail("this sample has boxes only, no masks")
        return rle.decode_all(self.masks, self.height, self.width)

    def _fail(self, message):
        raise ValueError(f"image {self.image_id!r}: {message}")

    def _checked_boxes(self, boxes, height, width):
        edges = np.array([height, width, height, width], np.float32)
        for index, box in enumerate(boxes):
            where = f"object {index}: box (y1, x1, y2, x2) = {box.tolist()}"
            if not np.isfinite(box).all():
                self._fail(f"{where} is not finite")
            if (box < -_EDGE_TOLERANCE).any() or (box > edges + _EDGE_TOLERANCE).any():
                self._fail(
                    f"{where} lies outside the image of {height} x {width} pixels; "
                    "are the coordinates in pixels, rows before columns?"
                )
            if box[2] <= box[0] or box[3] <= box[1]:
                self._fail(
                    f"{where} has no area; expected y1 < y2 and x1 < x2. "
                    "Is it reversed, or (x, y, width, height)?"
                )
        clipped = np.clip(boxes, 0, edges)
        for index, (box, kept) in enumerate(zip(boxes, clipped, strict=True)):
            if kept[2] <= kept[0] or kept[3] <= kept[1]:
                self._fail(
                    f"object {index}: box {box.tolist()} does not touch the image "
                    f"of {height} x {width} pixels; remove the object"
                )
        return clipped

    def _check_masks(self, count, size):
        if len(self.masks) != count:
            self._fail(f"{count} boxes but {len(self.masks)} masks")
        for index, mask in enumerate(self.masks):
            if list(mask["size"]) != size:
                self._fail(
                    f"object {index}: its mask is {list(mask['size'])}, the image "
                    f"{size} (height, width); was one of them resized or rotated?"
                )
            if rle.area(mask) == 0:
                self._fail(f"object {index}: its mask is empty; remove the object")

    def _check_trimap(self, size):
        trimap = np.asarray(self.trimap)
        if trimap.shape != size:
            self._fail(f"the trimap is {trimap.shape}, the image {size}")
        values = set(np.unique(trimap).tolist())
        if not values <= {1, 2, 3}:
            self._fail(
                "a trimap holds 1 (object), 2 (background) and 3 (border), "
                f"found {sorted(values)}"
            )
