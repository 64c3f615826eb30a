"""JSON files are read, or refused with the file, the line and a remedy."""

import json

import pytest

from mrcnn_tf.datasets.json_files import has_key, read_json


def written(tmp_path, data):
    file = tmp_path / "a.json"
    file.write_bytes(data)
    return file


def test_what_is_written_is_read(tmp_path):
    content = {"name": "Zürich 漢", "numbers": [1, 2.5, None, True]}
    file = written(tmp_path, json.dumps(content, ensure_ascii=False).encode())
    assert read_json(file) == content
    assert read_json(str(file)) == content


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert read_json(written(tmp_path, b"\xef\xbb\xbf[1]")) == [1]


def test_each_object_goes_through_the_hook(tmp_path):
    file = written(tmp_path, b'{"a": {"b": 1}}')
    assert read_json(file, object_hook=lambda item: sorted(item)) == ["a"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON, at line 1, column 1"),
        (b'{"a": 1,\n "b"', "not JSON, at line 2, column 5: .* cut off"),
        (b"<xml/>", "not JSON"),
        (b'{"a": 1} x', "Extra data"),
        ("[é]".encode("latin-1"), "not UTF-8 text: .* save it as UTF-8"),
        (json.dumps([1]).encode("utf-16"), "not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "cannot be read as JSON: .* digits"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, data, words):
    with pytest.raises(ValueError, match=rf"a\.json: .*{words}") as refused:
        read_json(written(tmp_path, data))
    assert "\n" not in str(refused.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path)


def test_keys_are_looked_for_near_the_start(tmp_path):
    file = written(tmp_path, b'{"info": {}, "images" : []}')
    assert has_key(file, "images") and has_key(file, "x", "info")
    assert not has_key(file, "annotations") and not has_key(file, "image")
    assert not has_key(file, "i.fo")
    late = b'{"a": "%s", "images": []}' % (b"x" * 70_000)
    assert not has_key(written(tmp_path, late), "images")


def test_only_json_files_have_keys(tmp_path):
    other = tmp_path / "a.txt"
    other.write_text('{"images": []}')
    assert not has_key(other, "images")
    assert not has_key(tmp_path, "images")
    assert not has_key(tmp_path / "b.json", "images")
    (tmp_path / "c.json").mkdir()
    assert not has_key(tmp_path / "c.json", "images")
