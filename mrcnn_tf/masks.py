"""Masks between the two frames they live in: the image's, and an RoI's m x m."""

import numpy as np
import tensorflow as tf

from mrcnn_tf import rle, roi

# Cells a side of the window in which a mask goes to the network: four to each cell of
# a 28 x 28 target, and no loss for objects of up to 110 pixels.
WINDOW = 112


def cut_window(mask, scale):
    """Cuts a mask down to a window around its object, of one size for all objects.

    A hundred objects of a photograph of 1333 x 800 pixels are 107 MB of masks; in
    windows they are 1.3 MB. Small objects keep their pixels, large ones those at the
    centres of the window's cells.

    Args:
        mask: a COCO RLE of the original image, with an object in it.
        scale: (y, x), pixels of the network's input for each of the original's.
    Returns:
        cells: uint8 [WINDOW, WINDOW], 0 or 1. Beyond the image its edge goes on.
        window: float32 [4], the box that the cells fill, in pixels of the network's
            input; it may leave the image.
    Source: the idea is matterport's "mini masks", which fill their object's box.
    """
    scale = np.asarray(scale, np.float64)
    tight = rle.box(mask).reshape(2, 2) * scale  # (y1, x1), (y2, x2)
    # A pixel of background around, as bilinear samples reach half a pixel out.
    start = np.floor(tight[0]) - 1
    extent = np.maximum(np.ceil(tight[1]) + 1 - start, WINDOW)
    centers = start + (np.arange(WINDOW)[:, None] + 0.5) * extent / WINDOW  # [S, 2]
    pixels = rle.decode(mask)  # [H, W]
    rows, columns = np.floor(centers / scale).astype(int).T
    rows = np.clip(rows, 0, pixels.shape[0] - 1)
    columns = np.clip(columns, 0, pixels.shape[1] - 1)
    cells = pixels[rows[:, None], columns].astype(np.uint8)
    return cells, np.concatenate([start, start + extent]).astype(np.float32)


def crop_targets(masks, windows, boxes, object_index, size):
    """Cuts each RoI's target mask out of its object's mask.

    Args:
        masks: uint8 [B, G, S, S'], 0 or 1.
        windows: float32 [B, G, 4], the box that each of them fills, in pixels.
        boxes: float32 [B, R, 4], RoIs in pixels.
        object_index: int32 [B, R], the slot of G that each RoI matched.
        size: m, target pixels a side (28).
    Returns:
        float32 [B, R, m, m], share of object in each cell, 0 to 1.
    Source: He et al. 2017, section 3.1, with RoIAlign's sampling: half-pixel
        correct (`aligned`), two samples a cell each way.
    """
    batch, slots = tf.shape(masks)[0], tf.shape(masks)[1]
    planes = tf.reshape(masks, [batch * slots, tf.shape(masks)[2], tf.shape(masks)[3]])
    planes = tf.cast(planes, tf.float32)[..., None]  # [B * G, H, W, 1]
    plane = tf.range(batch)[:, None] * slots + object_index  # [B, R]
    # RoIs in cells of their object's window.
    windows = tf.gather(windows, object_index, batch_dims=1)  # [B, R, 4]
    start, end = windows[..., :2], windows[..., 2:]
    cells = tf.cast(tf.shape(masks)[2:], tf.float32)
    scale = tf.math.divide_no_nan(cells, end - start)  # 0 in an empty slot
    boxes = (boxes - tf.tile(start, [1, 1, 2])) * tf.tile(scale, [1, 1, 2])
    crops = roi.roi_align([planes], boxes, size, [1], aligned=True, image_index=plane)
    return crops[..., 0]  # [B, R, m, m]


def paste(probabilities, box, height, width, threshold=0.5):
    """Lays one predicted mask into its image.

    Args:
        probabilities: float32 [m, m], the RoI's mask.
        box: four floats (y1, x1, y2, x2) in image pixels; may leave the image.
        height, width: of the image in pixels.
        threshold: pixels at or above it are object.
    Returns:
        bool [height, width].
    Source: detectron2's paste: the mask is sampled bilinearly at the centre of
        each pixel, and is zero outside. (`whole_pixel_box` gives torchvision's.)
    """
    size = len(probabilities)
    y1, x1, y2, x2 = (float(edge) for edge in box)
    pasted = np.zeros((height, width), bool)
    # Half a mask cell outside the box the bilinear sample still sees the mask.
    margin_y, margin_x = (y2 - y1) / size, (x2 - x1) / size
    top, bottom = _pixel_range(y1 - margin_y, y2 + margin_y, height)
    left, right = _pixel_range(x1 - margin_x, x2 + margin_x, width)
    if y2 <= y1 or x2 <= x1 or bottom <= top or right <= left:
        return pasted
    rows = _interpolation(top, bottom, y1, y2, size)  # [h, m]
    columns = _interpolation(left, right, x1, x2, size)  # [w, m]
    pasted[top:bottom, left:right] = rows @ probabilities @ columns.T >= threshold
    return pasted


def whole_pixel_box(box, size):
    """The box that torchvision pastes a mask into: nearly the one it is given.

    Args:
        box: four floats (y1, x1, y2, x2) in image pixels.
        size: m, mask cells a side.
    Returns:
        float32 [4]: what `paste` needs for torchvision's masks, pixel for pixel.
    Source: torchvision's paste_masks_in_image. It grows the box by a mask cell each
        way, drops the fractions of its corners and adds a pixel, so that an edge of
        the mask moves by up to a pixel.
    """
    box = np.asarray(box, np.float32)
    center, half = (box[:2] + box[2:]) * 0.5, (box[2:] - box[:2]) * 0.5
    half *= np.float32((size + 2) / size)
    corner = np.trunc(center - half)
    extent = np.maximum(np.trunc(center + half) - corner + 1, 1)
    cell = extent / (size + 2)
    return np.concatenate([corner + cell, corner + extent - cell])


def _pixel_range(low, high, limit):
    """First and last + 1 of the pixels between two positions, inside the image."""
    return max(int(np.floor(low)), 0), min(int(np.ceil(high)), limit)


def _interpolation(first, last, low, high, size):
    """Weights that sample `size` mask cells at pixel centres: [last - first, size].

    Bilinear interpolation on a regular grid is separable: one matrix for rows, one
    for columns, each row of which holds at most two weights.
    """
    centers = np.arange(first, last) + 0.5
    position = (centers - low) / (high - low) * size - 0.5  # in mask cells
    distance = np.abs(position[:, None] - np.arange(size))
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)
