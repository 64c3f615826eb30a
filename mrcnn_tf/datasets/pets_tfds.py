"""Oxford-IIIT Pets through TensorFlow Datasets: one name, no folder to lay out."""

import io

import numpy as np
from PIL import Image, ImageOps

from mrcnn_tf.datasets.pets import (
    CLASSES,
    check_split,
    fault_of,
    pet_sample,
    read_trimap,
    report_faults,
    select,
)

BUILDER = "oxford_iiit_pet:4.*.*"  # from 4 on its broken JPEG files are mended
PAGE = "https://www.robots.ox.ac.uk/~vgg/data/pets/"


class TfdsPets:
    """A dataset of the Pets photographs in one split, as `Pets` makes of a folder.

    Photographs and trimaps stay in memory as the JPEG and PNG files they are, some
    0.1 MB each: 400 MB for "trainval", as much for "test". All trimaps are checked
    at construction.

    Attributes:
        classes: ("cat", "dog").
        names: the names of the photographs in use, in alphabetical order.
        faults: dict from the name of a photograph left out to what is wrong.
    """

    classes = CLASSES

    def __init__(self, split, data_dir=None):
        """Downloads the dataset, 0.8 GB, unless it is there, and reads one split.

        Args:
            split: as of `Pets`; TensorFlow Datasets calls trainval "train".
            data_dir: where TensorFlow Datasets keeps its files; its own default,
                ~/tensorflow_datasets or TFDS_DATA_DIR, if None.
        Raises:
            ValueError: for another split, or no photograph without a fault.
            OSError: if the download fails; says what to do instead.
        Source: Parkhi et al. 2012, Cats and Dogs; the catalogue of TensorFlow
            Datasets for the fields.
        """
        check_split(split)
        records = _records("test" if split == "test" else "train", data_dir)
        chosen = select({name: records[name]["label"] for name in records}, split)
        self._records, self.faults = {}, {}
        for name in chosen:
            record = records[name]
            fault = fault_of(
                io.BytesIO(record["image"]), io.BytesIO(record["segmentation_mask"])
            )
            if fault:
                self.faults[name] = fault
            else:
                self._records[name] = record
        self.names = list(self._records)
        report_faults(self.names, self.faults, split, BUILDER)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        """Decodes one photograph; returns a Sample with one object and a trimap."""
        name = self.names[index]
        record = self._records[name]
        with Image.open(io.BytesIO(record["image"])) as file:
            image = np.array(ImageOps.exif_transpose(file).convert("RGB"))
        trimap = read_trimap(io.BytesIO(record["segmentation_mask"]))
        return pet_sample(name, image, trimap, int(record["species"]) + 1)


def _records(split, data_dir):
    """Returns {name: record of TensorFlow Datasets, images encoded} by name."""
    import tensorflow_datasets as tfds  # here: it takes seconds

    builder = tfds.builder(BUILDER, data_dir=data_dir)
    try:
        builder.download_and_prepare()
    except OSError as error:
        raise OSError(
            f"{BUILDER} could not be downloaded: {error}\nTry again, or fetch "
            f"images.tar.gz and annotations.tar.gz from {PAGE}, unpack both into one "
            "folder, and open that folder instead of the name"
        ) from error
    encoded = tfds.decode.SkipDecoding()
    dataset = builder.as_dataset(
        split=split, decoders={"image": encoded, "segmentation_mask": encoded}
    )
    records = {
        record["file_name"].decode().removesuffix(".jpg"): record
        for record in dataset.as_numpy_iterator()
    }
    return dict(sorted(records.items()))
