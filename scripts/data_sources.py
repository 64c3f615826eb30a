"""Where data sets can be downloaded, and how to tell that they came whole."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file to download; `unpacked` is about how many bytes it becomes."""

    url: str
    size: int  # bytes
    md5: str
    unpacked: int  # bytes

    @property
    def name(self):
        """Name of the file."""
        return self.url.rsplit("/", 1)[1]


# COCO publishes no checksums; these are its archives' as PaddleDetection and others
# list them, and sizes as its server has them (2022-10). Its own name,
# images.cocodataset.org, is an S3 bucket without a certificate: this is the same one.
_COCO = "https://s3.amazonaws.com/images.cocodataset.org"
# Checksums of Pets: torchvision's `OxfordIIITPet`.
_PETS = "https://thor.robots.ox.ac.uk/~vgg/data/pets"

DATASETS = {
    "coco2017": (
        Archive(
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            252_907_541,
            "f4bbac642086de4f52a3fdda2de5fa2c",
            850_000_000,
        ),
        Archive(
            f"{_COCO}/zips/val2017.zip",
            815_585_330,
            "442b8da7639aecaf257c1dceb8ba8c80",
            850_000_000,
        ),
        Archive(
            f"{_COCO}/zips/train2017.zip",
            19_336_861_798,
            "cced6f7f71b7629ddf16f17bbcfab6b2",
            20_000_000_000,
        ),
    ),
    "pets": (
        Archive(
            f"{_PETS}/annotations.tar.gz",
            19_173_078,
            "95a8c909bbe2e81eed6a22bccdf3f68f",
            100_000_000,
        ),
        Archive(
            f"{_PETS}/images.tar.gz",
            791_918_971,
            "5c4f3ee8e5d25df40f4fd59a7f44e54c",
            850_000_000,
        ),
    ),
}
