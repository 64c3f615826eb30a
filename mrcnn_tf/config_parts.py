"""The numbers of each concern of the network and its training, a dataclass for each.

The defaults are those of torchvision's `maskrcnn_resnet50_fpn`, so that its
published COCO weights give their published AP.
"""

from dataclasses import dataclass

RESIZE_MODES = ("aspect", "square")
BACKBONES = ("resnet18", "resnet50", "resnet101", "mobilenet_v2")
NORMS = ("frozen", "batch")
STRIDES_IN = ("3x3", "1x1")
MASK_KINDS = ("sigmoid", "softmax", "agnostic", "none")
OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "float16")


def check(condition, name, found, expected):
    """Raises ValueError, which names the field, unless `condition` holds."""
    if not condition:
        raise ValueError(f"config: {name} must be {expected}, found {found!r}")


@dataclass(frozen=True)
class ImageConfig:
    """How an image of any size becomes the network's input."""

    # "aspect": pad right and below to a multiple of `divisor`.
    # "square": pad to long_side x long_side, one shape for every image.
    resize: str = "aspect"
    short_side: int = 800  # pixels; the image is scaled until its short side is this
    long_side: int = 1333  # pixels; ... unless its long side would pass this
    divisor: int = 32  # pixels; the deepest stride of the backbone
    mean: tuple = (0.485, 0.456, 0.406)  # RGB on [0, 1]; ImageNet
    std: tuple = (0.229, 0.224, 0.225)  # RGB on [0, 1]; ImageNet

    def __post_init__(self):
        check(self.resize in RESIZE_MODES, "image.resize", self.resize, RESIZE_MODES)
        check(
            0 < self.short_side <= self.long_side,
            "image.short_side",
            self.short_side,
            f"from 1 to image.long_side = {self.long_side}",
        )
        check(self.divisor >= 1, "image.divisor", self.divisor, "at least 1")
        if self.resize == "square":
            check(
                self.long_side % self.divisor == 0,
                "image.long_side",
                self.long_side,
                f"a multiple of image.divisor = {self.divisor} when resize is square",
            )


@dataclass(frozen=True)
class BackboneConfig:
    """ResNet or MobileNetV2, and the feature pyramid on it."""

    name: str = "resnet50"
    # ResNet: channels of the stem, 64 in the paper; MobileNetV2: alpha * 100.
    width: int = 64
    # "frozen": batch norm is a constant affine map, for pretrained weights and
    # small batches. "batch": it learns, for training from scratch.
    norm: str = "frozen"
    norm_epsilon: float = 1e-5
    # Which convolution of a ResNet's bottleneck halves the resolution: torchvision's
    # the "3x3"; the paper's and Keras Applications' the "1x1".
    stride_in: str = "3x3"
    fpn_channels: int = 256
    fpn_norm: bool = False  # frozen batch norm after each convolution

    def __post_init__(self):
        check(self.name in BACKBONES, "backbone.name", self.name, BACKBONES)
        check(self.norm in NORMS, "backbone.norm", self.norm, NORMS)
        check(self.width >= 8, "backbone.width", self.width, "at least 8")
        check(
            self.stride_in in STRIDES_IN,
            "backbone.stride_in",
            self.stride_in,
            STRIDES_IN,
        )
        check(
            self.stride_in == "3x3" or self.name in ("resnet50", "resnet101"),
            "backbone.stride_in",
            self.stride_in,
            f"3x3 for {self.name}, whose strides are fixed",
        )


@dataclass(frozen=True)
class RPNConfig:
    """Anchors, objectness and proposals."""

    convs: int = 1  # 3x3 convolutions of the head
    anchor_sizes: tuple = (32, 64, 128, 256, 512)  # pixels, one per level P2..P6
    anchor_ratios: tuple = (0.5, 1.0, 2.0)  # height over width
    positive_iou: float = 0.7
    negative_iou: float = 0.3
    samples: int = 256  # anchors per image in the loss
    positive_fraction: float = 0.5
    nms_iou: float = 0.7
    # Candidates per level before NMS, and proposals per image after it.
    pre_nms_train: int = 2000
    pre_nms_test: int = 1000
    post_nms_train: int = 2000
    post_nms_test: int = 1000

    def __post_init__(self):
        check(
            len(self.anchor_sizes) == 5,
            "rpn.anchor_sizes",
            self.anchor_sizes,
            "five numbers, one for each of P2 to P6",
        )
        check(
            0 <= self.negative_iou <= self.positive_iou <= 1,
            "rpn.negative_iou",
            self.negative_iou,
            f"from 0 to rpn.positive_iou = {self.positive_iou}",
        )


@dataclass(frozen=True)
class RoIConfig:
    """Sampling of RoIs, RoIAlign, box head and mask head."""

    samples: int = 512  # RoIs per image in the losses
    positive_fraction: float = 0.25
    positive_iou: float = 0.5
    box_weights: tuple = (10.0, 10.0, 5.0, 5.0)  # (dy, dx, dh, dw)
    # False shifts features by half a pixel, as the published COCO weights were
    # trained; True is right, and what training from scratch uses.
    aligned: bool = False
    box_size: int = 7  # RoIAlign cells a side
    mask_size: int = 14  # RoIAlign cells a side; the mask has twice as many
    box_convs: int = 0  # 3x3 convolutions of the box head
    box_layers: int = 2  # hidden fully connected layers after them
    box_units: int = 1024  # of each of those
    mask_convs: int = 4
    mask_channels: int = 256
    head_norm: bool = False  # frozen batch norm after each convolution of both heads
    # "sigmoid": a mask for each class, which do not compete (the paper's).
    # "softmax": at each pixel the classes compete, as in semantic segmentation.
    # "agnostic": one mask, whatever the class.
    # "none": no mask branch, which makes it Faster R-CNN; for data of boxes alone.
    mask_kind: str = "sigmoid"

    def __post_init__(self):
        check(
            0 < self.positive_fraction <= 1,
            "roi.positive_fraction",
            self.positive_fraction,
            "above 0, at most 1",
        )
        check(len(self.box_weights) == 4, "roi.box_weights", self.box_weights, "four")
        check(self.mask_kind in MASK_KINDS, "roi.mask_kind", self.mask_kind, MASK_KINDS)


@dataclass(frozen=True)
class DetectionConfig:
    """From class scores to the final detections."""

    min_score: float = 0.05
    nms_iou: float = 0.5  # within one class
    max_detections: int = 100  # per image
    mask_threshold: float = 0.5
    # True pastes masks into boxes of whole pixels, as torchvision does and its
    # published AP has it; False where the box is, which is up to a pixel truer.
    whole_pixel_boxes: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """Optimiser, schedule and freezing; one `step` is one batch."""

    optimizer: str = "sgd"
    learning_rate: float = 0.02  # at the top of the warm-up
    batch_size: int = 16  # images
    steps: int = 90_000
    warmup_steps: int = 1000  # linear, from a thousandth of the learning rate
    # The learning rate is multiplied by `decay_factor` at each of these shares
    # of `steps`; 60k and 80k of 90k is Detectron's 1x schedule.
    decay_at: tuple = (2 / 3, 8 / 9)
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4  # not on biases and norms
    clip_norm: float | None = None  # global norm of the gradient
    # Backbone stages that do not learn: 0 none, 1 the stem, 2 stem and C2, ...
    frozen_stages: int = 0
    max_objects: int = 100  # ground-truth slots per image
    # In which convolutions and dense layers compute, when it predicts too; see
    # `precision.py`. "bfloat16" is for GPUs since Ampere and processors with
    # AVX512-BF16, "float16" for older GPUs such as the T4.
    precision: str = "float32"

    def __post_init__(self):
        check(
            self.optimizer in OPTIMIZERS, "train.optimizer", self.optimizer, OPTIMIZERS
        )
        check(
            self.precision in PRECISIONS, "train.precision", self.precision, PRECISIONS
        )
        check(
            0 <= self.frozen_stages <= 5,
            "train.frozen_stages",
            self.frozen_stages,
            "0 to 5",
        )
        check(
            all(0 < share < 1 for share in self.decay_at),
            "train.decay_at",
            self.decay_at,
            "shares of `steps` between 0 and 1",
        )
        for name in ("batch_size", "steps", "max_objects"):
            check(
                getattr(self, name) >= 1,
                f"train.{name}",
                getattr(self, name),
                "at least 1",
            )


@dataclass(frozen=True)
class AugmentConfig:
    """How training images are changed at random; `datasets.augment` does it."""

    flip: float = 0.5  # probability of a mirror image; the paper's
    # Brightness, contrast and saturation are each multiplied by 1 - this to 1 + this;
    # 0 for none. SSD, Liu et al. 2016.
    colors: float = 0.25
    # Objects are made larger by a factor from the first to the second, (1, 1) for
    # none. Ghiasi et al. 2021: (0.8, 1.25) is usual, (0.1, 2) is large-scale jitter.
    # Below 1 an image in memory grows by the factor's inverse squared.
    zoom: tuple = (1.0, 1.0)
    crop: float = 0.0  # probability of a window of another aspect; as in SSD
    min_side: float = 0.5  # of such a window's sides, share of the image's
    copy_paste: float = 0.0  # probability of another image's objects; Ghiasi et al.
    # Share of an object's area; with less of it visible it is neither an object to
    # find nor background.
    min_visible: float = 0.1

    def __post_init__(self):
        for name in ("flip", "crop", "copy_paste", "min_visible"):
            value = getattr(self, name)
            check(0 <= value <= 1, f"augment.{name}", value, "from 0 to 1")
        check(0 <= self.colors < 1, "augment.colors", self.colors, "from 0 to below 1")
        check(
            0 < self.min_side <= 1,
            "augment.min_side",
            self.min_side,
            "above 0, at most 1",
        )
        check(
            len(self.zoom) == 2 and 0.1 <= self.zoom[0] <= self.zoom[1] <= 10,
            "augment.zoom",
            self.zoom,
            "two factors in order, from 0.1 to 10",
        )
