"""Write TIFF and PNG files of every kind of sample and read each: the colours that were written, or refused.

    python tests/photo_variants.py --files 3000 --seed 0 --out data/results/photo_variants.json

The files are put together here, tag by tag and chunk by chunk, without a library, so that the numbers written are
known: bits, sample format, photometric interpretation, compression, predictor, planes, strips and tiles, palette, alpha,
byte order, gamma. `tests/photos/test_unusual.py` runs a part, and holds the TIFFs to what tifffile reads.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import struct
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 19, 23
WITHIN = 2.0   # of 255: samples are reduced to 8 bits, some by their upper byte, transparency is applied at 8 bits
# what it is; the file; the lowest and highest sRGB 0..255 (H, W, 3) that are right, None where black is not defined
Variant = tuple[dict, bytes, tuple[np.ndarray, np.ndarray] | None]


def packed(values: np.ndarray, bits: int, order: str) -> bytes:
    """Rows (H, n) of samples as bytes: below 8 bits and between whole bytes packed from the highest bit (TIFF 6.0)."""
    if values.dtype.kind in "fi" or bits in (8, 16, 32, 64):
        return values.astype(values.dtype.newbyteorder(order)).tobytes()
    each = (values[..., None].astype(np.uint64) >> np.arange(bits - 1, -1, -1, dtype=np.uint64) & 1).astype(np.uint8)
    return np.packbits(each.reshape(len(values), -1), axis=1).tobytes()


def lzw(data: bytes) -> bytes:
    """LZW (TIFF 6.0, section 13) with codes of 9 bits: the table is cleared before it needs longer ones."""
    codes = [code for at in range(0, len(data), 200) for code in (256, *data[at:at + 200])] + [257]
    return np.packbits([code >> bit & 1 for code in codes for bit in range(8, -1, -1)]).tobytes()


def packbits(data: bytes) -> bytes:
    return b"".join(bytes([len(part) - 1]) + part for part in (data[at:at + 100] for at in range(0, len(data), 100)))


COMPRESSIONS = {1: bytes, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}


def tiff(samples: np.ndarray, bits: int, photometric: int, compression: int = 1, predictor: int = 1, planes: int = 1,
         tile: int = 0, rows: int = 7, order: str = "<", big: bool = False, extra: tuple[int, ...] = (),
         more: dict[int, tuple[int, ...]] | None = None) -> bytes:
    """A TIFF of samples (H, W, S): TIFF 6.0, BigTIFF where `big`."""
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    parts = []
    for plane in (samples[..., [k]] for k in range(samples.shape[2])) if planes == 2 else (samples,):
        if tile:
            padded = np.pad(plane, ((0, -HEIGHT % tile), (0, -WIDTH % tile), (0, 0)), mode="edge")
            blocks = [padded[y:y + tile, x:x + tile] for y in range(0, HEIGHT, tile) for x in range(0, WIDTH, tile)]
        else:
            blocks = [plane[y:y + rows] for y in range(0, HEIGHT, rows)]
        for block in blocks:
            if predictor == 2:
                block = np.concatenate([block[:, :1], block[:, 1:] - block[:, :-1]], 1)   # wraps, as it must
            if predictor == 3:   # bytes of equal weight together, then their differences (Adobe technical note 3)
                raw = block.astype(block.dtype.newbyteorder(">")).view(np.uint8)
                raw = raw.reshape(len(block), -1, block.dtype.itemsize).transpose(0, 2, 1).reshape(len(block), -1)
                step = block.shape[2]
                raw = np.concatenate([raw[:, :step], raw[:, step:] - raw[:, :-step]], 1)
                parts.append(COMPRESSIONS[compression](raw.tobytes()))
            else:
                parts.append(COMPRESSIONS[compression](packed(block.reshape(len(block), -1), bits, order)))
    count = samples.shape[2]
    tags = {256: (WIDTH,), 257: (HEIGHT,), 258: (bits,) * count, 259: (compression,), 262: (photometric,), 277: (count,),
            284: (planes,), 317: (predictor,), 339: (kind,) * count, **(more or {})}
    tags |= {338: extra} if extra else {}
    tags |= {322: (tile,), 323: (tile,)} if tile else {278: (rows,)}
    start, places = 16 if big else 8, []
    for part in parts:
        places.append(start)
        start += len(part) + len(part) % 2
    tags |= {324: tuple(places), 325: tuple(map(len, parts))} if tile else {273: tuple(places), 279: tuple(map(len, parts))}
    letter, inline, entry_size = ("Q", 8, 20) if big else ("I", 4, 12)
    after = start + (8 if big else 2) + entry_size * len(tags) + inline
    entries, tail = b"", b""
    for tag, values in sorted(tags.items()):
        wide = tag in (273, 279, 324, 325)
        raw = struct.pack(f"{order}{len(values)}{'I' if wide else 'H'}", *values)
        value = raw.ljust(inline, b"\0") if len(raw) <= inline else struct.pack(order + letter, after + len(tail))
        tail += b"" if len(raw) <= inline else raw + b"\0" * (len(raw) % 2)
        entries += struct.pack(f"{order}HH{letter}", tag, 4 if wide else 3, len(values)) + value
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"),
                                                            *((43, 8, 0, start) if big else (42, start)))
    body = b"".join(part + b"\0" * (len(part) % 2) for part in parts)
    return head + body + struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + b"\0" * inline + tail


def shares(rng: np.random.Generator, count: int) -> np.ndarray:
    """Smooth pictures with some noise, (H, W, count) in 0..1, black and white included."""
    y, x = np.mgrid[0:1:HEIGHT * 1j, 0:1:WIDTH * 1j]
    ways = [x, y, 1 - x, (x + y) / 2, x * y]
    values = np.stack([ways[k % 5] for k in range(count)], -1) + rng.normal(0, 0.02, (HEIGHT, WIDTH, count))
    values[0, 0], values[-1, -1] = 0, 1
    return values.clip(0, 1)


def on_white(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    colours = colours.repeat(3, -1) if colours.shape[-1] == 1 else colours
    return 255 * (colours if alpha is None else colours * alpha + 1 - alpha)


def random_tiff(number: int) -> Variant:
    """A TIFF of a kind drawn at random; None is expected where the file does not define black and white."""
    draw, rng = random.Random(number), np.random.default_rng(number)
    photometric = draw.choice((0, 1, 1, 1, 2, 2, 2, 3, 5))
    kind = "u" if photometric in (3, 5) else draw.choice("uuuuuif")
    bits = draw.choice({"u": (1, 2, 4, 8, 8, 10, 12, 14, 16, 16, 32), "i": (8, 16, 32), "f": (16, 32, 32, 64)}[kind])
    bits = draw.choice((1, 2, 4, 8)) if photometric == 3 else bits
    count = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}[photometric]
    alpha = draw.choice((None, None, None, 0, 1, 2)) if photometric in (1, 2) else None
    compression = draw.choice((1, 1, 5, 8, 8, 32946, 32773))
    predictor = draw.choice((1, 1, 2) if kind != "f" else (1, 1, 3)) if compression in (5, 8) and bits >= 8 else 1
    predictor = 1 if bits in (10, 12, 14, 64) else predictor
    options = {"compression": compression, "predictor": predictor, "planes": draw.choice((1, 1, 2)) if count > 1 else 1,
               "tile": draw.choice((0, 0, 16)), "rows": draw.choice((1, 7, 64)), "order": draw.choice("<>"),
               "big": draw.random() < 0.1}
    values = shares(rng, count + (alpha is not None))
    see = None if alpha in (None, 0) else values[..., -1:]
    if alpha == 1:
        values[..., :-1] *= see
    top = 2**bits - 1
    if kind == "u":
        values = np.round(values * top)
        stored = values.astype(f"u{1 if bits <= 8 else 2 if bits <= 16 else 4}")
        values = values / top
    elif kind == "i":
        stored = np.round(values * top - 2 ** (bits - 1)).astype(f"i{bits // 8}")
    else:
        scale = draw.choice((1, 1, 255)) if alpha is None else 1
        stored = (values * scale).astype(f"f{bits // 8}")
    colours, more = values[..., :count], {}
    if photometric == 0:
        colours = 1 - colours
    elif photometric == 3:
        table = rng.integers(0, 256, (3, 2**bits))
        table[:, 0], table[:, -1] = 0, 255
        wide = draw.random() < 0.7   # the others hold 8-bit colours, against the specification
        more = {320: tuple((table * (257 if wide else 1)).ravel().tolist())}
        colours = (table / 255).T[stored[..., 0]]
    elif photometric == 5:
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    expected = None if kind == "i" else on_white(colours, see)
    if alpha == 1 and expected is not None:   # colours are stored times alpha
        expected = 255 * (colours.repeat(3, -1) if count == 1 else colours) + 255 * (1 - see)
    within = WITHIN + (alpha == 1)
    limits = None if expected is None else (expected - within, expected + within)
    data = tiff(stored, bits, photometric, extra=() if alpha is None else (alpha,), more=more, **options)
    what = {"format": "TIFF", "bits": bits, "samples": {"u": "unsigned", "i": "signed", "f": "float"}[kind],
            "photometric": photometric, "alpha": alpha, **options}
    return what | {"stored": stored}, data, limits


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))   # Adam7


def png_rows(values: np.ndarray, bits: int) -> bytes:
    return b"".join(b"\0" + packed(row.reshape(1, -1), bits, ">") for row in values)


def curved(colours: np.ndarray, gamma: float | None) -> np.ndarray:
    """Samples with a gamma as sRGB; 0.45455 is how sRGB is written in a PNG."""
    if gamma in (None, 0.45455):
        return colours
    light = colours ** (1 / gamma)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def random_png(number: int) -> Variant:
    draw, rng = random.Random(number), np.random.default_rng(number)
    colour = draw.choice((0, 2, 3, 4, 6))
    bits = draw.choice({0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}[colour])
    count, top = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour], 2**bits - 1
    stored = np.round(shares(rng, count) * top).astype("u2" if bits == 16 else "u1")
    see, before, colours = None, b"", stored[..., :count - (colour in (4, 6))] / top
    if colour in (4, 6):
        see = stored[..., -1:] / top
    transparent = draw.random() < 0.4
    if colour == 3:
        table = rng.integers(0, 256, (2**bits, 3))
        before, colours = chunk(b"PLTE", table.astype(np.uint8).tobytes()), table[stored[..., 0]] / 255
        if transparent:
            clear = rng.integers(0, 256, 2**bits)
            before, see = before + chunk(b"tRNS", clear.astype(np.uint8).tobytes()), clear[stored] / 255
    elif colour in (0, 2) and transparent:
        key = stored[HEIGHT // 2, WIDTH // 2]
        before, see = chunk(b"tRNS", key.astype(">u2").tobytes()), (stored != key).any(-1, keepdims=True) * 1.0
    gamma = draw.choice((None, None, None, 0.45455, 1.0, 0.55556))
    before = (chunk(b"gAMA", struct.pack(">I", round(gamma * 100000))) if gamma else b"") + before
    # a curve is applied to 8 bits: a step of them before it is allowed
    step = 1 / 255 if bits == 16 and gamma in (1.0, 0.55556) else 0
    limits = tuple(on_white(curved((colours + way * step).clip(0, 1), gamma), see) + way * WITHIN for way in (-1, 1))
    laced = draw.random() < 0.3
    if laced:
        parts = (stored[y::dy, x::dx] for y, x, dy, dx in PASSES)
        rows = b"".join(png_rows(part, bits) for part in parts if part.size)
    else:
        rows = png_rows(stored, bits)
    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, laced))
            + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    what = {"format": "PNG", "bits": bits, "colour": colour, "transparent": transparent, "gamma": gamma, "laced": laced}
    return what, data, limits


def variants(num: int, seed: int) -> list[Variant]:
    """Two TIFFs for each PNG."""
    return [(random_png if number % 3 == 2 else random_tiff)(seed * 1_000_000 + number) for number in range(num)]


def check(variant: Variant) -> tuple[str, str]:
    """("right", ""), ("refused", the sentence) or ("wrong", why)."""
    from colorlib.photos import PhotoError, decode_photo
    _, data, limits = variant
    try:
        rgb = decode_photo(data, "variant").rgb.permute(1, 2, 0).numpy()
    except PhotoError as error:
        return "refused", str(error)
    if limits is None:
        return "wrong", "opened, although black and white are not defined"
    off = np.maximum(limits[0] - rgb, rgb - limits[1]).clip(0)
    return ("right", "") if off.max() == 0 else ("wrong", f"up to {off.max():.0f} of 255 off, {off.mean():.1f} on average")


def measure(num: int, seed: int) -> dict:
    outcomes, usual, by_format, refused, wrong = Counter(), Counter(), Counter(), Counter(), []
    for variant in variants(num, seed):
        what = {name: value for name, value in variant[0].items() if name != "stored"}
        outcome, why = check(variant)
        outcomes[outcome] += 1
        usual[outcome] += what["format"] == "PNG" or (what["samples"], what["bits"]) in (
            ("unsigned", 8), ("unsigned", 16), ("float", 32))
        by_format[f"{what['format']} {outcome}"] += 1
        if outcome == "refused":
            refused[f"{what['format']} {what['bits']} bits {what.get('samples', 'transparent colour')}"] += 1
        if outcome == "wrong":
            wrong.append({**what, "why": why})
    return {"files": num, "seed": seed, "usual": "TIFF of 8 or 16 bits unsigned or 32 float, PNG", "usual_outcomes": dict(usual),
            "outcomes": dict(outcomes), "by_format": dict(sorted(by_format.items())),
            "refused": dict(sorted(refused.items())), "wrong": wrong, "within": WITHIN,
            "pillow": Image.__version__, "tifffile": tifffile.__version__}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="result file (JSON)")
    chosen = parser.parse_args()
    result = {"command": shlex.join(["python", *sys.argv]), **measure(chosen.files, chosen.seed)}
    text = json.dumps(result, indent=1)
    if chosen.out is not None:
        chosen.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
