"""Notebook 01's five measures on real photographs.

    python -m colorlib.course.long.photographs_01 --photos DIR      (about 4 minutes on 2 cores)

Takes every photograph below DIR (default: the folder in COLORLIB_PHOTOS), leaves the grey ones out, splits by
file name, trains on 48 x 48 squares with three seeds and writes data/results/photographs_01.json, whose table
notebook 01 shows.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color, photos, runtime
from colorlib.course import regression
from colorlib.course.claims import confidence_interval
from colorlib.course.results import arguments
from colorlib.files import write_json

SIZE, SEEDS = 48, (0, 1, 2)
NUM_STEPS, NUM_TEST, CHECKPOINTS = 400, 256, 4
NUMBERS = (8, 32, 128, 512, 2048)  # training pictures; those of them that there are, and all there are
NAME = "photographs_01"


def squares(paths: list[Path], size: int) -> tuple[Tensor, int, int]:
    """Central squares uint8 (N, 3, size, size); how many were grey; how many could not be read."""
    loaded, errors = photos.load_photos(paths, short_side=size)
    coloured = [rgb for rgb in loaded if not photos.is_grey(rgb)]
    cut = []
    for rgb in coloured:
        top, left = (rgb.shape[1] - size) // 2, (rgb.shape[2] - size) // 2
        cut.append(rgb[:, top : top + size, left : left + size])
    if not cut:
        wrong = f"none of {len(paths)} photographs can be used"
        raise photos.PhotoError(None, wrong, "choose a larger folder")
    return torch.stack(cut), len(loaded) - len(coloured), len(errors)


def to_rgb(L: Tensor, ab: Tensor) -> Tensor:
    return color.lab_to_rgb(color.denormalize(L, ab)).clamp(0, 1) * 2 - 1


@torch.no_grad()
def predict(network: torch.nn.Module, L: Tensor) -> Tensor:
    return torch.cat([network(part) for part in L.split(64)])


def ab_of(predicted: Tensor) -> Tensor:
    """ab of a prediction of two channels (ab) or three (RGB)."""
    return predicted if predicted.shape[1] == 2 else color.rgb_to_L_ab((predicted + 1) / 2)[1]


class Data:
    """Training, validation and test pictures of one seed, as (L, ab)."""

    def __init__(self, pictures: dict[str, Tensor], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        order = {split: torch.randperm(len(each), generator=generator) for split, each in pictures.items()}
        train = pictures["train"][order["train"][: max(NUMBERS)]]
        self.train = color.rgb_to_L_ab(train)
        self.validation = color.rgb_to_L_ab(pictures["validation"][order["validation"][:NUM_TEST]])
        self.test = color.rgb_to_L_ab(pictures["test"][order["test"][:NUM_TEST]])
        self.seed = seed

    def trained(self, loss, *, rgb: bool = False, num: int | None = None,
                steps: int = NUM_STEPS) -> tuple[Tensor, list]:
        """Train; the predictions for the test pictures, and (validation error, test error) at the checkpoints."""
        torch.manual_seed(self.seed)
        network = regression.SmallCNN(3 if rgb else 2)
        (L, ab), seen = (part[:num] for part in self.train), []

        def watch(network: torch.nn.Module) -> float:
            seen.append(tuple(regression.ab_error(ab_of(predict(network, L_held)), ab_held)
                               for L_held, ab_held in (self.validation, self.test)))
            return 0.0

        regression.regress(network, L, to_rgb(L, ab) if rgb else ab, loss, num_steps=steps, seed=self.seed,
                         watch=watch, checkpoints=CHECKPOINTS)
        return ab_of(predict(network, self.test[0])), seen

    def transferred(self, which: str) -> Tensor:
        (L, _), (pool_L, pool_ab) = self.test, self.train
        chosen = (regression.most_similar(L, pool_L) if which == "similar" else
                  torch.randint(len(pool_L), (len(L),), generator=torch.Generator().manual_seed(self.seed)))
        return torch.cat([regression.colour_transfer(L[i : i + 1], pool_L[k][None], pool_ab[k][None])
                          for i, k in enumerate(chosen.tolist())])


def measure(data: Data) -> dict[str, float]:
    """All the numbers of one seed."""
    L, ab = data.test
    numbers = {"spread": regression.spread_at_equal_L(L.flatten(), ab.movedim(1, -1).reshape(-1, 2))[-1].item()}
    l1, seen = data.trained(F.l1_loss)
    l2, _ = data.trained(F.mse_loss)
    rgb, rgb_seen = data.trained(F.l1_loss, rgb=True)
    predictions = {"l1": l1, "l2": l2, "rgb": rgb, "grey": 0 * ab, "transfer": data.transferred("similar"),
                   "transfer_random": data.transferred("random")}
    for name, each in predictions.items():
        numbers[f"error_{name}"] = regression.ab_error(each, ab)
        numbers[f"saturation_{name}"] = (regression.chroma(each).mean() / regression.chroma(ab).mean()).item()
    for number, ((_, error), (_, error_rgb)) in enumerate(zip(seen, rgb_seen), 1):
        numbers[f"error_l1_at_{number}_of_{CHECKPOINTS}"] = error
        numbers[f"error_rgb_at_{number}_of_{CHECKPOINTS}"] = error_rgb
    for num in NUMBERS:
        if num <= len(data.train[0]):
            _, seen = data.trained(F.l1_loss, num=num, steps=NUM_STEPS // 2)
            numbers[f"error_after_{num}"] = min(seen)[1]  # the checkpoint that validation prefers
    most = max(num for num in NUMBERS if f"error_after_{num}" in numbers)
    numbers["more_pictures"] = numbers[f"error_after_{most}"] / numbers[f"error_after_{NUMBERS[0]}"]
    numbers["against_transfer"] = numbers["error_l1"] / numbers["error_transfer"]
    numbers["against_rgb"] = numbers["error_l1"] / numbers["error_rgb"]
    return numbers


ROWS = {  # claim, the index of its condition, what the number is -> its key
    ("C1", 0, "spread of ab at equal L, CIE units"): "spread",
    ("C2", 1, "predicted / true saturation, L1 network (photographs: all pixels)"): "saturation_l1",
    ("C28", 0, "ab error of the L1 network / of colour transfer, most similar reference"): "against_transfer",
    ("C29", 0, "ab error after training on the most pictures / on 8 (photographs: 200 steps)"): "more_pictures",
    ("C30", 0, "ab error of the network for ab / for RGB"): "against_rgb",
}


def main() -> None:
    options = arguments(__doc__, out=(None, "folder of the result file (default: data/results)"))
    started = time.time()
    try:
        loaded = {split: squares(paths, SIZE) for split, paths in photos.scan_splits(Path(options.photos)).items()}
    except photos.PhotoError as error:
        raise SystemExit(str(error)) from error
    pictures = {split: each for split, (each, _, _) in loaded.items()}
    grey, bad = (sum(each[k] for each in loaded.values()) for k in (1, 2))
    counts = {split: len(each) for split, each in pictures.items()}
    text = (f"{counts['train']:,} photographs to train on, {counts['test']:,} to test on "
            f"({grey} grey and {bad} unreadable left out)")
    print(text, flush=True)
    by_seed = []
    for seed in SEEDS:
        by_seed.append(measure(Data(pictures, seed)))
        print(f"seed {seed}: {time.time() - started:.0f} s", flush=True)
    spread = {}
    for key in by_seed[0]:
        values = [numbers[key] for numbers in by_seed]
        mean, (low, high) = confidence_interval(values)
        spread[key] = {"values": [round(v, 4) for v in values], "mean": round(mean, 4),
                       "text": f"{mean:.3g} ({low:.3g} to {high:.3g})"}
    rows = [{"claim": claim, "condition": condition, "measure": what, "number": spread[key]["text"]}
            for (claim, condition, what), key in ROWS.items()]
    for row in rows:
        print(f"{row['claim']:4} {row['number']:26} {row['measure']}")
    folder = options.out or (runtime.checkout() or Path.cwd()) / "data" / "results"
    write_json(folder / f"{NAME}.json",
               {"command": f"python -m colorlib.course.long.{NAME} --photos DIR", "machine": runtime.machine(),
                "seconds": round(time.time() - started), "seeds": list(SEEDS),
                "photographs": {**counts, "grey_left_out": grey, "unreadable": bad, "size": SIZE, "text": text},
                "num_steps": NUM_STEPS, "spread": "mean and 95 % interval over seeds (Student's t)", "rows": rows,
                "numbers": spread})


if __name__ == "__main__":
    main()
