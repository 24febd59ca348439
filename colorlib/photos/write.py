"""Write a photograph: the whole file or nothing, in the format it came in."""

from __future__ import annotations

import os
import tempfile
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from colorlib.photos.pixels import to_image
from colorlib.photos.read import SUFFIXES, Photo, PhotoError


SYNTHETIC = "colorlib: the colours are synthetic, a network's guess"
_MAX_EXIF = 65_000  # bytes: what a JPEG segment holds
_SOFTWARE = 0x0131  # the tag of TIFF and EXIF for the program that made a picture


def suffix_for(photo: Photo) -> str:
    """The file name suffix that keeps a photograph's format where we write it (HEIC becomes JPEG, GIF becomes
    PNG)."""
    return {"JPEG": ".jpg", "HEIF": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}.get(photo.format,
                                                                                                ".png")


def write_photo(path: str | os.PathLike, rgb8: Tensor, like: Photo | None = None, quality: int = 95,
                overwrite: bool = False, note: str | None = None) -> Path:
    """Write a photograph: the whole file or nothing, and over nothing that was there.

    The suffix names the format: JPEG (full chroma resolution: colour is what we made), PNG, WebP, TIFF, BMP.
    A path without a suffix takes the format of `like`; a GIF, which holds only 256 colours, becomes a PNG and
    a HEIC a JPEG.

    Args:
        path: where to; its folder must exist.
        rgb8: uint8 (3, H, W).
        like: the photograph it was made from: its EXIF block and resolution are kept.
        quality: 1..100, of JPEG and WebP.
        overwrite: replace an existing file.
        note: ASCII text for the file's Software entry (EXIF; a BMP holds none), such as SYNTHETIC.

    Returns:
        The path written; its suffix differs from `path` only as told above.

    Raises:
        PhotoError: if the file exists, or the folder or file cannot be written, or the format cannot hold the
        size. ValueError: if `rgb8` is not uint8 (3, H, W).
    """
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
    try:
        data = encode_photo(rgb8, name, like, quality, note)
    except PhotoError as error:
        raise PhotoError(path, error.wrong, error.todo) from None
    _save(data, path)
    return path


def encode_photo(rgb8: Tensor, format: str, like: Photo | None = None, quality: int = 95,
                 note: str | None = None) -> bytes:
    """The bytes of the file that `write_photo` writes.

    Args:
        format: "JPEG", "PNG", "WEBP", "TIFF" or "BMP".
        The others: see `write_photo`.

    Raises:
        PhotoError: if the format cannot hold the size. ValueError: if `rgb8` is not uint8 (3, H, W).
    """
    if rgb8.dtype != torch.uint8 or rgb8.ndim != 3 or rgb8.shape[0] != 3 or 0 in rgb8.shape:
        raise ValueError(f"rgb8 is {rgb8.dtype} {tuple(rgb8.shape)}, must be torch.uint8 (3, H, W); "
                         "convert with colorlib.color.lab_to_rgb8")
    settings: dict[str, dict[str, object]] = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4", "optimize": True},
        "WEBP": {"quality": quality, "method": 4, "use_sharp_yuv": True},
        # WebP halves chroma; sharp does it well
        "TIFF": {"compression": "tiff_adobe_deflate"}, "PNG": {}, "BMP": {}}
    extra = dict(settings[format])
    exif = _exif(like, format, note)
    if exif is not None and format == "TIFF" and (like is None or not like.exif):
        extra["software"] = note
    elif exif is not None and format == "TIFF":
        extra = {"exif": exif}   # uncompressed: libtiff's encoders cannot write the Exif directory
    elif exif is not None and format != "BMP":
        extra["exif"] = exif
    if like is not None and like.dpi and format != "WEBP" and all(1 <= value <= 65535 for value in like.dpi):
        extra["dpi"] = like.dpi
    file = BytesIO()
    try:
        to_image(rgb8).save(file, format=format, **extra)
    except (OSError, ValueError, RuntimeError) as error:
        raise PhotoError(None, f"cannot be written as {format} ({error})", "write it as PNG") from None
    return file.getvalue()


def _exif(like: Photo | None, format: str, note: str | None) -> bytes | None:
    """The photograph's EXIF block, with the note; without the block where it is more than a JPEG segment holds."""
    block = like.exif if like is not None else None
    if note is None:
        return None if block is None or (format == "JPEG" and len(block) > _MAX_EXIF) else block
    exif = Image.Exif()
    if block is not None:
        exif.load(block)
        before = str(exif.get(_SOFTWARE, "")).strip()
        if note not in before:
            exif[_SOFTWARE] = f"{before}; {note}" if before else note
        whole = exif.tobytes()
        if format != "JPEG" or len(whole) <= _MAX_EXIF:
            return whole
        exif = Image.Exif()
    exif[_SOFTWARE] = note
    return exif.tobytes()


def _save(data: bytes, path: Path) -> None:
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".colorlib-", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)   # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
        temporary = None
    except FileNotFoundError:
        raise PhotoError(path, "its folder does not exist", f"make {path.parent} first") from None
    except PermissionError:
        raise PhotoError(path, "may not be written (no permission)", "choose another folder") from None
    except OSError as error:
        raise PhotoError(path, f"cannot be written ({error})", "check the free space") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)
