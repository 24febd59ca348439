"""What notebook 08 builds by hand gives the library's numbers; its wrong colourings are wrong as they say; the quiz counts."""

import contextlib
import json
import math
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from taught import taught_in

from colorlib import metrics, photos
from colorlib.color import rgb_to_grey, rgb_to_lab
from colorlib.colorizer import Colorizer
from colorlib.course import features as feature_metrics
from colorlib.course import nb08, scenes
from colorlib.course.claims import Claim, ratio, value
from colorlib.course.long import photographs_08
from colorlib.generators import UNet

ROOT = Path(__file__).resolve().parents[2]

NOTEBOOK = ROOT / "notebooks" / "08_measuring_colorization.ipynb"


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


@pytest.fixture(scope="module")
def pictures():
    return scenes.render(4, size=32, seed=3)


@pytest.fixture
def two():
    torch.manual_seed(0)
    small = torch.randint(0, 256, (2, 3, 6, 7)).float()
    return torch.nn.functional.interpolate(small, (40, 33), mode="bilinear").round().to(torch.uint8)


# metrics of one pair


def test_psnr(taught, two):
    assert taught["taught_psnr"](*two) == pytest.approx(metrics.psnr(*two), abs=1e-3)
    assert taught["taught_psnr"](two[0], two[0]) == math.inf


def test_ssim(taught, two):
    assert taught["taught_ssim"](*two) == pytest.approx(metrics.ssim(*two), abs=2e-4)


def test_auc(taught, two):
    ab, ab_real = (rgb_to_lab(rgb)[1:] for rgb in two)
    for scale in (0.0, 0.3, 1.0, 3.0):
        assert taught["taught_auc"](scale * ab, ab_real) == pytest.approx(metrics.auc(scale * ab, ab_real), abs=1e-4)


def test_colourfulness(taught, two):
    for rgb in two:
        assert taught["taught_colourfulness"](rgb) == pytest.approx(metrics.colourfulness(rgb), abs=1e-6)


def test_delta_e_is_scikit_images_for_any_two_colours(taught):
    """Near grey, across the seam of the hue angle, dark and light."""
    from skimage.color import deltaE_ciede2000

    generator = np.random.default_rng(0)
    lab = generator.uniform([0, -100, -100], [100, 100, 100], (2, 400, 3))
    lab[:, :50, 1:] *= 0.01
    lab[0, 50:60, 1:] = 0
    lab[1, 60:80, 1:] = -lab[0, 60:80, 1:] + 1e-3
    for first, second in zip(*lab):
        mine = taught["taught_delta_e"](*(torch.from_numpy(of)[:, None, None] for of in (first, second)))
        assert mine == pytest.approx(deltaE_ciede2000(first, second), abs=1e-4)


# metrics of sets, and through a network


def test_inception_score(taught):
    logits = 3 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    assert taught["taught_inception_score"](logits) == pytest.approx(feature_metrics.inception_score(logits), rel=1e-9)


@pytest.mark.parametrize("n, m, d", [(60, 80, 5), (12, 9, 20)])
def test_frechet_distance(taught, n, m, d):
    torch.manual_seed(d)
    x, y = torch.randn(n, d), torch.randn(m, d) @ torch.randn(d, d) + 1
    expected = feature_metrics.frechet_distance(x, y)
    assert taught["taught_frechet"](x, y) == pytest.approx(expected, rel=1e-5)
    few, spread = taught["frechet_of_few"](x, y)
    assert few == pytest.approx(expected, rel=1e-4)
    assert spread == pytest.approx((x.var(0).sum() + y.var(0).sum()).item(), rel=1e-5)


def test_perceptual_distance_is_that_of_lpips(taught):
    """With the layers and the weights of torchmetrics' LPIPS (its AlexNet not trained): the same number."""
    from torchmetrics.functional.image.lpips import _LPIPS

    net = _LPIPS(net="alex", pnet_rand=True)
    a, b = 2 * torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1
    with torch.no_grad():
        layers = [net.net(net.scaling_layer(rgb)) for rgb in (a, b)]
        weights = [lin.model[-1].weight.flatten() for lin in net.lins]
        mine, theirs = taught["perceptual_distance"](*layers, weights), net(a, b).flatten()
    assert torch.allclose(mine, theirs, rtol=1e-4)


def test_extrapolation_of_a_line_in_one_over_n_is_exact(taught):
    sizes = [100, 200, 500, 1000]
    assert taught["at_infinity"](sizes, [7 - 30 / n for n in sizes]) == pytest.approx(7)
    assert taught["at_infinity"](sizes, [3.0] * 4) == pytest.approx(3)


def test_the_classifier_brings_pictures_to_its_size_itself(taught):
    classifier = taught["SceneClassifier"](20).eval()
    rgb = torch.randint(0, 256, (3, 3, 50, 70), dtype=torch.uint8)
    small = torch.nn.functional.interpolate(rgb, (32, 32), mode="bilinear", antialias=True)
    assert torch.allclose(classifier(rgb), classifier(small), atol=1e-5)
    assert [layer.shape[1:] for layer in classifier.layers(rgb)] == [(16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert classifier.features(rgb).shape == (3, 64) and classifier(rgb).shape == (3, 20)


# wrong on purpose


def test_faults_are_what_they_are_called(taught, pictures):
    _, ab = pictures.L_ab()
    faults = {name: fault(ab) for name, fault in taught["FAULTS"].items()}
    assert all(wrong.shape == ab.shape and not torch.equal(wrong, ab) for wrong in faults.values())
    chroma = ab.norm(dim=1)
    assert faults["grey"].abs().max() == 0
    assert torch.allclose(faults["washed out"].norm(dim=1), 0.5 * chroma)
    assert (faults["over-saturated"].norm(dim=1) >= 1.5 * chroma).all()
    assert torch.allclose(faults["hue turned"].norm(dim=1), chroma, atol=1e-6)
    cosine = (faults["hue turned"] * ab).sum(1) / chroma.square()
    assert torch.allclose(cosine[chroma > 0.05], torch.tensor(0.5), atol=1e-4)
    assert torch.equal(faults["misregistered"][..., 2:], ab[..., :-2])


def test_blur_keeps_what_is_flat_and_softens_what_is_not(taught):
    flat = torch.full((1, 2, 20, 30), 0.3)
    assert torch.allclose(taught["blurred"](flat), flat, atol=1e-6)
    point = torch.zeros(1, 2, 41, 41)
    point[..., 20, 20] = 1
    soft = taught["blurred"](point)
    assert soft.sum() == pytest.approx(2, abs=1e-4) and soft.max() < 0.1
    assert torch.allclose(soft, soft.flip(-1), atol=1e-6) and torch.allclose(soft, soft.mT, atol=1e-6)


def test_another_palette(taught):
    s = scenes.render(40, size=32, seed=4)
    _, ab = s.L_ab()
    painted = taught["another_palette"](s)
    for number, kind in enumerate(scenes.KINDS, 1):  # free things: a colour of the palette, and not their own
        places, palette = s.free == number, scenes.PALETTES[kind].ab
        old, new = (torch.cdist(of.movedim(1, -1)[places], palette) for of in (ab, painted))
        assert new.min(1).values.max() < 1e-3 and (new.argmin(1) != old.argmin(1)).all()
    winter = s.season == 3
    still = (s.free == 0)[:, None].expand_as(ab)
    assert torch.equal(painted[winter][still[winter]], ab[winter][still[winter]])
    assert not torch.allclose(painted[~winter][still[~winter]], ab[~winter][still[~winter]], atol=0.05)


# the quiz


def test_wilson(taught):
    from scipy.stats import binomtest

    for k, n in ((0, 5), (3, 5), (5, 5), (13, 20), (200, 400)):
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert taught["taught_wilson"](k, n) == pytest.approx(tuple(expected), abs=1e-6)


def test_quiz_knows_which_side_is_real(taught):
    game = taught["Quiz"](9, seed=1)
    assert sorted(game.order) == list(range(9)) and set(game.real_side) == {"left", "right"}
    for number, side in enumerate(list(game.real_side)):
        assert not game.finished
        wrong = number % 3 == 0
        answer = {"left": "right", "right": "left"}[side] if wrong else side
        assert game.answer(answer) is not wrong
    assert game.finished and game.score().startswith("6 of 9 right: 35% to 88%")
    with pytest.raises(ValueError, match="9 of 9"):
        game.answer("left")
    with pytest.raises(ValueError, match="middle"):
        taught["Quiz"](2, seed=0).answer("middle")


def test_quiz_says_what_guessing_is(taught):
    perfect, even = taught["Quiz"](20, seed=2), taught["Quiz"](20, seed=2)
    for number, side in enumerate(perfect.real_side):
        perfect.answer(side)
        even.answer(side if number % 2 else {"left": "right", "right": "left"}[side])
    assert "not guessing" in perfect.score() and "which includes guessing" in even.score()
    assert taught["Quiz"](20, seed=2).real_side == perfect.real_side != taught["Quiz"](20, seed=3).real_side


@pytest.fixture
def page(taught):
    """The quiz as widgets, with pictures whose grey value tells the real one (200) from the coloured one (50)."""
    def picture(value):
        return torch.full((3, 4, 4), value, dtype=torch.uint8)

    def sides(game, number):
        pair = picture(200), picture(50)
        return pair if game.real_side[number] == "left" else pair[::-1]

    taught["sides"] = sides
    game = taught["Quiz"](3, seed=0)
    images, buttons, status = taught["play"](game).children
    return game, images.children, buttons.children, status


def value_of(image):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(image.value)))[0, 0, 0]


def test_play_shows_the_pair_counts_and_ends(page):
    game, images, buttons, status = page
    for number in range(3):
        real = ["left", "right"].index(game.real_side[number])
        assert [value_of(image) for image in images] == ([200, 50] if real == 0 else [50, 200])
        buttons[real].click()
        assert status.value.startswith(f"Right. {number + 1} of {number + 1}")
    assert game.answers == [True] * 3 and "The end" in status.value and all(button.disabled for button in buttons)


def test_play_shows_an_exception_of_a_callback(page):
    game, _, buttons, status = page
    game.answers += [True] * 3  # as if it were over: the answer is refused
    with contextlib.suppress(ValueError):  # ipywidgets logs it, where no reader looks
        buttons[0].click()
    assert "ValueError" in status.value and "3 of 3" in status.value


# the claim


def test_conditions_of_the_notebook_are_the_scripts_and_the_files():
    cell = next(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if 'Claim("C27"' in cell.source)
    names = {"Claim": Claim, "ratio": ratio, "value": value}
    exec(cell[: cell.index("def ab_of")], names)  # noqa: S102
    assert names["c27"].conditions == photographs_08.GOOD
    for file in (ROOT / "data" / "results" / "claims").glob("C27*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        expected = photographs_08.SHARE.conditions if file.stem == "C27d" else photographs_08.GOOD
        assert [(of["measure"], of["supported"], of["parity"]) for of in record["conditions"]] == [
            (of.measure, of.supported, of.parity) for of in expected]
        assert record["of"] == "photographs"


def test_score_table_ranks_each_metric_its_own_way():
    table = {"real": {"more": 9.0, "less": 0.0, "one": 1.0}, "a": {"more": 1.0, "less": 2.0, "one": 1.9},
             "b": {"more": 5.0, "less": 7.0, "one": 0.5}}
    figure = nb08.score_table(table, {"more": "+", "less": "-", "one": "1"}, title="")
    assert figure.axes[0].images[0].get_array().tolist() == [[0, 0, 0], [2, 1, 2], [1, 2, 1]]


def test_script_on_photographs(tmp_path, monkeypatch, capsys):
    """On painted photographs: the test split alone, grey as the zero line, both kinds apart, the claims from the gains."""
    rgbs, reals = scenes.render(12, size=48, seed=9).rgb, {}
    for kind in photographs_08.KINDS:
        names = [f"{kind}{i}.png" for i in range(200)]
        test = [name for name in names if photos.split_of(name) == "test"][:3]
        (tmp_path / kind).mkdir()
        for number, name in enumerate([*test, *[name for name in names if photos.split_of(name) == "train"][:3]]):
            photos.write_photo(tmp_path / kind / name, rgbs[number])
        reals[kind] = rgbs[:3]
    torch.manual_seed(0)
    Colorizer(UNet(base_channels=4, levels=3), render_size=32).save(tmp_path / "w.safetensors")
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("COLORLIB_PRESET", "laptop")
    monkeypatch.setenv("COLORLIB_COMMAND", "")
    monkeypatch.setattr(sys, "argv", ["x", "--photos", str(tmp_path), "--weights", str(tmp_path / "w.safetensors")])
    photographs_08.main()
    record = json.loads((tmp_path / "results" / "photographs_08.json").read_text())
    assert "3 landscapes and 3 objects" in record["data"] and list(record["summary"]) == [
        f"{kind}, {way}" for kind in photographs_08.KINDS for way in ("grey", "default", "mean")]
    grey = [metrics.auc(rgb_to_lab(rgb_to_grey(real))[1:], rgb_to_lab(real)[1:]) for real in reals["objects"]]
    assert float(record["summary"]["objects, grey"]["auc"].split()[0]) == pytest.approx(sum(grey) / 3, rel=0.01)
    zero_line = record["summary"]["objects, grey"]
    assert zero_line["share_above_grey"] == "0" and zero_line["colourfulness_ratio"] == "0"
    claims = {name: json.loads((tmp_path / "results" / "claims" / f"{name}.json").read_text()) for name in ("C27b", "C27c", "C27d")}
    coloured = [Colorizer.load(tmp_path / "w.safetensors").colorize(real) for real in reals["objects"]]
    gains = [metrics.auc(rgb_to_lab(rgb)[1:], rgb_to_lab(real)[1:]) - zero for rgb, real, zero in zip(coloured, reals["objects"], grey)]
    first, vivid, away = (condition["values"] for condition in claims["C27c"]["conditions"])
    assert sorted(first) == pytest.approx(sorted(gains), abs=1e-3)
    assert sorted(vivid) == pytest.approx(
        sorted(metrics.colourfulness(a) / metrics.colourfulness(b) for a, b in zip(coloured, reals["objects"])), rel=1e-3)
    kinds = (coloured, map(rgb_to_grey, reals["objects"]), reals["objects"])
    clouds = [[rgb_to_lab(rgb)[1:].flatten(1).T[::7] for rgb in of] for of in kinds]
    assert sorted(away) == pytest.approx(sorted(metrics.sliced_wasserstein(a, real) / metrics.sliced_wasserstein(zero, real)
                                                for a, zero, real in zip(*clouds)), rel=1e-3)
    assert len(claims["C27d"]["conditions"][0]["values"]) == 6 and claims["C27d"]["command"].endswith("--photos DIR")
