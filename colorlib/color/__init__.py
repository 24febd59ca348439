"""sRGB <-> CIELAB (D65, 2 degrees) on tensors (..., channels, H, W), and the only owner of the scaling for networks.

Float tensors take the differentiable equations, 8-bit photographs a faster path (`fast`) that agrees to 0.002 in Lab.
Every function raises ValueError for another shape or dtype. Scaled means L / 50 - 1 and ab / 110, both about -1 to 1.

Reference: IEC 61966-2-1 (sRGB); CIE 15:2004, section 8.2.1 (CIELAB).
"""

import torch
from torch import Tensor

from colorlib.color import equations
from colorlib.color.fast import AB_SCALE, L_SCALE, fast_lab, fast_rgb8


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W), uint8 in 0..255 (fast) or float32/float64 in 0..1 (differentiable), to CIELAB.

    L is 0..100, a and b about -128..127; float32 for uint8, else the input's dtype.

    Example:
        >>> rgb_to_lab(torch.full((3, 1, 1), 255, dtype=torch.uint8)).flatten().round().abs()
        tensor([100.,   0.,   0.])
    """
    _check(rgb, 3, "rgb", bytes_too=True)
    if rgb.dtype == torch.uint8:
        return fast_lab(rgb, only_L=False)
    fx, fy, fz = equations.f(equations.mix(equations.XYZ_FROM_RGB, equations.linear(rgb))).unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIELAB (..., 3, H, W), float32 or float64, to sRGB: differentiable; outside the gamut it leaves 0..1."""
    _check(lab, 3, "lab")
    return equations.encoded(equations.mix(equations.RGB_FROM_XYZ, equations.xyz(lab)))


def lab_to_rgb8(lab: Tensor, fit: bool = False) -> Tensor:
    """Convert CIELAB (..., 3, H, W), any float dtype, to uint8 sRGB, fast, without gradient; ValueError for values that
    are not finite. Outside the gamut: `fit` False clips each channel, which changes L; True keeps L, as fit_gamut."""
    _check(lab, 3, "lab", half_too=True)
    return fast_rgb8(lab[..., :1, :, :], lab[..., 1:, :, :], scaled=False, fit=fit)


def normalize(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Split Lab (..., 3, H, W) into scaled L (..., 1, H, W) and ab (..., 2, H, W)."""
    _check(lab, 3, "lab")
    return lab[..., :1, :, :] / L_SCALE - 1, lab[..., 1:, :, :] / AB_SCALE


def denormalize(L: Tensor, ab: Tensor) -> Tensor:
    """Join scaled L (..., 1, H, W) and ab (..., 2, H, W) to Lab (..., 3, H, W): the inverse of normalize."""
    _check_pair(L, ab)
    return torch.cat([(L + 1) * L_SCALE, ab * AB_SCALE], -3)


def rgb_to_L_ab(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Convert sRGB (..., 3, H, W), uint8 or float, to scaled L (..., 1, H, W) and ab (..., 2, H, W)."""
    return normalize(rgb_to_lab(rgb))


def rgb_to_L(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W), uint8 or float in 0..1, to scaled L (..., 1, H, W); faster than rgb_to_L_ab."""
    _check(rgb, 3, "rgb", bytes_too=True)
    return fast_lab(rgb, only_L=True) if rgb.dtype == torch.uint8 else rgb_to_L_ab(rgb)[0]


def L_ab_to_rgb8(L: Tensor, ab: Tensor, fit: bool = False) -> Tensor:
    """Convert scaled L (..., 1, H, W), ab (..., 2, H, W) to uint8 (..., 3, H, W); `fit` as in lab_to_rgb8."""
    _check_pair(L, ab)
    return fast_rgb8(L, ab, scaled=True, fit=fit)


def fit_gamut(lab: Tensor) -> Tensor:
    """Move colours of Lab (..., 3, H, W) outside the sRGB gamut to its boundary at exactly the same L; differentiable.

    Linear RGB is mixed with the neutral grey of equal luminance Y. The share of colour is the largest for which each
    channel c keeps 0 <= Y + share (c - Y) <= 1. L outside 0..100 is kept, with a = b = 0.
    """
    _check(lab, 3, "lab")
    return equations.fit(lab)


def rgb_to_grey(rgb: Tensor) -> Tensor:
    """Return the grey photograph: uint8 (..., 3, H, W), L kept (to 8 bits), three equal channels."""
    L = rgb_to_L(rgb)
    grey = L_ab_to_rgb8(L, L.new_zeros(()).expand(*L.shape[:-3], 2, *L.shape[-2:]))
    return grey[..., 1:2, :, :].expand_as(grey).contiguous()  # rounding may set the channels one step apart


def _check(x: Tensor, channels: int, name: str, bytes_too: bool = False, half_too: bool = False) -> None:
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} is a {type(x).__name__}; need a torch.Tensor: use torch.as_tensor({name}).")
    if x.dim() < 3 or x.shape[-3] != channels:
        last = x.dim() >= 3 and x.shape[-1] == channels
        fix = f"The channels seem to come last: use {name}.movedim(-1, -3)." if last else "Reshape it."
        raise ValueError(f"{name} has shape {tuple(x.shape)}; need (..., {channels}, H, W), channels first. {fix}")
    allowed = [torch.float32, torch.float64] + [torch.uint8] * bytes_too + [torch.float16, torch.bfloat16] * half_too
    if x.dtype not in allowed:
        names = ", ".join(str(d).removeprefix("torch.") for d in allowed)
        fix = f"{name}.float()" + (", in 0..1, or .to(torch.uint8), in 0..255" if bytes_too else "")
        raise ValueError(f"{name} is {str(x.dtype).removeprefix('torch.')}; need one of {names}: use {fix}.")


def _check_pair(L: Tensor, ab: Tensor) -> None:
    _check(L, 1, "L", half_too=True)
    _check(ab, 2, "ab", half_too=True)
    if L.shape[:-3] != ab.shape[:-3] or L.shape[-2:] != ab.shape[-2:]:
        raise ValueError(f"L has shape {tuple(L.shape)} and ab {tuple(ab.shape)}; need (..., 1, H, W) and "
                         "(..., 2, H, W) with the same batch and size: resize ab to L.")
    if L.device != ab.device:
        raise ValueError(f"L is on {L.device} and ab on {ab.device}; need one device: use ab.to(L.device).")
