"""colorlib.color against scikit-image, against its own float64 equations, and on inputs of every shape."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from colorlib import color
from colorlib.color import equations, fast


def _bytes(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def _cube(step: int) -> Tensor:
    """Return every step-th 8-bit colour, the darkest (the curves' knees) and all greys, as (3, 1, N)."""
    axis, dark = torch.cat([torch.arange(0, 255, step), torch.tensor([255])]), torch.arange(14)
    greys = torch.arange(256).expand(3, 256).T
    colours = [torch.cartesian_prod(axis, axis, axis), torch.cartesian_prod(dark, dark, dark), greys]
    return torch.cat(colours).T.to(torch.uint8).unsqueeze(1)


def _wild_lab(*shape: int, seed: int = 0) -> Tensor:
    """Return Lab colours of which most are outside the gamut: (*shape, 3, 40, 41)."""
    unit = torch.rand(*shape, 3, 40, 41, generator=torch.Generator().manual_seed(seed))
    size, low = torch.tensor([100.0, 256.0, 256.0]), torch.tensor([0.0, -128.0, -128.0])
    return unit * size[:, None, None] + low[:, None, None]


def _last(x: Tensor) -> np.ndarray:
    return x.movedim(-3, -1).numpy()


def test_lab_agrees_with_scikit_image_over_the_cube():
    rgb = _cube(7)
    reference = skimage.color.rgb2lab(_last(rgb))
    assert np.abs(_last(color.rgb_to_lab(rgb)) - reference).max() < 0.01
    assert np.abs(_last(color.rgb_to_lab(rgb.double() / 255)) - reference).max() < 0.01
    assert np.abs(_last(color.rgb_to_lab(rgb.float() / 255)) - reference).max() < 0.01


def test_rgb_agrees_with_scikit_image_inside_the_gamut():
    lab = torch.from_numpy(skimage.color.rgb2lab(_last(_cube(11)))).movedim(-1, -3)
    reference = skimage.color.lab2rgb(_last(lab))
    assert np.abs(_last(color.lab_to_rgb(lab)) - reference).max() < 5e-4


def test_every_sampled_colour_comes_back():
    rgb = _cube(5)
    lab = color.rgb_to_lab(rgb)
    for back in (
        color.lab_to_rgb8(lab),
        color.lab_to_rgb8(lab, fit=True),
        color.L_ab_to_rgb8(*color.rgb_to_L_ab(rgb)),
        (color.lab_to_rgb(lab) * 255).round().to(torch.uint8),
    ):
        assert torch.equal(back, rgb)


@pytest.mark.parametrize("fit", [False, True])
def test_fast_8_bit_road_is_the_slow_one_rounded(fit: bool):
    lab = _wild_lab(4)
    slow = color.lab_to_rgb(color.fit_gamut(lab.double()) if fit else lab.double()) * 255
    fast = color.lab_to_rgb8(lab, fit=fit)
    # the encoding table may put a value within 0.06 of a half on the other side
    assert (fast - slow.clamp(0, 255)).abs().max() < 0.56
    assert (fast != slow.round().clamp(0, 255)).float().mean() < 0.01


def test_greys_have_no_colour_and_keep_their_lightness():
    grey = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    lab = color.rgb_to_lab(grey)
    assert lab[1:].abs().max() < 0.002
    assert lab[0].min() == 0 and lab[0].max() == pytest.approx(100, abs=1e-4) and lab[0].max() <= 100
    assert torch.equal(color.rgb_to_grey(grey), grey)
    photo = _cube(15)
    made = color.rgb_to_grey(photo)
    assert torch.equal(made[0], made[1]) and torch.equal(made[1], made[2])
    # half an 8-bit step of grey is at most 0.2 of L, the table adds a tenth
    assert (color.rgb_to_lab(made)[0] - color.rgb_to_lab(photo)[0]).abs().max() < 0.3


def test_scaling_is_fifty_and_one_hundred_and_ten():
    lab = torch.tensor([50.0, 110.0, -55.0]).view(3, 1, 1)
    L, ab = color.normalize(lab)
    assert L.flatten().tolist() == [0.0] and ab.flatten().tolist() == [1.0, -0.5]
    assert torch.equal(color.denormalize(L, ab), lab)
    rgb = _bytes(2, 3, 9, 7)
    L, ab = color.rgb_to_L_ab(rgb)
    assert torch.allclose(color.denormalize(L, ab), color.rgb_to_lab(rgb), atol=1e-4)
    assert torch.allclose(color.rgb_to_L(rgb), L, atol=1e-6) and color.rgb_to_L(rgb).shape == (2, 1, 9, 7)
    wild = color.normalize(_wild_lab(1))
    scaled, plain = color.L_ab_to_rgb8(*wild), color.lab_to_rgb8(color.denormalize(*wild))
    assert (scaled.int() - plain.int()).abs().max() <= 1


def test_fitted_colours_keep_L_and_hue_and_reach_the_boundary():
    lab = _wild_lab(3).double()
    fitted = color.fit_gamut(lab)
    rgb, was = color.lab_to_rgb(fitted), color.lab_to_rgb(lab)
    assert torch.equal(fitted[:, 0], lab[:, 0])
    assert rgb.min() > -1e-6 and rgb.max() < 1 + 1e-6
    outside = ((was < 0) | (was > 1)).any(1)
    assert 0.3 < outside.float().mean() < 1
    assert torch.equal(fitted.movedim(1, -1)[~outside], lab.movedim(1, -1)[~outside])
    # moved colours end on the boundary: not one step too far
    on_boundary = (rgb.amin(1) < 1e-6) | (rgb.amax(1) > 1 - 1e-6)
    assert on_boundary[outside].all()
    # in linear light grey, fitted and original lie on one line: differences of channels keep their ratios
    light, light_was = equations.linear(rgb), torch.einsum("ij,bjhw->bihw", equations.RGB_FROM_XYZ, equations.xyz(lab))
    short, long = light[:, 0:2] - light[:, 1:3], light_was[:, 0:2] - light_was[:, 1:3]
    assert (short[:, 0] * long[:, 1] - short[:, 1] * long[:, 0]).abs().max() < 1e-6
    assert torch.allclose(color.fit_gamut(fitted), fitted, atol=1e-4)


def test_fitting_keeps_the_8_bit_lightness_where_clipping_does_not():
    lab = _wild_lab(2)
    lab[:, 0].clamp_(20, 98)
    kept = (color.rgb_to_lab(color.lab_to_rgb8(lab, fit=True))[:, 0] - lab[:, 0]).abs()
    lost = (color.rgb_to_lab(color.lab_to_rgb8(lab))[:, 0] - lab[:, 0]).abs()
    assert kept.max() < 0.5 and lost.max() > 5


def test_lightness_outside_the_range_is_kept_without_colour():
    lab = torch.tensor([[-5.0, 3.0, 3.0], [120.0, 3.0, 3.0]]).T.unsqueeze(1)
    fitted = color.fit_gamut(lab)
    assert torch.equal(fitted[0], lab[0]) and fitted[1:].abs().max() < 1e-3
    assert color.lab_to_rgb8(lab, fit=True).flatten().tolist() == [0, 255] * 3


def test_gradients_are_right_and_finite_everywhere():
    rgb = torch.rand(2, 3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05
    lab = color.rgb_to_lab(rgb)
    assert torch.autograd.gradcheck(color.rgb_to_lab, rgb.requires_grad_())
    assert torch.autograd.gradcheck(color.lab_to_rgb, lab.requires_grad_())
    wild = _wild_lab(1)[:, :, :2, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(color.fit_gamut, wild)
    knees = [0.0, 1.0, 0.04045, 0.0031308 * 12.92, 0.99999, -0.1, 1.2, equations.KNEE**3]
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(knees, dtype=dtype).expand(3, 1, -1).clone().requires_grad_()
        y = color.rgb_to_lab(x).detach().requires_grad_()
        for function, value in ((color.rgb_to_lab, x), (color.lab_to_rgb, y), (color.fit_gamut, y)):
            (gradient,) = torch.autograd.grad(function(value).sum(), value)
            assert gradient.isfinite().all()
        (gradient,) = torch.autograd.grad(color.rgb_to_lab(x)[0].sum(), x)
        assert (gradient.sum(0)[0] > 50).all()  # black too pulls: L grows with light everywhere


@settings(max_examples=60, deadline=None)
@given(
    batch=st.lists(st.integers(0, 3), max_size=2),
    height=st.integers(0, 9),
    width=st.integers(0, 9),
    layout=st.sampled_from(["plain", "channels last", "crop", "strided", "transposed", "expanded"]),
    tile=st.sampled_from([1, 2, 7, 16, 32768]),
)
def test_any_batch_layout_and_tile(batch: list[int], height: int, width: int, layout: str, tile: int):
    rgb = _bytes(*batch, 3, height, width)
    if layout == "channels last":
        rgb = rgb.movedim(-3, -1).contiguous().movedim(-1, -3)
    elif layout == "crop":
        rgb = _bytes(*batch, 3, height + 3, width + 2)[..., 1 : height + 1, 2:]
    elif layout == "strided":
        rgb = _bytes(*batch, 5, height * 2, width * 3)[..., 1:4, ::2, ::3]
    elif layout == "transposed":
        rgb = _bytes(*batch, 3, width, height).transpose(-1, -2)
    elif layout == "expanded":
        rgb = _bytes(*batch, 1, height, width).expand(*batch, 3, height, width)
    before, usual = rgb.clone(), fast._TILE
    fast._TILE = tile
    try:
        lab = color.rgb_to_lab(rgb)
        L, ab = color.normalize(lab)
        assert lab.shape == rgb.shape and lab.dtype == torch.float32
        assert color.rgb_to_L(rgb).shape == L.shape
        assert torch.allclose(lab, color.rgb_to_lab(rgb.double() / 255).float(), atol=0.003)
        assert torch.allclose(color.rgb_to_L(rgb), L, atol=1e-6)
        other_layout = lab.transpose(-1, -2).contiguous().transpose(-1, -2)
        fitted = color.lab_to_rgb8(other_layout, fit=True)
        for back in (color.lab_to_rgb8(lab), fitted, color.L_ab_to_rgb8(L, ab)):
            assert back.shape == rgb.shape and torch.equal(back, rgb)
        assert torch.allclose(color.fit_gamut(other_layout), lab, atol=0.02)
        assert color.rgb_to_grey(rgb).shape == rgb.shape
    finally:
        fast._TILE = usual
    assert torch.equal(rgb, before)


def test_more_threads_give_the_same_numbers():
    rgb, threads = _bytes(3, 301, 407), torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append((color.rgb_to_lab(rgb), color.lab_to_rgb8(_wild_lab(30)), color.rgb_to_L(rgb)))
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(*found):
        assert torch.equal(one, two)


def test_the_fast_road_runs_in_every_grad_mode_and_leaves_the_threads_alone():
    rgb, threads = _bytes(2, 3, 200, 301), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            inside = color.rgb_to_lab(rgb)
            scaled = color.normalize(color.fit_gamut(inside))
            back = color.lab_to_rgb8(inside, fit=True), color.L_ab_to_rgb8(*scaled)
        with torch.no_grad():
            assert not color.fit_gamut(inside.clone().requires_grad_()).requires_grad
        assert torch.equal(color.lab_to_rgb8(inside), rgb)
        assert torch.equal(inside, color.rgb_to_lab(rgb)) and all(torch.equal(b, rgb) for b in back)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_fast_road_runs_under_autograd_and_half_precision():
    lab = color.rgb_to_lab(_bytes(1, 3, 8, 8)).requires_grad_()
    assert not color.lab_to_rgb8(lab).requires_grad and not color.lab_to_rgb8(lab, fit=True).requires_grad
    L, ab = color.normalize(lab)
    assert color.L_ab_to_rgb8(L, ab.to(torch.bfloat16)).shape == (1, 3, 8, 8)
    assert color.lab_to_rgb8(lab.double()).dtype == torch.uint8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: color.rgb_to_lab(_bytes(8, 8, 3)), ["(8, 8, 3)", "movedim(-1, -3)"]),
        (lambda: color.rgb_to_lab(_bytes(8, 8)), ["(8, 8)", "(..., 3, H, W)"]),
        (lambda: color.rgb_to_lab(_bytes(3, 8, 8).int()), ["int32", "float()", "uint8"]),
        (lambda: color.rgb_to_L(_bytes(1, 8, 8)), ["(1, 8, 8)"]),
        (lambda: color.rgb_to_lab(np.zeros((3, 4, 4))), ["ndarray", "as_tensor"]),
        (lambda: color.lab_to_rgb(_bytes(3, 8, 8)), ["lab is uint8", "lab.float()"]),
        (lambda: color.lab_to_rgb8(_bytes(3, 8, 8)), ["lab is uint8"]),
        (lambda: color.fit_gamut(torch.zeros(2, 4, 4)), ["(2, 4, 4)"]),
        (lambda: color.normalize(torch.zeros(2, 4, 4)), ["(2, 4, 4)"]),
        (lambda: color.denormalize(torch.zeros(1, 4, 4), torch.zeros(2, 4, 5)), ["(1, 4, 4)", "(2, 4, 5)"]),
        (lambda: color.L_ab_to_rgb8(torch.zeros(1, 4, 4), torch.zeros(3, 4, 4)), ["ab has shape (3, 4, 4)"]),
        (lambda: color.lab_to_rgb8(torch.full((3, 4, 4), float("nan"))), ["finite"]),
        (lambda: color.lab_to_rgb8(torch.full((3, 4, 4), float("inf"))), ["finite"]),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(call, words: list[str]):
    with pytest.raises(ValueError) as error:
        call()
    for word in words:
        assert word in str(error.value)


class _Storages(TorchDispatchMode):
    """Adds up the memory of every storage that an operation hands out."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if isinstance(result, Tensor):
            storage = result.untyped_storage()
            self.bytes[storage.data_ptr()] = storage.nbytes()
        return result


@pytest.mark.parametrize("fit", [False, True])
def test_a_big_photograph_costs_its_result_and_little_more(fit: bool):
    rgb, threads = _bytes(1000, 1200, 3).permute(2, 0, 1), torch.get_num_threads()
    torch.set_num_threads(1)  # the mode sees its own thread alone
    try:
        with _Storages() as forth:
            lab = color.rgb_to_lab(rgb)
        with _Storages() as back:
            color.lab_to_rgb8(lab, fit=fit)
    finally:
        torch.set_num_threads(threads)
    # beyond Lab (4 bytes a value) and the 8-bit photograph nothing is as large as the 8-bit photograph
    for used, own in ((forth, 4 * rgb.numel()), (back, rgb.numel())):
        sizes = [size for size in used.bytes.values() if size not in (4 * rgb.numel(), rgb.numel())]
        assert own in used.bytes.values() and max(sizes) < rgb.numel()
