"""A Mask R-CNN small enough to build and run in a test."""

import keras

import mrcnn_tf as mr

CLASSES = ("square", "circle", "triangle")


def config(**changes):
    """The tiny preset, smaller still; images of 64 x 64."""
    small = mr.Config.preset(
        "tiny",
        classes=CLASSES,
        image={"short_side": 64, "long_side": 64},
        backbone={"width": 8, "fpn_channels": 16},
        rpn={"post_nms_train": 60, "post_nms_test": 40},
        roi={"samples": 16, "box_units": 32, "mask_channels": 16},
        train={"batch_size": 2, "max_objects": 4},
    )
    return small.replace(**changes)


def model(seed=0, **changes):
    """A model of that config, compiled."""
    keras.utils.set_random_seed(seed)
    network = mr.MaskRCNN(config(**changes))
    network.compile()
    return network


def batch(dataset, network):
    """The first batch of a dataset, and the stream it comes from."""
    stream = mr.datasets.batches(dataset, network.config, training=True)
    return next(iter(stream)), stream
