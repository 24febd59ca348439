"""One photograph, one file: decode anything people have safely to uint8 sRGB.

A file is hostile until it is decoded. So only the parsers of the formats below are ever tried (one, chosen by
the first bytes), the size is read from the header and compared with `max_pixels` before anything is
allocated, and whatever a parser raises leaves here as a `PhotoError` that names the file and says what to do.
Pillow's global switches (`MAX_IMAGE_PIXELS`, `LOAD_TRUNCATED_IMAGES`) are never touched, so this is safe in
threads and beside other code.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from colorlib.photos.pixels import resize_short, upright_srgb

MAX_PIXELS = 120_000_000   # a 108-megapixel telephone passes
MAX_JPEG_SCANS = 200       # progressive files have about 10; thousands are a way to hang a decoder
FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC"
SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
            ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".heic": "HEIF", ".heif": "HEIF"}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


class PhotoError(ValueError):
    """A photograph that cannot be read or written: the message says which, what is wrong and what to do.

    Attributes:
        path: the file or folder in question, or None.
    """

    def __init__(self, path: str | os.PathLike | None, wrong: str, todo: str):
        super().__init__(f"{path}: {wrong}; {todo}" if path is not None else f"{wrong}; {todo}")
        self.path = None if path is None else Path(path)
        self.wrong, self.todo = wrong, todo

    def __reduce__(self):   # the message is made of three parts: pickle those (workers send errors home)
        return PhotoError, (self.path, self.wrong, self.todo)


@dataclass
class Photo:
    """A decoded photograph.

    Attributes:
        rgb: uint8 (3, H, W), sRGB, upright (the EXIF orientation is applied).
        path: the file it came from, or None.
        format: Pillow's name of the file's format ("JPEG", "PNG", "HEIF" ...).
        exif: EXIF block to write back, its orientation reset to upright; None where there is none.
        dpi: (x, y) resolution for prints, None where the file names none.
    """

    rgb: Tensor
    path: Path | None = None
    format: str = "PNG"
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def read_photo(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph as uint8 sRGB, upright, whatever its format, bit depth, colour space or orientation.

    Transparency is composited on white. 16-bit values are scaled, not clipped. Floating-point and 32-bit grey
    values are taken as 0..1, 0..255 or 0..65535, whichever is the smallest range that holds them all (beyond
    that, the largest value is white). An ICC profile is converted to sRGB; a broken one is ignored.

    Args:
        path: the file.
        max_pixels: refuse anything larger, before memory is spent on it.

    Returns:
        The photograph, `rgb` (3, H, W).

    Raises:
        PhotoError: if the file is missing, unreadable, damaged, truncated, too large or not a photograph.

    Example:
        >>> read_photo("holiday.jpg").rgb.shape   # doctest: +SKIP
        torch.Size([3, 3024, 4032])
    """
    data = _bytes_of(path, max_pixels)
    return _decode(data, path, max_pixels, short_side=None)


def decode_photo(data: bytes, name: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """A photograph from the bytes of its file, such as an upload; otherwise as `read_photo`.

    Args:
        data: the whole file.
        name: what errors call it, and the photograph's `path`.
        max_pixels: as in `read_photo`.

    Raises:
        PhotoError: as `read_photo`.
    """
    if not data:
        raise PhotoError(name, "is empty (0 bytes)", "copy or download it again")
    return _decode(data, name, max_pixels, short_side=None)


def read_small(path: str | os.PathLike, short_side: int, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read a photograph shrunk (or enlarged) so that its short side is `short_side`.

    Large JPEGs are decoded at a fraction of their size, at least twice the size asked for: several times as
    fast, and the final antialiased resize hides the difference.

    Args:
        path: the file.
        short_side: pixels, >= 1.
        max_pixels: as in `read_photo`.

    Returns:
        uint8 (3, H, W) with min(H, W) = short_side.

    Raises:
        PhotoError: as `read_photo`.
    """
    data = _bytes_of(path, max_pixels)
    return resize_short(_decode(data, path, max_pixels, short_side).rgb, short_side)


# ------------------------------------------------------------------------------------------------- reading


def _bytes_of(path: str | os.PathLike, max_pixels: int) -> bytes:
    try:
        mode = os.stat(path)
        if stat.S_ISDIR(mode.st_mode):
            raise PhotoError(path, "is a folder",
                             "name one photograph, or list the folder with colorlib.photos.scan")
        if not stat.S_ISREG(mode.st_mode):
            raise PhotoError(path, "is not an ordinary file", "copy it to a file first")
        if mode.st_size == 0:
            raise PhotoError(path, "is empty (0 bytes)", "copy or download it again")
        if mode.st_size > 16 * max_pixels + (1 << 20):   # 16 bytes a pixel: no format that we read has more
            raise PhotoError(path, f"has {mode.st_size:,} bytes, too many for {max_pixels:,} pixels",
                             "shrink it first, or pass a larger max_pixels")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise PhotoError(path, "does not exist", "check the spelling and the folder") from None
    except PermissionError:
        raise PhotoError(path, "may not be read (no permission)",
                         "change its permissions (chmod u+r)") from None
    except OSError as error:
        raise PhotoError(path, f"cannot be read ({error.strerror or error})",
                         "check the disk and the name") from None
    except (ValueError, TypeError) as error:   # a name with a zero byte, a path that is no path
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(str(path), f"is no file name ({error})", "pass the path of a photograph") from None


def _format_of(data: bytes) -> str | None:
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:2] == b"BM":
        return "BMP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return "HEIF"
    return None


def _decode(data: bytes, path: str | os.PathLike, max_pixels: int, short_side: int | None) -> Photo:
    name = _format_of(data)
    if name is None:
        raise PhotoError(path, "is not a photograph in a format that we read", f"convert it to {FORMATS}")
    try:
        image = _open_heif(data, path, max_pixels) if name == "HEIF" else _open(data, name, path, max_pixels)
        rgb, exif = upright_srgb(image, data, name, short_side)
        dpi = image.info.get("dpi")
        dpi = (float(dpi[0]), float(dpi[1])) if isinstance(dpi, tuple) and len(dpi) == 2 else None
        return Photo(rgb=rgb, path=Path(path), format=name, exif=exif, dpi=dpi)
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(path, "needs more memory than there is", "shrink it first") from None
    except Exception as error:   # damaged files make parsers raise nearly anything
        wrong = "is truncated" if "truncated" in str(error).lower() else "is damaged or of an unusual kind"
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        todo = ("copy or download it again, or save it anew as JPEG or PNG from a program that opens it "
                f"({name}: {detail})")
        raise PhotoError(path, wrong, todo) from None


def _check_size(width: int, height: int, path: str | os.PathLike, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError(path, f"has no pixels ({width} x {height})", "copy or download it again")
    if width * height > max_pixels:
        raise PhotoError(path, f"has {width} x {height} = {width * height:,} pixels, above {max_pixels:,}",
                         "shrink it first, or pass a larger max_pixels")


def _open(data: bytes, name: str, path: str | os.PathLike, max_pixels: int) -> Image.Image:
    """Parse the header with Pillow's plugin itself: Image.open would apply its process-wide pixel limit."""
    if name == "WEBP":   # its plugin allocates the canvas while opening
        _check_size(*_webp_size(data), path, max_pixels)
    if name == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PhotoError(path, f"is a JPEG of more than {MAX_JPEG_SCANS} scans, made to keep a decoder busy",
                         "save it anew from a program that opens it")
    Image.preinit()
    if name not in Image.OPEN:
        Image.init()
    if name not in Image.OPEN:
        raise PhotoError(path, f"is a {name} file, which this Pillow cannot read", "install a newer pillow")
    image = Image.OPEN[name][0](BytesIO(data), "")
    _check_size(*image.size, path, max_pixels)
    if name == "TIFF":   # a decoder allocates a whole tile, whatever the size of the picture
        tile = int(image.tag_v2.get(322, 1)) * int(image.tag_v2.get(323, 1))
        if tile > max(max_pixels, 1 << 20):
            raise PhotoError(path, f"has TIFF tiles of {tile:,} pixels", "save it anew without tiles")
    return image


def _webp_size(data: bytes) -> tuple[int, int]:
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise ValueError("file is truncated")
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _open_heif(data: bytes, path: str | os.PathLike, max_pixels: int) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise PhotoError(path, "is a HEIC photograph, and pillow-heif is not installed",
                         "install it (pip install pillow-heif) or export the photograph as JPEG") from None
    heif = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
    _check_size(*heif.size, path, max_pixels)
    return heif.to_pillow()   # upright, its orientation tag already reset
