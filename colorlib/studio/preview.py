"""The pictures of one photograph that the studio shows: no widget here, and each step computed only when it has to be.

    photograph -> sketch (the network; per render size, colouring, hints, sibling's share) -> picture (everything else)
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import torch
import torch.nn.functional as F
from PIL import ImageDraw
from torch import Tensor

from colorlib import color
from colorlib.colorizer import Colorizer, Hint, Settings, Suggestion
from colorlib.colorizer.render import Sketch, render
from colorlib.photos import Photo
from colorlib.photos.pixels import to_image

LONG_SIDE = 640  # pixels of a preview: what a notebook's column shows
KEPT = 8  # sketches: what undo, redo and a slider that goes back find ready
PLANE, STEP = 100, 2  # CIE units: the histogram shows ab from -PLANE to PLANE in cells of STEP
DOUBT = 30.0  # CIE units of expected error that are painted as hot as can be
AS_IT_IS = Settings()


class Preview:
    """One photograph in the studio.

    Args:
        colorizer: colours it.
        photo: a photograph of any size; pictures of it have a long side of at most LONG_SIDE.
    """

    def __init__(self, colorizer: Colorizer, photo: Photo) -> None:
        self.colorizer, self.photo = colorizer, photo
        height, width = photo.rgb.shape[-2:]
        scale = min(1.0, LONG_SIDE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        self.rgb = photo.rgb if scale == 1 else F.interpolate(photo.rgb[None], size, mode="bilinear", antialias=True)[0]
        self.grey = color.rgb_to_grey(self.rgb)
        self.grey_jpeg = jpeg(self.grey)
        self._sketch = lru_cache(KEPT)(self._compute_sketch)
        self.picture = lru_cache(KEPT)(self._compute_picture)
        self._doubt = lru_cache(KEPT)(self._compute_doubt)
        self._suggestions = lru_cache(KEPT)(self._compute_suggestions)
        self.becomes = lru_cache(256)(self._compute_becomes)  # of every marker and button, at every step of a drag

    def _compute_sketch(self, settings: Settings) -> Sketch:
        return self.colorizer.sketch(self.photo, settings)

    def _compute_picture(self, settings: Settings) -> Tensor:
        """What `colorize` makes of the photograph, small: uint8 (3, h, w)."""
        needed = replace(settings, guidance=AS_IT_IS.guidance, saturation=AS_IT_IS.saturation,
                         warmth=AS_IT_IS.warmth, blend=AS_IT_IS.blend)  # what the network depends on
        return render(self.rgb, self._sketch(needed), settings)

    def _compute_doubt(self, hints: tuple[Hint, ...], render_size: int | None) -> Tensor:
        doubt = self.colorizer.uncertainty(self.photo, hints, render_size)
        return F.interpolate(doubt[None, None], self.rgb.shape[-2:], mode="area")[0, 0]

    def doubt(self, settings: Settings) -> Tensor:
        """Where the network has no idea: the grey picture under a heat map, uint8 (3, h, w).

        The map is the expected error of the mean decoding: nothing at 0, hot at DOUBT CIE units and above.
        """
        from matplotlib import colormaps

        share = (self._doubt(settings.hints, settings.render_size) / DOUBT).clamp(0, 1)
        heat = torch.from_numpy(colormaps["inferno"](share.numpy(), bytes=True))[..., :3].permute(2, 0, 1)
        return (0.35 * self.grey + 0.65 * heat).round().to(torch.uint8)

    def histogram(self, settings: Settings) -> Tensor:
        """How often each ab occurs in the picture, over the part of the plane that sRGB has: uint8 (3, 200, 200).

        Up is +b (yellow), right is +a (red).
        """
        ab = color.rgb_to_lab(self.picture(settings)[:, ::2, ::2])[1:]  # every fourth pixel says the same
        cells = ((ab + PLANE) / STEP).long().clamp(0, 2 * PLANE // STEP - 1)
        side = 2 * PLANE // STEP
        counts = torch.bincount(cells[1].flatten() * side + cells[0].flatten(), minlength=side * side).reshape(side, side)
        frequent = (counts.float().log1p() / counts.max().float().log1p())[None]
        pale, full = _plane()
        drawn = torch.lerp(pale, full, frequent).flip(1).round().to(torch.uint8)
        return drawn.repeat_interleave(STEP, 1).repeat_interleave(STEP, 2)

    def lightness(self, x: float, y: float) -> float:
        """L, 0 to 100, of the photograph's pixel."""
        return float(color.rgb_to_lab(self.photo.rgb[:, int(y) : int(y) + 1, int(x) : int(x) + 1])[0])

    def _compute_becomes(self, hint: Hint) -> tuple[str, float]:
        """The colour that a hint can have at its point, as "#rrggbb", and how many CIE units of ab it loses to the gamut."""
        lab = torch.tensor([self.lightness(hint.x, hint.y), hint.a, hint.b]).reshape(3, 1, 1)
        fitted = color.fit_gamut(lab)
        return hex_of(color.lab_to_rgb8(fitted)), float((fitted - lab).norm())

    def suggest(self, x: float, y: float, settings: Settings) -> list[Suggestion]:
        """Plausible colours of a point, given the other hints."""
        others = tuple(hint for hint in settings.hints if (hint.x, hint.y) != (x, y))
        return self._suggestions(x, y, others, settings.render_size)

    def _compute_suggestions(self, x: float, y: float, hints: tuple[Hint, ...], render_size: int | None) -> list[Suggestion]:
        return self.colorizer.suggest(self.photo, x, y, hints=hints, render_size=render_size)

    def marked(self, picture: Tensor, settings: Settings, x: float, y: float) -> Tensor:
        """A picture with its hints, and a cross at a point of the photograph: for a front end without the canvas."""
        image = to_image(picture)
        draw, scale = ImageDraw.Draw(image), picture.shape[-1] / self.photo.rgb.shape[-1]
        for hint in settings.hints:
            at = hint.x * scale, hint.y * scale
            draw.circle(at, 7, fill=self.becomes(hint)[0], outline="black", width=1)
            draw.circle(at, 8, outline="white", width=1)
        x, y = x * scale, y * scale
        for width, ink in ((3, "black"), (1, "white")):
            draw.line((x - 9, y, x + 9, y), fill=ink, width=width)
            draw.line((x, y - 9, x, y + 9), fill=ink, width=width)
        return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(*picture.shape[1:], 3).permute(2, 0, 1)


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
    """uint8 (3, h, w) -> the bytes of a JPEG with full chroma resolution: three times as fast as PNG."""
    file = BytesIO()
    to_image(picture).save(file, format="JPEG", quality=92, subsampling="4:4:4")
    return file.getvalue()


def png(picture: Tensor) -> bytes:
    """uint8 (3, h, w) -> the bytes of a PNG."""
    file = BytesIO()
    to_image(picture).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def hex_of(rgb: Tensor) -> str:
    """uint8 (3, 1, 1) -> "#rrggbb"."""
    return "#" + "".join(f"{value:02x}" for value in rgb.flatten().tolist())


def ab_of_hex(code: str) -> tuple[float, float]:
    """(a, b) in CIE units of a colour such as "#c0392b" or "teal".

    Raises:
        ValueError: no such colour.
    """
    from PIL import ImageColor

    rgb = torch.tensor(ImageColor.getrgb(code)[:3], dtype=torch.uint8).reshape(3, 1, 1)
    a, b = color.rgb_to_lab(rgb)[1:].flatten().tolist()
    return round(a, 1), round(b, 1)
