"""The weights that ship: small, whole, in the wheel, and worth more than grey on what they never saw."""

from pathlib import Path

import torch

from colorlib import color, metrics
from colorlib.colorizer import Colorizer, Hint
from colorlib.course import scenes
from colorlib.photos import old_photographs
from colorlib.training.weights import shipped

ROOT = Path(__file__).resolve().parent.parent


def test_all_weights_together_are_small_and_go_into_the_wheel():
    files = [shipped("colorizer"), shipped("l1")]
    assert sum(path.stat().st_size for path in files) < 24e6
    assert {path.parent for path in files} == {ROOT / "data" / "weights"}
    assert '"data/weights" = "colorlib/shipped"' in (ROOT / "pyproject.toml").read_text()
    card = (ROOT / "data" / "weights" / "README.md").read_text()
    metadata = Colorizer.load(device="cpu").metadata
    assert f"--steps {metadata['steps']} --recipe {metadata['recipe']} --size {metadata['size']}" in card
    assert metadata["step"] == metadata["steps"] and metadata["repeat"] in card


def test_a_sky_is_blue_and_colours_are_in_a_photographs_measure(colorizer):
    rgb = dict(old_photographs())["camera"]
    sky = color.rgb_to_lab(colorizer.colorize(rgb))[:, :100, 200:]
    assert sky[2].mean() < -3  # towards blue


def test_the_default_is_more_colourful_than_the_mean_and_grey_is_worse(colorizer, china):
    mean, default = colorizer.colorize(china, decode="mean"), colorizer.colorize(china)
    assert metrics.colourfulness(default) > 1.2 * metrics.colourfulness(mean) > 0
    real = color.rgb_to_lab(china)[1:]
    assert metrics.auc(color.rgb_to_lab(mean)[1:], real) > metrics.auc(0 * real, real)


def test_other_colourings_differ_and_are_plausible(colorizer, china):
    painted = [color.rgb_to_lab(colorizer.colorize(china, variant=variant))[1:] for variant in (1, 2, 3)]
    for k, first in enumerate(painted):
        assert first.norm(dim=0).mean() < 40
        for other in painted[k + 1 :]:
            assert (first - other).norm(dim=0).mean() > 2


def test_a_hint_holds_spreads_and_stops_at_edges(colorizer):
    """A flat grey square on a darker ground: the hint colours the square, much less the ground."""
    rgb = torch.full((3, 120, 160), 60, dtype=torch.uint8)
    rgb[:, 30:90, 40:120] = 170
    before = color.rgb_to_lab(colorizer.colorize(rgb))[1:]
    after = color.rgb_to_lab(colorizer.colorize(rgb, hints=[Hint(80, 60, 40.0, 10.0)]))[1:]
    assert (after[:, 60, 80] - torch.tensor([40.0, 10.0])).abs().max() < 3
    moved = (after - before).norm(dim=0)
    assert moved[40:80, 50:110].mean() > 10
    assert moved[40:80, 50:110].mean() > 3 * moved[:20].mean()


def test_the_distribution_suggests_and_doubts(colorizer, china):
    height, width = china.shape[-2:]
    suggestions = colorizer.suggest(china, width // 2, 10)
    assert 1 <= len(suggestions) <= 5 and 0 < sum(one.probability for one in suggestions) <= 1.0001
    doubt = colorizer.uncertainty(china)
    assert doubt.shape == (height, width) and 0 < doubt.min() and doubt.max() < 80


def test_scenes_of_any_shape_are_coloured(colorizer):
    rgb = scenes.render(1, size=64, seed=5).rgb[0]
    for part in (rgb[:, :9, :], rgb[:, :, :13], rgb[:, 5:18, :63]):
        assert colorizer.colorize(part).shape == part.shape
