"""How far a colour photograph is from the real one, how colourful it is, and the distance of two clouds of points.

Photographs are uint8 (3, H, W), else ValueError. PSNR and SSIM are torchmetrics', CIEDE2000 is scikit-image's. SSIM and
CIEDE2000 take strips of rows, so that 12 megapixels do not need gigabytes.
"""

import math

import numpy as np
import torch
from torch import Tensor

from colorlib import color
from colorlib.checks import need_floats, need_photo

AUC_LARGEST = 150  # CIE units; no two colours of sRGB are further apart in ab than about 200
_STRIP = 256  # rows at a time
_WINDOW = 11  # SSIM's Gaussian window, sigma 1.5 (Wang et al. 2004)


def _check_pair(first: Tensor, second: Tensor) -> None:
    need_photo(first), need_photo(second)
    if first.shape != second.shape:
        raise ValueError(f"the photographs have shapes {tuple(first.shape)} and {tuple(second.shape)}; "
                         "they must be the same: compare at the full size of the photograph")


def psnr(rgb_a: Tensor, rgb_b: Tensor) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, in decibels: 0 to infinity (equal); more is better."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _check_pair(rgb_a, rgb_b)
    return peak_signal_noise_ratio(rgb_a.float(), rgb_b.float(), data_range=255.0).item()


def ssim(rgb_a: Tensor, rgb_b: Tensor) -> float:
    """Structural similarity, mean over channels and all windows inside the photograph: -1 to 1 (equal); more is better.

    SSIM hardly depends on colour: the grey photograph scores high. ValueError for photographs smaller than the window.

    Reference: Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, equation 13
    (Gaussian window 11 x 11 of sigma 1.5, K1 = 0.01, K2 = 0.03).
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _check_pair(rgb_a, rgb_b)
    height, width = rgb_a.shape[-2:]
    if min(height, width) < _WINDOW:
        raise ValueError(f"a photograph of {width} x {height} pixels; SSIM needs {_WINDOW} x {_WINDOW}: leave it out")
    windows, total, margin = height - _WINDOW + 1, 0.0, _WINDOW // 2
    for top in range(0, windows, _STRIP):
        bottom = min(top + _STRIP, windows)
        strips = [rgb[None, :, top : bottom + _WINDOW - 1].float() for rgb in (rgb_a, rgb_b)]
        _, every = structural_similarity_index_measure(*strips, data_range=255.0, return_full_image=True)
        # whole windows only: some versions of torchmetrics average those over the mirrored border too
        total += every[..., margin:-margin, margin:-margin].double().mean().item() * (bottom - top)
    return total / windows


def auc(ab_pred: Tensor, ab_real: Tensor) -> float:
    """Area under the curve of the share of pixels whose ab error is at most t, for t = 0, 1, ..., 150, by the trapezoidal
    rule, in percent: 0 (every error above 150) to 100 (equal).

    The error of a pixel is the distance of the two (a, b), (..., 2, H, W), in CIE units and finite, else ValueError.

    Reference: Zhang, Isola, Efros 2016, Colorful image colorization, section 3.1 (raw accuracy).
    """
    need_floats(ab_pred=ab_pred, ab_real=ab_real)
    if ab_pred.shape != ab_real.shape or ab_pred.ndim < 3 or ab_pred.shape[-3] != 2 or ab_pred.numel() == 0:
        raise ValueError(f"ab of shapes {tuple(ab_pred.shape)} and {tuple(ab_real.shape)}; need equal (..., 2, H, W)")
    error = (ab_pred - ab_real).square().sum(-3).sqrt()
    if not torch.isfinite(error).all():
        raise ValueError("ab contains values that are not finite; look for the NaN before measuring it")
    # the area below one pixel's curve: an error of 2.3 is inside every t >= 3, and the trapezoid from 2 to 3 is a half
    area = (AUC_LARGEST + 0.5 - error.cpu().double().ceil()).clamp(0, AUC_LARGEST)
    return 100 * area.mean().item() / AUC_LARGEST


def delta_e(rgb_a: Tensor, rgb_b: Tensor) -> float:
    """Mean CIEDE2000 colour difference (Sharma, Wu, Dalal 2005): 0 (equal) to about 100; 1 is just noticeable."""
    from skimage.color import deltaE_ciede2000

    _check_pair(rgb_a, rgb_b)
    (height, width), total = rgb_a.shape[-2:], 0.0
    for top in range(0, height, _STRIP):
        lab_a, lab_b = (color.rgb_to_lab(rgb[:, top : top + _STRIP]).double().cpu().numpy() for rgb in (rgb_a, rgb_b))
        total += float(deltaE_ciede2000(lab_a, lab_b, channel_axis=0).sum())
    return total / (height * width)


def colourfulness(rgb: Tensor) -> float:
    """How colourful a photograph looks, right or wrong: 0 (grey) to about 200 (15 slightly, 33 moderately, 82 highly).

    With rg = R - G and yb = (R + G) / 2 - B over all pixels: the length of their two standard deviations plus 0.3 times
    the length of their two means.

    Reference: Hasler, Suesstrunk 2003, Measuring colourfulness in natural images, section 7 (the metric M3).
    """
    need_photo(rgb)
    red, green, blue = rgb.cpu().double()  # float32 sums of 12 million squares would be wrong, and MPS has no float64
    rg, yb = red - green, (red + green) / 2 - blue
    deviations, means = (rg.std(correction=0), yb.std(correction=0)), (rg.mean(), yb.mean())
    return math.hypot(*deviations) + 0.3 * math.hypot(*means)


def sliced_wasserstein(x: Tensor, y: Tensor, num_projections: int = 64, seed: int = 0) -> float:
    """Sliced Wasserstein-1 distance of two clouds (N, D) and (M, D): the mean, over random directions (uniform on the
    sphere, drawn by `seed`), of the exact distance along each, the area between the two quantile functions.

    In the plane it is about 0.64 of the Wasserstein distance of clouds that differ by a shift, in D dimensions of the
    order of 1 / sqrt(D). Two finite samples of one distribution are not at 0: compare with that between two real ones.
    ValueError for clouds that are empty or of another shape.

    Reference: Rabin et al. 2012; Bonneel et al. 2015, Sliced and Radon Wasserstein Barycenters of Measures.
    """
    need_floats(x=x, y=y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"the clouds are {tuple(x.shape)} and {tuple(y.shape)}; need (N, D) and (M, D): flatten pictures first")
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # numpy has no bfloat16
    directions = torch.randn(x.shape[1], num_projections, generator=torch.Generator().manual_seed(seed))
    directions = (directions / directions.norm(dim=0)).to(x)
    # numpy sorts contiguous rows: on a CPU eight times as fast as torch's sort of columns
    first, second = (np.sort((cloud.detach() @ directions).T.cpu().numpy(), axis=1) for cloud in (x, y.to(x)))
    if len(x) == len(y):
        return float(np.abs(first - second).mean())
    from scipy.stats import wasserstein_distance

    return float(np.mean([wasserstein_distance(*pair) for pair in zip(first, second)]))
