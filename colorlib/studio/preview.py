"""The pictures of one photograph that the studio shows. Each is computed once and kept for a while; no widgets here.

    photograph -> sketch (the network; needs render size, colouring, hints, boldness) -> picture (all other settings)
                                                                                     -> crop, thumbnail
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import ImageColor
from torch import Tensor

from colorlib import color
from colorlib.colorizer import Colorizer, Hint, Settings, Suggestion
from colorlib.colorizer.render import Sketch, render
from colorlib.photos import Photo, to_image

LONG_SIDE = 800  # pixels of a preview: the width of a notebook's column
THUMB = 120  # pixels: short side of a small colouring, twice its height on the screen
KEPT = {"sketch": 12, "picture": 8, "_full": 1, "_expected_error": 8, "_suggestions": 8, "shown_color": 256}  # results in memory
PLANE, STEP = 100, 2  # CIE units: the histogram shows ab from -PLANE to PLANE in cells of STEP
HOTTEST = 30.0  # CIE units of expected error at which the map of uncertainty has its hottest colour


class Preview:
    """One photograph in the studio, of any size; its pictures have a long side of at most LONG_SIDE.

    `sample` is its name, if it is one of the sample photographs.
    """

    def __init__(self, colorizer: Colorizer, photo: Photo, sample: str | None = None) -> None:
        self.colorizer, self.photo, self.sample = colorizer.remembering(), photo, sample
        height, width = photo.rgb.shape[-2:]
        scale = min(1.0, LONG_SIDE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        self.rgb = photo.rgb if scale == 1 else F.interpolate(photo.rgb[None], size, mode="bilinear", antialias=True)[0]
        self.grey = color.rgb_to_grey(self.rgb)
        self.grey_jpeg = jpeg(self.grey)
        self.name = sample or (photo.path and Path(photo.path).name) or "photograph"
        self.thumbs: tuple[bytes, ...] = ()  # JPEGs of the colourings 0, 1, ...
        for name, number in KEPT.items():  # per photograph, so that the memory is free with the next one
            setattr(self, name, lru_cache(number)(getattr(self, name)))

    def sketch(self, settings: Settings) -> Sketch:
        return self.colorizer.sketch(self.photo, settings)

    def picture(self, settings: Settings) -> Tensor:
        """The small version of what `Colorizer.colorize` returns: uint8 (3, h, w)."""
        return render(self.rgb, self.sketch(_needed(settings)), settings)

    def crop(self, settings: Settings, box: tuple[int, int, int, int], width: int) -> bytes:
        """A JPEG of a part of the photograph at full size, made smaller where it is more than `width` pixels wide.

        Args:
            box: x, y, width and height in pixels of the photograph; what lies outside is left out.
        """
        x, y, across, down = box
        part = self._full(settings)[:, max(0, y):y + down, max(0, x):x + across]
        scale = min(1.0, width / part.shape[2])
        size = [max(1, round(side * scale)) for side in part.shape[1:]]
        return jpeg(F.interpolate(part[None], size, mode="bilinear", antialias=True)[0] if scale < 1 else part)

    def _full(self, settings: Settings) -> Tensor:
        return render(self.photo.rgb, self.sketch(_needed(settings)), settings)

    def add_thumb(self) -> None:
        """Compute the next of the small colourings, without hints and at the defaults."""
        settings = Settings(variant=len(self.thumbs))
        height, width = self.rgb.shape[-2:]
        scale = min(1.0, THUMB / min(height, width))
        small = F.interpolate(self.rgb[None], [max(1, round(side * scale)) for side in (height, width)], mode="bilinear",
                              antialias=True)[0]
        self.thumbs = *self.thumbs, jpeg(render(small, self.sketch(settings), settings))

    def uncertainty(self, settings: Settings) -> Tensor:
        """The grey picture under a heat map of the expected error, uint8 (3, h, w): dark at 0, hottest at HOTTEST."""
        from matplotlib import colormaps

        share = (self._expected_error(settings.hints, settings.render_size) / HOTTEST).clamp(0, 1)
        heat = torch.from_numpy(colormaps["inferno"](share.numpy(), bytes=True))[..., :3].permute(2, 0, 1)
        return (0.35 * self.grey + 0.65 * heat).round().to(torch.uint8)

    def _expected_error(self, hints: tuple[Hint, ...], render_size: int | None) -> Tensor:
        error = self.colorizer.uncertainty(self.photo, hints, render_size)
        return F.interpolate(error[None, None], self.rgb.shape[-2:], mode="area")[0, 0]

    def histogram(self, settings: Settings) -> Tensor:
        """How often each ab occurs in the picture, uint8 (3, 200, 200): up is +b (yellow), right is +a (red)."""
        ab = color.rgb_to_lab(self.picture(settings)[:, ::2, ::2])[1:]  # a quarter of the pixels is enough
        side = 2 * PLANE // STEP
        cells = ((ab + PLANE) / STEP).long().clamp(0, side - 1)
        counts = torch.bincount(cells[1].flatten() * side + cells[0].flatten(), minlength=side * side).reshape(side, side)
        frequent = (counts.float().log1p() / counts.max().float().log1p())[None]
        pale, full = _plane()
        drawn = torch.lerp(pale, full, frequent).flip(1).round().to(torch.uint8)
        return drawn.repeat_interleave(STEP, 1).repeat_interleave(STEP, 2)

    def lightness(self, x: float, y: float) -> float:
        """L, 0 to 100, of the photograph's pixel."""
        return float(color.rgb_to_lab(self.photo.rgb[:, int(y) : int(y) + 1, int(x) : int(x) + 1])[0])

    def ab(self, x: float, y: float, settings: Settings) -> tuple[float, float]:
        """(a, b), CIE units, of the picture at a point of the photograph, before the blend with grey."""
        picture = self.picture(replace(settings, blend=1.0))
        places = zip((y, x), picture.shape[1:], self.photo.rgb.shape[1:], strict=True)
        row, column = (min(int(at * small / full), small - 1) for at, small, full in places)
        return _ab(picture[:, row, column])

    def shown_color(self, hint: Hint) -> tuple[str, float]:
        """The colour that a screen shows for a hint, as "#rrggbb", and how many CIE units of ab it loses to the gamut."""
        lab = torch.tensor([self.lightness(hint.x, hint.y), hint.a, hint.b]).reshape(3, 1, 1)
        fitted = color.fit_gamut(lab)
        return "#{:02x}{:02x}{:02x}".format(*color.lab_to_rgb8(fitted).flatten().tolist()), float((fitted - lab).norm())

    def suggest(self, x: float, y: float, settings: Settings) -> list[Suggestion]:
        """Plausible colours of a point, given the hints at other points."""
        others = tuple(hint for hint in settings.hints if (hint.x, hint.y) != (x, y))
        return self._suggestions(x, y, others, settings.render_size)

    def _suggestions(self, x: float, y: float, hints: tuple[Hint, ...], render_size: int | None) -> list[Suggestion]:
        return self.colorizer.suggest(self.photo, x, y, hints=hints, render_size=render_size)


def _needed(settings: Settings) -> Settings:
    """The settings that the network's sketch depends on; the others at their defaults."""
    return replace(settings, guidance=1.0, saturation=1.0, warmth=0.0, blend=1.0)


@lru_cache(1)
def _plane() -> tuple[Tensor, Tensor]:
    """The ab plane at L = 70, pale and in full colour, (3, n, n) each; white where sRGB has that ab at no L."""
    axis = torch.arange(-PLANE + STEP / 2, PLANE, STEP)
    b, a = torch.meshgrid(axis, axis, indexing="ij")
    reached = torch.zeros_like(a, dtype=torch.bool)
    for L in range(5, 100, 5):
        rgb = color.lab_to_rgb(torch.stack([torch.full_like(a, L), a, b]))
        reached |= ((rgb >= 0) & (rgb <= 1)).all(0)
    full = color.lab_to_rgb8(torch.stack([torch.full_like(a, 70.0), a, b]), fit=True).float()
    full = torch.where(reached, full, torch.full_like(full, 255.0))
    return 255 - 0.12 * (255 - full) - 10 * reached, full


def jpeg(picture: Tensor) -> bytes:
    """The bytes of a JPEG of uint8 (3, h, w), with full chroma resolution: three times as fast as PNG."""
    file = BytesIO()
    to_image(picture).save(file, format="JPEG", quality=92, subsampling="4:4:4")
    return file.getvalue()


def png(picture: Tensor) -> bytes:
    file = BytesIO()
    to_image(picture).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def ab_of_hex(code: str) -> tuple[float, float]:
    """(a, b) in CIE units of a colour such as "#c0392b" or "teal". ValueError: no such colour."""
    return _ab(torch.tensor(ImageColor.getrgb(code)[:3], dtype=torch.uint8))


def _ab(rgb: Tensor) -> tuple[float, float]:
    """(a, b) of one pixel, uint8 (3,), to a tenth of a unit: enough for the eye, and short to copy."""
    a, b = color.rgb_to_lab(rgb.reshape(3, 1, 1))[1:].flatten().tolist()
    return round(a, 1), round(b, 1)
