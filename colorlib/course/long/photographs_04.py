"""The claims of notebook 04 on real photographs: losses, patch sizes, skip connections, at 64 x 64.

    python -m colorlib.course.long.photographs_04 --photos DIR

Photographs are split by their file names (train, validation, test); the numbers are from the test split.
Writes photographs_04.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from colorlib import photos
from colorlib.color import AB_SCALE
from colorlib.course.nb04 import colour_distance, pixels
from colorlib.course.results import ResultFile, arguments
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import UNet, predict
from colorlib.runtime import seed_everything
from colorlib.training import fit

SIZE, BATCH_SIZE, NUM_TEST = 64, 4, 400
# name -> receptive field (None: no discriminator), whether it sees L, weight of L1, skips
RUNS = {
    "L1": (None, True, 1.0, True),
    "GAN": (16, False, 0.0, True),
    "cGAN": (16, True, 0.0, True),
    "L1 + GAN": (16, False, 100.0, True),
    "L1 + cGAN": (16, True, 100.0, True),
    "L1 + cGAN, patch 1": (1, True, 100.0, True),
    "L1 + cGAN, patch 34": (34, True, 100.0, True),
    "L1 + cGAN, patch 70": (70, True, 100.0, True),
    "L1, no skips": (None, True, 1.0, False),
}


def at_edges(L: Tensor) -> Tensor:
    """The tenth of the pixels with the steepest lightness, (B, H, W) bool: fine detail is there."""
    across = torch.nn.functional.pad(L[..., :, 1:] - L[..., :, :-1], (0, 1)).abs()
    down = torch.nn.functional.pad(L[..., 1:, :] - L[..., :-1, :], (0, 0, 0, 1)).abs()
    steep = torch.maximum(across, down)[:, 0]
    return steep >= steep.flatten(1).quantile(0.9, dim=1)[:, None, None]


def main() -> None:
    options = arguments(__doc__, steps=(250, "updates per run"), base_channels=(12, "width of the U-Net"),
                        seeds=(3, "runs per setting"))
    photographs = photos.source(options.photos, short_side=photos.crop_side(SIZE))
    train, test = photographs.train, photographs.test
    results = ResultFile("photographs_04.json", {
        "claim": "C14, C16, C22 on photographs",
        "command": "python -m colorlib.course.long.photographs_04 --photos DIR",
        "data": f"{len(train)} photographs to train on, {min(NUM_TEST, len(test))} of the test split to "
                f"measure on, {SIZE} x {SIZE}; grey ones left out",
        "steps": options.steps, "base_channels": options.base_channels, "batch_size": BATCH_SIZE,
        "lambda_l1": 100, "lr": 2e-4, "seeds": list(range(options.seeds)),
    })
    held_out = photos.PhotoBatches(test, SIZE, min(NUM_TEST, len(test)), flip=False, crop=False)
    L, ab_real = next(held_out)
    edges = at_edges(L)
    for seed in range(options.seeds):
        for name, (patch, conditional, lambda_l1, skips) in RUNS.items():
            if results.has(name, seed):
                continue
            seed_everything(seed)
            generator = UNet(base_channels=options.base_channels, levels=5, skips=skips)
            discriminator = None if patch is None else PatchDiscriminator(
                condition_channels=int(conditional), receptive_field=patch, base_channels=16)
            fit(generator, photographs.batches("train", SIZE, BATCH_SIZE, seed), num_steps=options.steps,
                discriminator=discriminator, lambda_l1=lambda_l1, progress=False)
            ab = torch.cat([predict(generator, part).ab for part in L.split(50)])
            results.add(name, seed,
                        {"l1": AB_SCALE * float((ab - ab_real).abs().mean()),
                         "l1_at_edges": AB_SCALE * float((pixels(ab, edges) - pixels(ab_real, edges)).abs().mean()),
                         "colour_distance": AB_SCALE * colour_distance(pixels(ab), pixels(ab_real)),
                         "chroma_ratio": float(pixels(ab).norm(dim=1).mean() / pixels(ab_real).norm(dim=1).mean())})


if __name__ == "__main__":
    main()
