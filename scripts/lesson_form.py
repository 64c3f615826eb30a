"""The form of a lesson: its parts in order, and what each must hold.

`faults` lists what is wrong, a sentence for each. The repository's address stands in
pyproject.toml alone; `stamp` writes it into a lesson's badge, setup and links.
"""

import ast
import re
import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY = ROOT / "docs" / "glossary.md"

MAX_LINES = 25  # of a code cell
MIN_ASSERTS = 3  # of a lesson, in its "Check yourself" sections
MIN_EXERCISES = 3

# Owner and name of a repository, where a lesson writes them.
_NAME = r"[\w.-]+/[\w.-]+"
_BADGE = re.compile(
    rf"(https://colab\.research\.google\.com/github/)({_NAME})(/blob/main/notebooks/)"
    r"([\w.-]+\.ipynb)"
)
_INSTALL = re.compile(rf"(git\+https://github\.com/)({_NAME})")
_PAGE = re.compile(rf"(https://github\.com/)({_NAME})(/blob/main/)")
_TERM = re.compile(rf"https://github\.com/{_NAME}/blob/main/docs/glossary\.md#([\w-]+)")

_NETWORK = re.compile(r"https?://|\burlopen\b|\brequests\.|[!%]pip\b|\b(wget|curl) ")
_DETAILS = re.compile(r"<details>(.*?)</details>", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_IMAGE = re.compile(r"!\[(.*?)\]\(|<img\b([^>]*)>")


def lessons():
    """Returns the paths of all lessons, in order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def title(notebook):
    """Returns the words of a lesson's first heading."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def solutions(notebook):
    """Returns the code of an lesson's solutions, in order, a list of strings."""
    return [
        code
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for hidden in _DETAILS.findall(cell.source)
        for code in _PYTHON.findall(hidden)
    ]


def check_asserts(notebook):
    """Counts the asserts in the "Check yourself" sections of a lesson."""
    return sum(
        isinstance(node, ast.Assert)
        for heading, cell in _under_headings(notebook)
        if heading == "### Check yourself" and cell.cell_type == "code"
        for node in ast.walk(_parse(cell.source))
    )


def repository():
    """Returns owner/name of the repository on GitHub, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Source"].removeprefix("https://github.com/")


def glossary_terms():
    """Returns the names that links into the glossary may end with, a set."""
    text = GLOSSARY.read_text(encoding="utf-8")
    return set(re.findall(r'<a id="([\w-]+)">', text))


def stamp(path):
    """Writes the repository's address and the file's own name into a lesson.

    Args:
        path: of a notebook; it is written only where something changes.
    Returns:
        True if it was written.
    """
    old = path.read_text(encoding="utf-8")
    new = _BADGE.sub(rf"\g<1>{repository()}\g<3>{path.name}", old)
    new = _INSTALL.sub(rf"\g<1>{repository()}", new)
    new = _PAGE.sub(rf"\g<1>{repository()}\g<3>", new)
    if new != old:
        path.write_text(new, encoding="utf-8")
    return new != old


def faults(notebook, name):
    """Lists what is wrong with the form of a lesson.

    Args:
        notebook: an `nbformat.NotebookNode`, as it stands in its file.
        name: of that file.
    Returns:
        a list of sentences, empty for a lesson in good form.
    """
    nbformat.validate(notebook)
    found = [
        *_first_cell(notebook.cells[0], name),
        *_addresses(notebook),
        *_parameters(notebook),
        *_order(notebook),
        *_exercises(notebook),
    ]
    for number, cell in enumerate(notebook.cells, 1):
        check = _code_cell if cell.cell_type == "code" else _text_cell
        found += [f"cell {number} {fault}" for fault in check(cell)]
    for number, (heading, cell) in enumerate(_under_headings(notebook), 1):
        network = cell.cell_type == "code" and _NETWORK.search(cell.source)
        if network and not (heading == "## Setup" and "find_spec" in cell.source):
            found.append(
                f"cell {number} reaches for the network ({network.group()!r}); only "
                "Setup may, and only for what find_spec does not find"
            )
    if "widgets" in notebook.metadata:
        found.append("the metadata must hold no widgets: GitHub refuses to show them")
    return found


def undescribed_figures(notebook):
    """Lists the figures of an executed lesson that no sentence describes.

    Returns:
        a list of the numbers of cells, from 1, that show a figure or an animation
        and are not followed by a "You should see".
    """
    found = []
    following = [*notebook.cells[1:], nbformat.v4.new_markdown_cell("the end")]
    for number, (cell, below) in enumerate(
        zip(notebook.cells, following, strict=True), 1
    ):
        if shows_figure(cell) and not describes_figure(below):
            found.append(number)
    return found


def shows_figure(cell):
    """Says whether an executed cell shows a picture or an animation."""
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    return any(
        "image/png" in data or "<img" in data.get("text/html", "") for data in shown
    )


def describes_figure(cell):
    """Says whether a cell says what is to be seen in the figure above it."""
    return cell.cell_type == "markdown" and "You should see" in cell.source


def _first_cell(cell, name):
    if cell.cell_type != "markdown" or not cell.source.startswith("# "):
        return ["the first cell must hold the title"]
    found = []
    badge = _BADGE.search(cell.source)
    if not badge or badge.group(4) != name:
        found.append("the first cell must hold a Colab badge with the file's own path")
    for words in ("CPU", "T4", "**You will be able to**"):
        if words not in cell.source:
            found.append(f"the first cell must hold {words!r}")
    return found


def _addresses(notebook):
    found = []
    text = "\n".join(cell.source for cell in notebook.cells)
    for pattern in (_BADGE, _INSTALL, _PAGE):
        found += [
            f"{match.group()} is not of {repository()}; "
            "scripts/run_notebooks.py --stamp mends it"
            for match in pattern.finditer(text)
            if match.group(2) != repository()
        ]
    if not _INSTALL.search(text):
        found.append("Setup must install the package where it is not found")
    unknown = sorted(set(_TERM.findall(text)) - glossary_terms())
    found += [f"docs/glossary.md has no term {term!r}" for term in unknown]
    return found


def _parameters(notebook):
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        return ["one cell must be tagged 'parameters'"]
    return [
        f"the parameters cell must hold {line!r}"
        for line in ("FAST = False", "SEED = 0")
        if not re.search(f"^{line}$", tagged[0].source, re.MULTILINE)
    ]


def _order(notebook):
    """The parts of a lesson, by their headings of the second order."""
    headings = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()[:1]
        if line.startswith("## ")
    ]
    begin, end = ["Setup", "Parameters"], ["Summary", "Exercises", "Next"]
    names = [heading.removeprefix("## ") for heading in headings]
    found = []
    if names[:2] != begin or names[-3:] != end or len(names) < 6:
        found.append(f"the parts must be {begin}, the lesson, {end}; found {names}")
    if check_asserts(notebook) < MIN_ASSERTS:
        found.append(
            f"cells under '### Check yourself' must assert {MIN_ASSERTS} things or "
            f"more, found {check_asserts(notebook)}"
        )
    return found


def _exercises(notebook):
    text = "\n".join(
        cell.source
        for heading, cell in _under_headings(notebook, level=2)
        if heading == "## Exercises"
    )
    hidden = _DETAILS.findall(text)
    found = []
    if len(hidden) < MIN_EXERCISES:
        found.append(f"there must be {MIN_EXERCISES} exercises, found {len(hidden)}")
    for number, solution in enumerate(hidden, 1):
        if "<summary>Solution</summary>" not in solution:
            found.append(f"exercise {number}: its <details> must say 'Solution'")
        if len(_PYTHON.findall(solution)) != 1:
            found.append(f"exercise {number}: its solution must hold one python block")
    return found


def _code_cell(cell):
    if cell.outputs or cell.execution_count is not None:
        yield "has outputs; run nbstripout on the file"
    if len(cell.source.splitlines()) > MAX_LINES:
        yield f"has more than {MAX_LINES} lines"
    body = _parse(cell.source).body
    made = [n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    imports = [n for n in body if isinstance(n, (ast.Import, ast.ImportFrom))]
    if made and len(made) + len(imports) == len(body):
        yield "only defines; run what it defines there"
    used = {node.id for node in ast.walk(ast.Module(body, [])) if _is_use(node)}
    for node in made:
        if node.name not in used:
            yield f"defines {node.name} and does not run it"


def _text_cell(cell):
    for image in _IMAGE.finditer(cell.source):
        text, attributes = image.groups()
        if not (text or re.search(r'alt="[^"]', attributes or "")):
            yield f"shows an image without alternative text: {image.group()}"


def _is_use(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _parse(source):
    """Parses a cell; lines for IPython or the shell count as `pass`."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))


def _under_headings(notebook, level=6):
    """Yields each cell with the heading it stands under, of that level or above."""
    heading = ""
    for cell in notebook.cells:
        first = cell.source.partition("\n")[0]
        if cell.cell_type == "markdown" and re.match(rf"#{{1,{level}}} ", first):
            heading = first
        yield heading, cell
