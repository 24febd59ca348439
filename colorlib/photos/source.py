"""Folders of photographs, their splits, and the one place that chooses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from colorlib.photos.batches import PhotoBatches, StreamedBatches, available_memory, estimated_bytes, is_grey
from colorlib.photos.pixels import load_fast_decoder, resize_short
from colorlib.photos.read import SUFFIXES, PhotoError, read_photo, read_small
from colorlib.photos.samples import SPLITS, sample_photographs

MANY = 500   # photographs that are worth the seconds it takes to import torchvision's decoder


def scan(folder: str | os.PathLike) -> list[Path]:
    """The photograph files in a folder and all folders below it, sorted; hidden ones are left out.

    Args:
        folder: any tree of files.

    Returns:
        Files whose suffix is one that we read (.jpg, .png, .webp, .tif, .bmp, .gif, .heic ...), unopened:
        `load_photos` finds out which are good.

    Raises:
        PhotoError: if the folder is missing, no folder, unreadable, or holds no such file.
    """
    folder = Path(folder).expanduser()
    if not folder.exists():
        raise PhotoError(folder, "does not exist", "check the spelling of the folder")
    if not folder.is_dir():
        raise PhotoError(folder, "is not a folder", "name the folder that holds the photographs")

    def refuse(error: OSError) -> None:
        raise PhotoError(error.filename, f"cannot be listed ({error.strerror})",
                         "change its permissions") from None

    found = []
    for place, below, names in os.walk(folder, onerror=refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [Path(place, name) for name in names
                  if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
    if not found:
        raise PhotoError(folder, "holds no photographs", f"put {' '.join(SUFFIXES)} files there")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def load_photos(paths: Sequence[str | os.PathLike], short_side: int | None = None, progress: bool = False
                ) -> tuple[list[Tensor], list[PhotoError]]:
    """Decode photographs once, in threads (the decoders release Python's lock), and go on past the bad ones.

    Args:
        paths: files, for example from `scan`.
        short_side: resize each so that its short side has so many pixels; None keeps the sizes.
        progress: show a progress bar.

    Returns:
        The good photographs, uint8 (3, H, W), in the order of `paths`, and one error for each bad file.
    """
    def load(path: str | os.PathLike) -> Tensor | PhotoError:
        try:
            return read_photo(path).rgb if short_side is None else read_small(path, short_side)
        except PhotoError as error:
            return error

    if len(paths) >= MANY:
        load_fast_decoder()
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        bar = tqdm(pool.map(load, paths), total=len(paths), desc="photographs", unit="", disable=None if progress else True)
        loaded = list(bar)
    return ([photo for photo in loaded if isinstance(photo, Tensor)],
            [error for error in loaded if isinstance(error, PhotoError)])


def split_of(name: str | os.PathLike) -> str:
    """The split of a photograph: 80 % train, 10 % validation, 10 % test, by the SHA-256 of its file name.

    It depends on the file name alone: no photograph moves when others come or go, or when the folder moves.

    Args:
        name: a file name; of a path only the last part counts.

    Returns:
        "train", "validation" or "test".

    Example:
        >>> split_of("holiday.jpg") == split_of("/elsewhere/holiday.jpg")
        True
    """
    part = int.from_bytes(hashlib.sha256(Path(name).name.encode("utf-8", "surrogateescape")).digest()[:8],
                          "big") % 10
    return "validation" if part == 8 else "test" if part == 9 else "train"


def photo_batches(paths: Sequence[Path], size: int, batch_size: int, seed: int = 0,
                  device: str | torch.device = "cpu",
                  flip: bool = True, crop: bool = True, memory: int | None = None, progress: bool = False
                  ) -> PhotoBatches | StreamedBatches:
    """Batches from files: from memory where the decoded photographs fit, else streamed through workers.

    Args:
        paths: photograph files; bad and grey ones are left out.
        size, batch_size, seed, device, flip, crop: as in `PhotoBatches`.
        memory: bytes that the photographs may take; None is half of what is available.
        progress: show a progress bar while decoding.

    Returns:
        An infinite iterator of (L, ab).

    Raises:
        PhotoError: if no file can be used.
    """
    memory = available_memory() // 2 if memory is None else memory
    short_side = size * 5 // 4 + 1
    if estimated_bytes(len(paths), short_side) > memory:
        return StreamedBatches(paths, size, batch_size, seed, device, flip, crop)
    photos, errors = load_photos(paths, short_side, progress)
    photos = [photo for photo in photos if not is_grey(photo)]
    if not photos:
        raise errors[0] if errors else PhotoError(None, f"none of {len(paths)} photographs has colour",
                                                  "choose another folder")
    return PhotoBatches(photos, size, batch_size, seed, device, flip, crop)


# --------------------------------------------------------------------------------------------- the levels

LEVELS = ("samples", "imagenette", "coco_sample", "flowers102", "places365")


@dataclass
class Source:
    """Photographs of one level, split by photograph, loaded on first use.

    Attributes:
        name: the level: "samples", a dataset's name, or the folder.
        files: split -> files (empty for samples).
        short_side: photographs are held with this short side.
        errors: the files that could not be read, known once they were loaded.
    """

    name: str
    short_side: int
    files: dict[str, list[Path]] = field(default_factory=dict)
    errors: list[PhotoError] = field(default_factory=list)
    memory: int | None = None
    _loaded: dict[str, list[Tensor]] = field(default_factory=dict, repr=False)
    _num_grey: int = 0

    @property
    def train(self) -> list[Tensor]:
        """uint8 (3, H, W) photographs to train on; grey ones are left out."""
        return self._photos("train")

    @property
    def validation(self) -> list[Tensor]:
        """uint8 (3, H, W) photographs to choose by."""
        return self._photos("validation")

    @property
    def test(self) -> list[Tensor]:
        """uint8 (3, H, W) photographs to measure on, once."""
        return self._photos("test")

    @property
    def streamed(self) -> bool:
        """Whether the photographs are too many for memory; then `batches` streams them."""
        memory = available_memory() // 2 if self.memory is None else self.memory
        return estimated_bytes(sum(map(len, self.files.values())), self.short_side) > memory

    @property
    def note(self) -> str:
        """One line for the reader: which level this is, how many photographs, what was left out. Loads
        them."""
        if self.streamed:
            counts = ", ".join(f"{len(self.files[split]):,} {split}" for split in SPLITS)
            return (f"Data: photographs from {self.name}: {counts}, streamed; "
                    "grey and unreadable ones are skipped on the way.")
        counts = ", ".join(f"{len(self._photos(split)):,} {split}" for split in SPLITS)
        if self.name == "samples":
            return (f"Data: the sample photographs of scikit-image, scikit-learn and matplotlib: {counts} "
                    "(pictures to look at: no verdict comes from so few).")
        return (f"Data: photographs from {self.name}: {counts}; {self._num_grey:,} grey and "
                f"{len(self.errors):,} unreadable ones left out.")

    def _photos(self, split: str) -> list[Tensor]:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, must be one of {SPLITS}: choose one")
        if split not in self._loaded:
            self._loaded[split] = self._load(split)
        return self._loaded[split]

    def _load(self, split: str) -> list[Tensor]:
        if self.name == "samples":
            return [resize_short(photo, self.short_side) for _, photo in sample_photographs(split)]
        if self.streamed:
            raise PhotoError(self.name, f"its {len(self.files[split]):,} photographs do not fit in memory",
                             "use batches(), or a smaller short_side")
        photos, errors = load_photos(self.files[split], self.short_side,
                                     progress=len(self.files[split]) > 2000)
        coloured = [photo for photo in photos if not is_grey(photo)]
        self.errors += errors
        self._num_grey += len(photos) - len(coloured)
        return coloured

    def batches(self, split: str, size: int, batch_size: int, seed: int = 0,
                device: str | torch.device = "cpu", zoom: float = 1.25
                ) -> Iterator[tuple[Tensor, Tensor]]:
        """Infinite (L, ab) batches; training ones are random crops and flips, the others central squares.

        Args:
            split: "train", "validation" or "test".
            size: of the square pictures, pixels.
            batch_size: pictures per batch.
            seed: which crops, flips and order.
            device: where the batches are made.
            zoom: of the training crops, see `PhotoBatches`; 1 for squares as wide as the short side.

        Raises:
            ValueError: if there is no such split, or it is empty.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, must be one of {SPLITS}: choose one")
        training = split == "train"
        if self.streamed:
            return StreamedBatches(self.files[split], size, batch_size, seed, device, flip=training,
                                   crop=training, zoom=zoom)
        photos = self._photos(split)
        if not photos:
            raise PhotoError(self.name, f"its {split} split is empty", "use a folder with more photographs")
        return PhotoBatches(photos, size, batch_size, seed, device, flip=training, crop=training, zoom=zoom)


def source(name: str | None = None, short_side: int = 160) -> Source:
    """The one place that chooses the data: by name, else the folder in COLORLIB_PHOTOS, else the sample
    photographs.

    A dataset named here is downloaded on first use; its size is stated before. Nothing falls back silently: a
    name or a folder that cannot be used is an error.

    Args:
        name: "samples", "imagenette", "coco_sample", "flowers102", "places365", or a folder of
            photographs.
        short_side: photographs are held with this short side, pixels.

    Returns:
        The source; print its `note`.

    Raises:
        PhotoError: if the name or folder leads to no photographs, or a download fails.

    Example:
        >>> source("samples").name
        'samples'
    """
    folder = os.environ.get("COLORLIB_PHOTOS", "")
    if name is None:
        name = folder or "samples"
    if name == "samples" and name != folder:
        return Source(name, short_side)
    try:
        if name in LEVELS and name != folder:
            from colorlib.photos import datasets
            paths = scan(datasets.obtain(datasets.DATASETS[name]))
        else:
            paths = scan(name)
    except PhotoError as error:
        asked = "COLORLIB_PHOTOS points to this; " if name == folder else ""
        todo = f"{error.todo}; {asked}or choose one of {', '.join(LEVELS)}"
        raise PhotoError(error.path, error.wrong, todo) from None
    files: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for path in paths:
        files[split_of(path)].append(path)
    return Source(name, short_side, files)
