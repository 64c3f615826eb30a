"""Networks trained on COCO: torchvision's published Mask R-CNNs."""

import dataclasses

from mrcnn_tf.config import Config
from mrcnn_tf.presets import FINE_TUNE
from mrcnn_tf.pretrained import files, strict, torch_file
from mrcnn_tf.pretrained.torchvision_names import mask_rcnn_slots, modern_name

# Names by COCO's category ids, 1 to 90; ten ids were never used.
COCO_NAMES = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus",
    7: "train", 8: "truck", 9: "boat", 10: "traffic light", 11: "fire hydrant",
    13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat",
    18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear",
    24: "zebra", 25: "giraffe", 27: "backpack", 28: "umbrella", 31: "handbag",
    32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis", 36: "snowboard",
    37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove",
    41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle",
    46: "wine glass", 47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl",
    52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli",
    57: "carrot", 58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair",
    63: "couch", 64: "potted plant", 65: "bed", 67: "dining table", 70: "toilet",
    72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard",
    77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink",
    82: "refrigerator", 84: "book", 85: "clock", 86: "vase", 87: "scissors",
    88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}  # fmt: skip

# One class for every id, so that class and category id are the same number.
COCO_CLASSES = tuple(COCO_NAMES.get(i, f"unused {i}") for i in range(1, 91))

# Preset and changes to it, by the names in `files.PUBLISHED`.
_PASTE = {"detection": {"whole_pixel_boxes": True}}
NETWORKS = {
    "coco": ("resnet50_fpn", {"backbone": {"norm_epsilon": 0.0}, **_PASTE}),
    "coco_v2": ("resnet50_fpn_v2", _PASTE),
}
# What the class scores, boxes and masks of a class come out of.
_CLASS_LAYERS = (
    "box_head/class_logits",
    "box_head/box_deltas",
    "mask_head/mask_logits",
)

_MASK_BRANCH = ("roi_heads.mask_head.", "roi_heads.mask_predictor.")


def coco_config(name, classes=None, **changes):
    """Makes the config of a published network.

    Args:
        name: "coco" or "coco_v2".
        classes: names without background, if not COCO's; the schedule then is
            `presets.FINE_TUNE`.
        **changes: as of `Config.preset`.
    Returns:
        `Config`.
    Raises:
        ValueError: for an unknown name, or as `Config.preset`.
    """
    if name not in NETWORKS:
        raise ValueError(
            f"no pretrained network {name!r}; there are {', '.join(NETWORKS)}"
        )
    preset, own = NETWORKS[name]
    if classes is None:
        config = Config.preset(preset, COCO_CLASSES, **own)
    else:
        config = Config.preset(preset, classes, **own).replace(train=FINE_TUNE)
    return config.replace(**changes)


def load_coco(model, name, path=None):
    """Gives a Mask R-CNN the weights of a published network.

    Args:
        model: a MaskRCNN of `coco_config`. With other classes than COCO's, layers
            whose shape depends on their number stay as they are, unless it fits; a
            network of boxes alone leaves the mask branch in the file.
        name: "coco" or "coco_v2".
        path: of a copy of the file; without one it is downloaded.
    Returns:
        `Report`, which says what was taken and what is new.
    Raises:
        FileNotFoundError, ValueError: as `files.fetch`, `torch_file.find_tensors` and
            `strict.assign`; no weight has changed then.
    """
    path = files.fetch(files.PUBLISHED[name], path)
    slots, new = [], set()
    for slot in mask_rcnn_slots(model):
        if slot.layer in _CLASS_LAYERS:
            shape = _with_outputs(slot.shape, model.config.num_outputs)
            if shape != slot.shape:
                new.add(slot.layer)
                slot = dataclasses.replace(slot, shape=shape)
        slots.append(slot)
    new = [layer for layer in _CLASS_LAYERS if layer in new]
    tensors = torch_file.find_tensors(path)
    unused = []
    if not model.config.has_masks:
        unused = [n for n in map(modern_name, tensors) if n.startswith(_MASK_BRANCH)]
    return strict.assign(slots, tensors, str(path), new, unused)


def _with_outputs(shape, outputs):
    """The shape that a layer of `outputs` classes has in COCO's file."""
    per_class = max(1, shape[0] // outputs)  # 0: one mask for all classes
    return ((len(COCO_CLASSES) + 1) * per_class, *shape[1:])
