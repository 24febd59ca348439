"""What Pillow reads wrongly or not at all: right, or refused, by kinds."""

import io
import struct
import zlib

import numpy as np
import photo_variants
import pytest
import tifffile
from fuzz_photos import seeds
from pictures import hwc, picture
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from colorlib.photos import PhotoError, decode_photo, unusual

SEEDS = seeds()
RAMP = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
SRGB_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(data):
    return hwc(decode_photo(data, "file").rgb).astype(int)


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def png(values, bits=8, **chunks):
    """A PNG of grey or RGB samples with chunks before them, in the order given."""
    colour = 0 if values.ndim == 2 else 2
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    rows = zlib.compress(photo_variants.png_rows(values, bits))
    parts = {"IHDR": head, **chunks, "IDAT": rows, "IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(photo_variants.chunk(name.encode(), data) for name, data in parts.items())


def hundred_thousandths(*values):
    return b"".join(struct.pack(">I", round(value * 100_000)) for value in values)


# --------------------------------------------------------------------------------------------- 300 generated variants


def test_samples_of_every_kind_are_right_or_refused():
    result = photo_variants.measure(300, seed=0)
    assert result["wrong"] == []
    usual = result["usual_outcomes"]
    assert result["outcomes"]["right"] > 150 and usual["right"] > 10 * usual["refused"]


def test_the_written_variants_are_what_tifffile_reads():
    """The files of the variants against an independent reader, where it needs no codec of its own."""
    compared = 0
    for what, data, _ in photo_variants.variants(150, seed=0):
        plain = what["format"] == "TIFF" and what["bits"] in (8, 16, 32) and what["predictor"] == 1
        if plain and what["compression"] in (1, 8, 32946):
            found = tifffile.TiffFile(io.BytesIO(data)).pages.first.asarray()
            found = np.moveaxis(found, 0, 2) if what["planes"] == 2 else found
            assert np.array_equal(found.reshape(what["stored"].shape), what["stored"])
            compared += 1
    assert compared > 20


# ------------------------------------------------------------------------------- the minimal inputs that were wrong once


@pytest.mark.parametrize("data", [
    tiff(RAMP, photometric="palette", colormap=np.tile(np.arange(256, dtype=np.uint16), (3, 1))),
    tiff((1 - RAMP / 255).astype("f4"), photometric="miniswhite"),
    tiff(RAMP.astype("u4") * 16843009, photometric="minisblack"),
    tiff(np.stack([RAMP.astype("u2") * 257] * 3), photometric="rgb", planarconfig="separate"),
    tiff((np.stack([RAMP] * 3, -1) / 255).astype("f2"), photometric="rgb", compression="zlib"),
    photo_variants.tiff(np.tile(np.linspace(0, 4095, 23).astype("u2"), (19, 1))[..., None], 12, 1)])
def test_the_range_of_samples_is_taken_from_the_file(data):
    shown = read(data)[0, :, 0]
    assert abs(shown - np.linspace(0, 255, len(shown))).max() <= 1.1


@pytest.mark.parametrize("values", [(RAMP.astype("i4") * 257 - 32768).astype("i2"), (RAMP.astype("i2") - 128).astype("i1"),
                                    RAMP.astype("i4")])
def test_samples_whose_black_is_not_defined_are_refused(values):
    with pytest.raises(PhotoError, match="only unsigned and float samples"):
        decode_photo(tiff(values, photometric="minisblack"), "file")


def test_one_transparent_grey_of_a_png():
    """Pillow scales the samples of 2 and 4 bits, and not the transparent one; of 16 bits it forgets it."""
    for bits, key in ((1, 1), (2, 2), (4, 9), (8, 77)):
        top, rows = 2**bits - 1, (np.arange(16 * 8).reshape(16, 8) * 7 % 2**bits).astype(np.uint8)
        data = png(rows, bits, tRNS=struct.pack(">H", key))
        assert np.array_equal(read(data)[..., 0], np.where(rows == key, 255, np.round(rows * (255 / top))))
    with pytest.raises(PhotoError, match="one colour is transparent"):
        decode_photo(png(RAMP.astype(np.uint16) * 257, 16, tRNS=struct.pack(">H", 2570)), "file")


# ------------------------------------------------------------------------------------------------------- colour spaces


def named_srgb(gamma):
    """A profile that calls itself sRGB and has another curve."""
    profile = unusual.png_profile({"gamma": gamma})
    assert "sRGB" in ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description
    return profile


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.6])
def test_a_profile_counts_by_its_curve_and_not_by_its_name(gamma):
    values, light = picture(), (picture() / 255) ** (1 / gamma)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    for data in (png(values, iCCP=b"sRGB\0\0" + zlib.compress(named_srgb(gamma))),
                 png(values, gAMA=hundred_thousandths(gamma))):
        assert abs(read(data) - expected).max() <= 1.5
    for sure in ({"sRGB": b"\0"}, {"iCCP": b"x\0\0" + zlib.compress(SRGB_ICC)}):   # these say more than gAMA
        assert abs(read(png(values, gAMA=hundred_thousandths(gamma), **sure)) - values).max() == 0


def test_the_primaries_of_a_png_without_a_profile():
    adobe = 0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06
    to_srgb = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])   # of linear RGB: Adobe RGB (1998), D65
    values = picture()
    light = ((values / 255) ** 2.19921875 @ to_srgb.T).clip(0, 1)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    data = png(values, gAMA=hundred_thousandths(1 / 2.19921875), cHRM=hundred_thousandths(*adobe))
    off = abs(read(data) - expected)
    assert off.max() <= 1.5 and off.mean() < 0.5
    broken = png(values, gAMA=hundred_thousandths(1), cHRM=hundred_thousandths(*[0] * 8))
    assert np.array_equal(read(broken), values)


# -------------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_cut_file_is_an_error_or_lacks_no_pixel(name):
    data = SEEDS[name]
    whole, refused = read(data), 0
    for percent in (10, 30, 60, 90, 97):
        try:
            assert np.array_equal(read(data[:len(data) * percent // 100]), whole), "the first page or frame is complete"
        except PhotoError:
            refused += 1
    assert refused == 5 or name in ("two.jpg", "animated.png", "animated.gif", "grey16.png", "one_bit.png") and refused


def test_a_grid_heic_cut_in_its_tiles_is_truncated():
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(picture(300, 400))).save(buffer, quality=90, tile_size=64)
    data = buffer.getvalue()
    assert b"grid" in data and read(data).shape == (300, 400, 3)
    for percent in (30, 60, 90, 99):
        cut = data[:len(data) * percent // 100]
        assert heif.open_heif(io.BytesIO(cut)).to_pillow().size == (400, 300)   # which the library opens
        with pytest.raises(PhotoError, match="is truncated"):
            decode_photo(cut, "file")


# ------------------------------------------------------------------------------------------------------ hostile input


def with_tag(data, tag, value):
    """A little-endian TIFF with another number in a tag."""
    at = ImageFileDirectory_v2(data[:8]).next
    for entry in range(at + 2, at + 2 + 12 * int.from_bytes(data[at:at + 2], "little"), 12):
        if int.from_bytes(data[entry:entry + 2], "little") == tag:
            return data[:entry + 2] + struct.pack("<HII", 4, 1, value) + data[entry + 12:]
    raise ValueError(tag)


def test_a_rare_tiff_that_unpacks_to_more_than_it_has_is_refused():
    page = np.zeros((64, 64, 3), "u4")
    good = tiff(page, photometric="rgb", compression="zlib", metadata=None)
    assert read(good).shape == (64, 64, 3)
    bomb = zlib.compress(bytes(1 << 26), 9)   # 64 MB from 65 kB
    data = with_tag(with_tag(good, 273, len(good)), 279, len(bomb)) + bomb
    with pytest.raises(PhotoError, match="unpacks to more samples"):
        decode_photo(data, "file")
    with pytest.raises(PhotoError, match="above 1,000"):
        decode_photo(good, "file", max_pixels=1000)
    with pytest.raises(PhotoError, match="above 120,000,000"):
        decode_photo(with_tag(good, 257, 10_000_000), "file")
    with pytest.raises(PhotoError, match="truncated"):
        decode_photo(with_tag(good, 279, 20), "file")


@pytest.mark.parametrize("name", ["rgb.jp2", "rgb.ppm", "rgb.avif", "grid.heic"])
def test_the_size_in_the_header_is_checked_first(name):
    if name not in SEEDS:
        pytest.skip("pillow-heif is not installed")
    data = SEEDS[name]
    with pytest.raises(PhotoError, match="above 4,000"):
        decode_photo(data, "file", max_pixels=4000)
    side = (60_000).to_bytes(4, "big")
    if name == "rgb.ppm":
        data = data.replace(b"83 61", b"60000 60000", 1)
    elif name == "rgb.jp2":   # in the boxes and in the code stream
        data = data.replace((61).to_bytes(4, "big") + (83).to_bytes(4, "big"), side * 2)
        data = data.replace((83).to_bytes(4, "big") + (61).to_bytes(4, "big"), side * 2)
    else:
        data = data.replace(b"ispe\0\0\0\0" + (83).to_bytes(4, "big") + (61).to_bytes(4, "big"), b"ispe\0\0\0\0" + side * 2)
    assert data != SEEDS[name]
    with pytest.raises(PhotoError):
        decode_photo(data, "file")


# -------------------------------------------------------------------------------------------------- what is left behind


def lost(name):
    return decode_photo(SEEDS[name], "file").lost


def test_what_a_photograph_leaves_behind_is_named():
    pages = ("other pages or frames than the first",)
    assert {lost(name) for name in ("animated.png", "animated.webp", "animated.gif", "two.jpg")} == {pages}
    several = tiff(np.stack([picture()] * 3), photometric="rgb")
    assert decode_photo(several, "file").lost == pages
    deep = "more than 8 bits",
    assert {lost(name) for name in ("grey16.png", "grey16.tif", "float.tif", "planes16.tif", "half.tif", "grey16.pgm")} == {deep}
    clear = "transparency (now white)",
    assert {lost(name) for name in ("rgba.png", "la.png", "lossless.webp", "deflate.tif", "rgba.avif")} == {clear}
    assert {lost(name) for name in ("baseline.jpg", "rgb.png", "raw.tif", "rgb.bmp", "rgb.jp2", "big.tif")} == {()}
