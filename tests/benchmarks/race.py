"""`make race`: how long ways to train a colorizer take to reach a given error on photographs that they do not train on.

    OMP_NUM_THREADS=1 python tests/benchmarks/race.py --photos DIR [--seconds 7200] [--only ours|pix2pix|common]

Three contestants, the same photographs, resolution, batches and clock:

    ours      the recipe of the colorizer that ships (`training.recipe`), at several lengths, each a run of its own
    pix2pix   as commonly taught: its U-Net with 64 channels at the first level, as many levels as the picture has halvings,
              PatchGAN 70, Adam 2e-4 with beta1 0.5, lambda 100
    common    a conditional WGAN-GP with the residual U-Net as commonly taught (common_residual_unet.py), n_critic 5,
              lambda_gp 10, lambda 100, Adam 1e-4 with betas 0.5 and 0.9

The clock is processor time of one thread in training steps and in making their batches, so that other work on the machine
counts little: 2 minutes of 2 cores are 240 seconds here. The error is the mean distance of ab, in CIE units, on validation
photographs: what AuC measures. The network with the least error is the one that counts, also when it got worse later.
Interrupt as you like: it goes on where it was. Writes race.json into COLORLIB_RESULTS (else build/results).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from common_residual_unet import CommonResidualUNet
from torch import Tensor

from colorlib.color import AB_SCALE
from colorlib.course import scenes
from colorlib.course.seeds import seeded
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.files import write_json
from colorlib.generators import Generator, UNet, num_parameters, predict
from colorlib.losses import GradientPenalty, Vanilla, Wasserstein
from colorlib.photos import Source, crop_side, source
from colorlib.runtime import machine, results_dir
from colorlib.training import fit, recipe as shipped_recipe
from colorlib.training.recipe import z_mean
from colorlib.training.weights import load_generator

NUM_VALIDATION = 400
OURS = (60.0, 240.0, 960.0)  # seconds
BATCH_SIZE = 16
PIECE = 60.0  # seconds between two measurements of a contestant, or
SHARE = 0.05  # of the seconds so far, where that is more: a measurement takes time, too
Batches = Iterator[tuple[Tensor, Tensor]]


class SceneSource(Source):
    """Scenes, drawn on first use, with the interface of `photos.Source`; zoom changes nothing."""

    note = "Data: scenes, drawn by our own code (no photographs)."
    SEEDS = {"train": 0, "validation": 1 << 40, "test": 1 << 41}

    def _load(self, split: str) -> list[Tensor]:
        return list(scenes.render(64, size=self.short_side, seed=self.SEEDS[split]).rgb)

    def batches(self, split: str, size: int, batch_size: int, seed: int = 0, device: str | torch.device = "cpu",
                zoom: float = 1.0) -> Batches:
        return scenes.scene_batches(size=size, batch_size=batch_size, seed=self.SEEDS[split] + seed, device=device)


def error(generator: Generator, L: Tensor, ab: Tensor, **others: Tensor) -> float:
    """Mean distance of ab in CIE units."""
    fakes = [predict(generator, part, **{name: value.expand(len(part), -1) for name, value in others.items()}).ab
             for part in L.split(50)]
    return float((torch.cat(fakes) - ab).square().sum(1).sqrt().mean()) * AB_SCALE


def run_ours(seconds: float, data: Source, L: Tensor, ab: Tensor, folder: Path) -> dict:
    """One run of our recipe, as long as fits into the seconds: the length is found by timing a short run."""
    def trained(num_steps: int, out: Path) -> float:
        recipe = shipped_recipe.Recipe.of_length(num_steps, size=L.shape[-1], batch_size=BATCH_SIZE)
        started = time.process_time()
        shipped_recipe.train_colorizer(
            recipe, lambda number: data.batches("train", recipe.short_side, number, zoom=1.0), out, progress=False)
        return time.process_time() - started

    trained(10, folder / "trial")  # the first steps of a process are slower
    per_step = trained(90, folder / "trial") / 90
    num_steps, out = max(90, int(seconds / per_step)), folder / f"{seconds:g}"
    used = trained(num_steps, out)
    whole, l1 = (load_generator(out / f"{name}.safetensors")[0] for name in ("weights", "l1"))
    return {"seconds": round(used, 1), "steps": num_steps, "error": error(whole, L, ab, z=z_mean(1)),
            "parameters": num_parameters(whole), "error before the adversarial steps": error(l1, L, ab, z=z_mean(1))}


def contestant(name: str, size: int) -> tuple[Generator, dict]:
    """The network and the arguments of `fit`."""
    if name == "pix2pix":
        network = UNet(base_channels=64, levels=int(math.log2(size)), dropout=0.5)
        return network, {"discriminator": PatchDiscriminator(receptive_field=70), "adversarial": Vanilla(),
                         "lambda_l1": 100.0, "lr": 2e-4, "betas": (0.5, 0.999)}
    return CommonResidualUNet(), {
        "discriminator": Critic(receptive_field=70), "adversarial": Wasserstein(), "lipschitz": GradientPenalty(),
        "n_critic": 5, "lambda_l1": 100.0, "lr": 1e-4, "betas": (0.5, 0.9)}


def run_other(name: str, seconds: float, batches: Batches, L: Tensor, ab: Tensor, folder: Path, known: dict) -> Iterator[dict]:
    """Train until the seconds are used, and measure after each piece; yields all measurements so far."""
    generator, arguments = seeded(0, lambda: contestant(name, L.shape[-1]))
    measured = known.get("measured", [])
    used, step = (measured[-1]["seconds"], measured[-1]["steps"]) if measured else (0.0, 0)
    pace = used / step if step else None
    while used < seconds:
        more = 4 if pace is None else max(1, round(max(min(PIECE, max(10.0, used / 4)), SHARE * used) / pace))
        started = time.process_time()
        # loading the checkpoint is not training, but it is under a second a piece
        fit(generator, batches, num_steps=step + more, out=folder / name, resume=step > 0, checkpoint_every=10**9,
            progress=False, **arguments)
        used, step = used + time.process_time() - started, step + more
        pace = used / step
        measured.append({"seconds": round(used, 1), "steps": step, "error": round(error(generator, L, ab), 4)})
        yield {"parameters": num_parameters(generator), "measured": measured}


def reached(measured: list[dict], wanted: float) -> float | None:
    """Seconds until the error was first at most `wanted`; None if it never was."""
    return next((row["seconds"] for row in measured if row["error"] <= wanted), None)


def factors(result: dict) -> dict:
    """For each of our runs: the seconds that the others needed for its error, as multiples of ours."""
    found = {}
    for ours in result.get("ours", {}).values():
        row = {"error": ours["error"], "seconds": ours["seconds"]}
        for name in ("pix2pix", "common"):
            measured = result.get(name, {}).get("measured", [])
            if measured:
                when = reached(measured, ours["error"])
                row[name] = (f"{when / ours['seconds']:.1f}" if when is not None
                             else f"more than {measured[-1]['seconds'] / ours['seconds']:.1f}")
        found[f"{ours['seconds']:.0f} s"] = row
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=None, help="a folder, or scenes; else COLORLIB_PHOTOS, else the samples")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=7200.0, help="of each of the others")
    parser.add_argument("--only", choices=("ours", "pix2pix", "common"), default=None)
    parser.add_argument("--ours", type=float, nargs="*", default=OURS, help="seconds of each run of ours")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kind = SceneSource if options.photos == "scenes" else source
    data = kind(options.photos, short_side=crop_side(options.size))
    print(data.note, file=sys.stderr)
    L, ab = next(data.batches("validation", options.size, NUM_VALIDATION))
    path = results_dir() / "race.json"
    result = json.loads(path.read_text()) if path.is_file() else {}
    if result.get("size", options.size) != options.size:
        raise SystemExit(f"{path} holds a race at {result['size']} pixels: move it away to start another")
    result |= {"command": "OMP_NUM_THREADS=1 python tests/benchmarks/race.py --photos DIR", "size": options.size,
               "machine": machine(), "batch_size": BATCH_SIZE, "clock": "processor seconds of one thread",
               "validation photographs": len(L), "grey": float(ab.square().sum(1).sqrt().mean()) * AB_SCALE}
    folder = Path("build") / "race"

    def keep() -> None:
        result["factors"] = factors(result)
        write_json(path, result)
        print(json.dumps(result["factors"]), file=sys.stderr)

    if options.only in (None, "ours"):
        for seconds in options.ours:
            if f"{seconds:g}" not in result.setdefault("ours", {}):
                result["ours"][f"{seconds:g}"] = run_ours(seconds, data, L, ab, folder / "ours")
                keep()
    for name in ("pix2pix", "common"):
        if options.only in (None, name):
            batches = data.batches("train", options.size, BATCH_SIZE)
            for found in run_other(name, options.seconds, batches, L, ab, folder, result.get(name, {})):
                result[name] = found
                keep()


if __name__ == "__main__":
    main()
