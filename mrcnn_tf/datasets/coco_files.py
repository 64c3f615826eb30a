"""Which files are a COCO data set: its annotation files by split, and its images.

Images are looked for, by the `file_name` that they have in the JSON file, in its
folder, in folders beside it that are called images or after the split, and then in the
same way around the folder above: annotations/ may stand beside the images.
"""

import logging
import os
import re
from collections import Counter
from functools import cache

from mrcnn_tf.datasets.formats import SPLIT_FOLDERS
from mrcnn_tf.datasets.json_files import has_key

_logger = logging.getLogger(__name__)

REPAIRED = "_fixed"  # ends the name of the copy that the doctor writes
# Of COCO 2017's own files, those that are of something else than objects.
_PASSED_OVER = ("captions_", "image_info_", "panoptic_", "person_keypoints_", "stuff_")


def annotation_files(path):
    """Finds the COCO JSON files that are meant by a path.

    Args:
        path: Path of a file; or of a folder, which holds them directly or in
            annotations/.
    Returns:
        dict from split, "" for a file or where no name says which, to a list of Path.
        In a folder the doctor's repaired copy takes the place of its original.
    """
    if not path.is_dir():
        return {"": [path]} if _is_coco(path) else {}
    found = {split: [] for split in (*SPLIT_FOLDERS, "")}
    for folder in (path, path / "annotations"):
        for file in sorted(folder.glob("*.json")):
            if file.name.startswith(_PASSED_OVER) or not _is_coco(file):
                continue
            repaired = file.with_name(f"{file.stem}{REPAIRED}.json")
            if repaired.is_file():
                _logger.warning("%s is read in place of %s", repaired, file.name)
            else:
                found[_split_of(file)[0]].append(file)
    return {split: files for split, files in found.items() if files}


def _is_coco(file):
    return has_key(file, "images", "annotations")


def _split_of(file):
    """Returns ("train", "train2017") of instances_train2017.json, or ("", "")."""
    for word in re.split(r"[^a-z0-9]+", file.stem.lower()):
        for split, names in SPLIT_FOLDERS.items():
            if word.rstrip("0123456789") in names:
                return split, word
    return "", ""


def find_images(file, names):
    """Finds image files without asking the file system for each: folders are listed.

    Args:
        file: Path of the JSON file.
        names: list of file names in it; folders may precede them.
    Returns:
        list of Path; one that does not exist is given the folder of most others.
    """
    split, word = _split_of(file)
    inner = list(dict.fromkeys((word, *SPLIT_FOLDERS.get(split, ())))) if split else []
    above = file.parent.parent
    folders = [file.parent] + [
        root / folder
        for root in (file.parent, above)
        for folder in (*inner, *(f"images/{name}" for name in inner), "images", "")
    ]
    folders = [folder for folder in folders if folder.is_dir()]
    names = [name.replace("\\", "/") for name in names]  # as Windows writes them

    @cache
    def listing(folder):
        try:
            return frozenset(os.listdir(folder))
        except (OSError, ValueError):  # no folder, or no name that one could have
            return frozenset()

    homes = []
    for name in names:
        paths = ((folder, folder / name) for folder in folders)
        homes.append(
            next((f for f, path in paths if path.name in listing(path.parent)), None)
        )
    named = [folder for folder in folders if folder.name in (*inner, "images")]
    found = Counter(home for home in homes if home is not None).most_common(1)
    likely = found[0][0] if found else [*named, file.parent][0]
    return [(home or likely) / name for home, name in zip(homes, names, strict=True)]
