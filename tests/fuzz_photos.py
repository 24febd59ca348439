"""Damage thousands of image files; read, colour and save each: done, or refused with PhotoError, and nothing else.

    python tests/fuzz_photos.py --files 10000 --seed 0 --out data/results/fuzz_photos.json

Ten formats are damaged in thirteen containers (MPO, APNG and BigTIFF among them). Every file is opened, coloured by a
small network and saved in its format in a worker process with a memory limit, so a crash of a decoder, a hang or an
allocation that the picture's pixels do not justify is seen and counted, with the file kept. `test_read` runs a small
part.
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
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

MAX_PIXELS = 4_000_000
MEMORY = 512 << 20      # bytes above an idle worker: 128 per allowed pixel would already be absurd
SECONDS = 5.0           # of processor time for one file: more is a hang
WAIT = 60.0             # by the clock, on a busy machine


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
        "animated.png": (rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "two.jpg": (rgb, "MPO", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "rgb.avif": (rgb, "AVIF", {"exif": exif, "speed": 10}), "rgba.avif": (rgba, "AVIF", {"speed": 10}),
        "rgb.jp2": (rgb, "JPEG2000", {"irreversible": True}), "grey16.j2k": (grey16, "JPEG2000", {"no_jp2": True}),
        "rgb.ppm": (rgb, "PPM", {}), "grey16.pgm": (grey16, "PPM", {}),
    }
    files = {}
    for name, (image, kind, settings) in kinds.items():
        buffer = BytesIO()
        image.save(buffer, kind, **settings)
        files[name] = buffer.getvalue()
    values = np.asarray(rgb)
    files["tiled.tif"] = _tiff(values, tile=(32, 32))
    files["big.tif"] = _tiff(values, bigtiff=True)
    files["planes16.tif"] = _tiff(np.moveaxis(values, 2, 0) * np.uint16(257), planarconfig="separate",
                                   compression="zlib", predictor=True)
    files["float.rgb.tif"] = _tiff(values / np.float32(255), compression="zlib")
    files["half.tif"] = _tiff((values / 255).astype(np.float16), tile=(32, 32), compression="zlib")
    files["gamma.png"] = _with_gamma(rgb)
    with suppress(ImportError):
        import pillow_heif
        for name, settings in (("photo.heic", {}), ("grid.heic", {"tile_size": 32})):
            buffer = BytesIO()
            pillow_heif.from_pillow(rgb).save(buffer, quality=80, **settings)
            files[name] = buffer.getvalue()
    return files


def _tiff(values: np.ndarray, **settings: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, photometric="rgb", **settings)
    return buffer.getvalue()


def _with_gamma(rgb: Image.Image) -> bytes:
    buffer, notes = BytesIO(), PngImagePlugin.PngInfo()
    notes.add(b"gAMA", (100_000).to_bytes(4, "big"))
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    rgb.save(buffer, "PNG", pnginfo=notes)
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
    """Open, colour and save what the pipe names until it closes; answers (outcome, seconds of the processor, bytes of
    memory at the peak)."""
    import torch

    from colorlib.colorizer import Colorizer
    from colorlib.generators import UNet
    from colorlib.photos import SUFFIXES, PhotoError, encode_photo, read_photo, suffix_for
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.manual_seed(0)
    colorizer = Colorizer(UNet(base_channels=4, levels=2, dropout=0.0), render_size=16, device="cpu")

    def work(path: Path | str) -> tuple[int, int]:
        photo = read_photo(path, MAX_PIXELS)
        encode_photo(colorizer.colorize(photo), SUFFIXES[suffix_for(photo)], like=photo, note="fuzz")
        return photo.rgb.shape[1:]

    for data in seeds().values():   # load every codec before the limit is set
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            work(file.name)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY,) * 2)
    pipe.send("ready")
    while (path := pipe.recv()) is not None:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")   # forget the peak so far
        before, start = _status("VmRSS"), time.process_time()
        try:
            height, width = work(path)
            outcome = "opened" if height * width <= MAX_PIXELS else "larger than max_pixels"
        except PhotoError as error:
            outcome = "out of memory" if "memory" in error.wrong else "refused"
        except BaseException as error:   # exactly what must not happen
            outcome = f"escaped: {type(error).__name__}: {error}"
        seconds = time.process_time() - start
        outcome = outcome if seconds < SECONDS else "hung"
        pipe.send((outcome, seconds, max(0, _status("VmHWM") - before)))


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
            if self.pipe.poll(WAIT):
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
