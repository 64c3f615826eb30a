"""A lesson in good form, small enough to read, for the tests to run and to spoil."""

import lesson_form
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "example.ipynb"
_REPOSITORY = lesson_form.repository()

_PARTS = f"""\
# An example: of a lesson

[![Colab](x)](https://colab.research.google.com/github/{_REPOSITORY}/blob/main/notebooks/{NAME})

A minute on a CPU; not timed on a T4.

**You will be able to**

- see what a lesson is.

New words: [anchor](https://github.com/{_REPOSITORY}/blob/main/docs/glossary.md#anchor).
----
## Setup
----
>>>
import importlib.util

if importlib.util.find_spec("mrcnn_tf") is None:
    %pip install -q git+https://github.com/{_REPOSITORY}
----
## Parameters
----
>>>
FAST = False
SEED = 0
----
## Adding
----
### Check yourself
----
>>>
assert 1 + 1 == 2
assert SEED + 1 == 1
assert FAST in (True, False)
----
## Summary
----
## Exercises

1. One and one?

<details><summary>Solution</summary>

```python
print(1 + 1)
```
</details>

2. Two and two?

<details><summary>Solution</summary>

```python
four = 2 + 2
```
</details>

3. Twice that?

<details><summary>Solution</summary>

```python
assert 2 * four == 8
```
</details>
----
## Next
"""


def lesson(*sources):
    """Makes the example, with more code cells under its heading "Adding"."""
    cells = []
    for text in _PARTS.split("\n----\n"):
        if text.startswith(">>>\n"):
            cells.append(new_code_cell(text.removeprefix(">>>\n")))
        else:
            cells.append(new_markdown_cell(text))
    parameters = next(cell for cell in cells if "FAST = False" in cell.source)
    parameters.metadata["tags"] = ["parameters"]
    place = number_of(cells, "## Adding")
    cells[place:place] = [new_code_cell(source) for source in sources]
    return new_notebook(cells=cells)


def number_of(cells, words):
    """The number, from 1, of the first cell that begins with these words."""
    return next(n for n, c in enumerate(cells, 1) if c.source.startswith(words))
