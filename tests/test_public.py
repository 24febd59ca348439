"""The public functions with whatever a caller may pass: a right answer, or a ValueError, and nothing else.

Any shape, dtype, memory layout, requires_grad, NaN, an empty batch, arrays of numpy, images of Pillow. The oracle of a
right answer is the same call with the same numbers in plain memory; where an answer must be finite, it is checked.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from colorlib import color, losses, metrics, photos
from colorlib.color import bins
from colorlib.colorizer import Colorizer, Settings
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.generators import ResidualUNet, UNet

DTYPES = (torch.uint8, torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float32, torch.float64,
          torch.complex64)
CHANNELS = (0, 1, 2, 2, 3, 3, 3, 4)


@st.composite
def tensors(draw, batch: int | None = None, size: tuple[int, int] | None = None) -> Tensor:
    """A tensor (..., C, H, W), more often than not of a useful shape, in any dtype, layout and state."""
    dtype, seed = draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**20))
    height, width = size or (draw(st.sampled_from((0, 1, 2, 7, 16))), draw(st.sampled_from((1, 3, 16))))
    leading = draw(st.sampled_from(((), (), (0,), (1,), (2,), (2, 1)))) if batch is None else (batch,)
    shape = [*leading, draw(st.sampled_from(CHANNELS)), height, width]
    shape = draw(st.sampled_from((shape, shape, shape, shape, shape[:1], shape[1:], [])))
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * draw(st.sampled_from((1, 1, 100, 255, 1e30)))
    if dtype.is_floating_point and values.numel() and draw(st.integers(0, 4)) == 0:
        values.view(-1)[0] = draw(st.sampled_from((float("nan"), float("inf"), -float("inf"), -1e30)))
    values = values.clamp(0, 255).to(dtype) if dtype in (torch.uint8, torch.int64, torch.bool) else values.to(dtype)
    layout = draw(st.sampled_from(("plain", "turned", "strided", "expanded", "mirrored")))
    if layout == "turned" and values.ndim > 1:
        values = values.transpose(-1, -2).contiguous().transpose(-1, -2)
    elif layout == "strided" and values.ndim:
        values = torch.stack([values, values], -1)[..., 0]
    elif layout == "expanded" and values.ndim > 2 and values.shape[-3]:
        values = values[..., :1, :, :].expand(values.shape)
    elif layout == "mirrored" and values.ndim:
        values = values.flip(-1).flip(-1)
    if dtype.is_floating_point and draw(st.booleans()):
        values.requires_grad_() if values.is_leaf else None
    return values


@st.composite
def anything(draw) -> object:
    """A tensor; sometimes its array, an image, or no picture at all."""
    tensor = draw(tensors())
    other = draw(st.integers(0, 9))
    if other == 0 and tensor.dtype is not torch.bfloat16:
        return tensor.detach().resolve_conj().numpy()
    if other == 1:
        return draw(st.sampled_from((None, "text.png", [1, 2], 3.5, Image.new("L", (5, 4)), Image.new("RGBA", (5, 4)))))
    return tensor


def plain(value: object) -> object:
    """The same numbers in new memory, without a gradient."""
    return value.detach().clone(memory_format=torch.contiguous_format) if isinstance(value, Tensor) else value


def flat(result: object) -> list[Tensor]:
    """All tensors of a result."""
    if isinstance(result, Tensor):
        return [result.detach()]
    if isinstance(result, tuple | list):
        return [part for one in result for part in flat(one)]
    return [] if result is None else [torch.tensor(float(result))]


def right_or_refused(function, arguments: tuple, tolerance: float = 1e-3) -> None:
    try:
        result = flat(function(*arguments))
    except ValueError:
        return
    expected = flat(function(*map(plain, arguments)))
    assert len(result) == len(expected)
    for ours, theirs in zip(result, expected):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        if ours.is_floating_point():
            assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
        else:
            assert torch.equal(ours, theirs)


def many(examples: int):
    return settings(max_examples=examples, deadline=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


ONE = [color.rgb_to_lab, color.lab_to_rgb, color.lab_to_rgb8, color.normalize, color.rgb_to_L_ab, color.rgb_to_L,
       color.fit_gamut, color.rgb_to_grey, metrics.colourfulness, bins.encode, losses.Vanilla().generator,
       losses.Wasserstein().generator, lambda rgb: len(photos.encode_photo(rgb, "PNG"))]
TWO = [color.denormalize, color.L_ab_to_rgb8, metrics.psnr, metrics.ssim, metrics.auc, metrics.delta_e, losses.l1,
       losses.Vanilla().discriminator, losses.Wasserstein().discriminator, metrics.sliced_wasserstein, bins.cross_entropy]


@pytest.mark.parametrize("function", ONE, ids=lambda function: getattr(function, "__qualname__", "?"))
@many(60)
@given(value=anything())
def test_functions_of_one_picture(function, value):
    right_or_refused(function, (value,))


@pytest.mark.parametrize("function", TWO, ids=lambda function: getattr(function, "__qualname__", "?"))
@many(60)
@given(first=anything(), second=anything(), same=st.booleans())
def test_functions_of_two_pictures(function, first, second, same):
    right_or_refused(function, (first, first if same else second))


NETWORKS = {"unet": UNet(base_channels=4, levels=2, dropout=0.0).eval(), "residual": ResidualUNet().eval(),
            "patch": PatchDiscriminator(receptive_field=16, base_channels=4).eval(),
            "critic": Critic(receptive_field=16, base_channels=4).eval()}


@pytest.mark.parametrize("name", NETWORKS)
@many(40)
@given(first=anything(), second=anything())
def test_networks(name, first, second):
    arguments = (first,) if name in ("unet", "residual") else (first, second)
    right_or_refused(NETWORKS[name], arguments, tolerance=0.05)


@many(40)
@given(condition=st.one_of(st.none(), tensors(2, (16, 16))), real=tensors(2, (16, 16)), fake=tensors(2, (16, 16)))
def test_the_gradient_penalty(condition, real, fake):
    def penalty(condition, real, fake):
        return losses.gradient_penalty(NETWORKS["critic"], condition, real, fake, generator=torch.Generator().manual_seed(0))

    right_or_refused(penalty, (condition, real, fake), tolerance=0.05)


COLORIZER = Colorizer(UNet(base_channels=4, levels=2, dropout=0.0), render_size=16)


@many(80)
@given(value=anything())
def test_the_colorizer(value):
    try:
        result = COLORIZER.colorize(value)
    except ValueError:
        return
    assert result.dtype == torch.uint8 and result.shape[0] == 3 and result.ndim == 3
    if isinstance(value, Tensor):
        assert torch.equal(result, COLORIZER.colorize(plain(value)))


@many(40)
@given(value=anything(), x=st.one_of(st.integers(-3, 20), st.floats(), st.none()), hints=st.one_of(st.none(), st.just([(1, 2)])))
def test_what_the_colorizer_knows_of_a_point(value, x, hints):
    for call in (lambda: COLORIZER.suggest(value, x, 1, hints=hints), lambda: COLORIZER.uncertainty(value, hints)):
        with pytest.raises(ValueError):   # this network has no distribution
            call()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_pictures_of_pillow_and_numpy(mode):
    image = Image.radial_gradient("L").resize((33, 21))
    image = image.convert("RGB").convert(mode) if mode != "I;16" else Image.fromarray(np.asarray(image).astype("u2") * 257)
    expected = COLORIZER.colorize(np.asarray(photos.to_srgb(image)))
    assert torch.equal(COLORIZER.colorize(image), expected) and expected.shape == (3, 21, 33)
    grey = np.asarray(image.convert("L") if mode != "I;16" else image) // (257 if mode == "I;16" else 1)
    grey = grey.astype(np.uint8)
    assert torch.equal(COLORIZER.colorize(grey), COLORIZER.colorize(np.stack([grey] * 3, -1)))
    assert torch.equal(COLORIZER.colorize(grey[::-1, ::2]), COLORIZER.colorize(grey[::-1, ::2].copy()))


@many(100)
@given(values=st.fixed_dictionaries({}, optional={
    name: st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3),
                    st.floats(0, 1, width=32).map(np.float32), st.integers(0, 300).map(np.int64)) for name in Settings.__dataclass_fields__}))
def test_settings_of_any_value(values):
    try:
        chosen = Settings(**values)
    except ValueError:
        return
    assert Settings.from_json(chosen.to_json()) == chosen
