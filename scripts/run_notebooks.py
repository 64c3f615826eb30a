"""Checks the form of lessons, and runs them without a browser.

    python scripts/run_notebooks.py                 every lesson, fast and offline
    python scripts/run_notebooks.py --full --html notebooks/00_start_here.ipynb
    python scripts/run_notebooks.py --lint          their form alone
    python scripts/run_notebooks.py --stamp         after the repository has moved

Fast: `FAST = False` in the lesson's cell tagged "parameters" becomes `FAST = True`,
the network is blocked, files go to a folder that is thrown away, and the solutions of
the exercises run after the lesson. Full: the lesson as it stands, in the repository,
so that it writes into outputs/. Only a copy in memory is changed; the notebook's file
never is, but by --stamp. Several lessons run at a time where memory allows.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lesson_form
import nbformat
import psutil  # ipykernel brings it
from lesson_pages import write_html, write_index
from lesson_runner import LessonError, run

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "outputs" / "lessons"
MEMORY = 4e9  # bytes for a lesson; the largest was measured to take less


def jobs_at_a_time(lessons):
    """Returns how many lessons may run at once, by processors and free memory."""
    room = int(psutil.virtual_memory().available // MEMORY)
    return max(1, min(lessons, os.cpu_count(), room))


def run_one(path, full, html, quiet):
    """Runs a lesson, and writes its page if asked to.

    Returns:
        (seconds, None), or (seconds, why it failed).
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, open(os.devnull, "w") as nowhere:
        try:
            notebook = run(
                path,
                fast=not full,
                folder=ROOT if full else scratch,
                stream=nowhere if quiet else sys.stdout,
            )
        except LessonError as error:
            return time.monotonic() - start, str(error)
    if html:
        write_html(notebook, PAGES / f"{path.stem}.html")
    undescribed = lesson_form.undescribed_figures(notebook)
    if undescribed:
        why = f"{path}: no 'You should see' below the figures of cells {undescribed}"
        return time.monotonic() - start, why
    return time.monotonic() - start, None


def lint(paths):
    """Prints what is wrong with the form of lessons; returns how much there is."""
    count = 0
    for path in paths:
        for fault in lesson_form.faults(nbformat.read(path, as_version=4), path.name):
            print(f"{path.name}: {fault}")
            count += 1
    return count


def run_all(paths, options):
    """Runs lessons side by side; returns why some failed, a list of texts."""
    jobs = jobs_at_a_time(len(paths))
    tasks = [(path, options.full, options.html, jobs > 1) for path in paths]
    failures = []
    # A fork of a process with threads may hang; a fresh one cannot.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh) as pool:
        futures = [pool.submit(run_one, *task) for task in tasks]
        for path, future in zip(paths, futures, strict=True):
            seconds, failure = future.result()
            print(f"{path.name}: {seconds:.0f} s", flush=True)
            if failure:
                failures.append(failure)
                print(f"\n{failure}\n", flush=True)
    return failures


def main():
    """Checks and runs the lessons named on the command line, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="train for real")
    parser.add_argument(
        "--html", action="store_true", help="write outputs/lessons/<lesson>.html"
    )
    parser.add_argument("--lint", action="store_true", help="check the form and stop")
    parser.add_argument(
        "--stamp",
        action="store_true",
        help="write the address in pyproject.toml into badges and links, and stop",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    options = parser.parse_args()
    paths = options.paths or lesson_form.lessons()
    if not paths:
        parser.exit(1, f"no notebooks in {lesson_form.NOTEBOOKS}\n")
    for path in paths:
        if not path.is_file():
            parser.exit(1, f"no notebook {path}\n")
    if options.stamp:
        changed = [path.name for path in paths if lesson_form.stamp(path)]
        parser.exit(0, f"{len(changed)} of {len(paths)} lessons changed: {changed}\n")
    if lint(paths):
        parser.exit(1, "the form of lessons is described in CONTRIBUTING.md\n")
    if options.lint:
        parser.exit(0, f"{len(paths)} lessons, in good form\n")
    failures = run_all(paths, options)
    if options.html:
        read = {path: nbformat.read(path, 4) for path in lesson_form.lessons()}
        write_index(read, PAGES)
        print(f"the lessons: {PAGES / 'index.html'}")
    if failures:
        parser.exit(1, f"{len(failures)} of {len(paths)} lessons failed, see above\n")


if __name__ == "__main__":
    main()
