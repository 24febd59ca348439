"""Claims C26 on real photographs: (GAN, WGAN-GP) x (U-Net, residual U-Net) and L1, equal seconds, 64 x 64.

    python -m colorlib.course.long.photographs_07 --photos DIR

Thresholds, as in the notebook, all of WGAN + residual U-Net against GAN + U-Net (pix2pix), mean over seeds:
C26 ab error, ratio < 0.95; C26b |error - mean of the arm|, difference < 0; C26c ab error at edges, ratio < 0.95;
C26d sliced Wasserstein distance of all ab, ratio < 0.9.

Photographs are split by their file names. The learning rate of each arm is the best of two on the validation split, on a
seed of its own and in half the time; the numbers are from the test split. What an update costs is measured once, all arms
in turn on one thread, in seconds of its core, and each arm gets as many updates as fit into the same seconds. Writes photographs_07.json
and photographs_07_lr.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

from __future__ import annotations

import torch

from colorlib import photos
from colorlib.course.nb07 import taught
from colorlib.course.results import ResultFile, arguments, spread
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.generators import predict

SIZE, BATCH_SIZE, NUM_TRAIN, NUM_TEST = 64, 8, 4096, 400
PILOT_SEED, SEARCHED = 100, (3e-4, 1e-3)
PIX2PIX, OURS = "GAN U-Net", "WGAN residual"


def main() -> None:
    options = arguments(__doc__, seconds=(18.0, "of one core, per run"), seeds=(3, "runs per arm"))
    torch.set_num_threads(1)
    names, seconds, seeds = taught(), options.seconds, list(range(options.seeds))
    names["BATCH"] = BATCH_SIZE
    # the notebook's arms; patches of half the side, as there: 34 of 64
    names["JUDGES"].update({"GAN": lambda: PatchDiscriminator(receptive_field=34, base_channels=16),
                            "WGAN": lambda: Critic(receptive_field=34, base_channels=16)})
    photographs = photos.source(options.photos, short_side=photos.crop_side(SIZE))
    split = {part: next(photographs.batches(part, SIZE, min(num, len(getattr(photographs, part))), seed=0))
             for part, num in (("train", NUM_TRAIN), ("validation", NUM_TEST), ("test", NUM_TEST))}
    header = {
        "claim": "C26, C26b, C26c, C26d on photographs",
        "command": "python -m colorlib.course.long.photographs_07 --photos DIR",
        "data": f"{len(split['train'][0])} crops of {len(photographs.train)} photographs to train on, {len(split['test'][0])} of "
                f"the test split to measure on; grey ones left out; {SIZE} x {SIZE}",
        "seconds": seconds, "batch_size": BATCH_SIZE, "lambda_l1": 100, "seeds": seeds,
    }
    results = ResultFile("photographs_07.json", header)
    searched = ResultFile("photographs_07_lr.json", header | {"claim": "learning rates, validation split",
                                                                            "seeds": [PILOT_SEED]})
    arms = {f"{method} {generator}": (method, generator) for method, generator in
            (("GAN", "U-Net"), ("GAN", "residual"), ("WGAN", "U-Net"), ("WGAN", "residual"), ("L1", "residual"))}
    if "updates" not in searched.record:  # kept in the file, so that an interrupted run goes on with the same numbers
        cost = names["seconds_per_update"]({name: names["make_arm"](*arm, 1e-4) for name, arm in arms.items()}, split["train"], 5)
        searched.record["updates"] = {name: max(1, round(seconds / each)) for name, each in cost.items()}
    updates = searched.record["updates"]
    print(updates, flush=True)

    def run(name: str, seed: int, lr: float, num_steps: int, part: str) -> dict[str, float]:
        trained = names["train"](names["make_arm"](*arms[name], lr), seed, num_steps, split["train"], split[part])
        L, ab_real = split[part]
        ab = torch.cat([predict(trained.generator, some).ab for some in L.split(50)])
        return names["measures"](L, ab, ab_real, names["steepest"](L))

    for name in arms:
        for lr in SEARCHED:
            if not searched.has(f"{name}, lr {lr:g}", PILOT_SEED):
                searched.add(f"{name}, lr {lr:g}", PILOT_SEED, run(name, PILOT_SEED, lr, updates[name] // 2, "validation"))
    found = {each["name"]: each["error"] for each in searched.record["runs"]}
    for seed in seeds:
        for name in arms:
            if not results.has(name, seed):
                lr = min(SEARCHED, key=lambda lr: found[f"{name}, lr {lr:g}"])
                results.add(name, seed, run(name, seed, lr, updates[name], "test") | {"updates": updates[name], "lr": lr})
    compare(results.record["runs"])


def compare(runs: list[dict]) -> None:
    """Print the four numbers of the claims."""
    ours, theirs = ([run for run in runs if run["name"] == name] for name in (OURS, PIX2PIX))
    values = {f"{claim} {what}": [a[what] / b[what] for a, b in zip(ours, theirs)] for claim, what in
              (("C26", "error"), ("C26c", "error at edges"), ("C26d", "distance of the colours"))}
    apart = [[abs(run["error"] - sum(other["error"] for other in arm) / len(arm)) for run in arm] for arm in (ours, theirs)]
    values["C26b |error - mean|"] = [a - b for a, b in zip(*apart)]
    for name, numbers in values.items():
        print(f"{name}: {spread(numbers)}")


if __name__ == "__main__":
    main()
