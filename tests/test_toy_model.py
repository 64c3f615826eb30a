"""The small trained network of the lessons: made once, and never mistaken."""

import numpy as np
import pytest

import mrcnn_tf as mr

SMALL = {
    "image": {"short_side": 64, "long_side": 64},
    "backbone": {"width": 8, "fpn_channels": 16},
    "roi": {"samples": 8, "box_units": 16, "mask_channels": 8},
    "train": {"batch_size": 2},
}


@pytest.mark.slow
def test_it_is_trained_once_and_read_back(tmp_path, capsys):
    first = mr.training.toy_model(2, folder=tmp_path, **SMALL)
    assert "training 2 batches of 2 scenes" in capsys.readouterr().out
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns

    again = mr.training.toy_model(2, folder=tmp_path, **SMALL)
    assert f"reading {path}" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == written
    assert again.config == first.config
    assert again.config.classes == mr.datasets.Shapes.classes
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    # Other scenes, another file.
    mr.training.toy_model(2, scenes=mr.datasets.Shapes(9), folder=tmp_path, **SMALL)
    assert "training" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 2
