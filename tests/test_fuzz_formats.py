"""Every way in which the annotation files of a format may be spoiled, but COCO's.

tests/test_fuzz_coco.py is of COCO's; both by tests/spoil.py.
"""

import pytest
import spoil
import tiny_sets

BOTH = [150, pytest.param(2000, marks=pytest.mark.slow)]
MADE = [
    tiny_sets.voc,
    tiny_sets.voc_with_masks,
    tiny_sets.via,
    tiny_sets.via_project,
    tiny_sets.labelme,
    tiny_sets.masks,
    tiny_sets.numbered_masks,
]


@pytest.mark.parametrize("examples", BOTH)
@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_every_spoiled_file_is_read_or_refused(tmp_path, make, examples):
    counts = spoil.check(tmp_path, make(tmp_path), examples)
    print(make.__name__, dict(counts))
    assert counts["read"] > examples / 5


def test_a_spoiled_file_alone_is_refused(tmp_path):
    """Without other files that could still be read."""
    for make in (tiny_sets.voc, tiny_sets.labelme):
        folder = tmp_path / make.__name__
        counts = spoil.check(make(folder), make(folder), 150)
        assert counts["refused"] > 10


@pytest.mark.parametrize("examples", BOTH)
def test_a_spoiled_mask_of_voc(tmp_path, examples):
    tiny_sets.voc_with_masks(tmp_path)
    mask = tmp_path / "SegmentationObject" / "a.png"
    counts = spoil.check(tmp_path, mask, examples)
    assert counts["read"] > examples / 5


@pytest.mark.parametrize("examples", BOTH)
def test_a_spoiled_list_of_voc(tmp_path, examples):
    tiny_sets.voc(tmp_path)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    file = tmp_path / "ImageSets" / "Main" / "train.txt"
    file.write_text("a\nb\n")
    spoil.check(tmp_path, file, examples)
