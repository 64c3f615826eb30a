"""The runner of lessons: fresh kernels, no network, failures with their place."""

import io
import re
import subprocess
import sys
from pathlib import Path

import lesson_form
import nbformat
import psutil
import pytest
import run_notebooks
from lesson_example import NAME, lesson, number_of
from lesson_pages import write_html, write_index
from lesson_runner import Console, LessonError, run

ROOT = Path(__file__).parents[1]


def run_example(notebook, folder, fast=True):
    """Writes a lesson to a file and runs it as the tests run the real ones."""
    path = folder / NAME
    nbformat.write(notebook, path)
    return run(path, fast, folder)


def test_fast_is_set_and_the_file_stays_as_it_was(tmp_path):
    notebook = lesson("import sys; print(sys.executable, FAST, SEED)")
    executed = run_example(notebook, tmp_path)
    assert len(executed.cells) == len(notebook.cells)  # no solution among them
    number = number_of(executed.cells, "import sys")
    printed = executed.cells[number - 1].outputs[0].text
    assert printed.split() == [sys.executable, "True", "0"]
    assert nbformat.read(tmp_path / NAME, as_version=4) == notebook


def test_a_failing_cell_is_named_and_the_network_is_off(tmp_path):
    notebook = lesson("import urllib.request as u\nu.urlopen('http://192.0.2.1')")
    with pytest.raises(LessonError) as error:
        run_example(notebook, tmp_path)
    number = number_of(notebook.cells, "import urllib")
    place = f"cell {number} of {len(notebook.cells)} failed: import urllib"
    assert f"{NAME}: {place}" in str(error.value)
    assert "a lesson runs offline" in str(error.value)


def test_solutions_run_after_the_lesson_when_fast(tmp_path):
    notebook = lesson()
    cell = next(cell for cell in notebook.cells if "four = 2 + 2" in cell.source)
    cell.source = cell.source.replace("four = 2 + 2", "four = 2 + SEED")
    with pytest.raises(LessonError, match="the solution of exercise 3 failed"):
        run_example(notebook, tmp_path)
    run_example(notebook, tmp_path, fast=False)


def test_a_lesson_without_its_switch_is_refused(tmp_path):
    notebook = lesson()
    for cell in notebook.cells:
        cell.source = cell.source.replace("FAST = False", "FAST = 0")
    with pytest.raises(LessonError, match="found 0"):
        run_example(notebook, tmp_path)


def test_several_lessons_side_by_side_and_the_failing_one_is_named(tmp_path):
    for name, source in (("01_good.ipynb", "1 + 1"), ("02_bad.ipynb", "1 / 0")):
        nbformat.write(lesson(source), tmp_path / name)
        lesson_form.stamp(tmp_path / name)
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "scripts" / "run_notebooks.py",
            *sorted(tmp_path.glob("*.ipynb")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.search(r"^01_good\.ipynb: \d+ s$", done.stdout, re.MULTILINE)
    assert re.search(r"02_bad\.ipynb: cell \d+ of \d+ failed: 1 / 0", done.stdout)
    assert "1 of 2 lessons failed" in done.stderr


@pytest.mark.parametrize(("gigabytes", "jobs"), [(1, 1), (9, 2), (100, 3)])
def test_as_many_at_a_time_as_fit(monkeypatch, gigabytes, jobs):
    free = psutil.virtual_memory()._replace(available=gigabytes * 10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert run_notebooks.jobs_at_a_time(3) == jobs


def test_a_page_has_its_figures_described_and_its_links_to_pages(tmp_path):
    notebook = lesson("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
    notebook.cells[-1].source = "## Next\n\n[More](02_more.ipynb)"
    described = nbformat.v4.new_markdown_cell("You should see *a line*.")
    notebook.cells.insert(number_of(notebook.cells, "import matplotlib"), described)
    executed = run_example(notebook, tmp_path)
    path = tmp_path / "01_example.ipynb"
    write_html(executed, tmp_path / "01_example.html")
    write_index({path: executed}, tmp_path)
    page = (tmp_path / "01_example.html").read_text(encoding="utf-8")
    assert re.search(r"alt=.You should see a line\.. src=.data:image/png;base64", page)
    assert 'href="02_more.html"' in page
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<ol start="1">' in index
    assert '<a href="01_example.html">An example: of a lesson</a>' in index
    assert "see what a lesson is" in index


def test_a_progress_bar_keeps_to_one_line():
    stream = io.StringIO()
    console = Console(stream)
    console.write("Epoch 1\n")
    console.write("\r\x1b[1m1/3\x1b[0m")
    console.write("\b\b\b\r2/3")
    console.write("\b\b\b\r3/3 done\n")
    console.write(" 50%|", "stderr")
    console.write("\r100%|", "stderr")
    console.write("after\n")
    assert stream.getvalue() == "Epoch 1\n3/3 done\n100%|\nafter\n"
