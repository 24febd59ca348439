"""Claim C16 with the paper's own sizes: patches of 1, 16, 70 and 286 pixels on scenes of 256 x 256.

    python -m colorlib.course.long.patch_sizes

Writes patch_sizes.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on. Networks are
narrow and runs short, so that a laptop does it; --steps and --base-channels change that.
"""

from __future__ import annotations

from colorlib.course import scenes
from colorlib.course.data import shuffled
from colorlib.course.nb04 import colour_distance, pixels
from colorlib.course.results import ResultFile, arguments
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import UNet, predict
from colorlib.runtime import seed_everything
from colorlib.training import fit

SIZE, NUM_TRAIN, NUM_TEST = 256, 256, 32
PATCHES = (1, 16, 70, 286)


def main() -> None:
    options = arguments(__doc__, photographs=False, steps=(200, "updates per run"),
                        base_channels=(8, "width of the networks"), seeds=(3, "runs per patch size"))
    results = ResultFile("patch_sizes.json",
                         {"claim": "C16", "command": "python -m colorlib.course.long.patch_sizes",
                          "data": f"{NUM_TRAIN} scenes to train on, {NUM_TEST} to measure on, {SIZE} x {SIZE}",
                          "steps": options.steps, "base_channels": options.base_channels, "batch_size": 1,
                          "lambda_l1": 100, "lr": 2e-4, "seeds": list(range(options.seeds))})
    condition, target = scenes.render(NUM_TRAIN, size=SIZE, seed=100).L_ab()
    held_out = scenes.render(NUM_TEST, size=SIZE, seed=200)
    L, ab_real = held_out.L_ab()
    for seed in range(options.seeds):
        for patch in PATCHES:
            name = f"{patch} x {patch}"
            if results.has(name, seed):
                continue
            seed_everything(seed)
            generator = UNet(base_channels=options.base_channels, levels=7)
            discriminator = PatchDiscriminator(receptive_field=patch, base_channels=options.base_channels)
            fit(generator, shuffled(condition, target, 1, seed), num_steps=options.steps,
                discriminator=discriminator, progress=False)
            ab = predict(generator, L).ab
            free, rest = held_out.free > 0, held_out.free == 0
            results.add(name, seed, {"colour_distance": colour_distance(pixels(ab, free), pixels(ab_real, free)),
                                     "l1_rest": float((pixels(ab, rest) - pixels(ab_real, rest)).abs().mean())})


if __name__ == "__main__":
    main()
