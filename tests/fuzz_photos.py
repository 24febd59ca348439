"""Damage thousands of image files and read each: opened, or refused with PhotoError, and nothing else.

    python tests/fuzz_photos.py --files 4000 --seed 0 --out data/results/fuzz_photos.json

Every file is read in a worker process with a memory limit, so a crash of a decoder, a hang or an allocation
that the picture's pixels do not justify is seen and counted, with the file kept for a look. `test_read`
runs a small part.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import random
import resource
import shlex
import sys
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

MAX_PIXELS = 4_000_000
MEMORY = 512 << 20      # bytes above an idle worker: 128 per allowed pixel would already be absurd
SECONDS = 20.0          # for one file; decoding 4 megapixels takes a fraction of a second


def seeds() -> dict[str, bytes]:
    """One good file of every kind that read_photo claims to open, by name."""
    y, x = np.mgrid[0:61, 0:83]
    noise = np.random.default_rng(0).integers(0, 40, (61, 83, 3))
    rgb = Image.fromarray((np.stack([x * 3, y * 4, x + y], -1) % 216 + noise).astype(np.uint8))
    grey16 = Image.fromarray((x * 700 + y * 10).astype(np.uint16))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    rgba = rgb.convert("RGBA")
    rgba.putalpha(rgb.convert("L"))
    frames = [rgb.rotate(90).convert("P"), rgb.rotate(180).convert("P")]
    lzw = {"compression": "tiff_lzw"}
    kinds: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "baseline.jpg": (rgb, "JPEG", {"exif": exif, "icc_profile": icc}),
        "progressive.jpg": (rgb, "JPEG", {"progressive": True, "restart_marker_rows": 1}),
        "grey.jpg": (rgb.convert("L"), "JPEG", {"exif": exif}),
        "cmyk.jpg": (rgb.convert("CMYK"), "JPEG", {}),
        "rgb.png": (rgb, "PNG", {"icc_profile": icc, "exif": exif}),
        "rgba.png": (rgba, "PNG", {}), "la.png": (rgba.convert("LA"), "PNG", {}),
        "palette.png": (rgb.convert("P"), "PNG", {"transparency": 3}),
        "one_bit.png": (rgb.convert("1"), "PNG", {}), "grey16.png": (grey16, "PNG", {}),
        "lossy.webp": (rgb, "WEBP", {"exif": exif, "icc_profile": icc}),
        "lossless.webp": (rgba, "WEBP", {"lossless": True}),
        "animated.webp": (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "raw.tif": (rgb, "TIFF", {"exif": exif}), "lzw.tif": (rgb, "TIFF", lzw),
        "grey16.tif": (grey16, "TIFF", lzw),
        "deflate.tif": (rgba, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "jpeg.tif": (rgb, "TIFF", {"compression": "jpeg"}), "cmyk.tif": (rgb.convert("CMYK"), "TIFF", {}),
        "float.tif": (Image.fromarray((x / 82).astype(np.float32)), "TIFF", {}),
        "group4.tif": (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        "rgb.bmp": (rgb, "BMP", {}), "palette.bmp": (rgb.convert("P"), "BMP", {}),
        "one.gif": (rgb.convert("P"), "GIF", {"transparency": 5}),
        "animated.gif": (rgb.convert("P"), "GIF", {"save_all": True, "append_images": frames}),
    }
    files = {}
    for name, (image, kind, settings) in kinds.items():
        buffer = BytesIO()
        image.save(buffer, kind, **settings)
        files[name] = buffer.getvalue()
    files["tiled.tif"] = _tiled(rgb)
    try:
        import pillow_heif
        buffer = BytesIO()
        pillow_heif.from_pillow(rgb).save(buffer, quality=80)
        files["photo.heic"] = buffer.getvalue()
    except ImportError:
        pass
    return files


def _tiled(rgb: Image.Image) -> bytes:
    import tifffile
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.asarray(rgb), tile=(32, 32), photometric="rgb")
    return buffer.getvalue()


def damage(data: bytes, others: list[bytes], rng: random.Random) -> tuple[str, bytes]:
    """One way of damaging a file: its name and the damaged bytes."""
    way = rng.choice(("flip", "flip", "truncate", "header", "extreme", "splice", "delete", "repeat", "magic",
                      "many"))
    out = bytearray(data)
    at = rng.randrange(len(out))
    length = rng.randint(1, max(1, len(out) // 4))
    if way == "flip":
        for _ in range(rng.randint(1, 16)):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif way == "truncate":
        del out[at:]
    elif way == "header":          # any byte of the first few hundred, where sizes and types are told
        for _ in range(rng.randint(1, 6)):
            out[rng.randrange(min(len(out), 400))] = rng.randrange(256)
    elif way == "extreme":         # sizes, counts and offsets at their limits, in both byte orders
        value = rng.choice((0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 28))
        width = rng.choice((2, 4))
        place = rng.randrange(min(len(out), 600))
        out[place:place + width] = (value & (1 << 8 * width) - 1).to_bytes(width,
                                                                           rng.choice(("big", "little")))
    elif way == "splice":
        other = rng.choice(others)
        start = rng.randrange(len(other))
        out[at:at + length] = other[start:start + length]
    elif way == "delete":
        del out[at:at + length]
    elif way == "repeat":
        out[at:at] = out[at:at + length] * rng.randint(1, 4)
    elif way == "magic":           # a valid beginning, then noise
        keep = rng.randint(12, 64)
        out[keep:] = rng.randbytes(rng.randint(0, 4000))
    else:
        for _ in range(len(out) // rng.choice((8, 32, 128)) + 1):
            out[rng.randrange(len(out))] = rng.randrange(256)
    return way, bytes(out)


def _status(key: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def _work(pipe) -> None:
    """Read what the pipe names until it closes; answers (outcome, seconds, bytes of memory at the peak)."""
    import torch

    from colorlib.photos import PhotoError, read_photo
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for data in seeds().values():   # load every codec before the limit is set
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            read_photo(file.name, MAX_PIXELS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY,) * 2)
    pipe.send("ready")
    while (path := pipe.recv()) is not None:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")   # forget the peak so far
        before, start = _status("VmRSS"), time.perf_counter()
        try:
            photo = read_photo(path, MAX_PIXELS)
            height, width = photo.rgb.shape[1:]
            outcome = "opened" if height * width <= MAX_PIXELS else "larger than max_pixels"
        except PhotoError as error:
            outcome = "out of memory" if "memory" in error.wrong else "refused"
        except BaseException as error:   # exactly what must not happen
            outcome = f"escaped: {type(error).__name__}: {error}"
        pipe.send((outcome, time.perf_counter() - start, max(0, _status("VmHWM") - before)))


class Reader:
    """A worker process that is replaced when it dies or hangs."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        if not self.pipe.poll(120) or self.pipe.recv() != "ready":
            raise RuntimeError("the worker did not start")

    def read(self, path: Path) -> tuple[str, float, int]:
        start = time.perf_counter()
        try:
            self.pipe.send(path)
            if self.pipe.poll(SECONDS):
                return self.pipe.recv()
            outcome = "hung"
        except (EOFError, ConnectionError):
            self.process.join(5)
            outcome = f"crashed (exit code {self.process.exitcode})"
        self.process.kill()
        self.process.join()
        self.start()
        return outcome, time.perf_counter() - start, 0

    def close(self) -> None:
        self.pipe.send(None)
        self.process.join(10)


def fuzz(num_files: int, seed: int, keep: Path) -> dict:
    """Damage and read `num_files` files; failures are copied to `keep`. Returns counts and extremes."""
    rng, good = random.Random(seed), seeds()
    names, others = list(good), list(good.values())
    outcomes, ways, kinds = Counter(), Counter(), Counter()
    failures: list[dict] = []
    slowest, largest = (0.0, ""), (0, "")
    reader = Reader()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(num_files):
            name = names[number % len(names)]
            way, data = damage(good[name], others, rng)
            path = Path(folder, f"{number:06d}-{way}-{name}")
            path.write_bytes(data)
            outcome, seconds, memory = reader.read(path)
            ways[way] += 1
            kinds[f"{name} {outcome.split(':')[0]}"] += 1
            outcomes[outcome.split(":")[0]] += 1
            slowest, largest = max(slowest, (seconds, path.name)), max(largest, (memory, path.name))
            if outcome not in ("opened", "refused"):
                failures.append({"file": path.name, "outcome": outcome})
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(data)
            path.unlink()
    reader.close()
    return {"files": num_files, "seed": seed, "outcomes": dict(outcomes), "failures": failures,
            "damage": dict(sorted(ways.items())), "by_kind": dict(sorted(kinds.items())),
            "slowest_seconds": round(slowest[0], 4), "slowest_file": slowest[1],
            "peak_memory_mb": round(largest[0] / 1e6, 1), "peak_memory_file": largest[1],
            "memory_limit_mb": round(MEMORY / 1e6, 1), "max_pixels": MAX_PIXELS, "timeout_seconds": SECONDS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="result file (JSON)")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "colorlib-fuzz"),
                        help="where files that fail are kept")
    chosen = parser.parse_args()
    start = time.perf_counter()
    result = fuzz(chosen.files, chosen.seed, chosen.keep)
    result = {"command": shlex.join(["python", *sys.argv]), **result,
              "seconds": round(time.perf_counter() - start, 1),
              "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
                         f"Pillow {Image.__version__}"}
    if chosen.out is not None:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("files", "outcomes", "failures", "slowest_seconds",
                                                   "slowest_file",
                                                   "peak_memory_mb", "peak_memory_file", "seconds")},
                                                   indent=1))
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
