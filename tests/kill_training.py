"""Kill `colorlib train` at random moments, resume it, and compare the end with that of an unbroken run, bit by bit.

    python tests/kill_training.py --kills 50 --seed 0 --out data/results/kill_training.json

Each of four settings trains until it has been killed (kill -9) that many times, half of them while a file is being
written: when its temporary file is there. A run that reached its end is compared and begun anew. The commands run in
copies of this process (fork), which has imported everything: a kill then costs a fraction of a second. `test_cli`
runs a small part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stdout, suppress
from pathlib import Path

import torch

from colorlib import cli, commands  # noqa: F401 (imported before the forks)
from colorlib.photos import write_photo
from colorlib.training.loop import BEFORE, CHECKPOINT, checkpoints
from colorlib.training.weights import read_tensors

SMALL = ["--recipe", "tiny", "--size", "32", "--batch-size", "4", "--steps", "12", "--every", "1"]
SETTINGS = {
    "l1": [*SMALL, "--loss", "l1"], "pix2pix": [*SMALL, "--loss", "pix2pix"], "wgan-gp": [*SMALL, "--loss", "wgan-gp"],
    "colorizer": ["--recipe", "colorizer", "--encoder-weights", "none", "--size", "64", "--batch-size", "4", "--steps", "10", "--every", "1"],
}  # fmt: skip


def make_photographs(folder: Path) -> Path:
    """A dozen small colour photographs, the same every time."""
    folder.mkdir(parents=True)
    for number in range(12):
        coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(number))
        photo = torch.nn.functional.interpolate(coarse, (96, 128), mode="bilinear")[0] * 255
        write_photo(folder / f"p{number}.png", photo.to(torch.uint8))
    return folder


def warm_up(photos: Path, run: Path) -> None:
    """Train one step here, which imports what is only imported when it is used."""
    with suppress(SystemExit), open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        cli.main(["train", "--photos", str(photos), "--out", str(run), *SMALL, "--steps", "1"])


def start(photos: Path, run: Path, options: list[str]) -> int:
    """`colorlib train` in a copy of this process: its id."""
    if process := os.fork():
        return process
    with open(run.with_suffix(".log"), "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    torch.set_num_threads(1)  # makes torch's pool anew; of two threads that decode one would find none
    try:
        cli.main(["train", "--photos", str(photos), "--out", str(run), *options])
    except SystemExit as stop:
        code = stop.code
    finally:
        os._exit(code)


def ended(process: int) -> int | None:
    """The exit code of a process, or None while it runs."""
    number, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if number else None


def kill(process: int, run: Path, rng: random.Random, seconds: float, writing: bool) -> tuple[int | None, bool]:
    """Kill a process at a random moment within `seconds`, or while a file is written after it.

    Returns its exit code if it had ended before, else None; and whether a temporary file was left.
    """
    moment, code = time.monotonic() + rng.uniform(0, seconds), None
    while code is None and time.monotonic() < moment:
        time.sleep(0.001)
        code = ended(process)
    while code is None and writing and not list(run.glob("*.part")):
        code = ended(process)
    if code is not None:
        return code, False
    time.sleep(rng.uniform(0, 0.002) if writing else 0)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None, bool(list(run.glob("*.part")))


def weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of every file that a finished run leaves, but for the seconds that it took; not those of the checkpoint
    before the last, which is of the last step, too, where a run was killed between writing that and its end."""
    files = {path.name: read_tensors(path)[0] for path in sorted(run.glob("*.safetensors")) if path.name != BEFORE}
    return {name: {key: tensor for key, tensor in tensors.items() if key != "run"} for name, tensors in files.items()}


def differences(first: dict[str, dict[str, torch.Tensor]], second: dict[str, dict[str, torch.Tensor]]) -> list[str]:
    """The names of files and tensors that only one has, or that are not equal bit by bit."""
    names = {(file, key) for files in (first, second) for file, tensors in files.items() for key in tensors}
    return sorted(f"{file}: {key}" for file, key in names if key not in first.get(file, {})
                  or key not in second.get(file, {}) or not torch.equal(first[file][key], second[file][key]))


def torture(name: str, num_kills: int, seed: int, folder: Path) -> dict:
    """Kill one setting's training `num_kills` times; what was counted, and every difference that was found."""
    rng, counts, problems = random.Random(f"{name} {seed}"), Counter(), []
    photos, whole = make_photographs(folder / "photos"), folder / "whole"
    warm_up(photos, folder / "warm")
    began = time.monotonic()
    _, status = os.waitpid(start(photos, whole, SETTINGS[name]), 0)
    seconds = time.monotonic() - began
    if status:
        raise RuntimeError(f"{name}: the unbroken run failed: {whole.with_suffix('.log').read_text()}")
    expected = weights(whole)
    while counts["kills"] < num_kills and not problems:
        run = folder / f"run{counts['runs']}"
        counts["runs"] += 1
        code = None
        while code is None:
            again = bool(checkpoints(run))
            process = start(photos, run, [*SETTINGS[name], *["--resume"] * again])
            counts["resumes"] += again
            if counts["kills"] < num_kills:
                code, part = kill(process, run, rng, seconds, writing=counts["kills"] % 2 == 1)
                counts["kills"] += code is None
                counts["kills while a file was written"] += part
                counts["kills between two checkpoints' names"] += again and not (run / CHECKPOINT).exists()
            else:
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if code:
            problems.append(f"exit code {code}: {run.with_suffix('.log').read_text()[-400:]}")
        else:
            problems += differences(expected, weights(run))
        shutil.rmtree(run, ignore_errors=True)
    return {**counts, "options": shlex.join(SETTINGS[name]), "seconds of the unbroken run": round(seconds, 2),
            "tensors compared": sum(map(len, expected.values())), "differences": problems}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each setting")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="result file (JSON); the settings that it has already stay in it")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # no thread of torch's may be there when this process is copied
    result = json.loads(chosen.out.read_text()) if chosen.out and chosen.out.exists() else {}
    result |= {"command": "python tests/kill_training.py --kills N --settings NAME --seed N --out FILE, once for each",
               "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
                          f"torch {torch.__version__.split('+')[0]}, one thread"}
    for name in chosen.settings:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = torture(name, chosen.kills, chosen.seed, Path(folder))
        result[name] = {"seed": chosen.seed, **found, "seconds": round(time.monotonic() - began, 1)}
        print(name, json.dumps(result[name], indent=1), flush=True)
        if chosen.out:
            chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if any(result[name]["differences"] for name in chosen.settings) else 0


if __name__ == "__main__":
    sys.exit(main())
