#!/usr/bin/env python
"""Runs one network in torchvision and in ours, and compares them stage by stage.

Needs PyTorch and torchvision besides (`pip install torch torchvision`); nothing else
here does. torchvision's network is saved as it saves them, imported by
`MaskRCNN.from_pretrained` and given the same images. Exits with 1 if a stage differs by
more than its bar.

Examples:
    scripts/compare_torchvision.py                        # random weights and image
    scripts/compare_torchvision.py --weights published photo.jpg
    scripts/compare_torchvision.py --network coco_v2 --weights my_copy.pth *.jpg
"""

import argparse
import copy
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import mrcnn_tf as mr
from mrcnn_tf import backbones, fpn, roi

try:
    import torch
    from torchvision.models import detection
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.misc import FrozenBatchNorm2d

    MISSING = None
except (ImportError, RuntimeError) as error:  # RuntimeError: builds that do not fit
    MISSING = error

NETWORKS = ("coco", "coco_v2")


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--network", choices=NETWORKS, default="coco")
    parser.add_argument(
        "--weights",
        default="random",
        metavar="WHICH",
        help="random (the default), published (torchvision downloads them) or a file",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random weights, image")
    parser.add_argument("--short-side", type=int, default=800, metavar="PIXELS")
    parser.add_argument("--long-side", type=int, default=1333, metavar="PIXELS")
    return parser.parse_args(arguments)


def build_theirs(options):
    """Returns torchvision's network in evaluation mode, with its weights."""
    sizes = {"min_size": options.short_side, "max_size": options.long_side}
    if options.network == "coco":
        # As the published weights are used: frozen batch norm of epsilon 0.
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d
        )
        network = detection.MaskRCNN(backbone, num_classes=91, **sizes)
        for module in network.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = 0.0
        published = detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    else:
        none = {"weights": None, "weights_backbone": None}
        network = detection.maskrcnn_resnet50_fpn_v2(**none, **sizes)
        published = detection.MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1
    if options.weights == "random":
        state = random_state(network, options.seed)
    elif options.weights == "published":
        state = published.get_state_dict(progress=True, check_hash=True)
    else:
        state = torch.load(options.weights, weights_only=True)
    network.load_state_dict(state)
    return network.eval()


def random_state(network, seed):
    """Makes weights that keep activations near unit scale."""
    random = np.random.default_rng(seed)
    state = {}
    for name, old in network.state_dict().items():
        shape = tuple(old.shape)
        if name.endswith("num_batches_tracked"):
            values = np.zeros(shape)
        elif name.endswith("running_var"):
            values = random.uniform(0.8, 1.2, shape)
        elif len(shape) == 1 and name.endswith("weight"):
            # Small on a block's last batch norm, else the sum of blocks grows.
            values = random.uniform(0.8, 1.2, shape) * (0.2 if ".bn3." in name else 1)
        elif len(shape) == 1:
            values = random.normal(0, 0.03, shape)
        else:
            # Of a transposed convolution, [in, out, 2, 2], an output sees one tap.
            inputs = shape[0] if "conv5_mask" in name else np.prod(shape[1:])
            # Outputs are small, as in a trained network: deltas and scores go through
            # exponentials, and scores that are all 1 have no order to compare.
            gain = 0.15 if "cls_" in name or "bbox_" in name else 1.4
            values = random.normal(0, gain / inputs**0.5, shape)
        state[name] = torch.from_numpy(np.asarray(values)).to(old.dtype)
    return state


def build_ours(theirs, options):
    """Returns our network with their weights, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "torchvision.pth"
        torch.save(theirs.state_dict(), path)
        return mr.MaskRCNN.from_pretrained(
            options.network,
            path,
            image={"short_side": options.short_side, "long_side": options.long_side},
        )


def run_theirs(network, image):
    """Runs torchvision's network; returns what its modules gave, and its answer."""
    modules = {
        "transform": network.transform,
        "body": network.backbone.body,
        "pyramid": network.backbone,
        "rpn_head": network.rpn.head,
        "rpn": network.rpn,
        "roi_heads": network.roi_heads,
        "box_predictor": network.roi_heads.box_predictor,
        "mask_predictor": network.roi_heads.mask_predictor,
    }
    stages = {}

    def keep(name):
        def hook(module, inputs, output):
            stages[name] = copy.deepcopy(output)  # what follows writes into it

        return hook

    hooks = [module.register_forward_hook(keep(n)) for n, module in modules.items()]
    pixels = torch.from_numpy(image).permute(2, 0, 1) / 255  # [3, H, W]
    with torch.no_grad():
        answer = network([pixels])[0]
    for hook in hooks:
        hook.remove()
    return stages, answer


class Table:
    """The rows as they are compared; `failed` counts those over their bar."""

    def __init__(self):
        self.failed = 0
        print(f"{'':20}{'values':>10}{'absolute':>10}{'relative':>10}   bar")

    def compare(self, name, ours, theirs, atol=None):
        """Adds a row; without `atol` the bar is relative, each value by itself."""
        ours, theirs = (np.asarray(array, np.float64) for array in (ours, theirs))
        if ours.shape != theirs.shape:
            self.add(name, f"  shape {ours.shape}, torchvision {theirs.shape}", False)
            return
        difference = np.abs(ours - theirs)
        largest = np.abs(theirs).max(initial=0)
        bar = np.maximum(1e-3 * np.abs(theirs), 1e-4 * largest)
        absolute = difference.max(initial=0)
        relative = absolute / largest if largest else 0.0
        text = f"{ours.size:10,}{absolute:10.1e}{relative:10.1e}   "
        text += "1e-3, or 1e-4 of the largest" if atol is None else f"{atol:g}"
        self.add(name, text, (difference <= (bar if atol is None else atol)).all())

    def count(self, name, ours, theirs):
        """Adds a row of two lengths."""
        text = f"{len(ours):10,}   torchvision {len(theirs):,}   equal"
        self.add(name, text, len(ours) == len(theirs))

    def add(self, name, text, passed):
        """Adds a row of text."""
        self.failed += not passed
        print(f"{name:20}{text}{'' if passed else '   <-- OVER'}")


def yx(xy):
    """(x1, y1, x2, y2) to (y1, x1, y2, x2); the same for (dx, dy, dw, dh)."""
    return np.asarray(xy)[..., [1, 0, 3, 2]]


def channels_last(tensor):
    """[N, C, H, W] to [N, H, W, C]."""
    return tensor.permute(0, 2, 3, 1).numpy()


def match(ours, theirs):
    """Pairs rows one to one, the nearest together; returns two indices."""
    return linear_sum_assignment(np.abs(ours[:, None] - theirs).max(axis=-1))


def compare_image(model, network, image):
    """Prints the table of one image; returns how many of its rows are over the bar."""
    theirs, answer = run_theirs(network, image)
    ours = model.inspect(image)
    table = Table()

    images = theirs["transform"][0]
    table.compare("input", ours["normalized_images"], channels_last(images.tensors))
    maps = [*theirs["body"].values(), *theirs["pyramid"].values()]
    for name, features in zip(("c2", "c3", "c4", "c5", *fpn.LEVELS), maps, strict=True):
        table.compare(name, ours[name], channels_last(features))
    for name, logits, deltas in zip(fpn.LEVELS, *theirs["rpn_head"], strict=True):
        logits = channels_last(logits).reshape(1, -1)  # [1, A]
        deltas = channels_last(deltas).reshape(1, -1, 4)  # [1, A, 4]
        table.compare(f"{name} objectness", ours[f"rpn_logits_{name}"], logits)
        table.compare(f"{name} anchor deltas", ours[f"rpn_deltas_{name}"], yx(deltas))

    proposals = yx(theirs["rpn"][0][0])
    found = ours["proposals"][0]
    found = found[found.any(axis=1)]
    table.count("proposals", found, proposals)
    i, j = match(found, proposals)
    table.compare("proposals, pixels", found[i], proposals[j], atol=0.1)

    # The heads are given the same boxes, theirs, lest differences add up.
    pyramid = [tf.constant(ours[name]) for name in fpn.LEVELS[:4]]

    def align(boxes, size):
        strides, aligned = backbones.STRIDES, model.config.roi.aligned
        return roi.roi_align(pyramid, boxes[None], size, strides, aligned)[0]

    inside = theirs["roi_heads"][0][0]
    logits, deltas = model.box_head(align(proposals, model.config.roi.box_size))
    their_logits, their_deltas = theirs["box_predictor"]
    table.compare("class logits", logits, their_logits)
    table.compare("box deltas", deltas, yx(their_deltas.reshape(*deltas.shape)))
    logits = model.mask_head(align(yx(inside["boxes"]), model.config.roi.mask_size))
    table.compare("mask logits", logits, channels_last(theirs["mask_predictor"]))

    compare_detections(table, ours, inside)
    compare_answers(table, model.detect(image), answer)
    return table.failed


def compare_detections(table, ours, theirs):
    """Adds the rows of detections in the network's pixels, matched one to one."""
    found = ours["detection_classes"][0] > 0
    names = ("boxes", "classes", "scores", "masks")
    boxes, classes, scores, masks = (ours[f"detection_{n}"][0][found] for n in names)
    their_boxes, labels = yx(theirs["boxes"]), theirs["labels"].numpy()
    table.count("detections", boxes, their_boxes)
    i, j = match(with_class(boxes, classes), with_class(their_boxes, labels))
    table.compare("their classes", classes[i], labels[j], atol=0)
    table.compare("their boxes, pixels", boxes[i], their_boxes[j], atol=0.1)
    table.compare("their scores", scores[i], theirs["scores"][j], atol=1e-3)
    probabilities = theirs["masks"][j, 0]  # [D, 28, 28]
    table.compare("mask probabilities", masks[i], probabilities, atol=1e-3)


def compare_answers(table, result, theirs):
    """Adds the rows of what people get, in the image's own pixels."""
    boxes, labels = yx(theirs["boxes"]), theirs["labels"].numpy()
    i, j = match(with_class(result.boxes, result.classes), with_class(boxes, labels))
    table.compare("answers, pixels", result.boxes[i], boxes[j], atol=0.1)
    large = (boxes[j, 2:] - boxes[j, :2]).min(axis=1, initial=np.inf) > 32
    ours = result.masks[i][large]
    others = theirs["masks"][j, 0].numpy()[large] > 0.5
    shared, union = (m.sum(axis=(1, 2)) for m in (ours & others, ours | others))
    least = np.where(union, shared / np.maximum(union, 1), 1).min(initial=1)
    text = f"{large.sum():10,}   least IoU {least:.4f}   0.95, boxes over 32 pixels"
    table.add("pasted masks", text, least >= 0.95)


def with_class(boxes, classes):
    """[D, 5]: the class as a coordinate that outweighs any distance."""
    return np.column_stack([boxes, 1e5 * classes])


def run(options):
    """Compares as the command line says; returns the exit status."""
    if MISSING is not None:
        raise ValueError(
            f"{MISSING}; install what it compares with: pip install torch torchvision"
        )
    images = {path: mr.datasets.read_image(path) for path in options.images}
    if not images:
        random = np.random.default_rng(options.seed)
        noise = random.integers(0, 256, (300, 500, 3), dtype=np.uint8)
        images = {"random image": noise}
    theirs = build_theirs(options)
    ours = build_ours(theirs, options)
    failed = 0
    for name, image in images.items():
        print(f"\n{options.network}, {options.weights} weights, {name}:")
        failed += compare_image(ours, theirs, image)
    print(f"\n{failed} rows over their bar" if failed else "\nall within their bars")
    return 1 if failed else 0


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    try:
        return run(options)
    except (ValueError, OSError, RuntimeError) as error:  # the last is torch's
        print(f"compare_torchvision: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
