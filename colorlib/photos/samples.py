"""The photographs that scikit-image, scikit-learn and matplotlib install. Nothing is downloaded."""

import importlib.util
from pathlib import Path

from torch import Tensor

from colorlib.color import rgb_to_grey
from colorlib.photos.read import Photo, PhotoError, read_photo

SPLITS = ("train", "validation", "test")
# Split by hand: the two motorcycle pictures show one scene. Left out: hubble_deep_field (colours assigned to filters),
# retina and ihc (medical), color (a drawing).
SAMPLES = {
    "astronaut": ("skimage", "data/astronaut.png", "train"),
    "china": ("sklearn", "datasets/images/china.jpg", "train"),
    "coffee": ("skimage", "data/coffee.png", "train"),
    "flower": ("sklearn", "datasets/images/flower.jpg", "train"),
    "motorcycle_left": ("skimage", "data/motorcycle_left.png", "train"),
    "motorcycle_right": ("skimage", "data/motorcycle_right.png", "train"),
    "rocket": ("skimage", "data/rocket.jpg", "validation"),
    "chelsea": ("skimage", "data/chelsea.png", "test"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "test"),
}
# Left out of the grey ones: page and text (no colour to find), clock_motion (a blur), drawings, microscopy.
OLD = {name: ("skimage", f"data/{name}.png") for name in ("brick", "camera", "coins", "grass", "gravel", "moon")}


def sample_photographs(split: str | None = None) -> list[tuple[str, Tensor]]:
    """(name, uint8 (3, H, W)) of the colour photographs of a split (None: all): of eight scenes, too few for a claim.

    ValueError: there is no such split. PhotoError: a file is not where its package installs it.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}, must be one of {SPLITS} or None: choose one")
    return [(name, sample_photograph(name).rgb) for name, (_, _, part) in SAMPLES.items() if split in (None, part)]


def old_photographs() -> list[tuple[str, Tensor]]:
    """(name, uint8 (3, H, W) with three equal channels) of the grey photographs, as old ones to colour."""
    return [(name, rgb_to_grey(sample_photograph(name).rgb)) for name in OLD]


def sample_photograph(name: str) -> Photo:
    """One of `sample_photographs` or `old_photographs`, as its file is. ValueError: there is no such name."""
    return read_photo(sample_file(name))


def sample_file(name: str) -> Path:
    if name not in SAMPLES and name not in OLD:
        raise ValueError(f"no sample photograph is called {name!r}: choose one of {', '.join([*SAMPLES, *OLD])}")
    package, file = (SAMPLES.get(name) or OLD[name])[:2]
    found = importlib.util.find_spec(package)   # finds the folder without the seconds that an import takes
    path = (Path(found.origin).parent if found is not None and found.origin else Path(package)) / file
    if not path.is_file():
        package = {"skimage": "scikit-image", "sklearn": "scikit-learn"}.get(package, package)
        raise PhotoError(path, f"the sample photograph is not installed with {package}",
                         f"install the package again (pip install --force-reinstall {package})")
    return path
