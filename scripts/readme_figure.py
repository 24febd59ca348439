"""Make data/figures/grey-to-colour.png: held-out scenes coloured by L1 alone and by pix2pix, with the truth.

    .venv/bin/python scripts/readme_figure.py            # 7 minutes on one core

Same data, same seed, same number of steps for both. The scenes shown are the first ones of the held-out seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from colorlib.color import L_ab_to_rgb8
from colorlib.course import figures, scenes
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import UNet, predict
from colorlib.runtime import seed_everything
from colorlib.training import fit, linear_decay

SIZE, BATCH, HELD_OUT_SEED = 64, 16, 10_000


def train(num_steps: int, adversarial: bool) -> UNet:
    seed_everything(0)
    generator = UNet(levels=5, base_channels=20)
    discriminator = PatchDiscriminator(receptive_field=34, base_channels=24) if adversarial else None
    fit(
        generator,
        scenes.scene_batches(SIZE, BATCH, seed=1),
        num_steps=num_steps,
        discriminator=discriminator,
        lambda_l1=20.0,
        lr=1e-3 if discriminator is None else 4e-4,
        schedule=linear_decay,
    )
    return generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("data/figures/grey-to-colour.png"))
    arguments = parser.parse_args()
    L, ab = scenes.render(7, SIZE, seed=HELD_OUT_SEED).L_ab()
    columns = {
        "L1 alone": predict(train(arguments.steps, adversarial=False), L).ab,
        "pix2pix": predict(train(arguments.steps, adversarial=True), L).ab,
        "truth": ab,
    }
    rows = [L_ab_to_rgb8(L, ab * 0), *(L_ab_to_rgb8(L, each) for each in columns.values())]
    figure = figures.show_images(rows, row_titles=["given", *columns], width=1.3)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=110, bbox_inches="tight", pad_inches=0.05)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
