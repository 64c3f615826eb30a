"""The published files: where each is, and how to know it is whole."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import keras


@dataclass(frozen=True)
class Published:
    """A file on its publisher's server.

    Attributes:
        url: where it is.
        sha256: the first eight digits of its SHA-256, which PyTorch puts in the name.
    """

    url: str
    sha256: str

    @property
    def name(self):
        """The file's own name."""
        return self.url.rpartition("/")[2]


def _pytorch(name):
    digest = Path(name).stem.rpartition("-")[2]
    return Published(f"https://download.pytorch.org/models/{name}", digest)


PUBLISHED = {
    "coco": _pytorch("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"),
    "coco_v2": _pytorch("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"),
    "resnet50": _pytorch("resnet50-0676ba61.pth"),
    "resnet101": _pytorch("resnet101-63fe2227.pth"),
}


def fetch(file, path=None):
    """Finds a published file on this machine, or downloads it.

    Args:
        file: a `Published`.
        path: of a copy of it, for machines without a network. It is taken as it is:
            what it holds is checked tensor by tensor when it is read.
    Returns:
        Path of the file. Downloads lie in Keras's cache (`~/.keras/mrcnn_tf`, or
        under KERAS_HOME) and happen once, with a progress bar.
    Raises:
        FileNotFoundError: if `path` does not exist, or there is no copy and the
            download fails. Says where to put the file.
        ValueError: if the copy in the cache is damaged; it is removed.
    """
    if path is not None:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path}: no such file; expected a copy of {file.name}, which is at "
                f"{file.url}"
            )
        return Path(path)
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)  # else Keras goes to /tmp by itself
    cached = folder / "mrcnn_tf" / file.name
    try:
        keras.utils.get_file(
            file.name, file.url, cache_dir=folder, cache_subdir="mrcnn_tf"
        )
    except Exception as error:  # Keras raises nothing narrower
        raise FileNotFoundError(
            f"{cached}: not there, and the download failed ({error}). Download "
            f"{file.url} elsewhere and put it there, or pass its path"
        ) from error
    with cached.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(file.sha256):
        cached.unlink()
        raise ValueError(
            f"{cached}: damaged, its SHA-256 starts with {digest[:8]} and not with "
            f"{file.sha256}; it is removed: run this again to download it anew"
        )
    return cached
