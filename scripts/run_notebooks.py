"""Runs lessons from the top in a fresh kernel, without a browser.

    python scripts/run_notebooks.py                 every lesson, fast and offline
    python scripts/run_notebooks.py --full --html notebooks/00_start_here.ipynb

Fast: `FAST = False` in the lesson's cell tagged "parameters" becomes `FAST = True`,
the network is blocked, and files go to a folder that is thrown away. Full: the
lesson as it stands, in the repository, so that it writes into outputs/. Only a copy
in memory is changed; the notebook's file never is.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 3600  # seconds

# Python's own sockets alone: enough for urllib, requests and Keras's downloads.
OFFLINE = """\
import socket

def _connect(self, address, connect=socket.socket.connect):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
        raise OSError(f"with FAST = True a lesson runs offline, not to {address}")
    return connect(self, address)

socket.socket.connect = _connect
del _connect
"""

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class LessonError(Exception):
    """A lesson failed; the message names the cell and holds the traceback."""


class Console:
    """Shows what a kernel prints, and keeps each progress bar to one line."""

    def __init__(self, stream):
        self.stream = stream
        self.source = None  # "stdout" or "stderr", where `line` came from
        self.line = ""  # not finished yet
        self.returned = False  # what comes next overwrites `line`

    def write(self, text, source="stdout"):
        """Takes text as a terminal would: a carriage return starts the line anew."""
        if self.line and source != self.source:
            self._finish()
        self.source = source
        # Keras goes back by backspaces, then by a carriage return.
        text = ANSI.sub("", text).replace("\b", "").replace("\r\n", "\n")
        for piece in re.split(r"([\r\n])", text):
            if piece == "\n":
                self._finish()
            elif piece == "\r":
                self.returned = True
            elif piece:
                self.line = piece if self.returned else self.line + piece
                self.returned = False
        if self.line and self.stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r\x1b[K" + self.line[:width])
        self.stream.flush()

    def _finish(self):
        erase = "\r\x1b[K" if self.stream.isatty() else ""
        self.stream.write(erase + self.line.rstrip() + "\n")
        self.line = ""
        self.returned = False


class Lesson(NotebookClient):
    """A notebook client that shows headings, and what cells print as they print."""

    def __init__(self, notebook, console, **settings):
        super().__init__(notebook, on_cell_start=self._start, **settings)
        self.console = console
        self.cell_index = 0

    def process_message(self, msg, cell, cell_index):
        """Shows streams, then does what every client does."""
        if msg["msg_type"] == "stream":
            self.console.write(msg["content"]["text"], msg["content"]["name"])
        return super().process_message(msg, cell, cell_index)

    def _start(self, cell, cell_index):
        self.cell_index = cell_index
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            self.console.write(f"\n{cell.source.splitlines()[0]}\n", "heading")


def run(path, fast, folder):
    """Executes a notebook from the top in a fresh kernel of this Python.

    Args:
        path: of the notebook; the file stays as it is.
        fast: True to run offline with `FAST = True`, False to run it as it stands.
        folder: the working directory of the kernel; lessons write to outputs/ there.
    Returns:
        the executed notebook, an `nbformat.NotebookNode` with outputs.
    Raises:
        LessonError: when a cell fails, takes too long or kills the kernel, or
            when there is no `FAST = False` to change.
    """
    notebook = nbformat.read(path, as_version=4)
    count = len(notebook.cells)
    if fast:
        _make_fast(notebook, path)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    lesson = Lesson(
        notebook,
        Console(sys.stdout),
        kernel_name="python3",  # ipykernel makes it this very interpreter
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
        # What C++ libraries log goes to the kernel's own stderr, not into a lesson.
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    # Figures belong in the notebook, wherever the tests draw theirs.
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with tempfile.TemporaryFile("w+") as log:
        try:
            lesson.execute(stderr=log, env={**os.environ, **inline})
        except Exception as error:
            source = notebook.cells[lesson.cell_index].source.strip()
            number = lesson.cell_index + (0 if fast else 1)
            raise LessonError(
                f"{path}: cell {number} of {count} failed: "
                f"{source.partition(chr(10))[0]}\n{_reason(error, log)}"
            ) from error
    if fast:
        del notebook.cells[0]
    return notebook


def _make_fast(notebook, path):
    """Changes `FAST = False` to `FAST = True` in the parameters cell, in place."""
    changes = 0
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source, count = re.subn(
                r"^FAST = False\b", "FAST = True", cell.source, flags=re.MULTILINE
            )
            changes += count
    if changes != 1:
        raise LessonError(
            f"{path}: expected one line 'FAST = False' in a cell tagged 'parameters', "
            f"found {changes}"
        )


def _reason(error, log):
    """Returns the traceback of a cell, or the last words of a kernel that died."""
    if isinstance(error, CellExecutionError):
        return ANSI.sub("", error.traceback)
    if isinstance(error, DeadKernelError):
        log.seek(0)
        return "the kernel died; its last words:\n" + log.read()[-3000:]
    return f"{type(error).__name__}: {error}"


def write_html(notebook, path):
    """Writes an executed notebook as one HTML file, its figures inside.

    A figure's text for those who cannot see it is the "You should see" below it.

    Args:
        notebook: what `run` returned; alternative texts are added to its metadata.
        path: of the HTML file; its folder is made.
    """
    for cell, below in pairwise(notebook.cells):
        if below.cell_type == "markdown" and "You should see" in below.source:
            cell.metadata["alt"] = " ".join(re.sub(r"[*`]", "", below.source).split())
    exporter = HTMLExporter(
        template_name="classic",  # the one that writes alternative texts
        preprocessors=[CoalesceStreamsPreprocessor(enabled=True)],  # progress bars
    )
    body, _ = exporter.from_notebook_node(
        notebook, resources={"metadata": {"name": path.stem}}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")


def main():
    """Runs the lessons named on the command line, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="train for real")
    parser.add_argument(
        "--html", action="store_true", help="write outputs/<lesson>.html"
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    options = parser.parse_args()
    paths = options.paths or sorted((ROOT / "notebooks").glob("*.ipynb"))
    if not paths:
        parser.exit(1, f"no notebooks in {ROOT / 'notebooks'}\n")
    for path in paths:
        if not path.is_file():
            parser.exit(1, f"no notebook {path}\n")
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            try:
                notebook = run(
                    path, not options.full, ROOT if options.full else scratch
                )
            except LessonError as error:
                parser.exit(1, f"\n{error}\n")
        if options.html:
            write_html(notebook, ROOT / "outputs" / f"{path.stem}.html")
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
