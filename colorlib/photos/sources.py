"""Folders of photographs, their splits, samples and datasets by name, and the one function that chooses between them.

The samples are the photographs that scikit-image, scikit-learn and matplotlib install. Nothing is downloaded for them.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import platformdirs
import psutil
import torch
from torch import Tensor
from tqdm.auto import tqdm

from colorlib.color import rgb_to_grey
from colorlib.photos.batches import ZOOM, PhotoBatches, is_grey
from colorlib.photos.index import Files, photographs
from colorlib.photos.read import Photo, PhotoError, read_photo, read_small
from colorlib.processes import share
from colorlib.runtime import checkout

SPLITS = ("train", "validation", "test")
# Split by hand: the two motorcycle pictures show one scene. Left out: hubble_deep_field (colours assigned to filters),
# retina and ihc (medical), color (a drawing).
SAMPLES = {
    "astronaut": ("skimage", "data/astronaut.png", "train"),
    "china": ("sklearn", "datasets/images/china.jpg", "train"),
    "coffee": ("skimage", "data/coffee.png", "train"),
    "flower": ("sklearn", "datasets/images/flower.jpg", "train"),
    "motorcycle_left": ("skimage", "data/motorcycle_left.png", "train"),
    "motorcycle_right": ("skimage", "data/motorcycle_right.png", "train"),
    "rocket": ("skimage", "data/rocket.jpg", "validation"),
    "chelsea": ("skimage", "data/chelsea.png", "test"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "test"),
}
# Left out of the grey ones: page and text (no colour to find), clock_motion (a blur), drawings, microscopy.
OLD = {name: ("skimage", f"data/{name}.png") for name in ("brick", "camera", "coins", "grass", "gravel", "moon")}

COCO_SAMPLE = "https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz"   # has no published checksum of the whole file
# name -> address, whose size is stated first, and the call that downloads and unpacks, given torchvision.datasets
DATASETS = {
    "imagenette": ("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
                   lambda sets, root: sets.Imagenette(root, size="160px", download=True)),
    "coco_sample": (COCO_SAMPLE, lambda sets, root: sets.utils.download_and_extract_archive(COCO_SAMPLE, root)),
    "flowers102": ("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
                   lambda sets, root: sets.Flowers102(root, download=True)),
    "places365": ("http://data.csail.mit.edu/places/places365/val_256.tar",
                  lambda sets, root: sets.Places365(root, split="val", small=True, download=True)),
}
LEVELS = ("samples", *DATASETS)


def split_of(name: str | bytes | os.PathLike) -> str:
    """The split of a photograph, by the SHA-256 of its file name: "train" (80 %), "validation" or "test" (10 % each).

    No photograph moves when others come or go, or when the folder moves.
    """
    digest = hashlib.sha256(os.path.basename(os.fsencode(name))).digest()
    return {8: "validation", 9: "test"}.get(int.from_bytes(digest[:8], "big") % 10, "train")


def scan_splits(where: str | os.PathLike) -> dict[str, Files]:
    """Split -> the files that belong to it by `split_of`, of a folder, a list or shards: see `photographs`."""
    files = photographs(where)
    names = (re.split(rb"[/\0]", files.entry(k))[-1] for k in range(len(files)))
    numbers = np.fromiter((SPLITS.index(split_of(name)) for name in names), np.int8, len(files))
    return {split: files[np.flatnonzero(numbers == number)] for number, split in enumerate(SPLITS)}


def load_photos(paths: Sequence[Path], short_side: int | None = None) -> tuple[list[Tensor], list[PhotoError]]:
    """Decode photographs in threads, resized to `short_side` pixels unless None; more than 2,000 show their progress.

    Returns the good ones, uint8 (3, H, W), in the order of `paths`, and one error for each bad file.
    """
    def load(path: Path) -> Tensor | PhotoError:
        try:
            return read_photo(path).rgb if short_side is None else read_small(path, short_side)
        except PhotoError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        bar = {"desc": "photographs", "unit": "", "disable": None if len(paths) > 2000 else True}
        loaded = list(tqdm(pool.map(load, paths), total=len(paths), **bar))
    return [one for one in loaded if isinstance(one, Tensor)], [one for one in loaded if isinstance(one, PhotoError)]


def download(name: str) -> Path:
    """The folder of a dataset, in data/downloads of a checkout, else in the user's cache folder.

    The first call prints its size, and torchvision downloads and unpacks it. An interrupted download leaves nothing.
    PhotoError: the server, the checksum, the archive or the disk is not as required.
    """
    root = checkout()
    folder = (root / "data" / "downloads" if root else Path(platformdirs.user_cache_dir("colorlib"))) / name
    if folder.is_dir():
        return folder
    from torchvision import datasets   # takes seconds to import

    url, obtain = DATASETS[name]
    part = folder.with_name(name + ".part")
    try:
        with urlopen(Request(url, method="HEAD"), timeout=30) as answer:
            size = int(answer.headers.get("Content-Length", 0))
        print(f"{name}: {f'{size / 1e6:,.0f} MB' if size else 'size unknown'} to download from {url}", flush=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        obtain(datasets, part)
        for archive in (*part.rglob("*.tgz"), *part.rglob("*.tar")):
            archive.unlink()
        part.rename(folder)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, zlib.error) as error:
        raise PhotoError(folder, f"{name} cannot be downloaded from {url} ({error})",
                         "check the network and the free space, and call again") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def sample_photographs(split: str | None = None) -> list[tuple[str, Tensor]]:
    """(name, uint8 (3, H, W)) of the colour photographs of a split (None: all): of eight scenes, too few for a claim.

    ValueError: there is no such split. PhotoError: a file is not where its package installs it.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}, must be one of {SPLITS} or None: choose one")
    return [(name, sample_photograph(name).rgb) for name, (_, _, part) in SAMPLES.items() if split in (None, part)]


def old_photographs() -> list[tuple[str, Tensor]]:
    """(name, uint8 (3, H, W) with three equal channels) of the grey photographs, as old ones to colour."""
    return [(name, rgb_to_grey(sample_photograph(name).rgb)) for name in OLD]


def sample_photograph(name: str) -> Photo:
    """One of `sample_photographs` or `old_photographs`, as its file is. ValueError: there is no such name."""
    return read_photo(sample_file(name))


def sample_file(name: str) -> Path:
    if name not in SAMPLES and name not in OLD:
        raise ValueError(f"no sample photograph is called {name!r}: choose one of {', '.join([*SAMPLES, *OLD])}")
    package, file = (SAMPLES.get(name) or OLD[name])[:2]
    found = importlib.util.find_spec(package)   # finds the folder without the seconds that an import takes
    path = (Path(found.origin).parent if found is not None and found.origin else Path(package)) / file
    if not path.is_file():
        package = {"skimage": "scikit-image", "sklearn": "scikit-learn"}.get(package, package)
        raise PhotoError(path, f"the sample photograph is not installed with {package}",
                         f"install the package again (pip install --force-reinstall {package})")
    return path


@dataclass
class Source:
    """Photographs of one level, split by photograph, loaded on first use.

    `train`, `validation` and `test` are lists of uint8 (3, H, W); grey and unreadable photographs are left out.
    """
    name: str                                                   # "samples", a dataset's name, or the folder
    short_side: int                                             # to which photographs are resized, pixels
    files: dict[str, Sequence[Path]] = field(default_factory=dict)  # split -> files
    workers: int | None = None                                  # processes that decode while it trains; None: see below
    errors: list[PhotoError] = field(default_factory=list)      # of the unreadable files in what was loaded
    num_grey: int = 0                                           # in what was loaded
    _loaded: dict[str, list[Tensor]] = field(default_factory=dict, repr=False)
    _served: list[PhotoBatches] = field(default_factory=list, repr=False)
    train = property(lambda self: self._photos("train"), doc="Photographs to train on.")
    validation = property(lambda self: self._photos("validation"), doc="Photographs to choose by.")
    test = property(lambda self: self._photos("test"), doc="Photographs to measure on, once.")

    def __post_init__(self) -> None:
        # `batches` streams with workers, or if the photographs, at 3:2, would take more than half of the free memory, of
        # which every training process takes its own part
        needed = sum(map(len, self.files.values())) * 9 * self.short_side**2 * share()[1]
        self.streamed = self.workers is not None or needed > psutil.virtual_memory().available

    @property
    def note(self) -> str:
        """One line: which level this is, and how many files. It loads nothing; it counts what was left out so far."""
        counts = ", ".join(f"{len(self.files[split]):,} {split}" for split in SPLITS)
        if self.name == "samples":
            return (f"Data: the sample photographs of scikit-image, scikit-learn and matplotlib: {counts} "
                    "(to look at: too few for any claim).")
        so_far = f" ({self.num_grey:,} grey and {len(self.errors):,} unreadable of {', '.join(self._loaded)})"
        return (f"Data: photographs from {self.name}: {counts}{', streamed' * self.streamed}; "
                f"grey and unreadable ones are left out{so_far if self._loaded else ''}.")

    def _photos(self, split: str) -> list[Tensor]:
        if split in self._loaded:
            return self._loaded[split]
        paths = self.files[split]
        if self.streamed:
            raise PhotoError(self.name, f"its {len(paths):,} photographs do not fit in memory",
                             "use batches(), or a smaller short_side")
        photos, errors = load_photos(paths, self.short_side)
        coloured = [photo for photo in photos if not is_grey(photo)]
        self.errors += errors
        self.num_grey += len(photos) - len(coloured)
        if split == "train" and paths and not coloured:
            raise PhotoError(self.name, f"holds no colour photograph to learn from ({len(photos)} of the train split are grey"
                             f", {len(errors)} unreadable)", "use a folder of colour photographs")
        self._loaded[split] = coloured
        return coloured

    def batches(self, split: str, size: int, batch_size: int, seed: int = 0,
                device: str | torch.device = "cpu", zoom: float = ZOOM) -> Iterator[tuple[Tensor, Tensor]]:
        """`PhotoBatches` of a split: random crops and flips of "train", central squares of the others; of several
        processes each gets its share. ValueError: there is no such split. PhotoError: it is empty."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, must be one of {SPLITS}: choose one")
        photos, training = self.files[split] if self.streamed else self._photos(split), split == "train"
        if not photos:
            raise PhotoError(self.name, f"its {split} split is empty, grey photographs left out",
                             "use a folder with more colour photographs")
        served = PhotoBatches(photos, size, batch_size, seed, device, training, training, zoom, self.short_side,
                              2 if self.workers is None else self.workers, share())
        self._served.append(served)
        return served

    def left_out(self) -> list[PhotoError]:
        """Why files were left out that were decoded while they were served, so far."""
        return [error for served in self._served for error in served.errors.values()]


def source(name: str | os.PathLike | None = None, short_side: int = 160) -> Source:
    """Choose the data: by name, else by COLORLIB_PHOTOS (a name or a folder), else the sample photographs.

    Args:
        name: one of LEVELS (a dataset is downloaded on first use, after its size was printed), or a folder of photographs
            (one with such a name is "./samples").
        short_side: to which photographs are resized, pixels.

    PhotoError: the name or folder leads to no photographs, or a download fails; nothing else is taken in its place.
    """
    asked = "COLORLIB_PHOTOS names it; " if name is None and os.environ.get("COLORLIB_PHOTOS") else ""
    name = str((os.environ.get("COLORLIB_PHOTOS") if name is None else name) or "samples")
    if name == "samples":
        files = {split: [sample_file(one) for one, (_, _, part) in SAMPLES.items() if part == split] for split in SPLITS}
        return Source(name, short_side, files)
    try:
        return Source(name, short_side, scan_splits(download(name) if name in DATASETS else name))
    except PhotoError as error:
        raise PhotoError(error.path, error.wrong, f"{error.todo}; {asked}or choose one of {', '.join(LEVELS)}") from None
