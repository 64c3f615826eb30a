"""PyTorch's files read without PyTorch: what it wrote, and nothing that runs code."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_writer

from mrcnn_tf.pretrained import torch_file

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_reads_what_pytorch_wrote(form):
    # Written by torch 2.13's torch.save, with and without its zip format.
    expected = np.load(GOLDEN / "torch" / "tensors.npz")
    found = torch_file.find_tensors(GOLDEN / "torch" / f"{form}.pth")
    assert list(found) == expected.files
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        np.testing.assert_array_equal(tensor.load(), expected[name], strict=True)


@pytest.mark.parametrize("legacy", [False, True])
def test_reads_what_the_tests_write(tmp_path, legacy):
    written = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.ones(3, np.float16),
        "scalar": np.array(7),
        "empty": np.zeros((0, 4), np.float32),
    }
    torch_writer.save(written, tmp_path / "file.pth", legacy)
    found = torch_file.find_tensors(tmp_path / "file.pth")
    assert list(found) == list(written)
    for name, array in written.items():
        np.testing.assert_array_equal(found[name].load(), array, strict=True)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_runs(tmp_path, legacy):
    marker = tmp_path / "ran"
    bad = [("good", np.ones(2, np.float32)), ("conv.weight", torch_writer.evil(marker))]
    torch_writer.save(bad, tmp_path / "evil.pth", legacy)
    with pytest.raises(ValueError, match=r"call the name os.system at 'conv.weight'"):
        torch_file.find_tensors(tmp_path / "evil.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        # Names that come with Python and harm by being called, or by being set up.
        (
            torch_writer.call("builtins", "eval", torch_writer.text("1")),
            "builtins.eval",
        ),
        (torch_writer.call("torch._utils", "_rebuild_parameter"), "_rebuild_parameter"),
        (torch_writer.call("collections", "OrderedDict", pickle.NONE), "OrderedDict"),
        (torch_writer.named("os", "system"), "found the name os.system at 'x'"),
        (
            torch_writer.named("os", "system") + pickle.EMPTY_DICT + pickle.BUILD,
            "sets the state of the name os.system at 'x'",
        ),
        (
            torch_writer.named("os", "system") + pickle.EMPTY_TUPLE + pickle.NEWOBJ,
            "opcode NEWOBJ has no place among tensors at 'x'",
        ),
        (
            pickle.INST + b"os\nsystem\n",
            "opcode INST has no place among tensors at 'x'",
        ),
        (pickle.EMPTY_DICT, "expected a dict of tensors, found dict at 'x'"),
        (torch_writer.text("oh"), "expected a dict of tensors, found str at 'x'"),
        (pickle.EMPTY_TUPLE + pickle.BINPERSID, "damaged"),
        (
            torch_writer.transposed(np.ones((2, 2), np.float32)),
            "transposed tensor at 'x'",
        ),
        (
            torch_writer.tensor(np.ones(3, np.float32), 0, strides=(1, 1)),
            "damaged",
        ),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_anything_but_tensors_is_refused(tmp_path, opcodes, message, legacy):
    torch_writer.save({"x": opcodes}, tmp_path / "bad.pth", legacy)
    with pytest.raises(ValueError, match=rf"bad\.pth: .*{message}"):
        torch_file.find_tensors(tmp_path / "bad.pth")


def test_tensor_that_reaches_outside(tmp_path):
    array = np.ones(4, np.float32)
    opcodes = torch_writer.tensor(array, 0).replace(
        # The shape, (4,), and the stride: a shape of 5.
        b"(J\x04\x00\x00\x00t(J\x01",
        b"(J\x05\x00\x00\x00t(J\x01",
    )
    torch_writer.save({"x": opcodes}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="reaches outside its own numbers at 'x'"):
        torch_file.find_tensors(tmp_path / "bad.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files(tmp_path, legacy):
    path = tmp_path / "file.pth"
    array = np.arange(1000, dtype=np.float32)
    torch_writer.save({"first": array, "last": array}, path, legacy)
    whole = path.read_bytes()
    for share in (0.1, 0.4, 0.7, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"file\.pth: "):
            torch_file.find_tensors(path)
    if not legacy:  # the older format has no checksum
        path.write_bytes(whole.replace(array[5:9].tobytes(), array[6:10].tobytes(), 1))
        with pytest.raises(ValueError, match="damaged at archive/data/0"):
            torch_file.find_tensors(path)


@pytest.mark.parametrize(
    "content", [b"", b"<html>Not found</html>", pickle.dumps({"a": 1})]
)
def test_no_checkpoint(tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(ValueError, match="no PyTorch checkpoint, or damaged"):
        torch_file.find_tensors(tmp_path / "file.pth")


def test_zip_that_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("photo.txt", "hello")
    with pytest.raises(ValueError, match=r"no data\.pkl"):
        torch_file.find_tensors(tmp_path / "a.zip")
    with pytest.raises(FileNotFoundError, match="no such file"):
        torch_file.find_tensors(tmp_path / "b.zip")


def test_compressed_numbers_are_refused(tmp_path):
    # A small file must not grow to fill the memory.
    torch_writer.save({"x": np.zeros(1000, np.float32)}, tmp_path / "file.pth")
    with (
        zipfile.ZipFile(tmp_path / "file.pth") as archive,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match="tensor 'x': expected 4000 bytes"):
        torch_file.find_tensors(tmp_path / "packed.pth")
