#!/usr/bin/env python
"""Downloads a data set, checks it and unpacks it into data/NAME.

Run it again after a break, of whatever kind: it goes on where it was. An archive is
deleted once it is unpacked.

Examples:
    scripts/download_data.py pets
    scripts/download_data.py coco2017
    scripts/download_data.py coco2017 --folder /mnt/large/coco2017
"""

import argparse
import hashlib
import http.client
import shutil
import ssl
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from data_sources import DATASETS
from tqdm import tqdm

_TIMEOUT = 30  # seconds without a byte
_WAITS = (1, 2, 4, 8, 16, 32)  # seconds, after each failure in a row
_CHUNK = 2**18  # bytes
_AGAIN = (408, 425, 429)  # HTTP: what may go better later, as all from 500 may
_DROPPED = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError)


def parse(arguments):
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=tuple(DATASETS))
    parser.add_argument(
        "--folder", type=Path, help="where it goes; data/NAME if not given"
    )
    return parser.parse_args(arguments)


def download(name, folder):
    """Downloads and unpacks what is not there yet.

    Args:
        name: a key of `DATASETS`.
        folder: Path.
    Raises:
        OSError: for too little space, or a download that fails; says what to do.
        ValueError: for an archive that cannot be unpacked.
    """
    missing = [item for item in DATASETS[name] if not _mark(item, folder).exists()]
    if not missing:
        print(f"{name} is complete in {folder}: nothing to do")
        return
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(item.size for item in missing)
    here = sum(_bytes_here(item, folder) for item in missing)
    print(
        f"{name}: downloading {total / 1e6:.0f} MB in {len(missing)} archives "
        f"({here / 1e6:.0f} MB are here) and unpacking them to {folder}"
    )
    _check_space(missing, folder)
    for item in missing:
        path = fetch(item, folder)
        print(f"unpacking {path}")
        unpack(path, folder)
        _mark(item, folder).touch()
        path.unlink()
    print(f"complete: {folder} can be given as --data")


def fetch(item, folder):
    """Downloads one archive, going on from what is there; returns its checked Path.

    Half a file is called .part. What an earlier run left is not asked whether it is
    of the same version (If-Range): size and checksum of the only version we know
    tell in the end.

    Args:
        item: an `Archive`.
        folder: Path, where it goes.
    Raises:
        OSError: if it cannot be had whole; what came stays for another run.
    """
    path = folder / item.name
    part = folder / f"{item.name}.part"
    if path.exists():  # whole and checked; an earlier run did not come to unpack it
        return path
    for _ in range(2):
        _fill(item, part)
        print(f"checking {part}")
        with part.open("rb") as file:
            digest = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if digest == item.md5:
            return part.rename(path)
        part.unlink()
        print(f"{item.name}: its checksum is wrong, starting over", file=sys.stderr)
    raise OSError(
        f"{item.url}: twice its MD5 was not {item.md5} but, the last time, {digest}; "
        "is something between here and there altering it, or is there a new version?"
    )


def _fill(item, part):
    """Downloads until `part` has all its bytes, after however many breaks."""
    waits = iter(_WAITS)
    while (here := _size(part)) != item.size:
        if here > item.size:
            part.unlink()
            continue
        try:
            _receive(item, part, here)
            error = "the connection was closed"
        except urllib.error.HTTPError as caught:
            error = f"the server answers {caught.code} {caught.reason}"
            if caught.code == 416 and here:  # its file is shorter than what is here
                part.unlink()
                continue
            if caught.code < 500 and caught.code not in _AGAIN:
                raise OSError(f"{item.url}: {error}; has it moved?") from caught
        except _DROPPED as caught:
            error = str(getattr(caught, "reason", caught)) or type(caught).__name__
        if _size(part) == item.size:
            return
        if _size(part) > here:
            waits = iter(_WAITS)  # it moves: failures are counted anew
        wait = next(waits, None)
        if wait is None:
            raise OSError(
                f"{item.url}: {error}, {len(_WAITS) + 1} times without a byte; "
                f"{_size(part) / 1e6:.0f} MB stay in {part}: run it again later"
            )
        print(f"{item.name}: {error}; again in {wait} s", file=sys.stderr)
        time.sleep(wait)


def _receive(item, part, here):
    """Appends to `part` what one connection brings, from byte `here` on."""
    headers = {"User-Agent": "mrcnn_tf", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    request = urllib.request.Request(item.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        if here and answer.status != 206:  # it knows no ranges: from the beginning
            here = 0
        expected = f"bytes {here}-{item.size - 1}/{item.size}"
        found = answer.headers.get("Content-Range", expected)
        length = answer.headers.get("Content-Length", str(item.size - here))
        if found != expected or length != str(item.size - here):
            raise OSError(
                f"{item.url}: the server has another file than of {item.size} bytes "
                f"(it offers {length} from byte {here} on, range {found!r}); a new "
                "version?"
            )
        bar = tqdm(
            desc=item.name, initial=here, total=item.size, unit="B", unit_scale=True
        )
        with bar, part.open("ab" if here else "wb") as file:
            # Never more than there should be, whatever the server sends.
            while chunk := answer.read(min(_CHUNK, item.size - here)):
                file.write(chunk)
                here += len(chunk)
                bar.update(len(chunk))


def unpack(path, folder):
    """Unpacks a .zip or .tar.gz, refusing what would leave the folder.

    Raises:
        ValueError: for an archive that is damaged or has a file outside.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    inside = (folder / name).resolve()
                    if not inside.is_relative_to(folder.resolve()):
                        raise ValueError(f"{path}: {name!r} would be outside {folder}")
                for member in tqdm(archive.infolist(), desc=path.name, unit=" files"):
                    archive.extract(member, folder)
        else:
            with tarfile.open(path) as archive:
                for member in tqdm(archive, desc=path.name, unit=" files"):
                    archive.extract(member, folder, filter="data")
    except _DAMAGED as error:
        raise ValueError(f"{path}: {error}; delete it and run this again") from error


def _check_space(missing, folder):
    """Raises OSError if the disk will not hold an archive beside what is unpacked."""
    used = needed = 0
    for item in missing:
        to_come = item.size - min(_bytes_here(item, folder), item.size)
        needed = max(needed, used + to_come + item.unpacked)
        used += item.unpacked - (item.size - to_come)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are "
            "free; make room, or choose another disk with --folder"
        )


def _mark(item, folder):
    """The empty file that says that an archive is unpacked."""
    return folder / f".{item.name}.unpacked"


def _bytes_here(item, folder):
    return max(_size(folder / item.name), _size(folder / f"{item.name}.part"))


def _size(path):
    return path.stat().st_size if path.exists() else 0


def main(arguments=None):
    """Runs the command; returns its exit status."""
    options = parse(arguments)
    folder = options.folder or Path("data") / options.name
    try:
        download(options.name, folder)
    except (ValueError, OSError) as error:
        print(f"download_data: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
