"""The equations of sRGB and CIELAB on float tensors (..., C, H, W), differentiable."""

import torch
from torch import Tensor

_ROWS = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
XYZ_FROM_RGB = torch.tensor(_ROWS, dtype=torch.float64)
# relative to white: rows of sum 1 give every grey a = b = 0; the published white point leaves greys up to 0.005 off
XYZ_FROM_RGB = XYZ_FROM_RGB / XYZ_FROM_RGB.sum(1, keepdim=True)
RGB_FROM_XYZ = torch.linalg.inv(XYZ_FROM_RGB)
KNEE = 6 / 29  # f below which CIE replaces the cube root by its tangent line
SLOPE = 1 / (3 * KNEE**2)

# `where` with the unused branch clamped keeps both values and gradients finite


def linear(x: Tensor) -> Tensor:
    curve = ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(x > 0.04045, curve, x / 12.92)


def encoded(x: Tensor) -> Tensor:
    curve = 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(x > 0.0031308, curve, x * 12.92)


def f(t: Tensor) -> Tensor:
    curve = t.clamp(min=KNEE**3) ** (1 / 3)
    return torch.where(t > KNEE**3, curve, t * SLOPE + 4 / 29)


def f_inverse(value: Tensor) -> Tensor:
    return torch.where(value > KNEE, value**3, (value - 4 / 29) / SLOPE)


def mix(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix.to(x.dtype).to(x.device), x)


def xyz(lab: Tensor) -> Tensor:
    L, a, b = lab.unbind(-3)
    fy = (L + 16) / 116
    return f_inverse(torch.stack([fy + a / 500, fy, fy - b / 200], -3))


def fit(lab: Tensor) -> Tensor:
    in_xyz = xyz(lab)
    Y = in_xyz[..., 1:2, :, :]
    rgb = mix(RGB_FROM_XYZ, in_xyz)
    part = share(Y, rgb.amax(-3, keepdim=True), rgb.amin(-3, keepdim=True), 0.0, 1.0)
    fx, fy, fz = f(Y + part * (in_xyz - Y)).unbind(-3)
    fitted = torch.stack([lab[..., 0, :, :], 500 * (fx - fy), 200 * (fy - fz)], -3)
    return torch.where(part < 1, fitted, lab)


def share(Y: Tensor, high: Tensor, low: Tensor, black: float, white: float) -> Tensor:
    """The largest share in 0..1 of a colour's distance from grey that stays in the gamut."""
    tiny = 1e-9 * white  # a grey needs no room: 0 / tiny is as good as any answer
    up = (white - Y) / (high - Y).clamp(min=tiny)
    down = (Y - black) / (Y - low).clamp(min=tiny)
    return torch.minimum(up, down).clamp(0, 1)
