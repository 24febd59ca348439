"""Write a photograph: the whole file or nothing, in the format it came in."""

import os
import struct
import sys
from io import BytesIO
from pathlib import Path, PureWindowsPath

from PIL import Image, PngImagePlugin
from torch import Tensor

from colorlib.checks import need_photo
from colorlib.files import write_atomically
from colorlib.photos.read import HISTORY, IPTC, SUFFIXES, Photo, PhotoError, to_image
from colorlib.photos.unusual import XMP

SYNTHETIC = "colorlib: the colours are synthetic, a network's guess"
SETTINGS: dict[str, dict] = {
    "JPEG": {"subsampling": "4:4:4", "optimize": True, "quality": 95}, "PNG": {}, "BMP": {},
    "WEBP": {"method": 4, "use_sharp_yuv": True, "quality": 95}, "TIFF": {"compression": "tiff_adobe_deflate"}}
MAX_EXIF = 65_000  # bytes: what a JPEG segment holds, of EXIF, XMP or IPTC
SOFTWARE = 0x0131  # the tag of TIFF and EXIF for the program that made a picture


def suffix_for(photo: Photo) -> str:
    """The suffix for a photograph's format as we write it: HEIC, AVIF and JPEG 2000 become JPEG, GIF and PNM PNG."""
    own = {"WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".png", "PNG": ".png", "PPM": ".png"}
    return own.get(photo.format, ".jpg")


def write_photo(path: str | os.PathLike, rgb8: Tensor, like: Photo | None = None, overwrite: bool = False,
                note: str | None = None, history: str | None = None) -> Path:
    """Write a photograph as JPEG (at full chroma resolution), PNG, WebP, TIFF or BMP, and return the path written.

    Args:
        path: in a folder that exists. The suffix names the format; without one, that of `like` is taken (see
            `suffix_for`). A format that we only read becomes another: GIF, of 256 colours, PNG, and HEIC JPEG.
        rgb8: uint8 (3, H, W), else ValueError.
        like: the photograph it was made from: its EXIF, XMP and resolution are kept (not by a BMP), its IPTC by
            JPEG and TIFF. A result has 8 bits and no transparency.
        overwrite: replace an existing file.
        note: ASCII text for the file's Software entry (EXIF; a BMP holds none), such as SYNTHETIC.
        history: ASCII text for its ImageHistory entry, such as settings as JSON: `Photo.history` of the file.

    PhotoError: the file exists, the folder or file cannot be written, or the format cannot hold the size.
    """
    path = Path(path)
    name = SUFFIXES.get(path.suffix.lower())
    if name is None and path.suffix:
        raise PhotoError(path, f"{path.suffix} is no photograph format that we write", "use .jpg, .png, .webp, .tif or .bmp")
    if name not in SETTINGS:
        path = path.with_suffix(suffix_for(like if name is None and like is not None else Photo(rgb8, format=name or "PNG")))
    if sys.platform == "win32" and PureWindowsPath(path.name).is_reserved():   # a device: CON, NUL ...
        raise PhotoError(path, "is a name that Windows keeps for a device", "choose another name")
    if path.exists() and not overwrite:
        raise PhotoError(path, "exists", "pass overwrite=True or another name")
    if not path.parent.is_dir():
        raise PhotoError(path, "its folder does not exist", f"make {path.parent} first")
    try:
        write_atomically(path, encode_photo(rgb8, SUFFIXES[path.suffix.lower()], like, note, history))
    except PhotoError as error:
        raise PhotoError(path, error.wrong, error.todo) from None
    except PermissionError:
        raise PhotoError(path, "may not be written (no permission)", "choose another folder") from None
    except OSError as error:
        raise PhotoError(path, f"cannot be written ({error})", "check the free space") from None
    return path


def encode_photo(rgb8: Tensor, format: str, like: Photo | None = None, note: str | None = None,
                 history: str | None = None) -> bytes:
    """The bytes of the file that `write_photo` writes, as "JPEG", "PNG", "WEBP", "TIFF" or "BMP"; errors as there."""
    need_photo(rgb8)
    extra, exif = dict(SETTINGS[format]), _exif(like, format, note, history)
    kept = {tag: block for tag, block in ((XMP, like and like.xmp), (IPTC, like and like.iptc))
            if block and (format != "JPEG" or len(block) <= MAX_EXIF)}
    if format == "TIFF" and like and (like.exif or kept):
        extra = {"exif": Image.Exif()}   # uncompressed: libtiff's encoders cannot write the Exif directory
        extra["exif"].load(exif or b"")
        extra["exif"].update(kept)
    elif format == "TIFF":
        extra["tiffinfo"] = {tag: text for tag, text in ((SOFTWARE, note), (HISTORY, history)) if text is not None}
    elif exif is not None and format not in ("TIFF", "BMP"):
        extra["exif"] = exif
    if XMP in kept and format == "PNG":
        extra["pnginfo"] = PngImagePlugin.PngInfo()
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", kept[XMP].decode("utf-8", "replace"))
    elif XMP in kept and format in ("JPEG", "WEBP"):
        extra["xmp"] = kept[XMP]
    if IPTC in kept and format == "JPEG":   # in Photoshop's segment, padded to an even length
        block = b"Photoshop 3.0\0008BIM\4\4\0\0" + struct.pack(">I", len(kept[IPTC])) + kept[IPTC]
        block += b"\0" * (len(kept[IPTC]) % 2)
        extra["extra"] = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    if like and like.dpi and format != "WEBP" and all(1 <= value <= 65535 for value in like.dpi):
        extra["dpi"] = like.dpi
    file = BytesIO()
    try:
        to_image(rgb8).save(file, format=format, **extra)
    except (OSError, ValueError, RuntimeError) as error:
        raise PhotoError(None, f"cannot be written as {format} ({error})", "write it as PNG") from None
    return file.getvalue()


def _exif(like: Photo | None, format: str, note: str | None, history: str | None) -> bytes | None:
    """The photograph's EXIF block with the two texts; without the block, then without the history, where a JPEG segment
    cannot hold them."""
    for block, done in ((like and like.exif, history), (None, history), (None, None)):
        exif = Image.Exif()
        exif.load(block or b"")
        before = str(exif.get(SOFTWARE, "")).strip()
        if note is not None and note not in before:
            exif[SOFTWARE] = f"{before}; {note}" if before else note
        if done is not None:
            exif[HISTORY] = done
        whole = block if note is None and done is None else exif.tobytes()
        if whole is None or format != "JPEG" or len(whole) <= MAX_EXIF:
            return whole
    return None
