"""From the generator's small ab to the coloured photograph: everything that needs no network.

    Sketch (small L, ab, hints) -> saturation, warmth -> hints held -> upsampling guided by L -> blend -> photograph

At full size it works in strips of rows: a 12-megapixel photograph costs little more memory than its own bytes.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color
from colorlib.colorizer.hints import Marks, hold_hints
from colorlib.colorizer.settings import Settings, check_render_size

MAX_ASPECT = 4  # beyond it the long side is held at MAX_ASPECT * render_size: a panorama needs no more memory
MAX_ENLARGE = 2  # a photograph smaller than the render size is enlarged at most so much: more only adds blur
HINT_ROUNDS = 3
FLAT = 0.02  # standard deviation of the scaled L, 1 CIE unit, below which a picture loses colour
_STRIP = 2**17  # pixels at a time: the float copies of a strip stay in the cache
_RADIUS = 2  # of the guided filter's window, in pixels of the small picture: 5 x 5
_EPSILON = 1e-3  # its regularisation: an edge of L below about 1.6 CIE units (0.03 scaled) is no colour edge


class Sketch(NamedTuple):
    """What a generator makes of one photograph: all that settings other than render size, colouring and hints need."""

    L: Tensor  # (1, 1, h, w), scaled, at the render size
    ab: Tensor  # (1, 2, h, w), scaled: the generator's colours
    marks: Marks  # the hints on this small picture
    full: tuple[int, int]  # height and width of the photograph that the hints' pixels belong to
    own: Tensor | None = None  # with hints, their own colours (1, 2, h, w)
    share: Tensor | None = None  # and how much they count (1, 1, h, w)
    draft: bool = False  # without the generator's answers to some hints


def render_shape(height: int, width: int, render_size: int) -> tuple[int, int]:
    """Height and width at which the generator sees a photograph: its short side becomes the render size (8 or more),
    unless the long side would pass MAX_ASPECT times that, or the photograph grow more than MAX_ENLARGE times."""
    check_render_size(render_size)
    scale = min(render_size / min(height, width), MAX_ASPECT * render_size / max(height, width), MAX_ENLARGE)
    return max(1, round(height * scale)), max(1, round(width * scale))


def small_L(rgb: Tensor, size: tuple[int, int]) -> Tensor:
    """L (1, 1, h, w) of a photograph (3, H, W), resized as 8-bit RGB like those that generators are trained on."""
    small = rgb[None]
    if size != rgb.shape[-2:]:
        small = F.interpolate(small, size, mode="bilinear", antialias=True)
    return color.rgb_to_L(small)


def even_out(ab: Tensor, L: Tensor, reach: float, edge: float, rounds: int = 3) -> Tensor:
    """Colours ab (1, 2, h, w) averaged over surfaces, not across edges of L (1, 1, h, w), both scaled: a generator leaves
    blotches where L gives no hint. `reach` is the standard deviation of the average where L is even, as a share of the
    short side; a step of `edge` in L / 100 counts as far.

    Reference: Gastal and Oliveira 2011, Domain transform for edge-aware image processing, sections 4 and 5.1
    (normalized convolution).
    """
    sigma, light = reach * min(L.shape[-2:]), (L + 1) / 2
    along = []  # for each axis the positions of pixels on a line on which edges take room
    for axis in (3, 2):
        steps = 1 + sigma / edge * light.movedim(axis, -1).diff(dim=-1).abs()
        along.append((axis, F.pad(steps.cumsum(-1), (1, 0))))
    for k in range(rounds):
        radius = math.sqrt(3) * sigma * math.sqrt(3) * 2 ** (rounds - k - 1) / math.sqrt(4**rounds - 1)
        for axis, at in along:
            first, last = torch.searchsorted(at, at - radius), torch.searchsorted(at, at + radius, right=True)
            line = ab.movedim(axis, -1)
            sums = F.pad(line.cumsum(-1), (1, 0))
            window = sums.gather(-1, last.expand_as(line)) - sums.gather(-1, first.expand_as(line))
            ab = (window / (last - first)).movedim(-1, axis)
    return ab


def move_apart(ab: Tensor, factor: Tensor | float) -> Tensor:
    """Colours ab (1, 2, h, w) `factor` times as far from their mean over the picture, which stays."""
    return torch.lerp(ab.mean((2, 3), keepdim=True), ab, factor)


def structure(L: Tensor) -> Tensor:
    """The share of its colours that a picture (1, 1, h, w) keeps: 1, but for one that is nearly even. Nothing in an
    even picture can be recognised, and a generator would take it for a sky."""
    return (L.std(correction=0) / FLAT).clamp(max=1)


@torch.inference_mode()
def render(rgb: Tensor, sketch: Sketch, settings: Settings, progress: Callable[[float], None] | None = None) -> Tensor:
    """The coloured photograph, uint8 (3, H, W), on the CPU; see `Colorizer.colorize`.

    rgb is the sketch's photograph, or the same at another size: a preview. Of the settings saturation, warmth, guidance
    and blend count; the others are in the sketch.
    """
    ab = sketch.ab * settings.saturation
    ab[:, 1] += settings.warmth / color.AB_SCALE
    if sketch.own is not None:
        ab = torch.lerp(ab, sketch.own, sketch.share)
    with _one_thread():
        if sketch.marks.hints:
            ab = _held(rgb, ab, sketch, settings.guidance)
        size = height, width = rgb.shape[-2:]
        maps, guided = _maps(ab, sketch.L, size, settings.guidance)
        colored, rows = torch.empty_like(rgb), max(1, _STRIP // width)
        for top in range(0, height, rows):
            strip = slice(top, min(top + rows, height))
            L = color.rgb_to_L(rgb[None, :, strip].to(maps.device))
            ab = upsample_rows(maps, strip, size)
            ab = (on_lines(ab, L) if guided else ab) * settings.blend
            colored[:, strip] = color.L_ab_to_rgb8(L, ab, fit=True)[0].cpu()
            if progress is not None:
                progress(strip.stop / height)
    return colored


def _held(rgb: Tensor, ab_low: Tensor, sketch: Sketch, guidance: float) -> Tensor:
    """Adjust the low-resolution ab until the hints are met at full size, by adding back what upsampling removes."""
    size, wanted = rgb.shape[-2:], sketch.marks.drawn().to(ab_low)
    points = []  # of every hint: its place on the small picture, its pixel of this one, L of that pixel's row
    for hint, place, given in zip(sketch.marks.hints, sketch.marks.places.tolist(), sketch.marks.ab.to(ab_low)):
        if hint.erase:
            continue
        x, y = (min(int(at * now / full), now - 1) for at, now, full in
                ((hint.x, size[1], sketch.full[1]), (hint.y, size[0], sketch.full[0])))
        strip = slice(y, y + 1)
        points.append((*place, strip, x, given, color.rgb_to_L(rgb[None, :, strip].to(ab_low.device))))
    for _ in range(HINT_ROUNDS):
        maps, guided = _maps(hold_hints(ab_low, sketch.L, wanted), sketch.L, size, guidance)
        for row, column, strip, x, given, L in points:
            ab = upsample_rows(maps, strip, size)
            wanted[0, 1:, row, column] += given - (on_lines(ab, L) if guided else ab)[0, :, 0, x]
    return hold_hints(ab_low, sketch.L, wanted)


def _maps(ab_low: Tensor, L_low: Tensor, size: tuple[int, int], guidance: float) -> tuple[Tensor, bool]:
    """What `upsample_rows` takes, and whether its result are lines of L."""
    if ab_low.shape[-2] >= size[0] and ab_low.shape[-1] >= size[1]:  # a small photograph, rendered enlarged
        return F.interpolate(ab_low, size, mode="bilinear", antialias=True), False
    return (local_lines(ab_low, L_low, guidance), True) if guidance else (ab_low, False)


def _windows(x: Tensor, outside: float, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the pixels of every window, along rows, then columns, with `outside` beyond the border: by shifted views,
    because torch's pooling takes ten times as long for so few channels."""
    for dim in (-1, -2):
        length = x.shape[dim]
        x = F.pad(x, (_RADIUS, _RADIUS, 0, 0) if dim == -1 else (0, 0, _RADIUS, _RADIUS), value=outside)
        x = reduce(join, [x.narrow(dim, shift, length) for shift in range(2 * _RADIUS + 1)])
    return x


def _box(x: Tensor) -> Tensor:
    """Mean over the window; at the border over the part of it that lies inside."""
    return _windows(x, 0.0, torch.add) / _windows(torch.ones_like(x[:1, :1]), 0.0, torch.add)


def local_lines(ab: Tensor, L: Tensor, strength: float = 1.0) -> Tensor:
    """The line ab = slope * L + offset at each small pixel, and the ab between which it holds: slope, offset, lowest ab
    and highest ab, (B, 8, h, w). `strength` is a factor of the slopes: at 0 edges of L mean nothing.

    In every 5 x 5 window of the small picture ab is fitted as a straight line in L; slopes are averaged over the
    windows that cover a pixel. Two deviations from the paper: every line goes exactly through the small pixel's own ab,
    because the paper's filter would blur ab by its window; and the result stays within the ab of the 5 x 5 small pixels
    around it, so that a highlight does not run along its line out of all colours.

    Reference: He and Sun 2015, Fast guided filter, algorithm 2; He, Sun, Tang 2013, Guided image filtering,
    equations 5 and 6.
    """
    mean_L, mean_ab = _box(L), _box(ab)
    variance = (_box(L * L) - mean_L.square()).clamp_(min=0)  # rounding may leave it below 0
    covariance = _box(L * ab) - mean_L * mean_ab
    slope = strength * _box(covariance / (variance + _EPSILON))
    lowest, highest = _windows(ab, math.inf, torch.minimum), _windows(ab, -math.inf, torch.maximum)
    return torch.cat([slope, ab - slope * L, lowest, highest], 1)


def on_lines(lines: Tensor, L: Tensor) -> Tensor:
    """ab (B, 2, H, W) where the enlarged lines (B, 8, H, W) meet L (B, 1, H, W)."""
    slope, offset, lowest, highest = lines.chunk(4, 1)
    return torch.addcmul(offset, slope, L).clamp_(lowest, highest)


def upsample_rows(maps: Tensor, rows: slice, size: tuple[int, int]) -> Tensor:
    """The given rows of the maps, enlarged bilinearly to `size`, without the other rows."""
    height = maps.shape[-2]
    y = (torch.arange(rows.start, rows.stop, device=maps.device) + 0.5) * (height / size[0]) - 0.5
    y = y.clamp_(0, height - 1)
    above = y.long()
    below = (above + 1).clamp_(max=height - 1)
    between = torch.lerp(maps[..., above, :], maps[..., below, :], (y - above)[:, None])  # (B, C, rows, w)
    return F.interpolate(between, (len(y), size[1]), mode="bilinear")  # widens alone


@contextmanager
def _one_thread() -> Iterator[None]:
    """Strips are thousands of operations of microseconds, on which threads that wait for each other save a fraction
    of a second on idle cores, and cost half a minute on busy ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
