"""The studio without a browser: widget events in, pictures and files out."""

import base64
import io
import json
import math
import re
import sys
import threading
import time
from pathlib import Path

import ipywidgets
import pytest
import torch
from PIL import Image

from colorlib import color
from colorlib.cli import main
from colorlib.colorizer import ColorizerError, Hint, Settings
from colorlib.photos import Photo, decode_photo, sample_photograph, write_photo
from colorlib.studio import Studio
from colorlib.studio.files import color_folder
from colorlib.studio.preview import Preview, ab_of_hex, jpeg
from colorlib.studio.studio import APART


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


def upload(studio, name, data):
    send(studio, memoryview(data), kind="file", name=name, part=0, parts=1)


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
    studio.parts.picker.value = "#a05a2c"
    (hint,) = studio.settings.hints
    assert (hint.x, hint.y) == (100, 300)
    moved = (color.rgb_to_lab(colorizer.colorize(studio.photo, hints=[hint]))[1:] - plain).norm(dim=0)
    assert moved[300, 100] > 8 and moved[:60, 500:].mean() < 2


def test_hints_are_chosen_recoloured_moved_deleted_undone_and_redone(studio):
    parts, board = studio.parts, studio.parts.board
    parts.add.click()
    parts.x.value = 50
    parts.add.click()
    assert [hint.x for hint in studio.settings.hints] == [320, 50] and parts.hints.value == 1
    parts.hints.value = 0
    parts.picker.value = "#00a0a0"
    assert studio.settings.hints[0][2:4] != studio.settings.hints[1][2:4]
    parts.x.value, parts.y.value = 77, 99
    parts.move.click()
    assert studio.settings.hints[0][:2] == (77, 99)
    parts.delete.click()
    assert [hint.x for hint in studio.settings.hints] == [50]
    send(studio, kind="undo")
    assert [hint.x for hint in studio.settings.hints] == [77, 50] and board.can_redo
    send(studio, kind="redo")
    assert [hint.x for hint in studio.settings.hints] == [50] and not board.can_redo and board.can_undo
    parts.hints.value = -1
    assert parts.picker.disabled
    parts.delete.click()
    assert "no hint chosen to delete" in message(studio)


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
    assert "there is no hint chosen to change" in message(studio)


def test_small_colourings_come_one_by_one_and_a_click_takes_one(studio, colorizer):
    board = studio.parts.board
    assert board.variants == 7 and board.thumbs == []
    for index in range(3):
        send(studio, kind="thumb", index=index)
    send(studio, kind="thumb", index=0)  # asked twice: another view of the same board
    assert len(board.thumbs) == 3 and len(set(board.thumbs)) == 3
    assert min(decode_photo(board.thumbs[0], "thumb.jpg").rgb.shape[1:]) == 120
    send(studio, kind="variant", index=2)
    assert studio.settings.variant == board.variant == studio.parts.sliders["variant"].value == 2
    small = torch.nn.functional.interpolate(picture(studio)[None], decode_photo(board.thumbs[2], "t").rgb.shape[1:],
                                            mode="bilinear", antialias=True)[0]
    away = [(decode_photo(thumb, "t").rgb.int() - small.int()).abs().float().mean() for thumb in board.thumbs]
    assert min(away) == away[2] < 4  # the picture is that of the small one
    studio.load("coffee")
    assert board.thumbs == [] and board.name == "coffee"


def test_zooming_in_fetches_the_full_size(studio, colorizer):
    rgb = torch.nn.functional.interpolate(sample_photograph("china").rgb[None].float(), scale_factor=3, mode="bicubic")
    upload(studio, "large.png", png_of(rgb[0].clamp(0, 255).to(torch.uint8)))
    send(studio, kind="crop", x=600, y=300, width=480, height=320, pixels=960)
    board, whole = studio.parts.board, colorizer.colorize(studio.photo)
    assert board.detail == jpeg(whole[:, 300:620, 600:1080]) and board.detail_box == [600, 300, 480, 320]
    send(studio, kind="crop", x=0, y=0, width=1920, height=1281, pixels=480)
    assert decode_photo(board.detail, "part.jpg").rgb.shape == (3, 320, 480)  # no more pixels than the screen has


def test_a_new_hint_takes_the_likeliest_colour_that_one_sees(studio):
    """One click shows what hints do; where nothing plausible differs it takes the colour that is there."""
    there = studio._preview.ab(224, 200, studio.settings)
    plausible = [one[:2] for one in studio._preview.suggest(224, 200, studio.settings)]
    send(studio, kind="add", x=224, y=200)
    (hint,) = studio.settings.hints
    different = [ab for ab in plausible if math.dist(ab, there) > APART]
    assert hint[2:4] == pytest.approx(different[0] if different else there, abs=0.06)
    assert not different or math.dist(hint[2:4], there) > APART - 0.1


def test_the_picker_shows_the_colour_of_the_selected_hint_or_of_the_place(studio):
    def shown():
        return ab_of_hex(studio.parts.picker.value)

    x, y = studio.state.point
    assert shown() == pytest.approx(studio._preview.ab(x, y, studio.settings), abs=2)
    assert "paler" not in studio.parts.shown_color.value
    studio.parts.add.click()
    studio._color(0.0, 0.0)
    assert shown() == (0.0, 0.0)


def test_a_colour_that_the_screen_cannot_show_is_announced(studio):
    studio.parts.x.value, studio.parts.y.value = 600, 10
    studio.parts.add.click()
    studio.parts.picker.value = "#ff0000"
    assert "CIE units paler" in studio.parts.shown_color.value
    studio.parts.picker.value = "#d8d8da"
    assert "paler" not in studio.parts.shown_color.value and "There it becomes" in studio.parts.shown_color.value


def test_it_is_busy_while_it_computes(studio, monkeypatch):
    seen, show = [], studio._view.show
    monkeypatch.setattr(studio._view, "show", lambda *these: (seen.append(studio.parts.board.busy), show(*these)))
    studio.parts.sliders["warmth"].value = 3.0
    assert seen == [True] and not studio.parts.board.busy
    upload(studio, "letter.png", b"nothing")
    assert message(studio) and not studio.parts.board.busy


def test_what_the_board_requests_by_itself_leaves_the_sentence_to_the_user(studio):
    upload(studio, "letter.png", b"nothing")
    send(studio, kind="thumb", index=0)
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
    assert {"Fine control", "Settings and code", "A folder of photographs"} < set(folds)
    inside = next(box for box in studio.children[0].children[1].children if studio.parts.x in getattr(box, "children", ()))
    assert inside.layout.display == "none"
    folds["Fine control"].value = True
    assert inside.layout.display == "flex"


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
        send(studio, memoryview(piece), kind="file", name="c.png", part=part, parts=2)
    assert torch.equal(studio.photo.rgb, sample_photograph("coffee").rgb)
    send(studio, memoryview(data[:half]), kind="file", name="c.png", part=0, parts=2)  # the rest never comes
    send(studio, memoryview(data), kind="file", name="d.png", part=0, parts=1)
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
    name, data = linked(studio.parts.file.value)
    assert [(one["kind"], one["name"], bytes(*buffers)) for one, buffers in sent] == [("save", name, data)]
    assert name == f"in-colour{suffix}" and studio.parts.progress.value == pytest.approx(0.8)
    (tmp_path / "settings.json").write_bytes(linked(studio.parts.code.value)[1])
    assert linked(studio.parts.file.value.split("; ")[1]) == ("in-colour.json", linked(studio.parts.code.value)[1])
    with pytest.raises(SystemExit, match="0"):
        main(["colorize", str(tmp_path / f"in{suffix}"), "-o", str(tmp_path / "out"),
              "--settings", str(tmp_path / "settings.json")])  # fmt: skip
    assert (tmp_path / "out" / f"in{suffix}").read_bytes() == data
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
    assert other.parts.hints.options[1][1] == 0
    for bad, words in ((b"{", "no JSON"), (b'{"saturation": -3}', "saturation is -3"), (b"\xff", "codec"),
                       (json.dumps({"hints": [{"x": 9999, "y": 1, "a": 0, "b": 0}]}).encode(), "outside")):
        upload(other, "bad.json", bad)
        assert words in message(other) and other.settings == settings, words


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


def test_a_folder_with_a_report_of_what_failed(studio, tmp_path):
    (tmp_path / "in").mkdir()
    write_photo(tmp_path / "in" / "a.png", sample_photograph("coffee").rgb[:, ::4, ::4])
    (tmp_path / "in" / "b.png").write_bytes(b"nothing")
    studio.parts.add.click()
    studio.parts.go.click()
    assert "two folders are needed" in message(studio)
    studio.parts.source.value, studio.parts.target.value = str(tmp_path / "in"), str(tmp_path / "out")
    studio.parts.go.click()
    report = studio.parts.report.value
    assert "1 of 2 photographs" in report and "b.png" in report and "hints were left out" in report
    assert (tmp_path / "out" / "a.png").is_file() and studio.parts.folder_progress.value == 1.0
    studio.parts.go.click()
    report = studio.parts.report.value
    assert "0 of 2" in report and "is there already; choose another folder<br>" in report and "--force" not in report


def test_a_folder_is_coloured_without_the_hints_of_the_photograph(colorizer, tmp_path):
    rgb = sample_photograph("coffee").rgb[:, ::4, ::4]
    (tmp_path / "in").mkdir()
    write_photo(tmp_path / "in" / "a.png", rgb)
    settings = Settings(saturation=1.3, hints=(Hint(20, 20, 60, -40),))
    color_folder(colorizer, settings, str(tmp_path / "in"), str(tmp_path / "out"), ipywidgets.FloatProgress())
    colored = decode_photo((tmp_path / "out" / "a.png").read_bytes(), "a.png").rgb
    assert torch.equal(colored, colorizer.colorize(rgb, saturation=1.3))


def test_a_click_in_another_thread_waits_for_its_turn(studio, monkeypatch):
    """While the studio moves its own sliders, their callbacks do nothing; a user's click must not be lost."""
    inside, show = threading.Event(), studio._view.show

    def slowly(*arguments):
        inside.set()
        time.sleep(0.3)
        show(*arguments)

    monkeypatch.setattr(studio._view, "show", slowly)
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
    assert not torch.equal(before, picture(studio))
    studio.parts.uncertainty.value = False
    assert torch.equal(before, picture(studio))


def test_an_unexpected_error_reaches_the_user_and_the_log(studio, monkeypatch):
    monkeypatch.setattr(studio, "_show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        studio.parts.sliders["saturation"].value = 1.2
    assert "Something went wrong" in message(studio) and "ZeroDivisionError" in message(studio)


def test_a_colorizer_without_sibling_or_z_switches_their_sliders_off(colorizer):
    sliders = Studio("china", colorizer.sibling).parts.sliders
    assert sliders["adversarial"].disabled and not sliders["variant"].disabled


def test_a_page_for_others_offers_no_paths(colorizer):
    def everything(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from everything(child)

    texts = [w for w in everything(Studio("china", colorizer, files=False)) if isinstance(w, ipywidgets.Text)]
    assert not texts and any(isinstance(w, ipywidgets.Text) for w in everything(Studio("china", colorizer)))


def test_there_is_no_model_code_in_the_widgets():
    source = Path(sys.modules[Studio.__module__].__file__).read_text(encoding="utf-8")
    assert "torch" not in source and "generator(" not in source
