"""Fetch one file and unpack one archive, safely, with the standard library.

`fetch` states the size first, continues what was broken off, and verifies before the file gets its name.
`unpack` takes ordinary files into one new folder, or nothing.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from colorlib.photos.read import PhotoError

CHUNK = 1 << 20
TRIES = 4


def fetch(url: str, path: Path, size: int | None = None, md5: str | None = None,
          md5_first_mib: str | None = None,
          title: str = "", say: Callable[[str], None] = print, timeout: float = 30.0) -> Path:
    """Download one file: its size stated first, continued where an earlier attempt stopped, verified, then
    put in place.

    An unfinished download stays beside the target as `<name>.part`. A server that cannot continue one sends
    all of it again; a continued one that fails its checksum is discarded and downloaded once more from the
    start.

    Args:
        url: http or https.
        path: the finished file.
        size: bytes required, or None for what the server announces.
        md5: required of the whole file, or None.
        md5_first_mib: required of the first MiB, or None.
        title: for the line that states the size.
        say: gets that line.
        timeout: seconds without a byte before a connection counts as broken.

    Returns:
        `path`.

    Raises:
        PhotoError: if the server cannot be reached or breaks off `TRIES` times, the size or checksum is
        wrong, or the disk
            is full. The message says whether a later call continues.
    """
    if not url.startswith(("http://", "https://")):
        raise PhotoError(None, f"the address {url} is not http or https", "name a web address")
    path = Path(path)
    part = path.with_name(path.name + ".part")
    if path.is_file() and _fault(path, size, md5, md5_first_mib) is None:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        continued = part.exists()
        _complete(url, part, size, title or path.name, say, timeout)
        fault = _fault(part, size, md5, md5_first_mib)
        if fault is not None and continued:   # perhaps the file on the server changed in between
            part.unlink()
            _complete(url, part, size, title or path.name, say, timeout)
            fault = _fault(part, size, md5, md5_first_mib)
        if fault is not None:
            part.unlink()
            raise PhotoError(path, f"the download from {url} {fault}", "try again later; nothing was kept")
        os.replace(part, path)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise PhotoError(path, f"cannot be written ({error.strerror})",
                         "choose a folder that you may write to") from None
    return path


def _complete(url: str, part: Path, size: int | None, title: str, say: Callable[[str], None],
              timeout: float) -> None:
    stated = False
    for attempt in range(TRIES):
        have = part.stat().st_size if part.exists() else 0
        if size is not None and have > size:
            part.unlink()
            have = 0
        if size is not None and have == size:
            return
        try:
            with _open(url, have, timeout) as answer:
                resumed = answer.status == 206 and _starts_at(answer, have)
                have = have if resumed else 0
                total = _total(answer, have)
                if size is not None and total is not None and total != size:
                    part.unlink(missing_ok=True)
                    raise PhotoError(part, f"{url} has {total:,} bytes, {size:,} are required",
                                     "the file on the server has changed; look for a newer colorlib")
                total = size if size is not None else total
                if not stated:
                    stated = True
                    amount = "size unknown" if total is None else f"{total / 1e6:,.0f} MB"
                    say(f"{title}: {amount} to download from {url}"
                        + (f", {have / 1e6:,.0f} MB of it are here already" if have else ""))
                _check_disk(part, total, have)
                _append(answer, part, have, total, title)
            if total is None or part.stat().st_size == total:
                return
            wrong = f"broke off at {part.stat().st_size:,} of {total:,} bytes"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and have:   # nothing lies beyond: complete, or of another file
                if size is None and error.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return
                part.unlink(missing_ok=True)
                wrong = "could not be continued"
            elif error.code < 500:
                raise PhotoError(part.with_suffix(""), f"the server refuses {url} ({error.code})",
                                 "check the address in a browser") from None
            else:
                wrong = f"failed ({error.code} {error.reason})"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            wrong = f"failed ({getattr(error, 'reason', None) or error or type(error).__name__})"
    raise PhotoError(part.with_suffix(""), f"the download from {url} {wrong}, {TRIES} times",
                     "check the network and call again: it continues where it stopped")


def _open(url: str, have: int, timeout: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "colorlib", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)


def _starts_at(answer: http.client.HTTPResponse, have: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _total(answer: http.client.HTTPResponse, have: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _check_disk(part: Path, total: int | None, have: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and free < 2.2 * total - have:   # the archive, and what is unpacked from it
        required = (2.2 * total - have) / 1e9
        raise PhotoError(part.parent, f"{free / 1e9:.1f} GB are free, {required:.1f} are required",
                         "free some space, or put data/downloads on another disk")


def _append(answer: http.client.HTTPResponse, part: Path, have: int, total: int | None, title: str) -> None:
    with open(part, "ab" if have else "wb") as file, tqdm(total=total, initial=have, unit="B",
                                                          unit_scale=True,
                                                         desc=title) as bar:
        while chunk := answer.read(CHUNK):
            if total is not None and file.tell() + len(chunk) > total:
                raise http.client.HTTPException("the server sends more than it announced")
            file.write(chunk)
            bar.update(len(chunk))


def _fault(path: Path, size: int | None, md5: str | None, md5_first_mib: str | None) -> str | None:
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size:,} bytes, {size:,} are required"
    first, whole = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        chunk = file.read(1 << 20)
        first.update(chunk)
        while chunk and (md5 is not None):
            whole.update(chunk)
            chunk = file.read(1 << 20)
    for required, found in ((md5, whole), (md5_first_mib, first)):
        if required is not None and found.hexdigest() != required:
            return f"has the checksum {found.hexdigest()}, {required} is required"
    return None


# ------------------------------------------------------------------------------------------------ unpacking


def unpack(archive: Path, folder: Path, max_bytes: int | None = None, max_files: int = 3_000_000) -> None:
    """Unpack a tar archive (plain, gzip, bzip2, xz) into a new folder, and nowhere else.

    Only ordinary files and folders are taken. A name that leads out of the folder, a link or a device refuses
    the archive as a whole. Files appear under `folder` all at once, after the last checksum was right.

    Args:
        archive: the tar file.
        folder: to be made; must not exist.
        max_bytes: refuse archives that unpack to more; None is 20 times the archive, at least 100 MB, and
            never more than the free space.
        max_files: refuse archives of more entries.

    Raises:
        PhotoError: if the archive is damaged, or refused, or the folder exists or cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise PhotoError(folder, "exists", "delete it to unpack again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if max_bytes is None:
        max_bytes = max(20 * archive.stat().st_size, 100_000_000)
    max_bytes = min(max_bytes, shutil.disk_usage(folder.parent).free)
    unfinished = Path(tempfile.mkdtemp(prefix=folder.name + ".unpacking-", dir=folder.parent))
    try:
        with tarfile.open(archive, "r:*") as tar:
            num_bytes = num_files = 0
            for member in tar:
                target = unfinished / _safe_name(archive, member)
                num_bytes, num_files = num_bytes + max(0, member.size), num_files + 1
                if num_bytes > max_bytes or num_files > max_files:
                    raise PhotoError(archive, f"unpacks to over {max_bytes:,} bytes or {max_files:,} files",
                                     "free some space; if there is enough, do not trust this archive")
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(target, "xb") as file:   # x: no name twice
                    shutil.copyfileobj(source, file, CHUNK)
            while tar.fileobj.read(CHUNK):   # to the end of the compressed stream, where its checksum stands
                pass
        os.chmod(unfinished, 0o755)
        os.replace(unfinished, folder)
    except PhotoError:
        raise
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise PhotoError(archive, f"cannot be unpacked ({error or type(error).__name__})",
                         "it is damaged or the disk is full: download it again") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _safe_name(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise PhotoError(archive, f"holds {member.name!r}, which is a link or a device",
                         "do not trust this archive")
    if (name.is_absolute() or ".." in name.parts or "\0" in member.name
            or "\\" in member.name or ":" in member.name):   # the last two lead away on Windows
        raise PhotoError(archive, f"holds {member.name!r}, which leads out of its folder",
                         "do not trust this archive")
    return name
