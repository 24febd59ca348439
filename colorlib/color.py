"""sRGB <-> CIELAB (D65, 2 degrees) on channels-first tensors, and the one owner of the scaling for a network.

Two roads give the same numbers (to 0.002 in Lab). Float tensors take the differentiable equations.
8-bit photographs take a road built for speed: tables for the sRGB curve (it has 256 inputs), two Newton steps
for the cube root, and tiles of pixels that stay in the processor's cache: little memory beyond the result.

Reference: IEC 61966-2-1 (sRGB); CIE 15:2004, section 8.2.1 (CIELAB).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

L_SCALE = 50.0
AB_SCALE = 110.0

_ROWS = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
_XYZ_FROM_RGB = torch.tensor(_ROWS, dtype=torch.float64)
# XYZ is always relative to white here. Rows that sum to exactly 1 give every grey X = Y = Z, so a = b = 0;
# the published white point, rounded to five digits, leaves greys up to 0.005 off.
_XYZ_FROM_RGB = _XYZ_FROM_RGB / _XYZ_FROM_RGB.sum(1, keepdim=True)
_RGB_FROM_XYZ = torch.linalg.inv(_XYZ_FROM_RGB)
_KNEE = 6 / 29  # f below which CIE replaces the cube root by its tangent line
_SLOPE = 1 / (3 * _KNEE**2)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIELAB.

    Args:
        rgb: (..., 3, H, W), uint8 in 0..255 (the fast road) or float32/float64 in 0..1 (differentiable).

    Returns:
        Lab of the same shape: L 0..100, a and b about -128..127; float32 for uint8, else the input's dtype.

    Raises:
        ValueError: for another shape or dtype.

    Example:
        >>> rgb_to_lab(torch.full((3, 1, 1), 255, dtype=torch.uint8)).flatten().round().abs()
        tensor([100.,   0.,   0.])
    """
    _check(rgb, 3, "rgb", bytes_too=True)
    if rgb.dtype == torch.uint8:
        return _fast_lab(rgb, only_L=False)
    fx, fy, fz = _f(_mix(_XYZ_FROM_RGB, _linear(rgb))).unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIELAB to sRGB, differentiable and not clipped: colours outside the gamut leave 0..1.

    Args:
        lab: (..., 3, H, W), float32 or float64 in CIE units.

    Returns:
        sRGB of the same shape and dtype.

    Raises:
        ValueError: for another shape or dtype.
    """
    _check(lab, 3, "lab")
    return _encoded(_mix(_RGB_FROM_XYZ, _xyz(lab)))


def lab_to_rgb8(lab: Tensor, fit: bool = False) -> Tensor:
    """Convert CIELAB to an 8-bit photograph, fast and without gradient.

    Args:
        lab: (..., 3, H, W), any float dtype, CIE units.
        fit: what happens to colours outside the gamut: False clips each channel (which shifts L),
            True takes chroma away until they fit and keeps L (see fit_gamut).

    Returns:
        uint8 sRGB of the same shape.

    Raises:
        ValueError: for another shape or dtype, and for values that are not finite.
    """
    _check(lab, 3, "lab", half_too=True)
    return _fast_rgb8(lab[..., :1, :, :], lab[..., 1:, :, :], scaled=False, fit=fit)


def normalize(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Split Lab into what a network sees: L / 50 - 1 in [-1, 1] and ab / 110 in about [-1, 1].

    Args:
        lab: (..., 3, H, W) in CIE units.

    Returns:
        L (..., 1, H, W) and ab (..., 2, H, W).
    """
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
    """Convert sRGB (..., 3, H, W), uint8 or float in 0..1, to scaled L (..., 1, H, W), the cheap road."""
    _check(rgb, 3, "rgb", bytes_too=True)
    if rgb.dtype == torch.uint8:
        return _fast_lab(rgb, only_L=True)
    return rgb_to_L_ab(rgb)[0]


def L_ab_to_rgb8(L: Tensor, ab: Tensor, fit: bool = False) -> Tensor:
    """Convert scaled L (..., 1, H, W), ab (..., 2, H, W) to uint8 (..., 3, H, W); `fit` as in lab_to_rgb8."""
    _check_pair(L, ab)
    return _fast_rgb8(L, ab, scaled=True, fit=fit)


def fit_gamut(lab: Tensor) -> Tensor:
    """Move colours outside the sRGB gamut to its boundary at exactly the same L.

    Linear RGB is mixed with the neutral grey of equal luminance Y; the largest share of colour that fits:
    each channel c must keep 0 <= Y + share (c - Y) <= 1. Colours inside the gamut come back untouched.

    Args:
        lab: (..., 3, H, W), float32 or float64 in CIE units. L outside 0..100 is kept, with a = b = 0.

    Returns:
        Lab of the same shape and dtype. Differentiable if the input requires a gradient, else in tiles.

    Raises:
        ValueError: for another shape or dtype.
    """
    _check(lab, 3, "lab")
    if torch.is_grad_enabled() and lab.requires_grad:
        return _fit(lab)
    out = torch.empty(lab.shape, dtype=lab.dtype, device=lab.device)
    _work_through(list(_tiles(lab.detach(), out)), lambda tile: _fit_tile)
    return out


def rgb_to_grey(rgb: Tensor) -> Tensor:
    """Return the grey photograph: uint8 (..., 3, H, W), L kept (to 8 bits), three equal channels."""
    L = rgb_to_L(rgb)
    return L_ab_to_rgb8(L, L.new_zeros(()).expand(*L.shape[:-3], 2, *L.shape[-2:]))


# The equations. `where` with the unused branch clamped keeps both values and gradients finite.


def _linear(x: Tensor) -> Tensor:
    curve = ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(x > 0.04045, curve, x / 12.92)


def _encoded(x: Tensor) -> Tensor:
    curve = 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(x > 0.0031308, curve, x * 12.92)


def _f(t: Tensor) -> Tensor:
    curve = t.clamp(min=_KNEE**3) ** (1 / 3)
    return torch.where(t > _KNEE**3, curve, t * _SLOPE + 4 / 29)


def _f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > _KNEE, f**3, (f - 4 / 29) / _SLOPE)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix.to(x.dtype).to(x.device), x)


def _xyz(lab: Tensor) -> Tensor:
    L, a, b = lab.unbind(-3)
    fy = (L + 16) / 116
    return _f_inverse(torch.stack([fy + a / 500, fy, fy - b / 200], -3))


def _fit(lab: Tensor) -> Tensor:
    xyz = _xyz(lab)
    Y = xyz[..., 1:2, :, :]
    rgb = _mix(_RGB_FROM_XYZ, xyz)
    share = _share(Y, rgb.amax(-3, keepdim=True), rgb.amin(-3, keepdim=True), 0.0, 1.0)
    fx, fy, fz = _f(Y + share * (xyz - Y)).unbind(-3)
    fitted = torch.stack([lab[..., 0, :, :], 500 * (fx - fy), 200 * (fy - fz)], -3)
    return torch.where(share < 1, fitted, lab)


def _fit_tile(tile: Tensor, into: Tensor) -> None:
    into.copy_(_fit(tile.transpose(0, 1)).transpose(0, 1))


def _share(Y: Tensor, high: Tensor, low: Tensor, black: float, white: float) -> Tensor:
    """Return the largest share in 0..1 of a colour's distance from grey that stays in the gamut."""
    tiny = 1e-9 * white  # a grey needs no room: 0 / tiny is as good as any answer
    up = (white - Y) / (high - Y).clamp(min=tiny)
    down = (Y - black) / (Y - low).clamp(min=tiny)
    return torch.minimum(up, down).clamp(0, 1)


# The fast road. Inside a tile of pixels every buffer is (3, pixels). Its views are made once for each shape
# of tile: a tile takes a fraction of a millisecond, so that twenty slices of a microsecond each would show.

_TILE = 32768  # pixels: few enough for the cache, enough to hide the cost of a call into torch
_CODES = 32768  # steps of linear light in the encoding table, 10 and more to one 8-bit code
_NEWTON = (27 / 16, 9 / 4)  # two unscaled steps y + u / 2y^2, s + 27/16 u / s^2 end at 9/4 of the root
_OFFSET = 3 * 24**3 / 116**3 * _CODES  # where black lies, because 1728 (s - 24) is added as 1728 s


def _tiles(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut (..., C, H, W), different in C alone, into views (C, n, rows, columns) of about _TILE pixels."""
    flat = [x.reshape(-1, *x.shape[-3:]) if x.numel() else x.new_empty(0, *x.shape[-3:]) for x in tensors]
    if any(x.numel() == 0 for x in flat):
        return
    if all(x.shape[2] == 1 or x.stride(2) == x.shape[3] * x.stride(3) for x in flat):
        flat = [x.flatten(2).unsqueeze(-1) for x in flat]  # one row, to be cut anywhere
    _, _, h, w = flat[0].shape
    size = _TILE if flat[0].device.type == "cpu" else 1 << 22
    rows, images = max(1, size // w), max(1, size // (h * w))
    for batch in zip(*(x.transpose(0, 1).split(images, 1) for x in flat)):
        yield from zip(*(x.split(rows, 2) for x in batch))


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> dict[str, Tensor]:
    """Tables and scaled matrices. Scales make the root's rows come out as 500 fx, 200 fy, 200 fz."""
    eight_bit = _linear(torch.arange(256, dtype=torch.float64) / 255).float()
    # two bytes in, two floats out
    pairs = eight_bit[torch.arange(65536).to(torch.uint16).view(torch.uint8).long()]
    scale = torch.tensor([[500.0], [200.0], [200.0]], dtype=torch.float64)
    root = scale / _NEWTON[1]
    bound = (root * _KNEE) ** 3
    # start of the root: the float's bits are about its logarithm, so a third of them is about the root's.
    # 85/256 for 1/3; the added constant centres the error (4 %) between the knee and white.
    u = (bound * torch.logspace(0, math.log10(_KNEE**-3), 4096, dtype=torch.float64)).float()
    miss = (u ** (1 / 3)).view(torch.int32) - 85 * (u.view(torch.int32) >> 8)
    low, high = miss.amin(1, keepdim=True), miss.amax(1, keepdim=True)
    magic = (low + (high - low) // 2).int()
    code = (torch.arange(_CODES + math.ceil(_OFFSET) + 1, dtype=torch.float64) + 0.5 - _OFFSET) / _CODES
    table = {
        "eight_bit": eight_bit,
        "xyz": (_XYZ_FROM_RGB * root**3).T.float().unsqueeze(-1).contiguous(),  # (input, output, 1)
        "bound": bound.float(),
        "magic": magic,
        "line": (scale * _SLOPE / root**3).float(),
        "rgb": (_RGB_FROM_XYZ * _CODES / 116**3).T.float().unsqueeze(-1).contiguous(),
        "codes": (_encoded(code.clamp(0, 1)) * 255).round().to(torch.uint8),
    }
    table = {name: value.to(device) for name, value in table.items()}
    if device.type == "cpu":
        table["pairs"] = pairs.view(torch.float64).view(-1)
    return table


class _Gather:
    """Table look-up with everything but the look-up done beforehand."""

    def __init__(self, table: Tensor, index: Tensor, out: Tensor) -> None:
        rows = math.gcd(index.numel(), 64)  # torch.gather shares rows, not columns, among the threads
        self.table, self.index, self.out = table.expand(rows, -1), index.view(rows, -1), out.view(rows, -1)

    def __call__(self) -> None:
        torch.gather(self.table, 1, self.index, out=self.out)


class _ToLab:
    """uint8 -> Lab (or scaled L alone) for tiles of one shape."""

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
            return
        x, y, z = self.result
        L, a, b = into.unbind(0)
        torch.mul(y, 0.58, out=L).sub_(24).clamp_(0, 100)
        torch.sub(x, y, alpha=2.5, out=a)
        torch.sub(y, z, out=b)


class _ToRgb8:
    """Lab -> uint8 for tiles of one shape."""

    def __init__(self, L: Tensor, table: dict[str, Tensor], scaled: bool, fit: bool) -> None:
        pixels, shape, device = L.numel(), (3, *L.shape[1:]), L.device
        self.fit, self.columns = fit, table["rgb"]
        units = (L_SCALE, L_SCALE + 16, AB_SCALE) if scaled else (1.0, 16.0, 1.0)
        self.L_unit, self.L_zero, self.ab_unit = units
        self.s, self.t = torch.empty(2, 3, pixels, device=device)
        self.xyz, self.t_rows = self.s.view(shape).unbind(0), self.t.unsqueeze(1).unbind(0)
        self.index32 = torch.empty(3, pixels, dtype=torch.int32, device=device)
        self.index = torch.empty(3, pixels, dtype=torch.int64, device=device)
        self.codes = torch.empty(shape, dtype=torch.uint8, device=device)
        self.look_up = _Gather(table["codes"], self.index, self.codes)

    def __call__(self, L: Tensor, ab: Tensor, into: Tensor) -> None:
        s, t, (x, y, z), (a, b) = self.s, self.t, self.xyz, ab.unbind(0)
        y.copy_(L[0])  # s = 116 fx, 116 fy, 116 fz
        if self.L_unit != 1:
            y.mul_(self.L_unit)
        y.add_(self.L_zero)
        torch.add(y, a, alpha=self.ab_unit * 116 / 500, out=x)
        torch.sub(y, b, alpha=self.ab_unit * 116 / 200, out=z)
        if not math.isfinite(s.sum()):
            raise ValueError("Lab holds values that are not finite; need finite ones: look for their cause.")
        torch.pow(torch.clamp_min(s, 24, out=t), 3, out=t).add_(s.clamp_max_(24), alpha=1728)
        light = _mix_into(self.columns, self.t_rows, s)
        if self.fit:
            Y = self.t_rows[1].mul_(_CODES / 116**3)
            high, low = light.amax(0, keepdim=True), light.amin(0, keepdim=True)
            share = _share(Y, high, low, _OFFSET, _OFFSET + _CODES)
            torch.lerp(Y, light, share, out=light)
        self.index.copy_(self.index32.copy_(light.clamp_(_OFFSET, _OFFSET + _CODES)))
        self.look_up()
        into.copy_(self.codes)


def _mix_into(columns: Sequence[Tensor], x: Sequence[Tensor], out: Tensor) -> Tensor:
    torch.mul(x[0], columns[0], out=out)
    torch.addcmul(out, x[1], columns[1], out=out)
    return torch.addcmul(out, x[2], columns[2], out=out)


def _fast_lab(rgb: Tensor, only_L: bool) -> Tensor:
    out = torch.empty(*rgb.shape[:-3], 1 if only_L else 3, *rgb.shape[-2:], device=rgb.device)
    table = _constants(rgb.device)
    _work_through(list(_tiles(rgb, out)), lambda tile: _ToLab(tile, table, only_L))
    return out


def _fast_rgb8(L: Tensor, ab: Tensor, scaled: bool, fit: bool) -> Tensor:
    L, ab = L.detach(), ab.detach()
    out = torch.empty(*L.shape[:-3], 3, *L.shape[-2:], dtype=torch.uint8, device=L.device)
    table = _constants(L.device)
    _work_through(list(_tiles(L, ab, out)), lambda tile: _ToRgb8(tile, table, scaled, fit))
    return out


def _work_through(tiles: list[tuple[Tensor, ...]], make: Callable[[Tensor], Callable[..., None]]) -> None:
    """Run `make(tile)(*tile and output)` for all tiles, in as many Python threads as torch has.

    Torch would split each of the twenty small operations of a tile and wait for the slowest after each:
    where other programs keep the cores busy that stalls.
    """

    inference = torch.is_inference_mode_enabled()  # like no_grad, known to one thread only

    def some(mine: list[tuple[Tensor, ...]]) -> None:
        workers: dict[torch.Size, Callable[..., None]] = {}
        with torch.inference_mode(inference), torch.no_grad():
            for tile in mine:
                if tile[0].shape not in workers:
                    workers[tile[0].shape] = make(tile[0])
                workers[tile[0].shape](*tile)

    threads = torch.get_num_threads()
    count = min(threads, len(tiles)) if tiles and tiles[0][0].device.type == "cpu" else 1
    if count < 2:
        return some(tiles)
    try:
        # this setting holds for the thread that makes it
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(some, [tiles[first::count] for first in range(count)]))
    finally:
        torch.set_num_threads(threads)  # and for threads not yet born, so take it back


def _check(x: Tensor, channels: int, name: str, bytes_too: bool = False, half_too: bool = False) -> None:
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} is a {type(x).__name__}; need a torch.Tensor: use torch.as_tensor({name}).")
    if x.dim() < 3 or x.shape[-3] != channels:
        fix = " Reshape it."
        if x.dim() >= 3 and x.shape[-1] == channels:
            fix = f" The channels seem to come last: use {name}.movedim(-1, -3)."
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; need (..., {channels}, H, W), channels first.{fix}"
        )
    allowed = [torch.float32, torch.float64]
    allowed += [torch.uint8] if bytes_too else []
    allowed += [torch.float16, torch.bfloat16] if half_too else []
    if x.dtype not in allowed:
        names = ", ".join(str(d).removeprefix("torch.") for d in allowed)
        fix = f"{name}.float()" + (", in 0..1, or .to(torch.uint8), in 0..255" if bytes_too else "")
        raise ValueError(f"{name} is {str(x.dtype).removeprefix('torch.')}; need one of {names}: use {fix}.")


def _check_pair(L: Tensor, ab: Tensor) -> None:
    _check(L, 1, "L", half_too=True)
    _check(ab, 2, "ab", half_too=True)
    if L.shape[:-3] != ab.shape[:-3] or L.shape[-2:] != ab.shape[-2:]:
        raise ValueError(
            f"L has shape {tuple(L.shape)} and ab {tuple(ab.shape)}; need (..., 1, H, W) and (..., 2, H, W) "
            "with the same batch and size: resize ab to L."
        )
    if L.device != ab.device:
        raise ValueError(f"L is on {L.device} and ab on {ab.device}; need one device: use ab.to(L.device).")
