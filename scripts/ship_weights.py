"""Put the weights of a training run into data/weights, in 16 bits, with the settings chosen on validation photographs.

    .venv/bin/python scripts/ship_weights.py --run RUN --render-size 128 --large-render-size 192 --colourfulness 0.3 --contrast 1.25 \\
        --variants 1.2 --even 0.23 0.1

RUN is what `colorlib train --recipe colorizer` wrote: weights.safetensors becomes colorizer.safetensors, and l1.safetensors,
the same network before the adversarial steps, its sibling. --colourfulness is the first number of the default's z, in
standard deviations of its distribution given L; --variants is the deviation of the z of other colourings; --even are
the two numbers of `render.even_out`; --contrast is the exponent in the metadata
of `Colorizer`, which the sibling does without. Settings are compared by `colorlib/course/long/report.py --choose`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from colorlib.training.recipe import Z_CHANNELS
from colorlib.training.weights import load_generator, save_weights

FOLDER = Path(__file__).resolve().parent.parent / "data" / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--render-size", type=int, required=True)
    parser.add_argument("--large-render-size", type=int, required=True)
    parser.add_argument("--colourfulness", type=float, required=True)
    parser.add_argument("--contrast", type=float, required=True)
    parser.add_argument("--variants", type=float, required=True)
    parser.add_argument("--even", type=float, nargs=2, required=True, metavar=("REACH", "EDGE"))
    options = parser.parse_args()
    vivid = [options.colourfulness] + [0.0] * (Z_CHANNELS - 1)
    for source, name in (("weights", "colorizer"), ("l1", "l1")):
        generator, metadata = load_generator(options.run / f"{source}.safetensors")
        # the sibling has one z, that of its mean
        z_default = json.dumps(vivid) if name == "colorizer" else metadata["z_mean"]
        path = FOLDER / f"{name}.safetensors"
        chosen = {"render_size": str(options.render_size), "large_render_size": str(options.large_render_size),
                  "z_default": z_default, "mirrored": "yes", "even": json.dumps(options.even),
                  "z_std": json.dumps([options.variants] * (Z_CHANNELS - 1) + [0.0])}
        chosen |= {"contrast": json.dumps([options.contrast])} if name == "colorizer" else {}
        save_weights(path, generator, {**metadata, **chosen}, half=True)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, step {metadata['step']}")


if __name__ == "__main__":
    main()
