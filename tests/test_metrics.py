"""Every metric against an independent oracle: scikit-image, or the definition written out with loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib import metrics


def photo(height, width, seed=0):
    """A smooth random colour picture: noise alone would hide mistakes in a windowed metric."""
    noise = torch.rand(1, 3, max(2, height // 5), max(2, width // 5), generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, (height, width), mode="bilinear")
    return (smooth[0] * 255).round().to(torch.uint8)


def pair(height, width, seed=0):
    first = photo(height, width, seed)
    other = (0.7 * first.float() + 0.3 * photo(height, width, seed + 1).float()).round().to(torch.uint8)
    return first, other


def last(rgb):
    return rgb.permute(1, 2, 0).numpy()


def auc_by_hand(ab_pred, ab_real):
    shares = []
    for threshold in range(151):
        inside = 0
        for (a, b), (a_real, b_real) in zip(ab_pred, ab_real):
            inside += math.hypot(a - a_real, b - b_real) <= threshold
        shares.append(inside / len(ab_pred))
    return 100 * sum((shares[t] + shares[t + 1]) / 2 for t in range(150)) / 150


def colourfulness_by_hand(rgb):
    rg, yb = [], []
    for red, green, blue in rgb.reshape(3, -1).T.tolist():
        rg.append(red - green)
        yb.append(0.5 * (red + green) - blue)
    return math.hypot(np.std(rg), np.std(yb)) + 0.3 * math.hypot(np.mean(rg), np.mean(yb))


@pytest.mark.parametrize("size", [(40, 60), (33, 11)])
def test_psnr_agrees_with_scikit_image(size):
    from skimage.metrics import peak_signal_noise_ratio

    first, other = pair(*size)
    expected = peak_signal_noise_ratio(last(first), last(other), data_range=255)
    assert metrics.psnr(first, other) == pytest.approx(expected, abs=1e-3)


def test_psnr_of_equal_photographs_is_infinite():
    assert metrics.psnr(photo(20, 20), photo(20, 20)) == math.inf


# 300 and 600 rows take more than one strip, 11 x 40 a single window
@pytest.mark.parametrize("size", [(11, 40), (40, 11), (266, 30), (300, 31), (600, 24)])
def test_ssim_agrees_with_scikit_image(size):
    from skimage.metrics import structural_similarity

    first, other = pair(*size)
    expected = structural_similarity(
        last(first), last(other), channel_axis=-1, data_range=255,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert metrics.ssim(first, other) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (300, 17)])
def test_delta_e_agrees_with_scikit_image_from_rgb(size):
    from skimage.color import deltaE_ciede2000, rgb2lab

    first, other = pair(*size)
    expected = deltaE_ciede2000(rgb2lab(last(first)), rgb2lab(last(other))).mean()
    assert metrics.delta_e(first, other) == pytest.approx(expected, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 150), st.integers(1, 40))
def test_auc_is_the_area_written_out(seed, spread, count):
    generator = np.random.default_rng(seed)
    ab_pred, ab_real = generator.uniform(-spread, spread, (2, count, 2)).astype(np.float32)
    tensors = [torch.from_numpy(ab.T.reshape(2, 1, count).copy()) for ab in (ab_pred, ab_real)]
    assert metrics.auc(*tensors) == pytest.approx(auc_by_hand(ab_pred.tolist(), ab_real.tolist()), abs=1e-4)


@pytest.mark.parametrize("error, expected", [
    (0.0, 100.0),  # inside at t = 0 already
    (3.0, 100 * 147.5 / 150),  # "at most t": inside from t = 3 on, half of the trapezoid before it
    (3.5, 100 * 146.5 / 150),
    (150.0, 100 * 0.5 / 150),
    (151.0, 0.0),
])  # fmt: skip
def test_auc_of_one_error(error, expected):
    ab_real = torch.zeros(2, 4, 4)
    ab_pred = torch.tensor([error, 0.0])[:, None, None].expand(2, 4, 4)
    assert metrics.auc(ab_pred, ab_real) == pytest.approx(expected, abs=1e-6)


def test_auc_takes_batches_and_the_distance_of_both_channels():
    ab_real = torch.zeros(3, 2, 5, 5)
    ab_pred = torch.stack([torch.full((3, 5, 5), 3.0), torch.full((3, 5, 5), 4.0)], 1)
    assert metrics.auc(ab_pred, ab_real) == pytest.approx(100 * 145.5 / 150)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9))
def test_colourfulness_is_the_formula_written_out(seed, height, width):
    rgb = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    assert metrics.colourfulness(torch.from_numpy(rgb)) == pytest.approx(colourfulness_by_hand(rgb), abs=1e-6)


def test_colourfulness_of_a_large_photograph_is_exact():
    rgb = torch.zeros(3, 1200, 1600, dtype=torch.uint8)
    rgb[0, ::2] = 255  # rg = 255 or 0, yb = 127.5 or 0
    assert metrics.colourfulness(rgb) == pytest.approx(math.hypot(127.5, 63.75) * 1.3, abs=1e-9)


def test_better_colours_score_better():
    from colorlib.color import rgb_to_grey, rgb_to_lab

    real = photo(64, 64)
    near = (0.9 * real.float() + 0.1 * rgb_to_grey(real).float()).round().to(torch.uint8)
    grey = rgb_to_grey(real)
    assert metrics.psnr(near, real) > metrics.psnr(grey, real)
    assert metrics.ssim(near, real) > metrics.ssim(grey, real)
    assert metrics.delta_e(near, real) < metrics.delta_e(grey, real)
    assert metrics.colourfulness(real) > metrics.colourfulness(near) > metrics.colourfulness(grey)
    assert metrics.colourfulness(grey) == 0
    ab = [rgb_to_lab(rgb)[1:] for rgb in (near, grey, real)]
    assert metrics.auc(ab[0], ab[2]) > metrics.auc(ab[1], ab[2])


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim, metrics.delta_e])
@pytest.mark.parametrize("bad, words", [
    (torch.zeros(3, 20, 21, dtype=torch.uint8), "(3, 20, 21)"),
    (torch.zeros(3, 20, 20), "float32"),
    (torch.zeros(20, 20, 3, dtype=torch.uint8), "(20, 20, 3)"),
    (torch.zeros(3, 0, 20, dtype=torch.uint8), "(3, 0, 20)"),
])  # fmt: skip
def test_pairs_that_cannot_be_compared_are_refused(metric, bad, words):
    with pytest.raises(ValueError) as error:
        metric(photo(20, 20), bad)
    assert words in str(error.value)


def test_ssim_says_that_a_photograph_is_too_small():
    with pytest.raises(ValueError, match="10 x 30 pixels; SSIM needs 11 x 11"):
        metrics.ssim(photo(30, 10), photo(30, 10))


def test_auc_refuses_nan_and_other_shapes():
    ab = torch.zeros(2, 3, 3)
    with pytest.raises(ValueError, match="not finite"):
        metrics.auc(ab * math.nan, ab)
    with pytest.raises(ValueError, match=r"\(3, 3, 3\)"):
        metrics.auc(torch.zeros(3, 3, 3), ab)


@pytest.mark.parametrize("n, m", [(40, 40), (40, 57), (3, 500)])
def test_sliced_wasserstein_along_one_direction_is_scipys(n, m):
    from scipy.stats import wasserstein_distance

    x, y = torch.randn(n, 1), torch.randn(m, 1) * 2 + 1
    expected = wasserstein_distance(x[:, 0], y[:, 0])
    assert metrics.sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-5)


def test_sliced_wasserstein_of_a_shift_in_closed_form():
    """Along a direction at angle t the clouds differ by 3 cos t, whose mean size is 6 / pi."""
    x = torch.randn(2000, 2)
    shifted = metrics.sliced_wasserstein(x, x + torch.tensor([3.0, 0.0]), num_projections=4000)
    assert shifted == pytest.approx(6 / np.pi, rel=0.03)


def test_sliced_wasserstein_is_a_distance():
    x, y, z = torch.randn(100, 5), torch.rand(80, 5), torch.randn(90, 5) * 3
    assert metrics.sliced_wasserstein(x, x[torch.randperm(100)]) == pytest.approx(0, abs=1e-6)
    assert metrics.sliced_wasserstein(x, y) == pytest.approx(metrics.sliced_wasserstein(y, x), rel=1e-5)
    sides = [metrics.sliced_wasserstein(a, b) for a, b in ((x, y), (y, z), (x, z))]
    assert sides[2] <= sides[0] + sides[1] + 1e-6
    assert metrics.sliced_wasserstein(2 * x, 2 * y) == pytest.approx(2 * sides[0], rel=1e-5)


@pytest.mark.parametrize("x, y", [(torch.zeros(3, 2), torch.zeros(3, 1)), (torch.zeros(0, 2), torch.zeros(3, 2)),
                                  (torch.zeros(3, 2, 2), torch.zeros(3, 2, 2))])
def test_sliced_wasserstein_refuses_other_shapes(x, y):
    with pytest.raises(ValueError, match="flatten|not empty"):
        metrics.sliced_wasserstein(x, y)
