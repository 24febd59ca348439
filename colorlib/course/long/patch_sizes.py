"""Claim C16 with the paper's own sizes: patches of 1, 16, 70 and 286 pixels on scenes of 256 x 256.

    python -m colorlib.course.long.patch_sizes

Writes patch_sizes.json into COLORLIB_RESULTS (else build/results). Interrupt it as you like: it goes on where
it was. Networks are narrow and runs short, so that a laptop does it; --steps and --base-channels change that.
"""

from __future__ import annotations

import argparse

from colorlib.course.nb04 import ResultFile, colour_distance, pixels, shuffled

from colorlib.course import scenes
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import UNet, predict
from colorlib.runtime import results_dir, seed_everything
from colorlib.training import fit

SIZE, NUM_TRAIN, NUM_TEST = 256, 256, 32
PATCHES = (1, 16, 70, 286)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--steps", type=int, default=200, help="updates per run (default: %(default)s)")
    parser.add_argument("--base-channels", type=int, default=8,
                        help="width of the networks (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs per patch size (default: %(default)s)")
    arguments = parser.parse_args()
    results = ResultFile(results_dir() / "patch_sizes.json", {
        "claim": "C16", "command": "python -m colorlib.course.long.patch_sizes",
        "data": f"{NUM_TRAIN} scenes to train on, {NUM_TEST} to measure on, {SIZE} x {SIZE}",
        "steps": arguments.steps, "base_channels": arguments.base_channels, "batch_size": 1, "lambda_l1": 100,
        "lr": 2e-4, "seeds": list(range(arguments.seeds)),
    })
    condition, target = scenes.render(NUM_TRAIN, size=SIZE, seed=100).L_ab()
    held_out = scenes.render(NUM_TEST, size=SIZE, seed=200)
    L, ab_real = held_out.L_ab()
    for seed in range(arguments.seeds):
        for patch in PATCHES:
            name = f"{patch} x {patch}"
            if results.has(name, seed):
                continue
            seed_everything(seed)
            generator = UNet(base_channels=arguments.base_channels, levels=7)
            discriminator = PatchDiscriminator(receptive_field=patch, base_channels=arguments.base_channels)
            fit(generator, shuffled(condition, target, 1, seed), num_steps=arguments.steps,
                discriminator=discriminator, progress=False)
            ab = predict(generator, L).ab
            free, rest = held_out.free > 0, held_out.free == 0
            results.add(name, seed, {
                "colour_distance": colour_distance(pixels(ab, free), pixels(ab_real, free)),
                "l1_rest": float((pixels(ab, rest) - pixels(ab_real, rest)).abs().mean()),
            })


if __name__ == "__main__":
    main()
