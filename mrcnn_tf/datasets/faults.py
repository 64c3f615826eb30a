"""What can be wrong with a data set, each kind with its name and its gravity.

A fault is a record, not an exception: a data set of a thousand photographs has a
few, training goes on without what they spoil, and the doctor lists them all.
"""

from collections import Counter
from dataclasses import dataclass

# An error spoils training or measuring: the object or the image is left out, or
# mended as the fault says. A warning is used as it is, and may be meant.
ERRORS = (
    "unreadable annotations",
    "unreadable image",
    "missing image",
    "size mismatch",
    "bad value",
    "reversed box",
    "empty box",
    "box outside",
    "short polygon",
    "empty mask",
    "mask and box disagree",
    "duplicate id",
    "unknown category",
    "annotation without image",
    "image listed twice",
    "unsupported shape",
    "object without mask",
    "shared image",
)
WARNINGS = (
    "box over the edge",
    "self-crossing polygon",
    "full mask",
    "duplicate object",
    "copied image",
    "few objects",
    "orientation",
    "image without annotations",
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong.

    Attributes:
        kind: one of `ERRORS` or `WARNINGS`.
        file: the file to look into, as a string.
        where: what in that file, as "image 17, object 3"; "" for the whole.
        found: what was found, and what was expected.
        mend: what to do about it, or what was done.
    """

    kind: str
    file: str
    where: str
    found: str
    mend: str

    def __post_init__(self):
        if self.kind not in ERRORS + WARNINGS:
            raise ValueError(f"no kind of fault is called {self.kind!r}")

    @property
    def is_error(self):
        """Whether it spoils something, True, or may be meant, False."""
        return self.kind in ERRORS

    def __str__(self):
        place = f"{self.file}, {self.where}" if self.where else self.file
        return f"{place}: {self.kind}: {self.found}; {self.mend}"


def summary(faults):
    """Counts faults by kind, as "2 empty box, 1 missing image"."""
    counts = Counter(fault.kind for fault in faults)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
