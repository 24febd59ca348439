"""The studio without a browser: widget events in, pictures and files out."""

import base64
import io
import json
import math
import os
import re
import sys
import threading
import time
import warnings
from pathlib import Path

import ipywidgets
import pytest
import torch
from PIL import Image

from colorlib import color
from colorlib.cli import main
from colorlib.colorizer import Colorizer, ColorizerError, Hint, Settings
from colorlib.colorizer.colorizer import MemoryShort
from colorlib.photos import Photo, decode_photo, encode_photo, sample_photograph, write_photo
from colorlib.studio import Studio
from colorlib.studio.preview import DRAFT, Preview, ab_of_hex, jpeg
from colorlib.studio.studio import APART

FOLDER = Path(sys.modules[Studio.__module__].__file__).parent


@pytest.fixture
def studio(colorizer):
    return Studio("china", colorizer)


def picture(studio):
    return decode_photo(studio.parts.board.picture, "shown.jpg").rgb


def message(studio):
    return re.sub("<[^>]*>", "", studio.parts.message.value)


def send(studio, *buffers, **content):
    """A message from the board's side in the browser."""
    studio.parts.board._handle_custom_msg(content, list(buffers))


def upload(studio, name, data, use="photo"):
    send(studio, memoryview(data), kind="file", name=name, use=use, part=0, parts=1)


def png_of(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb.permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def linked(html):
    """Name and bytes of a download link."""
    name, text = re.search(r'download="([^"]+)" href="data:[^;]+;base64,([^"]+)"', html).groups()
    return name, base64.b64decode(text)


@pytest.mark.parametrize("name, value", [
    ("saturation", 1.5), ("warmth", 12.0), ("blend", 0.4), ("guidance", 0.0), ("render_size", 64), ("variant", 4),
    ("adversarial", 0.0),
])  # fmt: skip
def test_every_slider_sets_its_setting_and_shows_the_picture_of_it(studio, colorizer, name, value):
    before = picture(studio)
    studio.parts.sliders[name].value = value
    assert getattr(studio.settings, name) == value
    assert studio.parts.board.picture == jpeg(Preview(colorizer, studio.photo).picture(studio.settings))
    assert not torch.equal(before, picture(studio)) and not message(studio)


def test_back_to_the_defaults_keeps_the_hints(studio):
    studio.parts.sliders["saturation"].value = 1.5
    studio.parts.add.click()
    studio.parts.reset.click()
    assert studio.settings == Settings(hints=studio.settings.hints) and len(studio.settings.hints) == 1
    assert studio.parts.sliders["saturation"].value == 1.0


def test_a_hint_by_the_keyboards_widgets_colours_its_place_and_leaves_the_rest(studio, colorizer):
    studio.parts.x.value, studio.parts.y.value = 100, 300
    plain = color.rgb_to_lab(colorizer.colorize(studio.photo))[1:]
    studio.parts.add.click()
    send(studio, kind="color", code="#a05a2c")
    (hint,) = studio.settings.hints
    assert (hint.x, hint.y) == (100, 300)
    moved = (color.rgb_to_lab(colorizer.colorize(studio.photo, hints=[hint]))[1:] - plain).norm(dim=0)
    assert moved[300, 100] > 8 and moved[:60, 500:].mean() < 2


def test_hints_are_chosen_recoloured_deleted_undone_and_redone(studio):
    parts, board = studio.parts, studio.parts.board
    parts.add.click()
    parts.x.value = 50
    parts.add.click()
    assert [hint.x for hint in studio.settings.hints] == [320, 50] and board.selected == 1
    send(studio, kind="select", index=0)
    assert parts.x.value == 320
    send(studio, kind="color", code="#00a0a0")
    assert studio.settings.hints[0][2:4] != studio.settings.hints[1][2:4]
    send(studio, kind="delete", index=0)
    assert [hint.x for hint in studio.settings.hints] == [50]
    send(studio, kind="undo")
    assert [hint.x for hint in studio.settings.hints] == [320, 50] and board.can_redo
    send(studio, kind="redo")
    assert [hint.x for hint in studio.settings.hints] == [50] and not board.can_redo and board.can_undo
    send(studio, kind="color", code="#00a0a0")
    assert "no hint is chosen to colour" in message(studio)


def test_a_double_click_leaves_no_hint_and_loses_no_step(studio):
    studio.parts.add.click()
    send(studio, kind="undo")
    before = studio.state
    send(studio, kind="add", x=10, y=20)
    send(studio, kind="withdraw")
    assert studio.state is before and studio.parts.board.can_redo and studio.parts.board.hints == []
    send(studio, kind="add", x=10, y=20)
    studio.parts.sliders["warmth"].value = 3.0
    send(studio, kind="withdraw")  # no longer the latest step
    assert len(studio.settings.hints) == 1 and studio.settings.warmth == 3.0


def test_a_new_hint_is_painted_before_the_network_answers_and_refined_to_the_colorizers_picture(studio, colorizer, monkeypatch):
    board, calls, computed = studio.parts.board, [], Colorizer._computed
    monkeypatch.setattr(Colorizer, "_computed", lambda *arguments: calls.append(1) or computed(*arguments))
    send(studio, kind="add", x=100, y=300)  # the distribution of colours is known from now on
    send(studio, kind="undo")
    board.ready, plain = True, picture(studio)
    calls.clear()
    send(studio, kind="add", x=224, y=200)
    send(studio, kind="color", code="#b02818")
    assert not calls and board.draft
    painted = picture(studio)
    send(studio, kind="refine")
    exact = Preview(colorizer, studio.photo).picture(studio.settings)
    assert board.picture == jpeg(exact) and not board.draft and calls
    near, far = ((one.int() - picture(studio).int())[:, 185:215, 209:239].abs().float().mean() for one in (painted, plain))
    assert near < 0.5 * far
    calls.clear()
    send(studio, kind="undo")
    send(studio, kind="redo")  # known answers need no draft
    assert not calls and not board.draft and board.picture == jpeg(exact)
    send(studio, kind="add", x=500, y=60)  # and the next hint's colours were prepared
    assert not calls and board.draft


@pytest.mark.parametrize("name, value", [("render_size", 160), ("variant", 3), ("variant", 9), ("adversarial", 0.5)])
def test_where_the_network_has_to_run_a_draft_of_a_small_render_size_comes_first(studio, colorizer, monkeypatch, name, value):
    board, sizes, computed = studio.parts.board, [], Colorizer._computed
    colorizer.sketch(studio.photo, Settings(variant=1))  # which six colourings there are is known
    monkeypatch.setattr(Colorizer, "_computed", lambda self, L, *more: sizes.append(min(L.shape[-2:])) or computed(self, L, *more))
    board.ready = True
    studio.parts.sliders[name].value = value
    assert board.draft and set(sizes) == {DRAFT}
    exact = Preview(colorizer, studio.photo).picture(studio.settings)
    painted = picture(studio)
    send(studio, kind="refine")
    assert not board.draft and board.picture == jpeg(exact) and studio.parts.sliders[name].value == value
    near, grey = ((one.int() - exact.int()).abs().float().mean() for one in (painted, color.rgb_to_grey(exact)))
    assert near < 0.7 * grey
    sizes.clear()
    for kind in ("undo", "redo"):
        send(studio, kind=kind)
    studio.parts.sliders["warmth"].value = 3.0
    assert not sizes and not board.draft  # all is known


def test_another_photograph_is_painted_as_a_draft_first(studio, colorizer):
    studio.parts.board.ready = True
    studio.parts.samples.value = "coffee"
    assert studio.parts.board.draft and studio.parts.board.name == "coffee"
    send(studio, kind="refine")
    assert studio.parts.board.picture == jpeg(Preview(colorizer, sample_photograph("coffee")).picture(Settings()))
    assert studio.parts.x.max == sample_photograph("coffee").rgb.shape[2] - 1


def test_undo_takes_a_slider_back(studio):
    before = picture(studio)
    studio.parts.sliders["saturation"].value = 1.5
    send(studio, kind="undo")
    assert studio.settings == Settings() and studio.parts.sliders["saturation"].value == 1.0
    assert torch.equal(picture(studio), before) and not studio.parts.board.can_undo


def test_a_click_opens_the_popover_with_colours_as_they_look_there(studio):
    assert studio.parts.board.offer == []
    send(studio, kind="add", x=224, y=200)
    (hint,) = studio.settings.hints
    groups = dict(studio.parts.board.offer)
    plausible = studio._preview.suggest(224, 200, studio.settings)
    assert [swatch[2:] for swatch in groups["Plausible here"]] == [list(one[:2]) for one in plausible]
    assert 6 <= len(groups["Everyday colours"]) <= 25 and groups["Used before"] == []
    shown, _, a, b = groups["Everyday colours"][0]
    assert shown == studio._preview.shown_color(hint._replace(a=a, b=b))[0]
    looks = [ab_of_hex(swatch[0]) for swatch in groups["Everyday colours"]]
    apart = min(math.dist(one, other) for one in looks for other in looks if one is not other)
    assert apart > 10  # no two that look alike at this lightness
    send(studio, kind="color", a=a, b=b)
    assert studio.settings.hints[0][2:4] == pytest.approx((a, b), abs=0.05)
    assert [swatch[2:] for swatch in dict(studio.parts.board.offer)["Used before"]] == [list(studio.settings.hints[0][2:4])]
    send(studio, kind="select", index=-1)
    assert studio.parts.board.offer == [] and studio.parts.board.selected == -1


def test_reach_eraser_eyedropper_and_any_colour_of_the_popover(studio):
    send(studio, kind="add", x=224, y=200)
    before = picture(studio)
    send(studio, kind="reach", value=4.0)
    assert studio.settings.hints[0].reach == 4.0 and not torch.equal(picture(studio), before)
    send(studio, kind="reach", value=40.0)
    assert "reach" in message(studio) and studio.settings.hints[0].reach == 4.0
    send(studio, kind="erase", value=True)
    assert studio.settings.hints[0].erase and studio.parts.board.hints[0]["erase"]
    send(studio, kind="color", code="#2050c0")
    assert studio.settings.hints[0][2:4] == ab_of_hex("#2050c0") and not studio.settings.hints[0].erase
    there = studio._preview.ab(40, 50, studio.settings)
    send(studio, kind="sample", x=40, y=50)
    assert studio.settings.hints[0][2:4] == pytest.approx(there, abs=0.06) and studio.settings.hints[0][:2] == (224, 200)
    send(studio, kind="select", index=-1)
    send(studio, kind="reach", value=2.0)
    assert "no hint is chosen to change" in message(studio)


def answer(studio, **content):
    """What the board gets for a request: content and bytes."""
    sent, send_back = [], studio.parts.board.send
    studio.parts.board.send = lambda content, buffers: sent.append((content, buffers[0]))
    send(studio, **content)
    studio.parts.board.send = send_back
    return sent[0]


def tiles(studio, row, *indices):
    found = [answer(studio, kind="tile", row=row, index=index) for index in indices]
    assert [content for content, _ in found] == [{"kind": "tile", "row": row, "index": index} for index in indices]
    return [data for _, data in found]


def test_small_colourings_are_those_that_a_click_takes(studio, colorizer):
    board = studio.parts.board
    assert board.variants == 7
    thumbs = [decode_photo(data, "thumb.jpg").rgb for data in tiles(studio, "strip", 0, 1, 2)]
    assert min(thumbs[0].shape[1:]) == 120
    send(studio, kind="variant", index=2)
    assert studio.settings.variant == board.variant == studio.parts.sliders["variant"].value == 2
    small = torch.nn.functional.interpolate(picture(studio)[None], thumbs[2].shape[1:], mode="bilinear", antialias=True)[0]
    away = [(thumb.int() - small.int()).abs().float().mean() for thumb in thumbs]
    assert min(away) == away[2] < 4  # the picture is that of the small one


def test_zooming_in_fetches_the_full_size(studio, colorizer):
    rgb = torch.nn.functional.interpolate(sample_photograph("china").rgb[None].float(), scale_factor=3, mode="bicubic")
    upload(studio, "large.png", png_of(rgb[0].clamp(0, 255).to(torch.uint8)))
    content, data = answer(studio, kind="crop", x=600, y=300, width=480, height=320, pixels=960)
    whole = colorizer.colorize(studio.photo)
    assert content == {"kind": "crop", "box": [600, 300, 480, 320]} and data == jpeg(whole[:, 300:620, 600:1080])
    _, data = answer(studio, kind="crop", x=0, y=0, width=1920, height=1281, pixels=480)
    assert decode_photo(data, "part.jpg").rgb.shape == (3, 320, 480)  # no more pixels than the screen has


def test_a_new_hint_takes_the_likeliest_colour_that_one_sees(studio):
    """One click shows what hints do; where nothing plausible differs it takes the colour that is there."""
    there = studio._preview.ab(224, 200, studio.settings)
    plausible = [one[:2] for one in studio._preview.suggest(224, 200, studio.settings)]
    send(studio, kind="add", x=224, y=200)
    (hint,) = studio.settings.hints
    different = [ab for ab in plausible if math.dist(ab, there) > APART]
    assert hint[2:4] == pytest.approx(different[0] if different else there, abs=0.06)
    assert not different or math.dist(hint[2:4], there) > APART - 0.1


def test_a_colour_that_the_screen_cannot_show_is_announced(studio):
    assert "At x, y it becomes" in studio.parts.shown_color.value and "paler" not in studio.parts.shown_color.value
    studio.parts.x.value, studio.parts.y.value = 600, 10
    studio.parts.add.click()
    send(studio, kind="color", code="#ff0000")
    assert "CIE units paler" in studio.parts.shown_color.value
    send(studio, kind="color", code="#d8d8da")
    assert "paler" not in studio.parts.shown_color.value


def test_the_eyedropper_takes_a_colour_from_another_photograph(studio):
    reference = torch.zeros(3, 300, 600, dtype=torch.uint8)
    reference[0, :, :300], reference[2, :, 300:] = 200, 200  # red, and blue on the right
    send(studio, kind="add", x=224, y=200)
    photo = studio.photo
    upload(studio, "other.png", png_of(reference), "reference")
    assert studio.photo is photo and decode_photo(studio.parts.board.reference, "r.jpg").rgb.shape == (3, 240, 480)
    for share, code in ((0.25, "#c80000"), (0.75, "#0000c8")):
        send(studio, kind="reference", x=share, y=0.5)
        assert studio.settings.hints[0][2:4] == pytest.approx(ab_of_hex(code), abs=0.1)
    assert studio.state.recent[0] == studio.settings.hints[0][2:4]
    stays = studio.parts.board.reference
    upload(studio, "letter.png", b"nothing", "reference")
    assert "is not a photograph" in message(studio) and studio.parts.board.reference == stays


def test_it_is_busy_while_it_computes(studio, monkeypatch):
    seen, show = [], studio.parts.show
    monkeypatch.setattr(studio.parts, "show", lambda *these: (seen.append(studio.parts.board.busy), show(*these)))
    studio.parts.sliders["warmth"].value = 3.0
    assert seen == [True] and not studio.parts.board.busy
    upload(studio, "letter.png", b"nothing")
    assert message(studio) and not studio.parts.board.busy


def test_what_the_board_requests_by_itself_leaves_the_sentence_to_the_user(studio):
    upload(studio, "letter.png", b"nothing")
    send(studio, kind="tile", row="strip", index=0)
    send(studio, kind="crop", x=0, y=0, width=100, height=100, pixels=300)
    assert "is not a photograph" in message(studio)
    send(studio, kind="undo")
    assert not message(studio)


def test_folds_open_and_close(studio):
    def buttons(widget):
        yield from [widget] if isinstance(widget, ipywidgets.ToggleButton) else []
        for child in getattr(widget, "children", ()):
            yield from buttons(child)

    folds = {button.description: button for button in buttons(studio)}
    assert {"Fine control", "Settings and code", "The whole film strip"} < set(folds)
    inside = next(box for box in studio.children[0].children[1].children if studio.parts.x in getattr(box, "children", ()))
    assert inside.layout.display == "none"
    folds["Fine control"].value = True
    assert inside.layout.display is None


def test_messages_of_the_board(studio):
    send(studio, kind="add", x=40, y=50)
    send(studio, kind="add", x=140, y=150)
    send(studio, kind="move", index=0, x=44, y=55)
    send(studio, kind="select", index=1)
    assert studio.settings.hints[0][:2] == (44, 55) and studio.state.selected == 1
    assert [(hint["x"], hint["y"]) for hint in studio.parts.board.hints] == [(44, 55), (140, 150)]
    send(studio, kind="delete", index=0)
    assert [hint.x for hint in studio.settings.hints] == [140] and not message(studio)
    send(studio, kind="delete", index=9)
    assert "there is no hint 10; there are 1" in message(studio)


def test_the_board_shows_the_photograph_before_and_after(studio, colorizer):
    board = studio.parts.board
    assert (board.width, board.height) == (640, 427)
    assert board.picture == jpeg(Preview(colorizer, studio.photo).picture(studio.settings))
    assert board.before == jpeg(color.rgb_to_grey(studio.photo.rgb))


def test_an_upload_is_opened_without_the_old_hints(studio):
    studio.parts.add.click()
    rgb = sample_photograph("coffee").rgb
    upload(studio, "coffee.png", png_of(rgb))
    assert torch.equal(studio.photo.rgb, rgb) and studio.settings.hints == () and not message(studio)
    upload(studio, "coffee.png", png_of(rgb.flip(2)))  # the same name again
    assert torch.equal(studio.photo.rgb, rgb.flip(2))


@pytest.mark.parametrize("data, words", [
    (b"no photograph at all", "is not a photograph"), (b"", "is empty"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "damaged"),
])  # fmt: skip
def test_a_bad_file_gets_one_sentence_and_the_picture_stays(studio, data, words):
    before, photo = studio.parts.board.picture, studio.photo
    upload(studio, "letter<b>.png", data)
    assert words in message(studio) and "letter&lt;b&gt;.png" in studio.parts.message.value
    assert studio.parts.board.picture == before and studio.photo is photo
    studio.parts.sliders["saturation"].value = 1.1
    assert not message(studio)


def test_limits_of_an_upload(colorizer):
    studio = Studio("china", colorizer, max_bytes=30_000, max_pixels=20_000_000)
    upload(studio, "a.png", png_of(sample_photograph("coffee").rgb))
    assert "above 30,000" in message(studio)
    studio = Studio("china", colorizer, max_pixels=280_000)
    upload(studio, "a.png", png_of(torch.zeros(3, 600, 600, dtype=torch.uint8)))
    assert "600 x 600" in message(studio) and message(studio).endswith("shrink it first")
    send(studio, kind="refused", name="big.tif", bytes=80_000_000)
    assert "big.tif" in message(studio) and "80,000,000" in message(studio)


def test_a_file_comes_in_parts(studio):
    data = png_of(sample_photograph("coffee").rgb)
    half = len(data) // 2
    for part, piece in enumerate((data[:half], data[half:])):
        send(studio, memoryview(piece), kind="file", name="c.png", use="photo", part=part, parts=2)
    assert torch.equal(studio.photo.rgb, sample_photograph("coffee").rgb)
    send(studio, memoryview(data[:half]), kind="file", name="c.png", use="photo", part=0, parts=2)  # the rest never comes
    upload(studio, "d.png", data)
    assert str(studio.photo.path) == "d.png" and not message(studio)


def test_a_path_and_a_sample(studio, tmp_path):
    write_photo(tmp_path / "mine.png", sample_photograph("coffee").rgb)
    studio.parts.path.value = str(tmp_path / "mine.png")
    assert studio.photo.path == tmp_path / "mine.png" and repr(str(tmp_path / "mine.png")) in code(studio)
    studio.parts.path.value = str(tmp_path / "none.png")
    assert "does not exist" in message(studio)
    studio.parts.samples.value = "camera"
    assert "sample_photograph('camera')" in code(studio) and not message(studio)


def code(studio):
    import html

    return html.unescape(re.search("<pre[^>]*>(.*?)</pre>", studio.parts.code.value, re.DOTALL)[1])


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_the_file_is_that_of_the_command_line_and_of_the_code(studio, colorizer, tmp_path, format):
    suffix = {"PNG": ".png", "JPEG": ".jpg"}[format]
    photo = Photo(sample_photograph("coffee").rgb)
    exif = Image.Exif()
    exif[0x010E] = "my grandmother"
    Image.fromarray(photo.rgb.permute(1, 2, 0).numpy()).save(tmp_path / f"in{suffix}", exif=exif, quality=95)
    upload(studio, f"in{suffix}", (tmp_path / f"in{suffix}").read_bytes())
    studio.parts.sliders["saturation"].value = 1.3
    studio.parts.sliders["adversarial"].value = 0.6
    studio.parts.add.click()
    studio.parts.format.value = format
    studio.parts.make.click()
    sent = []
    studio.parts.board.send = lambda content, buffers: sent.append((content, buffers))
    studio.parts.make.click()
    ((content, (data,)),) = sent
    assert (content["kind"], content["name"]) == ("save", f"in-colour{suffix}") and content["name"] in studio.parts.file.value
    assert studio.parts.progress.layout.visibility == "hidden" and studio.parts.progress.value == pytest.approx(0.8)
    (tmp_path / "settings.json").write_bytes(linked(studio.parts.code.value)[1])
    (tmp_path / content["name"]).write_bytes(data)
    with pytest.raises(SystemExit, match="0"):
        main(["colorize", str(tmp_path / f"in{suffix}"), "-o", str(tmp_path / "out"),
              "--settings", str(tmp_path / "settings.json")])  # fmt: skip
    assert (tmp_path / "out" / f"in{suffix}").read_bytes() == data
    with pytest.raises(SystemExit, match="0"):  # the picture itself says how
        main(["colorize", str(tmp_path / f"in{suffix}"), "-o", str(tmp_path / "again"),
              "--settings", str(tmp_path / content["name"])])  # fmt: skip
    assert (tmp_path / "again" / f"in{suffix}").read_bytes() == data
    read = Image.open(io.BytesIO(data)).getexif()
    assert read[0x010E] == "my grandmother" and "synthetic" in read[0x0131]
    scope = {"colorizer": colorizer, "Hint": Hint, "__builtins__": {}}
    path = code(studio).replace(f"'in{suffix}'", repr(str(tmp_path / f"in{suffix}")))
    expected = colorizer.colorize(studio.photo, **studio.settings.chosen())
    assert torch.equal(eval(path, scope), expected)
    studio.parts.sliders["saturation"].value = 1.0
    assert studio.parts.file.value == ""  # the file was of other colours


def test_settings_are_saved_and_loaded(studio, colorizer):
    studio.parts.sliders["warmth"].value = 5.0
    studio.parts.add.click()
    settings, (_, text) = studio.settings, linked(studio.parts.code.value)
    other = Studio("china", colorizer)
    upload(other, "settings.json", text)
    assert other.settings == settings and other.parts.sliders["warmth"].value == 5.0
    assert len(other.parts.board.hints) == 1
    for bad, words in ((b"{", "no JSON"), (b'{"saturation": -3}', "saturation is -3"), (b"\xff", "codec"),
                       (json.dumps({"hints": [{"x": 9999, "y": 1, "a": 0, "b": 0}]}).encode(), "outside")):
        upload(other, "bad.json", bad)
        assert words in message(other) and other.settings == settings, words


def saved_picture(studio):
    """The bytes that Save picture sends to the browser."""
    sent, send_back = [], studio.parts.board.send
    studio.parts.board.send = lambda content, buffers: sent.append(buffers[0])
    studio.parts.make.click()
    studio.parts.board.send = send_back
    return sent[0]


def test_a_picture_that_was_saved_here_brings_its_settings(studio, colorizer):
    studio.parts.sliders["warmth"].value = 5.0
    studio.parts.add.click()
    data, settings = saved_picture(studio), studio.settings
    other = Studio("coffee", colorizer)
    other.parts.sliders["saturation"].value = 1.5
    upload(other, "a.png", data)
    assert other.settings == settings and other.parts.sliders["warmth"].value == 5.0 and not message(other)
    assert "settings came back" in other.parts.file.value
    away = (picture(other).int() - picture(studio).int()).abs().float().mean()
    assert away < 2  # L was rounded once more
    send(other, kind="undo")
    assert other.settings == Settings(saturation=1.5) and other.parts.file.value == ""
    cropped = decode_photo(data, "a.png")
    upload(other, "c.png", encode_photo(cropped.rgb[:, :, :100], "PNG", like=cropped))
    assert other.photo.rgb.shape[2] == 100 and "lies outside" in message(other) and other.settings.hints == ()
    with_boldness = Studio("china", colorizer)
    with_boldness.parts.sliders["adversarial"].value = 0.5
    plain = Studio("coffee", colorizer.sibling)
    upload(plain, "b.png", saved_picture(with_boldness))  # these weights cannot do it: opened all the same
    assert plain.photo.path.name == "b.png" and plain.settings == Settings() and "sibling" in message(plain)


def test_in_a_film_strip_a_saved_picture_brings_its_settings_where_each_has_its_own(studio, folder):
    studio.load(folder)
    studio.parts.sliders["warmth"].value = 9.0
    (folder / "d.png").write_bytes(saved_picture(studio))
    studio.load("china")
    studio.parts.reset.click()
    studio.load(folder)
    send(studio, kind="film", index=3)
    assert studio.settings == Settings()  # one for all
    studio.load(folder)
    studio.parts.same.value = False
    send(studio, kind="film", index=3)
    assert studio.settings == Settings(warmth=9.0)
    send(studio, kind="undo")
    send(studio, kind="film", index=0)
    send(studio, kind="film", index=3)
    assert studio.settings == Settings()  # what was undone does not come back


def test_the_slider_of_colourings_after_settings_with_the_mean_decoding(studio, colorizer):
    """There is one mean colouring: another number leaves it, and the picture follows the slider."""
    upload(studio, "mean.json", b'{"decode": "mean"}')
    assert studio.settings == Settings(decode="mean") and studio.parts.sliders["variant"].value == 0
    studio.parts.sliders["saturation"].value = 1.2
    assert studio.settings.decode == "mean"
    studio.parts.sliders["variant"].value = 3
    assert studio.settings == Settings(variant=3, saturation=1.2) and not message(studio)
    assert studio.parts.board.picture == jpeg(Preview(colorizer, studio.photo).picture(studio.settings))


def test_a_slider_goes_back_from_a_value_that_is_refused(studio, monkeypatch):
    def refused(_):
        raise ColorizerError("not enough memory")

    monkeypatch.setattr(studio._preview, "picture", refused)
    studio.parts.sliders["render_size"].value = 64
    own = studio.colorizer.own_render_size(*studio.photo.rgb.shape[-2:])
    assert message(studio) == "not enough memory" and studio.parts.sliders["render_size"].value == own


@pytest.fixture
def folder(tmp_path):
    """Three small photographs, one file that is none."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "c.png", "d.png"):
        write_photo(tmp_path / "in" / name, sample_photograph("coffee").rgb[:, ::4, ::4].roll(ord(name[0]), 2))
    (tmp_path / "in" / "b.png").write_bytes(b"nothing")
    return tmp_path / "in"


def test_a_folder_opens_as_a_film_strip(studio, folder):
    board = studio.parts.board
    assert board.films == ["china"] and studio.parts.same.layout.display == "none"
    studio.parts.path.value = f'"{folder}"'  # as some file managers copy it
    assert board.films == ["a.png", "b.png", "c.png", "d.png"] and board.film == 0 and board.name == "a.png"
    assert studio.parts.same.layout.display is None
    bad, good = tiles(studio, "films", 1, 2)
    assert bad == b"" and min(decode_photo(good, "c.jpg").rgb.shape[1:]) == 100
    send(studio, kind="film", index=1)
    assert "b.png: is not a photograph" in message(studio) and (board.film, board.name) == (0, "a.png")
    send(studio, kind="film", index=3)
    assert (board.film, board.name) == (3, "d.png") and studio.photo.path == folder / "d.png" and not message(studio)
    (folder / "empty").mkdir()
    studio.parts.path.value = str(folder / "empty")
    assert "holds no photographs" in message(studio) and len(board.films) == 4 and board.name == "d.png"


@pytest.mark.parametrize("same", [True, False])
def test_settings_go_along_or_stay_apart_and_hints_stay_with_their_photograph(studio, folder, same):
    studio.load(folder)
    studio.parts.same.value = same
    studio.parts.sliders["warmth"].value = 9.0
    send(studio, kind="add", x=20, y=30)
    first = studio.settings
    send(studio, kind="film", index=2)
    assert studio.settings == (Settings(warmth=9.0) if same else Settings())
    studio.parts.sliders["saturation"].value = 0.5
    send(studio, kind="film", index=0)
    assert studio.settings == (Settings(warmth=9.0, saturation=0.5, hints=first.hints) if same else first)
    send(studio, kind="undo")
    assert studio.settings.hints == ()  # the steps stay, too


def test_the_film_strip_is_saved_each_as_it_is_set_with_a_report_of_what_failed(studio, colorizer, folder):
    studio.load(folder)
    studio.parts.same.value = False
    send(studio, kind="add", x=20, y=30)
    first = studio.settings
    send(studio, kind="film", index=2)
    studio.parts.sliders["saturation"].value = 1.3
    studio.parts.go.click()
    assert "a folder for the results is needed" in message(studio)
    studio.parts.target.value = str(folder.parent / "out")
    studio.parts.go.click()
    report = studio.parts.report.value
    assert "3 of 4 photographs" in report and "b.png: is not a photograph" in report
    assert studio.parts.progress.value == 0.75 and studio.parts.progress.layout.visibility == "hidden"
    for name, settings in (("a", first), ("c", Settings(saturation=1.3)), ("d", Settings())):
        expected = colorizer.colorize(folder / f"{name}.png", settings)
        assert torch.equal(decode_photo((folder.parent / "out" / f"{name}.png").read_bytes(), name).rgb, expected), name
    studio.parts.go.click()
    report = studio.parts.report.value
    assert "0 of 4" in report and "is there already; choose another folder<br>" in report


def test_several_dropped_photographs_are_a_film_strip_whose_first_good_one_is_shown(studio, monkeypatch, tmp_path):
    board, data = studio.parts.board, png_of(sample_photograph("coffee").rgb[:, ::4, ::4])
    for name, use in (("x.png", "photo"), ("y.png", "more"), ("z.png", "more")):
        upload(studio, name, b"nothing" if name == "x.png" else data, use)
    assert board.films == ["y.png", "z.png"] and board.name == "y.png" and "x.png: is not a photograph" in message(studio)
    send(studio, kind="film", index=1)
    assert board.name == "z.png"
    studio.parts.target.value = str(tmp_path)
    studio.parts.go.click()
    assert "2 of 2" in studio.parts.report.value and (tmp_path / "z.png").is_file()
    monkeypatch.setattr("colorlib.studio.studio.STRIP_BYTES", 2 * len(data))
    upload(studio, "w.png", data, "more")
    assert "w.png was left out" in message(studio) and len(board.films) == 2
    upload(studio, "x.png", data)  # one alone: no strip
    assert board.films == ["x.png"] and studio.parts.same.layout.display == "none"


@pytest.mark.skipif(os.name != "posix", reason="a name with a byte that is no letter")
def test_names_that_are_no_text_do_not_stop_the_strip(studio, folder):
    bad = Path(os.fsdecode(bytes(folder) + b"/\xe9.png"))
    try:
        (folder / "d.png").rename(bad)
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    studio.load(folder)
    assert studio.parts.board.films[-1] == "?.png"
    send(studio, kind="film", index=len(studio.parts.board.films) - 1)
    assert studio.parts.board.name == "?.png" and not message(studio)
    studio.parts.target.value = str(folder.parent / "out")
    studio.parts.go.click()
    report = studio.parts.report.value
    assert "3 of 5" in report and "loop.png" in report and "b.png" in report
    report.encode()  # a browser could show all of it
    (code(studio) + message(studio)).encode()


def test_a_click_in_another_thread_waits_for_its_turn(studio, monkeypatch):
    """While the studio moves its own sliders, their callbacks do nothing; a user's click must not be lost."""
    inside, show = threading.Event(), studio.parts.show

    def slowly(*arguments):
        inside.set()
        time.sleep(0.3)
        show(*arguments)

    monkeypatch.setattr(studio.parts, "show", slowly)
    slide = threading.Thread(target=setattr, args=(studio.parts.x, "value", 7))
    slide.start()
    inside.wait(10)
    studio.parts.add.click()
    slide.join()
    assert [hint.x for hint in studio.settings.hints] == [7]


def test_a_photograph_of_one_pixel(colorizer):
    studio = Studio(Photo(torch.full((3, 1, 1), 90, dtype=torch.uint8)), colorizer)
    assert studio.parts.x.max > studio.parts.x.min and not message(studio)
    studio.parts.x.value = 1
    studio.parts.add.click()
    assert "outside of the photograph of 1 x 1 pixels" in message(studio) and studio.settings.hints == ()


def test_where_it_is_unsure(studio):
    before = picture(studio)
    studio.parts.uncertainty.value = True
    assert not torch.equal(before, picture(studio)) and studio.parts.legend.layout.display is None
    studio.parts.uncertainty.value = False
    assert torch.equal(before, picture(studio)) and studio.parts.legend.layout.display == "none"


def test_an_unexpected_error_reaches_the_user_and_the_log(studio, monkeypatch):
    monkeypatch.setattr(studio, "_show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        studio.parts.sliders["saturation"].value = 1.2
    assert "Something went wrong" in message(studio) and "ZeroDivisionError" in message(studio)


def test_a_colorizer_without_sibling_or_z_switches_their_sliders_off(colorizer):
    sliders = Studio("china", colorizer.sibling).parts.sliders
    assert sliders["adversarial"].disabled and not sliders["variant"].disabled


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def test_a_page_for_others_offers_no_paths(colorizer):
    texts = [w for w in everything(Studio("china", colorizer, files=False)) if isinstance(w, ipywidgets.Text)]
    assert not texts and any(isinstance(w, ipywidgets.Text) for w in everything(Studio("china", colorizer)))


def test_every_control_has_one_sentence_of_help(studio):
    controls = [widget for widget in everything(studio) if isinstance(widget, (
        ipywidgets.Button, ipywidgets.ToggleButton, ipywidgets.Checkbox, ipywidgets.Text, ipywidgets.Dropdown,
        ipywidgets.IntSlider, ipywidgets.FloatSlider))]
    assert len(controls) > 18 and [widget for widget in controls if not widget.tooltip] == []


def test_sentences_speak_of_the_studios_controls_and_without_units(studio, folder):
    """Of the words on the screen, of the board's script and of what goes wrong; CIE units are for experts alone."""
    studio.parts.x.value, studio.parts.y.value = 600, 10
    studio.parts.add.click()
    send(studio, kind="color", code="#ff0000")
    experts = next(widget for widget in everything(studio) if studio.parts.x in getattr(widget, "children", ()))
    assert "CIE" in studio.parts.shown_color.value and studio.parts.shown_color in experts.children
    words = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("popover.js", "dom.js", "board.js"))
    words += "".join(str(getattr(widget, name, "")) for widget in everything(studio) if widget not in experts.children
                     for name in ("description", "tooltip", "placeholder", "value"))
    assert "Save picture" in words and "CIE" not in words
    said = []
    send(studio, kind="select", index=-1)
    for act in (lambda: send(studio, kind="reach", value=3.0), lambda: send(studio, kind="delete", index=3),
                lambda: upload(studio, "a.png", b"nothing"), lambda: studio.parts.go.click(),
                lambda: setattr(studio.parts.path, "value", str(folder / "none.png")),
                lambda: send(studio, kind="refused", name="b.png", bytes=10**9)):
        act()
        said.append(message(studio))
    assert all(said)
    studio._max_pixels = 100
    upload(studio, "a.png", (folder / "a.png").read_bytes())
    assert "above 100" in message(studio)
    said.append(message(studio))
    studio.parts.target.value = str(folder)
    studio.parts.go.click()
    said.append(studio.parts.report.value)
    found = re.findall(r"(?<!\w)-o\b|--\w+|max_\w+|render_size|CIE|\bL\*?a\*?b\b", " ".join(said))
    assert found == []


def test_there_is_no_model_code_in_the_widgets():
    source = Path(sys.modules[Studio.__module__].__file__).read_text(encoding="utf-8")
    assert "torch" not in source and "generator(" not in source


def test_what_a_photograph_has_and_a_saved_picture_will_not_is_named(studio):
    lost = studio.parts.lost
    assert lost.layout.display == "none"
    file = io.BytesIO()
    Image.new("RGBA", (30, 20), (200, 100, 50, 128)).save(file, "PNG")
    upload(studio, "clear.png", file.getvalue())
    assert lost.layout.display != "none"
    assert lost.value == "Its file also has transparency (now white): a saved picture will not."
    upload(studio, "plain.png", png_of(picture(studio)))
    assert lost.layout.display == "none"


def test_short_memory_is_said_in_the_studio_and_not_to_the_given_colorizer(studio, colorizer, monkeypatch):
    real, before = Colorizer._computed, picture(studio)

    def short(self, L, hints, z):
        if min(L.shape[-2:]) > 150:
            raise MemoryShort("not enough memory")
        return real(self, L, hints, z)

    monkeypatch.setattr(Colorizer, "_computed", short)
    with warnings.catch_warnings(record=True) as others:
        studio.parts.sliders["render_size"].value = 288
    assert re.fullmatch(r"memory is too short for render size (256|288): coloured at 1\d\d", message(studio)) and others == []
    shown = picture(studio)
    assert shown.shape == before.shape and (shown[0].int() - shown[2].int()).abs().max() > 20
