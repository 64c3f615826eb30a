"""The concept map names files, tests and lessons that are there, and all of them."""

import re
from pathlib import Path

import lesson_form

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mrcnn_tf"
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in (ROOT / "docs" / "concepts.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| concept |")
]


def test_what_it_names_is_there():
    assert len(ROWS) > 40
    for concept, lesson, file, test, paper in ROWS:
        for link in re.findall(r"\]\((.+?)\)", lesson):
            assert (ROOT / "docs" / link).is_file(), concept
        assert re.search(r"\[\d\d\]|every lesson", lesson), concept
        for name in re.findall(r"`(.+?)`", file):
            assert (PACKAGE / name).is_file() or (ROOT / name).is_file(), concept
        assert all(
            (ROOT / "tests" / name).is_file() for name in re.findall(r"`(.+?)`", test)
        ), concept
        assert paper == "-" or re.search(r"\d{4}|COCO", paper), concept


def test_it_names_every_lesson_and_every_file_of_the_network():
    text = "\n".join("|".join(row) for row in ROWS)
    lessons = {path.name for path in lesson_form.lessons()}
    assert {name for name in lessons if f"{name})" not in text} == set()
    files = {path.name for path in PACKAGE.glob("[a-z]*.py")}
    assert {name for name in files if f"`{name}`" not in text} == set()
