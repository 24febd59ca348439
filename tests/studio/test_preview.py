"""The studio's pictures: the colorizer's, small, and computed only when they have to be."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from colorlib import color
from colorlib.colorizer import Colorizer, Hint, Settings
from colorlib.photos import Photo, sample_photograph
from colorlib.studio import preview
from colorlib.studio.preview import Preview, ab_of_hex


@pytest.fixture
def china(colorizer):
    return Preview(colorizer, sample_photograph("china"))


@pytest.fixture
def passes(monkeypatch):
    """Counts the generator's passes."""
    counted, computed = [], Colorizer._computed
    monkeypatch.setattr(Colorizer, "_computed", lambda *arguments: counted.append(1) or computed(*arguments))
    return counted


def test_the_picture_is_the_colorizers(china, colorizer):
    settings = Settings(saturation=1.2, warmth=4.0, hints=(Hint(100, 300, 10, 20),), adversarial=0.5)
    assert torch.equal(china.picture(settings), colorizer.colorize(china.photo, **settings.chosen()))


def test_a_large_photograph_is_shown_small(colorizer):
    rgb = sample_photograph("china").rgb.repeat_interleave(3, 1).repeat_interleave(3, 2)
    shown = Preview(colorizer, Photo(rgb))
    assert shown.picture(Settings()).shape == (3, 534, 800) and shown.photo.rgb.shape == (3, 1281, 1920)
    hint = Hint(300.0, 900.0, 10.0, 25.0)  # in pixels of the large one
    ab = color.rgb_to_lab(shown.picture(Settings(hints=(hint,))))[1:, 375, 125]
    assert (ab - torch.tensor([hint.a, hint.b])).norm() < 3


def test_only_what_the_network_depends_on_calls_it(china, passes):
    china.picture(Settings())
    first = len(passes)
    for change in ({"saturation": 1.5}, {"warmth": 9.0}, {"blend": 0.3}, {"guidance": 0.2}):
        china.picture(Settings(**change))
        china.crop(Settings(**change), (0, 0, 640, 427), 640)
    assert len(passes) == first
    for change in ({"render_size": 64}, {"variant": 3}, {"hints": (Hint(5, 5, 5, 5),)}):
        before = len(passes)
        china.picture(Settings(**change))
        assert len(passes) > before, change
    before = len(passes)
    china.picture(Settings(variant=3, saturation=1.1))  # back to one that was there
    assert len(passes) == before


def test_every_setting_changes_the_picture(china):
    plain = china.picture(Settings())
    for change in ({"saturation": 1.5}, {"warmth": 9.0}, {"blend": 0.3}, {"guidance": 0.0}, {"render_size": 64},
                   {"variant": 3}, {"adversarial": 0.0}, {"decode": "mean"}, {"hints": (Hint(300, 90, 50, 5),)}):
        assert not torch.equal(plain, china.picture(Settings(**change))), change


def test_the_map_of_uncertainty_is_hotter_where_the_error_is_expected(china):
    error = china._expected_error((), None)
    shown = china.uncertainty(Settings()).float().sum(0) - 0.35 * china.grey.float().sum(0)  # without the photograph below
    hot = error > error.quantile(0.9)
    assert shown[hot].mean() > shown[~hot].mean() + 20
    assert not torch.equal(china.uncertainty(Settings()), china.uncertainty(Settings(hints=(Hint(300, 90, 50, 5),))))


def test_the_histogram_shows_where_the_colours_are(colorizer):
    flat = Preview(colorizer, Photo(torch.full((3, 64, 64), 128, dtype=torch.uint8)))
    hint = Hint(32.0, 32.0, -20.0, 40.0)
    shown = flat.histogram(flat.picture(Settings(hints=(hint,), saturation=0.0))).int()
    grey = flat.histogram(flat.picture(Settings(saturation=0.0))).int()
    assert shown.shape == (3, 200, 200)
    rows, columns = ((shown - grey).abs().sum(0) > 0).nonzero(as_tuple=True)
    assert rows.float().mean() < 88 and columns.float().mean() < 97  # yellow is up, green to the left
    assert grey[:, 98:102, 98:102].amin() < 180 < 220 < grey[:, 60:64, 90:94].amin()  # pale where never


def test_the_colour_that_a_screen_shows_for_a_hint(china):
    light = Hint(600.0, 10.0, 80.0, 67.0)  # a saturated red in the sky
    shown, lost = china.shown_color(light)
    assert lost > 20
    ab = torch.tensor(ab_of_hex(shown))
    assert torch.linalg.vector_norm(ab) < 60
    assert china.shown_color(Hint(600.0, 10.0, 1.0, -2.0))[1] == 0
    codes, shown = china.shown_colors(600, 10, [(1.0, -2.0), (80.0, 67.0)])
    assert codes == [china.shown_color(Hint(600.0, 10.0, 1.0, -2.0))[0], china.shown_color(light)[0]]
    assert shown[0] == pytest.approx([1.0, -2.0], abs=1e-4)


def test_suggestions_do_not_count_the_hint_at_the_point(china):
    at = Settings(hints=(Hint(320, 213, 60, 50),))
    assert china.suggest(320, 213, at) == china.suggest(320, 213, Settings())
    assert china.suggest(325, 213, at) != china.suggest(325, 213, Settings())  # on the same thing


def test_the_ab_of_a_point_is_that_of_the_picture_at_any_size(china, colorizer):
    settings = Settings(warmth=8.0, blend=0.5)
    whole = colorizer.colorize(china.photo, warmth=8.0)
    around = color.rgb_to_lab(whole)[1:, 198:203, 222:227].mean((1, 2)).tolist()
    assert china.ab(224.4, 200, settings) == pytest.approx(around, abs=0.06)
    large = Preview(colorizer, Photo(china.photo.rgb.repeat_interleave(3, 1).repeat_interleave(3, 2)))
    at = color.rgb_to_lab(large.picture(Settings()))[1:, 248:253, 279:284].mean((1, 2)).tolist()
    assert large.ab(3 * 224 + 2, 600, Settings()) == pytest.approx(at, abs=0.06)


def test_the_encoder_gives_back_the_picture(china, tmp_path):
    (tmp_path / "a.jpg").write_bytes(preview.jpeg(china.rgb))
    from colorlib.photos import read_photo

    assert (read_photo(tmp_path / "a.jpg").rgb.int() - china.rgb.int()).abs().float().mean() < 3


@pytest.mark.parametrize("code, ab", [("#808080", (0, 0)), ("#ff0000", (80.1, 67.2)), ("blue", (79.2, -107.9))])
def test_ab_of_a_colour(code, ab):
    assert ab_of_hex(code) == pytest.approx(ab, abs=0.2)
    with pytest.raises(ValueError):
        ab_of_hex("no colour")


def test_settings_of_the_sketch_are_not_mixed_up(china):
    """The same photograph with two renders in turn: each keeps its own."""
    small, large = Settings(render_size=48), Settings(render_size=144)
    first = china.picture(small)
    china.picture(large)
    assert torch.equal(china.picture(replace(small)), first)


def test_a_crop_has_as_many_pixels_as_the_screen_and_no_more(china, colorizer):
    large = Preview(colorizer, Photo(china.photo.rgb.repeat_interleave(4, 1).repeat_interleave(4, 2)))
    whole = Image.open(BytesIO(large.crop(Settings(), (0, 0, 2560, 1708), 1600)))  # a screen with two pixels a dot
    part = Image.open(BytesIO(large.crop(Settings(), (640, 427, 1280, 854), 800)))
    assert whole.size == (1600, 1068) and part.size == (800, 534)
    small = whole.crop((400, 267, 1200, 801))
    assert np.abs(np.asarray(part, int) - np.asarray(small, int)).mean() < 3


def test_a_colour_of_a_reference_is_that_of_its_place():
    rgb = torch.zeros(3, 40, 60, dtype=torch.uint8)
    rgb[0, :, 40:] = 255
    assert preview.ab_at(rgb, 0.9, 0.5) == pytest.approx((80.1, 67.2), abs=0.2)
    assert preview.ab_at(rgb, 0.1, 0.5) == (0, 0) == preview.ab_at(rgb[:, :1, :1], 1.0, 1.0)
