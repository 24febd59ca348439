"""A photograph in, a colour photograph of the same size out.

    photograph -> small L (+ hints, z) -> generator -> small ab -> upsampling guided by L -> L + ab -> colour photograph

The generator sees the photograph at a render size; everything at full size happens in strips of rows, so that
a 12-megapixel photograph costs little more memory than its own bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import bins, color
from .generators import Generator, Prediction
from .guided import local_lines, on_lines, upsample_rows
from .hints import Hint, Suggestion, draw_hints, hold_hints, nearness, plausible
from .weights import load_generator, save_weights, shipped

if TYPE_CHECKING:
    from .photos import Photo

RENDER_SIZE = 256
MAX_ASPECT = 4  # beyond it the long side is held at MAX_ASPECT * render_size: a panorama needs no more memory
MAX_ENLARGE = 2  # a photograph smaller than the render size is enlarged at most so much: more only adds blur
DECODES = ("default", "mean")
HINT_ROUNDS = 3
_STRIP = 2**17  # pixels at a time: the float copies of a strip stay in the cache


class ColorizerError(RuntimeError):
    """The photograph could not be coloured: not enough memory, or a generator that returns no numbers."""


class Colorizer:
    """Colours photographs of any size with a generator.

    The generator is called in evaluation mode and without gradients; its own mode is put back afterwards.

    Args:
        generator: takes L, gives ab.
        render_size: short side, in pixels, of the picture that the generator sees; the aspect ratio is kept
            (see `render_shape` for panoramas and small photographs).
        device: where to compute; the generator is moved there. None: where the generator is.
        metadata: text entries that `save` writes beside the weights, such as the recipe. For a generator with z, "z_mean"
            and "z_default" are JSON lists: the z of the two ways of decoding; 0 where they are missing.

    Example:
        >>> colorizer = Colorizer.load()  # the weights that came with colorlib
        >>> rgb = colorizer.colorize("grandmother.jpg")  # uint8 (3, H, W)
    """

    def __init__(
        self,
        generator: Generator,
        render_size: int = RENDER_SIZE,
        device: torch.device | str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.render_size = _check_render_size(render_size)
        parameter = next(generator.parameters(), None)
        self.device = torch.device(device or (parameter.device if parameter is not None else "cpu"))
        self.generator = generator.to(self.device)
        self.metadata = dict(metadata or {})
        self.z = {decode: self._read_z(f"z_{decode}") for decode in DECODES}

    def _read_z(self, name: str) -> Tensor:
        wanted = self.generator.config.get("z_channels", 0)
        try:
            z = torch.tensor(json.loads(self.metadata.get(name, json.dumps([0.0] * wanted))), dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"the metadata's {name} is {self.metadata[name]!r}; it must be a JSON list of numbers") from error
        if z.shape != (wanted,) or not torch.isfinite(z).all():
            raise ValueError(f"the metadata's {name} is {z.tolist()}; this generator takes {wanted} finite numbers")
        return z

    @classmethod
    def load(cls, path: str | Path | None = None, device: torch.device | str | None = None) -> Colorizer:
        """A colorizer from a weights file: network, weights and render size.

        Args:
            path: a .safetensors file that `save` or a training run wrote; None takes the weights that came with colorlib.
            device: None takes the best one here.

        Raises:
            ValueError: no such file, or not one of ours.
        """
        from .runtime import device as best_device

        path = shipped() if path is None else path
        generator, metadata = load_generator(path)
        text = metadata.get("render_size", str(RENDER_SIZE))
        if not text.isdecimal():
            raise ValueError(f"{path}: its render_size is {text!r}; it must be a whole number of pixels")
        return cls(generator, int(text), device or best_device(), metadata)

    def save(self, path: str | Path) -> None:
        """Write generator, render size and metadata to one .safetensors file, whole or not at all."""
        save_weights(path, self.generator, {**self.metadata, "render_size": str(self.render_size)})

    def predict(
        self, L: Tensor, hints: Tensor | None = None, render_size: int | None = None, z: Tensor | None = None
    ) -> Prediction:
        """What the generator says of one photograph, at the render size.

        Args:
            L: (1, 1, H, W), L / 50 - 1, at any size.
            hints: (1, 3, h, w) at the render size (see `render_shape`): mask, then ab / 110.
            render_size: instead of the colorizer's own.
            z: (z_channels,), for a generator that takes one; None is that of the default decoding.

        Returns:
            Prediction with ab (1, 2, h, w), scaled, on the colorizer's device.

        Raises:
            ValueError: a wrong shape, or hints for a generator that takes none.
            ColorizerError: the generator returned NaN, infinity or another shape, or memory is short.
        """
        if L.ndim != 4 or L.shape[:2] != (1, 1) or L.numel() == 0:
            raise ValueError(f"L has shape {tuple(L.shape)}; required is one photograph, (1, 1, H, W)")
        size = render_shape(*L.shape[-2:], self.render_size if render_size is None else render_size)
        if L.shape[-2:] != size:
            L = F.interpolate(L, size, mode="bilinear", antialias=True)
        return self._generate(L, hints, self.z["default"] if z is None else z)

    def _generate(self, L: Tensor, hints: Tensor | None, z: Tensor) -> Prediction:
        if hints is not None and not self.generator.config.get("hint_channels", 0):
            raise ValueError("this generator takes no hints (its hint_channels is 0): leave hints out, "
                             "or load weights that were trained with hints")
        with _evaluation(self.generator), _memory_for(L.shape[-2:]):
            hints = None if hints is None else hints.to(self.device)
            prediction = self.generator(L.to(self.device), hints=hints, z=z[None].to(self.device) if len(z) else None)
        ab, shape = prediction.ab, (1, 2, *L.shape[-2:])
        if ab.shape != shape:
            raise ColorizerError(f"the generator returned ab of shape {tuple(ab.shape)}, needed is {shape}: "
                                 "take the weights of a colorizer")
        if not torch.isfinite(ab).all():
            raise ColorizerError("the generator returned NaN or infinity, so there is no colour photograph: "
                                 "its weights are damaged or its training diverged, take others")
        return prediction

    def colorize(
        self,
        photo: Tensor | Photo | str | Path,
        *,
        saturation: float = 1.0,
        decode: str = "default",
        variant: int = 0,
        hints: Sequence[Hint] | None = None,
        guidance: bool = True,
        render_size: int | None = None,
    ) -> Tensor:
        """Colour one photograph. Its L is kept; a colour that sRGB cannot show at that L is made paler.

        Args:
            photo: uint8 (3, H, W), grey or colour (its L alone is used); or a Photo; or a path.
            saturation: factor of ab; 0 is the grey photograph, 1 what the generator says.
            decode: "default": as colourful as photographs are; "mean": the colours that are wrong by least on average, and
                therefore pale. A generator without z has one answer for both.
            variant: 0, or the number of another plausible colouring: a z drawn from N(0, 1) by this seed.
            hints: colours of single points, for a generator that takes hints.
            guidance: let colours end at the edges of L (guided filter); False upsamples bilinearly.
            render_size: instead of the colorizer's own.

        Returns:
            uint8 (3, H, W), on the CPU.

        Raises:
            ValueError: a bad argument.
            PhotoError: (a ValueError) the path is no photograph that can be opened.
            ColorizerError: see `predict`.
        """
        if not (math.isfinite(saturation) and saturation >= 0):
            raise ValueError(f"saturation is {saturation}; it must be a number >= 0 (1 changes nothing)")
        if decode not in DECODES:
            raise ValueError(f"decode is {decode!r}; choose one of {', '.join(DECODES)}")
        z = self._z(decode, variant)
        rgb = _rgb_of(photo)
        full = rgb.shape[-2:]
        size = render_shape(*full, self.render_size if render_size is None else render_size)
        marks = draw_hints(hints, full, size) if hints else None
        with torch.inference_mode(), _memory_for(full):
            L_low = self._small(rgb, size)
            ab_low = self._generate(L_low, None, z).ab.float() * saturation
            if marks is not None:  # what is beyond the edges of the hinted things stays as it is
                told = self._generate(L_low, marks, z).ab.float() * saturation
                ab_low = torch.lerp(ab_low, told, nearness(L_low, marks.to(L_low)))
            with _one_thread():
                if marks is not None:
                    ab_low = self._held(rgb, ab_low, L_low, hints, marks.to(ab_low), guidance)
                return self._join(rgb, ab_low, L_low, guidance)

    def _held(
        self, rgb: Tensor, ab_low: Tensor, L_low: Tensor, hints: Sequence[Hint], marks: Tensor, guidance: bool
    ) -> Tensor:
        """The small ab, corrected until the hints hold at full size: what the upsampling takes off is asked for on top."""
        size, wanted = rgb.shape[-2:], marks.clone()
        owners = {(int(h.y * marks.shape[2] / size[0]), int(h.x * marks.shape[3] / size[1])): h for h in hints}
        for _ in range(HINT_ROUNDS):
            held = hold_hints(ab_low, L_low, wanted)
            maps, guided = self._maps(held, L_low, size, guidance)
            for (row, column), hint in owners.items():
                strip = slice(int(hint.y), int(hint.y) + 1)
                ab = upsample_rows(maps, strip, size)
                if guided:
                    ab = on_lines(ab, color.rgb_to_L(rgb[None, :, strip].to(self.device)))
                given = ab.new_tensor([hint.a, hint.b]) / color.AB_SCALE
                wanted[0, 1:, row, column] += given - ab[0, :, 0, int(hint.x)]
        return hold_hints(ab_low, L_low, wanted)

    def _maps(self, ab_low: Tensor, L_low: Tensor, size: tuple[int, int], guidance: bool) -> tuple[Tensor, bool]:
        """What `upsample_rows` takes, and whether its result are lines of L."""
        if ab_low.shape[-2] >= size[0] and ab_low.shape[-1] >= size[1]:  # a small photograph, rendered enlarged
            return F.interpolate(ab_low, size, mode="bilinear", antialias=True), False
        return (local_lines(ab_low, L_low), True) if guidance else (ab_low, False)

    def _small(self, rgb: Tensor, size: tuple[int, int]) -> Tensor:
        """L (1, 1, h, w) of a photograph, resized as 8-bit RGB like those that the generator was trained on."""
        small = rgb[None]
        if size != rgb.shape[-2:]:
            small = F.interpolate(small, size, mode="bilinear", antialias=True)
        return color.rgb_to_L(small.to(self.device))

    def _z(self, decode: str, variant: int) -> Tensor:
        if isinstance(variant, bool) or not isinstance(variant, int) or variant < 0:
            raise ValueError(f"variant is {variant!r}; it must be a whole number from 0")
        if variant == 0:
            return self.z[decode]
        if not len(self.z[decode]):
            raise ValueError(f"variant is {variant}, but this generator gives one colouring (its z_channels is 0): "
                             "leave variant at 0, or load weights with z")
        if decode == "mean":
            raise ValueError(f"variant is {variant} and decode 'mean': there is one mean; take decode='default'")
        return torch.randn(len(self.z[decode]), generator=torch.Generator().manual_seed(variant))

    def _distribution(
        self, photo: Tensor | Photo | str | Path, hints: Sequence[Hint] | None, render_size: int | None
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Probabilities (1, Q, h, w), the mean answer beside them (1, 2, h, w), and the photograph's size."""
        if not self.generator.config.get("num_bins", 0):
            raise ValueError("this generator predicts no distribution over ab (its num_bins is 0): load weights that do")
        rgb = _rgb_of(photo)
        full = rgb.shape[-2:]
        size = render_shape(*full, self.render_size if render_size is None else render_size)
        marks = draw_hints(hints, full, size) if hints else None
        with torch.inference_mode(), _memory_for(full):
            said = self._generate(self._small(rgb, size), marks, self.z["mean"])
            probabilities = said.bins.float().softmax(1)
            return probabilities, F.interpolate(said.ab.float(), probabilities.shape[-2:], mode="area"), full

    def uncertainty(
        self,
        photo: Tensor | Photo | str | Path,
        hints: Sequence[Hint] | None = None,
        render_size: int | None = None,
    ) -> Tensor:
        """How wrong the mean decoding expects to be, everywhere: a map of where the network has no idea.

        Returns:
            (H, W), CIE units: the mean distance between its answer and the colours of its distribution.

        Raises:
            ValueError, ColorizerError: as `colorize`; a generator without a distribution.
        """
        probabilities, ab, full = self._distribution(photo, hints, render_size)
        expected = bins.expected_error(probabilities, ab)[:, None]
        return F.interpolate(expected, full, mode="bilinear")[0, 0].cpu()

    def suggest(
        self,
        photo: Tensor | Photo | str | Path,
        x: float,
        y: float,
        num: int = 5,
        hints: Sequence[Hint] | None = None,
        render_size: int | None = None,
    ) -> list[Suggestion]:
        """Plausible colours of one point, the likeliest first, no two of them alike.

        Args:
            photo: see `colorize`.
            x, y: the point, in pixels of the photograph.
            num: how many at most.
            hints: what is known already; it changes what is plausible.

        Returns:
            Suggestions at least 15 CIE units apart, each one a colour that sRGB has at the point's L.

        Raises:
            ValueError, ColorizerError: as `colorize`; a point outside, or a generator without a distribution.
        """
        rgb = _rgb_of(photo)
        height, width = rgb.shape[-2:]
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"the point x={x}, y={y} lies outside of the photograph of {width} x {height} pixels")
        if isinstance(num, bool) or not isinstance(num, int) or num < 1:
            raise ValueError(f"num is {num!r}; it must be a whole number from 1")
        probabilities, _, _ = self._distribution(rgb, hints, render_size)
        rows, columns = probabilities.shape[-2:]
        here = probabilities[0, :, int(y * rows / height), int(x * columns / width)].cpu()
        return plausible(here, float(color.rgb_to_lab(rgb)[0, int(y), int(x)]), num)

    def _join(self, rgb: Tensor, ab_low: Tensor, L_low: Tensor, guidance: bool) -> Tensor:
        """L of the photograph and the small ab, strip by strip, to the colour photograph."""
        size = height, width = rgb.shape[-2:]
        maps, guidance = self._maps(ab_low, L_low, size, guidance)
        colored = torch.empty_like(rgb)
        rows = max(1, _STRIP // width)
        for top in range(0, height, rows):
            strip = slice(top, min(top + rows, height))
            L = color.rgb_to_L(rgb[None, :, strip].to(self.device))
            ab = upsample_rows(maps, strip, size)
            if guidance:
                ab = on_lines(ab, L)
            colored[:, strip] = color.L_ab_to_rgb8(L, ab, fit=True)[0].cpu()
        return colored


def render_shape(height: int, width: int, render_size: int) -> tuple[int, int]:
    """Height and width at which the generator sees a photograph: its short side becomes the render size.

    The aspect ratio is kept to the nearest pixel. Two bounds come first: the long side stays within
    MAX_ASPECT times the render size, and nothing is enlarged more than MAX_ENLARGE times.

    Raises:
        ValueError: a render size that is not a whole number of at least 8.
    """
    _check_render_size(render_size)
    scale = min(render_size / min(height, width), MAX_ASPECT * render_size / max(height, width), MAX_ENLARGE)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _rgb_of(photo: Tensor | Photo | str | Path) -> Tensor:
    if isinstance(photo, str | Path):
        from .photos import read_photo

        photo = read_photo(photo)
    rgb = photo if isinstance(photo, Tensor) else photo.rgb
    if rgb.dtype != torch.uint8 or rgb.ndim != 3 or rgb.shape[0] != 3 or rgb.numel() == 0:
        raise ValueError(
            f"the photograph is {rgb.dtype} of shape {tuple(rgb.shape)}; required is uint8 (3, H, W): "
            "repeat a single grey channel three times, convert floats by (rgb * 255).round().to(torch.uint8)"
        )
    return rgb.cpu()


def _check_render_size(render_size: int) -> int:
    if isinstance(render_size, bool) or not isinstance(render_size, int) or render_size < 8:
        raise ValueError(f"render_size is {render_size!r}; it must be a whole number of pixels, at least 8")
    return render_size


@contextmanager
def _evaluation(generator: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module gets its own mode back."""
    modes = [(module, module.training) for module in generator.modules()]
    generator.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


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


@contextmanager
def _memory_for(size: tuple[int, int]) -> Iterator[None]:
    """Name what does not fit, instead of the allocator's words."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)):
            raise
        raise ColorizerError(
            f"not enough memory for {size[1]} x {size[0]} pixels: "
            "take a smaller render size, or the CPU instead of the GPU"
        ) from error


# the allocators of CUDA and MPS, of the CPU on Linux and macOS, of the CPU on Windows
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
