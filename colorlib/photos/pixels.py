"""From an opened picture to upright sRGB: orientation, bit depth, transparency, colour profiles.

Where there are many, plain JPEGs are decoded by torchvision: the same bits as Pillow's, about twice as fast.
Everything with something to interpret (CMYK, an ICC profile, another format) goes through Pillow, which has
the last word too where torchvision fails.
"""

from __future__ import annotations

import functools
import warnings
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

decode_jpeg = None   # torchvision's, once `load_fast_decoder` was called
ORIENTATION = 0x0112
# Broken notes in a file are not the reader's business: the picture is used, or a PhotoError says why not.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
# A TIFF keeps its descriptive tags in the same directory as its layout; only these describe the photograph.
DESCRIPTIVE_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
EXIF_FOLDERS = (0x8769, 0x8825)   # the Exif and the GPS directory
ROTATED = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
           4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}


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
    return to_tensor(to_image(rgb).resize(size, Image.Resampling.BICUBIC))


def upright_srgb(image: Image.Image, data: bytes, name: str, short_side: int | None) -> tuple[Tensor,
                                                                                              bytes | None]:
    """Decode an opened picture.

    Args:
        image: opened by Pillow, not yet decoded.
        data: the bytes of the file.
        name: its format.
        short_side: what the picture will be shrunk to, where that may save work; None decodes all of it.

    Returns:
        uint8 (3, H, W), upright sRGB, and the EXIF block to write back.
    """
    profile = _profile(image)
    shrink = short_side is not None and min(image.size) >= 4 * short_side
    if name == "JPEG" and image.mode in ("RGB", "L") and profile is None and not shrink:
        rgb = _fast_jpeg(data)
        if rgb is not None:
            exif, turn = _exif(image, name)
            return (rgb.contiguous() if turn is None else to_tensor(to_image(rgb).transpose(turn))), exif
    if name == "JPEG" and shrink:
        image.draft(None, (2 * short_side, 2 * short_side))
    image.load()
    exif, turn = _exif(image, name)
    image = _to_srgb(_eight_bit(image, name), profile)
    if turn is not None:
        image = image.transpose(turn)
    return to_tensor(image), exif


def load_fast_decoder() -> None:
    """Decode plain JPEGs with torchvision from now on. Importing it takes seconds: not worth it for a few."""
    global decode_jpeg
    try:
        from torchvision.io import ImageReadMode
        from torchvision.io import decode_jpeg as decode
    except ImportError:   # torchvision 0.29 announces that its decoders will go
        return
    decode_jpeg = functools.partial(decode, mode=ImageReadMode.RGB)


def _fast_jpeg(data: bytes) -> Tensor | None:
    if decode_jpeg is None:
        return None
    try:
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    except Exception:   # let Pillow say what is wrong, or do better
        return None


def to_image(rgb8: Tensor) -> Image.Image:
    """uint8 (3, H, W) on any device as a Pillow image."""
    return Image.fromarray(rgb8.permute(1, 2, 0).contiguous().cpu().numpy())


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        is_rgb = profile.profile.xcolor_space.strip() == "RGB"
        if is_rgb and "sRGB" in (profile.profile.profile_description or ""):
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
