"""Where photographs are: folders, lists and shards give the same files; a million names take little memory."""

import io
import os
import pickle
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import coloured

from colorlib.photos import (
    Files, PhotoBatches, PhotoError, encode_photo, photographs, read_small, scan, scan_splits, split_of,
)
from colorlib.photos.read import Member


def names(files):
    return [os.path.relpath(path, files.root) for path in files]


@pytest.fixture
def tree(tmp_path):
    """Nine photographs in a tree, whose order as whole names is not that of the folders' own lists."""
    root = tmp_path / "tree"
    for number, photo in enumerate(coloured()[:6]):
        path = root / ("a/b/x.png", "a.png", "a-b/y.png", "a/ü 1.png", "z.png", "a/b.c/w.png")[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_photo(photo, "PNG"))
    return root


def shards(root, folder, each=4):
    """The photographs below root in tar shards, with the text that WebDataset keeps beside each picture."""
    folder.mkdir()
    for first in range(0, len(scan(root)), each):
        with tarfile.open(folder / f"photos-{first // each:03}.tar", "w") as archive:
            for path in scan(root)[first:first + each]:
                archive.add(path, path.relative_to(root).as_posix())
                note = tarfile.TarInfo(path.relative_to(root).with_suffix(".txt").as_posix())
                note.size = 4
                archive.addfile(note, io.BytesIO(b"note"))
    return folder


def test_files_are_sorted_as_whole_names(tree):
    (tree / ".hidden").mkdir()
    (tree / ".hidden" / "no.png").write_bytes(b"")
    (tree / "a" / "notes.txt").write_text("no photograph")
    (tree / "folder.png").mkdir()
    assert names(scan(tree)) == sorted(names(scan(tree))) == ["a-b/y.png", "a.png", "a/b.c/w.png", "a/b/x.png",
                                                              "a/ü 1.png", "z.png"]
    assert list(scan(tree)) == sorted(scan(tree), key=lambda path: path.relative_to(tree).as_posix())


def test_a_list_a_pattern_and_a_folder_of_shards_give_the_same_photographs(tree, tmp_path):
    place = shards(tree, tmp_path / "shards")
    absolute = "\n".join(str(path) for path in scan(tree))
    (tmp_path / "list.txt").write_text(f"\ufeff{absolute}\n\n", encoding="utf-8")
    relative = tree / "list.txt"
    relative.write_text("\n".join(names(scan(tree))), encoding="utf-8")
    expected = [read_small(path, 20) for path in scan(tree)]
    for where in (place, place / "photos-{000..001}.tar", tmp_path / "list.txt", relative):
        files = photographs(where)
        assert [Path(path).name for path in files] == [path.name for path in scan(tree)]
        assert all(torch.equal(read_small(path, 20), photo) for path, photo in zip(files, expected)), where
    assert len(photographs(place / "photos-001.tar")) == 2
    for split, files in scan_splits(place).items():
        assert [Path(path).name for path in files] == [path.name for path in scan(tree) if split_of(path) == split]


def test_batches_of_shards_are_those_of_the_files_and_resume(tree, tmp_path):
    files, members = scan(tree), photographs(shards(tree, tmp_path / "shards"))
    one = PhotoBatches(files, 16, 4, seed=2, num_workers=0)
    other = PhotoBatches(members, 16, 4, seed=2, num_workers=2)
    for _ in range(3):
        assert all(map(torch.equal, next(one), next(other)))
    resumed = PhotoBatches(members, 16, 4, num_workers=0)
    resumed.load_state_dict(other.state_dict())
    assert all(map(torch.equal, next(one), next(resumed)))
    other.close()


def test_processes_share_every_batch_and_each_photograph_comes_once_a_pass():
    flat = [torch.full((3, 8, 8), 8 * number, dtype=torch.uint8) for number in range(24)]
    whole = PhotoBatches(flat, 8, 6, seed=4)
    shares = [PhotoBatches(flat, 8, 6, seed=4, share=(number, 3)) for number in range(3)]
    seen = []
    for _ in range(4):  # a pass
        L, ab = next(whole)
        parts = [next(one) for one in shares]
        for number, (L_part, ab_part) in enumerate(parts):
            assert torch.equal(L_part, L[number::3]) and torch.equal(ab_part, ab[number::3])
        seen += [round(value.item(), 4) for L_part, _ in parts for value in L_part[:, 0, 0, 0]]
    assert len(set(seen)) == len(seen) == 24
    with pytest.raises(ValueError, match="batch_size is 6, which 4 processes cannot share"):
        PhotoBatches(flat, 8, 6, share=(0, 4))


def test_bad_members_are_named_and_bad_shards_refused(tree, tmp_path):
    place = shards(tree, tmp_path / "shards", each=6)
    with tarfile.open(place / "photos-000.tar", "a") as archive:
        info = tarfile.TarInfo("bad.jpg")
        info.size = 8
        archive.addfile(info, io.BytesIO(b"nonsense"))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    files = photographs(place)
    assert len(files) == 7
    streamed = PhotoBatches(files, 16, 7, num_workers=0)
    next(streamed)
    named = [str(error).split(":")[0] for error in streamed.errors.values()]
    assert named == [str(place / "photos-000.tar" / "bad.jpg")]
    assert isinstance(pickle.loads(pickle.dumps(files[0])), Member)
    (place / "photos-000.tar").write_bytes((place / "photos-000.tar").read_bytes()[:3000])
    with pytest.raises(PhotoError, match=r"photos-000.tar: is no whole, uncompressed tar archive"):
        photographs(place)
    for wrong, words in ((tmp_path / "no.tar", "cannot be read"), (tmp_path / "none", "does not exist"),
                         (place / "photos-{000..002}.tar", "photos-000.tar")):
        with pytest.raises(PhotoError, match=words):
            photographs(wrong)


def test_a_list_may_name_files_that_are_gone(tree):
    (tree / "list.txt").write_text("a.png\ngone.png\n")
    streamed = PhotoBatches(photographs(tree / "list.txt"), 16, 4, num_workers=0)
    next(streamed)
    assert [error.wrong for error in streamed.errors.values()] == ["does not exist"]
    (tree / "list.txt").write_text("a.png\nz.png\na.png\na.png\n")  # as often as it is named
    assert names(photographs(tree / "list.txt")) == ["a.png", "z.png", "a.png", "a.png"]


def test_a_hundred_thousand_names_take_little_memory():
    tracemalloc.start()
    files = Files(Path("/photographs"), (b"%03d/%09d.jpg" % (number % 1000, number) for number in range(100_000)))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 40 * 100_000 and peak < 80 * 100_000
    half = files[::2]
    assert half.names is files.names and len(half) == 50_000 and half[1] == Path("/photographs/002/000000002.jpg")
    assert files[np.array([5, 5, 1])][1] == files[5]
