"""The photographs of `flagship`, from a folder or from one file, and what is measured on them.

    python -m colorlib.course.long.flagship_data

colours the sample photographs with the generators that flagship left in COLORLIB_RESULTS (else build/results). Writes
flagship_colours.npz there: names, and for each variant ab of central squares, (8, 2, 64, 64) int8, 127 for 110 units.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colorlib.color import AB_SCALE, L_ab_to_rgb8, rgb_to_L_ab
from colorlib.course.nb04 import pixels
from colorlib.files import write_atomically
from colorlib.generators import Generator, predict
from colorlib.metrics import colourfulness, sliced_wasserstein
from colorlib.runtime import results_dir

SIZE, STORED = 64, 72  # pixels of a side: of a picture, and of what is kept to cut it from
NUM = {"train": 12_000, "validation": 500, "test": 1000}


def squares(folder: str) -> dict[str, list[Tensor]]:
    """Split -> central squares of photographs, uint8 (3, 72, 72); folders that hold photographs take turns."""
    from colorlib import photos  # needs packages that a lent GPU machine may lack

    chosen = {}
    for split, paths in photos.scan_splits(folder).items():
        order = np.random.default_rng(0).permutation(len(paths))
        groups: dict[Path, list[Path]] = {}
        for path in (paths[number] for number in order):
            groups.setdefault(path.parent, []).append(path)
        longest = max(map(len, groups.values()), default=0)
        turns = [each[place] for place in range(longest) for each in groups.values() if place < len(each)]
        good, at = [], 0
        while len(good) < NUM[split] and at < len(turns):
            loaded, _ = photos.load_photos(turns[at : at + NUM[split]], STORED)
            good, at = good + [rgb for rgb in loaded if not photos.is_grey(rgb)], at + NUM[split]
        chosen[split] = [central(rgb) for rgb in good[: NUM[split]]]
    return chosen


def central(rgb: Tensor, side: int = STORED) -> Tensor:
    top, left = ((length - side) // 2 for length in rgb.shape[1:])
    return rgb[:, top : top + side, left : left + side]


def write_pack(path: Path, pictures: dict[str, list[Tensor]]) -> None:
    """All pictures in one file, as WebP of quality 80."""
    arrays = {}
    for split, those in pictures.items():
        files = []
        for rgb in those:
            Image.fromarray(rgb.permute(1, 2, 0).numpy()).save(file := io.BytesIO(), "WEBP", quality=80, method=6)
            files.append(file.getvalue())
        arrays[split] = np.frombuffer(b"".join(files), np.uint8)
        arrays[split + "_ends"] = np.cumsum([len(each) for each in files])
    np.savez(file := io.BytesIO(), **arrays)
    write_atomically(path, file.getvalue())


def read_pack(path: str | Path) -> dict[str, list[Tensor]]:
    pictures = {}
    with np.load(path) as arrays:
        for split in NUM:
            data, ends = arrays[split].tobytes(), arrays[split + "_ends"].tolist()
            files = [data[start:end] for start, end in zip([0, *ends], ends)]
            arrays_of = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files)
            pictures[split] = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays_of]
    return pictures


class Data(NamedTuple):
    """What the runs share. `train` is (N, 72, 72, 3) float16: L and ab, scaled; the others pairs of SIZE pixels."""

    train: Tensor
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, pictures: dict[str, list[Tensor]], where: torch.device) -> "Data":
        pairs = {split: rgb_to_L_ab(torch.stack(those)) for split, those in pictures.items()}
        edge = (STORED - SIZE) // 2
        held = [tuple(part[..., edge : edge + SIZE, edge : edge + SIZE].to(where) for part in pairs[split])
                for split in ("validation", "test")]
        return cls(torch.cat(pairs["train"], 1).permute(0, 2, 3, 1).half().contiguous().to(where), *held)


def colours(generator: Generator, L: Tensor, seed: int = 0) -> Tensor:
    """ab for L (B, 1, H, W), with the noise of `seed`."""
    z = torch.randn(len(L), generator.z_channels, generator=torch.Generator().manual_seed(seed)).to(L.device)
    return torch.cat([predict(generator, part, z=noise).ab for part, noise in zip(L.split(250), z.split(250))])


def error_of(ab_fake: Tensor, ab_real: Tensor, where: Tensor | None = None) -> float:
    distance = AB_SCALE * (ab_fake - ab_real).norm(dim=1)
    return (distance if where is None else distance[where]).mean().item()


def fine(ab: Tensor) -> Tensor:
    """What a mean over 9 x 9 pixels takes away."""
    return ab - F.avg_pool2d(ab, 9, 1, 4, count_include_pad=False)


def detail(ab_fake: Tensor, ab_real: Tensor) -> float:
    """Correlation of the fine structure of all pictures with the real one: -1 to 1 (the same places, any strength)."""
    fake, real = fine(ab_fake), fine(ab_real)
    return ((fake * real).sum() / (fake.norm() * real.norm()).clamp(min=1e-9)).item()


def steepest(L: Tensor) -> Tensor:
    """The tenth of the pixels of each picture where L (B, 1, H, W) changes most: (B, H, W) bool."""
    across, down = L.diff(dim=-1).abs(), L.diff(dim=-2).abs()
    slope = torch.maximum(F.pad(across, (0, 1)), F.pad(down, (0, 0, 0, 1)))[:, 0]
    return slope > slope.flatten(1).quantile(0.9, dim=1)[:, None, None]


def vividness(L: Tensor, ab: Tensor) -> float:
    return float(np.mean([colourfulness(rgb) for rgb in L_ab_to_rgb8(L.cpu(), ab.cpu())]))


def measures(L: Tensor, ab_fake: Tensor, ab_real: Tensor, vivid: float) -> dict[str, float]:
    """What is compared; `vivid` is the vividness of the real pictures."""
    edges, some = steepest(L), [pixels(ab[..., 4::8, 4::8]).cpu() for ab in (ab_fake, ab_real)]
    return {
        "error": error_of(ab_fake, ab_real),
        "colourfulness": vividness(L, ab_fake) / vivid,
        "distance of colours": AB_SCALE * sliced_wasserstein(*some, 16),
        "detail": detail(ab_fake, ab_real),
        "edges / elsewhere": error_of(ab_fake, ab_real, edges) / error_of(ab_fake, ab_real, ~edges),
    }


def central_squares(side: int) -> dict[str, Tensor]:
    """Sample photograph -> its central square, uint8 (3, side, side); of two of one motorcycle the first."""
    from colorlib import photos

    return {name: central(photos.resize_short(rgb, side), side).contiguous()
            for name, rgb in photos.sample_photographs() if name != "motorcycle_right"}


def main() -> None:
    from colorlib.training.weights import load_generator

    samples = central_squares(SIZE)
    L, _ = rgb_to_L_ab(torch.stack(list(samples.values())))
    coloured = {}
    for file in sorted(results_dir().glob("*_*U-Net.safetensors")):
        ab = colours(load_generator(file)[0], L)
        coloured[file.stem] = (ab * 127).round().clamp(-127, 127).to(torch.int8).numpy()
    np.savez_compressed(file := io.BytesIO(), names=np.array(list(samples)), **coloured)
    write_atomically(results_dir() / "flagship_colours.npz", file.getvalue())


if __name__ == "__main__":
    main()
