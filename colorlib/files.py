"""Files that are written whole or not at all, and a folder that one process at a time writes."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes, keep: Path | None = None) -> None:
    """Write a temporary file beside `path` and rename it: an interruption leaves the old file. Makes folders.

    keep: where the old file goes, once the new one is whole on the disk; None replaces it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave the new name with nothing behind it
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, record: dict) -> None:
    """Write a result file, whole or not at all."""
    write_atomically(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))


def fingerprint(files: Iterable[Path], folder: Path) -> str:
    """A short hash of the names below `folder`, the sizes and the order of files; it opens none of them."""
    digest, above = hashlib.sha256(), str(folder)
    for path in files:
        name = str(path).removeprefix(above)  # a tenth of the time of `relative_to`: there may be millions
        try:
            size = getattr(path, "size", None) or os.stat(path).st_size  # a photograph in an archive knows its own
        except OSError:
            size = None  # a name in a list that leads nowhere: found when it is read
        digest.update(f"{name} {size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder`/lock; a ValueError where another process of this machine that still runs holds it.

    The file has the process id and its start time, so that the lock of a killed process does not count, not even where
    the number was given to another since.
    """
    import psutil

    path, me = folder / "lock", psutil.Process()
    try:
        number, started = path.read_text().split()
        other = psutil.Process(int(number))
        held = (other != me and abs(other.create_time() - float(started)) < 5
                and other.status() != psutil.STATUS_ZOMBIE)
    except (OSError, ValueError, OverflowError, psutil.Error):
        held = False  # no lock, no process, or a file that was cut off
    if held:
        raise ValueError(f"{folder}: process {number} trains there now; wait for it, end it, or name another folder")
    write_atomically(path, f"{me.pid} {me.create_time()}".encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
