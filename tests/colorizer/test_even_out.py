"""Colours are averaged over surfaces and stop at edges of L."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib.color import rgb_to_L
from colorlib.colorizer import Colorizer

from colorlib.colorizer.render import even_out, move_apart, structure
from colorlib.generators import PretrainedUNet, UNet
from colorlib.photos import sample_photograph
from colorlib.training.palette import UNITS, predicted_ratio


def blotched(height=40, width=56, seed=0):
    return torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(seed)) - 0.5


def direct(ab, L, reach, edge, rounds=3):
    """The same pixel by pixel, from equations 11 and 14 of the paper."""
    sigma, light = reach * min(L.shape[-2:]), (L[0, 0] + 1) / 2
    ab = ab[0].clone()
    for k in range(rounds):
        radius = 3**0.5 * sigma * 3**0.5 * 2 ** (rounds - k - 1) / (4**rounds - 1) ** 0.5
        for turned in (False, True):
            x, lines = (ab.transpose(1, 2), light.T) if turned else (ab, light)
            new = torch.empty_like(x)
            for row in range(lines.shape[0]):
                at = [0.0]
                for left, right in zip(lines[row].tolist(), lines[row, 1:].tolist(), strict=False):
                    at.append(at[-1] + 1 + sigma / edge * abs(right - left))
                for column, here in enumerate(at):
                    near = [k for k, there in enumerate(at) if abs(there - here) <= radius]
                    new[:, row, column] = x[:, row, near].mean(1)
            ab = new.transpose(1, 2) if turned else new
    return ab[None]


def test_it_is_the_papers_filter():
    L = blotched(12, 17, seed=1)[:, :1]
    ab = blotched(12, 17)
    torch.testing.assert_close(even_out(ab, L, 0.3, 0.2), direct(ab, L, 0.3, 0.2), atol=1e-5, rtol=1e-4)


def test_a_surface_gets_one_colour_and_an_edge_keeps_two_apart():
    L = torch.full((1, 1, 40, 56), -0.6)
    L[..., 28:] = 0.6
    ab = blotched()
    ab[:, 0, :, 28:] += 1
    even = even_out(ab, L, 0.5, 0.1)
    assert even[..., :28].std((2, 3)).max() < 0.1 * ab[..., :28].std((2, 3)).min()
    torch.testing.assert_close(even[..., :28].mean((2, 3)), ab[..., :28].mean((2, 3)), atol=0.02, rtol=0)
    assert (even[:, 0, :, 28] - even[:, 0, :, 27]).min() > 0.8  # nothing crosses


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.02, 2), st.floats(0.02, 1))
def test_an_even_colour_stays_and_the_range_is_kept(height, width, reach, edge):
    L, ab = blotched(height, width)[:, :1], blotched(height, width, 2)
    constant = torch.full_like(ab, 0.3)
    torch.testing.assert_close(even_out(constant, L, reach, edge), constant, atol=1e-5, rtol=0)
    even = even_out(ab, L, reach, edge)
    assert even.shape == ab.shape and even.min() >= ab.min() - 1e-5 and even.max() <= ab.max() + 1e-5


def test_weights_choose_it_and_others_do_not_have_it():
    torch.manual_seed(0)
    generator, rgb = UNet(base_channels=4, levels=4, dropout=0.0), sample_photograph("coffee").rgb[:, ::4, ::4]
    plain = Colorizer(generator, 64)
    even = Colorizer(generator, 64, metadata={"even": "[0.3, 0.1]"})
    L, marks, _ = plain._seen(rgb, (), None)
    ab = plain._generate(L, None, plain.z["default"]).ab
    torch.testing.assert_close(even._generate(L, None, even.z["default"]).ab, even_out(ab, L, 0.3, 0.1))
    assert not torch.equal(plain.colorize(rgb), even.colorize(rgb))


@pytest.mark.parametrize("even", ["[0.3]", "yes", "[0, 0.1]", "[0.3, NaN]", json.dumps({"reach": 1}), "3"])
def test_bad_metadata_is_one_clear_error(even):
    with pytest.raises(ValueError, match="even is .*2 numbers"):
        Colorizer(UNet(base_channels=4, levels=4), 64, metadata={"even": even})


def test_the_shipped_weights_leave_no_blotches_on_an_even_wall():
    """Where L hardly changes, colours change less than without the filter."""
    colorizer = Colorizer.load(device="cpu")
    rgb = sample_photograph("grace_hopper").rgb
    L, _, _ = colorizer._seen(rgb, (), None)
    even = colorizer._generate(L, None, colorizer.z["default"]).ab
    colorizer.even = None
    plain = colorizer._generate(L, None, colorizer.z["default"]).ab
    wall = F.max_pool2d((L.diff(dim=3).abs() > 0.06).float(), 5, 1, 2)[..., :-1] == 0

    def roughness(ab):
        return (ab.diff(dim=3).norm(dim=1, keepdim=True)[..., :-1] * wall).sum() / wall.sum()

    assert wall.float().mean() > 0.1 and roughness(even) < 0.5 * roughness(plain)


def test_an_even_picture_stays_grey_and_one_with_structure_keeps_its_colours():
    painter = Colorizer.load(device="cpu")
    flat = painter.colorize(torch.full((3, 64, 64), 128, dtype=torch.uint8)).int()
    assert (flat.amax(0) - flat.amin(0)).max() <= 1
    ramp = torch.linspace(100, 156, 64).round().to(torch.uint8).expand(3, 64, 64).contiguous()
    assert structure(rgb_to_L(ramp[None])) == 1 and structure(rgb_to_L(ramp[None]) / 100) < 1


def test_colours_move_apart_from_their_mean():
    ab = blotched()
    mean = ab.mean((2, 3), keepdim=True)
    torch.testing.assert_close(move_apart(ab, 1.5), mean + 1.5 * (ab - mean))
    torch.testing.assert_close(move_apart(ab, 1.0), ab)


def coded(contrast=None):
    """A colorizer whose generator predicts photographs twice as colourful as the mean answer."""
    torch.manual_seed(0)
    generator = PretrainedUNet((8,) * 5, (1,) * 5, z_channels=6, num_codes=5)
    torch.nn.init.zeros_(generator.prior.weight), torch.nn.init.zeros_(generator.prior.bias)
    generator.prior.bias.data[0] = math.log(2) / UNITS[0]
    metadata = {"z_mean": "[0, 0, 0, 0, 0, 1]", "z_default": "[0.5, 0, 0, 0, 0, 0]"}
    return Colorizer(generator, 64, metadata=metadata | ({} if contrast is None else {"contrast": contrast}))


@pytest.mark.parametrize("z, factor", [("default", 4.0), ("mean", 1.0), ("other", 1.0)])
def test_the_defaults_contrast_is_as_strong_as_the_network_expects(z, factor):
    plain, vivid = coded(), coded("[2]")
    L = plain._seen(sample_photograph("coffee").rgb[:, ::4, ::4], (), None)[0]
    z = plain.z.get(z, torch.tensor([1.0, 0, 1, 0, 0, 0]))
    expected = move_apart(plain._generate(L, None, z).ab, factor)
    torch.testing.assert_close(vivid._generate(L, None, z).ab, expected)
    assert expected.std() > 0


def test_a_wild_prediction_is_bounded():
    assert predicted_ratio(torch.tensor([[99.0] * 10, [-99.0] * 10])).flatten().tolist() == pytest.approx([3, 1 / 3])


def test_contrast_needs_a_generator_that_predicts_it():
    with pytest.raises(ValueError, match="contrast.*num_codes is 0"):
        Colorizer(UNet(base_channels=4, levels=4), 64, metadata={"contrast": "[1.1]"})
    for contrast in ("[0]", "1.1", "[1, 2]"):
        with pytest.raises(ValueError, match="contrast is .*1 numbers"):
            coded(contrast)
