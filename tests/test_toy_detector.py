"""The small trained YOLO of the lessons: made once, and never mistaken."""

import numpy as np
import pytest

import mrcnn_tf as mr
from mrcnn_tf import yolo

SMALL = {"size": 32, "grid": 4, "batch_size": 2}


@pytest.mark.slow
def test_it_is_trained_once_and_read_back(tmp_path, capsys):
    first = yolo.toy_detector(2, folder=tmp_path, **SMALL)
    assert "training 2 batches of 2 scenes" in capsys.readouterr().out
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns

    again = yolo.toy_detector(2, folder=tmp_path, **SMALL)
    assert f"reading {path}" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == written
    assert again.class_names == first.class_names == mr.datasets.Shapes.classes
    weights = zip(first.model.get_weights(), again.model.get_weights(), strict=True)
    for one, other in weights:
        np.testing.assert_array_equal(one, other)

    # Other scenes, another file.
    yolo.toy_detector(2, scenes=mr.datasets.Shapes(9), folder=tmp_path, **SMALL)
    assert "training" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 2
