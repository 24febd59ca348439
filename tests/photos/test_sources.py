"""source: folders, splits, samples, datasets by name."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from pictures import hwc, picture, save
from PIL import Image

from colorlib import photos
from colorlib.photos import (PhotoBatches, PhotoError, Source, is_grey, load_photos, old_photographs, sample_photographs, scan, scan_splits,
                             source, split_of)


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


def test_split_is_fixed_by_the_name_alone():
    names = [f"photo_{number}.jpg" for number in range(5000)]
    counts = {split: sum(split_of(name) == split for name in names) / len(names) for split in photos.SPLITS}
    assert counts["train"] == pytest.approx(0.8, abs=0.02) and counts["test"] == pytest.approx(0.1, abs=0.015)
    assert all(split_of(f"/a/b/{name}") == split_of(Path("c", name)) == split_of(name) for name in names[:50])
    # written down on the day it was made: these must never move
    assert [number for number in range(24) if split_of(names[number]) == "validation"] == [3, 11]
    assert [number for number in range(24) if split_of(names[number]) == "test"] == [12, 22, 23]


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
    monkeypatch.setitem(photos.SAMPLES, "astronaut", ("skimage", "data/none.png", "train"))
    with pytest.raises(PhotoError, match="pip install --force-reinstall scikit-image"):
        sample_photographs("train")


def test_samples_are_read_without_network(monkeypatch):
    import socket
    monkeypatch.setattr(socket, "socket", None)
    assert sample_photographs("test")


def test_source_chooses_and_says_so(monkeypatch, folder):
    monkeypatch.delenv("COLORLIB_PHOTOS", raising=False)
    samples = source(short_side=40)
    assert samples.name == "samples" and "too few" in samples.note and "6 train" in samples.note
    assert all(min(photo.shape[1:]) == 40 for photo in samples.train + samples.validation + samples.test)
    save(folder / "grey.png", Image.new("L", (40, 40), 99))
    (folder / "bad.jpg").write_bytes(b"nonsense")
    monkeypatch.setenv("COLORLIB_PHOTOS", str(folder))
    chosen = source(short_side=20)
    assert chosen.name == str(folder) and str(folder) in chosen.note
    assert "grey and unreadable ones are left out." in chosen.note
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == 9
    assert "(1 grey and 1 unreadable of train, validation, test)" in chosen.note
    assert source("samples").name == "samples", "a name wins over the environment"
    assert {split: list(paths) for split, paths in chosen.files.items()} == {
        split: list(paths) for split, paths in scan_splits(folder).items()}
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
    with monkeypatch.context() as small:
        small.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2000))
        chosen = Source("big", 20, chosen.files)
    assert chosen.streamed and "streamed" in chosen.note
    with pytest.raises(PhotoError, match="memory"):
        _ = chosen.train
    with pytest.raises(PhotoError, match="test split is empty, grey photographs left out; use a folder with more colour"):
        Source("small", 20, {"train": [], "validation": [], "test": []}).batches("test", 16, 4)
    with pytest.raises(ValueError, match="split is 'holdout'"):
        chosen.batches("holdout", 16, 4)


def test_one_sample_photograph_by_its_name():
    everyone = dict(photos.sample_photographs())
    assert torch.equal(photos.sample_photograph("coffee").rgb, everyone["coffee"])
    assert photos.sample_photograph("coffee").path.name == "coffee.png"
    with pytest.raises(ValueError, match="'coffe'"):
        photos.sample_photograph("coffe")


# -------------------------------------------------------------------------------- faults that were there before


def test_the_variable_may_hold_a_name_as_well_as_a_folder(monkeypatch, folder):   # bug 1
    monkeypatch.setattr("colorlib.photos.sources.download", lambda name: folder)
    for value in ("samples", "imagenette"):
        monkeypatch.setenv("COLORLIB_PHOTOS", value)
        assert source(short_side=20).name == value and source("imagenette").name == "imagenette"


def test_streaming_is_decided_once(monkeypatch, folder):   # bug 4: what train took decided about validation
    whole = 4.5 * 20**2 * 9
    free = iter([2.2 * whole, 1.4 * whole])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(next(free))))
    chosen = source(str(folder), short_side=20)
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == 9


def test_streamed_and_loaded_batches_are_the_same(folder):   # bug 7
    files = {split: scan(folder) for split in photos.SPLITS}
    loaded, streamed = Source("a", 30, files), Source("b", 30, files)
    streamed.streamed = True
    for split in ("train", "validation"):
        for _, one, other in zip(range(3), loaded.batches(split, 16, 4, seed=2), streamed.batches(split, 16, 4, seed=2)):
            assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_the_crop_margin_is_one_number(folder):   # bug 7: 64 was cut from 80 here and from 81 there
    assert [photos.crop_side(size) for size in (64, 96, 33)] == [80, 120, 42]
    L, _ = next(photos.PhotoBatches([torch.zeros(3, 80, 80, dtype=torch.uint8)], 64, 1))
    assert L.shape[-1] == 64 and photos.PhotoBatches([torch.zeros(3, 9, 9, dtype=torch.uint8)], 64, 1).side == 80


def test_a_note_and_training_batches_leave_the_other_splits_on_disk(monkeypatch, folder):   # bug 15
    read = []
    monkeypatch.setattr("colorlib.photos.sources.read_small",
                        lambda path, side: read.append(path) or photos.read_small(path, side))
    chosen = source(str(folder), short_side=20)
    assert f"{len(chosen.files['train'])} train, " in chosen.note and not read
    next(chosen.batches("train", 16, 4))
    assert "0 grey and 0 unreadable of train)" in chosen.note and sorted(read) == list(chosen.files["train"])
