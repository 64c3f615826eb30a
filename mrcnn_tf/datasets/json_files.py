"""JSON annotation files: read with an error that names the file, and told apart."""

import json
import re
from pathlib import Path

_HEAD = 65_536  # bytes; annotation files name their parts at their start


def read_json(path, object_hook=None):
    """Reads a JSON file.

    Args:
        path: str or Path.
        object_hook: as of `json.loads`.
    Returns:
        what the file holds.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON; names the file, the line and the column.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; is the path right?")
    try:
        # A byte-order mark, as Windows programs put it, is no part of JSON.
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: not JSON, at line {error.lineno}, column {error.colno}: "
            f"{error.msg}; was it cut off, or edited by hand?"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not UTF-8 text: {error}; save it as UTF-8"
        ) from error
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply for annotations") from None
    except ValueError as error:  # numbers of more digits than Python reads
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from error


def has_key(path, *keys):
    """Says whether a JSON file names one of `keys` near its start.

    Args:
        path: of a file.
        *keys: names of object members.
    Returns:
        bool; False for what is no JSON file, whatever its ending.
    """
    if Path(path).suffix.lower() != ".json" or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    pattern = rb'"(?:%s)"\s*:' % b"|".join(re.escape(key.encode()) for key in keys)
    return re.search(pattern, head) is not None
