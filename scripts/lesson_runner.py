"""Runs one lesson from the top in a fresh kernel, without a browser."""

import os
import re
import shutil
import sys
import tempfile

import nbformat
from lesson_form import solutions
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

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


def run(path, fast, folder, stream=sys.stdout):
    """Executes a notebook from the top in a fresh kernel of this Python.

    Args:
        path: of the notebook; the file stays as it is.
        fast: True to run offline with `FAST = True`, and then each solution;
            False to run it as it stands.
        folder: the working directory of the kernel; lessons write to outputs/ there.
        stream: where headings, and what cells print, are shown as they come.
    Returns:
        the executed notebook, an `nbformat.NotebookNode` with outputs.
    Raises:
        LessonError: when a cell or a solution fails, takes too long or kills the
            kernel, or when there is no `FAST = False` to change.
    """
    notebook = nbformat.read(path, as_version=4)
    count = len(notebook.cells)
    if fast:
        _make_fast(notebook, path)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
        notebook.cells += map(nbformat.v4.new_code_cell, solutions(notebook))
    lesson = Lesson(
        notebook,
        Console(stream),
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
            place = f"cell {number} of {count}"
            if number > count:
                place = f"the solution of exercise {number - count}"
            raise LessonError(
                f"{path}: {place} failed: "
                f"{source.partition(chr(10))[0]}\n{_reason(error, log)}"
            ) from error
    if fast:
        notebook.cells = notebook.cells[1 : count + 1]
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
