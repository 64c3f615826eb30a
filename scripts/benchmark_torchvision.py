"""The torchvision side of scripts/benchmark.py, which starts this and talks to it.

Runs in any Python that has PyTorch and torchvision; needs nothing of this package.
"""

import numpy as np
from benchmark_scene import OBJECTS, scene
from benchmark_side import cores, resident, serve

INSTALL = (
    "install what it compares with, pip install torch torchvision, or name another "
    "Python that has them with --peer-python"
)


def prepare(job):
    """Builds torchvision's network for a job of the benchmark; see `serve`."""
    try:
        import torch
        import torchvision
        from torchvision.extension import _has_ops
    except (ImportError, RuntimeError) as error:  # RuntimeError: builds that do not fit
        raise ValueError(f"{error}; {INSTALL}") from error
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    device = "cpu" if job["cpu"] or not torch.cuda.is_available() else "cuda"
    libraries = resident()
    network = build(job).to(device)
    about = {
        "versions": {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        # In Python they take many times as long, and the comparison is not fair.
        "compiled_operators": _has_ops(),
        "device": device,
        "libraries_mb": libraries,
        "weights": sum(value.numel() for value in network.state_dict().values()),
    }
    image, boxes, masks = scene(job["size"], job["size"])
    if job["kind"] == "training":
        run, found = training(job, network, image, boxes, masks, device)
    else:
        run, found = inference(job, network, image, device)

    def finish():
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    def gpu():
        if device != "cuda":
            return {}
        return {"gpu_peak_mb": torch.cuda.max_memory_allocated() / 2**20}

    return about, {"run": finish, "found": lambda: dict(found), "gpu": gpu}


def build(job):
    """Returns torchvision's Mask R-CNN of the job's config."""
    from torchvision.models import detection
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.misc import FrozenBatchNorm2d

    config = job["config"]
    rpn, roi, detections = config["rpn"], config["roi"], config["detection"]
    backbone = resnet_fpn_backbone(
        backbone_name=config["backbone"]["name"],
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=5,
    )
    network = detection.MaskRCNN(
        backbone,
        num_classes=len(config["classes"]) + 1,
        min_size=job["size"],
        max_size=job["size"],
        rpn_pre_nms_top_n_train=rpn["pre_nms_train"],
        rpn_pre_nms_top_n_test=rpn["pre_nms_test"],
        rpn_post_nms_top_n_train=rpn["post_nms_train"],
        rpn_post_nms_top_n_test=rpn["post_nms_test"],
        rpn_batch_size_per_image=rpn["samples"],
        box_batch_size_per_image=roi["samples"],
        box_positive_fraction=roi["positive_fraction"],
        box_score_thresh=detections["min_score"],
        box_nms_thresh=detections["nms_iou"],
        box_detections_per_img=detections["max_detections"],
    )
    for name, value in network.state_dict().items():
        if name.endswith(".bn3.weight"):
            value.fill_(0.2)  # else the sum of so many untrained blocks grows
    return network


def inference(job, network, image, device):
    """Returns what predicts, and a dict of what it found once it has run."""
    import torch

    network.eval()
    found = {}

    def count(name):
        def hook(module, inputs, output):
            found[name] = len(output[0][0])

        return hook

    network.rpn.register_forward_hook(count("proposals"))
    pixels = torch.from_numpy(image)
    if job["kind"] == "network":
        # Up to the masks of 28 x 28: no resizing before, and no pasting after.
        network.transform.resize = lambda image, target=None: (image, target)
        network.transform.postprocess = lambda result, *sizes: result
        images = [pixels.permute(2, 0, 1).float().to(device) / 255] * job["batch"]

    @torch.inference_mode()
    def run():
        if job["kind"] == "network":
            result = network(images)[0]
        else:  # from uint8 to the masks of all pixels, one image after another
            for _ in range(job["batch"]):
                answer = pixels.permute(2, 0, 1).float().to(device) / 255
                result = network([answer])[0]
                (result["masks"] >= 0.5).cpu()
        found["detections"] = len(result["scores"])

    return run, found


def training(job, network, image, boxes, masks, device):
    """Returns what takes a step of training, and a dict of what it found."""
    import torch

    network.train()
    network.transform.resize = lambda image, target=None: (image, target)
    pixels = torch.from_numpy(image).permute(2, 0, 1).float().to(device) / 255
    target = {
        "boxes": torch.from_numpy(np.ascontiguousarray(boxes[:, [1, 0, 3, 2]])),
        "labels": torch.arange(OBJECTS) + 1,
        "masks": torch.from_numpy(masks.astype(np.uint8)),
    }
    target = {name: value.to(device) for name, value in target.items()}
    images = [pixels] * job["batch"]
    targets = [target] * job["batch"]
    train = job["config"]["train"]
    optimizer = torch.optim.SGD(
        network.parameters(),
        train["learning_rate"],
        train["momentum"],
        weight_decay=train["weight_decay"],
    )
    found = {}
    sample = network.roi_heads.select_training_samples

    def pinned(proposals, targets):
        copies = torch.arange(job["positives"] - OBJECTS) % OBJECTS
        proposals = [
            torch.cat([each["boxes"][copies], boxes[len(copies) :]])
            for boxes, each in zip(proposals, targets, strict=True)
        ]
        chosen = sample(proposals, targets)
        found["positives"] = int((chosen[2][0] > 0).sum())
        found["rois"] = len(chosen[2][0])
        return chosen

    network.roi_heads.select_training_samples = pinned

    def run():
        losses = network(images, targets)
        loss = sum(losses.values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found["loss"] = loss.item()

    return run, found


if __name__ == "__main__":
    serve(prepare)
