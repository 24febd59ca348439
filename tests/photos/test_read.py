"""read: every kind of file opens rightly or is refused helpfully."""

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
from pictures import hwc, picture, save
from PIL import Image, ImageCms, ImageFile, ImageOps

from colorlib import photos
from colorlib.colorizer import Colorizer
from colorlib.generators import UNet
from colorlib.photos import PhotoError, read, read_photo, read_small, write_photo

SEEDS = seeds()


def error_between(path, expected):
    return np.abs(hwc(read_photo(path).rgb).astype(int) - np.asarray(expected).astype(int)).max()


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
    with pytest.raises(PhotoError, match="cannot be read .*null byte"):
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
            data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        elif name == "a.gif":
            data[6:10] = (20_000).to_bytes(2, "little") * 2
        elif name == "a.bmp":
            data[18:26] = (20_000).to_bytes(4, "little") * 2
        else:
            save(tmp_path / name, Image.new("1", (20_000, 20_000)), compression="group4")
            data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "20000 x 20000", "400,000,000", "shrink it first")
    refused(save(tmp_path / "b.webp", picture()), "2,240 pixels", max_pixels=2_239)
    assert read_photo(tmp_path / "b.webp", max_pixels=2_240).rgb.shape == (3, 40, 56)


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


SMALL = Colorizer(UNet(base_channels=4, levels=2, dropout=0.0), render_size=16, device="cpu")


@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SEEDS)), seed=st.integers(0, 2**32))
def test_damaged_files_are_coloured_and_saved_or_refused(tmp_path, name, seed):
    way, data = damage(SEEDS[name], list(SEEDS.values()), random.Random(seed))
    path = tmp_path / f"{way}-{name}"
    path.write_bytes(data)
    try:
        photo = read_photo(path, MAX_PIXELS)
        written = photos.encode_photo(SMALL.colorize(photo), read.SUFFIXES[photos.suffix_for(photo)], like=photo, note="n")
    except PhotoError as error:
        assert error.path in (path, None)   # opened, but its size is too much for the format
    else:
        rgb = photo.rgb
        assert photos.decode_photo(written, "again").rgb.shape == rgb.shape
        assert rgb.dtype == torch.uint8 and rgb.shape[0] == 3 and 0 < rgb[0].numel() <= MAX_PIXELS


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path, stat = save(tmp_path / "a.png", picture()), os.stat
    for size in (-10, 10):   # it grew, it shrank, between the two looks at it
        monkeypatch.setattr(os, "stat", lambda name, size=size: os.stat_result(
            [*stat(name)[:6], stat(name).st_size + size, *stat(name)[7:]]))
        refused(path, "changed while it was read", "wait")


@pytest.mark.parametrize("read", [read_photo, lambda path: read_small(path, 8)])
def test_a_fault_of_ours_is_not_taken_for_damage_of_the_file(tmp_path, monkeypatch, read):
    def failing(*_):
        raise RuntimeError("INTERNAL ASSERT FAILED")

    path = save(tmp_path / "a.png", picture())
    monkeypatch.setattr(torch, "from_numpy", failing)
    with pytest.raises(RuntimeError, match="INTERNAL ASSERT"):
        read(path)


def test_links_to_themselves_devices_and_strange_names(tmp_path):
    os.symlink("loop.png", tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "cannot be read", "symbolic links")
    refused("/dev/zero", "not an ordinary file")
    for name in ("new\nline.png", "日本.png", os.fsdecode(b"\xe9.png"), "-o.png", " .png", "a" * 200 + ".png"):
        save(tmp_path / "a.png", picture())
        os.rename(tmp_path / "a.png", tmp_path / name)
        assert error_between(tmp_path / name, picture()) == 0


def test_a_pillow_image_of_any_mode_becomes_srgb():
    image = Image.fromarray(picture())
    for mode in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"):
        try:
            turned = image.convert(mode)
        except ValueError:   # Pillow goes by way of another one
            turned = image.convert("L" if mode in ("La", "I;16", "PA") else "RGBA").convert(
                {"La": "LA"}.get(mode, mode)).convert(mode)
        assert photos.to_srgb(turned).mode == "RGB" and photos.to_srgb(turned).size == image.size


def test_photo_error_crosses_processes():
    error = PhotoError("a.jpg", "is damaged", "copy it again")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.path == Path("a.jpg")


def test_small_jpegs_look_like_the_full_ones_resized(tmp_path):
    save(tmp_path / "a.jpg", picture(900, 1200), quality=98)
    small = hwc(read_small(tmp_path / "a.jpg", 60)).astype(int)
    whole = Image.fromarray(hwc(read_photo(tmp_path / "a.jpg").rgb))
    full = np.asarray(whole.resize((80, 60), Image.Resampling.BICUBIC))
    assert small.shape == (60, 80, 3) and np.abs(small - full).max() <= 3


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


def test_jpeg_is_decoded_to_pillows_own_bits(tmp_path):
    for options in ({}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}):
        values = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
        path = save(tmp_path / "a.jpg", values, **options)
        assert np.array_equal(hwc(read_photo(path).rgb), np.asarray(Image.open(path)))
        grey = save(tmp_path / "g.jpg", Image.fromarray(picture()).convert("L"), **options)
        assert np.array_equal(hwc(read_photo(grey).rgb), np.asarray(Image.open(grey).convert("RGB")))


def test_a_webp_that_announces_a_huge_canvas_is_refused(tmp_path):
    data = bytearray(SEEDS["animated.webp"])
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    (tmp_path / "a.webp").write_bytes(data)
    refused(tmp_path / "a.webp", "pixels")


def test_every_kind_that_scan_finds_has_a_reader():
    assert {name for name in read.SUFFIXES.values() if name != "HEIF"} <= set(Image.OPEN)


def test_everything_public_is_imported_from_the_package():   # bug 10
    assert photos.SYNTHETIC and photos.encode_photo and all(hasattr(photos, name) for name in photos.__all__)


def test_a_large_jpeg_read_small_keeps_its_detail(tmp_path):
    """The decoder may skip pixels while it opens the file, but never below the size that is asked for."""
    stripes = np.zeros((512, 640, 3), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = stripes[:, 3::16] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.jpg", quality=95)
    small = read_small(tmp_path / "stripes.jpg", 128)
    assert small.shape == (3, 128, 160) and small[:, :, 8:-8].float().std() > 90
