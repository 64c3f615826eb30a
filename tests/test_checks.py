"""From records to samples: each fault by hand, and what becomes of its object."""

import numpy as np
import pytest
from PIL import Image

from mrcnn_tf import rle
from mrcnn_tf.datasets import checks
from mrcnn_tf.datasets.faults import ERRORS, WARNINGS, Fault, summary
from mrcnn_tf.datasets.records import Bitmap, Object, Record

HEIGHT, WIDTH = 20, 30
SQUARE = (np.array([5, 4, 15, 4, 15, 14, 5, 14.0]),)  # rows 4 to 13, columns 5 to 14
BOX = (4.0, 5.0, 14.0, 15.0)  # of the same


def save(path, width=WIDTH, height=HEIGHT, orientation=None):
    """Writes an image of WIDTH x HEIGHT stored pixels, with an EXIF orientation."""
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (width, height), "teal").save(path, exif=exif)
    return path


@pytest.fixture
def record(tmp_path):
    """Returns a function that makes a record of the given objects."""
    image = save(tmp_path / "a.png")

    def make(*objects, image=image, size=(HEIGHT, WIDTH)):
        return Record(image, 17, objects, tmp_path / "set.json", size)

    return make


def made(record, has_masks=True):
    """Returns the sample, and the faults as (kind, where, found, mend)."""
    sample, faults = checks.make_sample(record, ("cat", "dog"), has_masks)
    assert all(fault.file == str(record.file) for fault in faults)
    return sample, [(f.kind, f.where, f.found, f.mend) for f in faults]


def test_a_record_without_faults(record):
    polygon = Object("dog", BOX, SQUARE, id=3)
    runs = {"size": [HEIGHT, WIDTH], "counts": [0, 40, 560]}  # columns 0 and 1
    crowd = Object("cat", None, runs, crowd=True, id=4)
    sample, faults = made(record(polygon, crowd))
    assert faults == []
    assert sample.image_id == 17 and sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.image[0, 0].tolist() == [0, 128, 128]  # teal
    assert sample.classes.tolist() == [2, 1] and sample.crowd.tolist() == [False, True]
    assert sample.boxes.tolist() == [list(BOX), [0, 0, 20, 2]]
    masks = sample.dense_masks()
    assert masks[0].sum() == 100 and masks[0, 4:14, 5:15].all()
    assert masks[1].sum() == 40 and masks[1, :, :2].all()


def test_no_objects(record):
    sample, faults = made(record())
    assert faults == [] and sample.boxes.shape == (0, 4) and sample.masks == ()
    sample, faults = made(record(), has_masks=False)
    assert faults == [] and sample.masks is None


def test_boxes_alone(record):
    sample, faults = made(record(Object("cat", BOX)), has_masks=False)
    assert faults == [] and sample.masks is None
    assert sample.boxes.tolist() == [list(BOX)] and not sample.crowd[0]


def test_a_box_is_kept_as_it_is_where_its_mask_agrees(record):
    box = (3.0, 4.5, 14.0, 15.5)  # a pixel off
    sample, faults = made(record(Object("cat", box, SQUARE)))
    assert faults == [] and sample.boxes.tolist() == [list(box)]


@pytest.mark.parametrize(
    ("kind", "item", "found", "mend"),
    [
        (
            "reversed box",
            Object("cat", (14, 5, 4, 15)),
            "[14.0, 5.0, 4.0, 15.0]",
            "its",
        ),
        (
            "reversed box",
            Object("cat", (4, 15, 14, 5)),
            "[4.0, 15.0, 14.0, 5.0]",
            "its",
        ),
        ("empty box", Object("cat", (4, 5, 14, 5)), "has no area", "left out"),
        ("empty box", Object("cat", (4, 5, 4, 15)), "has no area", "left out"),
        ("box outside", Object("cat", (4, 30, 14, 40)), "in 20 x 30", "left out"),
        ("box outside", Object("cat", (-9, 5, -1, 15)), "in 20 x 30", "left out"),
        # A sliver that float32 cannot hold.
        ("box outside", Object("cat", (4, 5, 14, 5 + 1e-9)), "in 20", "left out"),
        ("bad value", Object("cat", (4, 5, np.nan, 15)), "not finite", "left out"),
        ("bad value", Object("cat", (4, 5, np.inf, 15)), "not finite", "left out"),
        ("box over the edge", Object("cat", (4, 5, 14, 32)), "in 20 x 30", "clipped"),
    ],
)
def test_faults_of_a_box(record, kind, item, found, mend):
    kept = {"reversed box": [list(BOX)], "box over the edge": [[4, 5, 14, 30]]}
    sample, [fault] = made(record(item), has_masks=False)
    assert fault[0] == kind and fault[1] == "image 17, object 0"
    assert found in fault[2] and fault[3].startswith(mend)
    assert sample.boxes.tolist() == kept.get(kind, [])


def test_a_pixel_over_the_edge_is_rounding(record):
    sample, faults = made(record(Object("cat", (4, 5, 14, 31))), has_masks=False)
    assert faults == [] and sample.boxes.tolist() == [[4, 5, 14, 30]]


def test_a_fault_of_a_box_leaves_its_mask_out(record):
    sample, [fault] = made(record(Object("cat", (4, 5, 4, 5), SQUARE, id="x")))
    assert fault[:2] == ("empty box", "image 17, object x") and sample.masks == ()


def test_mask_and_box_disagree(record):
    sample, [fault] = made(record(Object("cat", (4, 5, 14, 20), SQUARE)))
    assert fault[0] == "mask and box disagree"
    assert "[4.0, 5.0, 14.0, 20.0]" in fault[2]
    assert "[4.0, 5.0, 14.0, 15.0]" in fault[2]
    assert sample.boxes.tolist() == [list(BOX)]


def test_agreement_allows_three_pixels_and_a_tenth_of_the_longer_side(tmp_path):
    save(tmp_path / "b.png", 200, 200)
    outline = (np.array([0, 0, 100, 0, 100, 100, 0, 100.0]),)
    for edge, kinds in ((114, []), (115, ["mask and box disagree"])):
        item = Object("cat", (0, 0, 100, edge), outline)
        sample, faults = checks.make_sample(
            Record(tmp_path / "b.png", 1, (item,), tmp_path / "x"), ("cat",), True
        )
        assert [fault.kind for fault in faults] == kinds
        assert sample.boxes[0, 3] == (100 if kinds else edge)


def test_an_object_without_mask_among_masks_is_a_crowd(record):
    sample, [fault] = made(record(Object("cat", (4.2, 5, 13.5, 15))))
    assert fault[0] == "object without mask"
    assert sample.crowd.tolist() == [True]
    # All the pixels that the box touches.
    assert rle.box(sample.masks[0]).tolist() == [4, 5, 14, 15]
    assert rle.area(sample.masks[0]) == 100


@pytest.mark.parametrize(
    ("kind", "outline", "found"),
    [
        ("short polygon", (np.array([1, 2, 3, 4.0]),), "4 numbers"),
        ("short polygon", (np.arange(7.0),), "7 numbers"),
        ("short polygon", (np.array([]),), "0 numbers"),
        ("bad value", (np.array([1, 2, 3, 4, 5, np.nan]),), "reaches nan"),
        ("bad value", (np.array([1, 2, 3, 4, 5, np.inf]),), "reaches inf"),
        ("bad value", (np.array([0, 0, 301, 0, 5, 5.0]),), "reaches 301"),
        ("bad value", {"size": [30, 20], "counts": [600]}, "the image is 20 x 30"),
        ("bad value", {"size": [20, 30], "counts": [599]}, "599 pixels"),
        ("bad value", {"size": [20, 30], "counts": [-1, 601]}, "600 pixels"),
        ("bad value", {"size": [20, 30], "counts": b"\xff"}, "text"),
        ("bad value", {"size": [20, 30], "counts": None}, "None"),
        ("empty mask", (np.array([40, 1, 50, 1, 50, 9.0]),), "no pixel"),
        ("empty mask", {"size": [20, 30], "counts": [600]}, "no pixel"),
    ],
)
def test_faults_of_an_outline(record, kind, outline, found):
    sample, [fault] = made(record(Object("cat", None, outline, id=8)))
    assert fault[:2] == (kind, "image 17, object 8") and found in fault[2]
    assert "left out" in fault[3]
    assert len(sample.boxes) == 0


def test_a_fault_of_one_polygon_leaves_the_others(record):
    outline = (np.array([1.0, 2.0]), *SQUARE)
    sample, [fault] = made(record(Object("cat", None, outline)))
    assert fault[0] == "short polygon"
    assert rle.area(sample.masks[0]) == 100


def test_a_polygon_at_the_furthest_is_read(record):
    outline = (np.array([0, 0, 300, 0, 300, 1.0, 0, 1]),)
    sample, faults = made(record(Object("cat", None, outline)))
    assert faults == [] and sample.boxes.tolist() == [[0, 0, 1, 30]]


def test_a_full_mask_is_a_warning(record):
    item = Object("cat", None, {"size": [20, 30], "counts": [0, 600]})
    sample, [fault] = made(record(item))
    assert fault[0] == "full mask" and rle.area(sample.masks[0]) == 600


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16", "RGB"])
def test_bitmaps(record, tmp_path, mode):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[4:14, 5:15], pixels[0, 0] = 255, 7
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels.astype(np.uint16))
    elif mode == "P":
        image.putpalette([grey for grey in range(256) for _ in "rgb"])
    else:
        image = image.convert(mode, dither=Image.Dither.NONE)
    image.save(tmp_path / "mask.png")
    white = 1 if mode == "1" else 255
    both, one = (Bitmap(tmp_path / "mask.png", value) for value in (None, white))
    sample, faults = made(record(Object("cat", None, both), Object("cat", BOX, one)))
    assert faults == []
    # Pure black and white leave no trace of the 7.
    assert list(map(rle.area, sample.masks)) == [100 if mode == "1" else 101, 100]


def test_a_palette_has_colours_for_one_object_and_numbers_for_many(record, tmp_path):
    image = Image.fromarray(np.tile(np.arange(3, dtype=np.uint8), (HEIGHT, 10)))
    image.putpalette([255, 0, 0, 0, 0, 0, 0, 0, 9])  # black is number 1
    image.save(tmp_path / "mask.png")
    outlines = [Bitmap(tmp_path / "mask.png", value) for value in (None, 0, 2)]
    sample, faults = made(record(*(Object("cat", None, o) for o in outlines)))
    masks = sample.dense_masks()
    assert faults == []
    assert masks[:, 0, :3].astype(int).tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 1]]


def test_a_polygon_to_and_fro_without_end(record):
    # 500 times round the image of 100 pixels: its memory goes with its length.
    line = np.tile([0, 0, 30, 20.0], 501)  # 1002 points, 1001 ways of 50 pixels
    sample, [fault] = made(record(Object("cat", None, (line,))))
    assert fault[0] == "bad value" and "1002 points is 50050 pixels" in fault[2]
    assert len(sample.boxes) == 0
    _, faults = made(record(Object("cat", None, (line[:-2],))))
    assert "bad value" not in [fault[0] for fault in faults]


def test_faults_of_bitmaps(record, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    save(tmp_path / "small.png", 8, 9)
    items = [
        Object("cat", None, Bitmap(tmp_path / name), id=name)
        for name in ("bad.png", "gone.png", "small.png")
    ]
    sample, faults = made(record(*items))
    assert [fault[0] for fault in faults] == [
        "unreadable image",
        "unreadable image",
        "size mismatch",
    ]
    for item, fault in zip(items, faults, strict=True):
        assert str(item.outline.path) in fault[2] and "left out" in fault[3]
    assert "9 x 8, the image 20 x 30" in faults[2][2]
    assert len(sample.boxes) == 0


def test_places_of_what_is_kept(record):
    items = [Object("cat", BOX), Object("cat", (1, 1, 1, 1)), Object("dog", BOX)]
    sample, faults, places = checks.make_sample_and_places(
        record(*items), ("cat", "dog"), False
    )
    assert places == [0, 2] and sample.classes.tolist() == [1, 2] and len(faults) == 1


def test_image_fault(record, tmp_path):
    assert checks.image_fault(record()) is None
    assert checks.image_fault(record(size=None)) is None
    fault = checks.image_fault(record(image=tmp_path / "b.png"))
    assert fault.kind == "missing image" and fault.where == "image 17"
    assert fault.file == str(tmp_path / "set.json") and "b.png" in fault.found
    fault = checks.image_fault(record(size=(30, 20)))
    assert fault.kind == "size mismatch" and fault.where == "image 17"
    assert "declared 30 x 20" in fault.found and "is 20 x 30" in fault.found
    (tmp_path / "bad.png").write_bytes(b"no image")
    fault = checks.image_fault(record(image=tmp_path / "bad.png"))
    assert fault.kind == "unreadable image" and fault.file == str(tmp_path / "bad.png")
    assert not fault.found.startswith(fault.file) and "b'no image'" in fault.found
    fault = checks.image_fault(record(image=b"no image"))
    assert fault.kind == "unreadable image"
    assert fault.file == f"image in {tmp_path / 'set.json'}"


def test_embedded_images(record, tmp_path):
    data = (tmp_path / "a.png").read_bytes()
    assert checks.image_fault(record(image=data)) is None
    sample, faults = made(record(Object("cat", BOX, SQUARE), image=data))
    assert faults == [] and sample.image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("size", "shape", "kinds"),
    [
        ((WIDTH, HEIGHT), (WIDTH, HEIGHT, 3), []),  # annotated as viewers show it
        ((HEIGHT, WIDTH), (HEIGHT, WIDTH, 3), ["orientation"]),  # as it is stored
        (None, (WIDTH, HEIGHT, 3), []),
    ],
)
@pytest.mark.parametrize("embedded", [False, True])
def test_orientation(record, tmp_path, size, shape, kinds, embedded):
    image = save(tmp_path / "turned.jpg", orientation=6)
    one = record(image=image.read_bytes() if embedded else image, size=size)
    assert checks.image_fault(one) is None
    sample, faults = checks.make_sample(one, ("cat",), True)
    assert sample.image.shape == shape
    assert [fault.kind for fault in faults] == kinds


def test_pixels_that_cannot_be_read_are_an_error(record, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    cut = record(image=tmp_path / "cut.jpg", size=None)
    assert checks.image_fault(cut) is None  # its head is whole
    with pytest.raises(ValueError, match=r"cut\.jpg: damaged"):
        checks.make_sample(cut, ("cat",), True)


def test_faults_themselves():
    assert not set(ERRORS) & set(WARNINGS)
    fault = Fault("empty box", "a.json", "image 1", "no area", "remove it")
    assert str(fault) == "a.json, image 1: empty box: no area; remove it"
    assert fault.is_error
    whole = Fault("orientation", "a.jpg", "", "turned", "save it")
    assert str(whole) == "a.jpg: orientation: turned; save it" and not whole.is_error
    with pytest.raises(ValueError, match="'nonsense'"):
        Fault("nonsense", "", "", "", "")
    assert summary([whole, fault, whole]) == "2 orientation, 1 empty box"
