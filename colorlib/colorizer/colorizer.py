"""A photograph in, a colour photograph of the same size out: `Colorizer.sketch` takes it at a small render size through
the generator; what follows at full size is in `render`."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colorlib import color, runtime
from colorlib.checks import need_photo
from colorlib.color import bins
from colorlib.colorizer.hints import Hint, Marks, Suggestion, Surface, follow, place_hints, plausible, spread, weights_of
from colorlib.colorizer.render import Sketch, even_out, move_apart, render, render_shape, small_L, structure
from colorlib.colorizer.settings import DECODES, Settings, check_render_size, is_number
from colorlib.generators import Generator, Prediction, evaluating
from colorlib.photos import Photo, read_photo, to_srgb
from colorlib.training.palette import predicted_ratio
from colorlib.training.weights import load_generator, save_weights, shipped

RENDER_SIZE = 256
VARIANTS, DRAWS, VARIANT_SIZE = 6, 24, 64  # colourings that differ, of DRAWS draws, compared at this short side
SIBLING = "l1.safetensors"
SMALLEST = 64  # pixels: the render size below which short memory is an error
REMEMBERED = 24  # answers of the generator, 2 MB each at the shipped weights' render size
Picture = Tensor | np.ndarray | Image.Image | Photo | str | Path


class ColorizerError(RuntimeError):
    """The photograph could not be coloured: not enough memory, or a generator that returns no numbers."""


class MemoryShort(ColorizerError):
    """There is not enough memory."""


class Colorizer:
    """Colours photographs of any size with a generator, which is called in evaluation mode and without gradients.

    Args:
        generator: takes L, gives ab.
        render_size: short side, in pixels, of the picture that the generator sees (see `render_shape`).
        device: where to compute; the generator is moved there. None: where the generator is.
        metadata: text entries that `save` writes with the weights:
            "z_mean", "z_default": JSON lists, the z of the two ways of decoding, else 0; "z_std": its deviation in other
            colourings, else 1;
            "mirrored": with "yes" an answer is the mean of those to the picture and its mirror image: slower, steadier;
            "contrast": a JSON list of one exponent: the default's colours get `render.move_apart` by this power of how many
            times as colourful as the mean answer the generator expects the photograph (`palette.predicted_ratio`);
            "even": a JSON list of `reach` and `edge` of `render.even_out`, which every answer's ab goes through;
            "large_render_size": the render size of photographs whose short side has at least as many pixels.
        sibling: the colorizer that `adversarial` below 1 mixes in: the same network trained without a critic.

    Example:
        >>> colorizer = Colorizer.load()  # the weights that came with colorlib
        >>> rgb = colorizer.colorize("grandmother.jpg")  # uint8 (3, H, W)
    """

    def __init__(self, generator: Generator, render_size: int = RENDER_SIZE, device: torch.device | str | None = None,
                 metadata: dict[str, str] | None = None, sibling: "Colorizer | None" = None) -> None:
        self.render_size, self.sibling = check_render_size(render_size), sibling
        parameter = next(generator.parameters(), None)
        self.device = torch.device(device or (parameter.device if parameter is not None else "cpu"))
        self.generator = generator.to(self.device)
        self.metadata = dict(metadata or {})
        channels = self.generator.config.get("z_channels", 0)
        self.z = {decode: torch.tensor(self._numbers(f"z_{decode}", [0.0] * channels)) for decode in DECODES}
        self.z_std = torch.tensor(self._numbers("z_std", [1.0] * channels))
        self.mirrored = self.metadata.get("mirrored") == "yes"
        self.even = self._numbers("even", [1.0] * 2, 0, 10) if "even" in self.metadata else None
        self.contrast = self._numbers("contrast", [1.0], 0, 10)[0] if "contrast" in self.metadata else None
        if self.contrast and not self.generator.config.get("num_codes"):
            raise ValueError("the metadata has contrast, but this generator predicts no colourfulness (its num_codes is 0): "
                             "leave contrast out")
        text = self.metadata.get("large_render_size")
        if text is not None and not (text.isdecimal() and int(text) >= self.render_size):
            raise ValueError(f"the metadata's large_render_size is {text!r}; it must be a whole number of pixels, at least "
                             f"{self.render_size}, the render size")
        self.large_render_size = None if text is None else int(text)
        self.warn: Callable[[str], None] = warnings.warn  # gets a sentence where a smaller render size was taken
        self._last: list[Tensor] = []  # L of the last photograph with variants, and their z; copies share it
        self._known: dict[tuple, Prediction] | None = None  # what `remembering` keeps, the latest last

    def _numbers(self, name: str, missing: list[float], low: float = -1e9, high: float = 1e9) -> list[float]:
        """As many numbers as `missing` has, from the metadata."""
        text = self.metadata.get(name, json.dumps(missing))
        try:
            numbers = [float(number) for number in json.loads(text)]
        except (TypeError, ValueError, OverflowError, RecursionError):
            numbers = []
        if len(numbers) != len(missing) or not all(low < number < high for number in numbers):
            raise ValueError(f"the metadata's {name} is {text!r}; it must be a JSON list of {len(missing)} "
                             f"numbers above {low:g} and below {high:g}")
        return numbers

    def own_render_size(self, height: int, width: int) -> int:
        """The render size for a photograph of this size where the settings give none: the larger one where the
        photograph need not be enlarged for it."""
        large = self.large_render_size
        return large if large is not None and min(height, width) >= large else self.render_size

    @classmethod
    def load(cls, path: str | Path | None = None, device: torch.device | str | None = None) -> "Colorizer":
        """A colorizer from a .safetensors file that `save` or a training run wrote, else ValueError, and its sibling from
        the l1.safetensors in its folder. None: the weights that came with colorlib, the best device here."""
        path = Path(shipped() if path is None else path)
        generator, metadata = load_generator(path)
        text = metadata.get("render_size", str(RENDER_SIZE))
        if not text.isdecimal():
            raise ValueError(f"{path}: its render_size is {text!r}; it must be a whole number of pixels")
        beside = path.with_name(SIBLING)
        sibling = cls.load(beside, device) if beside.is_file() and path.name != SIBLING else None
        return cls(generator, int(text), device or runtime.device(), metadata, sibling)

    def save(self, path: str | Path) -> None:
        """Write generator, render size and metadata to one .safetensors file."""
        save_weights(path, self.generator, {**self.metadata, "render_size": str(self.render_size)})

    def remembering(self) -> "Colorizer":
        """The same colorizer, which remembers its generator's latest answers: a new hint then needs the generator for its
        own surface alone. The weights must not change meanwhile."""
        other = copy(self)
        other._known, other.sibling = {}, self.sibling and self.sibling.remembering()
        other.generator = self.generator.remembering()
        return other

    def _generate(self, L: Tensor, hints: Tensor | None, z: Tensor) -> Prediction:
        if self._known is None:
            return self._computed(L, hints, z)
        key = _key(L, hints, z)
        self._known[key] = prediction = self._known.pop(key, None) or self._computed(L, hints, z)
        if len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return prediction

    def _computed(self, L: Tensor, hints: Tensor | None, z: Tensor) -> Prediction:
        with evaluating(self.generator), _memory_for(L.shape[-2:]):
            L, hints = L.to(self.device), None if hints is None else hints.to(self.device)
            given = z[None].to(self.device) if len(z) else None
            prediction = self.generator(L, hints=hints, z=given)
            if self.mirrored:
                other = self.generator(L.flip(3), hints=None if hints is None else hints.flip(3), z=given)
                back = (None if y is None else y.flip(3) if y.ndim == 4 else y for y in other)
                prediction = Prediction(*(None if x is None else (x + y) / 2 for x, y in zip(prediction, back)))
        ab, shape = prediction.ab, (1, 2, *L.shape[-2:])
        if ab.shape != shape:
            raise ColorizerError(f"the generator returned ab of shape {tuple(ab.shape)}, needed is {shape}: "
                                 "take the weights of a colorizer")
        if not torch.isfinite(ab).all():
            raise ColorizerError("the generator returned NaN or infinity, so there is no colour photograph: "
                                 "its weights are damaged or its training diverged, take others")
        if self.even:
            prediction = prediction._replace(ab=even_out(ab.float(), L, *self.even) * structure(L))
        if self.contrast and torch.equal(z, self.z["default"]):
            prediction = prediction._replace(ab=move_apart(prediction.ab.float(), predicted_ratio(prediction.code) ** self.contrast))
        return prediction

    def colorize(self, photo: Picture, settings: Settings | None = None, *,
                 progress: Callable[[float], None] | None = None, **options: object) -> Tensor:
        """Colour one photograph. Its L is kept; a colour that sRGB cannot show at that L is made paler.

        Args:
            photo: uint8 (3, H, W), grey or colour (its L alone is used), a Photo, a path, an image of Pillow, or a
                uint8 array of numpy, (H, W) or (H, W, 3).
            progress: called with the share that is done, 0 to 1, again and again.
            options: single settings by name, such as saturation=1.2.

        Returns uint8 (3, H, W), on the CPU.

        Raises:
            ValueError: a bad argument; PhotoError, a ValueError: the path is no photograph that can be opened.
            ColorizerError: the generator returned NaN, infinity or another shape, or memory is short.
        """
        settings, rgb = replace(settings or Settings(), **options), _rgb_of(photo)
        sketch = self.sketch(rgb, settings)
        with torch.inference_mode(), _memory_for(rgb.shape[-2:]):
            return render(rgb, sketch, settings, progress)

    def sketch(self, photo: Picture, settings: Settings, draft: bool = False) -> Sketch:
        """The part of `colorize` that needs the network; `render.render` is the rest. Errors as there. Where memory is
        short the render size is halved, down to SMALLEST, and `warn` says so.

        A `draft` does not wait for answers to hints that `remembering` does not know: they keep their own colours alone.
        """
        rgb = _rgb_of(photo)
        size = settings.render_size or self.own_render_size(*rgb.shape[-2:])
        while True:
            try:
                return self._sketch(rgb, replace(settings, render_size=size), draft)
            except MemoryShort:
                if size < 2 * SMALLEST:
                    raise
            before, size = size, size // 2  # after `except`, which holds all tensors
            self.warn(f"memory is too short for render size {before}: coloured at {size}")

    def _sketch(self, rgb: Tensor, settings: Settings, draft: bool) -> Sketch:
        if settings.adversarial < 1 and self.sibling is None:
            raise ValueError(f"adversarial is {settings.adversarial}, but these weights have no sibling ({SIBLING} beside "
                             "them): leave adversarial at 1")
        L, marks, full = self._seen(rgb, settings.hints, settings.render_size)
        with torch.inference_mode(), _memory_for(full):
            seen = self._seen(rgb, (), None)[0] if settings.variant else L  # variants are the same at every render size
            z = self._z(seen, settings.decode, settings.variant)
            plain, found = self._answers(L, marks, z, draft)
            ab, draft = plain.ab.float(), any(one.answer is plain for one in found)
            if settings.adversarial < 1:
                paler, of_sibling = self.sibling._answers(L, marks, self.sibling.z["default"], draft, plain)
                ab = torch.lerp(paler.ab.float(), ab, settings.adversarial)
                found = [one._replace(answer=one.answer._replace(ab=torch.lerp(
                    other.answer.ab.float(), one.answer.ab.float(), settings.adversarial)))
                    for one, other in zip(found, of_sibling)]
            ab, own, share = spread(ab, found) if found else (ab, None, None)
            return Sketch(L, ab, marks, full, own, share, draft)

    def _seen(self, rgb: Tensor, hints: Sequence[Hint], render_size: int | None) -> tuple[Tensor, Marks, tuple[int, int]]:
        """The small L (1, 1, h, w), the hints on it, and the photograph's height and width."""
        full = tuple(rgb.shape[-2:])
        size = render_shape(*full, self.own_render_size(*full) if render_size is None else render_size)
        marks = place_hints(hints, full, size)
        with torch.inference_mode(), _memory_for(full):
            return small_L(rgb, size).to(self.device), marks, full

    def _answers(self, L: Tensor, marks: Marks, z: Tensor, draft: bool = False,
                 by: Prediction | None = None) -> tuple[Prediction, list[Surface]]:
        """The generator's answers: without hints, and to the hints of each surface; for a draft those that are known.
        The surfaces are those of the answer `by`, None: of its own."""
        plain = self._generate(L, None, z)
        of = (by or plain).bins if marks.hints else None

        def answer(drawn: Tensor) -> Prediction:
            return plain if draft and _key(L, drawn, z) not in (self._known or {}) else self._generate(L, drawn, z)

        return plain, follow(L, marks, answer, None if of is None else of.float().softmax(1))

    def _z(self, L: Tensor, decode: str, variant: int) -> Tensor:
        if variant == 0:
            return self.z[decode]
        if not len(self.z[decode]):
            raise ValueError(f"variant is {variant}, but this generator gives one colouring (its z_channels is 0): "
                             "leave variant at 0, or load weights with z")
        return self._draw(variant) if variant > VARIANTS else self._variants(L)[variant - 1]

    def _draw(self, seed: int) -> Tensor:
        noise = torch.randn(len(self.z["default"]), generator=torch.Generator().manual_seed(seed))
        codes = self.generator.config.get("num_codes") or len(noise)  # what follows the codes selects the mean answer
        return torch.cat([(noise * self.z_std)[:codes], self.z["default"][codes:]])

    def _variants(self, L: Tensor) -> Tensor:
        """z of six colourings of one photograph that differ to the eye, (6, z_channels): of DRAWS draws those, one
        after the other, farthest from the default and each other (Gonzalez 1985, farthest-point clustering)."""
        if self._last and torch.equal(self._last[0], L):
            return self._last[1]
        z = torch.stack([self.z["default"], *(self._draw(seed) for seed in range(1, DRAWS + 1))])
        scale = min(1.0, VARIANT_SIZE / min(L.shape[-2:]))
        small = F.interpolate(L, [max(1, round(side * scale)) for side in L.shape[-2:]], mode="bilinear", antialias=True)
        ab = F.adaptive_avg_pool2d(torch.cat([self._computed(small, None, one).ab.float() for one in z]), 16)
        apart = (ab[:, None] - ab).square().sum(2).sqrt().mean((2, 3))  # (draws, draws)
        nearest, chosen = apart[0].clone(), []
        for _ in range(VARIANTS):
            chosen.append(int(nearest.argmax()))
            nearest = torch.minimum(nearest, apart[chosen[-1]])
        self._last[:] = L, z[chosen]  # the six are asked for one after the other
        return z[chosen]

    def _distribution(self, rgb: Tensor, hints: Sequence[Hint] | None,
                      render_size: int | None) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Probabilities (1, Q, h, w), the mean answer at their size (1, 2, h, w), and the photograph's size."""
        if not self.generator.config.get("num_bins", 0):
            raise ValueError("this generator predicts no distribution over ab (its num_bins is 0): load weights that do")
        L, marks, full = self._seen(rgb, hints or (), render_size)
        with torch.inference_mode(), _memory_for(full):
            plain, found = self._answers(L, marks, self.z["mean"])
            likely, ab = plain.bins.float().softmax(1), plain.ab.float()
            size = likely.shape[-2:]
            if found:
                weights = [F.interpolate(weight, size, mode="area") for weight in weights_of(found)]
                likely = likely + sum(weight * (one.answer.bins.float().softmax(1) - likely)
                                      for weight, one in zip(weights, found))
                ab, own, share = spread(ab, found)
                ab = torch.lerp(ab, own, share)
            return likely, F.interpolate(ab, size, mode="area"), full

    def uncertainty(self, photo: Picture, hints: Sequence[Hint] | None = None,
                    render_size: int | None = None) -> Tensor:
        """How wrong the mean decoding expects to be, (H, W) in CIE units: the mean distance between its answer and the
        colours of its distribution. Errors as in `colorize`; ValueError also for a generator without a distribution."""
        probabilities, ab, full = self._distribution(_rgb_of(photo), hints, render_size)
        expected = bins.expected_error(probabilities, ab)[:, None]
        return F.interpolate(expected, full, mode="bilinear")[0, 0].cpu()

    def suggest(self, photo: Picture, x: float, y: float, num: int = 5,
                hints: Sequence[Hint] | None = None, render_size: int | None = None) -> list[Suggestion]:
        """At most `num` plausible colours of the point (x, y), pixels, given the hints; the likeliest first, at least 15
        CIE units apart, each one a colour that sRGB has at the point's L. Errors as in `uncertainty`."""
        rgb = _rgb_of(photo)
        height, width = rgb.shape[-2:]
        if not (is_number(x) and is_number(y) and 0 <= x < width and 0 <= y < height):
            raise ValueError(f"the point x={x}, y={y} lies outside of the photograph of {width} x {height} pixels")
        if isinstance(num, bool) or not isinstance(num, int) or num < 1:
            raise ValueError(f"num is {num!r}; it must be a whole number from 1")
        probabilities, _, _ = self._distribution(rgb, hints, render_size)
        rows, columns = probabilities.shape[-2:]
        here = probabilities[0, :, int(y * rows / height), int(x * columns / width)].cpu()
        return plausible(here, float(color.rgb_to_lab(rgb[:, int(y) : int(y) + 1, int(x) : int(x) + 1])[0]), num)


def _key(*given: Tensor | None) -> tuple:
    return tuple(None if one is None else (one.shape, one.cpu().numpy().tobytes()) for one in given)


def _rgb_of(photo: Picture) -> Tensor:
    rgb = read_photo(photo).rgb if isinstance(photo, str | Path) else photo.rgb if isinstance(photo, Photo) else photo
    if isinstance(rgb, Image.Image):
        rgb = np.array(to_srgb(rgb))
    if isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and (rgb.ndim == 2 or rgb.ndim == 3 and rgb.shape[2] == 3):
        rgb = torch.from_numpy(np.atleast_3d(rgb).copy()).permute(2, 0, 1).expand(3, -1, -1)
    need_photo(rgb)
    return rgb.cpu()


@contextmanager
def _memory_for(size: tuple[int, int]) -> Iterator[None]:
    """Name what does not fit, instead of the allocator's words."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not runtime.is_out_of_memory(error):
            raise
        raise MemoryShort(f"not enough memory for {size[1]} x {size[0]} pixels: "
                          "take a smaller render size, or the CPU instead of the GPU") from error
