"""Which parts of the colorizer's recipe pay, at a small budget: every variant trained equally long, on validation photographs.

    OMP_NUM_THREADS=1 python -m colorlib.course.long.recipes --photos DIR [--seconds 60]

One change at a time to the recipe of the colorizer that ships, each trained for the same processor seconds of one thread. Per
folder below DIR: the mean answer (AuC) and the default (AuC, colourfulness, distance of the ab distribution). One seed each, so
differences of 0.1 in AuC are within what another seed gives. Writes colorizer_recipes.json into COLORLIB_RESULTS (else
build/results); goes on where it was.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor

from colorlib import photos
from colorlib.colorizer import Colorizer
from colorlib.course.long.report import groups, measured, rounded
from colorlib.course.results import arguments
from colorlib.files import write_json
from colorlib.runtime import machine, results_dir
from colorlib.training import recipe
from colorlib.training.recipe import Z_CHANNELS

VIVID = 0.8  # the default's colourfulness
NUM_VALIDATION = 150
VARIANTS: dict[str, dict] = {
    "recipe": {},
    "wider decoder": {"widths": (80, 128, 224, 352, 512)},
    "narrower decoder": {"widths": (48, 64, 96, 160, 256)},
    "half the blocks": {"blocks": (1, 1, 1, 1, 1)},
    "pictures of 96": {"size": 96},
    "batches of 8": {"batch_size": 8},
    "twice the learning rate": {"lr": 6e-3},
    "half the learning rate": {"lr": 1.5e-3},
    "encoder from random weights": {"imagenet": False},
    "encoder as fast as the decoder": {"encoder_rate": 1.0},
    "without the distribution over ab": {"lambda_bins": 0.0},
    "without hints": {"hinted": 0.0},
    "without ageing L": {"aged": 0.0},
    "without turning and stretching": {"warped": 0.0},
    "no critic": {"lambda_adversarial": 0.0},
    "no code": {"lambda_code": 0.0},
    "twice the critic": {"lambda_adversarial": 0.04},
}


def trained(changes: dict, seconds: float, folder: str, out: Path) -> tuple[Colorizer, int]:
    """A colorizer from `seconds` of training, and its number of steps."""
    def train(num_steps: int) -> float:
        rule = recipe.Recipe.of_length(num_steps, **{"batch_size": 16, **changes})
        data = photos.source(folder, short_side=rule.short_side)
        data.batches("train", rule.short_side, 1)  # decodes, outside of the clock
        started = time.process_time()
        recipe.train_colorizer(rule, lambda number: data.batches("train", rule.short_side, number, zoom=1.0), out,
                               progress=False)
        return time.process_time() - started

    train(10)  # the first steps of a process are slower
    num_steps = max(90, int(seconds / (train(90) / 90)))
    train(num_steps)
    return Colorizer.load(out / "weights.safetensors", "cpu"), num_steps


def rows(colorizer: Colorizer, real: dict[str, list[Tensor]]) -> dict:
    colorizer.z["default"] = torch.tensor([VIVID, *[0.0] * (Z_CHANNELS - 1)])
    return {f"{name}, {decode}": rounded(measured([colorizer.colorize(rgb, decode=decode) for rgb in group], group))
            for name, group in real.items() for decode in ("mean", "default")}


def main() -> None:
    options = arguments(__doc__, seconds=(60.0, "of training, per variant"))
    torch.set_num_threads(1)
    real = {name: group[:: max(1, len(group) // NUM_VALIDATION)]
            for name, group in groups(Path(options.photos), "validation").items()}
    path = results_dir() / "colorizer_recipes.json"
    result = json.loads(path.read_text()) if path.is_file() else {
        "command": f"OMP_NUM_THREADS=1 python -m colorlib.course.long.recipes --photos DIR --seconds {options.seconds:g}",
        "seconds": options.seconds, "split": "validation", "machine": machine(), "variants": {}}
    for name, changes in VARIANTS.items():
        if name not in result["variants"]:
            colorizer, num_steps = trained(changes, options.seconds, options.photos, Path("build") / "recipes")
            result["variants"][name] = {"changes": changes, "steps": num_steps, "rows": rows(colorizer, real)}
            write_json(path, result)
            print(name, num_steps, json.dumps(result["variants"][name]["rows"]), flush=True)


if __name__ == "__main__":
    main()
