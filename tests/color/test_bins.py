"""The distribution over ab: its grid covers sRGB, encoding keeps the mean, and what is read from it is right."""

import math

import pytest
import torch
from skimage.color import rgb2lab

from colorlib.color import AB_SCALE, bins


def srgb_colours(num=2000):
    rgb = torch.rand(num, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.from_numpy(rgb2lab(rgb.numpy()[None])[0])  # (num, 3), an oracle that is not ours


def picture(ab):
    """(N, 2) in CIE units -> (1, 2, 1, N), scaled."""
    return (ab.T[None, :, None] / AB_SCALE).float()


def test_the_mean_of_a_colours_bins_is_the_colour():
    ab = srgb_colours()[:, 1:]
    found, weight = bins.encode(picture(ab))
    assert weight.min() >= 0 and torch.allclose(weight.sum(1), torch.ones(1, 1, len(ab)), atol=1e-6)
    mean = (bins.centres()[found] * weight[..., None]).sum(1)[0, 0]
    assert torch.allclose(mean.double(), ab, atol=1e-3)
    # and no bin counts that is not a neighbour
    distance = (bins.centres()[found[0, :, 0]] - ab[None]).abs().amax(-1)
    assert distance[weight[0, :, 0] > 1e-6].max() <= bins.SPACING + 1e-3


def test_every_bin_is_beside_a_colour_of_srgb_and_there_are_no_others():
    steps = torch.linspace(0, 1, 40, dtype=torch.float64)
    cube = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    ab = torch.from_numpy(rgb2lab(cube.numpy())[0, :, 1:])
    apart = torch.cdist(bins.centres().double(), ab, p=math.inf).amin(1)
    assert apart.max() < bins.SPACING + 1  # 1: the cube here is coarser
    assert bins.num_bins() == len(bins.centres().unique(dim=0)) == 304


def test_a_colour_that_srgb_does_not_have_counts_to_the_nearest_bin():
    found, weight = bins.encode(picture(torch.tensor([[-120.0, 120.0], [125.0, 125.0]])))
    for place, wanted in enumerate(([-120.0, 120.0], [125.0, 125.0])):
        nearest = (bins.centres() - torch.tensor(wanted)).norm(dim=1).argmin()
        assert (found[0, :, 0, place] == nearest).all()
    assert torch.allclose(weight.sum(1), torch.ones(1, 1, 2))


def test_cross_entropy_is_least_for_the_true_distribution():
    ab = picture(torch.tensor([[20.0, 30.0], [-5.0, 7.0]]))
    found, weight = bins.encode(ab)
    truth = torch.full((1, bins.num_bins(), 1, 2), 1e-9).scatter_add(1, found, weight)
    entropy = -(weight * weight.clamp(min=1e-9).log()).sum(1).mean()
    assert bins.cross_entropy(truth.log(), ab) == pytest.approx(float(entropy), abs=1e-4)
    uniform = bins.cross_entropy(torch.zeros_like(truth), ab)
    assert float(uniform) == pytest.approx(math.log(bins.num_bins()), abs=1e-4)


def test_cross_entropy_averages_the_part_that_a_place_covers():
    ab = torch.zeros(1, 2, 4, 4)
    ab[..., 2:] = 20 / AB_SCALE
    logits = torch.zeros(1, bins.num_bins(), 1, 1)
    logits[0, (bins.centres() - 10).norm(dim=1).argmin()] = 50
    assert bins.cross_entropy(logits, ab) < 1e-3  # the mean of (0, 0) and (20, 20)


def test_another_number_of_bins_is_refused():
    with pytest.raises(ValueError, match="for 7 bins; the grid has 304"):
        bins.cross_entropy(torch.zeros(1, 7, 2, 2), torch.zeros(1, 2, 8, 8))


def test_expected_error_of_two_colours():
    first, second = (int((bins.centres() - torch.tensor(c)).norm(dim=1).argmin()) for c in ([30.0, 0.0], [0.0, 40.0]))
    probabilities = torch.zeros(1, bins.num_bins(), 1, 2)
    probabilities[0, first], probabilities[0, second] = torch.tensor([0.5, 1.0]), torch.tensor([0.5, 0.0])
    ab = torch.zeros(1, 2, 1, 2)
    assert torch.allclose(bins.expected_error(probabilities, ab), torch.tensor([[[35.0, 30.0]]]), atol=1e-3)
