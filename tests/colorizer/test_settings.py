"""Settings: the values that they take, the picture that they make, as JSON and as code."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from colorlib import color
from colorlib.colorizer import Colorizer, Hint, Settings
from colorlib.colorizer.render import render
from colorlib.photos import read_photo, write_photo

NUMBERS = st.floats(-100, 100, allow_nan=False)
HINTS = st.lists(st.builds(Hint, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0.1, 10), st.booleans()), max_size=3).map(tuple)
ANY = st.builds(
    Settings, st.none() | st.integers(8, 500), st.just("default"), st.integers(0, 9), HINTS, st.floats(0, 1),
    st.floats(0, 1), st.floats(0, 3), NUMBERS, st.floats(0, 1),
)  # fmt: skip


def ab_of(rgb):
    return color.rgb_to_lab(rgb)[1:]


@given(ANY)
@limits(max_examples=50, deadline=None)
def test_json_and_back_and_code(settings):
    assert Settings.from_json(settings.to_json()) == settings
    arguments = {}
    scope = {"Hint": Hint, "Colorizer": type("C", (), {"load": lambda: type("D", (), {
        "colorize": staticmethod(lambda photo, **others: arguments.update(others, photo=photo))})})}
    eval(settings.code("it's.jpg"), scope)  # what the reader pastes
    assert arguments.pop("photo") == "it's.jpg"
    assert Settings(**arguments) == settings


@pytest.mark.parametrize("wrong, words", [
    ({"saturation": -1}, "saturation is -1"), ({"saturation": float("nan")}, "saturation is nan"),
    ({"warmth": float("inf")}, "warmth is inf"), ({"warmth": True}, "warmth is True"),
    ({"blend": 1.5}, "blend is 1.5"), ({"adversarial": -0.1}, "adversarial is -0.1"),
    ({"guidance": "all"}, "guidance is 'all'"), ({"decode": "median"}, "decode is 'median'"),
    ({"variant": 2, "decode": "mean"}, "there is one mean"), ({"render_size": 4}, "render_size is 4"),
    ({"hints": ((1, 2, 3),)}, "a hint is"), ({"hints": (Hint(1, 2, 3, float("nan")),)}, "a hint is"),
])  # fmt: skip
def test_values_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Settings(**wrong)


def test_from_json_says_what_is_wrong():
    for text, words in (("{", "no JSON"), ("[]", "list"), ('{"gamma": 2}', "gamma"), ('{"hints": 3}', "hints is 3")):
        with pytest.raises(ValueError, match=words):
            Settings.from_json(text)


def test_a_coloured_photograph_gives_its_settings_back(tmp_path):
    rgb, settings = torch.zeros(3, 20, 30, dtype=torch.uint8), Settings(warmth=3.0, hints=(Hint(29, 19, 1.5, -2.0),))
    for suffix in ("jpg", "png", "webp", "tif"):
        path = write_photo(tmp_path / f"a.{suffix}", rgb, history=settings.to_json())
        assert Settings.of(read_photo(path)) == Settings.read(path) == settings
    (tmp_path / "a.json").write_text(settings.to_json())
    assert Settings.read(tmp_path / "a.json") == settings
    other = write_photo(tmp_path / "c.png", rgb, history="cropped by another program")
    for bad in (other, write_photo(tmp_path / "d.png", rgb)):
        assert Settings.of(read_photo(bad)) is None
        with pytest.raises(ValueError, match=f"{bad.name}: holds no settings; name a JSON file"):
            Settings.read(bad)


def test_blend_goes_from_grey_to_colour(colorizer, china):
    grey, half, whole = (ab_of(colorizer.colorize(china, blend=blend)) for blend in (0.0, 0.5, 1.0))
    assert grey.abs().max() < 0.5
    assert (half - whole / 2).abs().mean() < 0.5 < whole.abs().mean()


def test_warmth_moves_b_alone_and_leaves_hints(colorizer, china):
    hint = Hint(100, 300, 10.0, 25.0)
    plain, warm = (ab_of(colorizer.colorize(china, warmth=warmth, hints=[hint])) for warmth in (0.0, 15.0))
    moved = (warm - plain)[:, 40:120]  # rows of light sky, far from the hint
    assert moved[1].mean() > 5 and moved[0].abs().mean() < 2
    for ab in (plain, warm):
        assert (ab[:, 300, 100] - torch.tensor([hint.a, hint.b])).norm() < 3


def test_adversarial_mixes_in_the_sibling(colorizer, china):
    sibling, half, whole = (ab_of(colorizer.colorize(china, adversarial=share)) for share in (0.0, 0.5, 1.0))
    assert torch.equal(sibling, ab_of(colorizer.sibling.colorize(china)))
    assert (half - (sibling + whole) / 2).abs().mean() < 0.5 < (sibling - whole).abs().mean()


def test_adversarial_without_a_sibling_is_refused(colorizer, china):
    alone = Colorizer(colorizer.generator, 96, "cpu", colorizer.metadata)
    with pytest.raises(ValueError, match="no sibling"):
        alone.colorize(china, adversarial=0.5)


def test_guidance_between_none_and_all(colorizer, china):
    none, half, all_ = (ab_of(colorizer.colorize(china, guidance=share)) for share in (0, 0.5, 1))
    assert torch.equal(none, ab_of(colorizer.colorize(china, guidance=False)))
    assert (half - all_).abs().mean() < (none - all_).abs().mean()
    assert (half - none).abs().mean() < (none - all_).abs().mean()


def test_a_sketch_serves_every_setting_that_needs_no_network(colorizer, china, monkeypatch):
    settings = Settings(saturation=1.4, warmth=-6.0, guidance=0.4, blend=0.8, hints=(Hint(100, 300, 10, 10),))
    expected = colorizer.colorize(china, **settings.chosen())
    sketch = colorizer.sketch(china, dataclasses.replace(settings, saturation=1.0, warmth=0.0, guidance=1.0, blend=1.0))
    monkeypatch.setattr(colorizer, "_generate", None)
    assert torch.equal(render(china, sketch, settings), expected)


def test_a_preview_has_the_colours_of_the_photograph(colorizer, china):
    settings = Settings(hints=(Hint(320, 240, -20.0, 30.0),))
    sketch = colorizer.sketch(china, settings)
    small = torch.nn.functional.interpolate(china[None], scale_factor=0.5, mode="bilinear", antialias=True)[0]
    preview, whole = ab_of(render(small, sketch, settings)), ab_of(render(china, sketch, settings))
    shrunk = torch.nn.functional.interpolate(whole[None], preview.shape[-2:], mode="area")[0]
    assert (preview - shrunk).norm(dim=0).mean() < 2
    assert (preview[:, 120, 160] - torch.tensor([-20.0, 30.0])).norm() < 3


def test_settings_hold_what_json_names():
    assert json.loads(Settings().to_json()).keys() == {field.name for field in dataclasses.fields(Settings)} - {"render_size"}
