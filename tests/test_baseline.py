"""Colour transfer against a slow, literal version of the paper's text, and by its behaviour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib.baseline import colour_transfer, jittered_grid, most_similar, remap_lightness, texture


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
    pool = torch.nn.functional.interpolate(torch.rand(20, 1, 5, 5, generator=torch.Generator().manual_seed(0)), 32)
    noisy = pool[[3, 17]] * 0.1 - 0.9 + 0.002 * torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    assert most_similar(noisy, pool).tolist() == [3, 17]


def test_errors_name_shapes():
    L, ab = picture(6, 6, 0)
    with pytest.raises(ValueError, match=r"\(1, 2, 6, 6\)"):
        colour_transfer(L, L, ab[..., :5])
    with pytest.raises(ValueError, match="one reference for each"):
        colour_transfer(L.expand(2, -1, -1, -1), L, ab)
    with pytest.raises(ValueError, match="odd"):
        colour_transfer(L, L, ab, window=4)
