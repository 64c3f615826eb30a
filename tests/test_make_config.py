"""A config from the data: counts by hand, boxes alone, and the command."""

import json

import make_config as make_script
import numpy as np
import pytest
from PIL import Image

import mrcnn_tf as mr
from mrcnn_tf.training.choose import network_config

SIDE = 40  # pixels


def coco_folder(path, images, objects, masks=True):
    """A COCO folder of small images; image i has `objects` of class i % 2."""
    path.mkdir()
    annotations = []
    for image in range(1, images + 1):
        pixels = np.full((SIDE, SIDE, 3), image, np.uint8)
        Image.fromarray(pixels).save(path / f"{image}.png")
        for number in range(objects if image == 1 else 1):
            x, y = 2 + number, 3
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": 1 + image % 2,
                "bbox": [x, y, 10, 12],
                "area": 120,
                "iscrowd": 0,
            }
            if masks:
                corners = [x, y, x + 10, y, x + 10, y + 12, x, y + 12]
                annotation["segmentation"] = [corners]
            annotations.append(annotation)
    values = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE}
            for i in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}],
    }
    (path / "annotations.json").write_text(json.dumps(values))
    return path


def test_a_run_for_a_small_folder(tmp_path):
    folder = coco_folder(tmp_path / "parts", images=20, objects=12)
    run, config, reasons = mr.training.make_run(folder)
    # 20 images are divided in 14, 3 and 3; 60 passes over 14 images, 8 at a time,
    # would be 105 batches, and 200 is the least.
    assert config.classes == ("nut", "bolt")
    assert (config.train.steps, config.train.batch_size) == (200, 8)
    assert config.train.warmup_steps == 20 and run.steps_per_part == 20
    assert run.evaluate_images == 3 and run.folder == "runs/parts"
    assert config.roi.mask_kind == "sigmoid"
    assert "14 images for training, 3 for validation" in reasons[0]


def test_the_fullest_image_has_room(tmp_path):
    folder = coco_folder(tmp_path / "parts", images=4, objects=30)
    data = mr.datasets.load(folder).train
    fullest = max(len(data[i].boxes) for i in range(len(data)))
    _, config, reasons = mr.training.make_run(folder)
    assert config.train.max_objects == fullest
    assert config.detection.max_detections == max(20, fullest)
    assert any(f"{fullest} objects" in reason for reason in reasons)


def test_boxes_alone_get_no_mask_branch(tmp_path):
    folder = coco_folder(tmp_path / "parts", images=4, objects=1, masks=False)
    _, config, reasons = mr.training.make_run(folder)
    assert config.roi.mask_kind == "none"
    assert any("no masks, boxes alone" in reason for reason in reasons)


def test_toy_scenes_keep_the_schedule_of_the_preset():
    run, config, _ = mr.training.make_run("shapes", seed=4, steps_per_part=7)
    assert config.train.steps == mr.Config.preset("tiny").train.steps
    assert (run.seed, run.steps_per_part, run.evaluate_images) == (4, 7, 200)
    _, config, reasons = mr.training.make_run("shapes", steps=33)
    assert (config.train.steps, config.train.warmup_steps) == (33, 3)
    assert any("as asked" in reason for reason in reasons)


def test_networks_by_weights():
    assert network_config() == mr.Config.preset("tiny")
    assert network_config(weights="imagenet") == mr.Config.preset("pets")
    assert network_config(weights="coco").backbone.name == "resnet50"
    with pytest.raises(ValueError, match="leave out --preset"):
        network_config("tiny", "coco")


def test_the_command_writes_what_train_reads(tmp_path, capsys):
    folder = coco_folder(tmp_path / "parts", images=6, objects=2)
    out = tmp_path / "new" / "config.json"
    arguments = ["--data", str(folder), "--weights", "coco", "--out", str(out)]
    assert make_script.main([*arguments, "--set", "train.clip_norm=5"]) == 0
    run, config = mr.training.read_run(out)
    assert run.data == str(folder) and run.weights == "coco"
    assert config.train.clip_norm == 5 and config.train.frozen_stages == 2
    said = capsys.readouterr().out
    assert said.startswith(f"looking at {folder}")
    assert f"next: scripts/train.py --config {out}" in said

    assert make_script.main(arguments) == 1
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert make_script.main([*arguments, "--force"]) == 0
    assert mr.training.read_run(out)[1].train.clip_norm is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data nowhere", "nowhere: no such file or folder"),
        ("--data shapes --steps 0", "--steps must be at least 1"),
        ("--data shapes --set train.stepz=1", "no field 'train.stepz'"),
        ("--data shapes --preset huge", "no preset 'huge'"),
    ],
)
def test_faults_are_a_sentence(tmp_path, capsys, arguments, message):
    out = tmp_path / "config.json"
    assert make_script.main([*arguments.split(), "--out", str(out)]) == 1
    assert message in capsys.readouterr().err and not out.exists()
