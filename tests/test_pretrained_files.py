"""Where published files come from: downloaded once, checked, or your own copy."""

import dataclasses
import hashlib

import pytest

from mrcnn_tf.pretrained import files


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A published file, its server a folder, and an empty cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "server").mkdir()
    path = tmp_path / "server" / "weights-1234abcd.pth"
    path.write_bytes(b"numbers")
    digest = hashlib.sha256(b"numbers").hexdigest()[:8]
    return files.Published(path.as_uri(), digest), path


def test_download_happens_once(published, tmp_path):
    file, original = published
    cached = files.fetch(file)
    assert cached == tmp_path / "keras" / "mrcnn_tf" / "weights-1234abcd.pth"
    assert cached.read_bytes() == b"numbers"
    original.unlink()
    assert files.fetch(file) == cached


def test_damaged_download_is_removed(published, tmp_path):
    file, _ = published
    wrong = dataclasses.replace(file, sha256="00000000")
    with pytest.raises(ValueError, match="damaged, its SHA-256 starts with"):
        files.fetch(wrong)
    assert not list((tmp_path / "keras" / "mrcnn_tf").iterdir())
    assert files.fetch(file).read_bytes() == b"numbers"


def test_offline_says_where_to_put_the_file(published):
    file, original = published
    original.unlink()
    with pytest.raises(FileNotFoundError, match="put it there, or pass its path") as e:
        files.fetch(file)
    assert "keras/mrcnn_tf/weights-1234abcd.pth" in str(e.value)
    assert file.url in str(e.value)


def test_own_copy_is_taken_as_it_is(published, tmp_path):
    file, original = published
    assert files.fetch(file, original) == original
    with pytest.raises(FileNotFoundError, match="expected a copy of weights-1234abcd"):
        files.fetch(file, tmp_path / "nowhere.pth")
