"""What the doctor found, as a record and as text."""

import collections
import dataclasses
from dataclasses import dataclass, field

from mrcnn_tf.datasets.anchor_recall import Recall

# COCO's classes of size, by the area in pixels of the image, masks' where there are.
SMALL, LARGE = 32**2, 96**2
_SHOWN = 3  # faults of a kind
_CLASSES_SHOWN = 20
_WIDTH = 88  # columns of the list of classes


def size_group(area):
    """Returns "small", "medium" or "large" of an area in square pixels."""
    return "small" if area < SMALL else "medium" if area < LARGE else "large"


@dataclass
class Counts:
    """What one split holds, after training would have mended it and left things out.

    Attributes:
        images: listed by the annotations.
        unusable: of these, those that are left out.
        empty: those in use that have no object.
        objects: crowds not among them.
        crowds: regions of many objects.
        most: objects of the fullest image.
        classes: Counter of objects by class name; 0 for a class without any.
        groups: Counter of objects by "small", "medium" and "large".
        image_sizes: Counter of images in use by "height x width".
    """

    images: int = 0
    unusable: int = 0
    empty: int = 0
    objects: int = 0
    crowds: int = 0
    most: int = 0
    classes: collections.Counter = field(default_factory=collections.Counter)
    groups: collections.Counter = field(default_factory=collections.Counter)
    image_sizes: collections.Counter = field(default_factory=collections.Counter)


@dataclass(frozen=True)
class Report:
    """What the doctor found; `str(report)` is to be read, `to_dict()` is for JSON.

    Attributes:
        path: what was examined, str.
        format: of the annotations, a key of `FORMATS`; "" if none was found.
        counts: dict from split to `Counts`.
        faults: list of `Fault`.
        preset: name of the preset that the rest is about.
        recall: `Recall` of its anchors; None where there are no objects.
        suggestion: `Recall` of anchors that would be better by a margin, or None.
        slots: the preset's `train.max_objects`.
        overfull: images to train on that have more objects than that.
        written: sentences, what was repaired and where it was written.
    """

    path: str
    format: str
    counts: dict
    faults: list
    preset: str
    recall: Recall | None = None
    suggestion: Recall | None = None
    slots: int = 0
    overfull: int = 0
    written: tuple = ()

    @property
    def errors(self):
        """Number of faults that are errors."""
        return sum(fault.is_error for fault in self.faults)

    @property
    def warnings(self):
        """Number of faults that are warnings."""
        return len(self.faults) - self.errors

    def to_dict(self):
        """Returns nested dicts and lists of plain values."""
        faults = [
            {"is_error": fault.is_error, **dataclasses.asdict(fault)}
            for fault in self.faults
        ]
        return {
            "path": self.path,
            "format": self.format,
            "errors": self.errors,
            "warnings": self.warnings,
            "counts": {name: dict(vars(c)) for name, c in self.counts.items()},
            "faults": faults,
            "preset": self.preset,
            "recall": self.recall and dataclasses.asdict(self.recall),
            "suggestion": self.suggestion and dataclasses.asdict(self.suggestion),
            "slots": self.slots,
            "overfull": self.overfull,
            "written": list(self.written),
        }

    def __str__(self):
        parts = [self._counts(), self._classes(), self._anchors(), self._faults()]
        return "\n\n".join(part for part in parts if part)

    def _counts(self):
        if not self.counts:
            return ""
        lines = [
            f"{'':9}{'images':>8}{'left out':>10}{'empty':>7}{'objects':>9}"
            f"{'crowds':>8}{'small':>8}{'medium':>8}{'large':>8}  objects per image"
        ]
        for name, count in self.counts.items():
            groups = "".join(
                f"{_share(count.groups[group], count.objects):>8}"
                for group in ("small", "medium", "large")
            )
            used = count.images - count.unusable
            mean = (count.objects + count.crowds) / max(used, 1)
            lines.append(
                f"{name or 'all':<9}{count.images:>8}{count.unusable:>10}"
                f"{count.empty:>7}{count.objects:>9}{count.crowds:>8}{groups}"
                f"  {mean:.1f}, {count.most} at most"
            )
        sizes = sum(
            (c.image_sizes for c in self.counts.values()), collections.Counter()
        )
        some = ", ".join(f"{size} ({n})" for size, n in sizes.most_common(4))
        rest = len(sizes) - 4
        more = f", and {rest} other sizes" if rest > 0 else ""
        lines.append(f"Image sizes (height x width): {some or 'none'}{more}")
        return "\n".join(lines)

    def _classes(self):
        totals = collections.Counter()
        for count in self.counts.values():
            totals.update(count.classes)  # keeps those of 0
        if not totals:
            return ""
        words = [f"{name} {n}" for name, n in totals.most_common(_CLASSES_SHOWN)]
        rest = len(totals) - len(words)
        if rest > 0:
            words.append(f"and {rest} more")
        lines = [f"Objects by class ({len(totals)}):"]
        line = ""
        for index, word in enumerate(words):
            word += "," if index + 1 < len(words) else ""
            if line and len(line) + len(word) > _WIDTH - 2:
                lines.append(f" {line}")
                line = ""
            line += f" {word}"
        return "\n".join([*lines, f" {line}"])

    def _anchors(self):
        if self.recall is None:
            return ""
        first, second = self.recall.thresholds
        lines = [
            f"Anchors of preset {self.preset}: {_sizes(self.recall)} pixels",
            "Objects to train on that have one of IoU, at the network's input size:",
            f"{'':9}{'objects':>8}{f'>= {first:g}':>8}{f'>= {second:g}':>8}",
        ]
        for group in ("small", "medium", "large", "all"):
            if group in self.recall.shares:
                count, *shares = self.recall.shares[group]
                found = "".join(f"{share:>8.0%}" for share in shares)
                lines.append(f"{group:<9}{count:>8}{found}")
        if self.suggestion:
            _, *shares = self.suggestion.shares["all"]
            lines += [
                f"{_sizes(self.suggestion)} would give {shares[0]:.0%} and "
                f"{shares[1]:.0%}: train with",
                f"  --set 'rpn.anchor_sizes={list(self.suggestion.sizes)}'",
            ]
        if self.overfull:
            lines.append(
                f"Images to train on of more objects than train.max_objects = "
                f"{self.slots}: {self.overfull}; the largest of their objects are used"
            )
        return "\n".join(lines)

    def _faults(self):
        lines = []
        for is_error, noun in ((True, "error"), (False, "warning")):
            kinds = collections.defaultdict(list)
            for fault in self.faults:
                if fault.is_error == is_error:
                    kinds[fault.kind].append(fault)
            for kind, faults in sorted(kinds.items(), key=lambda item: -len(item[1])):
                lines.append(f"{noun}: {kind} ({len(faults)})")
                for fault in faults[:_SHOWN]:
                    place = ", ".join(filter(None, (fault.file, fault.where)))
                    lines += [f"  {place}:", f"    {fault.found}; {fault.mend}"]
                if len(faults) > _SHOWN:
                    lines.append(f"  ... and {len(faults) - _SHOWN} more")
        if any(line.startswith("  ... and") for line in lines):
            lines.append("--json lists every one.")
        errors = _plural(self.errors, "error")
        warnings = _plural(self.warnings, "warning")
        lines += ["", f"{errors}, {warnings}.", *self.written]
        return "\n".join(lines).lstrip("\n")


def _sizes(recall):
    return ", ".join(str(size) for size in recall.sizes)


def _share(count, total):
    return f"{count / total:.0%}" if total else "-"


def _plural(count, noun):
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
