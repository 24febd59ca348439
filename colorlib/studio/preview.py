"""The pictures of one photograph that the studio shows. Each is computed once and kept for a while; no widgets here.

    photograph -> sketch (the network; needs render size, colouring, hints, boldness) -> picture (all other settings)
                                                                                     -> crop, thumbnail
"""

import math
from collections.abc import Sequence
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

LONG_SIDE = 800  # pixels of a preview: the width of a notebook's column; a screen with more gets a crop of all
DRAFT = 96  # pixels: render size of a draft for which the network has to run
REFERENCE = 480  # pixels: long side of a reference photograph
THUMB = 120  # pixels: short side of a small colouring, twice its height on the screen
KEPT = {"sketch": 12, "picture": 8, "_enlarged": 1, "_expected_error": 8, "_suggestions": 8, "shown_color": 256, "thumb": 8}
PLANE, STEP = 100, 2  # CIE units: the histogram shows ab from -PLANE to PLANE in cells of STEP
HOTTEST = 30.0  # CIE units of expected error at which the map of uncertainty has its hottest colour


class Preview:
    """One photograph in the studio, of any size; its pictures have a long side of at most LONG_SIDE.

    `sample` is its name, if it is one of the sample photographs.
    """

    def __init__(self, colorizer: Colorizer, photo: Photo, sample: str | None = None) -> None:
        self.colorizer, self.photo, self.sample = colorizer.remembering(), photo, sample
        self._sketched, self._known = set(), set()  # the settings of sketches, and those that need no run without hints
        self.rgb = shrunk(photo.rgb, LONG_SIDE / max(photo.rgb.shape))
        self.grey = color.rgb_to_grey(self.rgb)
        self.grey_jpeg = jpeg(self.grey)
        self.name = sample or (photo.path and Path(photo.path).name) or "photograph"
        for name, number in KEPT.items():  # per photograph, so that the memory is free with the next one
            setattr(self, name, lru_cache(number)(getattr(self, name)))

    def sketch(self, settings: Settings) -> Sketch:
        self._sketched.add(settings)
        self._known.add(_needed(settings, hints=False))
        return self.colorizer.sketch(self.photo, settings)

    def picture(self, settings: Settings) -> Tensor:
        """The small version of what `Colorizer.colorize` returns: uint8 (3, h, w)."""
        return render(self.rgb, self.sketch(_needed(settings)), settings)

    def draft(self, settings: Settings) -> tuple[Tensor, bool]:
        """The picture; or a draft, where the network has to run first, and True. A draft shows the hints' own colours
        alone; where the prediction without hints is missing, too, it is one of a small render size."""
        needed, own = _needed(settings), settings.render_size or self.colorizer.own_render_size(*self.photo.rgb.shape[1:])
        fast = _needed(settings, hints=False) in self._known
        if needed in self._sketched or not fast and own <= DRAFT:
            return self.picture(settings), False
        if not fast:
            needed = replace(needed, render_size=DRAFT)
        sketch = self.colorizer.sketch(self.photo, needed, draft=True)
        return render(self.rgb, sketch, settings), sketch.draft or not fast

    def prepare(self, settings: Settings) -> None:
        """Let the network predict what the next new hint, or the map of uncertainty, will need."""
        if self.colorizer.generator.config.get("num_bins", 0):
            self.uncertainty(settings)

    def crop(self, settings: Settings, box: Sequence[int], width: int) -> bytes:
        """A JPEG of a part of the photograph, at full size or as much smaller as it is more than `width` pixels wide.

        Args:
            box: x, y, width and height in pixels of the photograph; what lies outside is left out.
        """
        x, y, across, down = box
        scale = min(1.0, width / across)
        left, top, right, bottom = (max(0, round(side * scale)) for side in (x, y, x + across, y + down))
        return jpeg(self._enlarged(settings, scale)[:, top:bottom, left:right])

    def _enlarged(self, settings: Settings, scale: float) -> Tensor:
        return render(shrunk(self.photo.rgb, scale), self.sketch(_needed(settings)), settings)

    def thumb(self, variant: int) -> bytes:
        """A small JPEG of a colouring, without hints and at the defaults."""
        small = shrunk(self.rgb, THUMB / min(self.rgb.shape[1:]))
        return jpeg(render(small, self.sketch(Settings(variant=variant)), Settings()))

    def uncertainty(self, settings: Settings) -> Tensor:
        """The grey picture under a heat map of the expected error, uint8 (3, h, w): dark at 0, hottest at HOTTEST."""
        from matplotlib import colormaps

        share = (self._expected_error(settings.hints, settings.render_size) / HOTTEST).clamp(0, 1)
        heat = torch.from_numpy(colormaps["inferno"](share.numpy(), bytes=True))[..., :3].permute(2, 0, 1)
        return (0.35 * self.grey + 0.65 * heat).round().to(torch.uint8)

    def _expected_error(self, hints: tuple[Hint, ...], render_size: int | None) -> Tensor:
        error = self.colorizer.uncertainty(self.photo, hints, render_size)
        return F.interpolate(error[None, None], self.rgb.shape[-2:], mode="area")[0, 0]

    @staticmethod
    def histogram(picture: Tensor) -> Tensor:
        """How often each ab occurs in a picture, uint8 (3, 200, 200), pale where never: up is +b, yellow; right is +a, red."""
        ab = color.rgb_to_lab(picture[:, ::2, ::2])[1:].flatten(1)  # a quarter of the pixels is enough
        counts = torch.histogramdd(ab.T.flip(1), PLANE // STEP * 2, range=[-PLANE, PLANE] * 2).hist.log1p()
        axis = torch.arange(-PLANE + STEP / 2, PLANE, STEP)
        b, a = torch.meshgrid(axis, axis, indexing="ij")
        full = color.lab_to_rgb8(torch.stack([torch.full_like(a, 70.0), a, b]), fit=True).float()
        drawn = torch.lerp(255 - 0.12 * (255 - full), full, counts / counts.max()).flip(1).round().to(torch.uint8)
        return drawn.repeat_interleave(STEP, 1).repeat_interleave(STEP, 2)

    def ab(self, x: float, y: float, settings: Settings) -> tuple[float, float]:
        """(a, b), CIE units, of the picture around a point of the photograph, before the blend with grey."""
        height, width = self.photo.rgb.shape[1:]
        return ab_at(self.picture(replace(settings, blend=1.0)), (x + 0.5) / width, (y + 0.5) / height)

    def shown_colors(self, x: float, y: float, colors: list[tuple[float, float]]) -> tuple[list[str], list[list[float]]]:
        """How (a, b), CIE units, look at a point of the photograph: "#rrggbb", and the ab that a screen has, for each."""
        row, column = (min(int(at), side - 1) for at, side in zip((y, x), self.photo.rgb.shape[1:], strict=True))
        L = color.rgb_to_lab(self.photo.rgb[:, row:row + 1, column:column + 1])[0]
        lab = torch.cat([L.expand(len(colors), 1), torch.tensor(colors)], 1).T[:, None]
        fitted = color.fit_gamut(lab)
        rgb = color.lab_to_rgb8(fitted)[:, 0].T.tolist()
        return ["#{:02x}{:02x}{:02x}".format(*one) for one in rgb], fitted[1:, 0].T.tolist()

    def shown_color(self, hint: Hint) -> tuple[str, float]:
        """The colour that a screen shows for a hint, as "#rrggbb", and how many CIE units of ab it loses to the gamut."""
        (code,), (ab,) = self.shown_colors(hint.x, hint.y, [(hint.a, hint.b)])
        return code, math.dist(ab, (hint.a, hint.b))

    def suggest(self, x: float, y: float, settings: Settings) -> list[Suggestion]:
        """Plausible colours of a point, given the hints at other points."""
        others = tuple(hint for hint in settings.hints if (hint.x, hint.y) != (x, y))
        return self._suggestions(x, y, others, settings.render_size)

    def _suggestions(self, x: float, y: float, hints: tuple[Hint, ...], render_size: int | None) -> list[Suggestion]:
        return self.colorizer.suggest(self.photo, x, y, hints=hints, render_size=render_size)


def _needed(settings: Settings, hints: bool = True) -> Settings:
    """The settings that a sketch depends on, or the network's predictions without hints; the others at their defaults."""
    needed = replace(settings, guidance=1.0, saturation=1.0, warmth=0.0, blend=1.0)
    return needed if hints else replace(needed, hints=(), adversarial=float(settings.adversarial == 1))


def shrunk(rgb: Tensor, scale: float) -> Tensor:
    """uint8 (3, h, w) at a scale below 1; at 1 and above as it is."""
    if scale >= 1:
        return rgb
    size = [max(1, round(side * scale)) for side in rgb.shape[1:]]
    return F.interpolate(rgb[None], size, mode="bilinear", antialias=True)[0]


def ab_at(rgb: Tensor, x: float, y: float) -> tuple[float, float]:
    """(a, b) around a point, shares of width and height, of uint8 (3, h, w): a mean over 5 x 5 pixels, because a single
    one may be grain, to a tenth of a CIE unit: enough for the eye, and short to copy."""
    row, column = (min(int(share * side), side - 1) for share, side in zip((y, x), rgb.shape[1:], strict=True))
    a, b = color.rgb_to_lab(rgb[:, max(0, row - 2):row + 3, max(0, column - 2):column + 3])[1:].mean((1, 2)).tolist()
    return round(a, 1), round(b, 1)


def jpeg(picture: Tensor) -> bytes:
    """The bytes of a JPEG of uint8 (3, h, w), with full chroma resolution: three times as fast as PNG."""
    file = BytesIO()
    to_image(picture).save(file, format="JPEG", quality=92, subsampling="4:4:4")
    return file.getvalue()


def ab_of_hex(code: str) -> tuple[float, float]:
    """(a, b) in CIE units of a colour such as "#c0392b" or "teal". ValueError: no such colour."""
    return ab_at(torch.tensor(ImageColor.getrgb(code)[:3], dtype=torch.uint8).reshape(3, 1, 1), 0, 0)
