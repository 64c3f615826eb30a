"""Presets: named departures from the defaults of `config.py`, which are the reference.

Runtime and accuracy of each stand in the README, as measured.
"""

PRESETS = {
    # Toy scenes of 128 x 128 on two CPU cores in minutes, from scratch.
    "tiny": {
        "image": {"resize": "square", "short_side": 128, "long_side": 128},
        "backbone": {
            "name": "resnet18",
            "width": 32,
            "norm": "batch",
            "fpn_channels": 64,
        },
        "rpn": {
            "anchor_sizes": (16, 32, 48, 64, 96),
            "samples": 64,
            "pre_nms_train": 200,
            "pre_nms_test": 200,
            "post_nms_train": 200,
            "post_nms_test": 100,
        },
        "roi": {
            "samples": 48,
            "aligned": True,
            "box_units": 256,
            "mask_convs": 2,
            "mask_channels": 64,
        },
        "detection": {"max_detections": 20},
        "train": {
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "batch_size": 8,
            "steps": 1000,
            "warmup_steps": 50,
            "max_objects": 8,
        },
    },
    # Cats and dogs in scenes of 256 x 256, from MobileNetV2 with ImageNet weights.
    "pets": {
        "image": {
            "resize": "square",
            "short_side": 256,
            "long_side": 256,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
        },
        "backbone": {
            "name": "mobilenet_v2",
            "width": 100,
            "fpn_channels": 96,
        },
        "rpn": {
            "anchor_sizes": (24, 48, 96, 160, 256),
            "samples": 128,
            "pre_nms_train": 300,
            "pre_nms_test": 200,
            "post_nms_train": 200,
            "post_nms_test": 100,
        },
        "roi": {
            "samples": 32,
            "aligned": True,
            "box_units": 512,
            "mask_convs": 3,
            "mask_channels": 64,
        },
        "detection": {"max_detections": 20},
        "train": {
            "optimizer": "adamw",
            "learning_rate": 3e-4,
            "batch_size": 8,
            "steps": 2400,
            "warmup_steps": 200,
            "clip_norm": 5.0,
            "frozen_stages": 2,
            "max_objects": 4,
        },
    },
    # torchvision's first COCO network, 37.9 box AP and 34.6 mask AP.
    "resnet50_fpn": {},
    # Its second, 47.4 and 41.8: more convolutions, batch norm in pyramid and heads.
    "resnet50_fpn_v2": {
        "backbone": {"fpn_norm": True},
        "rpn": {"convs": 2},
        "roi": {"box_convs": 4, "box_layers": 1, "head_norm": True},
    },
    # The paper's, on the fixed square that courses teach.
    "resnet101_fpn": {
        "image": {"resize": "square", "short_side": 800, "long_side": 1024},
        "backbone": {"name": "resnet101"},
    },
}

# How a network trained on COCO learns other classes: torchvision's own schedule for
# it, two images at a time, the stem and C2 held still.
FINE_TUNE = {
    "learning_rate": 0.005,
    "batch_size": 2,
    "steps": 2000,
    "warmup_steps": 200,
    "frozen_stages": 2,
}

# What Keras Applications' ResNets were trained with, for `config.replace`: pixels less
# their mean, the stride in the 1x1 convolution as in the paper.
KERAS_RESNET = {
    "image": {
        "mean": (123.68 / 255, 116.779 / 255, 103.939 / 255),
        "std": (1 / 255, 1 / 255, 1 / 255),
    },
    "backbone": {"stride_in": "1x1", "norm_epsilon": 1.001e-5},
}
