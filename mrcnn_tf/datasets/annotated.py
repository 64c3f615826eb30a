"""A dataset of annotated photographs, whatever the format of their annotations."""

import logging

from mrcnn_tf.datasets.checks import image_fault, make_sample
from mrcnn_tf.datasets.faults import summary

_logger = logging.getLogger(__name__)


class AnnotatedImages:
    """A dataset of annotated images: `len`, `[i]` giving a Sample, and `classes`.

    Images whose head cannot be read, or is of another size than declared, are left
    out at construction, about 0.1 ms each. Objects with faults are left out or
    mended as their image is read; a warning says so once for each image.

    Attributes:
        classes: tuple of class names without background.
        records: list of `Record`, the images in use.
        faults: list of `Fault` of the reader and of the images left out.
        has_masks: False for boxes alone.
    """

    def __init__(self, annotations, classes=None):
        """Checks the images.

        Args:
            annotations: `Annotations`.
            classes: names in the order of class ids, if not the annotations' own.
        Raises:
            ValueError: if the annotations have other classes than `classes`, or no
                image can be used.
        """
        self.classes = tuple(annotations.classes if classes is None else classes)
        unknown = sorted(set(annotations.classes) - set(self.classes))
        if unknown:
            raise ValueError(
                f"the annotations have the classes {unknown}, which are not among "
                f"{self.classes}"
            )
        self.has_masks = annotations.has_masks
        self.records, self.faults = [], list(annotations.faults)
        for record in annotations.records:
            fault = image_fault(record)
            if fault:
                self.faults.append(fault)
            else:
                self.records.append(record)
        self._reported = set()  # images whose faults have been said
        if self.faults:
            _logger.warning(
                "%d of %d images are in use; faults: %s. The first: %s. "
                "python -m mrcnn_tf.datasets.doctor lists all",
                len(self.records),
                len(annotations.records),
                summary(self.faults),
                self.faults[0],
            )
        if not self.records:
            raise ValueError(
                "no image can be used: "
                + (str(self.faults[0]) if self.faults else "there are none")
            )

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        """Reads one image; returns a Sample.

        Raises:
            FileNotFoundError, ValueError: if its pixels cannot be read.
        """
        record = self.records[index]
        sample, faults = make_sample(record, self.classes, self.has_masks)
        if faults and record.image_id not in self._reported:
            self._reported.add(record.image_id)
            _logger.warning(
                "image %r: %s", record.image_id, "; ".join(map(str, faults))
            )
        return sample
