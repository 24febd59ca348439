"""write: the whole file or nothing, with what described the photograph."""

import os

import numpy as np
import pytest
import torch
from fuzz_photos import seeds
from pictures import hwc, picture, save
from PIL import Image

from colorlib import photos
from colorlib.photos import Photo, PhotoError, read, read_photo, write_photo


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

    def full(_):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_history_comes_back_and_the_latest_counts(tmp_path, suffix):
    rgb = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    exif = Image.Exif()
    exif[0x010E] = "harbour"
    assert photos.Photo(rgb).history == photos.Photo(rgb, exif=exif.tobytes()).history == ""
    for name, like in (("a", None), ("b", photos.Photo(rgb, exif=exif.tobytes(), xmp=XMP))):
        first = read_photo(write_photo(tmp_path / (name + suffix), rgb, like=like, note="n", history='{"a": [1]}'))
        assert first.history == '{"a": [1]}' and (like is None or b"harbour" in first.exif and first.xmp == XMP)
        again = write_photo(tmp_path / f"{name}2{suffix}", rgb, like=first, note="n", history="second")
        assert read_photo(again).history == "second"
    assert read_photo(write_photo(tmp_path / "c.bmp", rgb, history="none")).history == ""


def test_a_tiff_with_a_note_alone_is_still_compressed(tmp_path):
    rgb = torch.zeros(3, 200, 200, dtype=torch.uint8)
    assert write_photo(tmp_path / "a.tif", rgb, note="n", history="h").stat().st_size < 5_000


def test_an_exif_block_that_no_jpeg_holds_gives_way_to_the_note(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    like = photos.Photo(torch.zeros(3, 8, 8, dtype=torch.uint8), exif=exif.tobytes())
    path = write_photo(tmp_path / "a.jpg", like.rgb, like=like, note="synthetic")
    assert dict(Image.open(path).getexif()) == {0x0131: "synthetic"}
    path = write_photo(tmp_path / "b.jpg", like.rgb, like=like, note="synthetic", history="h")
    assert dict(Image.open(path).getexif()) == {0x0131: "synthetic", 0x9213: "h"}
    path = write_photo(tmp_path / "c.jpg", like.rgb, note="synthetic", history="h" * 70_000)
    assert dict(Image.open(path).getexif()) == {0x0131: "synthetic"}


XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">A harbour</x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x07harbour"   # record 2, data set 120: the caption


@pytest.mark.parametrize("exif", [False, True])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
def test_xmp_and_iptc_are_kept_where_the_format_holds_them(tmp_path, suffix, exif):
    block = Image.Exif()
    block[0x010F] = "maker"
    like = Photo(torch.zeros(3, 8, 8, dtype=torch.uint8), exif=block.tobytes() if exif else None, xmp=XMP, iptc=IPTC)
    again = read_photo(write_photo(tmp_path / f"a.{suffix}", like.rgb, like=like, note="synthetic"))
    assert again.xmp == (None if suffix == "bmp" else XMP)
    assert again.iptc == (IPTC if suffix in ("jpg", "tif") else None)
    if exif and suffix != "bmp":
        assert b"maker" in again.exif and b"synthetic" in again.exif
    huge = Photo(like.rgb, xmp=b"<a>" + b" " * 70_000 + b"</a>", iptc=IPTC * 9000)
    assert read_photo(write_photo(tmp_path / f"b.{suffix}", huge.rgb, like=huge)).rgb.shape == (3, 8, 8)


def test_every_kind_of_file_is_read_and_written_back():
    for name, data in seeds().items():
        photo = photos.decode_photo(data, name)
        again = photos.decode_photo(
            photos.encode_photo(photo.rgb, read.SUFFIXES[photos.suffix_for(photo)], like=photo, note="note"), name)
        assert again.rgb.shape == photo.rgb.shape, name
        assert photo.format == "BMP" or b"note" in again.exif and (photo.exif is None or again.exif), name


def test_the_orientation_in_xmp_is_applied_once(tmp_path):
    turned = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    rgb = torch.from_numpy(picture(40, 56)).permute(2, 0, 1)
    first = read_photo(write_photo(tmp_path / "a.jpg", rgb, like=Photo(rgb, xmp=turned)))
    assert first.rgb.shape == (3, 56, 40) and b"Orientation" not in first.xmp
    assert read_photo(write_photo(tmp_path / "b.jpg", first.rgb, like=first)).rgb.shape == (3, 56, 40)


@pytest.mark.parametrize("name", ["CON.png", "nul.jpg", "Aux.webp", "com1.png"])
def test_windows_keeps_some_names_for_devices(tmp_path, monkeypatch, name):
    rgb = torch.zeros(3, 8, 8, dtype=torch.uint8)
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(PhotoError, match="a name that Windows keeps"):
        write_photo(tmp_path / name, rgb)
    monkeypatch.undo()
    assert write_photo(tmp_path / name, rgb).exists()


def test_a_file_gets_the_permissions_of_any_other_and_the_umask_is_never_touched(tmp_path, monkeypatch):   # bug 16
    (tmp_path / "other").touch()
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("threads that make files meanwhile get wrong permissions"))
    path = write_photo(tmp_path / "a.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
