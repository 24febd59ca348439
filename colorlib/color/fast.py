"""uint8 <-> Lab in tiles that stay in the cache: tables for the sRGB curve, two Newton steps for the cube root."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from colorlib.color.equations import KNEE, RGB_FROM_XYZ, SLOPE, XYZ_FROM_RGB, encoded, linear, share
from colorlib.runtime import in_threads, num_shares

L_SCALE = 50.0
AB_SCALE = 110.0

_TILE = 65536  # pixels: few enough for the cache, enough to hide the cost of a call into torch
_CODES = 32768  # steps of linear light in the encoding table, 10 and more to one 8-bit code
_NEWTON = (27 / 16, 9 / 4)  # two unscaled steps y + u / 2y^2, s + 27/16 u / s^2 end at 9/4 of the root
_OFFSET = 3 * 24**3 / 116**3 * _CODES  # where black lies, because 1728 (s - 24) is added as 1728 s


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> dict[str, Tensor]:
    """Tables and matrices, scaled so that the root's rows are 500 fx, 200 fy, 200 fz."""
    scale = torch.tensor([[500.0], [200.0], [200.0]], dtype=torch.float64)
    root = scale / _NEWTON[1]
    bound = (root * KNEE) ** 3
    # start of the root: the float's bits are about its logarithm, so a third of them is about the root's.
    # 85/256 for 1/3; the added constant centres the error (4 %) between the knee and white.
    u = (bound * torch.logspace(0, math.log10(KNEE**-3), 4096, dtype=torch.float64)).float()
    miss = (u ** (1 / 3)).view(torch.int32) - 85 * (u.view(torch.int32) >> 8)
    low, high = miss.amin(1, keepdim=True), miss.amax(1, keepdim=True)
    code = (torch.arange(_CODES + math.ceil(_OFFSET) + 1, dtype=torch.float64) + 0.5 - _OFFSET) / _CODES
    return {name: value.to(device) for name, value in {
        "linear": linear(torch.arange(256, dtype=torch.float64) / 255).float(),
        "xyz": (XYZ_FROM_RGB * root**3).T.float().unsqueeze(-1).contiguous(),  # (input, output, 1)
        "bound": bound.float(), "magic": (low + (high - low) // 2).int(), "line": (scale * SLOPE / root**3).float(),
        "rgb": (RGB_FROM_XYZ * _CODES / 116**3).T.float().unsqueeze(-1).contiguous(),
        "codes": (encoded(code.clamp(0, 1)) * 255).round().to(torch.uint8),
    }.items()}


def fast_lab(rgb: Tensor, only_L: bool) -> Tensor:
    """uint8 -> Lab, or scaled L alone."""
    table, rows = _constants(rgb.device), slice(1, 2) if only_L else slice(0, 3)
    columns, bound, magic, line = table["xyz"][:, rows], *(table[name][rows] for name in ("bound", "magic", "line"))

    def convert(tile: Tensor, into: Tensor) -> None:
        index = tile.to(torch.int32, memory_format=torch.contiguous_format)
        light = table["linear"].index_select(0, index.flatten()).view(3, 1, -1)
        t = _mix(columns, light)
        u = torch.maximum(t, bound)
        y = torch.add(magic, u.view(torch.int32).bitwise_right_shift(8), alpha=85).view(torch.float32)
        square = torch.empty_like(y)
        for weight in (0.5, _NEWTON[0]):
            y.addcdiv_(u, torch.mul(y, y, out=square), value=weight)
        y.addcmul_(torch.minimum(t, bound, out=t), line)
        # 116 fy - 16, less the 8 by which the line is too high at the knee
        if only_L:
            torch.mul(y, 0.58 / L_SCALE, out=into).sub_(24 / L_SCALE + 1).clamp_(-1, 1)
        else:
            torch.mul(y[1], 0.58, out=into[0]).sub_(24).clamp_(0, 100)
            torch.sub(y[0], y[1], alpha=2.5, out=into[1])
            torch.sub(y[1], y[2], out=into[2])

    return in_tiles(convert, 1 if only_L else 3, torch.float32, rgb)


def fast_rgb8(L: Tensor, ab: Tensor, scaled: bool, fit: bool) -> Tensor:
    """Lab -> uint8."""
    table, black, white = _constants(L.device), _OFFSET, _OFFSET + _CODES
    L_unit, L_zero, ab_unit = (L_SCALE, L_SCALE + 16, AB_SCALE) if scaled else (1.0, 16.0, 1.0)

    def convert(L: Tensor, ab: Tensor, into: Tensor) -> None:
        s = torch.empty(3, L.shape[1], device=L.device)  # 116 fx, 116 fy, 116 fz
        s[1].copy_(L[0]).mul_(L_unit).add_(L_zero)
        torch.add(s[1], ab[0], alpha=ab_unit * 116 / 500, out=s[0])
        torch.sub(s[1], ab[1], alpha=ab_unit * 116 / 200, out=s[2])
        xyz = s.clamp_min(24).pow_(3).add_(s.clamp_max_(24), alpha=1728)
        light = _mix(table["rgb"], xyz.unsqueeze(1))
        if not math.isfinite(light.sum()):
            raise ValueError("Lab holds values that are not finite, or above 1e9; need finite ones: look for their cause.")
        if fit:
            Y = xyz[1:2].mul_(_CODES / 116**3)
            high, low = light.amax(0, keepdim=True), light.amin(0, keepdim=True)
            torch.lerp(Y, light, share(Y, high, low, black, white), out=light)
        into.copy_(table["codes"].index_select(0, light.clamp_(black, white).flatten().int()).view(3, -1))

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

    def some(mine: list[tuple[Tensor, ...]]) -> None:
        with torch.no_grad():
            for tile in mine:
                convert(*tile)

    shares = num_shares(len(tiles)) if on_cpu else 1
    in_threads(some, [tiles[first::shares] for first in range(shares)])
    return whole.movedim(0, -3)
