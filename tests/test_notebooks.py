"""Lessons keep their form, and run from the top in a fresh kernel."""

import io
import re
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import run_notebooks

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)

MAX_LINES = 25  # of a code cell


def faults(notebook, name):
    """Returns what is wrong with the form of a lesson, a list of sentences."""
    nbformat.validate(notebook)
    cells = notebook.cells
    found = []
    first = cells[0].source
    if cells[0].cell_type != "markdown" or not first.startswith("# "):
        found.append("the first cell must hold the title")
    if not re.search(
        rf"colab\.research\.google\.com/\S+/notebooks/{re.escape(name)}\)", first
    ):
        found.append("the first cell must hold a Colab badge with the file's own path")
    parameters = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    if len(parameters) != 1:
        found.append("one cell must be tagged 'parameters'")
    for line in ("FAST = False", "SEED = 0"):
        if not all(re.search(f"^{line}\\b", c.source, re.M) for c in parameters):
            found.append(f"the parameters cell must hold {line!r}")
    if "widgets" in notebook.metadata:
        found.append("the metadata must hold no widgets: GitHub refuses to show them")
    for number, cell in enumerate(cells, 1):
        if cell.cell_type != "code":
            continue
        if cell.outputs or cell.execution_count is not None:
            found.append(f"cell {number} has outputs; run nbstripout on the file")
        if len(cell.source.splitlines()) > MAX_LINES:
            found.append(f"cell {number} has more than {MAX_LINES} lines")
    return found


def undescribed_figures(notebook):
    """Returns the numbers of cells whose figure has no "You should see" below it."""
    found = []
    cells = [*notebook.cells, nbformat.v4.new_markdown_cell("the end")]
    for number, (cell, following) in enumerate(pairwise(cells), 1):
        is_figure = any(
            "image/png" in o.get("data", {}) for o in cell.get("outputs", [])
        )
        is_described = (
            following.cell_type == "markdown" and "You should see" in following.source
        )
        if is_figure and not is_described:
            found.append(number)
    return found


def lesson(*sources, fast="FAST = False\nSEED = 0"):
    """Makes a well-formed lesson called example.ipynb with these code cells."""
    badge = "https://colab.research.google.com/github/a/b/blob/main/notebooks/"
    parameters = nbformat.v4.new_code_cell(fast, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# A\n[![Colab](x)]({badge}example.ipynb)"),
            parameters,
            *[nbformat.v4.new_code_cell(source) for source in sources],
        ]
    )


def run(notebook, folder):
    """Writes a lesson to a file and runs it as the tests run the real ones."""
    path = folder / "example.ipynb"
    nbformat.write(notebook, path)
    return run_notebooks.run(path, fast=True, folder=folder)


def test_the_first_lesson_is_there():
    assert ROOT / "notebooks" / "00_start_here.ipynb" in LESSONS


@each_lesson
def test_form(path):
    assert faults(nbformat.read(path, as_version=4), path.name) == []


@pytest.mark.slow
@each_lesson
def test_runs_fast_and_offline(path, tmp_path):
    notebook = run_notebooks.run(path, fast=True, folder=tmp_path)
    assert undescribed_figures(notebook) == []


def test_a_good_form_has_no_faults():
    assert faults(lesson("1 + 1"), "example.ipynb") == []


def test_faults_of_form_are_found():
    notebook = lesson("\n".join(["1"] * 26), fast="FAST = True\nSEED = 0")
    notebook.cells[2].execution_count = 1
    notebook.metadata["widgets"] = {}
    found = " ".join(faults(notebook, "other.ipynb"))
    for words in (
        "own path",
        "'FAST = False'",
        "widgets",
        "cell 3 has outputs",
        "25 lines",
    ):
        assert words in found


def test_a_lesson_runs_in_this_python_with_fast_set_and_its_file_untouched(tmp_path):
    notebook = lesson(
        "import sys; print(sys.executable, FAST, SEED)",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
    )
    executed = run(notebook, tmp_path)
    assert len(executed.cells) == len(notebook.cells)
    assert executed.cells[2].outputs[0].text.split() == [sys.executable, "True", "0"]
    assert nbformat.read(tmp_path / "example.ipynb", as_version=4) == notebook

    assert undescribed_figures(executed) == [4]
    executed.cells.append(nbformat.v4.new_markdown_cell("You should see *a line*."))
    assert undescribed_figures(executed) == []
    run_notebooks.write_html(executed, tmp_path / "outputs" / "example.html")
    html = (tmp_path / "outputs" / "example.html").read_text(encoding="utf-8")
    assert re.search(r"alt=.You should see a line\.. src=.data:image/png;base64", html)


def test_a_failing_cell_is_named_and_the_network_is_off(tmp_path):
    notebook = lesson(
        "1 + 1", "import urllib.request\nurllib.request.urlopen('http://192.0.2.1')"
    )
    with pytest.raises(run_notebooks.LessonError) as error:
        run(notebook, tmp_path)
    message = str(error.value)
    assert "example.ipynb: cell 4 of 4 failed: import urllib.request" in message
    assert "a lesson runs offline" in message


def test_a_lesson_without_its_switch_is_refused(tmp_path):
    with pytest.raises(run_notebooks.LessonError, match="found 0"):
        run(lesson(fast="FAST = 0"), tmp_path)


def test_a_progress_bar_keeps_to_one_line():
    stream = io.StringIO()
    console = run_notebooks.Console(stream)
    console.write("Epoch 1\n")
    console.write("\r\x1b[1m1/3\x1b[0m")
    console.write("\b\b\b\r2/3")
    console.write("\b\b\b\r3/3 done\n")
    console.write(" 50%|", "stderr")
    console.write("\r100%|", "stderr")
    console.write("after\n")
    assert stream.getvalue() == "Epoch 1\n3/3 done\n100%|\nafter\n"
