"""VIA 1 and 2: shapes, the attribute that is the class, and where images are."""

import json

import numpy as np
import pytest
import tiny_sets
from tiny_sets import via_region, via_star

from mrcnn_tf.datasets import via
from mrcnn_tf.datasets.annotated import AnnotatedImages
from mrcnn_tf.datasets.formats import read_annotations


def regions_read(folder, *regions, **options):
    """Returns the objects of an image with these regions, and the faults."""
    tiny_sets.via(folder, list(regions), **options)
    annotations = via.read(folder)[""]
    assert [record.image_id for record in annotations.records] == ["a.png", "b.png"]
    return annotations.records[0].objects, annotations.faults


@pytest.mark.parametrize("version", [1, 2])
def test_every_shape(tmp_path, version):
    tiny_sets.via(tmp_path, version=version)
    annotations = read_annotations(tmp_path)[""]
    assert annotations.classes == ("cat", "dog") and annotations.faults == []
    with_objects, without = AnnotatedImages(annotations)
    assert len(without.boxes) == 0
    star, rectangle, circle, ellipse = with_objects.dense_masks()
    assert with_objects.classes.tolist() == [1, 2, 2, 1]
    assert star[10, 10] and not star[3, 12]  # between two points of the star
    np.testing.assert_array_equal(with_objects.boxes[1], [3, 2, 11, 12.5])
    assert rectangle[3:11, 2:12].all() and rectangle.sum() in (80, 88)
    y, x = np.mgrid[:20, :30] + 0.5
    disc = (x - 15) ** 2 + (y - 10) ** 2 <= 8.5**2
    assert (disc ^ circle).sum() <= 4
    along = (x - 14) * np.cos(0.3) + (y - 9) * np.sin(0.3)
    across = (y - 9) * np.cos(0.3) - (x - 14) * np.sin(0.3)
    assert (((along / 11) ** 2 + (across / 4) ** 2 <= 1) ^ ellipse).sum() <= 6


def test_a_project_names_its_folder(tmp_path):
    file = tiny_sets.via_project(tmp_path)
    for path in (tmp_path, file):
        annotations = read_annotations(path)[""]
        images = [record.image for record in annotations.records]
        assert images == [tmp_path / "photos" / name for name in ("a.png", "b.png")]
    content = json.loads(file.read_text())
    content["_via_settings"]["core"]["default_filepath"] = str(tmp_path / "photos")
    file.write_text(json.dumps(content))
    assert all(r.image.is_file() for r in via.read(file)[""].records)


def test_images_in_a_folder_of_that_name(tmp_path):
    tiny_sets.via(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "images" / "a.png")
    (tmp_path / "b.png").unlink()
    images = [record.image for record in via.read(tmp_path)[""].records]
    assert images == [tmp_path / "images" / "a.png", tmp_path / "b.png"]


def test_rectangles_alone_are_boxes(tmp_path):
    objects, _ = regions_read(tmp_path, via_region("rect", x=2, y=3, width=5, height=4))
    assert [(o.box, o.outline) for o in objects] == [((3, 2, 7, 7), None)]
    assert not via.read(tmp_path)[""].has_masks


def test_a_polyline_is_closed(tmp_path):
    xs, ys = [2, 20, 20], [2, 2, 15]
    line = via_region("polyline", all_points_x=xs, all_points_y=ys)
    objects, faults = regions_read(tmp_path, line)
    assert faults == []
    np.testing.assert_array_equal(objects[0].outline[0], [2, 2, 20, 2, 20, 15])


def test_no_class_at_all_is_object(tmp_path):
    """As in matterport's balloons."""
    objects, faults = regions_read(tmp_path, via_star(), via_star())
    assert [o.name for o in objects] == ["object", "object"] and faults == []


def test_a_class_that_is_missing_among_others(tmp_path):
    objects, faults = regions_read(tmp_path, via_star(""), via_star("cat"), via_star())
    assert [(o.name, o.id) for o in objects] == [("cat", 1)]
    assert [fault.kind for fault in faults] == ["unknown category"] * 2
    assert "region 0" in faults[0].where and "a.png" in faults[0].where


def with_attributes(*attributes):
    return [via_star() | {"region_attributes": found} for found in attributes]


def test_the_only_attribute_is_the_class_whatever_its_name(tmp_path):
    found = with_attributes({"Tier": " cat "}, {"Tier": 7})
    objects, faults = regions_read(tmp_path, *found)
    assert [o.name for o in objects] == ["cat", "7"] and faults == []


@pytest.mark.parametrize("name", ["name", "Class", "label", "type", "category"])
def test_of_several_attributes_the_usual_one(tmp_path, name):
    found = with_attributes({"zoom": "big", name: "cat", "quality": {"good": True}})
    objects, _ = regions_read(tmp_path, *found)
    assert objects[0].name == "cat"


def test_an_attribute_that_nobody_filled_in_does_not_count(tmp_path):
    found = with_attributes(
        {"name": "", "breed": "owl"}, {"quality": {}, "breed": "cat"}
    )
    objects, faults = regions_read(tmp_path, *found)
    assert [o.name for o in objects] == ["owl", "cat"] and faults == []


def test_several_attributes_of_which_none_is_usual(tmp_path):
    with pytest.raises(
        ValueError, match=r"\['zoom', 'breed'\]; call the one .* 'name'"
    ):
        regions_read(tmp_path, *with_attributes({"zoom": "big", "breed": "owl"}))


def test_boxes_to_tick(tmp_path):
    ticked = ({"cat": True, "dog": False}, {"cat": True, "dog": True}, {"cat": False})
    found = with_attributes(*({"type": value} for value in ticked))
    objects, faults = regions_read(tmp_path, *found)
    assert [o.name for o in objects] == ["cat"]
    assert [fault.kind for fault in faults] == ["bad value"] * 2


@pytest.mark.parametrize(
    ("region", "kind", "words"),
    [
        (via_region("point", cx=3, cy=4), "unsupported shape", "'point'"),
        (via_region("circle", cx=3, cy="4", r=5), "bad value", "cy: expected a number"),
        (via_region("circle", cx=3, cy=4), "bad value", "r: expected a number"),
        (via_region("rect", x=True, y=1, width=2, height=3), "bad value", "found True"),
        (via_region("polygon", all_points_x=[1, 2]), "bad value", "of one length"),
        (
            via_region("polygon", all_points_x=[1, 2], all_points_y=[1, 10**400]),
            "bad value",
            "too large",
        ),
        ({"region_attributes": {}}, "bad value", "name of the shape"),
        ("circle", "bad value", "name of the shape"),
    ],
)
def test_regions_that_are_none(tmp_path, region, kind, words):
    objects, (fault,) = regions_read(tmp_path, region, via_star())
    assert len(objects) == 1 and objects[0].id == 1
    assert fault.kind == kind and words in fault.found


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"regions": []},
        {"filename": 7, "regions": []},
        {"filename": "\ud800.png", "regions": []},
        {"filename": "a.png", "regions": 7},
    ],
)
def test_entries_that_are_none(tmp_path, entry):
    file = tiny_sets.via(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"odd": entry}))
    annotations = via.read(tmp_path)[""]
    assert len(annotations.records) == 2
    (fault,) = annotations.faults
    assert fault.kind == "bad value" and fault.where == "entry 'odd'"
    file.write_text(json.dumps({"odd": entry}))
    with pytest.raises(ValueError, match=r"no image could be read: .*entry 'odd'"):
        via.read(file)


def test_no_json_object(tmp_path):
    file = tmp_path / "via_region_data.json"
    file.write_text("[1]")
    with pytest.raises(ValueError, match="an object with an entry for each image"):
        via.read(file)


def test_several_files(tmp_path):
    file = tiny_sets.via(tmp_path)
    (tmp_path / "old.json").write_bytes(file.read_bytes())
    assert len(via.read(tmp_path)[""].records) == 2  # the usual name
    file.rename(tmp_path / "new.json")
    with pytest.raises(ValueError, match=r"found new\.json, old\.json; name one"):
        via.read(tmp_path)


def test_what_matches(tmp_path):
    file = tiny_sets.via(tmp_path)
    assert via.matches(file) and via.matches(tmp_path)
    file.write_text('{"shapes": [], "imagePath": "a.png"}')
    assert not via.matches(file) and not via.matches(tmp_path / "none.json")
