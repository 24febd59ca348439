"""Colour transfer against a slow, literal version of the paper's text, and by its behaviour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib.course.regression import (
    SmallCNN,
    ab_error,
    chroma,
    colour_transfer,
    jittered_grid,
    most_similar,
    regress,
    remap_lightness,
    spread_at_equal_L,
    texture,
)


def picture(height: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    L = torch.rand(1, 1, height, width, generator=generator) * 2 - 1
    return L, torch.rand(1, 2, height, width, generator=generator) * 2 - 1


def literal(L, reference_L, reference_ab, places, window):
    """Pixel by pixel, in float64."""
    grey, reference = L[0, 0].double().numpy(), reference_L[0, 0].double().numpy()
    reference = (reference - reference.mean()) / reference.std() * grey.std() + grey.mean()

    def deviation(image, y, x):
        half = window // 2
        rows = np.clip(np.arange(y - half, y + half + 1), 0, image.shape[0] - 1)
        columns = np.clip(np.arange(x - half, x + half + 1), 0, image.shape[1] - 1)
        return image[np.ix_(rows, columns)].std()

    samples = []
    for place in places.tolist():
        y, x = divmod(place, reference.shape[1])
        samples.append((reference[y, x], deviation(reference, y, x), reference_ab[0, :, y, x].numpy()))
    out = np.zeros((2, *grey.shape), np.float32)
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            texture_here = deviation(grey, y, x)
            best = min(samples, key=lambda s: (s[0] - grey[y, x]) ** 2 + (s[1] - texture_here) ** 2)
            out[:, y, x] = best[2]
    return out


@settings(max_examples=10, deadline=None)
@given(st.integers(6, 14), st.integers(6, 14), st.integers(0, 1000), st.sampled_from([1, 3, 5]))
def test_equals_the_paper_read_literally(height, width, seed, window):
    L, _ = picture(height, width, seed)
    reference_L, reference_ab = picture(9, 12, seed + 1)
    places = jittered_grid(9, 12, 20, seed)
    expected = literal(L, reference_L, reference_ab, places, window)
    found = colour_transfer(L, reference_L, reference_ab, num_samples=20, window=window, seed=seed)[0].numpy()
    same = (found == expected).all(0).mean()
    assert same >= 0.98   # two samples may be equally near up to rounding


def test_every_colour_comes_from_the_picture_s_own_reference():
    L = torch.cat([picture(7, 9, 0)[0], picture(7, 9, 1)[0]])
    (first_L, first_ab), (second_L, second_ab) = picture(8, 8, 2), picture(8, 8, 3)
    ab = colour_transfer(L, torch.cat([first_L, second_L]), torch.cat([first_ab, second_ab]))
    assert ab.shape == (2, 2, 7, 9)
    for found, offered in zip(ab, (first_ab[0], second_ab[0])):
        colours = {tuple(colour) for colour in offered.flatten(1).T.tolist()}
        assert {tuple(colour) for colour in found.flatten(1).T.tolist()} <= colours


def test_two_colours_told_apart_by_lightness_and_by_texture():
    dark_blue = torch.where(torch.arange(16)[None, :] < 8, -0.5, 0.5).expand(16, 16)[None, None]
    ab = torch.zeros(1, 2, 16, 16)
    ab[:, 1] = torch.where(torch.arange(16) < 8, -0.4, 0.3)
    upright = colour_transfer(dark_blue.transpose(2, 3).contiguous(), dark_blue, ab)
    assert (upright[0, 1, :6] == -0.4).all() and (upright[0, 1, 10:] == 0.3).all()

    checks = torch.zeros(1, 1, 16, 16)   # same mean lightness, but the left half is rough
    checks[..., :8] = (torch.arange(16)[:, None] + torch.arange(8)) % 2 - 0.5
    rough = colour_transfer(checks.flip(3), checks, ab)
    assert (rough[0, 1, :, 10:] == -0.4).all() and (rough[0, 1, 3:13, :5] == 0.3).all()


def test_exposure_of_the_reference_does_not_matter():
    L, _ = picture(12, 12, 0)
    reference_L, ab = picture(12, 12, 1)
    darker = colour_transfer(L, reference_L * 0.5 - 0.4, ab)
    assert (darker == colour_transfer(L, reference_L, ab)).float().mean() > 0.98


def test_flat_pictures_do_not_become_nan():
    L, ab = torch.full((1, 1, 6, 6), 0.3), torch.full((1, 2, 6, 6), 0.2)
    assert torch.equal(colour_transfer(L, L, ab), ab)
    assert texture(L).abs().max() < 1e-3
    assert torch.isfinite(remap_lightness(L, L)).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 300), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_samples_lie_inside_and_are_enough(height, width, num, seed):
    places = jittered_grid(height, width, num, seed)
    assert len(places) >= num
    assert 0 <= places.min() and places.max() < height * width


def test_samples_are_spread_over_the_picture():
    places = jittered_grid(32, 32, 256, seed=0)
    cells = (places // 32 // 2) * 16 + places % 32 // 2
    assert len(set(cells.tolist())) == 256   # one in every 2 x 2 cell


def test_most_similar_finds_the_same_picture_darkened_and_noisy():
    generator = torch.Generator().manual_seed(0)
    pool = torch.nn.functional.interpolate(torch.rand(20, 1, 5, 5, generator=generator), 32)
    noisy = pool[[3, 17]] * 0.1 - 0.9 + 0.002 * torch.randn(2, 1, 32, 32, generator=generator)
    assert most_similar(noisy, pool).tolist() == [3, 17]


def test_errors_name_shapes():
    L, ab = picture(6, 6, 0)
    with pytest.raises(ValueError, match=r"\(1, 2, 6, 6\)"):
        colour_transfer(L, L, ab[..., :5])
    with pytest.raises(ValueError, match="one reference for each"):
        colour_transfer(L.expand(2, -1, -1, -1), L, ab)
    with pytest.raises(ValueError, match="odd"):
        colour_transfer(L, L, ab, window=4)


# ---------------------------------------------------------------------------------------------- regression


@pytest.mark.parametrize("out_channels", [2, 3])
def test_small_cnn_keeps_the_size_and_sees_42_pixels(out_channels):
    torch.manual_seed(0)
    network = SmallCNN(out_channels).eval()
    L = torch.rand(1, 1, 64, 64, requires_grad=True)
    answer = network(L)
    assert answer.shape == (1, out_channels, 64, 64) and answer.abs().max() < 1
    answer[0, :, 32, 32].sum().backward()
    seen = (L.grad[0, 0] != 0).nonzero()
    side = seen.max(0).values - seen.min(0).values + 1
    assert side.tolist() == [42, 42]


def test_regression_finds_the_mean_with_l2_and_the_median_with_l1():
    colours = torch.tensor([[0.4, 0.3], [0.0, -0.3], [0.0, -0.2]])
    target = colours.repeat(10, 1)[:, :, None, None].expand(-1, -1, 4, 4)
    L = torch.zeros(30, 1, 4, 4)
    wanted = {torch.nn.functional.mse_loss: colours.mean(0),
              torch.nn.functional.l1_loss: colours.median(0).values}
    for loss, best in wanted.items():
        constant = torch.nn.Conv2d(1, 2, 1)
        regress(constant, L, target, loss, num_steps=300, seed=0, lr=0.03)
        assert torch.allclose(constant.bias, best, atol=0.03)


def test_regression_is_reproducible_and_measured_as_often_as_asked():
    L, target = torch.rand(20, 1, 8, 8), torch.rand(20, 2, 8, 8)
    results = []
    for _ in range(2):
        torch.manual_seed(1)
        network = SmallCNN(width=4)
        seen = regress(network, L, target, torch.nn.functional.l1_loss, num_steps=20, seed=3,
                       watch=lambda n: (not n.training) * ab_error(n(L).detach(), target), checkpoints=6)
        results.append((seen, network(L)))
    assert len(results[0][0]) == 6 and min(results[0][0]) > 0 and results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1]) and not network.training
    assert results[0][0][-1] == pytest.approx(ab_error(network(L).detach(), target))


def test_ab_error_and_chroma_are_in_cie_units():
    real = torch.zeros(2, 2, 3, 3)
    shifted = real + torch.tensor([3 / 110, 4 / 110])[:, None, None]
    assert ab_error(shifted, real) == pytest.approx(5, abs=1e-4)
    assert torch.allclose(chroma(torch.full((1, 2, 2, 2), 0.5)), torch.tensor(110 * 0.5**0.5), atol=1e-3)


def test_spread_is_the_deviation_within_each_lightness():
    generator = np.random.default_rng(0)
    L, ab = generator.uniform(-1, 1, 3000), generator.normal(0, 0.2, (3000, 2))
    ab[:, 0] += L   # explained by L: must not count
    found = spread_at_equal_L(torch.tensor(L), torch.tensor(ab), num_bins=20).numpy()
    place = np.minimum(((L + 1) * 10).astype(int), 19)
    inside = [110 * np.sqrt(ab[place == k].var(0).sum()) for k in range(20)]
    overall = np.sqrt(np.average(np.square(inside), weights=np.bincount(place)))
    assert found[:20] == pytest.approx(inside) and found[20] == pytest.approx(overall)
    two = spread_at_equal_L(torch.tensor([-1.0, 1.0]), torch.rand(2, 2), num_bins=4)
    assert two[[0, 3, 4]].tolist() == [0, 0, 0] and two[1:3].isnan().all()
