"""Training batches (L, ab) from photographs: in memory, or streamed through workers, with the same interface.

Photographs are decoded and shrunk once, to uint8. A batch is then a square window cut from each (a copy of a
few kilobytes, so a Python loop over the batch is cheaper than a gather), and everything that costs arithmetic
happens to the whole batch on the device: zoom, flip, Lab. So one thread feeds thousands of pictures a second
to any device.

Which photographs, windows and flips step k gets depends on (seed, k) alone, by a counter-based random
generator. Hence runs repeat, resume exactly, and do not depend on the number of workers.

Reference: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011): the Philox generator.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from colorlib.color import rgb_to_L_ab, rgb_to_lab
from colorlib.photos.pixels import load_fast_decoder, resize_short
from colorlib.photos.read import PhotoError, read_small

GREY_BELOW = 2.0


def is_grey(rgb8: Tensor) -> bool:
    """Whether a photograph has no colour to learn from: mean |a| and mean |b| both below 2.

    Args:
        rgb8: uint8 (3, H, W).
    """
    step = max(1, min(rgb8.shape[-2:]) // 128)   # every pixel of a small photograph, a grid of a large one
    ab = rgb_to_lab(rgb8[:, ::step, ::step].contiguous())[1:]
    return bool((ab.abs().mean(dim=(-2, -1)) < GREY_BELOW).all())


class PhotoBatches:
    """Infinite batches from photographs in memory.

    Each pass over the photographs takes every one once, in a new order. From each comes a random square, from
    `size` to `zoom * size` pixels wide of a photograph whose short side is `zoom * size`, resized to `size`.

    Args:
        photos: uint8 (3, H, W) each, any sizes; shrunk or enlarged once, antialiased, to what the crops need.
        size: of the square pictures, pixels.
        batch_size: pictures per batch; may exceed the number of photographs.
        seed: >= 0.
        device: where the batches are made.
        flip: mirror half of the pictures.
        crop: random squares; False takes the central one of the whole short side.
        zoom: >= 1; 1 cuts windows pixel by pixel, without interpolation.

    Yields:
        L float32 (batch_size, 1, size, size) in [-1, 1] and ab float32 (batch_size, 2, size, size).

    Raises:
        ValueError: if there are no photographs, or an argument is out of range.

    Example:
        >>> batches = PhotoBatches([torch.zeros(3, 80, 120, dtype=torch.uint8)], size=64, batch_size=4)
        >>> L, ab = next(batches)
        >>> L.shape, ab.shape
        (torch.Size([4, 1, 64, 64]), torch.Size([4, 2, 64, 64]))
    """

    def __init__(self, photos: Sequence[Tensor], size: int, batch_size: int, seed: int = 0,
                 device: str | torch.device = "cpu", flip: bool = True, crop: bool = True,
                 zoom: float = 1.25):
        self.cuts = Cuts(size, batch_size, seed, flip, crop, zoom)
        if len(photos) == 0:
            raise ValueError("there are 0 photographs, at least 1 is required: choose another folder")
        self.photos = [resize_short(photo.cpu(), self.cuts.short_side) for photo in photos]
        self.device = torch.device(device)
        self.step = 0

    def __len__(self) -> int:
        """The number of photographs (batches never end)."""
        return len(self.photos)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        numbers = self.cuts.numbers(self.step, len(self.photos))
        windows = self.cuts.windows(self.step, [self.photos[number] for number in numbers])
        batch = self.cuts.finish(self.step, windows.to(self.device, non_blocking=True))
        self.step += 1
        return batch

    def state_dict(self) -> dict[str, int]:
        """What a resumed run needs: the seed and the number of the next batch."""
        return {"seed": self.cuts.seed, "step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where `state_dict` was taken: the next batch is the very one that would have come."""
        self.cuts.seed, self.step = int(state["seed"]), int(state["step"])


class StreamedBatches:
    """The same batches for folders that do not fit in memory: worker processes decode, the device does the
    rest.

    A photograph that cannot be read, or has no colour, is replaced by the next one in the list. `errors` and
    `num_grey` tell which and how many so far.

    Args:
        paths: photograph files.
        num_workers: processes that decode; 0 decodes in this one.

    The other arguments, what is yielded and `state_dict` are those of `PhotoBatches`.

    Raises:
        ValueError: if there are no paths, or an argument is out of range.
        PhotoError: while iterating, if no photograph of a long stretch can be used.
    """

    def __init__(self, paths: Sequence[Path], size: int, batch_size: int, seed: int = 0,
                 device: str | torch.device = "cpu", flip: bool = True, crop: bool = True, zoom: float = 1.25,
                 num_workers: int = 2):
        self.cuts = Cuts(size, batch_size, seed, flip, crop, zoom)
        if len(paths) == 0:
            raise ValueError("there are 0 photographs, at least 1 is required: choose another folder")
        self.paths = [Path(path) for path in paths]
        self.device = torch.device(device)
        self.num_workers = num_workers
        self.step = 0
        self.errors: dict[Path, PhotoError] = {}
        self.grey: set[Path] = set()
        self._windows: Iterator | None = None

    @property
    def num_grey(self) -> int:
        """Photographs without colour met so far."""
        return len(self.grey)

    def __len__(self) -> int:
        """The number of files (batches never end)."""
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self._windows is None:
            load_fast_decoder()   # before the workers are forked, which inherit it
            decoded = _Decoded(self.paths, self.cuts, self.step)
            # batch_size=None: a worker hands over whole batches; workers take turns, so the order is fixed
            self._windows = iter(DataLoader(decoded, batch_size=None, num_workers=self.num_workers,
                                            prefetch_factor=4 if self.num_workers else None,
                                            pin_memory=self.device.type == "cuda"))
        windows, errors, grey = next(self._windows)
        if windows is None:
            raise errors[-1]
        self.errors.update({error.path: error for error in errors})
        self.grey.update(grey)
        batch = self.cuts.finish(self.step, windows.to(self.device, non_blocking=True))
        self.step += 1
        return batch

    def state_dict(self) -> dict[str, int]:
        """What a resumed run needs: the seed and the number of the next batch."""
        return {"seed": self.cuts.seed, "step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where `state_dict` was taken; what workers had prepared is dropped."""
        self.cuts.seed, self.step = int(state["seed"]), int(state["step"])
        self._windows = None

    def close(self) -> None:
        """Stop the worker processes; the next batch starts new ones."""
        self._windows = None


class Cuts:
    """What is cut at each step: the arithmetic that both kinds of batches share (arguments as in
    `PhotoBatches`)."""

    def __init__(self, size: int, batch_size: int, seed: int, flip: bool, crop: bool, zoom: float):
        for name, value, least in (("size", size, 1), ("batch_size", batch_size, 1), ("seed", seed, 0),
                                   ("zoom", zoom, 1)):
            if not value >= least:
                raise ValueError(f"{name} is {value}, must be >= {least}: pass a larger one")
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.flip, self.crop = flip, crop
        self.short_side = math.ceil(size * zoom) if crop else size
        self._order = (-1, -1, np.empty(0, dtype=np.int64))

    def _random(self, purpose: int, step: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, purpose], counter=[0, 0, step, 0]))

    def numbers(self, step: int, num_photos: int) -> list[int]:
        """Which photographs batch `step` takes: consecutive places in a new shuffle for every pass."""
        first = step * self.batch_size
        return [int(self._shuffle(place // num_photos, num_photos)[place % num_photos])
                for place in range(first, first + self.batch_size)]

    def _shuffle(self, epoch: int, num_photos: int) -> np.ndarray:
        if self._order[:2] != (self.seed, epoch):
            self._order = (self.seed, epoch, self._random(0, epoch).permutation(num_photos))
        return self._order[2]

    def windows(self, step: int, photos: list[Tensor]) -> Tensor:
        """Cut from each photograph (short side `short_side`) a square window: uint8 (B, 3, C, C)."""
        side = self.short_side
        where = self._random(1, step).random((len(photos), 2)) if self.crop else np.full((len(photos), 2),
                                                                                         0.5)
        windows = torch.empty(len(photos), 3, side, side, dtype=torch.uint8)
        for window, photo, (down, across) in zip(windows, photos, where.tolist()):
            top, left = int(down * (photo.shape[1] - side + 1)), int(across * (photo.shape[2] - side + 1))
            window.copy_(photo[:, top:top + side, left:left + side])
        return windows

    def finish(self, step: int, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Zoom, flip and convert windows on their device: L (B, 1, S, S) and ab (B, 2, S, S)."""
        num = len(windows)
        random = self._random(2, step).random((num, 4), dtype=np.float32)
        if self.short_side > self.size:
            windows = self._zoomed(windows, torch.from_numpy(random[:, :3]).to(windows.device))
        if self.flip:
            mirrored = torch.from_numpy(random[:, 3] < 0.5).to(windows.device)
            windows = torch.where(mirrored[:, None, None, None], windows.flip(-1), windows)
        return rgb_to_L_ab(windows)

    def _zoomed(self, windows: Tensor, random: Tensor) -> Tensor:
        whole, size = self.short_side, self.size
        side = size + random[:, 0] * (whole - size)                      # (B,) width of the square, in pixels
        corner = random[:, 1:] * (whole - side)[:, None]                 # (B, 2) its left and upper edge
        middle = (torch.arange(size, device=windows.device) + 0.5) / size
        x = corner[:, :1] + middle * side[:, None]                       # (B, S) in pixels from the left edge
        y = corner[:, 1:] + middle * side[:, None]
        grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
        zoomed = F.grid_sample(windows.float(), grid * (2 / whole) - 1, mode="bilinear",
                               padding_mode="border",
                               align_corners=False)
        return zoomed.round_().clamp_(0, 255).to(torch.uint8)


class _Decoded(IterableDataset):
    """The windows of every n-th step, in one of n workers."""

    def __init__(self, paths: list[Path], cuts: Cuts, step: int):
        self.paths, self.cuts, self.step = paths, cuts, step

    def __iter__(self) -> Iterator[tuple[Tensor | None, list[PhotoError], list[Path]]]:
        worker = get_worker_info()
        step, stride = (self.step, 1) if worker is None else (self.step + worker.id, worker.num_workers)
        while True:
            errors: list[PhotoError] = []
            grey: list[Path] = []
            photos = []
            for number in self.cuts.numbers(step, len(self.paths)):
                photo = self._usable(number, errors, grey)
                if photo is None:
                    yield None, errors, grey
                    return
                photos.append(photo)
            yield self.cuts.windows(step, photos), errors, grey
            step += stride

    def _usable(self, number: int, errors: list[PhotoError], grey: list[Path]) -> Tensor | None:
        tries = min(len(self.paths), 1000)
        for path in (self.paths[(number + skip) % len(self.paths)] for skip in range(tries)):
            try:
                photo = read_small(path, self.cuts.short_side)
            except PhotoError as error:
                errors.append(error)
                continue
            if not is_grey(photo):
                return photo
            grey.append(path)
        errors.append(PhotoError(self.paths[number].parent, f"holds {tries} unusable files in a row",
                                 "choose another folder"))
        return None


def available_memory() -> int:
    """Bytes of memory that are free to use, as far as the system says (else 4 GB)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def estimated_bytes(num_photos: int, short_side: int) -> int:
    """Memory that so many decoded photographs take, at an aspect ratio of 3:2."""
    return num_photos * 3 * short_side * math.ceil(1.5 * short_side)
