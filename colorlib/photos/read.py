"""Decode one photograph file, in any format that people have, to upright uint8 sRGB. This is safe in threads.

A file is hostile until it is decoded: only the formats below are tried, the size in the header is compared with
`max_pixels` before any pixel is decoded, and every failure of a parser becomes a `PhotoError`. Pillow's readers are
called directly, because `Image.open` has a process-wide limit of pixels.
"""

import os
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import AvifImagePlugin, Jpeg2KImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401 (they register)
from PIL import Image, ImageCms, ImageOps, ImagePalette
from torch import Tensor

from colorlib.photos.unusual import check_boxes, is_rare, png_profile, rare_tiff, scaled, tags_of

MAX_PIXELS = 120_000_000   # a 108-megapixel telephone passes
MAX_JPEG_SCANS = 200       # progressive files have about 10; thousands are a way to block a decoder
SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
            ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".heic": "HEIF", ".heif": "HEIF",
            ".avif": "AVIF", ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM"}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
HISTORY = 0x9213   # "ImageHistory", a text: what was done to a picture
# A TIFF keeps its descriptive tags in the same directory as its layout; only these describe the photograph.
DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, HISTORY)
EXIF_FOLDERS = (0x8769, 0x8825)   # the Exif and the GPS directory
IPTC = 0x83BB   # a tag of TIFF
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")   # tried in this order
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


@dataclass(frozen=True)
class Member:
    """A photograph in a tar archive, for the functions that take a path."""
    path: Path    # the archive's and the photograph's name in it
    archive: Path
    offset: int   # of the photograph's bytes, and their number
    size: int

    def __str__(self) -> str:
        return str(self.path)

    __fspath__ = __str__


@dataclass
class Photo:
    """A decoded photograph."""
    rgb: Tensor                               # uint8 (3, H, W), sRGB, upright (the EXIF orientation is applied)
    path: Path | None = None                  # the file it came from
    format: str = "PNG"                       # Pillow's name of the file's format ("JPEG", "PNG", "HEIF" ...)
    exif: bytes | None = None                 # EXIF block to write back, without the orientation
    dpi: tuple[float, float] | None = None    # (x, y) resolution for prints
    xmp: bytes | None = None                  # XMP packet to write back
    iptc: bytes | None = None                 # IPTC records to write back
    lost: tuple[str, ...] = ()                # what the file holds and this photograph does not, in words

    @property
    def history(self) -> str:
        """Its EXIF block's text on what was done to it, or ""."""
        exif = Image.Exif()
        exif.load(self.exif or b"")
        return str(exif.get(HISTORY, ""))


def read_photo(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph as uint8 sRGB, upright, whatever its format, bit depth, colour space or orientation.

    Transparency is composited on white. More bits are scaled to 8; float values from the smallest of 0..1, 0..255,
    0..65535 that holds them (beyond, the largest is white). An ICC profile, or a PNG's gAMA and cHRM, is converted to
    sRGB; a broken one is ignored. Of several pages or frames, the first is read. `lost` names what is left behind.

    PhotoError: the file is missing, unreadable, damaged, no photograph, of signed integers, or above `max_pixels`.
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


def to_srgb(image: Image.Image) -> Image.Image:
    """A Pillow image of any mode as sRGB (mode "RGB"), by its profile, on white where it is transparent."""
    return _on_white(_eight_bit(image), _profile(image))[0]


def _bytes_of(path: str | os.PathLike, max_pixels: int) -> bytes:
    try:
        file, offset = (path.archive, path.offset) if isinstance(path, Member) else (path, 0)
        status = os.stat(file)
        if stat.S_ISDIR(status.st_mode):
            raise PhotoError(path, "is a folder", "name one photograph, or list the folder with colorlib.photos.scan")
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError(path, "is not an ordinary file", "copy it to a file first")
        size = path.size if isinstance(path, Member) else status.st_size
        if size > 16 * max_pixels + (1 << 20):   # 16 bytes a pixel: no format has more
            raise PhotoError(path, f"has {size:,} bytes, too many for {max_pixels:,} pixels", "shrink it first")
        with open(file, "rb") as opened:
            opened.seek(offset)
            data = opened.read(size)
            if len(data) != size or file is path and opened.read(1):
                raise PhotoError(path, "changed while it was read", "wait until it is complete")
        return data
    except PhotoError:
        raise
    except FileNotFoundError:
        raise PhotoError(path, "does not exist", "check the spelling and the folder") from None
    except PermissionError:
        raise PhotoError(path, "may not be read (no permission)", "change its permissions (chmod u+r)") from None
    except (OSError, ValueError, TypeError) as error:   # also a name with a zero byte, a path that is no path
        raise PhotoError(str(path), f"cannot be read ({error})", "check the disk and the name") from None


def decode_photo(data: bytes, path: str | os.PathLike, max_pixels: int = MAX_PIXELS, short_side: int = 0) -> Photo:
    """As `read_photo`, from the bytes of a file. With `short_side`, a JPEG comes small: at least twice that size."""
    if not data:
        raise PhotoError(path, "is empty (0 bytes)", AGAIN)
    name = "HEIF" if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS else next(
        (name for name in FORMATS if Image.OPEN[name][1](data[:16]) is True), None)
    if name is None:
        raise PhotoError(path, "is not a photograph in a format that we read",
                         "convert it to JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC")
    try:
        image = _open(data, name, path, max_pixels)
        profile, exif, iptc = _profile(image), None, None
        if name == "JPEG" and short_side:
            image.draft(None, (2 * short_side, 2 * short_side))
        image.load()
        with suppress(Exception):   # broken notes: the picture is worth more
            iptc = image.info.get("photoshop", {}).get(0x0404) or getattr(image, "tag_v2", {}).get(IPTC)
            if name != "HEIF":   # pillow-heif has turned it
                ImageOps.exif_transpose(image, in_place=True)
            exif = _exif(image, name)
        dpi, xmp = image.info.get("dpi"), image.info.get("xmp")
        dpi = (float(dpi[0]), float(dpi[1])) if isinstance(dpi, tuple) and len(dpi) == 2 else None
        deep = image.mode[0] in "IF" or image.info.get("bit_depth", 8) > 8
        rgb, clear = _on_white(_eight_bit(image), profile)
        pixels = np.stack([np.asarray(band) for band in rgb.split()])   # as fast as torch's permutation
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(path, "needs more memory than there is", "shrink it first") from None
    except Exception as error:   # damaged files make parsers raise nearly anything
        wrong = "is truncated" if "truncated" in str(error).lower() else "is damaged or of an unusual kind"
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise PhotoError(path, wrong, f"{AGAIN}, or save it anew as JPEG or PNG from a program that opens it "
                         f"({name}: {detail})") from None
    lost = (("other pages or frames than the first", getattr(image, "is_animated", False)),
            ("more than 8 bits", deep), ("transparency (now white)", clear))
    return Photo(torch.from_numpy(pixels), Path(path), name, exif, dpi,
                 *(block if isinstance(block, bytes) else None for block in (xmp, iptc)),
                 tuple(words for words, found in lost if found))


def _open(data: bytes, name: str, path: str | os.PathLike, max_pixels: int) -> Image.Image:
    """Parse the header and check what it announces."""
    if name == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PhotoError(path, f"is a JPEG of more than {MAX_JPEG_SCANS} scans, made to keep a decoder busy",
                         "save it anew from a program that opens it")
    if name in ("HEIF", "AVIF"):
        check_boxes(data)
    tags = tags_of(data) if name == "TIFF" else {}
    rare = bool(tags) and is_rare(tags)
    if name == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise PhotoError(path, "is a HEIC photograph, and pillow-heif is not installed",
                             "install it (pip install pillow-heif) or export the photograph as JPEG") from None
        image = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
    elif not rare:
        image = Image.OPEN[name][0](BytesIO(data), "")
    width, height = (tags[256], tags[257]) if rare else image.size
    if width < 1 or height < 1:
        raise PhotoError(path, f"has no pixels ({width} x {height})", AGAIN)
    if width * height > max_pixels:
        wrong = f"has {width} x {height} = {width * height:,} pixels, above {max_pixels:,}"
        raise PhotoError(path, wrong, "shrink it first")
    tile = int(tags.get(322, 1)) * int(tags.get(323, 1))   # of a TIFF: a decoder allocates a whole one
    if tile > max(max_pixels, 1 << 20):
        raise PhotoError(path, f"has TIFF tiles of {tile:,} pixels", "save it anew without tiles")
    if name == "HEIF":
        several, image = len(image) > 1, image.to_pillow()
        image.is_animated = several
    elif rare:
        image = rare_tiff(data, tags)
    if tags:
        image.info.update(bit_depth=max(tags.get(258, (1,))), white_is_zero=tags.get(262) == 0)
        if image.mode in ("P", "PA") and max(tags[320]) < 256:   # 8-bit colours in its 16-bit table
            image.palette = ImagePalette.raw("RGB;L", bytes(tags[320]))
    elif name == "PNG":
        image.info["bit_depth"] = bits = data[24]
        if bits > 8 and "transparency" in image.info:
            raise PhotoError(path, "is a PNG of 16 bits in which one colour is transparent", "save it anew with 8 bits")
        if image.mode == "L" and bits < 8 and "transparency" in image.info:   # Pillow scales the samples alone
            image.info["transparency"] *= 255 // (2**bits - 1)
    return image


def _exif(image: Image.Image, name: str) -> bytes | None:
    """What describes the photograph, of which the orientation was applied."""
    exif, kept = image.getexif(), Image.Exif()   # a new one: that of a BigTIFF has another layout
    wanted = set(DESCRIPTIVE_TAGS if name == "TIFF" else exif) - set(EXIF_FOLDERS)
    kept.update({tag: exif[tag] for tag in set(exif) & wanted})
    for folder in set(EXIF_FOLDERS) & set(exif):
        kept.get_ifd(folder).update(exif.get_ifd(folder))
        kept[folder] = kept.get_ifd(folder)
    return kept.tobytes() if len(kept) else None


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode[0] not in "IF":
        return image
    bits = min(16, image.info.get("bit_depth", 16))
    grey = scaled(np.asarray(image), None if image.mode == "F" else 2.0**bits - 1)
    return Image.fromarray(255 - grey if image.info.get("white_is_zero") else grey)


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """How the colours of a photograph are meant, or None for sRGB."""
    with suppress(Exception):   # none, or a broken one
        icc = image.info.get("icc_profile")
        if not icc and "srgb" not in image.info and {"gamma", "chromaticity"} & set(image.info):
            icc = png_profile(image.info)
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        if profile.profile.xcolor_space.strip() == "RGB":   # sRGB by what it does, whatever its name
            steps = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3), -1).reshape(1, -1, 3)
            same = ImageCms.profileToProfile(Image.fromarray(steps), profile, ImageCms.createProfile("sRGB"))
            if np.abs(np.asarray(same).astype(int) - steps).max() <= 2:
                return None   # it would only add rounding
        return profile


def _on_white(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> tuple[Image.Image, bool]:
    """In sRGB, composited on white; and whether anything was transparent."""
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
    if alpha is None or alpha.getextrema()[0] == 255:
        return image, False
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha), True
