"""The three graphs of Mask R-CNN, functional Keras models over the same layers.

    training:    images and ground truth -> the losses
    inspection:  images -> every intermediate by name
    inference:   images -> detections with their masks

Read `training_graph` and `inspection_graph` from top to bottom: they are the paper's
figure 1, on the feature pyramid of Lin et al. 2017.
"""

import keras

from mrcnn_tf import backbones, fpn, losses
from mrcnn_tf.anchors import Anchors
from mrcnn_tf.detections import Detections, MaskProbabilities
from mrcnn_tf.inputs import Normalize
from mrcnn_tf.masks import WINDOW
from mrcnn_tf.proposals import Proposals
from mrcnn_tf.roi import RoIAlign
from mrcnn_tf.slots import AllSlots, SlotsInUse
from mrcnn_tf.targets import MaskTargets, RoITargets, RPNTargets

BOX_NAMES = ("detection_boxes", "detection_classes", "detection_scores")
MASK_NAME = "detection_masks"  # of a network with a mask branch


def training_graph(model):
    """Builds the graph that `fit` runs.

    Args:
        model: a MaskRCNN with its five parts.
    Returns:
        keras.Model: the dict of `datasets.batches`, less `image_index`, to a dict of
        the losses, float32 [B] each, by the names in `losses.NAMES`; without a mask
        branch there are four.
    """
    config = model.config
    slots = config.train.max_objects
    inputs = {
        **_image_inputs(),
        "boxes": keras.Input((slots, 4), name="boxes"),
        "classes": keras.Input((slots,), dtype="int32", name="classes"),
        "crowd": keras.Input((slots,), dtype="bool", name="crowd"),
        "draw": keras.Input((2,), dtype="int32", name="draw"),
    }
    truth = [inputs[name] for name in ("boxes", "classes", "crowd", "draw")]
    stages = _first_stage(
        model, inputs, config.rpn.pre_nms_train, config.rpn.post_nms_train
    )

    rpn_targets = RPNTargets(
        config.rpn.samples,
        config.rpn.positive_fraction,
        config.rpn.positive_iou,
        config.rpn.negative_iou,
        name="rpn_targets",
    )(stages["anchors"], *truth)
    objectness, anchor_box = losses.RPNLosses(name="rpn_losses")(
        *rpn_targets, stages["rpn_logits"], stages["rpn_deltas"]
    )

    roi_targets = RoITargets(
        config.roi.samples,
        config.roi.positive_fraction,
        config.roi.positive_iou,
        config.roi.box_weights,
        name="roi_targets",
    )
    rois, labels, box_targets, object_index = roi_targets(stages["proposals"], *truth)
    class_logits, box_deltas = model.box_head(
        _align(config, config.roi.box_size, "box_roi_align")(stages["pyramid"], rois)
    )
    roi_losses = losses.RoILosses(name="roi_losses")(
        labels, box_targets, class_logits, box_deltas
    )
    values = (objectness, anchor_box, *roi_losses)
    outputs = dict(zip(losses.BOX_NAMES, values, strict=True))
    if not config.has_masks:
        return keras.Model(inputs, outputs, name="training")

    inputs["masks"] = keras.Input((slots, WINDOW, WINDOW), dtype="uint8", name="masks")
    inputs["windows"] = keras.Input((slots, 4), name="windows")
    # Positives stand first, and only they have masks.
    first = roi_targets.max_positives
    labels, rois, object_index = SlotsInUse(name="positives")(
        labels[:, :first], rois[:, :first], object_index[:, :first]
    )
    mask_targets = MaskTargets(2 * config.roi.mask_size, name="mask_targets")(
        inputs["masks"], inputs["windows"], rois, object_index
    )
    mask_logits = model.mask_head(
        _align(config, config.roi.mask_size, "mask_roi_align")(stages["pyramid"], rois)
    )
    outputs["mask"] = losses.MaskLoss(config.roi.mask_kind, name="mask_loss")(
        labels, mask_targets, mask_logits
    )
    return keras.Model(inputs, outputs, name="training")


def inspection_graph(model):
    """Builds the graph that shows every intermediate; detections are among them.

    Args:
        model: a MaskRCNN with its five parts.
    Returns:
        keras.Model: images float32 [B, H, W, 3], 0 to 255, and their sizes int32
        [B, 2], to a dict of tensors, in the order in which data flows. A list by
        level becomes entries named `rpn_logits_p2`, `rpn_logits_p3` and so on.
    """
    config = model.config
    inputs = _image_inputs()
    stages = _first_stage(
        model, inputs, config.rpn.pre_nms_test, config.rpn.post_nms_test
    )
    proposals = stages["proposals"]
    box_features = _align(config, config.roi.box_size, "box_roi_align")(
        stages["pyramid"], proposals
    )
    class_logits, box_deltas = model.box_head(box_features)
    boxes, classes, scores = Detections(
        config.roi.box_weights,
        config.detection.min_score,
        config.detection.nms_iou,
        config.detection.max_detections,
        name="detections",
    )(class_logits, box_deltas, proposals, inputs["sizes"])
    by_level = {
        f"{name}_{level}": tensor
        for name in ("anchors", "rpn_logits", "rpn_deltas")
        for level, tensor in zip(fpn.LEVELS, stages[name], strict=True)
    }
    outputs = {
        "normalized_images": stages["normalized_images"],
        **dict(zip(("c2", "c3", "c4", "c5"), stages["backbone"], strict=True)),
        **dict(zip(fpn.LEVELS, stages["levels"], strict=True)),
        **by_level,
        "proposals": proposals,
        "proposal_logits": stages["proposal_logits"],
        "box_features": box_features,
        "class_logits": class_logits,
        "box_deltas": box_deltas,
        "detection_boxes": boxes,
        "detection_classes": classes,
        "detection_scores": scores,
    }
    if config.has_masks:
        mask_features = _align(config, config.roi.mask_size, "mask_roi_align")(
            stages["pyramid"], boxes
        )
        mask_logits = model.mask_head(mask_features)
        outputs |= {
            "mask_features": mask_features,
            "mask_logits": mask_logits,
            MASK_NAME: MaskProbabilities(
                config.roi.mask_kind, name="mask_probabilities"
            )(mask_logits, classes),
        }
    return keras.Model(inputs, outputs, name="inspection")


def inference_graph(model):
    """Takes the detections alone out of the inspection graph, with their masks.

    Args:
        model: a MaskRCNN with its inspection graph.
    Returns:
        keras.Model: the same inputs, to a dict of "detection_boxes" float32
        [B, D, 4], "detection_classes" int32 [B, D], "detection_scores" float32
        [B, D] and, of a network with a mask branch, "detection_masks", probabilities
        float32 [B, D, m, m]; zeros in slots left empty. The inspection graph computes
        a mask for every slot, this one for those that hold a detection.
    """
    config, stages = model.config, model.inspection_graph.output
    outputs = {name: stages[name] for name in BOX_NAMES}
    if config.has_masks:
        classes, boxes = SlotsInUse(name="found")(
            stages["detection_classes"], stages["detection_boxes"]
        )
        pyramid = [stages[level] for level in fpn.LEVELS[:4]]
        mask_logits = model.mask_head(
            _align(config, config.roi.mask_size, "found_roi_align")(pyramid, boxes)
        )
        probabilities = MaskProbabilities(config.roi.mask_kind, name="found_masks")(
            mask_logits, classes
        )
        outputs[MASK_NAME] = AllSlots(config.detection.max_detections, name="masks")(
            probabilities
        )
    return keras.Model(model.inspection_graph.input, outputs, name="inference")


def _image_inputs():
    return {
        "images": keras.Input((None, None, 3), name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


def _first_stage(model, inputs, pre_nms, post_nms):
    """Images to proposals, a dict of everything on the way; lists are by level."""
    config = model.config
    images = Normalize(config.image.mean, config.image.std, name="normalize")(
        inputs["images"], inputs["sizes"]
    )
    backbone = model.backbone(images)
    levels = model.fpn(backbone)
    logits, deltas = zip(*(model.rpn(level) for level in levels), strict=True)
    anchors = Anchors(
        config.rpn.anchor_sizes, config.rpn.anchor_ratios, name="anchors"
    )(images, levels)
    proposals, proposal_logits = Proposals(
        pre_nms, post_nms, config.rpn.nms_iou, name="proposals"
    )(list(logits), list(deltas), anchors, inputs["sizes"])
    return {
        "normalized_images": images,
        "backbone": backbone,
        "levels": levels,
        "pyramid": levels[:4],  # P6 is for the RPN alone
        "anchors": anchors,
        "rpn_logits": list(logits),
        "rpn_deltas": list(deltas),
        "proposals": proposals,
        "proposal_logits": proposal_logits,
    }


def _align(config, size, name):
    return RoIAlign(size, backbones.STRIDES, config.roi.aligned, name=name)
