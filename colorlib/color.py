"""sRGB <-> CIELAB (D65, 2 degrees) on channels-first tensors, and the one place that scales Lab for a network."""

from __future__ import annotations

import torch
from torch import Tensor

L_SCALE = 50.0
AB_SCALE = 110.0

# linear sRGB -> XYZ / white; every row sums to 1, so that a grey has a = b = 0 (Reference: IEC 61966-2-1, white point D65).
_ROWS = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
_XYZ_FROM_RGB = torch.tensor(_ROWS, dtype=torch.float64)
_XYZ_FROM_RGB = _XYZ_FROM_RGB / _XYZ_FROM_RGB.sum(1, keepdim=True)
_RGB_FROM_XYZ = torch.linalg.inv(_XYZ_FROM_RGB)
_KNEE = 6 / 29  # below it CIE replaces the cube root by a line
_SLOPE = 1 / (3 * _KNEE**2)


def _linear(x):
    curve = ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(x > 0.04045, curve, x / 12.92)


def _encoded(x):
    curve = 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(x > 0.0031308, curve, x * 12.92)


def _f(t):
    curve = t.clamp(min=_KNEE**3) ** (1 / 3)
    return torch.where(t > _KNEE**3, curve, t * _SLOPE + 4 / 29)


def _f_inverse(f):
    return torch.where(f > _KNEE, f**3, (f - 4 / 29) / _SLOPE)


def _mix(matrix, x):
    return torch.einsum("ij,...jhw->...ihw", matrix.to(x), x)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    x = rgb.float() / 255 if rgb.dtype == torch.uint8 else rgb
    fx, fy, fz = _f(_mix(_XYZ_FROM_RGB, _linear(x))).unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], -3)


def _xyz(lab):
    L, a, b = lab.unbind(-3)
    fy = (L + 16) / 116
    return _f_inverse(torch.stack([fy + a / 500, fy, fy - b / 200], -3))


def lab_to_rgb(lab: Tensor) -> Tensor:
    return _encoded(_mix(_RGB_FROM_XYZ, _xyz(lab)))


def lab_to_rgb8(lab: Tensor, fit: bool = False) -> Tensor:
    with torch.no_grad():
        lab = fit_gamut(lab) if fit else lab
        return (lab_to_rgb(lab) * 255).round_().clamp_(0, 255).to(torch.uint8)


def normalize(lab: Tensor) -> tuple[Tensor, Tensor]:
    return lab[..., :1, :, :] / L_SCALE - 1, lab[..., 1:, :, :] / AB_SCALE


def denormalize(L: Tensor, ab: Tensor) -> Tensor:
    return torch.cat([(L + 1) * L_SCALE, ab * AB_SCALE], -3)


def rgb_to_L_ab(rgb: Tensor) -> tuple[Tensor, Tensor]:
    return normalize(rgb_to_lab(rgb))


def rgb_to_L(rgb: Tensor) -> Tensor:
    return rgb_to_L_ab(rgb)[0]


def L_ab_to_rgb8(L: Tensor, ab: Tensor, fit: bool = False) -> Tensor:
    return lab_to_rgb8(denormalize(L, ab), fit)


def fit_gamut(lab: Tensor) -> Tensor:
    xyz = _xyz(lab)
    Y = xyz[..., 1:2, :, :]
    rgb = _mix(_RGB_FROM_XYZ, xyz)
    high, low = rgb.amax(-3, keepdim=True), rgb.amin(-3, keepdim=True)
    share = torch.minimum(torch.where(high > 1, (1 - Y) / (high - Y), 1), torch.where(low < 0, Y / (Y - low), 1))
    share = share.clamp(0, 1)
    fx, fy, fz = _f(Y + share * (xyz - Y)).unbind(-3)
    fitted = torch.stack([lab[..., 0, :, :], 500 * (fx - fy), 200 * (fy - fz)], -3)
    return torch.where(share < 1, fitted, lab)


def rgb_to_grey(rgb: Tensor) -> Tensor:
    L = rgb_to_L(rgb)
    return L_ab_to_rgb8(L, L.new_zeros(()).expand(*L.shape[:-3], 2, *L.shape[-2:]))
