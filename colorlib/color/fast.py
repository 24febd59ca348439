"""uint8 <-> Lab in tiles that stay in the cache: tables for the sRGB curve, two Newton steps for the cube root.

A tile's buffers are (3, pixels). Their views are made once for each shape, because slices would slow a tile down.
"""

import math
from collections.abc import Callable, Iterator, Sequence
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


def tiles(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut (..., C, H, W), different in C alone, into views (C, n, rows, columns) of about _TILE pixels."""
    if any(x.numel() == 0 for x in tensors):
        return
    flat = [x.reshape(-1, *x.shape[-3:]) for x in tensors]
    if all(x.shape[2] == 1 or x.stride(2) == x.shape[3] * x.stride(3) for x in flat):
        flat = [x.flatten(2).unsqueeze(-1) for x in flat]  # one row, to be cut anywhere
    _, _, h, w = flat[0].shape
    size = _TILE if flat[0].device.type == "cpu" else 1 << 22
    rows, images = max(1, size // w), max(1, size // (h * w))
    for batch in zip(*(x.transpose(0, 1).split(images, 1) for x in flat)):
        yield from zip(*(x.split(rows, 2) for x in batch))


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> dict[str, Tensor]:
    """Tables and matrices, scaled so that the root's rows are 500 fx, 200 fy, 200 fz."""
    eight_bit = linear(torch.arange(256, dtype=torch.float64) / 255).float()
    scale = torch.tensor([[500.0], [200.0], [200.0]], dtype=torch.float64)
    root = scale / _NEWTON[1]
    bound = (root * KNEE) ** 3
    # start of the root: the float's bits are about its logarithm, so a third of them is about the root's.
    # 85/256 for 1/3; the added constant centres the error (4 %) between the knee and white.
    u = (bound * torch.logspace(0, math.log10(KNEE**-3), 4096, dtype=torch.float64)).float()
    miss = (u ** (1 / 3)).view(torch.int32) - 85 * (u.view(torch.int32) >> 8)
    low, high = miss.amin(1, keepdim=True), miss.amax(1, keepdim=True)
    code = (torch.arange(_CODES + math.ceil(_OFFSET) + 1, dtype=torch.float64) + 0.5 - _OFFSET) / _CODES
    table = {
        "eight_bit": eight_bit,
        "xyz": (XYZ_FROM_RGB * root**3).T.float().unsqueeze(-1).contiguous(),  # (input, output, 1)
        "bound": bound.float(),
        "magic": (low + (high - low) // 2).int(),
        "line": (scale * SLOPE / root**3).float(),
        "rgb": (RGB_FROM_XYZ * _CODES / 116**3).T.float().unsqueeze(-1).contiguous(),
        "codes": (encoded(code.clamp(0, 1)) * 255).round().to(torch.uint8),
    }
    table = {name: value.to(device) for name, value in table.items()}
    if device.type == "cpu":  # two bytes in, two floats out
        pairs = eight_bit[torch.arange(65536).to(torch.uint16).view(torch.uint8).long()]
        table["pairs"] = pairs.view(torch.float64).view(-1)
    return table


class _Gather:
    # a look-up in a table with everything else done beforehand
    def __init__(self, table: Tensor, index: Tensor, out: Tensor) -> None:
        rows = math.gcd(index.numel(), 64)  # torch.gather shares rows, not columns, among the threads
        self.table, self.index, self.out = table.expand(rows, -1), index.view(rows, -1), out.view(rows, -1)

    def __call__(self) -> None:
        torch.gather(self.table, 1, self.index, out=self.out)


class _ToLab:
    # uint8 -> Lab (or scaled L alone) for tiles of one shape
    def __init__(self, tile: Tensor, table: dict[str, Tensor], only_L: bool) -> None:
        pixels, rows, self.only_L = tile[0].numel(), slice(1, 2) if only_L else slice(0, 3), only_L
        self.bound, self.magic, self.line = (table[name][rows] for name in ("bound", "magic", "line"))
        self.columns = [column[rows] for column in table["xyz"]]
        light, t, self.u, self.y = torch.empty(4, 3, pixels, device=tile.device)
        self.t, self.u, self.y, self.square = t[rows], self.u[rows], self.y[rows], light[rows]
        self.u_bits, self.y_bits = self.u.view(torch.int32), self.y.view(torch.int32)
        self.light = light.unsqueeze(1).unbind(0)
        self.result = self.y.view(-1, *tile.shape[1:]).unbind(0)
        # two neighbouring bytes at a time, where memory allows it
        if "pairs" in table and pixels % 2 == 0 and tile.stride(2) * tile.stride(3) == 1:
            packed = torch.empty(3 * pixels, dtype=torch.uint8)
            index = torch.empty(3 * pixels // 2, dtype=torch.int64)
            self.copies = [(packed.view(tile.shape), None), (index, packed.view(torch.uint16))]
            self.look_up = _Gather(table["pairs"], index, light.view(-1).view(torch.float64))
        else:
            index = torch.empty(tile.shape, dtype=torch.int64, device=tile.device)
            self.copies = [(index, None)]
            self.look_up = _Gather(table["eight_bit"], index, light)

    def __call__(self, tile: Tensor, into: Tensor) -> None:
        for target, source in self.copies:
            target.copy_(tile if source is None else source)
        self.look_up()
        t, u, y, bits = self.t, self.u, self.y, self.y_bits
        _mix_into(self.columns, self.light, t)
        torch.maximum(t, self.bound, out=u)
        torch.bitwise_right_shift(self.u_bits, 8, out=bits)
        torch.add(self.magic, bits, alpha=85, out=bits)
        for weight in (0.5, _NEWTON[0]):
            torch.addcdiv(y, u, torch.pow(y, 2, out=self.square), value=weight, out=y)
        torch.addcmul(y, torch.minimum(t, self.bound, out=t), self.line, out=y)
        # 116 fy - 16, less the 8 by which the line is too high at the knee
        if self.only_L:
            torch.mul(self.result[0], 0.58 / L_SCALE, out=into[0]).sub_(24 / L_SCALE + 1).clamp_(-1, 1)
        else:
            x, y, z = self.result
            torch.mul(y, 0.58, out=into[0]).sub_(24).clamp_(0, 100)
            torch.sub(x, y, alpha=2.5, out=into[1])
            torch.sub(y, z, out=into[2])


class _ToRgb8:
    # Lab -> uint8 for tiles of one shape
    def __init__(self, L: Tensor, table: dict[str, Tensor], scaled: bool, fit: bool) -> None:
        pixels, shape, device = L.numel(), (3, *L.shape[1:]), L.device
        self.fit, self.columns = fit, table["rgb"]
        self.L_unit, self.L_zero, self.ab_unit = (L_SCALE, L_SCALE + 16, AB_SCALE) if scaled else (1.0, 16.0, 1.0)
        self.s, self.t = torch.empty(2, 3, pixels, device=device)
        self.xyz, self.t_rows = self.s.view(shape).unbind(0), self.t.unsqueeze(1).unbind(0)
        self.index32 = torch.empty(3, pixels, dtype=torch.int32, device=device)
        self.index = torch.empty(3, pixels, dtype=torch.int64, device=device)
        self.codes = torch.empty(shape, dtype=torch.uint8, device=device)
        self.look_up = _Gather(table["codes"], self.index, self.codes)

    def __call__(self, L: Tensor, ab: Tensor, into: Tensor) -> None:
        s, t, (x, y, z), (a, b) = self.s, self.t, self.xyz, ab.unbind(0)
        y.copy_(L[0]).mul_(self.L_unit).add_(self.L_zero)  # s = 116 fx, 116 fy, 116 fz
        torch.add(y, a, alpha=self.ab_unit * 116 / 500, out=x)
        torch.sub(y, b, alpha=self.ab_unit * 116 / 200, out=z)
        torch.pow(torch.clamp_min(s, 24, out=t), 3, out=t).add_(s.clamp_max_(24), alpha=1728)
        light = _mix_into(self.columns, self.t_rows, s)
        if not math.isfinite(light.sum()):
            raise ValueError("Lab holds values that are not finite, or above 1e9; need finite ones: look for their cause.")
        if self.fit:
            Y = self.t_rows[1].mul_(_CODES / 116**3)
            high, low = light.amax(0, keepdim=True), light.amin(0, keepdim=True)
            torch.lerp(Y, light, share(Y, high, low, _OFFSET, _OFFSET + _CODES), out=light)
        self.index.copy_(self.index32.copy_(light.clamp_(_OFFSET, _OFFSET + _CODES)))
        self.look_up()
        into.copy_(self.codes)


def _mix_into(columns: Sequence[Tensor], x: Sequence[Tensor], out: Tensor) -> Tensor:
    torch.mul(x[0], columns[0], out=out)
    torch.addcmul(out, x[1], columns[1], out=out)
    return torch.addcmul(out, x[2], columns[2], out=out)


def fast_lab(rgb: Tensor, only_L: bool) -> Tensor:
    out = torch.empty(*rgb.shape[:-3], 1 if only_L else 3, *rgb.shape[-2:], device=rgb.device)
    table = _constants(rgb.device)
    work_through(list(tiles(rgb, out)), lambda tile: _ToLab(tile, table, only_L))
    return out


def fast_rgb8(L: Tensor, ab: Tensor, scaled: bool, fit: bool) -> Tensor:
    L, ab = L.detach(), ab.detach()
    out = torch.empty(*L.shape[:-3], 3, *L.shape[-2:], dtype=torch.uint8, device=L.device)
    table = _constants(L.device)
    work_through(list(tiles(L, ab, out)), lambda tile: _ToRgb8(tile, table, scaled, fit))
    return out


def work_through(tiles: list[tuple[Tensor, ...]], make: Callable[[Tensor], Callable[..., None]]) -> None:
    """Run `make(tile)(*tile and output)` for all tiles, on the CPU shared out among threads."""

    def some(mine: list[tuple[Tensor, ...]]) -> None:
        workers: dict[torch.Size, Callable[..., None]] = {}
        with torch.no_grad():
            for tile in mine:
                if tile[0].shape not in workers:
                    workers[tile[0].shape] = make(tile[0])
                workers[tile[0].shape](*tile)

    on_cpu = bool(tiles) and tiles[0][0].device.type == "cpu"
    shares = num_shares(len(tiles)) if on_cpu else 1
    in_threads(some, [tiles[first::shares] for first in range(shares)])
