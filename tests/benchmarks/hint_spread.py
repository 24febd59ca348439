"""How far one hint reaches: how much of its thing changes colour, and how much of everything else.

    OMP_NUM_THREADS=1 python tests/benchmarks/hint_spread.py [--scenes 24] [--size 192]

A thing is a connected area of one label of a painted scene, at least 1 % of the picture. It gets one hint at its innermost point, in
that colour of the palette below which is furthest from what the weights that ship give there. A pixel has changed if its a and b
moved by more than 3 CIE units. Everything is the default: decoding, reach, render size. Writes hint_spread.json into
COLORLIB_RESULTS (else build/results).
"""

from __future__ import annotations

import argparse
from statistics import fmean, median

import torch
from scipy.ndimage import distance_transform_edt
from skimage.measure import label

from colorlib.color import rgb_to_lab
from colorlib.colorizer import Colorizer, Hint
from colorlib.course.scenes import LABELS, render
from colorlib.files import write_json
from colorlib.runtime import results_dir

PALETTE = ((45, 32), (5, -38), (-38, 12), (8, 48))  # CIE a, b: red, blue, green, yellow
LEAST_SHARE, CHANGED, SEED = 0.01, 3.0, 4


def things(labels: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """Name and pixels, bool (S, S), of the things in a picture of labels (S, S)."""
    areas = torch.from_numpy(label(labels.numpy() + 1, connectivity=1))
    found = [areas == k for k in range(1, int(areas.max()) + 1)]
    return [(LABELS[int(labels[area][0])], area) for area in found if area.float().mean() >= LEAST_SHARE]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--size", type=int, default=192)
    args = parser.parse_args(arguments)
    colorizer, scenes, rows = Colorizer.load(None, "cpu").remembering(), render(args.scenes, args.size, SEED), []
    for rgb, labels in zip(scenes.rgb, scenes.labels):
        before = rgb_to_lab(colorizer.colorize(rgb))[1:]
        for name, area in things(labels):
            depth = torch.from_numpy(distance_transform_edt(area.numpy()))
            y, x = divmod(int(depth.argmax()), depth.shape[1])
            a, b = max(PALETTE, key=lambda color: torch.dist(before[:, y, x], torch.tensor(color, dtype=torch.float32)).item())
            after = rgb_to_lab(colorizer.colorize(rgb, hints=[Hint(x, y, a, b)]))[1:]
            changed = (after - before).norm(dim=0) > CHANGED
            rows.append({"thing": name, "inside": changed[area].float().mean().item(),
                         "outside": changed[~area].float().mean().item()})
        print(len(rows), flush=True)
    summary = {side: {"median": round(median(row[side] for row in rows), 3), "mean": round(fmean(row[side] for row in rows), 3)}
               for side in ("inside", "outside")}
    by_thing = {name: [round(median(row[side] for row in rows if row["thing"] == name), 3) for side in ("inside", "outside")]
                for name in sorted({row["thing"] for row in rows})}
    print(summary, by_thing)
    write_json(results_dir() / "hint_spread.json", {"scenes": args.scenes, "size": args.size, "seed": SEED, "things": len(rows),
                                                    "share of the pixels changed": summary, "median by thing": by_thing})


if __name__ == "__main__":
    main()
