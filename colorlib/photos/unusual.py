"""What Pillow reads wrongly, or not at all: samples of rare TIFFs, the gamma of a PNG, cut HEIC files."""

import logging
import struct
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

ICC, XMP = 0x8773, 0x02BC   # tags of TIFF
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)   # x, y of white, red, green, blue (IEC 61966-2-1)
SRGB_D50 = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])   # XYZ of R, G, B
SRGB_GAMMA = 1 / 2.2   # what PNG calls the curve of sRGB
logging.getLogger("tifffile").setLevel(logging.CRITICAL)   # what is wrong with a file, its error says


def check_boxes(data: bytes) -> None:
    """ValueError if a box at the top of a HEIC or AVIF file ends beyond it: decoders leave out what is cut off."""
    at = 0
    while 0 <= at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        at += max(8, int.from_bytes(data[at + 8:at + 16], "big") if size == 1 else size or len(data) - at)
    if at > len(data):
        raise ValueError("truncated")


def tags_of(data: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The first directory of a TIFF."""
    tags, file = TiffImagePlugin.ImageFileDirectory_v2(data[:16 if 43 in data[2:4] else 8]), BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    return tags


def is_rare(tags: Mapping) -> bool:
    """Whether Pillow does not read the samples of such a TIFF, or reads them wrongly."""
    bits, kind, turned = tags.get(258, (1,)), set(tags.get(339, (1,))), tags.prefix == b"MM"
    usual = len(bits) == 1 and not (turned and tags.get(262) == 0) or tags.get(284, 1) == 1 and len(bits) in (3, 4)
    return not (kind == {1} and (max(bits) <= 8 or usual and max(bits) in (12, 16)) or
                kind == {3} and bits == (32,) and (not turned or tags.get(259, 1) == 1))


def rare_tiff(data: bytes, tags: Mapping) -> Image.Image:
    """The samples of a TIFF that is not compressed or deflated, at 8 bits, by tifffile; ValueError for other kinds."""
    import tifffile

    page = tifffile.TiffFile(BytesIO(data)).pages.first
    planes, depth, height, width, samples = page.shaped
    colours, kind = {0: 1, 1: 1, 2: 3, 5: 4}.get(int(page.photometric), 99), page.dtype.kind if page.dtype else ""
    known = page.compression in (1, 8, 32946) and kind in ("u", "f")
    if not known or depth != 1 or not colours <= planes * samples <= 8:
        raise ValueError(f"{page.bitspersample} bits, {page.dtype}, photometric {int(page.photometric)}, compression "
                         f"{int(page.compression)}: only unsigned and float samples that are deflated or not compressed")
    whole = page.nbytes if not page.is_tiled else (
        page.tilewidth * page.tilelength * samples * page.dtype.itemsize * len(page.dataoffsets))
    total = 0
    for at, length in zip(page.dataoffsets, page.databytecounts):   # first counted: a few bytes can unpack to any number
        part = data[at:at + length]
        total += len(part if page.compression == 1 else zlib.decompressobj().decompress(part, 2 * whole + 1))
        if total > 2 * whole:
            raise ValueError("it unpacks to more samples than it has")
    if total < whole:
        raise ValueError("its samples are truncated, or packed")
    pixels = np.moveaxis(page.asarray(maxworkers=1).reshape(page.shaped)[:, 0], 0, 2)   # (H, W, planes, samples)
    pixels = scaled(pixels.reshape(height, width, -1), 2.0**page.bitspersample - 1 if kind == "u" else None)
    if page.photometric == 0:
        pixels[..., 0] = 255 - pixels[..., 0]
    alpha = {1: "a", 2: "A"}.get(int((*page.extrasamples, 0)[0]), "") * (colours < 4)   # a: colours are times alpha
    image = Image.frombytes({1: "L", 3: "RGB", 4: "CMYK"}[colours] + alpha, (width, height),
                            pixels[..., :colours + len(alpha)].tobytes())
    image.info.update(exif=data, xmp=tags.get(XMP), icc_profile=tags.get(ICC))   # a block of EXIF is a TIFF
    image.is_animated = tags.next != 0
    return image


def scaled(values: np.ndarray, white: float | None) -> np.ndarray:
    """Samples 0 to `white` as 0 to 255; for floats (None) white is the smallest usual number that none is above."""
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    white = white or next((usual for usual in (1.0, 255.0, 65535.0) if top <= usual), top)
    return (values.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)


@np.errstate(all="raise")
def png_profile(info: dict) -> bytes:
    """The ICC profile of sRGB with a PNG's gAMA and cHRM in it (PNG, section 13.13; ICC.1:2001-04, section 6.5)."""
    def columns(points: Sequence[float]) -> np.ndarray:   # XYZ of red, green and blue light that sum to white
        white, *primaries = [np.array([x, y, 1 - x - y]) / y for x, y in zip(points[::2], points[1::2])]
        return np.transpose(primaries) * np.linalg.solve(np.transpose(primaries), white)

    points, gamma = info.get("chromaticity", SRGB), info.get("gamma", SRGB_GAMMA)
    usual = abs(gamma - SRGB_GAMMA) < 0.01 and np.allclose(points, SRGB, atol=0.005)   # how sRGB is written
    mixed = np.linalg.solve(columns(SRGB), columns(points))
    red_green_blue = SRGB_D50 @ (mixed / mixed.sum(1, keepdims=True))   # white stays white
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * icc[131], 12):
        name, place = icc[at:at + 4], int.from_bytes(icc[at + 4:at + 8], "big") + 8
        if name[1:] == b"XYZ":
            column = red_green_blue[:, b"rgb".index(name[0])]
            icc[place:place + 12] = struct.pack(">3i", *(65536 * column).round().astype(int).tolist())
        elif name[1:] == b"TRC" and not usual:
            icc[place:place + 8] = struct.pack(">2Hi", 0, 0, round(65536 / gamma))
    return bytes(icc)
