"""A photograph in, a colour photograph of the same size out.

    photograph -> small L -> generator -> small ab -> upsampling guided by L -> L + ab -> colour photograph

The generator sees the photograph at a render size; everything at full size happens in strips of rows, so that
a 12-megapixel photograph costs little more memory than its own bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import color
from .generators import Generator, Prediction
from .guided import local_lines, on_lines, upsample_rows
from .weights import load_generator, save_weights

if TYPE_CHECKING:
    from .photos import Photo

RENDER_SIZE = 256
MAX_ASPECT = 4  # beyond it the long side is held at MAX_ASPECT * render_size: a panorama needs no more memory
MAX_ENLARGE = 2  # a photograph smaller than the render size is enlarged at most so much: more only adds blur
DECODES = ("default", "mean")
_STRIP = 2**17  # pixels at a time: the float copies of a strip stay in the cache


class ColorizerError(RuntimeError):
    """The photograph could not be coloured: not enough memory, or a generator that returns no numbers."""


class Hint(NamedTuple):
    """The colour of one point: x to the right, y down, in pixels of the photograph; a, b in CIE units."""

    x: float
    y: float
    a: float
    b: float


class Colorizer:
    """Colours photographs of any size with a generator.

    The generator is called in evaluation mode and without gradients; its own mode is put back afterwards.

    Args:
        generator: takes L, gives ab.
        render_size: short side, in pixels, of the picture that the generator sees; the aspect ratio is kept
            (see `render_shape` for panoramas and small photographs).
        device: where to compute; the generator is moved there. None: where the generator is.
        metadata: text entries that `save` writes beside the weights, such as the recipe.

    Example:
        >>> colorizer = Colorizer.load("runs/first/weights.safetensors")
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

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str | None = None) -> Colorizer:
        """A colorizer from a weights file: network, weights and render size.

        Args:
            path: a .safetensors file that `save` or a training run wrote.
            device: None takes the best one here.

        Raises:
            ValueError: no such file, or not one of ours.
        """
        from .runtime import device as best_device

        generator, metadata = load_generator(path)
        text = metadata.get("render_size", str(RENDER_SIZE))
        if not text.isdecimal():
            raise ValueError(f"{path}: its render_size is {text!r}; it must be a whole number of pixels")
        return cls(generator, int(text), device or best_device(), metadata)

    def save(self, path: str | Path) -> None:
        """Write generator, render size and metadata to one .safetensors file, whole or not at all."""
        save_weights(path, self.generator, {**self.metadata, "render_size": str(self.render_size)})

    def predict(self, L: Tensor, hints: Tensor | None = None, render_size: int | None = None) -> Prediction:
        """What the generator says of one photograph, at the render size.

        Args:
            L: (1, 1, H, W), L / 50 - 1, at any size.
            hints: (1, 3, h, w) at the render size (see `render_shape`): mask, then ab / 110.
            render_size: instead of the colorizer's own.

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
        return self._generate(L, hints)

    def _generate(self, L: Tensor, hints: Tensor | None) -> Prediction:
        if hints is not None and not self.generator.config.get("hint_channels", 0):
            raise ValueError("this generator takes no hints (its hint_channels is 0): leave hints out, "
                             "or load weights that were trained with hints")
        with _evaluation(self.generator), _memory_for(L.shape[-2:]):
            hints = None if hints is None else hints.to(self.device)
            prediction = self.generator(L.to(self.device), hints=hints)
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
        hints: Sequence[Hint] | None = None,
        guidance: bool = True,
        render_size: int | None = None,
    ) -> Tensor:
        """Colour one photograph. Its L is kept; a colour that sRGB cannot show at that L is made paler.

        Args:
            photo: uint8 (3, H, W), grey or colour (its L alone is used); or a Photo; or a path.
            saturation: factor of ab; 0 is the grey photograph, 1 what the generator says.
            decode: "default" or "mean": how a distribution over ab bins becomes a colour. The networks so far
                predict ab itself, and both are that.
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
        rgb = _rgb_of(photo)
        full = rgb.shape[-2:]
        size = render_shape(*full, self.render_size if render_size is None else render_size)
        marks = draw_hints(hints, full, size) if hints else None
        with torch.inference_mode(), _memory_for(full):
            # resized as 8-bit RGB, like the photographs that the generator was trained on
            small = rgb[None]
            if size != full:
                small = F.interpolate(small, size, mode="bilinear", antialias=True)
            L_low = color.rgb_to_L(small.to(self.device))
            ab_low = self._generate(L_low, marks).ab.float() * saturation
            with _one_thread():
                return self._join(rgb, ab_low, L_low, guidance)

    def _join(self, rgb: Tensor, ab_low: Tensor, L_low: Tensor, guidance: bool) -> Tensor:
        """L of the photograph and the small ab, strip by strip, to the colour photograph."""
        size = height, width = rgb.shape[-2:]
        if ab_low.shape[-2] >= height and ab_low.shape[-1] >= width:  # a small photograph, rendered enlarged
            ab_low, guidance = F.interpolate(ab_low, size, mode="bilinear", antialias=True), False
        maps = local_lines(ab_low, L_low) if guidance else ab_low
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


def draw_hints(hints: Sequence[Hint], full: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Hints as the picture that a generator takes: mask, then ab / 110, one small pixel each.

    Args:
        hints: in pixels of the photograph and CIE units; of two in one small pixel the later one counts.
        full: height and width of the photograph.
        size: height and width of the small picture.

    Returns:
        (1, 3, h, w).

    Raises:
        ValueError: a hint outside of the photograph, or an a or b outside of -128 to 127.
    """
    drawn = torch.zeros(1, 3, *size)
    for hint in hints:
        x, y, a, b = hint
        if not (0 <= x < full[1] and 0 <= y < full[0]):
            raise ValueError(
                f"a hint at x={x}, y={y} lies outside of the photograph of {full[1]} x {full[0]} pixels"
            )
        if not (-128 <= a <= 127 and -128 <= b <= 127):
            raise ValueError(f"a hint has a={a}, b={b}; both are CIE units from -128 to 127")
        row, column = int(y * size[0] / full[0]), int(x * size[1] / full[1])
        drawn[0, :, row, column] = torch.tensor([1.0, a / color.AB_SCALE, b / color.AB_SCALE])
    return drawn


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
