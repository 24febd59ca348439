"""Check all 16 777 216 8-bit colours: Lab against scikit-image, and the way back.

Run it: python tests/benchmarks/check_whole_cube.py
"""

from __future__ import annotations

import numpy as np
import skimage.color
import torch

from colorlib import color


def slab(red: int) -> torch.Tensor:
    """Return the 65,536 colours of one red value as a (3, 256, 256) picture."""
    axis = torch.arange(256, dtype=torch.uint8)
    green, blue = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([torch.full_like(green, red), green, blue])


def main() -> None:
    """Print the largest differences over the cube, and fail if they are too large."""
    worst = np.zeros(3)
    worst_float = worst_L_alone = 0.0
    wrong = {"clipped": 0, "fitted": 0, "scaled": 0, "grey L": 0.0}
    for red in range(256):
        rgb = slab(red)
        lab = color.rgb_to_lab(rgb)
        reference = skimage.color.rgb2lab(rgb.permute(1, 2, 0).numpy())
        worst = np.maximum(worst, np.abs(lab.permute(1, 2, 0).numpy() - reference).max((0, 1)))
        worst_float = max(worst_float, (color.rgb_to_lab(rgb.double() / 255) - lab).abs().max().item())
        L, ab = color.normalize(lab)
        worst_L_alone = max(worst_L_alone, (color.rgb_to_L(rgb) - L).abs().max().item())
        for name, back in {
            "clipped": color.lab_to_rgb8(lab),
            "fitted": color.lab_to_rgb8(lab, fit=True),
            "scaled": color.L_ab_to_rgb8(L, ab),
        }.items():
            wrong[name] += int((back != rgb).any(0).sum())
        grey_L = color.rgb_to_lab(color.rgb_to_grey(rgb))[0]
        wrong["grey L"] = max(wrong["grey L"], (grey_L - lab[0]).abs().max().item())
    print(f"largest difference from scikit-image in L, a, b: {worst[0]:.5f} {worst[1]:.5f} {worst[2]:.5f}")
    print(f"largest difference between the fast and the float64 road: {worst_float:.5f}")
    print(f"largest difference of L alone (scaled): {worst_L_alone:.1e}")
    lost = ", ".join(f"{wrong[name]} {name}" for name in ("clipped", "fitted", "scaled"))
    print(f"colours that did not come back, of 16777216: {lost}")
    print(f"largest change of L by rgb_to_grey: {wrong['grey L']:.3f}")
    if worst.max() > 0.01 or any(wrong[name] for name in ("clipped", "fitted", "scaled")):
        raise SystemExit("too large")


if __name__ == "__main__":
    main()
