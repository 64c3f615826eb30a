"""Lessons keep their form, and run from the top in a fresh kernel."""

import lesson_form
import lesson_runner
import nbformat
import pytest

LESSONS = lesson_form.lessons()
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)


def test_the_lessons_are_there_and_in_a_row():
    numbers = [int(path.name[:2]) for path in LESSONS]
    assert numbers == list(range(len(LESSONS)))
    assert len(LESSONS) >= 18


@each_lesson
def test_form(path):
    assert lesson_form.faults(nbformat.read(path, as_version=4), path.name) == []


@each_lesson
def test_the_next_lesson_is_named(path):
    following = [*LESSONS[1:], None][LESSONS.index(path)]
    last = nbformat.read(path, as_version=4).cells[-1].source
    assert following is None or f"]({following.name})" in last


@pytest.mark.slow
@each_lesson
def test_runs_fast_and_offline_and_its_solutions_too(path, tmp_path):
    notebook = lesson_runner.run(path, fast=True, folder=tmp_path)
    assert lesson_form.undescribed_figures(notebook) == []


def test_there_is_enough_to_check_and_to_solve():
    notebooks = [nbformat.read(path, as_version=4) for path in LESSONS]
    assert sum(map(lesson_form.check_asserts, notebooks)) >= 60
    assert sum(len(lesson_form.solutions(notebook)) for notebook in notebooks) >= 50


def test_every_term_of_the_glossary_is_said_in_both_languages():
    rows = [
        line.split("|")[1:-1]
        for line in lesson_form.GLOSSARY.read_text(encoding="utf-8").splitlines()
        if line.startswith("| <a id")
    ]
    assert len(rows) == len(lesson_form.glossary_terms())
    for term, korean, english, korean_sentence in rows:
        assert english.strip().endswith("."), term
        assert korean_sentence.strip().endswith("."), term
        assert korean.strip(), term
        assert any("가" <= letter <= "힣" for letter in korean_sentence), term


def test_every_term_of_the_glossary_is_linked_from_a_lesson():
    text = "\n".join(path.read_text(encoding="utf-8") for path in LESSONS)
    unused = [
        t for t in lesson_form.glossary_terms() if f"glossary.md#{t})" not in text
    ]
    assert unused == []
