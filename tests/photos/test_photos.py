"""photos: every kind of file opens rightly or is refused helpfully; batches are what they say and repeat
exactly."""

import io
import multiprocessing
import os
import pickle
import random
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from fuzz_photos import MAX_PIXELS, damage, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, ImageOps
from skimage.color import rgb2lab

from colorlib import photos
from colorlib.photos import pixels, read, samples
from colorlib.photos import (Photo, PhotoBatches, PhotoError, StreamedBatches, is_grey, load_photos,
                             old_photographs,
                             photo_batches, read_photo, read_small, sample_photographs, scan, source,
                             split_of,
                             write_photo)

SEEDS = seeds()


def picture(height=40, width=56, seed=0):
    """Smooth colours: compression changes them little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width) * ((seed + 3) % 5) / 5],
                    -1).astype(np.uint8)


def save(path, array_or_image, **settings_):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(path, **settings_)
    return path


def hwc(rgb):
    return rgb.permute(1, 2, 0).numpy()


def error_between(path, expected):
    return np.abs(hwc(read_photo(path).rgb).astype(int) - np.asarray(expected).astype(int)).max()


# ------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize(("suffix", "options", "within"), [
    ("png", {}, 0), ("bmp", {}, 0), ("tif", {}, 0), ("tif", {"compression": "tiff_lzw"}, 0),
    ("webp", {"lossless": True}, 0), ("jpg", {"quality": 100, "subsampling": 0}, 3),
    ("jpg", {"quality": 100, "subsampling": 0, "progressive": True}, 6), ("webp", {"quality": 100}, 14)])
def test_formats_give_the_pixels_that_were_saved(tmp_path, suffix, options, within):
    path = save(tmp_path / f"a.{suffix}", picture(), **options)
    photo = read_photo(path)
    assert photo.rgb.dtype == torch.uint8 and photo.rgb.shape == (3, 40, 56) and photo.rgb.is_contiguous()
    assert error_between(path, picture()) <= within
    assert photo.path == path and photo.format == read.SUFFIXES["." + suffix]


@pytest.mark.parametrize("torchvision_decodes", [True, False])
def test_jpeg_is_decoded_to_pillows_own_bits(tmp_path, monkeypatch, torchvision_decodes):
    monkeypatch.setattr(pixels, "decode_jpeg", None)
    if torchvision_decodes:
        pixels.load_fast_decoder()
        assert pixels.decode_jpeg is not None
    for options in ({}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}):
        path = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (37, 53, 3),
                                                                          dtype=np.uint8), **options)
        assert np.array_equal(hwc(read_photo(path).rgb), np.asarray(Image.open(path)))
        grey = save(tmp_path / "g.jpg", Image.fromarray(picture()).convert("L"), **options)
        assert np.array_equal(hwc(read_photo(grey).rgb), np.asarray(Image.open(grey).convert("RGB")))


def test_format_is_read_from_the_bytes_not_the_name(tmp_path):
    save(tmp_path / "a.png", picture())
    os.rename(tmp_path / "a.png", tmp_path / "a.jpg")
    assert read_photo(tmp_path / "a.jpg").format == "PNG"


def test_gif_gives_the_first_frame(tmp_path):
    first, second = Image.new("RGB", (9, 7), (200, 10, 10)), Image.new("RGB", (9, 7), (10, 10, 200))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert error_between(tmp_path / "a.gif", first) == 0


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_transparency_is_composited_on_white(tmp_path, suffix):
    rgba = np.dstack([picture(), np.full((40, 56), 0, np.uint8)])
    rgba[:, 20:, 3], rgba[:, 40:, 3] = 128, 255
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", rgba, **options)
    alpha = rgba[..., 3:] / 255.0
    assert error_between(path, np.round(rgba[..., :3] * alpha + 255 * (1 - alpha))) <= 1


def test_grey_and_alpha_and_palette_and_bits(tmp_path):
    grey = picture()[..., 0]
    three = np.repeat(grey[..., None], 3, -1)
    assert error_between(save(tmp_path / "l.png", grey), three) == 0
    la = Image.merge("LA", [Image.fromarray(grey), Image.new("L", (56, 40), 0)])
    assert error_between(save(tmp_path / "la.png", la), np.full_like(three, 255)) == 0
    palette = Image.fromarray(picture()).convert("P", palette=Image.Palette.ADAPTIVE)
    assert error_between(save(tmp_path / "p.png", palette), palette.convert("RGB")) == 0
    index = np.asarray(palette)[0, 0]
    clear = np.asarray(palette) == index
    see_through = save(tmp_path / "pt.png", palette, transparency=int(index))
    assert error_between(see_through, np.where(clear[..., None], 255,
                                               np.asarray(palette.convert("RGB")))) == 0
    key = Image.new("RGB", (8, 8), (1, 2, 3))   # one colour declared transparent, without an alpha channel
    assert error_between(save(tmp_path / "key.png", key, transparency=(1, 2, 3)),
                         np.full((8, 8, 3), 255)) == 0
    bits = Image.fromarray(picture()).convert("1")
    assert error_between(save(tmp_path / "1.png", bits), bits.convert("RGB")) == 0


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.linspace(0, 65535, 40 * 56).reshape(40, 56).astype(np.uint16)
    expected = np.repeat(np.round(values / 257.0)[..., None], 3, -1)
    assert error_between(save(tmp_path / f"a.{suffix}", values), expected) <= 1
    dark = (values // 400).astype(np.uint16)   # a dark picture stays dark: no stretching to what is there
    assert error_between(save(tmp_path / f"b.{suffix}", dark),
                         np.repeat(dark[..., None] / 257, 3, -1).round()) <= 1


def test_16_bit_colour_is_scaled(tmp_path):
    """Pillow writes no 16-bit colour: the PNG is made by hand here (PNG specification, sections 5 and 9)."""
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)  # width, height, 16 bits, RGB
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)  # filter 0 before each
    png = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines))
           + chunk(b"IEND", b""))
    (tmp_path / "a.png").write_bytes(png)
    tifffile.imwrite(tmp_path / "a.tiff", values, photometric="rgb")
    for name in ("a.png", "a.tiff"):
        assert error_between(tmp_path / name, np.round(values / 257.0)) <= 1


def test_float_tiff(tmp_path):
    unit = np.linspace(0, 1, 40 * 56, dtype=np.float32).reshape(40, 56)
    expected = np.repeat((unit * 255).round()[..., None], 3, -1)
    for name, values in (("unit", unit), ("bytes", unit * 255), ("words", unit * 65535)):
        assert error_between(save(tmp_path / f"{name}.tif", values), expected) <= 1
    broken = unit.copy()
    broken[0, :3] = np.nan, np.inf, -5
    assert hwc(read_photo(save(tmp_path / "nan.tif", broken)).rgb)[0, :3].max() == 0


def test_cmyk_jpeg(tmp_path):
    cmyk = Image.fromarray(picture()).convert("CMYK")
    assert error_between(save(tmp_path / "a.jpg", cmyk, quality=100), cmyk.convert("RGB")) <= 8
    assert error_between(save(tmp_path / "a.tif", cmyk), cmyk.convert("RGB")) == 0


def test_lab_tiff(tmp_path):
    lab = ImageCms.profileToProfile(Image.fromarray(picture()), ImageCms.createProfile("sRGB"),
                                    ImageCms.createProfile("LAB"), outputMode="LAB")
    lab.save(tmp_path / "lab.tif")
    assert np.abs(hwc(read_photo(tmp_path / "lab.tif").rgb).astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation_is_applied_and_reset(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    options = {"quality": 100} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", picture(), exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    photo = read_photo(path)
    assert np.array_equal(hwc(photo.rgb), expected)
    assert photo.rgb.is_contiguous()
    kept = Image.Exif()
    kept.load(photo.exif)
    assert kept.get(0x0112, 1) == 1 and kept[0x010F] == "maker"


def rotated_profile():
    """An RGB profile whose primaries are sRGB's in another order: converting it visibly changes colours."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    names = {b"rXYZ": b"gXYZ", b"gXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, 132 + 12 * count, 12):
        profile[at:at + 4] = names.get(bytes(profile[at:at + 4]), bytes(profile[at:at + 4]))
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_icc_profile_is_converted(tmp_path, suffix):
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    path = save(tmp_path / f"a.{suffix}", red, icc_profile=rotated_profile(), **options)
    colour = hwc(read_photo(path).rgb)[8, 8].astype(int)
    assert colour.argmax() != 0 and colour[0] < 40, "the file's red is another primary of the profile"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert error_between(save(tmp_path / f"b.{suffix}", picture(), icc_profile=srgb, **options),
                         picture()) <= 3


@pytest.mark.parametrize("profile", [b"", b"nonsense", rotated_profile()[:200], b"\0" * 3000])
def test_broken_profile_keeps_the_photograph(tmp_path, profile):
    assert error_between(save(tmp_path / "a.png", picture(), icc_profile=profile), picture()) == 0


def test_grey_profile(tmp_path):
    grey = Image.fromarray(picture()).convert("L")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert error_between(save(tmp_path / "a.png", grey, icc_profile=srgb), grey.convert("RGB")) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_thin_photographs(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert error_between(save(tmp_path / "a.png", values), values) == 0
    assert min(read_small(tmp_path / "a.png", 5).shape[1:]) == 5


def test_60_megapixels_open(tmp_path):
    image = Image.new("L", (10_000, 6_000), 77)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(save(tmp_path / "a.jpg", image)).rgb.shape == (3, 6_000, 10_000)
        assert read_small(tmp_path / "a.jpg", 60).shape == (3, 60, 100)


def test_heic(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    upright = Image.fromarray(picture(64, 96))
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(upright).save(tmp_path / "a.heic", quality=100)
    assert np.abs(hwc(read_photo(tmp_path / "a.heic").rgb).astype(int) - picture(64, 96)).mean() < 4
    pillow_heif.from_pillow(upright).save(tmp_path / "b.heic", quality=100, exif=exif.tobytes())
    reference = pillow_heif.open_heif(tmp_path / "b.heic").to_pillow()
    assert read_photo(tmp_path / "b.heic").rgb.shape[1:] == reference.size[::-1]


def test_heic_without_pillow_heif_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="pip install pillow-heif"):
        read_photo(tmp_path / "a.heic")


# ------------------------------------------------------------------------------------------------- refusals


def refused(path, *words, **options):
    with pytest.raises(PhotoError) as caught:
        read_photo(path, **options)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError) and str(path) in message and "; " in message
    assert caught.value.path == Path(path)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def test_refusals_name_the_file_the_fault_and_the_cure(tmp_path, monkeypatch):
    refused(tmp_path / "none.jpg", "does not exist", "check")
    refused(tmp_path, "is a folder", "scan")
    (tmp_path / "empty.jpg").touch()
    refused(tmp_path / "empty.jpg", "empty", "again")
    (tmp_path / "text.jpg").write_text("hello, this is text " * 20)
    refused(tmp_path / "text.jpg", "not a photograph", "convert it to")
    whole = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3),
                                                                       dtype=np.uint8)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:len(whole) // 2])
    refused(tmp_path / "cut.jpg", "again")
    png = save(tmp_path / "a.png", picture()).read_bytes()
    (tmp_path / "cut.png").write_bytes(png[:len(png) // 2])
    refused(tmp_path / "cut.png", "truncated")
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(tmp_path / "pipe.jpg", "not an ordinary file")
    with pytest.raises(PhotoError, match="no file name"):
        read_photo("a\0b.jpg")

    def denied(*_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr("builtins.open", denied)
    refused(tmp_path / "a.jpg", "no permission", "chmod")


@pytest.mark.parametrize("cut", [0.02, 0.2, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "rgb.png", "lossy.webp", "raw.tif",
                                  "rgb.bmp"])
def test_truncated_files_are_refused(tmp_path, name, cut):
    (tmp_path / name).write_bytes(SEEDS[name][:int(len(SEEDS[name]) * cut)])
    refused(tmp_path / name)


def test_bomb_is_refused_by_its_header_without_spending_memory(tmp_path):
    """A few kilobytes that would decode to 400 megapixels, in a process that is too small to hold them."""
    for name, options in (("a.png", {}), ("a.tif", {"compression": "tiff_lzw"}), ("a.gif", {}),
                          ("a.bmp", {})):
        data = bytearray(save(tmp_path / name, Image.new("L", (20, 20)), **options).read_bytes())
        if name == "a.png":
            data[16:24] = (20_000).to_bytes(4, "big") * 2
            import zlib
            data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        elif name == "a.gif":
            data[6:10] = (20_000).to_bytes(2, "little") * 2
        elif name == "a.bmp":
            data[18:26] = (20_000).to_bytes(4, "little") * 2
        else:
            save(tmp_path / name, Image.new("1", (20_000, 20_000)), compression="group4")
            data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "20000 x 20000", "400,000,000", "max_pixels")
    refused(save(tmp_path / "b.webp", picture()), "2,240 pixels", max_pixels=2_239)
    assert read_photo(tmp_path / "b.webp", max_pixels=2_240).rgb.shape == (3, 40, 56)


def test_webp_size_is_known_before_its_decoder_runs(monkeypatch, tmp_path):
    """All three kinds of WebP header; the plugin allocates the canvas when it opens a file, so it must
    not."""
    for name in ("lossy.webp", "lossless.webp", "animated.webp"):
        assert read._webp_size(SEEDS[name]) == Image.open(io.BytesIO(SEEDS[name])).size
    monkeypatch.setitem(Image.OPEN, "WEBP", (None, None))
    (tmp_path / "a.webp").write_bytes(SEEDS["lossless.webp"])
    refused(tmp_path / "a.webp", "above 100", max_pixels=100)


def test_jpeg_of_endless_scans_is_refused(tmp_path):
    data = SEEDS["progressive.jpg"]
    scan_header = b"\xff\xda\x00\x08\x01\x01\x00\x3f\x00\x00"
    (tmp_path / "a.jpg").write_bytes(data[:-2] + scan_header * 5000 + data[-2:])
    refused(tmp_path / "a.jpg", "scans")


def test_huge_file_is_not_read_into_memory(tmp_path):
    with open(tmp_path / "a.bmp", "wb") as file:
        file.write(SEEDS["rgb.bmp"])
        file.truncate(8 << 30)   # sparse
    refused(tmp_path / "a.bmp", "bytes")


def test_pillows_global_state_is_untouched(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    path = save(tmp_path / "a.png", picture())
    read_photo(path)
    with pytest.raises(PhotoError):
        read_photo(path, max_pixels=10)
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before and before[1] is False
    assert "HEIF" not in Image.OPEN, "pillow-heif is used without registering it for everybody"


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SEEDS)), seed=st.integers(0, 2**32))
def test_damaged_files_are_opened_or_refused(tmp_path, name, seed):
    way, data = damage(SEEDS[name], list(SEEDS.values()), random.Random(seed))
    path = tmp_path / f"{way}-{name}"
    path.write_bytes(data)
    try:
        rgb = read_photo(path, MAX_PIXELS).rgb
    except PhotoError as error:
        assert error.path == path
    else:
        assert rgb.dtype == torch.uint8 and rgb.shape[0] == 3 and 0 < rgb[0].numel() <= MAX_PIXELS


def test_photo_error_crosses_processes():
    error = PhotoError("a.jpg", "is damaged", "copy it again")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.path == Path("a.jpg")


# ------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
def test_write_and_read_back(tmp_path, suffix):
    rgb = torch.from_numpy(picture()).permute(2, 0, 1)
    assert write_photo(tmp_path / f"a.{suffix}", rgb) == tmp_path / f"a.{suffix}"
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.format == read.SUFFIXES["." + suffix]
    difference = (read_photo(tmp_path / f"a.{suffix}").rgb.int() - rgb.int()).abs().float()
    assert difference.mean() < (0 if suffix in ("png", "tif", "bmp") else 2) + 1e-6
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"], "no temporary file is left"


def test_jpeg_keeps_full_chroma_resolution(tmp_path):
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (220, 60, 60), (60, 60, 220)
    write_photo(tmp_path / "a.jpg", torch.from_numpy(stripes).permute(2, 0, 1))
    back = hwc(read_photo(tmp_path / "a.jpg").rgb).astype(int)
    assert np.abs(back - stripes).mean() < 8, "4:2:0 would average neighbouring colours"


def test_exif_and_resolution_are_kept_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    source_photo = read_photo(save(tmp_path / "a.jpg", picture(), exif=exif, dpi=(300, 300)))
    for suffix in ("jpg", "png", "webp", "tif"):
        path = write_photo(tmp_path / f"out.{suffix}", source_photo.rgb, like=source_photo)
        with Image.open(path) as image:
            again = image.getexif()
            assert again[0x010F] == "maker" and again.get(0x0112, 1) == 1
            assert again.get_ifd(0x8769)[0x9003] == "2001:02:03 04:05:06"
            if suffix != "webp":
                assert image.info["dpi"][0] == pytest.approx(300, abs=1)
        assert read_photo(path).rgb.shape == source_photo.rgb.shape, "not turned twice"


def test_format_follows_the_original_and_gif_becomes_png(tmp_path):
    rgb = torch.zeros(3, 4, 4, dtype=torch.uint8)
    assert write_photo(tmp_path / "a", rgb, like=Photo(rgb, format="JPEG")).suffix == ".jpg"
    assert write_photo(tmp_path / "b", rgb, like=Photo(rgb, format="GIF")).suffix == ".png"
    assert write_photo(tmp_path / "c", rgb).suffix == ".png"
    assert write_photo(tmp_path / "d.gif", rgb).name == "d.png"
    assert write_photo(tmp_path / "e.HEIC", rgb).name == "e.jpg"
    for path in tmp_path.iterdir():
        assert read_photo(path).rgb.shape == (3, 4, 4)


def test_nothing_is_overwritten_or_left_half_written(tmp_path, monkeypatch):
    rgb = torch.zeros(3, 8, 8, dtype=torch.uint8)
    path = write_photo(tmp_path / "a.png", rgb)
    before = path.read_bytes()
    with pytest.raises(PhotoError, match="overwrite=True"):
        write_photo(path, rgb + 9)
    assert path.read_bytes() == before
    write_photo(tmp_path / "b.gif", rgb)
    with pytest.raises(PhotoError, match="exists"):   # b.png, under the name it really gets
        write_photo(tmp_path / "b.gif", rgb)

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    def full(handle, mode):
        os.write(handle, b"half")
        os.close(handle)
        return Full()
    with monkeypatch.context() as patch:
        patch.setattr("colorlib.photos.write.os.fdopen", full)
        with pytest.raises(PhotoError, match="No space left"):
            write_photo(path, rgb + 9, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.png", "b.png"]
    write_photo(path, rgb + 9, overwrite=True)
    assert read_photo(path).rgb.max() == 9
    with pytest.raises(PhotoError, match="folder does not exist"):
        write_photo(tmp_path / "none" / "a.png", rgb)
    with pytest.raises(PhotoError, match="use .jpg"):
        write_photo(tmp_path / "a.doc", rgb)
    with pytest.raises(PhotoError, match="written"):
        write_photo(tmp_path / "big.webp", torch.zeros(3, 1, 20_000, dtype=torch.uint8))
    with pytest.raises(ValueError, match="torch.float32"):
        write_photo(tmp_path / "c.png", torch.zeros(3, 8, 8))


# ------------------------------------------------------------------------------------------- folders, splits


def test_scan_and_load_go_on_past_bad_files(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    save(tmp_path / "b" / "good.JPG", picture(), format="JPEG")
    save(tmp_path / "a.png", picture(20, 90))
    save(tmp_path / ".hidden" / "no.png", picture())
    (tmp_path / "b" / "bad.jpg").write_bytes(b"nonsense")
    (tmp_path / "notes.txt").write_text("not a photograph")
    paths = scan(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["a.png", "b/bad.jpg", "b/good.JPG"]
    loaded, errors = load_photos(paths, short_side=10)
    assert [tuple(photo.shape) for photo in loaded] == [(3, 10, 45), (3, 10, 14)]
    assert [error.path.name for error in errors] == ["bad.jpg"]
    full, _ = load_photos(paths)
    assert full[0].shape == (3, 20, 90)
    for wrong, word in ((tmp_path / "x", "does not exist"), (tmp_path / "a.png", "not a folder")):
        with pytest.raises(PhotoError, match=word):
            scan(wrong)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotoError, match="no photographs"):
        scan(tmp_path / "empty")


def test_small_jpegs_look_like_the_full_ones_resized(tmp_path):
    save(tmp_path / "a.jpg", picture(900, 1200), quality=98)
    small = hwc(read_small(tmp_path / "a.jpg", 60)).astype(int)
    whole = Image.fromarray(hwc(read_photo(tmp_path / "a.jpg").rgb))
    full = np.asarray(whole.resize((80, 60), Image.Resampling.BICUBIC))
    assert small.shape == (60, 80, 3) and np.abs(small - full).max() <= 3


def test_split_is_fixed_by_the_name_alone():
    names = [f"photo_{number}.jpg" for number in range(5000)]
    counts = {split: sum(split_of(name) == split for name in names) / len(names) for split in photos.SPLITS}
    assert counts["train"] == pytest.approx(0.8, abs=0.02) and counts["test"] == pytest.approx(0.1, abs=0.015)
    assert all(split_of(f"/a/b/{name}") == split_of(Path("c", name)) == split_of(name) for name in names[:50])
    # written down on the day it was made: these must never move
    assert [number for number in range(24) if split_of(names[number]) == "validation"] == [3, 11]
    assert [number for number in range(24) if split_of(names[number]) == "test"] == [12, 22, 23]


def test_is_grey():
    grey = torch.randint(0, 256, (1, 50, 60), dtype=torch.uint8).expand(3, -1, -1)
    assert is_grey(grey)
    assert not is_grey(torch.from_numpy(picture()).permute(2, 0, 1))
    sepia = torch.stack([torch.full((30, 30), value, dtype=torch.uint8) for value in (130, 118, 100)])
    assert np.abs(rgb2lab(hwc(sepia))[..., 2]).mean() > 2 and not is_grey(sepia)
    half = torch.full((3, 400, 400), 128, dtype=torch.uint8)
    half[0, :, 200:] = 160
    assert not is_grey(half)


# ------------------------------------------------------------------------------------------------- batches


def coloured(num=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(20, 90, (num, 2), generator=generator).tolist()
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


def lab_of(rgb8):
    lab = rgb2lab(hwc(rgb8))
    return lab[..., 0] / 50 - 1, lab[..., 1:] / 110


def test_batches_have_the_promised_shape_and_range():
    L, ab = next(PhotoBatches(coloured(), size=32, batch_size=9))
    assert L.shape == (9, 1, 32, 32) and ab.shape == (9, 2, 32, 32) and L.dtype == ab.dtype == torch.float32
    assert L.min() >= -1.001 and L.max() <= 1.001 and ab.abs().max() < 1.2


def test_centre_squares_are_the_photographs_lab():
    """No crop, no flip, right size: a batch is scikit-image's Lab of the photographs, each exactly once a
    pass."""
    squares = [photo[:, :32, :32] for photo in [torch.randint(0, 256, (3, 32, 32),
                                                              dtype=torch.uint8) for _ in range(5)]]
    L, ab = next(PhotoBatches(squares, size=32, batch_size=5, crop=False, flip=False))
    expected = [lab_of(square) for square in squares]
    seen = []
    for place in range(5):
        errors = [np.abs(L[place, 0].numpy() - one[0]).max() for one in expected]
        match = int(np.argmin(errors))
        seen.append(match)
        assert errors[match] < 0.01 / 50 * 2
        assert np.abs(ab[place].permute(1, 2, 0).numpy() - expected[match][1]).max() < 0.01 / 110 * 2
    assert sorted(seen) == list(range(5))


def test_windows_without_zoom_are_windows_of_the_photographs():
    ramp = torch.arange(64 * 80).reshape(64, 80)
    photo = torch.stack([ramp // 256, ramp % 256, ramp % 7]).to(torch.uint8)
    batches = PhotoBatches([photo], size=64, batch_size=64, zoom=1.0, flip=False)
    lefts, (L, _) = set(), next(batches)
    for one in L[:, 0].numpy():
        fits = [left for left in range(17) if np.abs(one - lab_of(photo[:, :,
                                                                        left:left + 64])[0]).max() < 5e-4]
        assert len(fits) == 1
        lefts.add(fits[0])
    assert lefts >= {0, 16} or len(lefts) > 12, "every place is reached, both ends included"


def test_zoomed_squares_stay_inside_and_keep_straight_lines():
    """A horizontal ramp stays a ramp: its slope tells the zoom, which lies between 1 and `zoom`."""
    width = 120
    photo = (torch.arange(width) * 2).to(torch.uint8).expand(3, 50, width).contiguous()
    cuts = photos.PhotoBatches([photo], size=40, batch_size=200, zoom=1.25, flip=False).cuts
    windows = cuts.windows(0, [photo] * 200)
    drawn = cuts._random(2, 0).random((200, 4), dtype=np.float32)[:, :3]
    zoomed = cuts._zoomed(windows, torch.from_numpy(drawn))
    slopes = (zoomed[:, 0, 0, 36].float() - zoomed[:, 0, 0, 4].float()) / 32 / 2
    assert slopes.min() >= 0.98 and slopes.max() <= 1.27 and slopes.std() > 0.04
    assert (zoomed.float().std(dim=2) == 0).all(), "rows are equal: nothing leaks in from elsewhere"


def test_flips_are_half_of_the_pictures():
    photo = torch.zeros(3, 16, 16, dtype=torch.uint8)
    photo[:, :, :8] = 255
    L, _ = next(PhotoBatches([photo], size=16, batch_size=400, zoom=1.0))
    mirrored = (L[:, 0, 0, 0] < 0).float().mean()
    assert 0.4 < mirrored < 0.6
    L, _ = next(PhotoBatches([photo], size=16, batch_size=50, zoom=1.0, flip=False))
    assert (L[:, 0, 0, 0] > 0).all()


def test_every_photograph_once_a_pass_in_new_order():
    flat = [torch.full((3, 8, 8), 10 * number, dtype=torch.uint8) for number in range(10)]
    batches = PhotoBatches(flat, size=8, batch_size=4)
    values = torch.cat([next(batches)[0][:, 0, 0, 0] for _ in range(10)]).reshape(4, 10)
    assert all(len(set(row.tolist())) == 10 for row in values)
    assert not torch.equal(values[0], values[1])


def test_seed_repeats_and_resume_continues():
    photographs = coloured()
    first = PhotoBatches(photographs, 24, 5, seed=3)
    expected = [next(first) for _ in range(6)]
    again = PhotoBatches(photographs, 24, 5, seed=3)
    for L, ab in expected[:3]:
        assert all(map(torch.equal, next(again), (L, ab)))
    state = pickle.loads(pickle.dumps(again.state_dict()))
    resumed = PhotoBatches(photographs, 24, 5, seed=99)
    resumed.load_state_dict(state)
    for pair in expected[3:]:
        assert all(map(torch.equal, next(resumed), pair))
    other = next(PhotoBatches(photographs, 24, 5, seed=4))
    assert not torch.equal(other[0], expected[0][0])
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    assert all(map(torch.equal, next(PhotoBatches(photographs, 24, 5, seed=3)), expected[0]))


@pytest.mark.parametrize(("argument", "value"), [("size", 0), ("batch_size", 0), ("seed", -1), ("zoom", 0.9)])
def test_wrong_arguments(argument, value):
    arguments = {"size": 8, "batch_size": 2, "seed": 0, "zoom": 1.0, argument: value}
    with pytest.raises(ValueError, match=f"{argument} is {value}"):
        PhotoBatches(coloured(), **arguments)
    with pytest.raises(ValueError, match="0 photographs"):
        PhotoBatches([], 8, 2)


@pytest.fixture
def folder(tmp_path):
    for number, photo in enumerate(coloured(9, seed=5)):
        save(tmp_path / f"{number}.png", hwc(photo))
    return tmp_path


@pytest.mark.parametrize("num_workers", [0, 2])
def test_streamed_batches_are_the_same_batches(folder, num_workers):
    paths = scan(folder)
    inside = PhotoBatches([read_photo(path).rgb for path in paths], 24, 4, seed=2)
    streamed = StreamedBatches(paths, 24, 4, seed=2, num_workers=num_workers)
    expected = [next(inside) for _ in range(7)]
    for pair in expected[:5]:
        assert all(map(torch.equal, next(streamed), pair))
    resumed = StreamedBatches(paths, 24, 4, num_workers=num_workers)
    resumed.load_state_dict(streamed.state_dict())
    for pair in expected[5:]:
        assert all(map(torch.equal, next(resumed), pair))
    streamed.close()
    del streamed, resumed
    assert not multiprocessing.active_children()


def test_streaming_skips_bad_and_grey_files(folder):
    (folder / "0.png").write_bytes(b"nonsense")
    save(folder / "1.png", Image.new("L", (40, 40), 99))
    streamed = StreamedBatches(scan(folder), 16, 9, num_workers=0)
    for _ in range(3):
        L, _ = next(streamed)
        assert L.shape == (9, 1, 16, 16)
    assert [path.name for path in streamed.errors] == ["0.png"] and streamed.num_grey == 1
    for path in scan(folder):
        path.write_bytes(b"nonsense")
    with pytest.raises(PhotoError, match="choose another folder"):
        next(StreamedBatches(scan(folder), 16, 4, num_workers=0))


def test_memory_decides_between_loading_and_streaming(folder):
    paths = scan(folder)
    inside = photo_batches(paths, 16, 4)
    streamed = photo_batches(paths, 16, 4, memory=1000)
    assert isinstance(inside, PhotoBatches) and isinstance(streamed, StreamedBatches)
    streamed.num_workers = 0
    assert next(inside)[1].shape == next(streamed)[1].shape
    with pytest.raises(PhotoError):
        (folder / "bad").mkdir()
        (folder / "bad" / "x.png").write_bytes(b"nonsense")
        photo_batches(scan(folder / "bad"), 16, 4)


# ------------------------------------------------------------------------------------------------- levels


def test_sample_photographs_are_split_by_photograph():
    everything = dict(sample_photographs())
    parts = {split: {name for name, _ in sample_photographs(split)} for split in photos.SPLITS}
    assert set.union(*parts.values()) == set(everything) and sum(map(len,
                                                                     parts.values())) == len(everything) >= 9
    assert all(parts.values())
    left, right = (next(s for s in parts if name in parts[s]) for name in ("motorcycle_left",
                                                                           "motorcycle_right"))
    assert left == right, "two pictures of one scene stay together"
    assert not any(is_grey(photo) for photo in everything.values())
    import skimage
    for name in ("astronaut", "chelsea", "motorcycle_left"):
        shipped = Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png")
        assert np.array_equal(hwc(everything[name]), np.asarray(shipped))
    with pytest.raises(ValueError, match="split is 'holdout'"):
        sample_photographs("holdout")


def test_old_photographs_are_grey():
    old = old_photographs()
    assert len(old) >= 5
    assert all(photo.shape[0] == 3 and torch.equal(photo[0], photo[1]) and torch.equal(photo[0], photo[2])
               for _, photo in old)


def test_missing_sample_says_which_package(monkeypatch):
    monkeypatch.setitem(samples.SAMPLES, "astronaut", ("skimage", "data/none.png", "train"))
    with pytest.raises(PhotoError, match="pip install --force-reinstall scikit-image"):
        sample_photographs("train")


def test_samples_are_read_without_network(monkeypatch):
    import socket
    monkeypatch.setattr(socket, "socket", None)
    assert sample_photographs("test")


def test_source_chooses_and_says_so(monkeypatch, folder):
    monkeypatch.delenv("COLORLIB_PHOTOS", raising=False)
    samples = source(short_side=40)
    assert samples.name == "samples" and "no verdict" in samples.note and "6 train" in samples.note
    assert all(min(photo.shape[1:]) == 40 for photo in samples.train + samples.validation + samples.test)
    save(folder / "grey.png", Image.new("L", (40, 40), 99))
    (folder / "bad.jpg").write_bytes(b"nonsense")
    monkeypatch.setenv("COLORLIB_PHOTOS", str(folder))
    chosen = source(short_side=20)
    assert chosen.name == str(folder) and str(folder) in chosen.note
    assert "1 grey and 1 unreadable" in chosen.note
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == 9
    assert source("samples").name == "samples", "a name wins over the environment"
    names = {split: {path.name for path in paths} for split, paths in chosen.files.items()}
    assert all(split_of(name) == split for split in names for name in names[split])


@pytest.mark.parametrize("prepare", ["missing", "empty", "file"])
def test_unusable_folder_is_an_error_not_a_fallback(monkeypatch, tmp_path, prepare):
    place = tmp_path / "photos"
    if prepare == "empty":
        place.mkdir()
    elif prepare == "file":
        place.write_text("x")
    monkeypatch.setenv("COLORLIB_PHOTOS", str(place))
    with pytest.raises(PhotoError, match="COLORLIB_PHOTOS") as caught:
        source()
    assert str(place) in str(caught.value)
    monkeypatch.delenv("COLORLIB_PHOTOS")
    with pytest.raises(PhotoError, match="imagenette") as caught:
        source("imagenett")
    assert "COLORLIB_PHOTOS" not in str(caught.value)


def test_source_batches(folder, monkeypatch):
    chosen = source(str(folder), short_side=20)
    chosen.files["train"] = scan(folder)
    L, ab = next(chosen.batches("train", size=16, batch_size=4, seed=1))
    assert L.shape == (4, 1, 16, 16) and ab.shape == (4, 2, 16, 16)
    whole = PhotoBatches(chosen.train, 20, 4, seed=1, zoom=1.0)
    assert torch.equal(next(chosen.batches("train", 20, 4, seed=1, zoom=1.0))[0], next(whole)[0])
    chosen.memory = 1000
    assert chosen.streamed and "streamed" in chosen.note
    assert isinstance(chosen.batches("train", 16, 4), StreamedBatches)
    with pytest.raises(PhotoError, match="memory"):
        source_of_big = source(str(folder), short_side=20)
        source_of_big.memory = 1000
        _ = source_of_big.train
    with pytest.raises(ValueError, match="split is 'holdout'"):
        chosen.batches("holdout", 16, 4)


# ------------------------------------------------------------------------------------------- notes and bytes


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_note_goes_into_the_file_beside_what_was_there(tmp_path, suffix):
    rgb = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    exif = Image.Exif()
    exif[0x010E], exif[0x0131] = "harbour", "Scanner 3"
    like = photos.Photo(rgb, exif=exif.tobytes())
    first = write_photo(tmp_path / f"a{suffix}", rgb, like=like, note="colours: synthetic")
    assert dict(Image.open(first).getexif())[0x0131] == "Scanner 3; colours: synthetic"
    assert dict(Image.open(first).getexif())[0x010E] == "harbour"
    again = write_photo(tmp_path / f"b{suffix}", rgb, like=read_photo(first), note="colours: synthetic")
    assert dict(Image.open(again).getexif())[0x0131] == "Scanner 3; colours: synthetic"  # once is enough
    bare = write_photo(tmp_path / f"c{suffix}", rgb, note="colours: synthetic")
    assert dict(Image.open(bare).getexif())[0x0131] == "colours: synthetic"
    assert 0x0131 not in Image.open(write_photo(tmp_path / f"d{suffix}", rgb)).getexif()
    for path in (first, bare):
        if suffix in (".png", ".tif"):
            assert torch.equal(read_photo(path).rgb, rgb)


def test_a_tiff_with_a_note_alone_is_still_compressed(tmp_path):
    rgb = torch.zeros(3, 200, 200, dtype=torch.uint8)
    assert write_photo(tmp_path / "a.tif", rgb, note="n").stat().st_size < 5_000


def test_an_exif_block_that_no_jpeg_holds_gives_way_to_the_note(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    like = photos.Photo(torch.zeros(3, 8, 8, dtype=torch.uint8), exif=exif.tobytes())
    path = write_photo(tmp_path / "a.jpg", like.rgb, like=like, note="synthetic")
    assert dict(Image.open(path).getexif()) == {0x0131: "synthetic"}


def test_a_photograph_from_its_bytes(tmp_path):
    rgb = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    data = write_photo(tmp_path / "a.png", rgb).read_bytes()
    photo = photos.decode_photo(data, "upload.png")
    assert torch.equal(photo.rgb, rgb) and str(photo.path) == "upload.png" and photo.format == "PNG"
    for bad, words in ((b"", "upload.png: is empty"), (data[:60], "upload.png: is"), (b"text", "upload.png: is not")):
        with pytest.raises(PhotoError, match=words):
            photos.decode_photo(bad, "upload.png")
    with pytest.raises(PhotoError, match="60 x 40"):
        photos.decode_photo(data, "upload.png", max_pixels=2000)


def test_one_sample_photograph_by_its_name():
    everyone = dict(samples.sample_photographs())
    assert torch.equal(photos.sample_photograph("coffee").rgb, everyone["coffee"])
    assert photos.sample_photograph("coffee").path.name == "coffee.png"
    with pytest.raises(ValueError, match="'coffe'"):
        photos.sample_photograph("coffe")
