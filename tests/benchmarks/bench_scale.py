"""Photographs by the thousand and by the million: to find them, to serve them in batches, and the memory of both.

`make bench` takes a thousand and ten thousand; `python tests/benchmarks/bench_scale.py --long` up to a million, and
writes data/results/bench_scale.json. The photographs are hard links to 64 files, and members of tar shards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PER_FOLDER, DISTINCT, BATCHES, BATCH = 1000, 64, 24, 32

MEASURE = """
import json, resource, sys, time
from colorlib.photos import PhotoBatches, scan_splits

def seconds():
    return time.perf_counter(), time.process_time()

def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

next(PhotoBatches(scan_splits(sys.argv[1])["train"], 96, 32, num_workers=0))  # what is imported late
before, start = megabytes(), seconds()
files = scan_splits(sys.argv[2])["train"]
found = seconds()
batches = PhotoBatches(files, 96, int(sys.argv[4]), seed=1, num_workers=0)
next(batches)
begun = seconds()
for _ in range(int(sys.argv[3])):
    next(batches)
end, number = seconds(), int(sys.argv[3]) * int(sys.argv[4])
peak = megabytes()
scan_splits(sys.argv[2])
again = seconds()
print(json.dumps({"again": again[0] - end[0], "again_cpu": again[1] - end[1],
                  "scan": found[0] - start[0], "scan_cpu": found[1] - start[1],
                  "rate": number / (end[0] - begun[0]), "rate_cpu": number / (end[1] - begun[1]), "more": peak - before, "peak": peak}))
"""


def distinct() -> list[bytes]:
    """64 photographs of 200 x 150 pixels, as JPEG files."""
    import torch

    from colorlib.photos import encode_photo

    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(DISTINCT, 3, 12, 16, generator=random)
    photos = (torch.nn.functional.interpolate(coarse, (150, 200), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)
    return [encode_photo(photo, "JPEG") for photo in photos]


def linked(folder: Path, num: int) -> Path:
    files = distinct()
    folder.mkdir()
    for number in range(num):
        place = folder / f"{number // PER_FOLDER:04d}"
        name = place / f"{number:09d}.jpg"
        if number % PER_FOLDER == 0:
            place.mkdir()
        if number < DISTINCT:
            name.write_bytes(files[number])
        else:
            source = number % DISTINCT
            os.link(folder / f"{source // PER_FOLDER:04d}" / f"{source:09d}.jpg", name)
    return folder


def sharded(folder: Path, num: int, each: int = 10_000) -> Path:
    files = distinct()
    folder.mkdir()
    for first in range(0, num, each):
        with tarfile.open(folder / f"photos-{first // each:06d}.tar", "w") as archive:
            for number in range(first, min(first + each, num)):
                member = tarfile.TarInfo(f"{number:09d}.jpg")
                member.size = len(files[number % DISTINCT])
                archive.addfile(member, BytesIO(files[number % DISTINCT]))
    return folder


def measured(small: Path, place: Path) -> dict[str, float]:
    """In a process of its own, for the peak of its memory; `small` is read first, for what is imported late."""
    done = subprocess.run([sys.executable, "-c", MEASURE, str(small), str(place), str(BATCHES), str(BATCH)], check=True,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT),
                                                               "XDG_CACHE_HOME": str(small.parent / "cache")})
    return json.loads(done.stdout)


def rows(nums: tuple[int, ...] = (1000, 10_000), in_shards: tuple[int, ...] = (1000, 10_000)) -> list[dict]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        small = linked(Path(folder, "small"), 100)
        for kind, make, counts in (("files", linked, nums), ("in tar shards", sharded, in_shards)):
            for num in counts:
                result = measured(small, make(Path(folder, f"{kind} {num}"), num))
                name = f"{num:,} {kind}"
                found += [
                    {"group": "scale", "name": f"{name}: found and split", "value": result["scan"], "unit": "s",
                     "note": f"{result['scan_cpu']:.2f} s of the processor; again {result['again_cpu']:.2f} s"},
                    {"group": "scale", "name": f"{name}: served", "value": result["rate_cpu"], "unit": "pictures/s",
                     "note": f"of one core's time: decoded, cut to 96 x 96, Lab; {result['rate']:.0f} by the clock"},
                    {"group": "scale", "name": f"{name}: memory", "value": result["more"], "unit": "MB",
                     "note": f"above that of 100 photographs; peak {result['peak']:.0f} MB"}]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="up to a million files, and as many in shards")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from colorlib.files import write_json
    from colorlib.runtime import machine

    result = rows((1000, 100_000, 1_000_000), (1000, 100_000, 1_000_000)) if options.long else rows()
    for row in result:
        print(f"{row['name']:40} {row['value']:10.2f} {row['unit']:12} {row['note']}")
    if options.long:
        write_json(ROOT / "data" / "results" / "bench_scale.json", {
            "command": "python tests/benchmarks/bench_scale.py --long", "machine": machine(), "rows": result})


if __name__ == "__main__":
    main()
