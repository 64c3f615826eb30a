"""COCO files spoiled in thousands of ways are read, or refused with a sentence."""

import json

import numpy as np
import pytest
import spoil
from PIL import Image


def small_coco(folder):
    """Writes a COCO data set with one object of each kind; returns its JSON file."""
    for number in (1, 2):
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / f"{number}.png")
    polygon = [2, 3, 12.5, 3, 12.5, 13, 2, 13]
    outlines = [
        [polygon, [20, 1, 25, 1, 25, 5]],
        {"size": [20, 30], "counts": [100, 50, 450]},
        {"size": [20, 30], "counts": "T3b1R>"},
        [],
        None,
    ]
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 7 if number % 2 else 90,
            "bbox": [2, 1, 23, 12] if number < 2 else [5, 0, 3, 20],
            "area": 100.5,
            "iscrowd": int(number == 2),
            **({} if outline is None else {"segmentation": outline}),
        }
        for number, outline in enumerate(outlines, start=1)
    ]
    content = {
        "info": {"year": 2017},
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": 20, "width": 30}
            for number in (1, 2)
        ],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}],
    }
    file = folder / "annotations.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("examples", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_spoiled_file_is_read_or_refused(tmp_path, examples):
    counts = spoil.check(tmp_path, small_coco(tmp_path), examples)
    assert counts["read"] > examples / 5 and counts["refused"] > examples / 20
    print(counts)


def test_spoiled_images_are_left_out(tmp_path):
    small_coco(tmp_path)
    spoil.check(tmp_path, tmp_path / "1.png", examples=100)
