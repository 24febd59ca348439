"""The colorizer keeps L, keeps the aspect ratio, lets colours end at edges, and never returns grey for coloured."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from colorlib import color
from colorlib.color import bins
from colorlib.colorizer import Colorizer, ColorizerError, Hint, Settings, colorizer as colorizer_module, render as rendering
from colorlib.colorizer.hints import Surface, place_hints, spread
from colorlib.colorizer.render import render_shape, upsample_rows
from colorlib.generators import Generator, Prediction, UNet
from colorlib.photos import sample_photograph


class Says(Generator):
    """Returns what a function makes of L, and remembers how it was called."""

    def __init__(self, answer, hint_channels=0):
        super().__init__(1, hint_channels, 0)
        self.config = {"hint_channels": hint_channels}
        self.answer, self.told = answer, []
        self.inner = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))

    def predict_from(self, x):
        self.told.append(x[0, 1:])
        self.seen, self.modes = x, [module.training for module in self.modules()]
        self.without_gradients = torch.is_inference_mode_enabled()
        return Prediction(self.answer(x[:, :1]))


def flat(a, b):
    return lambda L: torch.tensor([a, b]).view(1, 2, 1, 1).expand(len(L), 2, *L.shape[-2:]) / 110


def wild(L):
    """Far outside of sRGB's gamut, and another colour at every pixel."""
    return torch.randn(len(L), 2, *L.shape[-2:], generator=torch.Generator().manual_seed(1))


def photo(height, width, seed=0):
    noise = torch.rand(1, 3, -(-height // 4), -(-width // 4), generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(noise, (height, width), mode="bilinear")[0] * 255).round().to(torch.uint8)


def lightness(rgb):
    """L by scikit-image, of (3, H, W) values in 0..255 that need not be whole."""
    from skimage.color import rgb2lab

    return rgb2lab(np.moveaxis(np.asarray(rgb, dtype=np.float64), 0, -1).clip(0, 255) / 255)[..., 0]


def assert_same_L(result, original):
    """L of the photograph lies between that of the result rounded down and up by half a level in every channel."""
    wanted, got = lightness(original), result.numpy().astype(np.float64)
    assert (lightness(got - 0.51) <= wanted + 0.01).all() and (lightness(got + 0.51) >= wanted - 0.01).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (5, 3), (63, 97), (333, 20), (20, 333), (64, 64)])
@pytest.mark.parametrize("answer", [flat(20.0, 30.0), wild])
def test_any_size_keeps_its_shape_and_its_L(size, answer):
    rgb = photo(*size)
    result = Colorizer(Says(answer), render_size=32).colorize(rgb)
    assert result.shape == rgb.shape and result.dtype == torch.uint8
    assert_same_L(result, rgb)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6), st.floats(0, 3))
def test_L_is_kept_whatever_the_colours(height, width, seed, saturation):
    rgb = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))
    assert_same_L(Colorizer(Says(wild), render_size=16).colorize(rgb, saturation=saturation), rgb)


def test_a_real_network_colours_odd_sizes():
    generator = UNet(base_channels=4, levels=3)
    for size in ((33, 47), (1, 9), (50, 7)):
        rgb = photo(*size)
        assert_same_L(Colorizer(generator, render_size=24).colorize(rgb), rgb)


def test_the_colour_is_that_of_the_generator_scaled_by_saturation():
    grey = torch.full((3, 40, 60), 128, dtype=torch.uint8)
    for saturation in (0.0, 0.5, 1.0, 2.0):
        result = Colorizer(Says(flat(10.0, -12.0)), render_size=16).colorize(grey, saturation=saturation)
        mean = color.rgb_to_lab(result)[1:].mean((1, 2))
        assert torch.allclose(mean, saturation * torch.tensor([10.0, -12.0]), atol=0.6)


def test_a_colour_and_a_grey_photograph_of_it_give_the_same():
    rgb = photo(48, 64)
    painter = Colorizer(Says(flat(15.0, 20.0)), render_size=32)
    difference = painter.colorize(rgb).int() - painter.colorize(color.rgb_to_grey(rgb)).int()
    assert difference.abs().max() <= 2


@pytest.mark.parametrize("full, render_size, expected", [
    ((3000, 4000), 256, (256, 341)),
    ((4000, 3000), 256, (341, 256)),
    ((500, 4000), 256, (128, 1024)),  # a panorama: its long side stops at four render sizes, and is not squashed
    ((256, 300), 256, (256, 300)),
    ((200, 300), 256, (256, 384)),
    ((50, 70), 256, (100, 140)),  # small: at most twice as large
    ((1, 1), 256, (2, 2)),
    ((1, 9000), 256, (1, 1024)),
])  # fmt: skip
def test_render_shape(full, render_size, expected):
    assert render_shape(*full, render_size) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 20000), st.integers(1, 20000), st.integers(8, 1024))
def test_render_shape_keeps_the_aspect_and_its_bounds(height, width, render_size):
    low, wide = render_shape(height, width, render_size)
    scale = max(low, wide) / max(height, width)
    assert abs(low - height * scale) <= 1 and abs(wide - width * scale) <= 1 or min(low, wide) == 1
    assert max(low, wide) <= 4 * render_size and low <= 2 * height and wide <= 2 * width


def test_the_generator_sees_L_at_the_render_size():
    generator = Says(flat(0.0, 0.0))
    Colorizer(generator, render_size=32).colorize(photo(100, 150))
    assert generator.seen.shape == (1, 1, 32, 48)
    expected = color.rgb_to_L(F.interpolate(photo(100, 150)[None].float(), (32, 48), mode="bilinear", antialias=True)
                              .round().to(torch.uint8))
    assert torch.allclose(generator.seen, expected, atol=0.02)
    Colorizer(generator, render_size=32).colorize(photo(100, 150), render_size=16)
    assert generator.seen.shape == (1, 1, 16, 24)


def test_evaluation_mode_without_gradients_and_every_mode_put_back():
    generator = Says(flat(1.0, 1.0)).train()
    generator.inner[1].eval()  # a frozen norm must stay frozen
    before = [module.training for module in generator.modules()]
    Colorizer(generator, render_size=16).colorize(photo(20, 20))
    assert not any(generator.modes) and generator.without_gradients
    assert [module.training for module in generator.modules()] == before
    generator.answer = lambda L: 1 / 0
    with pytest.raises(ZeroDivisionError):
        Colorizer(generator, render_size=16).colorize(photo(20, 20))
    assert [module.training for module in generator.modules()] == before
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_the_number_of_threads_is_put_back(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(color, "L_ab_to_rgb8", lambda *args, **fit: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Colorizer(Says(wild), render_size=16).colorize(photo(20, 20))
    assert torch.get_num_threads() == before


def test_strips_give_what_the_whole_gives(monkeypatch):
    rgb = photo(70, 90)
    painter = Colorizer(Says(wild), render_size=20)
    whole = painter.colorize(rgb)
    monkeypatch.setattr(rendering, "_STRIP", 1)  # one row at a time
    assert (painter.colorize(rgb).int() - whole.int()).abs().max() <= 1


# ------------------------------------------------------------------------------------------- guided upsampling


def test_windows_are_those_of_pooling():
    ab, L = torch.randn(1, 2, 9, 13) + 3, torch.randn(1, 1, 9, 13)  # above 0: the border shows
    pooled = {"count_include_pad": False, "kernel_size": 5, "stride": 1, "padding": 2}
    assert torch.allclose(rendering._box(ab), F.avg_pool2d(ab, **pooled), atol=1e-5)
    for values in (ab, ab - 6):
        _, _, lowest, highest = rendering.local_lines(values, L).chunk(4, 1)
        assert torch.equal(lowest, -F.max_pool2d(-values, 5, 1, 2)) and torch.equal(highest, F.max_pool2d(values, 5, 1, 2))


def low(x, size):
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def chroma_error(ab, ab_real, where):
    return ((ab - ab_real) * color.AB_SCALE).norm(dim=1)[0][where].mean().item()


def test_bilinear_rows_are_those_of_the_whole():
    maps = torch.randn(1, 3, 7, 5)
    whole = F.interpolate(maps, (40, 33), mode="bilinear")
    for rows in (slice(0, 1), slice(13, 29), slice(39, 40)):
        assert torch.allclose(upsample_rows(maps, rows, (40, 33)), whole[:, :, rows], atol=1e-5)


def guided_upsample(ab_low, L_low, L):
    size = L.shape[-2:]
    return rendering.on_lines(upsample_rows(rendering.local_lines(ab_low, L_low), slice(0, size[0]), size), L)


def test_flat_colour_stays_flat():
    L = torch.rand(1, 1, 80, 60) * 2 - 1
    ab_low = torch.tensor([0.3, -0.2]).view(1, 2, 1, 1).expand(1, 2, 10, 8)
    assert torch.allclose(guided_upsample(ab_low, low(L, (10, 8)), L), ab_low[..., :1, :1].expand(1, 2, 80, 60),
                          atol=1e-5)


def test_colours_end_at_the_edge_of_L():
    """Two flat regions with a slanted border, eight times enlarged: bilinear bleeds over several pixels."""
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(200.0), indexing="ij")
    left = (x + 0.4 * y < 130)[None, None]
    L = torch.where(left, -0.4, 0.5)
    ab = torch.where(left, torch.tensor([0.5, 0.1]).view(1, 2, 1, 1), torch.tensor([-0.3, 0.4]).view(1, 2, 1, 1))
    L_low, ab_low = low(L, (20, 25)), low(ab, (20, 25))
    border = ((x + 0.4 * y - 130).abs() < 10).view(160, 200)
    along = chroma_error(guided_upsample(ab_low, L_low, L), ab, border)
    bilinear = chroma_error(F.interpolate(ab_low, (160, 200), mode="bilinear"), ab, border)
    assert along < 0.1 * bilinear


def test_the_slopes_of_the_lines_are_averaged_over_the_windows():
    """ab follows L with another slope on each side of column 8; a pixel's slope is the mean over the 5 windows around it."""
    L = torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ab = torch.where(torch.arange(16) < 8, 0.5 * L, -0.3 * L).repeat(1, 2, 1, 1)
    slope = rendering.local_lines(ab, L)[:, :2]
    box = lambda x: F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)  # noqa: E731
    of_windows = (box(L * ab) - box(L) * box(ab)) / (box(L * L) - box(L) ** 2 + rendering._EPSILON)
    assert torch.allclose(slope, box(of_windows), atol=1e-4)
    assert (slope - of_windows).abs().max() > 0.05  # or the mean would mean nothing here


def test_an_outlier_of_L_takes_no_colour_from_outside_of_its_neighbourhood():
    L = torch.where(torch.arange(80.0) < 40, -0.2, 0.0).expand(1, 1, 80, 80).contiguous()
    ab = L.repeat(1, 2, 1, 1) * 2
    L_low, ab_low = low(L, (10, 10)), low(ab, (10, 10))
    L[..., 30:32, 44:46] = 1.0  # a highlight; the line through both regions says ab = 2 there
    assert guided_upsample(ab_low, L_low, L).max() <= ab_low.max() + 1e-6


def test_less_colour_bleeds_in_sample_photographs():
    """Chroma error (CIE units) within 2 pixels of the strongest 5 % of chroma edges, from the true ab at a short
    side of 64 pixels; guided against bilinear."""
    from colorlib.photos import sample_photographs

    errors = []
    for name, rgb in sample_photographs():
        if name.startswith("motorcycle"):
            continue  # large, and slow to look through
        rgb = rgb[:, :600, :600]
        L, ab = color.rgb_to_L_ab(rgb[None])
        size = render_shape(*rgb.shape[-2:], 64)
        L_low, ab_low = low(L, size), low(ab, size)
        step = torch.zeros(ab.shape[-2:])
        step[1:] = (ab[..., 1:, :] - ab[..., :-1, :]).norm(dim=1)[0]
        step[:, 1:] = torch.maximum(step[:, 1:], (ab[..., 1:] - ab[..., :-1]).norm(dim=1)[0])
        strong = step > step.flatten().kthvalue(int(0.95 * step.numel()))[0]
        border = F.max_pool2d(strong[None, None].float(), 5, 1, 2)[0, 0] > 0
        along = chroma_error(guided_upsample(ab_low, L_low, L), ab, border)
        bilinear = chroma_error(F.interpolate(ab_low, rgb.shape[-2:], mode="bilinear"), ab, border)
        errors.append((along, bilinear))
        # china's far houses are finer than the small picture: there L says nothing about ab, and a tenth is lost
        assert along < bilinear or name == "china"
    along, bilinear = np.mean(errors, 0)
    print(f"guided {along:.2f}, bilinear {bilinear:.2f}")
    assert along < 0.9 * bilinear  # measured: 7.87 and 9.11


def test_guidance_can_be_switched_off():
    rgb = torch.full((3, 64, 64), 60, dtype=torch.uint8)
    rgb[:, :, 29:] = 160
    painter = Colorizer(Says(lambda L: (0.3 * (L + 0.5)).repeat(1, 2, 1, 1)), render_size=8)
    edge = [color.rgb_to_lab(painter.colorize(rgb, guidance=on))[1, :, 26:32].mean(0) for on in (True, False)]
    assert (edge[0][3:] - edge[0][:3]).min() > 10  # a jump at the edge of L
    assert (edge[1][1:] - edge[1][:-1]).max() < 4  # a ramp over it


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_generator_that_returns_no_numbers_is_an_error(value):
    def answer(L):
        ab = torch.zeros(1, 2, *L.shape[-2:])
        ab[0, 1, 3, 3] = value
        return ab

    with pytest.raises(ColorizerError, match="NaN or infinity"):
        Colorizer(Says(answer), render_size=16).colorize(photo(20, 20))


def test_a_generator_of_something_else_is_an_error():
    with pytest.raises(ColorizerError, match=r"\(1, 3, 16, 16\)"):
        Colorizer(Says(lambda L: L.repeat(1, 3, 1, 1)), render_size=16).colorize(photo(20, 20))


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    MemoryError(),
])  # fmt: skip
def test_out_of_memory_is_an_error_that_says_what_to_do(error):
    def answer(L):
        raise error

    with pytest.raises(ColorizerError, match="not enough memory for .* smaller render size"):
        Colorizer(Says(answer), render_size=16).colorize(photo(20, 20))


def test_short_memory_halves_the_render_size_and_never_gives_grey():
    def answer(L):
        asked.append(L.shape[-1])
        if L.shape[-1] > largest:
            raise MemoryError
        return L.new_full((1, 2, *L.shape[-2:]), 0.2)

    for largest, expected in ((128, [256, 128]), (0, [256, 128, 64])):
        asked: list[int] = []
        with pytest.warns(UserWarning, match="memory is too short for render size .*: coloured at ") as said:
            if largest:
                rgb = Colorizer(Says(answer), render_size=256).colorize(photo(300, 300))
                assert (rgb[0].float() - rgb[2]).abs().mean() > 5
            else:
                with pytest.raises(ColorizerError, match="not enough memory for .* smaller render size"):
                    Colorizer(Says(answer), render_size=256).colorize(photo(300, 300))
        assert asked == expected and len(said) == len(asked) - 1


def test_other_errors_of_a_generator_pass_through():
    def answer(L):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Colorizer(Says(answer), render_size=16).colorize(photo(20, 20))


@pytest.mark.parametrize("arguments, words", [
    ({"saturation": math.nan}, "saturation is nan"),
    ({"saturation": -0.1}, "saturation is -0.1"),
    ({"decode": "mode"}, "decode is 'mode'; choose one of default, mean"),
    ({"render_size": 7}, "render_size is 7"),
    ({"render_size": 64.0}, "render_size is 64.0"),
    ({"hints": [Hint(1, 1, 5, 5)]}, "takes no hints"),
])  # fmt: skip
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Colorizer(Says(flat(1.0, 1.0)), render_size=16).colorize(photo(20, 20), **arguments)


@pytest.mark.parametrize("rgb", [torch.zeros(3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8),
                                 torch.zeros(3, 0, 4, dtype=torch.uint8)])  # fmt: skip
def test_what_is_no_photograph_is_refused(rgb):
    with pytest.raises(ValueError, match=r"uint8 \(3, H, W\)"):
        Colorizer(Says(flat(1.0, 1.0))).colorize(rgb)


# ------------------------------------------------------------------------------------------- hints, files, decode


def test_hints_reach_the_generator_at_their_place():
    generator = Says(flat(1.0, 1.0), hint_channels=3)
    Colorizer(generator, render_size=16).colorize(photo(32, 64), hints=[Hint(63, 0, 55, -11), Hint(8, 31, -22, 0)])
    marks = torch.stack(generator.told).sum(0)  # each in one call, with the other or alone
    assert marks.shape == (3, 16, 32) and marks[0].sum() == 2
    assert torch.allclose(marks[:, 0, 31], torch.tensor([1, 0.5, -0.1]))
    assert torch.allclose(marks[:, 15, 4], torch.tensor([1, -0.2, 0.0]))
    Colorizer(generator, render_size=16).colorize(photo(32, 64))
    assert generator.seen[0, 1:].abs().sum() == 0


class Follows(Says):
    """Paints everything with the mean of all colours that it is told."""

    def predict_from(self, x):
        told = x[:, 2:4].sum((2, 3), keepdim=True) / x[:, 1:2].sum((2, 3), keepdim=True).clamp(min=1)
        return Prediction(told.expand(-1, -1, *x.shape[-2:]))


def test_a_hint_means_nothing_on_another_surface():
    rgb = torch.full((3, 40, 60), 60, dtype=torch.uint8)
    rgb[..., 30:] = 200
    painter = Colorizer(Follows(None, hint_channels=3), render_size=40)
    red, blue = Hint(8, 20, 30, 20), Hint(50, 20, -5, -20)
    alone, both = (color.rgb_to_lab(painter.colorize(rgb, hints=hints))[1:] for hints in ([blue], [red, blue]))
    assert (alone[:, :, 36:] - both[:, :, 36:]).abs().max() < 0.5  # the red did not cross the edge, though the blue opens it
    assert both[0, :, :24].min() > 20 and alone[:, :, :24].abs().max() < 3
    assert both[1, :, 36:].max() < -15


def test_where_two_surfaces_overlap_their_changes_are_shared():
    everywhere, plain = torch.ones(1, 1, 8, 8), torch.zeros(1, 2, 8, 8)
    red, blue = (torch.tensor(ab).view(1, 2, 1, 1).expand(1, 2, 8, 8) for ab in ([44.0, 0.0], [0.0, -44.0]))
    found = [Surface(Prediction(ab), ab, everywhere) for ab in (red, blue)]
    mixed, own, share = spread(plain, found)
    assert torch.allclose(torch.lerp(mixed, own, share)[0, :, 0, 0], torch.tensor([22.0, -22.0]), atol=1e-3)
    mixed, own, share = spread(plain, [found[0]._replace(near=0.5 * everywhere)])
    assert torch.allclose(torch.lerp(mixed, own, share)[0, :, 0, 0], torch.tensor([22.0, 0.0]), atol=1e-3)


@pytest.mark.parametrize("hint, words", [((64, 0, 0, 0), "x=64"), ((0, -1, 0, 0), "y=-1"), ((0, 0, 200, 0), "a=200"),
                                         ((0, 0, 0, math.nan), "b=nan")])  # fmt: skip
def test_hints_that_make_no_sense_are_refused(hint, words):
    with pytest.raises(ValueError, match=words):
        place_hints([Hint(*hint)], (32, 64), (16, 32))


def test_both_decodes_are_the_same_without_bins():
    painter, rgb = Colorizer(Says(flat(9.0, 9.0)), render_size=16), photo(30, 20)
    assert torch.equal(painter.colorize(rgb, decode="default"), painter.colorize(rgb, decode="mean"))


def test_a_saved_colorizer_paints_the_same(tmp_path):
    from colorlib.photos import read_photo, write_photo

    painter = Colorizer(UNet(base_channels=4, levels=2).eval(), render_size=24, metadata={"recipe": "tiny"})
    painter.save(tmp_path / "w.safetensors")
    again = Colorizer.load(tmp_path / "w.safetensors", device="cpu")
    assert again.render_size == 24 and again.metadata["recipe"] == "tiny"
    rgb = photo(40, 30)
    write_photo(tmp_path / "p.png", rgb)
    for same in (rgb, tmp_path / "p.png", str(tmp_path / "p.png"), read_photo(tmp_path / "p.png")):
        assert torch.equal(again.colorize(same), painter.colorize(rgb))


@pytest.mark.parametrize("full, expected", [((47, 90), (16, 31)), ((48, 90), (48, 90)), ((96, 100), (48, 50))])
def test_a_large_photograph_is_seen_at_the_large_render_size(full, expected):
    generator = Says(flat(1.0, 1.0))
    painter = Colorizer(generator, render_size=16, metadata={"large_render_size": "48"})
    painter.colorize(photo(*full))
    assert generator.seen.shape[-2:] == expected
    painter.colorize(photo(*full), render_size=20)
    assert min(generator.seen.shape[-2:]) == 20  # the settings win


@pytest.mark.parametrize("text", ["12", "wide", "-3", "48.5"])
def test_a_large_render_size_that_makes_no_sense_is_refused(text):
    with pytest.raises(ValueError, match=f"large_render_size is '{text}'.*at least 16"):
        Colorizer(Says(flat(1.0, 1.0)), render_size=16, metadata={"large_render_size": text})


def test_a_render_size_in_the_file_that_is_no_number_is_refused(tmp_path):
    from colorlib.training.weights import save_weights

    save_weights(tmp_path / "w.safetensors", UNet(base_channels=4, levels=2), {"render_size": "large"})
    with pytest.raises(ValueError, match="render_size is 'large'"):
        Colorizer.load(tmp_path / "w.safetensors")


class Steered(Generator):
    """ab is the first two numbers of z everywhere; the distribution is what it was given."""

    def __init__(self, bins=None):
        super().__init__(1, 3, 3)
        self.config = {"hint_channels": 3, "z_channels": 3, "num_bins": 0 if bins is None else bins.shape[1]}
        self.bins = bins

    def predict_from(self, x):
        return Prediction(x[:, 4:6], self.bins)


def test_the_decodings_and_the_variants_are_places_of_z():
    metadata = {"z_mean": "[0.1, 0.0, 0.0]", "z_default": "[0.0, 0.3, 0.0]"}
    painter, rgb = Colorizer(Steered(), 16, metadata=metadata), torch.full((3, 20, 30), 128, dtype=torch.uint8)
    ab = {name: color.rgb_to_lab(painter.colorize(rgb, **options))[1:].mean((1, 2)).tolist()
          for name, options in {"mean": {"decode": "mean"}, "default": {}, "7": {"variant": 7}, "8": {"variant": 8}}.items()}
    assert ab["mean"] == pytest.approx([11, 0], abs=1) and ab["default"] == pytest.approx([0, 33], abs=1)
    assert math.dist(ab["7"], ab["8"]) > 3
    assert torch.equal(painter.colorize(rgb, variant=7), painter.colorize(rgb, variant=7))


@pytest.mark.parametrize("options, words", [({"variant": -1}, "variant is -1"), ({"variant": 1.0}, "variant is 1.0"),
                                            ({"variant": True}, "variant is True"),
                                            ({"variant": 2, "decode": "mean"}, "there is one mean")])  # fmt: skip
def test_variants_that_do_not_exist_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Colorizer(Steered(), 16).colorize(photo(20, 20), **options)


def test_a_generator_without_z_has_one_colouring():
    with pytest.raises(ValueError, match="one colouring"):
        Colorizer(Says(flat(1.0, 1.0)), 16).colorize(photo(20, 20), variant=1)


@pytest.mark.parametrize("z", ["[1, 2]", "[1, 2, NaN]", "many", "[1, 2, \"x\"]", "3"])
def test_a_z_in_the_metadata_that_does_not_fit_is_refused(z):
    with pytest.raises(ValueError, match="z_mean is"):
        Colorizer(Steered(), 16, metadata={"z_mean": z})


def distribution(*colours):
    """Logits (1, Q, 4, 4): left half the first colour, right half the others equally."""
    centres, logits = bins.centres(), torch.full((1, bins.num_bins(), 4, 4), -30.0)
    for place, colour in enumerate(colours):
        nearest = int((centres - torch.tensor(colour)).norm(dim=1).argmin())
        logits[0, nearest, :, slice(0, 2) if place == 0 else slice(2, 4)] = 0
    return logits


def test_uncertainty_is_the_expected_error_and_lies_where_the_distribution_is_wide():
    painter = Colorizer(Steered(distribution([0.0, 0.0], [30.0, 0.0], [0.0, 40.0])), 16)
    doubt = painter.uncertainty(photo(32, 48))  # the mean answer is 0: z is 0 without metadata
    assert doubt.shape == (32, 48)
    assert doubt[:, :8].max() < 0.1 and doubt[:, -8:].mean() == pytest.approx(35, abs=0.5)


def test_suggestions_come_from_the_distribution_at_the_point():
    painter = Colorizer(Steered(distribution([0.0, 0.0], [30.0, 0.0], [0.0, 40.0])), 16)
    rgb = torch.full((3, 32, 48), 150, dtype=torch.uint8)
    assert [tuple(map(round, s[:2])) for s in painter.suggest(rgb, 2, 2, num=1)] == [(0, 0)]
    right = painter.suggest(rgb, 44, 20, num=2)
    assert {tuple(map(round, s[:2])) for s in right} == {(30, 0), (0, 40)}
    assert [s.probability for s in right] == pytest.approx([0.5, 0.5], abs=0.01)
    with pytest.raises(ValueError, match="x=48, y=0 lies outside"):
        painter.suggest(rgb, 48, 0)
    with pytest.raises(ValueError, match="num is 0"):
        painter.suggest(rgb, 0, 0, num=0)
    with pytest.raises(ValueError, match="predicts no distribution"):
        Colorizer(Steered(), 16).suggest(rgb, 0, 0)
    with pytest.raises(ValueError, match="predicts no distribution"):
        Colorizer(Steered(), 16).uncertainty(rgb)


def test_a_hint_holds_at_its_point_and_the_far_side_of_an_edge_stays():
    """The generator here ignores hints altogether: the colorizer alone must hold them."""
    rgb = torch.full((3, 64, 96), 90, dtype=torch.uint8)
    rgb[..., 48:] = 190
    painter = Colorizer(Steered(), render_size=64)
    painted = color.rgb_to_lab(painter.colorize(rgb, hints=[Hint(40, 30, 20.0, 30.0)]))[1:]
    assert (painted[:, 30, 40] - torch.tensor([20.0, 30.0])).abs().max() < 2
    assert painted[:, :, 50:].abs().max() < 3


def test_suggestions_and_doubts_are_those_of_the_mean_answer():
    seen = []

    class Listening(Steered):
        def predict_from(self, x):
            seen.append(x[0, 4:, 0, 0].tolist())
            return super().predict_from(x)

    metadata = {"z_mean": "[0.5, 0.25, -1.0]", "z_default": "[1.0, 1.0, 1.0]"}
    painter = Colorizer(Listening(distribution([0.0, 0.0], [9.0, 9.0])), 16, metadata=metadata)
    painter.suggest(photo(20, 20), 3, 3), painter.uncertainty(photo(20, 20))
    assert seen == [[0.5, 0.25, -1.0]] * 2


def test_the_six_variants_lie_as_far_apart_as_the_draws_allow():
    painter, rgb = Colorizer(Steered(), 16), torch.full((3, 20, 30), 128, dtype=torch.uint8)
    near = [torch.randn(3, generator=torch.Generator().manual_seed(seed))[1:] for seed in range(1, 25)]
    painted = [painter.sketch(rgb, Settings(variant=number)).ab[0, :, 0, 0] for number in range(7)]
    apart = min(float((a - b).norm()) for k, a in enumerate(painted) for b in painted[k + 1:])
    first_six = [torch.zeros(2), *[z for z in near[:6]]]
    assert apart > min(float((a - b).norm()) for k, a in enumerate(first_six) for b in first_six[k + 1:])
    other = torch.full((3, 20, 30), 60, dtype=torch.uint8)
    assert torch.equal(painter.colorize(other, variant=2), Colorizer(Steered(), 16).colorize(other, variant=2))


def test_mirrored_weights_colour_a_mirror_image_as_the_mirror_image():
    def leaning(L):  # redder to the right, whatever L shows
        return torch.cat([torch.linspace(-0.5, 0.5, L.shape[-1]).expand_as(L), 0 * L], 1)

    rgb = photo(24, 32)
    for mirrored in ("yes", "no"):
        painter = Colorizer(Says(leaning), 16, metadata={"mirrored": mirrored})
        ab, flipped = (painter.sketch(picture, Settings()).ab for picture in (rgb, rgb.flip(2)))
        assert torch.allclose(ab.flip(3), flipped, atol=1e-5) == (mirrored == "yes")


def test_mirrored_weights_turn_the_distribution_back_too():
    leaning = distribution([0.0, 0.0], [30.0, 0.0], [0.0, 40.0])  # narrow on the left, wide on the right
    error = Colorizer(Steered(leaning), 16, metadata={"mirrored": "yes"}).uncertainty(photo(32, 48))
    assert torch.allclose(error, error.flip(1), atol=1e-3)


def test_the_sibling_has_its_share_of_the_answer_to_a_hint():
    painter, sibling = (Colorizer(Says(flat(*ab), hint_channels=3), 16) for ab in ((40.0, 0.0), (0.0, 20.0)))
    painter.sibling = sibling
    sketch = painter.sketch(photo(24, 32), Settings(adversarial=0.25, hints=(Hint(12, 12, 50, 5),)))
    assert torch.allclose(sketch.ab[0] * color.AB_SCALE, torch.tensor([10.0, 15.0]).view(2, 1, 1), atol=0.01)


def test_the_surfaces_of_a_hint_are_those_of_the_network_and_not_of_its_sibling(monkeypatch):
    """Both mix at the same pixels, although the sibling predicts other colours."""
    seen = []
    real = colorizer_module.follow
    monkeypatch.setattr(colorizer_module, "follow", lambda *given: seen.append(given[3]) or real(*given))
    logits = torch.full((1, bins.num_bins(), 4, 4), -30.0)
    painter, sibling = (Colorizer(Steered(logits.index_fill(1, torch.tensor([k]), 0.0)), 16) for k in (3, 200))
    painter.sibling = sibling
    painter.sketch(photo(16, 16), Settings(adversarial=0.5, hints=(Hint(4, 4, 50, 5),)))
    assert len(seen) == 2 and torch.equal(seen[0], seen[1]) and seen[0].argmax(1).unique().tolist() == [3]


def test_another_photograph_of_the_same_size_has_its_own_variants():
    class OfLight(Steered):  # other numbers of z count on a light photograph
        def predict_from(self, x):
            return Prediction(x[:, 5:7] if x[:, 0].mean() > 0 else x[:, 4:6])

    dark, light = (torch.full((3, 20, 30), value, dtype=torch.uint8) for value in (60, 200))
    painter = Colorizer(OfLight(), 16)
    painter.sketch(dark, Settings(variant=1))
    fresh = Colorizer(OfLight(), 16)
    for number in range(1, 7):
        chosen = Settings(variant=number)
        assert torch.equal(painter.sketch(light, chosen).ab, fresh.sketch(light, chosen).ab)
    known = painter._last[0]
    painter.sketch(light, Settings(variant=1, render_size=32))
    assert painter._last[0] is known and painter.remembering()._last[0] is known  # the same six at any size, in any copy


def test_a_remembering_colorizer_gives_the_same_and_computes_only_what_is_new(colorizer, monkeypatch):
    rgb, other = sample_photograph("coffee").rgb[:, ::4, ::4], sample_photograph("chelsea").rgb[:, ::4, ::4]
    kept, computed = colorizer.remembering(), []
    compute = Colorizer._computed
    monkeypatch.setattr(Colorizer, "_computed", lambda self, *these: computed.append(1) or compute(self, *these))
    hints = [Hint(10, 10, 40, 30), Hint(90, 60, -20, -30), Hint(130, 20, 0, 60)]

    def number(act):
        computed.clear()
        act()
        return len(computed)

    first = number(lambda: kept.colorize(rgb, hints=hints[:2]))
    assert number(lambda: kept.colorize(rgb, hints=hints[:2], saturation=1.4)) == 0
    assert number(lambda: kept.colorize(rgb, hints=hints)) == 1 < first  # the third surface alone
    assert torch.equal(kept.colorize(rgb, hints=hints), colorizer.colorize(rgb, hints=hints))
    assert torch.equal(kept.colorize(rgb, hints=hints, adversarial=0.3), colorizer.colorize(rgb, hints=hints, adversarial=0.3))
    assert torch.equal(kept.colorize(other), colorizer.colorize(other)) and number(lambda: kept.colorize(rgb)) == 0
    assert number(lambda: [kept.colorize(rgb, variant=10 + k) for k in range(30)]) == 30 and len(kept._known) == 24
