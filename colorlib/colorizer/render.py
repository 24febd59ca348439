"""From what a generator says at the render size to the coloured photograph: everything that needs no network.

    Sketch (small L, ab, hints) -> saturation, warmth -> hints held -> upsampling guided by L -> blend -> L + ab -> photograph

Everything at full size happens in strips of rows, so that a 12-megapixel photograph costs little more memory than its
own bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color
from colorlib.colorizer.guided import local_lines, on_lines, upsample_rows
from colorlib.colorizer.hints import Marks, hold_hints
from colorlib.colorizer.settings import Settings, check_render_size

MAX_ASPECT = 4  # beyond it the long side is held at MAX_ASPECT * render_size: a panorama needs no more memory
MAX_ENLARGE = 2  # a photograph smaller than the render size is enlarged at most so much: more only adds blur
HINT_ROUNDS = 3
_STRIP = 2**17  # pixels at a time: the float copies of a strip stay in the cache


class Sketch(NamedTuple):
    """What a generator makes of one photograph. Every setting but render size, colouring and hints needs this alone, and
    no network.

    Attributes:
        L: (1, 1, h, w), scaled, at the render size.
        ab: (1, 2, h, w), scaled: the generator's colours.
        marks: the hints on this small picture.
        full: height and width of the photograph that the hints' pixels belong to.
        own, share: with hints, their own colours (1, 2, h, w) and how much they count (1, 1, h, w).
    """

    L: Tensor
    ab: Tensor
    marks: Marks
    full: tuple[int, int]
    own: Tensor | None = None
    share: Tensor | None = None


def render_shape(height: int, width: int, render_size: int) -> tuple[int, int]:
    """Height and width at which the generator sees a photograph: its short side becomes the render size.

    The aspect ratio is kept to the nearest pixel. Two bounds come first: the long side stays within
    MAX_ASPECT times the render size, and nothing is enlarged more than MAX_ENLARGE times.

    Raises:
        ValueError: a render size that is not a whole number of at least 8.
    """
    check_render_size(render_size)
    scale = min(render_size / min(height, width), MAX_ASPECT * render_size / max(height, width), MAX_ENLARGE)
    return max(1, round(height * scale)), max(1, round(width * scale))


def small_L(rgb: Tensor, size: tuple[int, int]) -> Tensor:
    """L (1, 1, h, w) of a photograph (3, H, W), resized as 8-bit RGB like those that generators are trained on."""
    small = rgb[None]
    if size != rgb.shape[-2:]:
        small = F.interpolate(small, size, mode="bilinear", antialias=True)
    return color.rgb_to_L(small)


@torch.inference_mode()
def render(
    rgb: Tensor, sketch: Sketch, settings: Settings, progress: Callable[[float], None] | None = None
) -> Tensor:
    """The coloured photograph.

    Args:
        rgb: uint8 (3, H, W), the photograph of the sketch, or the same at another size: a preview.
        settings: of them saturation, warmth, guidance and blend; the others are in the sketch.
        progress: told the share that is done, 0 to 1, after every strip.

    Returns:
        uint8 (3, H, W), on the CPU. Its L is the photograph's; a colour that sRGB cannot show there is made paler.
    """
    ab = sketch.ab * settings.saturation
    ab[:, 1] += settings.warmth / color.AB_SCALE
    if sketch.own is not None:
        ab = torch.lerp(ab, sketch.own, sketch.share)
    with _one_thread():
        if sketch.marks.hints:
            ab = _held(rgb, ab, sketch, settings.guidance)
        return _join(rgb, ab, sketch.L, settings.guidance, settings.blend, progress)


def _held(rgb: Tensor, ab_low: Tensor, sketch: Sketch, guidance: float) -> Tensor:
    """Adjust the low-resolution ab until the hints are met at full size, by adding back what upsampling removes."""
    size, wanted = rgb.shape[-2:], sketch.marks.drawn().to(ab_low)
    points = []  # of every hint: its place on the small picture, its pixel of this one, L of that pixel's row
    for hint, place in zip(sketch.marks.hints, sketch.marks.places.tolist()):
        if hint.erase:
            continue
        x, y = (min(int(at * now / full), now - 1) for at, now, full in
                ((hint.x, size[1], sketch.full[1]), (hint.y, size[0], sketch.full[0])))
        strip = slice(y, y + 1)
        given = ab_low.new_tensor([hint.a, hint.b]) / color.AB_SCALE
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


def _join(
    rgb: Tensor, ab_low: Tensor, L_low: Tensor, guidance: float, blend: float, progress: Callable[[float], None] | None
) -> Tensor:
    """L of the photograph and the small ab, strip by strip, to the colour photograph."""
    size = height, width = rgb.shape[-2:]
    maps, guided = _maps(ab_low, L_low, size, guidance)
    colored = torch.empty_like(rgb)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        L = color.rgb_to_L(rgb[None, :, strip].to(maps.device))
        ab = upsample_rows(maps, strip, size)
        if guided:
            ab = on_lines(ab, L)
        colored[:, strip] = color.L_ab_to_rgb8(L, ab * blend, fit=True)[0].cpu()
        if progress is not None:
            progress(strip.stop / height)
    return colored


@contextmanager
def _one_thread() -> Iterator[None]:
    """Strips are thousands of operations of microseconds: threads that wait for each other after every one
    save a fraction of a second on idle cores, and cost half a minute on busy ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
