"""The studio in a real JupyterLab, as a user uses it: sliders, clicks, uploads, downloads."""

import base64
import io
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from PIL import Image

from colorlib.photos import sample_photograph

from .real_jupyter import ROOT, new_notebook

STUDIO = """
from colorlib.colorizer import Colorizer
from colorlib.studio import Studio

class Counting(Studio):
    shown = 0

    def _show(self, *arguments, **options):
        super()._show(*arguments, **options)
        self.shown += 1

colorizer = Colorizer.load()  # once; `run_again` makes a studio
"""
AGAIN = """
studio = Counting("china", colorizer)
if not TILES:
    studio.parts.board.variants = 0  # no small colourings: 25 passes of the network that most tests do without
studio
"""
AFTER, STAGE = ".colorlib-board img.after", ".colorlib-board .stage"
FILE = """async (img) => {
    const bytes = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


@pytest.fixture(scope="module")
def shared(lab, browser):
    """One notebook for the tests of this file: a kernel and a page for each would take most of their time."""
    with new_notebook(lab, browser, "studio") as open_and_run:
        yield open_and_run(STUDIO + "TILES, studio = False, None", AGAIN)


@pytest.fixture
def studio(shared):
    """studio(width=1280, tiles=False): the notebook with a new studio, with or without small colourings."""

    def run_again(width: int = 1280, tiles: bool = False):
        shared.page.set_viewport_size({"width": width, "height": 900})
        shared.run(f"TILES = {tiles}")
        return run_the_cell(shared)

    yield run_again
    shared.problems.check()


def run_the_cell(nb):
    """The second one of the notebook, which shows a new studio."""
    nb.run("studio = None")
    nb.page.evaluate("panel.content.activeCellIndex = 1")
    nb.page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
    nb.wait_for("studio is not None and studio.parts.board.ready")
    nb.page.mouse.move(1, 1)
    return nb


def shown(nb) -> np.ndarray:
    """What the board shows now: (h, w, 3)."""
    file = io.BytesIO(base64.b64decode(nb.page.locator(AFTER).first.evaluate(FILE)))
    return np.asarray(Image.open(file), np.int32)


def source(nb) -> str:
    """Of the picture, as soon as it is the network's own."""
    nb.page.wait_for_function("!document.querySelector('.stage.draft')")
    return nb.page.locator(AFTER).first.get_attribute("src")


def wait_for_other(nb, before: str) -> None:
    nb.page.wait_for_function("([selector, old]) => document.querySelector(selector).src !== old", arg=[AFTER, before])


def slider(nb, name: str):
    return nb.page.locator(".widget-slider", has=nb.page.get_by_text(name, exact=True)).get_by_role("slider").first


def click_at(nb, x: float, y: float) -> None:
    """Click on a pixel of the photograph."""
    stage = nb.page.locator(STAGE).first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    width, height = nb.ask("[studio.parts.board.width, studio.parts.board.height]")
    nb.page.mouse.click(box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box["height"] / height)


def fold(nb, name: str) -> None:
    nb.page.get_by_role("button", name=name).first.click()


def message(nb) -> str:
    return nb.page.locator(".colorlib-message").first.inner_text()


def choose_color(nb, code: str) -> None:
    picker = nb.page.locator(".popover .own").first
    picker.fill(code)
    picker.dispatch_event("change")


def upload(nb, path) -> None:
    with nb.page.expect_file_chooser() as chooser:
        nb.page.get_by_role("button", name="Open photographs").first.click()
    chooser.value.set_files(str(path))


def test_a_slider_that_is_dragged_shows_other_pixels_and_no_stale_work(studio):
    nb = studio()
    before, first = source(nb), shown(nb)
    handle = slider(nb, "Colour strength")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    nb.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    nb.page.mouse.down()
    for step in range(60):  # much faster than pictures are made
        nb.page.mouse.move(box["x"] + box["width"] / 2 + step, box["y"] + box["height"] / 2)
    nb.page.mouse.up()
    wait_for_other(nb, before)
    nb.wait_for("studio.settings.saturation > 1.2")
    nb.wait_for("studio.settings.saturation == studio.parts.sliders['saturation'].value")
    value, slid, pictures = nb.ask("[studio.settings.saturation, studio.parts.sliders['saturation'].value, studio.shown]")
    assert value == slid and pictures < 40, pictures  # the kernel answered this after all that the slider had sent
    colourful = np.abs(shown(nb) - shown(nb).mean(2, keepdims=True)).mean()
    assert colourful > 1.1 * np.abs(first - first.mean(2, keepdims=True)).mean()


def test_every_slider_by_the_keyboard(studio):
    nb = studio()
    fold(nb, "Fine control")
    for name in ("Colouring", "Network's size", "Boldness", "Sharp edges", "Colour strength", "Warmth", "Grey to colour"):
        before = source(nb)
        slider(nb, name).focus()
        nb.page.keyboard.press("ArrowLeft" if name in ("Boldness", "Sharp edges", "Grey to colour") else "ArrowRight")
        wait_for_other(nb, before)
    assert message(nb) == ""


@pytest.mark.parametrize("width", [1280, 480])
def test_a_click_colours_the_object_and_the_rest_stays(studio, width):
    nb = studio(width=width)
    before, first = source(nb), shown(nb)
    click_at(nb, 224, 200)
    wait_for_other(nb, before)
    (hint,) = nb.wait_for("[list(hint) for hint in studio.settings.hints]")
    assert abs(hint[0] - 224) <= 2 and abs(hint[1] - 200) <= 2
    before = source(nb)
    choose_color(nb, "#c03020")
    wait_for_other(nb, before)
    moved = np.abs(shown(nb) - first).sum(2)
    assert moved[190:210, 214:234].mean() > 25  # the tower
    assert moved[:100, 400:].mean() < 4  # the sky


def test_hints_by_popover_undo_and_the_core_widgets(studio):
    nb = studio()
    click_at(nb, 224, 200)
    nb.wait_for("len(studio.settings.hints) == 1")
    first = nb.ask("list(studio.settings.hints[0][2:])")
    before = source(nb)
    nb.page.get_by_role("group", name="Everyday colours").get_by_role("button").last.click()
    wait_for_other(nb, before)
    assert nb.ask("list(studio.settings.hints[0][2:])") != first
    nb.page.keyboard.press("Escape")
    nb.wait_for("studio.state.selected == -1")
    for name in ("Undo", "Undo"):
        before = source(nb)
        nb.page.get_by_role("button", name=name, exact=True).click()
        wait_for_other(nb, before)
    assert nb.ask("len(studio.settings.hints)") == 0
    click_at(nb, 224, 200)
    handle = slider(nb, "Colour strength")
    for part in (handle, nb.page.get_by_role("button", name="Save picture"), nb.page.locator(".hint")):
        part.focus()
        for key in ("d", "d", "ArrowDown"):  # were they JupyterLab's, the cell would be deleted or left
            nb.page.keyboard.press(key)
    assert handle.get_attribute("data-lm-suppress-shortcuts")  # Notebook 7 would take the arrow keys, too
    assert nb.page.evaluate("[panel.content.widgets.length, panel.content.activeCellIndex]") == [2, 1]
    nb.page.keyboard.press("Delete")
    nb.wait_for("not studio.settings.hints")
    fold(nb, "Fine control")
    slider(nb, "x").focus()
    nb.page.keyboard.press("Home")
    nb.wait_for("studio.state.point[0] == 0")
    nb.page.get_by_role("button", name="Add a hint at x, y").click()
    nb.wait_for("[hint.x for hint in studio.settings.hints] == [0]")
    nb.page.locator(".popover").first.get_by_role("button", name="Remove").click()
    nb.wait_for("not studio.settings.hints")


def test_a_hint_that_is_painted_at_once_becomes_the_colorizers_picture(studio):
    nb = studio()
    click_at(nb, 224, 200)
    nb.wait_for("len(studio.settings.hints) == 1 and not studio.parts.board.draft")
    nb.run("from colorlib.studio.preview import Preview, jpeg\n"
           "exact = jpeg(Preview(studio.colorizer, studio.photo).picture(studio.settings))")
    assert nb.ask("studio.parts.board.picture == exact")


def test_a_double_click_zooms_to_the_photographs_own_pixels(studio):
    nb = studio()
    nb.run("import torch\nfrom colorlib.photos import Photo\n"
           "studio.load(Photo(torch.nn.functional.interpolate(studio.photo.rgb[None], scale_factor=3)[0]))")
    nb.page.wait_for_function("document.querySelector('.colorlib-board .name').textContent === 'photograph'")
    box = nb.page.locator(STAGE).first.bounding_box()
    nb.page.mouse.dblclick(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    nb.page.wait_for_function("document.querySelector('img.detail').naturalWidth >= document.querySelector('.stage').clientWidth")
    assert nb.ask("[studio.settings.hints, studio.state.past]") == [[], []]
    nb.page.get_by_role("button", name="Show the whole photograph").click()


def test_a_folder_as_a_film_strip(studio, tmp_path):
    for name in ("china", "coffee", "rocket"):
        Image.fromarray(sample_photograph(name).rgb[:, ::4, ::4].permute(1, 2, 0).numpy()).save(tmp_path / f"{name}.png")
    (tmp_path / "letter.png").write_text("no photograph")
    nb = studio()
    field = nb.page.get_by_placeholder("of a photograph or a folder").first
    field.fill(str(tmp_path))
    field.press("Enter")
    nb.page.wait_for_function("document.querySelectorAll('.films .tile img').length === 3")
    slider(nb, "Warmth").focus()
    nb.page.keyboard.press("ArrowRight")
    nb.wait_for("studio.settings.warmth == 1")
    before = source(nb)
    nb.page.get_by_role("radio", name="coffee.png").click()
    wait_for_other(nb, before)
    assert nb.ask("[str(studio.photo.path.name), studio.settings.warmth]") == ["coffee.png", 1]
    nb.page.keyboard.press("ArrowRight")
    nb.page.wait_for_function("document.querySelector('.colorlib-message').innerText.includes('letter.png')")
    nb.page.get_by_role("radio", name="rocket.png").click()
    nb.wait_for("studio.photo.path.name == 'rocket.png'")
    fold(nb, "The whole film strip")
    target = nb.page.get_by_role("textbox", name="Results in").first
    target.fill(str(tmp_path / "out"))
    target.press("Tab")
    nb.page.get_by_role("button", name="Save all of the film strip").click()
    nb.page.get_by_text("3 of 4 photographs are in").first.wait_for()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["china.png", "coffee.png", "rocket.png"]


def test_six_other_colourings_and_a_click_takes_one(studio):
    nb = studio(tiles=True)
    nb.page.wait_for_function("document.querySelectorAll('.colorlib-board .tile img').length === 7")
    before = source(nb)
    nb.page.get_by_role("radio", name="Colouring 3").click()
    wait_for_other(nb, before)
    assert nb.ask("studio.settings.variant") == 3
    nb.page.wait_for_function("document.querySelectorAll('.tile input')[3].checked")


def test_picture_colours_sliders_and_save_are_on_one_screen(studio):
    nb = studio(tiles=True)
    photos = {
        "wide": "studio.load('china')",
        "tall": "studio.load(Photo(sample_photograph('china').rgb.transpose(1, 2).contiguous()))",
        "strip": "with studio._lock: studio._show_films([*films_of('china', 10**8), *films_of('coffee', 10**8)])",
    }
    nb.run("from colorlib.photos import Photo, sample_photograph\nfrom colorlib.studio.files import films_of")
    for photo, code in photos.items():
        nb.run(code)
        films = 2 if photo == "strip" else 0
        nb.page.wait_for_function(
            "([films, tall]) => document.querySelectorAll('.films .tile').length === films"
            " && (document.querySelector('.stage').clientHeight > document.querySelector('.stage').clientWidth) === tall",
            arg=[films, photo == "tall"])  # fmt: skip
        for width, height in ((1400, 900), (1024, 768)):
            nb.page.set_viewport_size({"width": width, "height": height})
            boxes = [nb.page.locator(selector).first.bounding_box() for selector in (
                ".colorlib-board .bar", STAGE, ".colorlib-board .strip", *[".films"] * bool(films))]
            boxes += [slider(nb, name).bounding_box() for name in ("Colour strength", "Grey to colour")]
            boxes.append(nb.page.get_by_role("button", name="Save picture").bounding_box())
            top = min(box["y"] for box in boxes)
            tall = max(box["y"] + box["height"] for box in boxes) - top
            assert tall < height - 60, (photo, boxes)  # on the page of `make studio`; JupyterLab's own bars take more
            assert max(box["x"] + box["width"] for box in boxes) <= width


def test_an_upload_a_bad_file_and_the_file_that_is_saved(studio, tmp_path):
    """Bit for bit what `colorlib colorize --settings` writes from the same upload."""
    nb = studio()
    photo = tmp_path / "coffee.png"
    Image.fromarray(sample_photograph("coffee").rgb.permute(1, 2, 0).numpy()).save(photo)
    (tmp_path / "letter.png").write_text("no photograph")
    before = source(nb)
    upload(nb, photo)
    wait_for_other(nb, before)
    source(nb)  # not the draft
    stays = shown(nb)
    upload(nb, tmp_path / "letter.png")
    nb.page.wait_for_function("document.querySelector('.colorlib-message').innerText.includes('letter.png')")
    assert "is not a photograph" in message(nb) and np.array_equal(shown(nb), stays)
    slider(nb, "Colour strength").focus()
    nb.page.keyboard.press("ArrowRight")
    nb.wait_for("studio.settings.saturation > 1")
    click_at(nb, 300, 200)
    nb.wait_for("len(studio.settings.hints) == 1")
    with nb.page.expect_download() as download:
        nb.page.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    settings = nb.ask("studio.settings.to_json()")
    command = [sys.executable, "-m", "colorlib.cli", "colorize", str(photo), "-o", str(tmp_path / "out"),
               "--settings", str(tmp_path / "coffee-colour.png")]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert (tmp_path / "out" / "coffee.png").read_bytes() == (tmp_path / "coffee-colour.png").read_bytes()
    upload(nb, photo)
    nb.wait_for("studio.settings.hints == ()")
    upload(nb, tmp_path / "coffee-colour.png")
    nb.wait_for(f"studio.settings.to_json() == {settings!r}")
    nb.page.get_by_text("Its settings came back").first.wait_for()


def test_a_dropped_photograph(studio):
    nb = studio()
    file = io.BytesIO()
    Image.fromarray(sample_photograph("coffee").rgb[:, ::4, ::4].permute(1, 2, 0).numpy()).save(file, "PNG")
    before = source(nb)
    nb.page.evaluate("""([selector, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
        document.querySelector(selector).dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }""", [STAGE, list(file.getvalue())])
    wait_for_other(nb, before)
    assert nb.ask("str(studio.photo.path)") == "dropped.png" and message(nb) == ""


def test_an_exception_in_a_callback_is_seen_by_the_user_and_by_these_tests(studio):
    nb = studio()
    nb.run("studio.parts.show = lambda *_: 1 / 0")
    slider(nb, "Colour strength").focus()
    nb.page.keyboard.press("ArrowRight")
    nb.problems.expect("ZeroDivisionError")
    nb.page.get_by_text("Something went wrong").first.wait_for()


def test_the_notebooks_own_studio(shared, tmp_path):
    """Its cells up to the studio, and a click: a hint, which the notebook's scoring takes. nbval runs all cells."""
    path = ROOT / "notebooks" / "09_interactive_colorization.ipynb"
    cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    first = next(number for number, cell in enumerate(cells) if "Studio(" in cell)
    shared.run("import os, sys\n"
               f"os.environ.update(COLORLIB_PRESET='smoke', COLORLIB_RESULTS={str(tmp_path)!r})\n"
               f"os.chdir({str(path.parent)!r})\n"
               "sys.path.insert(0, os.getcwd())")
    for cell in cells[:first]:
        shared.run(cell)
    shared.page.evaluate("code => panel.content.widgets[1].model.sharedModel.setSource(code)", cells[first])
    nb = run_the_cell(shared)
    nb.page.locator(STAGE).first.scroll_into_view_if_needed()
    before = source(nb)
    click_at(nb, 100, 100)
    wait_for_other(nb, before)
    assert any("studio.settings.hints" in cell for cell in cells[first + 1:])
    assert nb.ask("[[round(hint.x), round(hint.y)] for hint in studio.settings.hints]") == [[100, 100]]
    nb.problems.check()
