"""Seconds and memory for a 12-megapixel photograph on two cores, and where the time goes.

    python tests/benchmarks/bench_colorizer.py

A process of its own, so that the memory is that of colouring one photograph and of nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

HEIGHT, WIDTH, RENDER_SIZE, THREADS = 3000, 4000, 256, 2


def rows() -> list[dict[str, object]]:
    """One row per number: group, name, value, unit, note."""
    # without OMP_NUM_THREADS torch.set_num_threads alone decides
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, __file__, "--child"], capture_output=True, text=True, timeout=600,
                          env=environment)  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the measured process ended with {done.returncode}: {done.stderr[-2000:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    what = f"{WIDTH} x {HEIGHT}, render size {RENDER_SIZE}, U-Net of {measured['millions']:.1f} M, {THREADS} threads"

    def row(name: str, value: float, unit: str, note: str) -> dict[str, object]:
        return {"group": "colorizer", "name": name, "value": value, "unit": unit, "note": note}

    result = [
        row("12 MP photograph", measured["best"], "s", f"{what}; best of {measured['repeats']}, limit 2"),
        row("12 MP photograph, first call", measured["first"], "s", "fresh process, without imports"),
        row("12 MP photograph, CPU time", measured["cpu"], "s", "user + system over the threads, at the best call"),
    ]
    if measured["peak"]:
        above = measured["peak"] - measured["before"]
        result += [
            row("peak memory of the process", measured["peak"], "GB", "with Python, torch and the photograph; limit 1.5"),
            row("peak memory of colouring", above, "GB", "above the process that holds photograph and network"),
        ]
    result += [row(f"stage: {name}", seconds, "s", "of one call") for name, seconds in measured["stages"].items()]
    return result


def memory(name: str) -> float:
    """VmRSS (now) or VmHWM (the highest so far) of this process in GB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith(name))


def child() -> None:
    import torch

    from colorlib import color, colorizer
    from colorlib.colorizer import render as rendering
    from colorlib.generators import UNet, num_parameters

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    # edges and texture at every place, 36 MB and no float copy
    tile = torch.randint(0, 256, (3, 100, 100), dtype=torch.uint8).repeat_interleave(5, 1).repeat_interleave(5, 2)
    rgb = tile.repeat(1, HEIGHT // 500, WIDTH // 500).contiguous()
    generator = UNet(base_channels=28)
    painter = colorizer.Colorizer(generator, render_size=RENDER_SIZE)
    before = memory("VmRSS")

    calls = []
    while len(calls) < 4 and sum(wall for wall, _ in calls) < 20:
        started, cpu = time.perf_counter(), time.process_time()
        painter.colorize(rgb)
        calls.append((time.perf_counter() - started, time.process_time() - cpu))
    peak = memory("VmHWM")

    stages: dict[str, float] = defaultdict(float)

    def timed(owner, name, label):
        function = getattr(owner, name)

        def wrapper(*args, **kwargs):
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                stages[label] += time.perf_counter() - started

        setattr(owner, name, wrapper)

    timed(rendering.F, "interpolate", "shrinking and widening")
    timed(generator, "predict_from", "generator")
    timed(color, "rgb_to_L", "L of the photograph")
    timed(rendering, "local_lines", "guided filter, small")
    timed(rendering, "on_lines", "guided filter, at full size")
    timed(color, "L_ab_to_rgb8", "Lab to sRGB with gamut fit")
    started = time.perf_counter()
    painter.colorize(rgb)
    stages["the rest"] = time.perf_counter() - started - sum(stages.values())
    best = min(calls)
    print(json.dumps({
        "millions": num_parameters(generator) / 1e6, "before": before, "peak": peak, "first": calls[0][0],
        "best": best[0], "cpu": best[1], "repeats": len(calls), "stages": stages,
    }))  # fmt: skip


if __name__ == "__main__":
    if "--child" in sys.argv:
        child()
    else:
        for line in rows():
            print(f"{line['name']:34}{line['value']:9.3f} {line['unit']:3} {line['note']}")
