"""Pixels per second of the 8-bit colour conversions, beside scikit-image, kornia, OpenCV and a copy.

All of them convert the same smooth synthetic photograph, interleaved in one run (eight calls each, in turn), each in its own memory
layout; the best of the repeats counts, which is the one least disturbed by other work on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import kornia
import numpy as np
import skimage.color
import torch

from colorlib import color

SIZE = 1024  # 1 megapixel
REPEATS = 12
Row = dict[str, str | float]


def _best_seconds(roads: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the best time of each road, run in turn until the time is up (2 to REPEATS times)."""
    best = dict.fromkeys(roads, float("inf"))
    end = time.perf_counter() + seconds
    for repeat in range(REPEATS + 1):
        for name, road in roads.items():
            time.sleep(0.1)  # the threads of the road before go on spinning for a while
            for call in range(8):
                start = time.perf_counter()
                road()
                if call > 0:  # the first finds the caches as another road left them
                    best[name] = min(best[name], time.perf_counter() - start)
        if repeat >= 2 and time.perf_counter() > end:
            break
    return best


def _photograph() -> torch.Tensor:
    coarse = torch.rand(1, 3, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic")[0]
    return (smooth * 255).round().clamp(0, 255).to(torch.uint8)


def _roads() -> dict[str, dict[str, Callable[[], object]]]:
    rgb = _photograph()
    hwc = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy())
    permuted = torch.from_numpy(hwc).permute(2, 0, 1)
    lab = color.rgb_to_lab(rgb)
    lab_hwc = np.ascontiguousarray(lab.permute(1, 2, 0).numpy())
    to_lab = {
        "colorlib": lambda: color.rgb_to_lab(rgb),
        "colorlib, channels last": lambda: color.rgb_to_lab(permuted),
        "colorlib, L alone": lambda: color.rgb_to_L(rgb),
        "scikit-image": lambda: skimage.color.rgb2lab(hwc),
        "kornia": lambda: kornia.color.rgb_to_lab(rgb[None].float() / 255),
        "OpenCV": lambda: cv2.cvtColor(hwc.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2Lab),
        "plain copy": lambda: rgb.float(),
    }
    to_rgb8 = {
        "colorlib": lambda: color.lab_to_rgb8(lab),
        "colorlib, fitted to the gamut": lambda: color.lab_to_rgb8(lab, fit=True),
        "scikit-image": lambda: (skimage.color.lab2rgb(lab_hwc) * 255).round().astype(np.uint8),
        "kornia": lambda: (kornia.color.lab_to_rgb(lab[None]) * 255).round().to(torch.uint8),
        "OpenCV": lambda: cv2.convertScaleAbs(cv2.cvtColor(lab_hwc, cv2.COLOR_Lab2RGB), alpha=255),
        "plain copy": lambda: lab.to(torch.uint8),
    }
    return {"uint8 -> Lab": to_lab, "Lab -> uint8": to_rgb8}


def rows(seconds: float = 32.0) -> list[Row]:
    """Measure, and return rows with the keys group, name, value, unit and note."""
    found: list[Row] = []
    threads = torch.get_num_threads()
    counts = sorted({1, threads})
    roads_of = _roads()
    for count in counts:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        for direction, roads in roads_of.items():
            best = _best_seconds(roads, seconds / (2 * len(counts)))
            for name, elapsed in best.items():
                note = ""
                if name.startswith("colorlib"):
                    ratios = {other: best[other] / elapsed for other in ("scikit-image", "kornia", "OpenCV")}
                    note = ", ".join(f"{ratio:.1f} x {other}" for other, ratio in ratios.items())
                group = f"color, {direction}, {count} thread" + ("s" if count > 1 else "")
                value = SIZE * SIZE / elapsed / 1e6
                found.append({"group": group, "name": name, "value": value, "unit": "MP/s", "note": note})
    torch.set_num_threads(threads)
    cv2.setNumThreads(-1)
    return found


if __name__ == "__main__":
    for row in rows():
        print(f"{row['group']:34s} {row['name']:30s} {row['value']:9.1f} {row['unit']}  {row['note']}")
