"""What the colorizer that ships can do, on photographs that neither training nor the choice of settings saw.

    OMP_NUM_THREADS=1 python -m colorlib.course.long.report --photos DIR                     # the test split
    OMP_NUM_THREADS=1 python -m colorlib.course.long.report --photos DIR --choose --weights FILE

Each folder directly below DIR is reported for itself, photographs at full size, grey ones left out. Rows: the grey
photograph, the sibling trained without a critic, and the colorizer's mean, default and six other colourings; with
--squeezenet FILE, an .npz of torchvision's ImageNet weights of SqueezeNet 1.1, LPIPS too.

--choose tries render sizes and colourfulness (the first number of z) on the validation split, and prints a table.
Writes colorizer_report.json into COLORLIB_RESULTS (else build/results).
"""

import random
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from colorlib import metrics, photos
from colorlib.color import rgb_to_grey
from colorlib.colorizer import Colorizer, Hint
from colorlib.course.features import lpips
from colorlib.course.nb09 import ab_of
from colorlib.course.results import arguments
from colorlib.files import write_json
from colorlib.runtime import machine, results_dir
from colorlib.training.weights import shipped

VARIANTS = (1, 2, 3, 4, 5, 6)
HINTS = (1, 3, 5, 10, 20)
PIXELS = 64  # drawn from each photograph for the distribution of ab
CHOICES = {"render size": (96, 128, 160, 192, 224, 256), "colourfulness": (1.0, 1.2, 1.4, 1.6, 1.8)}


def groups(folder: Path, split: str) -> dict[str, list[Tensor]]:
    """Folder below `folder` -> colour photographs of the split, or of "all"."""
    found: dict[str, list[Tensor]] = {}
    for path in photos.scan(folder) if split == "all" else photos.scan_splits(folder)[split]:
        if not photos.is_grey(rgb := photos.read_photo(path).rgb):
            found.setdefault(path.relative_to(folder).parts[0], []).append(rgb)
    return found


def load_squeeze(path: str) -> Callable[[Tensor, Tensor], Tensor]:
    """torchmetrics' LPIPS on SqueezeNet, its backbone from torchvision's names in an .npz file."""
    from torchmetrics.functional.image.lpips import _LPIPS

    weights = np.load(path)
    network = _LPIPS(pretrained=True, net="squeeze", pnet_rand=True)
    network.net.load_state_dict({name: torch.from_numpy(weights["features." + name.split(".", 2)[2]])
                                 for name in network.net.state_dict()})
    return partial(network.eval(), normalize=True)


def sample(ab: Tensor, number: int) -> Tensor:
    """PIXELS colours of one photograph, (PIXELS, 2); the same places for every way of colouring it."""
    places = torch.randint(0, ab[0].numel(), (PIXELS,), generator=torch.Generator().manual_seed(number))
    return ab.flatten(1)[:, places].T


def measured(painted: list[Tensor], real: list[Tensor]) -> dict[str, float]:
    """Means over photographs; the ab distribution over all of them."""
    vivid = [fmean(map(metrics.colourfulness, group)) for group in (painted, real)]
    clouds = [torch.cat([sample(ab_of(rgb), k) for k, rgb in enumerate(group)]) for group in (painted, real)]
    return rounded({
        "auc": fmean(metrics.auc(ab_of(a), ab_of(b)) for a, b in zip(painted, real)),
        "psnr": fmean(map(metrics.psnr, painted, real)),
        "colourfulness, % of real": 100 * vivid[0] / vivid[1],
        "sliced Wasserstein of ab": metrics.sliced_wasserstein(*clouds)})


def rounded(row: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in row.items()}


def report(colorizer: Colorizer, sibling: Colorizer, real: list[Tensor], network: Callable | None, hints: int) -> dict:
    """Every number of one group."""
    # all variants of one photograph one after the other: the colorizer remembers which draws it chose for it
    variants = [*zip(*([colorizer.colorize(rgb, variant=variant) for variant in VARIANTS] for rgb in real))]
    ways = {
        "grey": [rgb_to_grey(rgb) for rgb in real],
        "l1 sibling": [sibling.colorize(rgb, decode="mean") for rgb in real],
        "mean": [colorizer.colorize(rgb, decode="mean") for rgb in real],
        "default": [colorizer.colorize(rgb) for rgb in real],
    }
    rows = {name: measured(painted, real) for name, painted in ways.items()}
    for name, painted in ways.items() if network is not None else ():
        rows[name]["lpips"] = round(fmean(lpips(a, b, network) for a, b in zip(painted, real)), 4)
    rows |= {f"variant {number}": measured(painted, real) for number, painted in zip(VARIANTS, variants)}
    return {"photographs": len(real), "rows": rows, "variants": diversity([ways["default"], *variants], real),
            "uncertainty": uncertainty(colorizer, ways["mean"], real), "hints": hinted(colorizer, real, hints)}


def diversity(variants: list[list[Tensor]], real: list[Tensor]) -> dict[str, float]:
    """How far the colourings of one photograph lie apart, CIE units, and how near the best of them comes."""
    apart, least, best = [], [], []
    for number, truth in enumerate(real):
        painted = [ab_of(group[number]) for group in variants]
        distances = [float((a - b).norm(dim=0).mean()) for a, b in combinations(painted, 2)]
        apart.append(fmean(distances)), least.append(min(distances))
        best.append(max(metrics.auc(ab, ab_of(truth)) for ab in painted))
    return rounded({"mean distance of two": fmean(apart), "least distance of two, median": median(least),
                    "auc of the best": fmean(best)})


def uncertainty(colorizer: Colorizer, painted: list[Tensor], real: list[Tensor]) -> dict[str, float]:
    """Spearman's correlation of the map and of the actual error: of photographs, and of the pixels within each."""
    within, expected, actual = [], [], []
    for rgb, answer in zip(real, painted):
        expects, error = colorizer.uncertainty(rgb), (ab_of(answer) - ab_of(rgb)).norm(dim=0)
        step = max(1, min(error.shape) // 40)
        pair = [x[::step, ::step].flatten().numpy() for x in (expects, error)]
        within.append(float(spearmanr(*pair).statistic))
        expected.append(float(expects.mean())), actual.append(float(error.mean()))
    return rounded({
        "rank correlation over photographs": float(spearmanr(expected, actual).statistic),
        "rank correlation over the pixels of a photograph, mean": fmean(within),
        "mean expected error": fmean(expected), "mean error": fmean(actual)})


def hinted(colorizer: Colorizer, real: list[Tensor], num_photos: int) -> dict[str, float]:
    """AuC of the mean decoding with hints in the real colours at random points; how far a hint is off at its point."""
    result, off = {}, []
    for count in (0, *HINTS):
        scores = []
        for number, rgb in enumerate(random.Random(0).sample(real, min(num_photos, len(real)))):
            draw, ab = random.Random(number), ab_of(rgb)
            places = [(draw.randrange(rgb.shape[2]), draw.randrange(rgb.shape[1])) for _ in range(count)]
            hints = [Hint(x, y, *ab[:, y, x].tolist()) for x, y in places]
            painted = ab_of(colorizer.colorize(rgb, decode="mean", hints=hints))
            scores.append(metrics.auc(painted, ab))
            off += [float((painted[:, y, x] - ab[:, y, x]).abs().max()) for x, y in places if count == 1]
        result[f"auc with {count}"] = fmean(scores)
    off.sort()
    result["off at the point, median"], result["off at the point, 95 %"] = off[len(off) // 2], off[int(0.95 * len(off))]
    return rounded(result)


def choose(colorizer: Colorizer, real: dict[str, list[Tensor]]) -> dict:
    """AuC of the mean by render size; AuC, colourfulness and distance of ab by the default's colourfulness."""
    table, own = {}, (colorizer.render_size, colorizer.large_render_size)
    for name, group in real.items():
        group = group[:: max(1, len(group) // 200)]
        rows = {}
        for size in CHOICES["render size"]:
            colorizer.render_size, colorizer.large_render_size = size, None
            painted = [colorizer.colorize(rgb, decode="mean") for rgb in group]
            rows[f"mean, render size {size}"] = measured(painted, group)
        colorizer.render_size, colorizer.large_render_size = own
        for first in CHOICES["colourfulness"]:
            colorizer.z["default"] = torch.tensor([first, *[0.0] * (len(colorizer.z["mean"]) - 1)])
            rows[f"default, z = {first}"] = measured([colorizer.colorize(rgb) for rgb in group], group)
        table[name] = rows
    return table


def show(rows: dict[str, dict[str, float]]) -> None:
    for name, row in rows.items():
        print(f"  {name:24}" + "  ".join(f"{key} {value:7.2f}" for key, value in row.items()))


def main() -> None:
    options = arguments(__doc__, weights=(None, "else those that ship"), squeezenet=("", "an .npz of its weights"),
                        hinted=(60, "photographs of a group that hints are tried on"),
                        choose=(False, "try settings on the validation split"),
                        split=("", "instead of it: train, validation, test or all"))
    torch.set_num_threads(1)
    colorizer = Colorizer.load(options.weights, "cpu").remembering()
    split = options.split or ("validation" if options.choose else "test")
    real = groups(Path(options.photos), split)
    if options.choose:
        table = choose(colorizer, real)
        for name, rows in table.items():
            print(name, file=sys.stderr), show(rows)
        return write_json(results_dir() / "colorizer_choice.json", {
            "command": "python -m colorlib.course.long.report --choose --photos DIR", "split": split,
            "machine": machine(), "groups": table})
    network = load_squeeze(options.squeezenet) if options.squeezenet else None
    sibling = Colorizer.load(shipped("l1"), "cpu")
    sibling.render_size, sibling.large_render_size = colorizer.render_size, colorizer.large_render_size
    result = {"command": "OMP_NUM_THREADS=1 python -m colorlib.course.long.report --photos DIR", "split": split,
              "machine": machine(), "weights": colorizer.metadata.get("sha256", "")[:16],
              "render size": colorizer.render_size, "large render size": colorizer.large_render_size, "groups": {}}
    for name, group in real.items():
        result["groups"][name] = report(colorizer, sibling, group, network, options.hinted)
        print(name, {k: v for k, v in result["groups"][name].items() if k != "rows"})
        show(result["groups"][name]["rows"])
        write_json(results_dir() / "colorizer_report.json", result)


if __name__ == "__main__":
    main()
