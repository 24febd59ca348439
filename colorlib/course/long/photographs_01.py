"""Notebook 01's five measures on real photographs.

    python -m colorlib.course.long.photographs_01 --photos DIR      (about 4 minutes on 2 cores)

Photographs are split by their file names, grey ones left out; networks train on 48 x 48 squares with three seeds.
Writes photographs_01.json, whose table notebook 01 shows, into COLORLIB_RESULTS (else build/results).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color, photos
from colorlib.course import regression
from colorlib.course.long.flagship_data import central
from colorlib.course.results import arguments, spread
from colorlib.files import write_json
from colorlib.runtime import machine, results_dir

SIZE, SEEDS = 48, (0, 1, 2)
NUM_STEPS, NUM_TEST, CHECKPOINTS = 400, 256, 4
NUMBERS = (8, 32, 128, 512, 2048)  # training pictures; those of them that there are
ROWS = {  # claim, the index of its condition, what the number is -> its key
    ("C1", 0, "spread of ab at equal L, CIE units"): "spread",
    ("C2", 1, "predicted / true saturation, L1 network (photographs: all pixels)"): "saturation_l1",
    ("C28", 0, "ab error of the L1 network / of colour transfer, most similar reference"): "against_transfer",
    ("C29", 0, "ab error after training on the most pictures / on 8 (photographs: 200 steps)"): "more_pictures",
    ("C30", 0, "ab error of the network for ab / for RGB"): "against_rgb",
}


def ab_of(network: torch.nn.Module, L: Tensor) -> Tensor:
    """The prediction of a network for ab (two channels) or for RGB (three)."""
    with torch.no_grad():
        predicted = torch.cat([network(part) for part in L.split(64)])
    return predicted if predicted.shape[1] == 2 else color.rgb_to_L_ab((predicted + 1) / 2)[1]


def measure(pictures: dict[str, Tensor], seed: int) -> dict[str, float]:
    """All the numbers of one seed, which draws the pictures of each split."""
    generator = torch.Generator().manual_seed(seed)
    order = {split: torch.randperm(len(each), generator=generator) for split, each in pictures.items()}
    (train_L, train_ab), held_out, (L, ab) = (
        color.rgb_to_L_ab(pictures[split][order[split][:num]])
        for split, num in (("train", max(NUMBERS)), ("validation", NUM_TEST), ("test", NUM_TEST)))

    def trained(channels: int = 2, num: int | None = None, steps: int = NUM_STEPS) -> tuple[Tensor, float]:
        """The predictions for the test pictures, and their error at the checkpoint that validation prefers."""
        torch.manual_seed(seed)
        network, seen = regression.SmallCNN(channels), []
        target = train_ab if channels == 2 else (
            color.lab_to_rgb(color.denormalize(train_L, train_ab)).clamp(0, 1) * 2 - 1)

        def watch(network: torch.nn.Module) -> float:
            seen.append(tuple(regression.ab_error(ab_of(network, given), real)
                              for given, real in (held_out, (L, ab))))
            return 0.0

        regression.regress(network, train_L[:num], target[:num], F.l1_loss, num_steps=steps, seed=seed, watch=watch,
                           checkpoints=CHECKPOINTS)
        return ab_of(network, L), min(seen)[1]

    transferred = torch.cat([
        regression.colour_transfer(L[i : i + 1], train_L[k][None], train_ab[k][None])
        for i, k in enumerate(regression.most_similar(L, train_L).tolist())])
    predictions = {"grey": 0 * ab, "l1": trained()[0], "rgb": trained(3)[0], "transfer": transferred}
    numbers = {f"error_{name}": regression.ab_error(each, ab) for name, each in predictions.items()}
    numbers |= {f"error_after_{num}": trained(num=num, steps=NUM_STEPS // 2)[1]
                for num in NUMBERS if num <= len(train_L)}
    most = max(num for num in NUMBERS if num <= len(train_L))
    return numbers | {
        "spread": regression.spread_at_equal_L(L.flatten(), ab.movedim(1, -1).reshape(-1, 2))[-1].item(),
        "saturation_l1": (regression.chroma(predictions["l1"]).mean() / regression.chroma(ab).mean()).item(),
        "more_pictures": numbers[f"error_after_{most}"] / numbers[f"error_after_{NUMBERS[0]}"],
        "against_transfer": numbers["error_l1"] / numbers["error_transfer"],
        "against_rgb": numbers["error_l1"] / numbers["error_rgb"]}


def main() -> None:
    source = photos.source(arguments(__doc__).photos, short_side=SIZE)
    pictures = {split: torch.stack([central(rgb, SIZE) for rgb in getattr(source, split)]) for split in photos.SPLITS}
    counts = {split: len(each) for split, each in pictures.items()}
    text = (f"{counts['train']:,} photographs to train on, {counts['test']:,} to test on "
            f"({source.num_grey} grey and {len(source.errors)} unreadable left out)")
    print(text, flush=True)
    by_seed = [measure(pictures, seed) for seed in SEEDS]
    numbers = {key: {"values": [round(numbers[key], 4) for numbers in by_seed],
                     "text": spread([numbers[key] for numbers in by_seed])} for key in by_seed[0]}
    rows = [{"claim": claim, "condition": condition, "measure": what, "number": numbers[key]["text"]}
            for (claim, condition, what), key in ROWS.items()]
    for row in rows:
        print(f"{row['claim']:4} {row['number']:26} {row['measure']}")
    write_json(results_dir() / "photographs_01.json", {
        "command": "python -m colorlib.course.long.photographs_01 --photos DIR", "machine": machine(),
        "seeds": list(SEEDS), "photographs": {**counts, "size": SIZE, "text": text}, "num_steps": NUM_STEPS,
        "spread": "mean and 95 % interval over seeds (Student's t)", "rows": rows, "numbers": numbers})


if __name__ == "__main__":
    main()
