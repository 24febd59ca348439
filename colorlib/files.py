"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path` and rename it: an interruption leaves the old file. Makes folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, record: dict) -> None:
    """Write a result file, whole or not at all."""
    write_atomically(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
