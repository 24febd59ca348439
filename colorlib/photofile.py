"""One photograph, one file: decode anything people have to uint8 sRGB, and write it back safely.

A file is hostile until it is decoded. So only the parsers of the formats below are ever tried (one, chosen by the
first bytes), the size is read from the header and compared with `max_pixels` before anything is allocated, and whatever
a parser raises leaves here as a `PhotoError` that names the file and says what to do. Pillow's global switches
(`MAX_IMAGE_PIXELS`, `LOAD_TRUNCATED_IMAGES`) are never touched, so this is safe in threads and beside other code.

Plain JPEGs are decoded by torchvision while it can: the same bits as Pillow's, about twice as fast. Everything with
something to interpret (CMYK, an ICC profile, another format) goes through Pillow, which has the last word too where
torchvision fails.
"""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

try:
    from torchvision.io import ImageReadMode, decode_jpeg
except ImportError:   # torchvision 0.29 announces that its decoders will go
    decode_jpeg = None

MAX_PIXELS = 120_000_000   # a 108-megapixel telephone passes; the decoder then needs about 1 GB
MAX_JPEG_SCANS = 200       # progressive files have about 10; thousands are a way to hang a decoder
FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC"
SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
            ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".heic": "HEIF", ".heif": "HEIF"}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
ORIENTATION = 0x0112
# Broken notes in a file are not the reader's business: the picture is used, or a PhotoError says why not.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
# A TIFF keeps its descriptive tags in the same directory as its layout; only these describe the photograph.
DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
EXIF_FOLDERS = (0x8769, 0x8825)   # the Exif and the GPS directory
ROTATED = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}


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

    Transparency is composited on white. 16-bit values are scaled, not clipped. Floating-point and 32-bit grey values
    are taken as 0..1, 0..255 or 0..65535, whichever is the smallest range that holds them all (beyond that, the largest
    value is white). An ICC profile is converted to sRGB; a broken one is ignored.

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


def read_small(path: str | os.PathLike, short_side: int, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read a photograph shrunk (or enlarged) so that its short side is `short_side`.

    Large JPEGs are decoded at a fraction of their size, at least twice the size asked for: several times as fast, and
    the final antialiased resize hides the difference.

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


def resize_short(rgb: Tensor, short_side: int) -> Tensor:
    """Resize so that the short side is `short_side`, antialiased (Pillow's bicubic).

    Args:
        rgb: uint8 (3, H, W).
        short_side: pixels, >= 1.

    Returns:
        uint8 (3, H', W'), the aspect ratio kept to the nearest pixel; `rgb` itself where nothing changes.
    """
    height, width = rgb.shape[-2:]
    scale = short_side / min(height, width)
    if scale == 1:
        return rgb
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return _tensor(_image(rgb).resize(size, Image.Resampling.BICUBIC))


# ------------------------------------------------------------------------------------------------- reading


def _bytes_of(path: str | os.PathLike, max_pixels: int) -> bytes:
    try:
        mode = os.stat(path)
        if stat.S_ISDIR(mode.st_mode):
            raise PhotoError(path, "is a folder", "name one photograph, or list the folder with colorlib.photos.scan")
        if not stat.S_ISREG(mode.st_mode):
            raise PhotoError(path, "is not an ordinary file", "copy it to a file first")
        if mode.st_size == 0:
            raise PhotoError(path, "is empty (0 bytes)", "copy or download it again")
        if mode.st_size > 16 * max_pixels + (1 << 20):   # 16 bytes a pixel: no format that we read has more
            raise PhotoError(path, f"has {mode.st_size:,} bytes, more than a photograph of {max_pixels:,} pixels",
                             "shrink it first, or pass a larger max_pixels")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise PhotoError(path, "does not exist", "check the spelling and the folder") from None
    except PermissionError:
        raise PhotoError(path, "may not be read (no permission)", "change its permissions (chmod u+r)") from None
    except OSError as error:
        raise PhotoError(path, f"cannot be read ({error.strerror or error})", "check the disk and the name") from None
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
        rgb, exif = _upright_srgb(image, data, name, short_side)
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
        todo = f"copy or download it again, or save it anew as JPEG or PNG from a program that opens it ({name}: {detail})"
        raise PhotoError(path, wrong, todo) from None


def _check_size(width: int, height: int, path: str | os.PathLike, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError(path, f"has no pixels ({width} x {height})", "copy or download it again")
    if width * height > max_pixels:
        raise PhotoError(path, f"has {width} x {height} = {width * height:,} pixels, more than {max_pixels:,}",
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


# ------------------------------------------------------------------------------------------------- colour


def _upright_srgb(image: Image.Image, data: bytes, name: str, short_side: int | None) -> tuple[Tensor, bytes | None]:
    profile = _profile(image)
    shrink = short_side is not None and min(image.size) >= 4 * short_side
    if name == "JPEG" and image.mode in ("RGB", "L") and profile is None and not shrink:
        rgb = _fast_jpeg(data)
        if rgb is not None:
            exif, turn = _exif(image, name)
            return (rgb.contiguous() if turn is None else _tensor(_image(rgb).transpose(turn))), exif
    if name == "JPEG" and shrink:
        image.draft(None, (2 * short_side, 2 * short_side))
    image.load()
    exif, turn = _exif(image, name)
    image = _to_srgb(_eight_bit(image, name), profile)
    if turn is not None:
        image = image.transpose(turn)
    return _tensor(image), exif


def _fast_jpeg(data: bytes) -> Tensor | None:
    if decode_jpeg is None:
        return None
    try:
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    except Exception:   # let Pillow say what is wrong, or do better
        return None


def _image(rgb8: Tensor) -> Image.Image:
    return Image.fromarray(rgb8.permute(1, 2, 0).contiguous().cpu().numpy())


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        if "sRGB" in (profile.profile.profile_description or "") and profile.profile.xcolor_space.strip() == "RGB":
            return None   # already what we want, and rounding through a second table would only add noise
        return profile
    except Exception:   # a broken profile costs the exact colours, not the photograph
        return None


def _exif(image: Image.Image, name: str) -> tuple[bytes | None, Image.Transpose | None]:
    try:
        exif = image.getexif()
        turn = ROTATED.get(exif.get(ORIENTATION)) if name != "HEIF" else None
        kept = Image.Exif()
        for tag in DESCRIPTIVE_TAGS if name == "TIFF" else [tag for tag in exif if tag not in EXIF_FOLDERS]:
            if tag in exif:
                kept[tag] = exif[tag]
        for folder in EXIF_FOLDERS:
            if folder in exif:
                kept.get_ifd(folder).update(exif.get_ifd(folder))
                kept[folder] = kept.get_ifd(folder)
        if ORIENTATION in exif:
            kept[ORIENTATION] = 1
        return (kept.tobytes() if len(kept) else None), turn
    except Exception:   # broken EXIF: the picture is worth more than its notes
        return None, None


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    if image.mode[0] not in "IF":
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode.startswith("I;16") or (image.mode == "I" and name == "PNG"):
        white = 65535.0
    else:
        top = float(values.max(initial=0.0))
        floats = image.mode == "F"
        white = 1.0 if floats and top <= 1 else 255.0 if top <= 255 else 65535.0 if top <= 65535 else top
    grey = (values.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)
    if name == "TIFF" and image.mode.startswith("I;16") and image.tag_v2.get(262) == 0:   # white is zero
        grey = 255 - grey
    return Image.fromarray(grey)


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
    if profile is not None:
        image = _convert_profile(image, profile)
    image = image.convert("RGB")
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def _convert_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    try:
        space = profile.profile.xcolor_space.strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}.get(space)
        if mode is None or (mode in ("CMYK", "LAB")) != (image.mode in ("CMYK", "LAB")):
            return image   # a profile for another kind of picture
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image.convert(mode), profile, srgb, outputMode="RGB") or image
    except Exception:   # as in _profile
        return image


# ------------------------------------------------------------------------------------------------- writing


def suffix_for(photo: Photo) -> str:
    """The file name suffix that keeps a photograph's format where we write it (HEIC becomes JPEG, GIF becomes PNG)."""
    return {"JPEG": ".jpg", "HEIF": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}.get(photo.format, ".png")


def write_photo(path: str | os.PathLike, rgb8: Tensor, like: Photo | None = None, quality: int = 95,
                overwrite: bool = False) -> Path:
    """Write a photograph: the whole file or nothing, and over nothing that was there.

    The suffix names the format: JPEG (full chroma resolution: colour is what we made), PNG, WebP, TIFF, BMP. A path
    without a suffix takes the format of `like`; a GIF, which holds only 256 colours, becomes a PNG and a HEIC a JPEG.

    Args:
        path: where to; its folder must exist.
        rgb8: uint8 (3, H, W).
        like: the photograph it was made from: its EXIF block and resolution are kept.
        quality: 1..100, of JPEG and WebP.
        overwrite: replace an existing file.

    Returns:
        The path written; its suffix differs from `path` only as told above.

    Raises:
        PhotoError: if the file exists, or the folder or file cannot be written, or the format cannot hold the size.
        ValueError: if `rgb8` is not uint8 (3, H, W).
    """
    if rgb8.dtype != torch.uint8 or rgb8.ndim != 3 or rgb8.shape[0] != 3 or 0 in rgb8.shape:
        raise ValueError(f"rgb8 is {rgb8.dtype} {tuple(rgb8.shape)}, must be torch.uint8 (3, H, W); "
                         "convert with colorlib.color.lab_to_rgb8")
    path = Path(path)
    name = SUFFIXES.get(path.suffix.lower())
    if name is None and path.suffix:
        raise PhotoError(path, f"{path.suffix} is no photograph format that we write",
                         "use .jpg, .png, .webp, .tif or .bmp")
    if name in (None, "GIF", "HEIF"):
        source = like if name is None and like is not None else Photo(rgb8, format=name or "PNG")
        path = path.with_suffix(suffix_for(source))
        name = SUFFIXES[path.suffix]
    if path.exists() and not overwrite:
        raise PhotoError(path, "exists", "pass overwrite=True (--force on the command line) or another name")
    image = _image(rgb8)
    settings: dict[str, dict[str, object]] = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4", "optimize": True},
        "WEBP": {"quality": quality, "method": 4, "use_sharp_yuv": True},   # WebP halves chroma; sharp does it well
        "TIFF": {"compression": "tiff_adobe_deflate"}, "PNG": {}, "BMP": {}}
    extra = dict(settings[name])
    if like is not None and like.exif and name != "BMP":
        extra["exif"] = like.exif
        if name == "TIFF":
            del extra["compression"]   # libtiff's encoders cannot write the Exif directory
    if like is not None and like.dpi and name != "WEBP" and all(1 <= value <= 65535 for value in like.dpi):
        extra["dpi"] = like.dpi
    _save(image, path, name, extra)
    return path


def _save(image: Image.Image, path: Path, name: str, settings: dict[str, object]) -> None:
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".colorlib-", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            image.save(file, format=name, **settings)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)   # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
        temporary = None
    except FileNotFoundError:
        raise PhotoError(path, "its folder does not exist", f"make {path.parent} first") from None
    except PermissionError:
        raise PhotoError(path, "may not be written (no permission)", "choose another folder") from None
    except (OSError, ValueError) as error:
        raise PhotoError(path, f"cannot be written ({error})", "check the free space, or write it as PNG") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)
