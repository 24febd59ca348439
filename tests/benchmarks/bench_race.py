"""The race to quality in three minutes, on scenes: our recipe beside pix2pix and the common conditional WGAN.

    python tests/benchmarks race

The long one, on photographs, is `make race`; see race.py for the contestants and the clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OURS, OTHERS, SIZE = 20, 70, 64  # seconds, seconds, pixels


def rows() -> list[dict[str, object]]:
    """One row per number: group, name, value, unit, note."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLORLIB_RESULTS": folder}
        command = [sys.executable, str(Path(__file__).with_name("race.py")), "--photos", "scenes", "--size", str(SIZE),
                   "--ours", str(OURS), "--seconds", str(OTHERS)]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise RuntimeError(f"race.py ended with {done.returncode}: {done.stderr[-2000:]}")
        result = json.loads((Path(folder) / "race.json").read_text())

    def row(name: str, value: float, unit: str, note: str) -> dict[str, object]:
        return {"group": "race", "name": name, "value": value, "unit": unit, "note": note}

    ours = result["ours"][str(OURS)]
    found = [row("grey scenes", result["grey"], "ab", f"mean distance, {SIZE} x {SIZE}"),
             row("our recipe", ours["error"], "ab", f"after {ours['seconds']:.0f} s of one core"),
             row("our recipe before its adversarial steps", ours["error before the adversarial steps"], "ab", "the pixel loss alone")]
    for name in ("pix2pix", "common"):
        measured = result[name]["measured"]
        best = min(one["error"] for one in measured)
        when = next((one["seconds"] for one in measured if one["error"] <= ours["error"]), None)
        reached = f"our error after {when:.0f} s" if when else f"never our error in {measured[-1]['seconds']:.0f} s"
        found.append(row(name, best, "ab", f"best within {measured[-1]['seconds']:.0f} s of one core; {reached}"))
    return found
