"""Decode one photograph file, in any format that people have, to upright uint8 sRGB. This is safe in threads.

A file is hostile until it is decoded: only the formats below are tried, the size in the header is compared with
`max_pixels` before any pixel is decoded, and every failure of a parser becomes a `PhotoError`. Pillow's readers are
called directly, because `Image.open` has a process-wide limit of pixels.
"""

from __future__ import annotations

import os
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin, WebPImagePlugin  # noqa: F401 (plugins register themselves)
from torch import Tensor

MAX_PIXELS = 120_000_000   # a 108-megapixel telephone passes
MAX_JPEG_SCANS = 200       # progressive files have about 10; thousands are a way to block a decoder
SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
            ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".heic": "HEIF", ".heif": "HEIF"}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
# A TIFF keeps its descriptive tags in the same directory as its layout; only these describe the photograph.
DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
EXIF_FOLDERS = (0x8769, 0x8825)   # the Exif and the GPS directory
AGAIN = "copy or download it again"
Image.preinit()   # Pillow's readers of BMP, GIF, JPEG and PNG
# Broken notes in a file are not the reader's concern: the picture is used, or a PhotoError says why not.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


class PhotoError(ValueError):
    """A photograph that cannot be read or written: `path` (or None), what is wrong, and what to do."""

    def __init__(self, path: str | os.PathLike | None, wrong: str, todo: str):
        super().__init__(path, wrong, todo)   # these go through pickle, from worker processes
        self.path, self.wrong, self.todo = None if path is None else Path(path), wrong, todo

    def __str__(self) -> str:
        return "; ".join(self.args[1:]) if self.path is None else "{}: {}; {}".format(*self.args)


@dataclass
class Photo:
    """A decoded photograph."""
    rgb: Tensor                               # uint8 (3, H, W), sRGB, upright (the EXIF orientation is applied)
    path: Path | None = None                  # the file it came from
    format: str = "PNG"                       # Pillow's name of the file's format ("JPEG", "PNG", "HEIF" ...)
    exif: bytes | None = None                 # EXIF block to write back, without the orientation
    dpi: tuple[float, float] | None = None    # (x, y) resolution for prints


def read_photo(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph as uint8 sRGB, upright, whatever its format, bit depth, colour space or orientation.

    Transparency is composited on white. 16 bits are scaled to 8; float and 32-bit grey values from the smallest
    of 0..1, 0..255, 0..65535 that holds them (beyond, the largest is white). An ICC profile is converted to sRGB; a
    broken one is ignored. Of several pages or frames, the first is read.

    PhotoError: the file is missing, unreadable, damaged, truncated, no photograph, or has more than `max_pixels`.
    """
    return decode_photo(_bytes_of(path, max_pixels), path, max_pixels)


def read_small(path: str | os.PathLike, short_side: int) -> Tensor:
    """Read a photograph resized to min(H, W) = `short_side` pixels: uint8 (3, H, W); PhotoError as in `read_photo`.

    Large JPEGs are decoded at a fraction of their size, at least twice the size asked for: several times as fast.
    """
    return resize_short(decode_photo(_bytes_of(path, MAX_PIXELS), path, short_side=short_side).rgb, short_side)


def resize_short(rgb: Tensor, short_side: int) -> Tensor:
    """Resize uint8 (3, H, W) to a short side of `short_side` pixels, antialiased (Pillow's bicubic), or return `rgb`."""
    height, width = rgb.shape[-2:]
    scale = short_side / min(height, width)
    if scale == 1:
        return rgb
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return to_tensor(to_image(rgb).resize(size, Image.Resampling.BICUBIC))


def to_image(rgb8: Tensor) -> Image.Image:
    """uint8 (3, H, W) on any device as a Pillow image; `to_tensor` is the way back."""
    return Image.fromarray(rgb8.permute(1, 2, 0).contiguous().cpu().numpy())


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _bytes_of(path: str | os.PathLike, max_pixels: int) -> bytes:
    try:
        status = os.stat(path)
        ordinary = stat.S_ISREG(status.st_mode)
        if ordinary and status.st_size <= 16 * max_pixels + (1 << 20):   # 16 bytes a pixel: no format has more
            return Path(path).read_bytes()
    except FileNotFoundError:
        raise PhotoError(path, "does not exist", "check the spelling and the folder") from None
    except PermissionError:
        raise PhotoError(path, "may not be read (no permission)", "change its permissions (chmod u+r)") from None
    except (OSError, ValueError, TypeError) as error:   # also a name with a zero byte, a path that is no path
        raise PhotoError(str(path), f"cannot be read ({error})", "check the disk and the name") from None
    if stat.S_ISDIR(status.st_mode):
        raise PhotoError(path, "is a folder", "name one photograph, or list the folder with colorlib.photos.scan")
    if not ordinary:
        raise PhotoError(path, "is not an ordinary file", "copy it to a file first")
    raise PhotoError(path, f"has {status.st_size:,} bytes, too many for {max_pixels:,} pixels", "shrink it first")


def decode_photo(data: bytes, path: str | os.PathLike, max_pixels: int = MAX_PIXELS, short_side: int = 0) -> Photo:
    """As `read_photo`, from the bytes of a file. With `short_side`, a JPEG comes small: at least twice that size."""
    if not data:
        raise PhotoError(path, "is empty (0 bytes)", AGAIN)
    name = "HEIF" if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS else next(
        (name for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF") if Image.OPEN[name][1](data[:16]) is True), None)
    if name is None:
        raise PhotoError(path, "is not a photograph in a format that we read",
                         "convert it to JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC")
    try:
        image = _open(data, name, path, max_pixels)
        profile, exif = _profile(image), None
        if name == "JPEG" and short_side:
            image.draft(None, (2 * short_side, 2 * short_side))
        image.load()
        with suppress(Exception):   # broken EXIF: the picture is worth more than its notes
            if name != "HEIF":   # pillow-heif has turned it
                ImageOps.exif_transpose(image, in_place=True)
            exif = _exif(image, name)
        dpi = image.info.get("dpi")
        dpi = (float(dpi[0]), float(dpi[1])) if isinstance(dpi, tuple) and len(dpi) == 2 else None
        return Photo(to_tensor(_to_srgb(_eight_bit(image, name), profile)), Path(path), name, exif, dpi)
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(path, "needs more memory than there is", "shrink it first") from None
    except Exception as error:   # damaged files make parsers raise nearly anything
        wrong = "is truncated" if "truncated" in str(error).lower() else "is damaged or of an unusual kind"
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise PhotoError(path, wrong, f"{AGAIN}, or save it anew as JPEG or PNG from a program that opens it "
                         f"({name}: {detail})") from None


def _open(data: bytes, name: str, path: str | os.PathLike, max_pixels: int) -> Image.Image:
    """Parse the header and check what it announces."""
    if name == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PhotoError(path, f"is a JPEG of more than {MAX_JPEG_SCANS} scans, made to keep a decoder busy",
                         "save it anew from a program that opens it")
    if name == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise PhotoError(path, "is a HEIC photograph, and pillow-heif is not installed",
                             "install it (pip install pillow-heif) or export the photograph as JPEG") from None
        image = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
    else:
        image = Image.OPEN[name][0](BytesIO(data), "")
    width, height = image.size
    if width < 1 or height < 1:
        raise PhotoError(path, f"has no pixels ({width} x {height})", AGAIN)
    if width * height > max_pixels:
        wrong = f"has {width} x {height} = {width * height:,} pixels, above {max_pixels:,}"
        raise PhotoError(path, wrong, "shrink it first")
    if name == "TIFF":   # a decoder allocates a whole tile, whatever the size of the picture
        tile = int(image.tag_v2.get(322, 1)) * int(image.tag_v2.get(323, 1))
        if tile > max(max_pixels, 1 << 20):
            raise PhotoError(path, f"has TIFF tiles of {tile:,} pixels", "save it anew without tiles")
    return image.to_pillow() if name == "HEIF" else image


def _exif(image: Image.Image, name: str) -> bytes | None:
    """What describes the photograph, of which the orientation was applied."""
    exif, kept = image.getexif(), Image.Exif()
    wanted = set(DESCRIPTIVE_TAGS if name == "TIFF" else exif) - set(EXIF_FOLDERS)
    kept.update({tag: exif[tag] for tag in set(exif) & wanted})
    for folder in set(EXIF_FOLDERS) & set(exif):
        kept.get_ifd(folder).update(exif.get_ifd(folder))
        kept[folder] = kept.get_ifd(folder)
    return kept.tobytes() if len(kept) else None


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    if image.mode[0] not in "IF":
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top, ranges = float(values.max(initial=0.0)), (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    sixteen = image.mode.startswith("I;16")
    white = 65535.0 if sixteen or (image.mode == "I" and name == "PNG") else next((w for w in ranges if top <= w), top)
    grey = (values.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)
    if name == "TIFF" and sixteen and image.tag_v2.get(262) == 0:   # white is zero
        grey = 255 - grey
    return Image.fromarray(grey)


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    with suppress(Exception):   # none, or a broken one
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        is_srgb = profile.profile.xcolor_space.strip() == "RGB" and "sRGB" in (profile.profile.profile_description or "")
        return None if is_srgb else profile   # sRGB needs no second table, which would only add rounding


def _to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("1", "La", "RGBa", "RGBX", "YCbCr", "HSV"):
        image = image.convert({"1": "L", "La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    if image.mode == "LAB" and profile is None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    with suppress(Exception):   # a missing or broken profile costs the exact colours, not the photograph
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}[profile.profile.xcolor_space.strip()]
        if (mode in ("CMYK", "LAB")) == (image.mode in ("CMYK", "LAB")):   # else it is for another kind of picture
            srgb = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image.convert(mode), profile, srgb, outputMode="RGB") or image
    image = image.convert("RGB")
    return image if alpha is None else Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
