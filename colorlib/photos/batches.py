"""Training batches (L, ab) from photographs in memory or from files, with one interface.

The photographs, windows and flips of step k depend on (seed, k) alone, by a counter-based random generator (Philox:
Salmon et al., SC 2011). So runs repeat and resume exactly, whatever the number of worker processes.
"""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from colorlib.color import rgb_to_L_ab, rgb_to_lab
from colorlib.photos.read import PhotoError, read_small, resize_short

ZOOM = 1.25


def is_grey(rgb8: Tensor) -> bool:
    """Whether a photograph, uint8 (3, H, W), has no colour to learn from: mean |a| and mean |b| are both below 2."""
    step = max(1, min(rgb8.shape[-2:]) // 128)   # every pixel of a small photograph, a grid of a large one
    ab = rgb_to_lab(rgb8[:, ::step, ::step].contiguous())[1:]
    return bool((ab.abs().mean(dim=(-2, -1)) < 2).all())


def crop_side(size: int, zoom: float = ZOOM) -> int:
    """The short side, pixels, of photographs for crops of `size` pixels; also the render size that suits such crops."""
    return math.ceil(size * zoom)


class PhotoBatches:
    """Infinite batches. Each pass takes every photograph once, in a new order; `len` is the number of photographs.

    A random square of each, `size` to `zoom * size` pixels wide where the short side is `zoom * size`, is resized to
    `size`. Zoom, flip and Lab are computed for the whole batch on the device.

    Args:
        photos: uint8 (3, H, W) tensors, or paths, which worker processes decode. A file that is unreadable or grey is
            replaced by the next one; the attribute `errors` has path -> why.
        size, batch_size: of the square pictures, pixels; pictures per batch, also more than there are photographs.
        seed, device: >= 0; where the batches are made.
        flip, crop: mirror half of the pictures; cut random squares (False: the central one of the whole short side).
        zoom: >= 1; 1 cuts windows pixel by pixel, without interpolation.
        short_side: resize files to this short side first, as `load_photos` does; None goes straight to the crops' size.
        num_workers: processes that decode files; 0 decodes in this one.
        share: (r, n) gives every n-th picture of each batch, from the r-th on: the share of one of n processes.

    Yields L float32 (batch_size / n, 1, size, size) in [-1, 1] and ab float32 (batch_size / n, 2, size, size).

    ValueError: no photographs, or an argument out of range. PhotoError, while iterating: a long stretch of bad files.
    """

    def __init__(self, photos: Sequence[Tensor | Path], size: int, batch_size: int, seed: int = 0,
                 device: str | torch.device = "cpu", flip: bool = True, crop: bool = True, zoom: float = ZOOM,
                 short_side: int | None = None, num_workers: int = 2, share: tuple[int, int] = (0, 1)):
        for name, value, least in (("size", size, 1), ("batch_size", batch_size, 1), ("seed", seed, 0), ("zoom", zoom, 1)):
            if not value >= least:
                raise ValueError(f"{name} is {value}, must be >= {least}: pass a larger one")
        if len(photos) == 0:
            raise ValueError("there are 0 photographs, at least 1 is required: choose another folder")
        if batch_size % share[1]:
            raise ValueError(f"batch_size is {batch_size}, which {share[1]} processes cannot share: take a multiple")
        self.size, self.batch_size, self.seed, self.flip, self.crop = size, batch_size, seed, flip, crop
        self.mine = slice(share[0], None, share[1])
        self.side = crop_side(size, zoom) if crop else size
        self.held = short_side or self.side
        held = isinstance(photos[0], Tensor)
        self.photos = [resize_short(one.cpu(), self.side) for one in photos] if held else photos
        self.device, self.step, self.errors = torch.device(device), 0, dict[Path, PhotoError]()
        self.num_workers = 0 if held else num_workers
        self._order = (-1, -1, np.empty(0, dtype=np.int64))
        self._cuts: Iterator[tuple[Tensor | None, list[PhotoError]]] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self._cuts is None and self.num_workers:   # a generator of its own: torch's global one is the run's
            self._cuts = iter(DataLoader(   # of a copy: a cycle of references would keep the workers alive
                copy.copy(self), batch_size=None, sampler=itertools.count(self.step), num_workers=self.num_workers,
                prefetch_factor=4, pin_memory=self.device.type == "cuda", generator=torch.Generator()))
        windows, errors = self[self.step] if self._cuts is None else next(self._cuts)
        self.errors.update({error.path: error for error in errors})
        if windows is None:
            raise errors[-1]
        batch = self.finish(self.step, windows.to(self.device, non_blocking=True))
        self.step += 1
        return batch

    def state_dict(self) -> dict[str, int]:
        """The seed and the number of the next batch."""
        return {"seed": self.seed, "step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where `state_dict` was taken: the next batch is the one that would have come."""
        self.seed, self.step = int(state["seed"]), int(state["step"])
        self.close()

    def close(self) -> None:
        """Stop the worker processes; the next batch starts new ones."""
        self._cuts = None

    def __getitem__(self, step: int) -> tuple[Tensor | None, list[PhotoError]]:
        """The windows of a step, uint8 (B, 3, side, side), or None if too few files are usable; errors."""
        errors: list[PhotoError] = []
        num, places = len(self.photos), range(step * self.batch_size, (step + 1) * self.batch_size)[self.mine]
        photos = [self._usable(int(self._shuffle(place // num)[place % num]), errors) for place in places]
        return None if any(photo is None for photo in photos) else self.windows(step, photos), errors

    def _usable(self, number: int, errors: list[PhotoError]) -> Tensor | None:
        if isinstance(self.photos[number], Tensor):
            return self.photos[number]
        tries = min(len(self.photos), 1000)
        for path in (self.photos[(number + skip) % len(self.photos)] for skip in range(tries)):
            try:
                photo = read_small(path, self.held)
                if not is_grey(photo):
                    return resize_short(photo, self.side)
                errors.append(PhotoError(path, "is grey", "use photographs in colour"))
            except PhotoError as error:
                errors.append(error)
        errors.append(PhotoError(Path(self.photos[number]).parent, f"holds {tries} unusable files in a row", "choose another folder"))
        return None

    def _random(self, purpose: int, step: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, purpose], counter=[0, 0, step, 0]))

    def _shuffle(self, epoch: int) -> np.ndarray:
        if self._order[:2] != (self.seed, epoch):
            self._order = (self.seed, epoch, self._random(0, epoch).permutation(len(self.photos)).astype(np.int32))
        return self._order[2]

    def windows(self, step: int, photos: list[Tensor]) -> Tensor:
        """Cut a square window from each photograph (short side `side`): uint8 (B, 3, side, side)."""
        shape = (self.batch_size, 2)
        where = self._random(1, step).random(shape) if self.crop else np.full(shape, 0.5)
        windows = torch.empty(len(photos), 3, self.side, self.side, dtype=torch.uint8)
        for window, photo, (down, across) in zip(windows, photos, where[self.mine].tolist()):
            top, left = int(down * (photo.shape[1] - self.side + 1)), int(across * (photo.shape[2] - self.side + 1))
            window.copy_(photo[:, top:top + self.side, left:left + self.side])
        return windows

    def finish(self, step: int, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Zoom, flip and convert windows on their device: L (B, 1, S, S) and ab (B, 2, S, S)."""
        random = self._random(2, step).random((self.batch_size, 4), dtype=np.float32)[self.mine]
        random = torch.from_numpy(random).to(windows.device)
        if self.side > self.size:
            windows = self.zoomed(windows, random[:, :3])
        if self.flip:
            windows = torch.where(random[:, 3, None, None, None] < 0.5, windows.flip(-1), windows)
        return rgb_to_L_ab(windows)

    def zoomed(self, windows: Tensor, random: Tensor) -> Tensor:
        """A random square of each window, resized to `size`; random (B, 3) in [0, 1): width, left and upper edge."""
        whole, size = self.side, self.size
        width = size + random[:, :1] * (whole - size)                    # (B, 1) of the square, in pixels
        middle = (torch.arange(size, device=windows.device) + 0.5) / size * width    # (B, S)
        x, y = (random[:, k:k + 1] * (whole - width) + middle for k in (1, 2))       # (B, S) in pixels of the window
        grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
        picked = F.grid_sample(windows.float(), grid * (2 / whole) - 1, padding_mode="border", align_corners=False)
        return picked.round_().clamp_(0, 255).to(torch.uint8)
