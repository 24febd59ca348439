"""What notebook 09 builds by hand is what its scripts use; hints are placed as they say; the slices are sRGB's; the thresholds stand."""

import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from taught import taught_in

from colorlib import metrics, photos
from colorlib.color import rgb_to_grey, rgb_to_lab
from colorlib.colorizer import Hint, Settings
from colorlib.course import nb09, nb09_figures, scenes
from colorlib.course.claims import Claim, ratio, value
from colorlib.course.long import photographs_09

ROOT = Path(__file__).resolve().parents[2]

NOTEBOOK = ROOT / "notebooks" / "09_interactive_colorization.ipynb"
SOURCE = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


@pytest.fixture(scope="module")
def cat():
    return photos.resize_short(dict(photos.sample_photographs())["chelsea"], 96)


# placing


def test_taught_placing_is_the_scripts(taught, cat):
    plane = torch.rand(40, 61, generator=torch.Generator().manual_seed(0))
    assert torch.equal(taught["around"](plane), nb09.around(plane))
    taken = [Hint(10, 20, 0, 0), Hint(50, 5, 0, 0)]
    for seed in range(20):
        plane = torch.rand(40, 61, generator=torch.Generator().manual_seed(seed))
        assert taught["highest"](plane, taken) == nb09.highest(plane, taken)
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    mine, theirs = (of(cat, 6, lambda hints, g=g: torch.rand(cat.shape[1:], generator=g))
                    for of, g in zip((taught["placed"], nb09.placed), generators))
    assert mine == theirs == nb09.at_random(cat, 6, seed=3)


def test_around_is_a_mean_of_a_window_inside_the_picture():
    plane = torch.arange(30.0 * 45).view(30, 45)
    assert nb09.around(plane)[10, 20] == pytest.approx(float(plane[9:12, 19:22].mean()))
    assert nb09.around(plane)[0, 0] == pytest.approx(float(plane[:2, :2].mean()))


def test_highest_is_the_highest_that_keeps_its_distance():
    score = torch.zeros(20, 30)
    score[5, 7], score[6, 8], score[15, 25] = 3, 2, 1
    assert nb09.highest(score, []) == (7, 5)
    assert nb09.highest(score, [Hint(7, 5, 0, 0)], apart=0.1) == (25, 15)  # 2 pixels: (8, 6) is 1.4 away
    assert nb09.highest(score, [Hint(7, 5, 0, 0)], apart=0.05) == (8, 6)
    with pytest.raises(ValueError, match="no room for another hint among 1 on 30 x 20 pixels: ask for fewer"):
        nb09.highest(score, [Hint(15, 10, 0, 0)], apart=2)


def test_every_way_places_true_colours_at_different_points(colorizer, cat):
    ways = {"random": nb09.at_random(cat, 5, seed=0), "uncertain": nb09.at_most_uncertain(colorizer, cat, 5),
            "reach": nb09.at_uncertain_reach(colorizer, cat, 5), "worst": nb09.at_worst(colorizer, cat, 5)}
    ab = rgb_to_lab(cat)[1:]
    for name, hints in ways.items():
        assert len(hints) == len({(hint.x, hint.y) for hint in hints}) == 5
        for hint in hints:
            assert (hint.a, hint.b) == pytest.approx(ab[:, hint.y, hint.x].tolist())
        if name != "reach":
            gaps = [math.dist(p[:2], q[:2]) for k, p in enumerate(hints) for q in hints[k + 1:]]
            assert min(gaps) >= nb09.APART * 96
    assert ways["random"] != nb09.at_random(cat, 5, seed=1)


def test_each_hint_answers_the_hints_before_it(colorizer, cat):
    """The second uncertain point is that of the map given the first hint; the oracle's first is the largest error."""
    first, second = nb09.at_most_uncertain(colorizer, cat, 2)
    unsure = nb09.around(colorizer.uncertainty(cat))
    assert unsure[first.y, first.x] == unsure.max()
    given = nb09.around(colorizer.uncertainty(cat, hints=[first]))
    assert nb09.highest(given, [first]) == (second.x, second.y)
    error = nb09.around(nb09.error_map(colorizer.colorize(cat, decode="mean"), cat))
    worst = nb09.at_worst(colorizer, cat, 1)[0]
    assert error[worst.y, worst.x] == error.max()


def test_reach_is_whole_at_the_point_and_ends_at_edges(colorizer):
    rgb = torch.full((3, 96, 96), 40, dtype=torch.uint8)
    rgb[:, :, 48:] = 200
    reach = nb09.reaches(colorizer, rgb, [(20, 50)])[0]
    assert reach.shape == (48, 48) and reach[25, 10] == 1 and 0 <= float(reach.min()) and float(reach.max()) <= 1
    assert reach[:, :20].min() > 0.5 and reach[:, 28:].max() < 0.1


def test_uncertain_reach_takes_the_large_thing_first_and_then_another(colorizer, monkeypatch):
    """Equal uncertainty everywhere: the larger side gets the first hint, the other one the second."""
    monkeypatch.setattr(colorizer, "uncertainty", lambda rgb, hints: torch.ones(rgb.shape[1:]))
    rgb = torch.full((3, 96, 96), 40, dtype=torch.uint8)
    rgb[:, :, 60:] = 200
    first, second = nb09.at_uncertain_reach(colorizer, rgb, 2)
    assert first.x < 60 < second.x


# measures


def test_detail(taught):
    ramp = torch.linspace(40, 200, 64).round().to(torch.uint8)
    smooth = torch.stack([ramp.expand(64, 64), ramp.flip(0).expand(64, 64), torch.full((64, 64), 100, dtype=torch.uint8)])
    board = torch.where((torch.arange(64)[:, None] + torch.arange(64)) % 2 == 0, 200, 40).to(torch.uint8)
    fine = torch.stack([board, 240 - board, torch.full((64, 64), 100, dtype=torch.uint8)])
    for rgb in (smooth, fine, rgb_to_grey(smooth)):
        assert taught["detail"](rgb) == nb09.detail(rgb)
    assert nb09.detail(smooth) < 0.02 and nb09.detail(fine) > 0.9 and nb09.detail(rgb_to_grey(smooth)) == 0


def test_errors_single_and_saved(colorizer, cat):
    hints = nb09.at_random(cat, 5, seed=0)
    found = nb09.errors(colorizer, cat, hints, (0, 2))
    ab = [rgb_to_lab(rgb)[1:] for rgb in (colorizer.colorize(cat, decode="mean", hints=hints[:2]), cat)]
    assert found[2] == pytest.approx(float((ab[0] - ab[1]).norm(dim=0).mean())) and found[0] != found[2]
    assert found[2] == pytest.approx(1.5 * (100 - metrics.auc(*ab)), abs=0.6)  # AuC is the same number, counted otherwise
    assert nb09.saved([8.0, 6.0], 5.0, 10.0) == 20 and nb09.saved([5.0], 6.0, 20.0) == -5
    rows = nb09.single(colorizer, cat, 3, seed=1)
    assert {len(values) for values in rows.values()} == {3} and all(0 < share <= 1 for share in rows["reach"])
    place = int(torch.randint(cat[0].numel(), (3,), generator=torch.Generator().manual_seed(1))[0])
    y, x = divmod(place, cat.shape[2])
    assert rows["gain"][0] == pytest.approx(found[0] - nb09.errors(colorizer, cat, [nb09.true_hint(cat, x, y)], [1])[1])


def test_without_network_only_the_hints_colours_are_there(cat):
    """One hint on an even picture colours all of it; on a real one it leaves the rest grey."""
    even = torch.tensor([200, 120, 90], dtype=torch.uint8)[:, None, None].expand(3, 40, 60).contiguous()
    assert nb09.without_network(even, [nb09.true_hint(even, 30, 20)]) < 0.6 * float(nb09.ab_of(even).norm(dim=0).mean())
    one = nb09.without_network(cat, [nb09.true_hint(cat, 10, 10)])
    grey = float(nb09.ab_of(cat).norm(dim=0).mean())
    assert one != grey and abs(one - grey) < grey


def test_rendered_takes_the_render_size(colorizer, cat):
    small, large = (nb09.rendered(colorizer, cat, size) for size in (32, 96))
    rgb = colorizer.colorize(cat, render_size=32)
    assert small["colourfulness"] == metrics.colourfulness(rgb) and small["error"] != large["error"]
    assert small["auc"] == metrics.auc(rgb_to_lab(rgb)[1:], rgb_to_lab(cat)[1:])


def test_drawn_is_the_same_every_time_and_in_order():
    assert nb09.drawn(range(50), 7) == nb09.drawn(range(50), 7) == sorted(nb09.drawn(range(50), 7))
    assert nb09.drawn("abc", 9) == list("abc")


# the slices of sRGB


def test_slices_are_srgbs(taught):
    """Against scikit-image: whether a colour of the plane survives the way to RGB and back."""
    from skimage.color import lab2rgb, rgb2lab

    inside, share, ever = taught["inside"], taught["share"], taught["ever"]
    for L in (20, 55, 90):
        lab = np.stack([np.full(taught["a_plane"].shape, float(L)), taught["a_plane"], taught["b_plane"]], -1)
        back = rgb2lab(lab2rgb(lab))
        kept = np.abs(back - lab).max(-1) < 0.1
        assert np.mean(kept == inside[L].numpy()) > 0.998
        assert share[L] == pytest.approx(kept.sum() / ever.numpy().sum(), rel=0.03)
    assert max(share, key=share.get) in range(50, 60) and share[0] < 1e-3 and share[100] < 1e-3


# the script, the thresholds, the figures


def test_conditions_of_the_notebook_are_the_scripts_and_the_files():
    conditions = {"C32": photographs_09.SAVED, "C33": photographs_09.C33.conditions[0], "C34": photographs_09.C34.conditions[0]}
    for claim, condition in list(conditions.items())[:2]:
        call = re.search(rf'Claim\("{claim}".*?"\)\)', SOURCE, re.DOTALL)[0]
        (here,) = eval(call, {"Claim": Claim, "ratio": ratio, "value": value}).conditions
        assert here == condition
    for file in (ROOT / "data" / "results" / "claims").glob("C3[234]*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        (found,) = record["conditions"]
        wanted = conditions[file.stem[:3]]
        assert (found["measure"], found["supported"], found["parity"]) == (wanted.measure, wanted.supported, wanted.parity)
        assert record["of"] == "photographs"


def test_hints_by_hand_lie_on_the_astronaut():
    names = {"torch": torch, "rgb_to_lab": rgb_to_lab, "Hint": Hint}
    exec(re.search(r"BY_HAND = .*?ours = [^\n]+", SOURCE, re.DOTALL)[0], names)  # noqa: S102
    height, width = dict(photos.sample_photographs())["astronaut"].shape[1:]
    assert len(names["ours"]) == 10 and all(0 <= hint.x < width and 0 <= hint.y < height for hint in names["ours"])
    orange, wall = names["ours"][0], names["ours"][-1]
    assert orange.a > 30 and orange.b > 30 and abs(wall.a) < 0.1 and abs(wall.b) < 0.1


def test_the_readers_hints_are_scored_on_the_readers_photograph(capsys):
    """In place of ours, as soon as the studio has any; without, ours on the astronaut, whatever the studio shows."""
    cell = next(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if "reader = list(studio" in cell.source)
    samples = dict(photos.sample_photographs())
    for hints, photo, who in (((Hint(3, 4, 5.0, 6.0),), "coffee", "1 hints, placed by you"), ((), "astronaut", "2 hints, placed by us")):
        studio = SimpleNamespace(settings=Settings(hints=hints), photo=photos.sample_photograph("coffee"))
        names = {"studio": studio, "samples": samples, "ours": [Hint(1, 1, 0.0, 0.0), Hint(2, 2, 0.0, 0.0)]}
        exec(cell, names)  # noqa: S102
        assert who in capsys.readouterr().out and torch.equal(names["photo"], samples[photo])
        assert names["mine"] == (list(hints) or names["ours"])


def test_script_on_photographs(tmp_path, monkeypatch):
    """The test split alone; interrupted, it goes on; the claims are those of the rows."""
    rgbs = scenes.render(6, size=48, seed=9).rgb
    for kind in photographs_09.KINDS:
        names = [f"{kind}{i}.png" for i in range(200)]
        (tmp_path / kind).mkdir()
        for split, pictures in {"test": rgbs[:2], "train": rgbs[2:]}.items():
            for rgb, name in zip(pictures, [name for name in names if photos.split_of(name) == split]):
                photos.write_photo(tmp_path / kind / name, rgb)
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("COLORLIB_PRESET", "laptop")
    monkeypatch.setenv("COLORLIB_COMMAND", "")
    monkeypatch.setattr(photographs_09, "POINTS", 3)
    monkeypatch.setattr(photographs_09, "SIZES", (32, 64, 192))
    monkeypatch.setattr(nb09, "COUNTS", (0, 1, 5))
    monkeypatch.setattr(nb09.errors, "__defaults__", ((0, 1, 5),))
    rows, result = tmp_path / "rows.json", tmp_path / "results" / "photographs_09.json"
    call = ["x", "--photos", str(tmp_path), "--num", "2", "--rows", str(rows)]
    monkeypatch.setattr(sys, "argv", call)
    once, calls = photographs_09.measured, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return once(*given)

    monkeypatch.setattr(photographs_09, "measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photographs_09.main()
    assert rows.exists() and not result.exists()
    photographs_09.main()
    assert len(calls) == 5  # the first photograph is not measured again
    record, measured = (json.loads(path.read_text(encoding="utf-8")) for path in (result, rows))
    assert "2 landscapes and 2 objects of the test split" in record["data"]
    first = measured["rows"]["objects"][0]
    random_errors = [first["ways"][f"random {k}"]["5"] for k in range(3)]
    expected = 100 * (sum(random_errors) / 3 - first["ways"]["uncertain"]["5"]) / first["ways"]["uncertain"]["0"]
    claims = {name: json.loads((tmp_path / "results" / "claims" / f"{name}.json").read_text()) for name in ("C32b", "C32c", "C33b", "C34")}
    values = {name: claim["conditions"][0]["values"] for name, claim in claims.items()}
    assert values["C32c"][0] == pytest.approx(expected, rel=1e-3) and len(values["C33b"]) == 4 and len(values["C34"]) == 2
    assert values["C33b"][2] == pytest.approx(
        first["sizes"]["64"]["colourfulness"] / first["sizes"]["192"]["colourfulness"], rel=1e-3)
    means = [sum(row["ways"]["worst"]["5"] for row in measured["rows"]["objects"]) / 2]
    assert float(record["summary"]["objects"]["errors"]["worst"]["5"].split()[0]) == pytest.approx(means[0], rel=0.01)
    monkeypatch.setattr(photographs_09, "measured", lambda *_: pytest.fail("measured again"))
    photographs_09.main()


def test_figures_draw_what_they_are_given():
    ways = {"random": [{0: 10.0, 5: 8.0}, {0: 20.0, 5: 10.0}], "worst": [{0: 10.0, 5: 4.0}, {0: 20.0, 5: 2.0}]}
    axis = nb09_figures.by_count({"two": ways}).axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[15, 9], [15, 3]]
    rows = {32: {"error": [1.0, 3.0]}, 64: {"error": [2.0, 6.0]}}
    axis = nb09_figures.trade(rows, {"error": "e"}, {"error": 5.0}, marked=32).axes[0]
    assert axis.lines[2].get_ydata().tolist() == [2, 4] and axis.lines[-1].get_ydata() == [5, 5]
    pictures = {"a": torch.zeros(3, 20, 30, dtype=torch.uint8), "b": torch.zeros(3, 20, 30, dtype=torch.uint8)}
    axes = nb09_figures.marked(pictures, {"a": [(3, 4), (5, 6)], "b": []}).axes
    assert axes[0].lines[0].get_xydata().tolist() == [[3, 4], [5, 6]] and not len(axes[1].lines[0].get_xydata())
