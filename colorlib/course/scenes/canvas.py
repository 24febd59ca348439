"""Noise, and the canvas that a batch of scenes is drawn on. `colorlib.course.scenes` is the public side.

A batch is drawn at once, layer by layer from back to front. A pixel is a code, `slot * 256 + tone`: which thing it
shows (sky, the roof of house 2 ...) and how light it is there. At the end a table of ramps turns codes into colours,
one table for the day and one for the night. Edges keep two codes and a weight, and are mixed in Lab, so the lightness
of a mixed pixel carries no information about a free colour.
"""

from dataclasses import dataclass
from functools import lru_cache, reduce

import torch
from torch import Tensor

NUM_DRAWS = 512  # uniform numbers that one picture is made from


class Draws:
    """Hands out the columns of a (num, NUM_DRAWS) table of uniform numbers in [0, 1), in a fixed order."""

    def __init__(self, table: Tensor):
        self.table, self.used = table, 0

    def take(self, count: int) -> Tensor:
        self.used += count
        return self.table[:, self.used - count : self.used]

    def one(self, low=0.0, high=1.0) -> Tensor:
        return low + (high - low) * self.take(1)[:, 0]


def _lattice(count_y: int, count_x: int, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Periodic value noise in [0, 1): random values on a lattice, joined smoothly."""
    values = torch.rand(count_y, count_x, generator=generator)

    def steps(size: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        position = (torch.arange(size) + 0.5) / size * count
        low = position.floor()
        t = position - low
        return low.long() % count, (low.long() + 1) % count, t * t * (3 - 2 * t)

    y0, y1, ty = steps(rows, count_y)
    x0, x1, tx = steps(columns, count_x)
    rows_mixed = torch.lerp(values[y0], values[y1], ty[:, None])
    return torch.lerp(rows_mixed[:, x0], rows_mixed[:, x1], tx[None])


def _fractal(size: int, first_y: int, first_x: int, generator: torch.Generator, ridged=False, gain=0.5) -> Tensor:
    """Several octaves of value noise over a period of two pictures, scaled to mean 0.5 and deviation about 0.18."""
    total, weight = torch.zeros(2 * size, 2 * size), 1.0
    for octave in range(7):  # the same draws at every size, so that a scene looks alike at every size
        layer = _lattice(first_y << octave, first_x << octave, 2 * size, 2 * size, generator)
        if octave == 0 or max(first_y, first_x) << octave <= size:
            total += weight * ((1 - (2 * layer - 1).abs()) if ridged else layer)
        weight *= gain
    return 0.5 + (total - total.mean()) / total.std() * 0.18


@dataclass
class Bank:
    """Noise pictures that every scene takes its windows from. Made once per size."""

    fine: Tensor  # all-round noise: leaves, walls, meadow
    cloud: Tensor  # stretched sideways
    wave: Tensor  # stretched sideways a lot: sea, far grass
    relief: Tensor  # in [-1, 1], the slope of ridged noise: mountains lit from the left
    star: Tensor  # in [0, 1], mostly 0
    ridge: Tensor  # one-dimensional, sharp: mountain tops
    soft: Tensor  # one-dimensional, smooth: hills, shores


@lru_cache(maxsize=8)
def noise_bank(size: int, device: torch.device) -> Bank:
    generator = torch.Generator().manual_seed(2)
    fine = _fractal(size, 8, 8, generator, gain=0.65)
    cloud = _fractal(size, 8, 4, generator, gain=0.55)
    wave = _fractal(size, 48, 6, generator, gain=0.6)
    ridged = _fractal(size, 5, 7, generator, ridged=True, gain=0.52)
    relief = ((ridged.roll(-1, 1) - ridged.roll(1, 1)) * size * 0.13).clamp(-1, 1)
    ridge = _fractal(size, 1, 5, generator, ridged=True, gain=0.5)[0]
    soft = _fractal(size, 1, 3, generator, gain=0.35)[0]
    cells = torch.rand(96, 96, generator=generator)  # a star is one pixel, and as frequent at every size
    star = torch.zeros(2 * size, 2 * size)
    where = (cells > 0.955).nonzero()
    jitter = torch.rand(len(where), 2, generator=generator)
    at = ((where + jitter) / 96 * 2 * size).long()
    star[at[:, 0], at[:, 1]] = 0.2 + 0.8 * torch.rand(len(where), generator=generator)

    def wrapped(picture: Tensor) -> Tensor:  # room for a window at any offset
        for axis in range(picture.dim()):
            picture = torch.cat([picture, picture.narrow(axis, 0, size)], axis)
        return picture.contiguous().to(device)

    return Bank(*(wrapped(p) for p in (fine, cloud, wave, relief, star)), *(wrapped(p) for p in (ridge, soft)))


def windows(picture: Tensor, offsets: Tensor, size: int) -> Tensor:
    """One window per scene. picture (3S, 3S) or (3S,), offsets (n, 2) or (n, 1) in [0, 1) -> (n, S, S) or (n, S)."""
    start = (offsets * 2 * size).long()
    steps = torch.arange(size, device=picture.device)
    if picture.dim() == 1:
        return picture[start + steps]
    rows = (start[:, :1] + steps)[:, :, None] * picture.shape[1]
    columns = (start[:, 1:] + steps)[:, None, :]
    return picture.view(-1).index_select(0, (rows + columns).view(-1)).view(-1, size, size)


class Canvas:
    """Codes in front and behind, and the share of the front. (n, h, w) each."""

    def __init__(self, front: Tensor, behind: Tensor, share: Tensor):
        self.front, self.behind, self.share = front, behind, share

    def band(self, rows: slice) -> "Canvas":
        """The same canvas, some rows of it: what is painted there is painted here."""
        return Canvas(self.front[:, rows], self.behind[:, rows], self.share[:, rows])

    def paint(self, cover: Tensor, slot, tone: Tensor) -> None:
        """Draw over what is there. cover (n, h, w) in [0, 1]; tone in [0, 1], darkest to lightest."""
        # Choices are products with 0 and 1: on a CPU torch.where costs several times as much.
        code = (tone * 255.99).clamp_(0, 255).int().add_(slot * 256)
        some = cover.ceil()  # 1 where anything is covered
        most = (cover + 0.5).int()  # 1 where it is the larger part
        change = (code - self.front).mul_(most)
        self.front += change
        # the loser of the two stays behind: code - change is code where it lost, else the old front
        self.behind += (code - change).sub_(self.behind).mul_(some.int())
        self.share.lerp_(torch.maximum(cover, 1 - cover), some)

    def shade(self, amount: Tensor) -> None:
        """Take this share (0..1) of its tone away from what is there: a shadow."""
        self.front -= ((self.front & 255) * amount).int()


class Patch(Canvas):
    """A window of a canvas around one object per row of `picks`; `commit` writes it back. x is its middle, y its lower
    side. Windows of one scene must not overlap: `cell`, their width, is the least distance of their x."""

    def __init__(self, canvas: Canvas, picks: Tensor, x: Tensor, y: Tensor, cell: float, height: float):
        size = canvas.front.shape[-1]
        wide, high = int(cell * size), min(size, int(height * size + 0.999))
        left = (x * size - wide / 2).round().long().clamp(0, size - wide)
        top = (y * size - high).round().long().clamp(0, size - high)
        steps_x = torch.arange(wide, device=x.device)
        steps_y = torch.arange(high, device=x.device)
        rows, columns = top[:, None] + steps_y, left[:, None] + steps_x
        self.x, self.y = ((columns + 0.5) / size)[:, None, :], ((rows + 0.5) / size)[:, :, None]
        self.index = (picks[:, None] * size * size + rows * size)[:, :, None] + columns[:, None, :]
        self.canvas, self.size = canvas, size
        super().__init__(*(self.look(p) for p in (canvas.front, canvas.behind, canvas.share)))

    def look(self, picture: Tensor) -> Tensor:
        return picture.view(-1).index_select(0, self.index.view(-1)).view(self.index.shape)

    def commit(self) -> None:
        index = self.index.view(-1)
        for name in ("front", "behind", "share"):
            getattr(self.canvas, name).view(-1).scatter_(0, index, getattr(self, name).view(-1))

    def cover(self, distance: Tensor, sharpness: float = 1.0) -> Tensor:
        """Signed distance to the outline (inside > 0, in picture widths) -> share of the pixel that is covered."""
        return (distance * (self.size * sharpness) + 0.5).clamp_(0, 1)


def least(*distances: Tensor) -> Tensor:
    return reduce(torch.minimum, distances)


def wide(values: Tensor) -> Tensor:
    """One value per scene or thing, (n,) -> (n, 1, 1)."""
    return values[:, None, None]
