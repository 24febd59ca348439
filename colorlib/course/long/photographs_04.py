"""Objectives and patch sizes of notebook 04: on photographs of 64 x 64, and the paper's sizes on scenes of 256 x 256.

    python -m colorlib.course.long.photographs_04 --photos DIR       photographs_04.json
    python -m colorlib.course.long.photographs_04                    patch_sizes.json

Photographs are split by their file names; the numbers are from the test split. Networks are narrow and runs short, so
that a laptop does it. Writes into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

from collections.abc import Callable

import torch

from colorlib import photos
from colorlib.color import AB_SCALE
from colorlib.course import scenes
from colorlib.course.data import shuffled
from colorlib.course.nb04 import colour_distance, pixels
from colorlib.course.results import ResultFile, arguments
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import Generator, UNet, predict
from colorlib.runtime import seed_everything
from colorlib.training import fit

COMMAND, SEEDS = "python -m colorlib.course.long.photographs_04", 3
# name -> receptive field (None: no discriminator), whether it sees L, weight of L1
RUNS = {"L1": (None, True, 1.0), "GAN": (16, False, 0.0), "cGAN": (16, True, 0.0),
        "L1 + GAN": (16, False, 100.0), "L1 + cGAN": (16, True, 100.0), "L1 + cGAN, patch 1": (1, True, 100.0),
        "L1 + cGAN, patch 34": (34, True, 100.0), "L1 + cGAN, patch 70": (70, True, 100.0)}
PATCHES = {f"{patch} x {patch}": (patch, True, 100.0) for patch in (1, 16, 70, 286)}


def record(file: str, runs: dict, header: dict, levels: int, width: int, batches: Callable, measure: Callable) -> None:
    """Train each of `runs` with every seed, on batches(seed), and measure(generator); width is the discriminator's."""
    results = ResultFile(file, {**header, "lambda_l1": 100, "lr": 2e-4, "seeds": list(range(SEEDS))})
    for seed in range(SEEDS):
        for name, (patch, conditional, lambda_l1) in runs.items():
            if not results.has(name, seed):
                seed_everything(seed)
                generator = UNet(base_channels=header["base_channels"], levels=levels)
                discriminator = None if patch is None else PatchDiscriminator(
                    condition_channels=int(conditional), receptive_field=patch, base_channels=width)
                fit(generator, batches(seed), num_steps=header["steps"], discriminator=discriminator,
                    lambda_l1=lambda_l1, progress=False)
                results.add(name, seed, measure(generator))


def of_photographs(folder: str, size: int = 64, num_test: int = 400, batch_size: int = 4) -> None:
    photographs = photos.source(folder, short_side=photos.crop_side(size))
    num_test = min(num_test, len(photographs.test))
    L, ab_real = next(photographs.batches("test", size, num_test))

    def measure(generator: Generator) -> dict[str, float]:
        ab = torch.cat([predict(generator, part).ab for part in L.split(50)])
        return {"l1": AB_SCALE * float((ab - ab_real).abs().mean()),
                "colour_distance": AB_SCALE * colour_distance(pixels(ab), pixels(ab_real)),
                "chroma_ratio": float(pixels(ab).norm(dim=1).mean() / pixels(ab_real).norm(dim=1).mean())}

    header = {"claim": "C14, C16 on photographs", "command": f"{COMMAND} --photos DIR", "steps": 250,
              "data": f"{len(photographs.train)} photographs to train on, {num_test} of the test split to measure on, "
                      f"{size} x {size}; grey ones left out", "base_channels": 12, "batch_size": batch_size}
    record("photographs_04.json", RUNS, header, 5, 16,
           lambda seed: photographs.batches("train", size, batch_size, seed), measure)


def of_scenes(size: int = 256, num_train: int = 256, num_test: int = 32) -> None:
    condition, target = scenes.render(num_train, size=size, seed=100).L_ab()
    held_out = scenes.render(num_test, size=size, seed=200)
    L, ab_real = held_out.L_ab()
    header = {"claim": "C16", "command": COMMAND, "steps": 200, "base_channels": 8, "batch_size": 1,
              "data": f"{num_train} scenes to train on, {num_test} to measure on, {size} x {size}"}
    record("patch_sizes.json", PATCHES, header, 7, 8, lambda seed: shuffled(condition, target, 1, seed),
           lambda generator: {"colour_distance": colour_distance(
               pixels(predict(generator, L).ab, held_out.free > 0), pixels(ab_real, held_out.free > 0))})


if __name__ == "__main__":
    folder = arguments(__doc__, photographs=False, photos=("", "folder of photographs; none: scenes")).photos
    of_photographs(folder) if folder else of_scenes()
