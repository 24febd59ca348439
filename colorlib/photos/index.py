"""Where many photographs are: a folder tree, a list of files, or tar shards as WebDataset writes them.

A million of them take about 40 MB: their names lie in one array, which worker processes share. WebDataset's own reader
goes through shards in order and keeps no exact position; here the place of each photograph in its shard is read once,
from the headers, so that any can be had by one seek: every order, each once a pass, resumed exactly.
"""

import copy
import os
import re
import tarfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from colorlib.photos.read import SUFFIXES, Member, PhotoError

_ENDINGS = tuple(map(os.fsencode, SUFFIXES))


class Files(Sequence):
    """Photograph files below `root`, or in tar archives there: a sequence of Path and Member, made when asked for.

    An entry is the name below `root`, and for a member of an archive also its offset, its size and its own name, with
    zero bytes between. A slice, or an array of numbers, gives Files that share the names.
    """

    def __init__(self, root: Path, entries: Iterable[bytes]) -> None:
        names, ends = bytearray(), array("q", [0])
        for entry in entries:
            names += entry
            ends.append(len(names))
        self.root, self.names, self.ends = root, bytes(names), np.array(ends)
        self.order = np.arange(len(ends) - 1, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int | slice | np.ndarray) -> "Path | Member | Files":
        if isinstance(index, (slice, np.ndarray)):
            part = copy.copy(self)
            part.order = self.order[index]
            return part
        name, *place = self.entry(index).split(b"\0")
        path = Path(self.root, os.fsdecode(name))
        return Member(path / os.fsdecode(place[2]), path, int(place[0]), int(place[1])) if place else path

    def entry(self, index: int) -> bytes:
        number = int(self.order[index])
        return self.names[self.ends[number]:self.ends[number + 1]]


def scan(folder: str | os.PathLike) -> Files:
    """The photograph files in a folder and all folders below it, sorted, unopened; hidden ones are left out.

    PhotoError: the folder is missing, no folder, unreadable, or holds no file with one of SUFFIXES.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        wrong = "is not a folder" if folder.exists() else "does not exist"
        raise PhotoError(folder, wrong, "name the folder that holds the photographs")
    return _listed(folder, _below(os.fsencode(folder)))


def photographs(where: str | os.PathLike) -> Files:
    """The photographs of a folder tree; of a .txt file with a path in each line, from the file's folder on; or of
    WebDataset's shards: one .tar, a pattern such as photos-{000000..000099}.tar, or a folder of .tar files alone.

    PhotoError: there are none, or a shard is damaged. A file that a list names is not opened yet.
    """
    where = Path(where).expanduser()
    if spread := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", where.name):
        before, first, last, after = spread.groups()
        shards = [f"{before}{number:0{len(first)}}{after}" for number in range(int(first), int(last) + 1)]
        return _listed(where.parent, _members(where.parent, shards))
    if where.suffix == ".tar":
        return _listed(where.parent, _members(where.parent, [where.name]))
    if where.suffix == ".txt" and where.is_file():
        with open(where, encoding="utf-8-sig", errors="surrogateescape") as lines:
            names = (os.fsencode(name) for line in lines if (name := line.strip("\r\n")))
            return _listed(where.parent, names)
    try:
        return scan(where)
    except PhotoError:
        shards = [str(path.relative_to(where)) for path in sorted(where.rglob("*.tar"))]
        if not shards:  # what is wrong is that there are no photographs
            raise
    return _listed(where, _members(where, shards))


def _listed(root: Path, entries: Iterable[bytes]) -> Files:
    try:
        found = Files(root, entries)
    except OSError as error:
        raise PhotoError(os.fsdecode(error.filename), f"cannot be read ({error.strerror})",
                         "check its name, its permissions and the disk") from None
    if not len(found):
        raise PhotoError(root, "holds no photographs", f"put {' '.join(SUFFIXES)} files there, or name a list or shards of them")
    return found


def _below(folder: bytes, place: bytes = b"") -> Iterator[bytes]:
    """Names below a folder, sorted as whole names are, with no more in memory than the folders on the way."""
    with os.scandir(os.path.join(folder, place)) as listing:
        inside = sorted(place + entry.name + b"/" * entry.is_dir(follow_symlinks=False)
                        for entry in listing if not entry.name.startswith(b"."))
    for name in inside:
        if name.endswith(b"/"):
            yield from _below(folder, name)
        elif name.lower().endswith(_ENDINGS) and not os.path.isdir(os.path.join(folder, name)):  # a link may lead to one
            yield name


def _members(root: Path, shards: Iterable[str]) -> Iterator[bytes]:
    """The photographs in shards; the headers of a million take half a minute."""
    for shard in shards:
        try:
            with tarfile.open(root / shard, "r:") as archive:
                for member in archive:
                    archive.members = []  # it would keep them all
                    if member.isreg() and not member.issparse() and member.name.lower().endswith(tuple(SUFFIXES)):
                        name, place = os.fsencode(member.name), (member.offset_data, member.size)
                        yield b"%s\0%d\0%d\0%s" % (os.fsencode(shard), *place, name)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise PhotoError(root / shard, f"is no whole, uncompressed tar archive ({error})",
                             "copy or download it again") from None
