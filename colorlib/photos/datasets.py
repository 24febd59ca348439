"""Photograph collections by name: stated, downloaded, verified and unpacked before anything is opened.

The addresses and checksums are fastai's (Imagenette, COCO_SAMPLE) and torchvision's (Flowers102, Places365),
copied into `DATASETS` and held to theirs by a test. Their download functions are not called: neither states a
size first nor resumes; fastai checks one megabyte of the file and unpacks whatever paths an archive names,
torchvision falls back from https to http, and importing fastai takes seconds and an extra that a plain
installation lacks. One `fetch` and one `unpack` (colorlib.downloads) do it for all four and can be tested
against a server on loopback.

What a checksum covers: torchvision publishes the MD5 of whole files; fastai the size and the MD5 of the first
MiB, and gzip's own CRC-32 covers the rest when the archive is unpacked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colorlib.photos.downloads import fetch, unpack
from colorlib.photos.read import PhotoError


@dataclass(frozen=True)
class Dataset:
    """One archive of photographs.

    Attributes:
        title: what it is called.
        url: of the archive.
        size: bytes; None where nobody publishes it: then the server's word is stated before the download.
        md5: of the whole file, or None.
        md5_first_mib: of the first 1,048,576 bytes, or None.
    """

    title: str
    url: str
    size: int | None = None
    md5: str | None = None
    md5_first_mib: str | None = None


DATASETS = {
    "imagenette": Dataset("Imagenette, 160 pixels",
                          "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
                          size=99_003_388, md5_first_mib="c475f8f7617a200ba35b9facc48443c3"),
    "coco_sample": Dataset("COCO_SAMPLE", "https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz",
                           size=3_245_877_008, md5_first_mib="006cd55d633d94b36ecaf661467830ec"),
    "flowers102": Dataset("Oxford Flowers102",
                          "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
                          md5="52808999861908f626f3c1f4e79d11fa"),
    "places365": Dataset("Places365, validation pictures, 256 pixels",
                         "http://data.csail.mit.edu/places/places365/val_256.tar",
                         md5="e27b17d8d44f4af9a78502beb927f808"),
}


def downloads_folder() -> Path:
    """Where downloads land: data/downloads in a checkout (git-ignored), else the user's cache folder."""
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / "colorlib").is_dir():
        return root / "data" / "downloads"
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "colorlib"


def obtain(dataset: Dataset, folder: Path | None = None, say: Callable[[str], None] = print) -> Path:
    """The unpacked folder of a dataset, downloaded on the first call.

    Args:
        dataset: one of `DATASETS`.
        folder: where downloads land; None is `downloads_folder()`.
        say: gets one line before the download, with its size, and one before unpacking.

    Returns:
        The folder with the unpacked files. The archive is deleted after it was unpacked.

    Raises:
        PhotoError: if the server, the checksum, the archive or the disk is not as required.
    """
    folder = downloads_folder() if folder is None else Path(folder)
    name = dataset.url.rsplit("/", 1)[-1]
    unpacked = folder / name.split(".")[0]
    if unpacked.is_dir():
        return unpacked
    archive = fetch(dataset.url, folder / name, dataset.size, dataset.md5, dataset.md5_first_mib,
                    dataset.title, say)
    say(f"unpacking {archive.name} into {unpacked}")
    try:
        unpack(archive, unpacked)
    except PhotoError:
        archive.unlink(missing_ok=True)   # what cannot be unpacked would only fail again
        raise
    archive.unlink(missing_ok=True)
    return unpacked
