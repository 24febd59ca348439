"""A photograph in, a colour photograph of the same size out.

    photograph -> small L (+ hints, z) -> generator -> small ab -> upsampling guided by L -> L + ab -> colour photograph

The generator sees the photograph at a render size (`Colorizer.sketch`); the rest, at full size, is in `render`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib import color
from colorlib.color import bins
from colorlib.colorizer.hints import Hint, Suggestion, draw_hints, plausible, surfaces
from colorlib.colorizer.render import Sketch, render, render_shape, small_L
from colorlib.colorizer.settings import DECODES, Settings, check_render_size
from colorlib.generators import Generator, Prediction
from colorlib.training.weights import load_generator, save_weights, shipped

if TYPE_CHECKING:
    from colorlib.photos import Photo

RENDER_SIZE = 256
SIBLING = "l1.safetensors"


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
        sibling: the colorizer that `adversarial` below 1 mixes in: the same network trained without a critic.

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
        sibling: Colorizer | None = None,
    ) -> None:
        self.render_size, self.sibling = check_render_size(render_size), sibling
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
        """A colorizer from a weights file: network, weights and render size, and the sibling from the l1.safetensors beside it.

        Args:
            path: a .safetensors file that `save` or a training run wrote; None takes the weights that came with colorlib.
            device: None takes the best one here.

        Raises:
            ValueError: no such file, or not one of ours.
        """
        from colorlib.runtime import device as best_device

        path = Path(shipped() if path is None else path)
        generator, metadata = load_generator(path)
        text = metadata.get("render_size", str(RENDER_SIZE))
        if not text.isdecimal():
            raise ValueError(f"{path}: its render_size is {text!r}; it must be a whole number of pixels")
        beside = path.with_name(SIBLING)
        sibling = cls.load(beside, device) if beside.is_file() and path.name != SIBLING else None
        return cls(generator, int(text), device or best_device(), metadata, sibling)

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
        render_size: int | None = None,
        decode: str = "default",
        variant: int = 0,
        hints: Sequence[Hint] | None = None,
        adversarial: float = 1.0,
        guidance: float = 1.0,
        saturation: float = 1.0,
        warmth: float = 0.0,
        blend: float = 1.0,
        progress: Callable[[float], None] | None = None,
    ) -> Tensor:
        """Colour one photograph. Its L is kept; a colour that sRGB cannot show at that L is made paler.

        Args:
            photo: uint8 (3, H, W), grey or colour (its L alone is used); or a Photo; or a path.
            progress: told the share that is done, 0 to 1, again and again.
            The others: see `settings.Settings`.

        Returns:
            uint8 (3, H, W), on the CPU.

        Raises:
            ValueError: a bad argument.
            PhotoError: (a ValueError) the path is no photograph that can be opened.
            ColorizerError: see `predict`.
        """
        settings = Settings(render_size, decode, variant, tuple(hints or ()), adversarial, guidance, saturation, warmth, blend)
        rgb = _rgb_of(photo)
        sketch = self.sketch(rgb, settings)
        with torch.inference_mode(), _memory_for(rgb.shape[-2:]):
            return render(rgb, sketch, settings, progress)

    def sketch(self, photo: Tensor | Photo | str | Path, settings: Settings) -> Sketch:
        """The part of `colorize` that needs the network; `render.render` is the rest.

        Args:
            settings: of them render_size, decode, variant, hints and adversarial.

        Raises:
            ValueError, ColorizerError: as `colorize`.
        """
        z = self._z(settings.decode, settings.variant)
        if settings.adversarial < 1 and self.sibling is None:
            raise ValueError(f"adversarial is {settings.adversarial}, but these weights have no sibling ({SIBLING} beside "
                             "them): leave adversarial at 1")
        rgb = _rgb_of(photo)
        full = rgb.shape[-2:]
        size = render_shape(*full, self.render_size if settings.render_size is None else settings.render_size)
        marks = draw_hints(settings.hints, full, size) if settings.hints else None
        with torch.inference_mode(), _memory_for(full):
            L = small_L(rgb, size).to(self.device)
            told = [] if marks is None else surfaces(L, marks.to(L))
            ab = self._answer(L, told, z)
            if settings.adversarial < 1:
                ab = torch.lerp(self.sibling._answer(L, told, self.sibling.z["default"]), ab, settings.adversarial)
            return Sketch(L, ab, settings.hints, tuple(full))

    def _answer(self, L: Tensor, told: list[tuple[Tensor, Tensor]], z: Tensor) -> Tensor:
        """The colours without hints, and on each surface those that its own hints make of it (see `hints.surfaces`)."""
        ab = self._generate(L, None, z).ab.float()
        if not told:
            return ab
        changes = [near * (self._generate(L, marks, z).ab.float() - ab) for marks, near in told]
        return ab + sum(changes) / sum(near for _, near in told).clamp(min=1)

    def _z(self, decode: str, variant: int) -> Tensor:
        if variant == 0:
            return self.z[decode]
        if not len(self.z[decode]):
            raise ValueError(f"variant is {variant}, but this generator gives one colouring (its z_channels is 0): "
                             "leave variant at 0, or load weights with z")
        z = torch.randn(len(self.z[decode]), generator=torch.Generator().manual_seed(variant))
        num_codes = self.generator.config.get("num_codes") or len(z)
        return torch.cat([z[:num_codes], self.z["default"][num_codes:]])  # what follows the codes selects the mean answer

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
            said = self._generate(small_L(rgb, size), marks, self.z["mean"])
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


def _rgb_of(photo: Tensor | Photo | str | Path) -> Tensor:
    if isinstance(photo, str | Path):
        from colorlib.photos import read_photo

        photo = read_photo(photo)
    rgb = photo if isinstance(photo, Tensor) else photo.rgb
    if rgb.dtype != torch.uint8 or rgb.ndim != 3 or rgb.shape[0] != 3 or rgb.numel() == 0:
        raise ValueError(
            f"the photograph is {rgb.dtype} of shape {tuple(rgb.shape)}; required is uint8 (3, H, W): "
            "repeat a single grey channel three times, convert floats by (rgb * 255).round().to(torch.uint8)"
        )
    return rgb.cpu()


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
