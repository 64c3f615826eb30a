"""The linter of lessons: a good one passes, and each fault is found by itself."""

import nbformat
import pytest
from lesson_example import NAME, lesson, number_of
from lesson_form import faults, repository, stamp, undescribed_figures
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output


def test_a_good_form_has_no_faults():
    assert faults(lesson("1 + 1"), NAME) == []


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("\n".join(["1"] * 26), "has more than 25 lines"),
        ("import os\n\n\ndef f():\n    return os", "only defines"),
        ("def f():\n    return 1\n\n\nprint(1)", "defines f and does not run it"),
        ("!wget something", "reaches for the network ('wget "),
        ("%pip install x", "reaches for the network"),
        ("open_url('https://example.org')", "reaches for the network"),
    ],
)
def test_a_fault_of_a_code_cell_is_found(cell, fault):
    assert any(fault in sentence for sentence in faults(lesson(cell), NAME))


def test_a_function_that_another_of_its_cell_calls_is_run():
    cell = "def f():\n    return 1\n\n\ndef g():\n    return f()\n\n\ng()"
    assert faults(lesson(cell), NAME) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# An example", "An example", "must hold the title"),
        (NAME, "other.ipynb", "badge with the file's own path"),
        ("T4", "GPU", "must hold 'T4'"),
        ("**You will", "You will", "You will be able to"),
        ("FAST = False", "FAST = True", "must hold 'FAST = False'"),
        ("SEED = 0", "SEED = 1", "must hold 'SEED = 0'"),
        ("## Summary", "## The end", "the parts must be"),
        ("## Setup", "## Begin", "the parts must be"),
        ("### Check yourself", "### Look", "must assert 3 things or more, found 0"),
        ("2. Two and two?\n\n<details>", "2. Two?\n\n<p>", "exercises, found 2"),
        ("<summary>Solution</summary>", "<summary>x</summary>", "must say 'Solution'"),
        ("```python\nfour", "```\nfour", "exercise 2: its solution must hold one"),
        ("glossary.md#anchor", "glossary.md#ancor", "has no term 'ancor'"),
        ("%pip install -q git+https:", "%pip install -q x:", "Setup must install"),
        ("[![Colab](x)]", "[![](x)]", "without alternative text"),
        ("- see what", "- <img src='x'> see what", "without alternative text"),
    ],
)
def test_a_spoiled_passage_is_found(old, new, fault):
    notebook = lesson()
    cell = next(cell for cell in notebook.cells if old in cell.source)
    cell.source = cell.source.replace(old, new)
    found = faults(notebook, NAME)
    assert any(fault in sentence for sentence in found), found


def test_pip_only_for_what_is_not_found():
    notebook = lesson()
    cell = next(cell for cell in notebook.cells if "find_spec" in cell.source)
    cell.source = f"%pip install -q git+https://github.com/{repository()}"
    assert any("reaches for the network" in fault for fault in faults(notebook, NAME))


def test_outputs_widgets_and_a_missing_tag_are_found():
    notebook = lesson("1 + 1")
    number = number_of(notebook.cells, "1 + 1")
    notebook.cells[number - 1].execution_count = 1
    notebook.metadata["widgets"] = {}
    parameters = notebook.cells[number_of(notebook.cells, "FAST") - 1]
    parameters.metadata["tags"] = []
    found = " ".join(faults(notebook, NAME))
    assert f"cell {number} has outputs" in found
    assert "no widgets" in found
    assert "one cell must be tagged" in found


def test_a_moved_repository_is_found_and_stamped(tmp_path):
    path = tmp_path / "moved.ipynb"
    notebook = lesson()
    for cell in notebook.cells:
        cell.source = cell.source.replace(repository(), "somebody/else")
    nbformat.write(notebook, path)
    found = " ".join(faults(notebook, path.name))
    assert found.count(f"is not of {repository()}") == 3  # badge, setup, glossary

    assert stamp(path)
    assert faults(nbformat.read(path, as_version=4), path.name) == []
    assert not stamp(path)


@pytest.mark.parametrize(
    "data", [{"image/png": "x"}, {"text/html": "<div><img src='x'></div>"}]
)
def test_a_figure_needs_a_sentence_below(data):
    cell = new_code_cell("draw()", outputs=[new_output("display_data", data)])
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell("1"), cell])
    assert undescribed_figures(notebook) == [2]
    notebook.cells.append(new_markdown_cell("You should see *a line*."))
    assert undescribed_figures(notebook) == []
