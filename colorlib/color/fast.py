"""uint8 <-> Lab in tiles that stay in the cache, with tables for the curve of sRGB."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from colorlib.color.equations import KNEE, RGB_FROM_XYZ, SLOPE, XYZ_FROM_RGB, encoded, linear, share
from colorlib.runtime import in_threads

L_SCALE = 50.0
AB_SCALE = 110.0

_TILE = 65536  # pixels: few enough for the cache, enough to hide the cost of a call into torch
_CODES = 32768  # steps of linear light in the encoding table, 10 and more to one 8-bit code


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> list[Tensor]:
    """Linear light of 8-bit codes; matrices as columns (3, 3, 1) for it and back, to steps; the code of each step."""
    light = linear(torch.arange(256, dtype=torch.float64) / 255).float()
    to_xyz, to_rgb = (matrix.T.float().unsqueeze(-1) for matrix in (XYZ_FROM_RGB, RGB_FROM_XYZ * _CODES / 116**3))
    step = (torch.arange(_CODES + 1, dtype=torch.float64) + 0.5) / _CODES
    codes = (encoded(step.clamp(max=1)) * 255).round().to(torch.uint8)
    return [table.to(device) for table in (light, to_xyz, to_rgb, codes)]


def fast_lab(rgb: Tensor, only_L: bool) -> Tensor:
    """uint8 -> Lab, or scaled L alone."""
    light, to_xyz, _, _ = _constants(rgb.device)
    columns = to_xyz[:, 1:2] if only_L else to_xyz

    def convert(tile: Tensor, into: Tensor) -> None:
        t = _mix(columns, light.index_select(0, tile.flatten().int()).view(3, 1, -1))
        # the root above the knee and the line below: `equations.f` and 2 / 29, which both add at the knee
        f = t.clamp_min(KNEE**3).pow_(1 / 3).add_(t.clamp_max_(KNEE**3), alpha=SLOPE)
        if only_L:
            torch.mul(f, 116 / L_SCALE, out=into).sub_(24 / L_SCALE + 1).clamp_(-1, 1)
        else:
            torch.mul(f[1], 116, out=into[0]).sub_(24).clamp_(0, 100)
            torch.sub(f[0], f[1], out=into[1]).mul_(500)
            torch.sub(f[1], f[2], out=into[2]).mul_(200)

    return in_tiles(convert, 1 if only_L else 3, torch.float32, rgb)


def fast_rgb8(L: Tensor, ab: Tensor, scaled: bool, fit: bool) -> Tensor:
    """Lab -> uint8."""
    _, _, to_rgb, codes = _constants(L.device)
    L_unit, L_zero, ab_unit = (L_SCALE, L_SCALE + 16, AB_SCALE) if scaled else (1.0, 16.0, 1.0)

    def convert(L: Tensor, ab: Tensor, into: Tensor) -> None:
        s = torch.empty(3, L.shape[1], device=L.device)  # 116 fx, 116 fy, 116 fz
        s[1].copy_(L[0]).mul_(L_unit).add_(L_zero)
        torch.add(s[1], ab[0], alpha=ab_unit * 116 / 500, out=s[0])
        torch.sub(s[1], ab[1], alpha=ab_unit * 116 / 200, out=s[2])
        xyz = s.clamp_min(24).pow_(3).add_(s.clamp_max_(24).sub_(24), alpha=1728)  # the line below the knee
        light = _mix(to_rgb, xyz.unsqueeze(1))
        if not math.isfinite(light.sum()):
            raise ValueError("Lab holds values that are not finite, or above 1e9; need finite ones: look for their cause.")
        if fit:
            Y = xyz[1:2].mul_(_CODES / 116**3)
            high, low = light.amax(0, keepdim=True), light.amin(0, keepdim=True)
            torch.lerp(Y, light, share(Y, high, low, 0.0, _CODES), out=light)
        into.copy_(codes.index_select(0, light.clamp_(0, _CODES).flatten().int()).view(3, -1))

    return in_tiles(convert, 3, torch.uint8, L, ab)


def _mix(columns: Tensor, x: Tensor) -> Tensor:
    """The matrix of three columns (3, C, 1) times x (3, 1, n): (C, n); faster than a matrix product of so few."""
    return torch.mul(x[0], columns[0]).addcmul_(x[1], columns[1]).addcmul_(x[2], columns[2])


def in_tiles(convert: Callable[..., None], channels: int, dtype: torch.dtype, *pictures: Tensor) -> Tensor:
    """A picture (..., channels, H, W) from pictures (..., C, H, W), different in C alone, without gradient, on the CPU in
    threads: `convert` is given the same n pixels (C, n) of each, and where to write theirs, (channels, n)."""
    first = pictures[0].movedim(-3, 0)
    whole = torch.empty(channels, *first.shape[1:], dtype=dtype, device=first.device)
    on_cpu = first.device.type == "cpu"
    pixels = [x.detach().movedim(-3, 0).flatten(1) for x in pictures] + [whole.flatten(1)]
    tiles = list(zip(*(x.split(_TILE if on_cpu else 1 << 22, 1) for x in pixels)))

    def work(tile: tuple[Tensor, ...]) -> None:
        with torch.no_grad():
            convert(*tile)

    list((in_threads if on_cpu else map)(work, tiles))
    return whole.movedim(0, -3)
