"""Executed lessons as web pages, and a page that lists them."""

import html
import re
from itertools import pairwise

import lesson_form
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

_INDEX = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The lessons of mrcnn_tf</title>
<style>
body {{ font: 17px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }}
li {{ margin: 0 0 1em }}
small {{ color: #444 }}
</style>
<h1>The lessons of mrcnn_tf</h1>
<ol start="{start}">
{items}
</ol>
</html>
"""


def write_html(notebook, path):
    """Writes an executed notebook as one HTML file, its figures inside.

    A figure's text for those who cannot see it is the "You should see" below it.
    Links to other notebooks become links to their pages.

    Args:
        notebook: what `lesson_runner.run` returned; alternative texts are added to
            its metadata.
        path: of the HTML file; its folder is made.
    """
    for cell, below in pairwise(notebook.cells):
        if lesson_form.describes_figure(below):
            cell.metadata["alt"] = " ".join(re.sub(r"[*`]", "", below.source).split())
    exporter = HTMLExporter(
        template_name="classic",  # the one that writes alternative texts
        preprocessors=[CoalesceStreamsPreprocessor(enabled=True)],  # progress bars
    )
    body, _ = exporter.from_notebook_node(
        notebook, resources={"metadata": {"name": path.stem}}
    )
    body = re.sub(r'(href="[\w.-]+)\.ipynb"', r'\1.html"', body)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")


def write_index(notebooks, folder):
    """Writes index.html: each lesson with its title and what it lets one do.

    Args:
        notebooks: dict from a lesson's path to its notebook.
        folder: where the lessons' pages are, or will be.
    """
    items = []
    for path, notebook in sorted(notebooks.items()):
        goals = re.findall(r"^- (.*)$", notebook.cells[0].source, re.MULTILINE)
        name = html.escape(lesson_form.title(notebook))
        text = html.escape(re.sub(r"[*`]", "", " ".join(goals)))
        items.append(
            f'<li><a href="{path.stem}.html">{name}</a><br><small>{text}</small></li>'
        )
    start = int(min(notebooks).stem.partition("_")[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(
        _INDEX.format(start=start, items="\n".join(items)), encoding="utf-8"
    )
