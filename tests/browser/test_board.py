"""The board alone, in a page of its own: what a user does arrives in Python, in pixels of the photograph."""

import hashlib
import io
import time

import numpy as np
import pytest
from PIL import Image

from .alone import alone
from .real_jupyter import wait_for

# A photograph of 1200 x 800 whose preview is 800 x 533: red after, grey before. The callback answers as the studio does.
BOARD = """
import hashlib, io
import numpy as np
from PIL import Image
from colorlib.studio.board import Board

def png(*color):
    file = io.BytesIO()
    Image.fromarray(np.full((533, 800, 3), color, np.uint8)).save(file, "PNG")
    return file.getvalue()

def answer(board, content, buffers):
    log.append(content)
    kind, hints = content["kind"], list(board.hints)
    at = {name: content.get(name) for name in ("x", "y")}
    if kind == "add":
        hints.append({**at, "color": "#22aa55"})
    elif kind == "move":
        hints[content["index"]] = {**hints[content["index"]], **at}
    elif kind == "delete":
        del hints[content["index"]]
    elif kind == "select":
        board.selected = content["index"]
        board.offer = [["Plausible", [["#2255ee", "blue", 1.0, -60.0], ["#ee5522", "red", 50.0, 40.0]]]]
    elif kind in ("color", "reach", "erase"):
        at = board.selected
        more = {"color": content.get("code", "#2255ee")} if kind == "color" else {kind: content["value"]}
        hints[at] = {**hints[at], **more}
    elif kind == "withdraw":
        hints.pop()
    elif kind == "film":
        board.film = content["index"]
    elif kind == "tile":
        board.send(content, [b"" if content["index"] == 1 else png(0, 90, 90)])
    elif kind == "refine":
        board.draft = False
    elif kind == "file":
        parts.append(bytes(buffers[0]))
    board.hints = hints

log, parts, listeners = [], [], [answer]
board = Board(picture=png(200, 40, 40), before=png(128), width=1200, height=800)
board.on_msg(lambda *message: [listener(*message) for listener in listeners])
"""
RED, GREY = (200, 40, 40), (128, 128, 128)


@pytest.fixture(scope="module")
def shared(browser):
    with alone(browser) as page:
        yield page


@pytest.fixture
def board(shared):
    """board("code", width=1280, views=1): a fresh page with a new board, after this code."""

    def show(code: str = "", width: int = 1280, views: int = 1):
        shared.page.set_viewport_size({"width": width, "height": 900})
        shared.show(BOARD, code, views)
        shared.stage = shared.page.locator(".colorlib-board .stage").first
        shared.wait_for("board.ready")
        return shared

    yield show
    shared.problems.check()


def place(nb, x: float, y: float) -> tuple[float, float]:
    """Where the window shows this pixel of the photograph (its middle)."""
    box = nb.stage.bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / 1200, box["y"] + (y + 0.5) * box["height"] / 800


def click(nb, x: float, y: float) -> None:
    nb.page.mouse.click(*place(nb, x, y))


def drag(nb, start: tuple[float, float], *stops: tuple[float, float], drop: bool = True, steps: int = 5) -> None:
    nb.page.mouse.move(*start)
    nb.page.mouse.down()
    for stop in stops:
        nb.page.mouse.move(*stop, steps=steps)
    if drop:
        nb.page.mouse.up()


def touch(nb, *stops: tuple[float, float]) -> None:
    """A finger that goes down at the first stop, over the others, and up at the last."""
    session = nb.page.context.new_cdp_session(nb.page)
    for kind, stop in zip(["touchStart", *["touchMove"] * (len(stops) - 1)], stops, strict=True):
        points = [{"x": stop[0], "y": stop[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def middle(nb, index: int) -> tuple[float, float]:
    box = nb.page.locator(".colorlib-board .hint").nth(index).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def colors(nb, *pixels: tuple[float, float]) -> list[tuple[int, ...]]:
    """What is seen at these pixels of the photograph."""
    seen = np.asarray(Image.open(io.BytesIO(nb.page.screenshot())).convert("RGB"))
    return [tuple(map(int, seen[int(y), int(x)])) for x, y in (place(nb, *pixel) for pixel in pixels)]


def hints(nb) -> list[tuple[int, int]]:
    return [(hint["x"], hint["y"]) for hint in nb.ask("board.hints")]


def near(found, wanted, pixels: float = 1) -> bool:
    return abs(found["x"] - wanted[0]) <= pixels and abs(found["y"] - wanted[1]) <= pixels


@pytest.mark.parametrize("width", [1280, 400])
def test_a_click_sends_the_pixel_of_the_photograph(board, width):
    nb = board("board.divider, board.name = 0.5, 'a name as long as those that cameras give.jpg'", width=width)
    assert len(set(nb.page.eval_on_selector_all(".tools > *", "all => all.map(each => each.offsetTop)"))) == 1  # one line
    shown = nb.stage.bounding_box()
    assert abs(shown["width"] / shown["height"] - 1.5) < 0.02 and shown["x"] + shown["width"] <= width
    assert shown["width"] < 400 if width == 400 else shown["width"] > 700
    points = [(0, 0), (1199, 799), (300, 90), (601, 402)]  # two corners; before; on the divider's line
    for number, point in enumerate(points, 1):
        if point == (300, 90):
            nb.page.touchscreen.tap(*place(nb, *point))
        else:
            click(nb, *point)
        nb.wait_for(f"len(board.hints) == {number}")
    step = 1200 / shown["width"]  # a mouse hits whole pixels of the window, at worst the next one
    added = nb.ask("log")
    assert [content["kind"] for content in added] == ["add"] * 4
    for content, point in zip(added, points, strict=True):
        assert near(content, point, 1.01 * step), (content, point)
        assert isinstance(content["x"], int) and 0 <= content["x"] < 1200 and 0 <= content["y"] < 800
    nb.page.locator(".hint").nth(3).wait_for()
    for index, content in enumerate(added):  # and the marker is drawn where the click was
        assert np.allclose(middle(nb, index), place(nb, content["x"], content["y"]), atol=0.6)
    touch(nb, middle(nb, 2), place(nb, 400, 200), place(nb, 500, 300), place(nb, 600, 200))
    nb.wait_for("abs(board.hints[2]['x'] - 600) < 10 and abs(board.hints[2]['y'] - 200) < 10")
    assert nb.ask("len(board.hints)") == 4


def test_markers_are_moved_selected_and_deleted(board):
    nb = board('board.hints = [dict(x=300 * i, y=200, color="#2255ee") for i in (1, 2, 3)]')
    marker = nb.page.locator(".colorlib-board .hint")
    marker.nth(2).wait_for()
    drag(nb, middle(nb, 1), place(nb, 500, 300), place(nb, 700, 600))
    nb.wait_for("log and abs(board.hints[1]['y'] - 600) < 3")
    moved = nb.ask("log")
    assert {content["kind"] for content in moved} == {"move"} and {content["index"] for content in moved} == {1}
    assert near(moved[-1], (700, 600), 2)
    assert hints(nb)[0] == (300, 200) and hints(nb)[2] == (900, 200)
    nb.ask("log.clear()")

    small = marker.nth(2).bounding_box()["width"]
    marker.nth(2).click()
    nb.wait_for("board.selected == 2")
    nb.page.wait_for_selector('.hint[aria-pressed="true"]')
    assert marker.nth(2).bounding_box()["width"] > small > marker.nth(0).bounding_box()["width"] - 1
    nb.page.keyboard.press("ArrowRight")  # it has the focus: one step is 1 % of the photograph
    nb.page.keyboard.press("ArrowDown")
    nb.wait_for("(board.hints[2]['x'], board.hints[2]['y']) == (912, 208)")
    nb.page.keyboard.press("Escape")
    nb.wait_for("board.selected == -1")
    marker.nth(0).focus()
    nb.page.keyboard.press("Enter")
    nb.wait_for("board.selected == 0")
    nb.page.keyboard.press("Delete")
    nb.wait_for("len(board.hints) == 2")
    assert hints(nb)[1] == (912, 208) and nb.ask("[content['kind'] for content in log].count('add')") == 0
    nb.page.wait_for_function("document.querySelectorAll('.hint').length === 2")
    marker.nth(1).focus()
    nb.page.keyboard.press("ArrowUp")
    nb.wait_for("board.hints[1]['y'] == 200")
    nb.page.keyboard.press("Backspace")
    nb.wait_for("len(board.hints) == 1")


def test_a_ring_is_seen_on_black_and_on_white(board):
    nb = board('board.hints = [dict(x=600, y=400, color="#808080")]')
    nb.page.locator(".hint").wait_for()
    for grey in (0, 255):
        source = nb.page.locator("img.after").get_attribute("src")
        nb.ask(f"setattr(board, 'picture', png({grey}))")
        nb.page.wait_for_function("src => document.querySelector('img.after').src !== src", arg=source)
        nb.page.wait_for_function("document.querySelector('img.after').complete")
        x, y = middle(nb, 0)
        clip = {"x": x - 16, "y": y - 16, "width": 32, "height": 32}
        seen = np.asarray(Image.open(io.BytesIO(nb.page.screenshot(clip=clip))).convert("L")).astype(int)
        across = np.abs(seen[16] - grey)
        assert across[0] < 10 and across.max() > 180, across
        assert seen[16, 16] == 128


def test_the_divider_shows_more_of_before(board):
    nb = board()
    quarter, right = (300, 100), (900, 100)
    assert colors(nb, quarter, right) == [RED, RED]
    knob = nb.page.get_by_role("slider", name="Divider")
    box = nb.page.locator(".knob").bounding_box()
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    nb.page.mouse.click(*start)  # a click on the knob is no hint
    drag(nb, start, (place(nb, 600, 0)[0], start[1]), drop=False)
    assert colors(nb, quarter, right) == [GREY, RED]
    assert nb.ask("(board.divider, log)") == [0.0, []]  # dragged without the kernel
    nb.page.mouse.up()
    nb.wait_for("abs(board.divider - 0.5) < 0.03")
    line = place(nb, 1200 * nb.ask("board.divider"), 200)
    drag(nb, line, place(nb, 240, 200), line)  # by its line, and back: still no click
    drag(nb, line, place(nb, 1100, 300))
    drag(nb, place(nb, 300, 600), place(nb, 500, 700))  # neither a click nor the divider
    nb.wait_for("board.divider > 0.9")
    assert colors(nb, quarter, right) == [GREY, GREY]
    knob.focus()
    nb.page.keyboard.press("Home")
    nb.wait_for("board.divider == 0")
    for key in ("PageUp", "PageUp", "PageUp", "ArrowRight", "ArrowUp", "ArrowLeft"):
        nb.page.keyboard.press(key)
    nb.wait_for("abs(board.divider - 0.32) < 1e-6")
    assert knob.input_value() == "32" and colors(nb, quarter, right) == [GREY, RED]
    nb.ask("setattr(board, 'divider', 1.0)")
    nb.page.wait_for_function("document.querySelector('.divider').value === '100'")
    assert nb.ask("log") == []


def test_the_popover_at_a_hint(board):
    nb = board('board.hints = [dict(x=300, y=200, color="#2255ee", reach=1.0, erase=False)]')
    popover = nb.page.get_by_role("dialog", name="Colour of this surface")
    assert not popover.is_visible()
    nb.page.locator(".colorlib-board .hint").click()
    popover.wait_for()
    box, marker = popover.bounding_box(), nb.page.locator(".hint").bounding_box()
    assert box["x"] > marker["x"] + marker["width"] or box["x"] + box["width"] < marker["x"]  # it hides no surface
    popover.get_by_role("button", name="red").click()
    nb.wait_for("log[-1] == dict(kind='color', a=50, b=40)")
    popover.get_by_label("Any colour").fill("#104080")
    popover.get_by_label("Any colour").dispatch_event("change")
    nb.wait_for("log[-1] == dict(kind='color', code='#104080')")
    popover.get_by_label("Reach").focus()
    nb.page.keyboard.press("End")
    nb.wait_for("log[-1] == dict(kind='reach', value=10)")
    popover.get_by_label("Keep the network's colour").check()
    nb.wait_for("log[-1] == dict(kind='erase', value=True)")
    popover.get_by_role("button", name="From the picture").click()
    click(nb, 900, 600)
    nb.wait_for("log[-1]['kind'] == 'sample' and abs(log[-1]['x'] - 900) < 4 and len(board.hints) == 1")
    nb.ask("setattr(board, 'selected', -1)")
    nb.ask("setattr(board, 'selected', 0)")
    popover.get_by_role("button", name="blue").focus()
    nb.page.keyboard.press("Escape")
    nb.wait_for("board.selected == -1")
    popover.wait_for(state="hidden")
    assert nb.page.evaluate("document.activeElement.className") == "hint"  # the focus is where it was
    nb.page.keyboard.press("Enter")
    popover.wait_for()
    popover.get_by_label("Reach").focus()
    nb.page.keyboard.press("Enter")  # takes what is set
    nb.wait_for("board.selected == -1 and board.hints[0]['color'] == '#104080' and board.hints[0]['erase']")
    nb.ask("setattr(board, 'selected', 0)")
    popover.wait_for()
    nb.stage.focus()
    nb.page.keyboard.press("Enter")  # after a click the picture has the focus: no second hint
    nb.wait_for("board.selected == -1 and len(board.hints) == 1")


ZOOMED = "Number(document.querySelector('.colorlib-board .fit').textContent.split(' ')[0])"


def test_zoom_by_buttons_keys_and_wheel_and_the_pixel_stays_under_the_pointer(board):
    nb = board("board.variants = 0")
    nb.page.get_by_role("button", name="Zoom in").click()
    nb.page.wait_for_function(f"{ZOOMED} === 150")
    nb.wait_for("any(content['kind'] == 'crop' for content in log)")
    crop = nb.ask("next(content for content in log if content['kind'] == 'crop')")
    assert (crop["x"], crop["y"], crop["width"], crop["height"]) == (200, 133, 800, 534) and crop["pixels"] > 600
    nb.run("board.send({'kind': 'crop', 'box': [200, 133, 800, 534]}, [png(40, 40, 200)])")
    nb.page.wait_for_function("!document.querySelector('img.detail').hidden")
    box = nb.stage.bounding_box()
    middle_of_stage = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    nb.page.mouse.move(*middle_of_stage)
    nb.page.keyboard.down("Control")
    nb.page.mouse.wheel(0, -200)
    nb.page.keyboard.up("Control")
    nb.page.wait_for_function(f"{ZOOMED} > 300")
    nb.page.mouse.click(*middle_of_stage)
    nb.wait_for("abs(board.hints[0]['x'] - 600) <= 1 and abs(board.hints[0]['y'] - 400) <= 1")
    drag(nb, middle_of_stage, (middle_of_stage[0] + 100, middle_of_stage[1]))  # pans, and adds nothing
    assert middle(nb, 0)[0] == pytest.approx(middle_of_stage[0] + 100, abs=3) and len(hints(nb)) == 1
    nb.stage.focus()
    nb.page.keyboard.press("0")
    nb.page.wait_for_function(f"{ZOOMED} === 100")
    assert nb.page.locator("img.detail").is_hidden()
    nb.page.keyboard.press("Enter")  # on the picture: a hint in the middle
    nb.wait_for("len(board.hints) == 2 and board.hints[1]['x'] == 600")
    nb.page.mouse.wheel(0, -200)  # without Ctrl the wheel is the page's, which scrolls
    assert nb.page.evaluate(ZOOMED) == 100


def test_a_double_click_zooms_in_and_leaves_no_hint(board):
    nb = board('board.hints = [dict(x=300, y=200, color="#2255ee")]')
    place_of = place(nb, 900, 600)
    nb.page.mouse.dblclick(*place_of)
    nb.page.wait_for_function(f"{ZOOMED} === 200")
    nb.wait_for("[content['kind'] for content in log if content['kind'] != 'crop'] == ['add', 'withdraw']")
    assert hints(nb) == [(300, 200)]
    nb.page.wait_for_timeout(350)
    nb.page.mouse.click(*place_of)  # the place has stayed under the pointer; a single click is a hint
    nb.wait_for("len(board.hints) == 2 and abs(board.hints[1]['x'] - 900) <= 2 and abs(board.hints[1]['y'] - 600) <= 2")
    nb.page.wait_for_timeout(350)
    nb.page.mouse.click(*place_of)  # too late for a double click: it is the marker's
    nb.wait_for("board.selected == 1 and len(board.hints) == 2")
    assert nb.page.evaluate(ZOOMED) == 200
    nb.page.get_by_role("button", name="Show the whole photograph").click()


def test_two_fingers_zoom_where_they_are_and_make_no_hint(board):
    nb = board()
    session, (x, y) = nb.page.context.new_cdp_session(nb.page), place(nb, 600, 400)

    def fingers(kind: str, *apart: float) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
            {"x": x + shift, "y": y, "id": number} for number, shift in enumerate(apart)]})

    fingers("touchStart", -40)
    fingers("touchStart", -40, 40)
    for apart in (50, 60, 80, 100, 120):
        fingers("touchMove", -apart, apart)
    nb.page.wait_for_function(f"Math.abs({ZOOMED} - 300) < 8")
    fingers("touchEnd")
    nb.page.touchscreen.tap(x, y)  # one finger alone still clicks, on what has stayed in the middle
    nb.wait_for("len(board.hints) == 1 and abs(board.hints[0]['x'] - 600) <= 2 and abs(board.hints[0]['y'] - 400) <= 2")
    assert nb.ask("[content['kind'] for content in log].count('add')") == 1
    nb.page.get_by_role("button", name="Show the whole photograph").click()


def test_a_screen_with_two_pixels_a_dot_gets_them(board):
    nb = board()
    session, size = nb.page.context.new_cdp_session(nb.page), nb.page.viewport_size
    session.send("Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 2, "mobile": False})
    try:
        nb.ask("setattr(board, 'picture', png(200, 40, 41))")
        nb.wait_for("log and log[-1]['kind'] == 'crop'")
        nb.page.wait_for_timeout(600)  # the change of the screen may have made a request of its own
        crop, number, width = nb.ask("log[-1]"), nb.ask("len(log)"), nb.stage.bounding_box()["width"]
        assert (crop["x"], crop["y"], crop["width"], crop["height"]) == (0, 0, 1200, 800)
        assert crop["pixels"] == pytest.approx(2 * width, abs=2)
        nb.run("board.send({'kind': 'crop', 'box': [0, 0, 1200, 800]}, [png(40, 40, 200)])")
        nb.page.wait_for_function("!document.querySelector('img.detail').hidden")
        nb.page.wait_for_timeout(600)
        assert nb.ask("len(log)") == number  # once is enough
    finally:
        session.send("Emulation.clearDeviceMetricsOverride")


def test_the_film_strip(board):
    nb = board("board.films = [f'{number}.png' for number in range(30)]")
    nb.page.wait_for_function("document.querySelectorAll('.films .tile').length === 30")
    nb.page.wait_for_function("""[...document.querySelectorAll('.films .tile')].every((tile) => tile.children.length > 1
        || tile.offsetLeft >= document.querySelector('.films').clientWidth)""")
    nb.page.wait_for_timeout(600)  # were more requested, it would be now
    asked = nb.ask("[content['index'] for content in log]")
    assert asked == list(range(len(asked))) and len(asked) < 20  # those in sight, once each
    assert nb.page.get_by_title("1.png", exact=True).inner_text() == "cannot be opened"
    assert nb.page.locator(".films .tile img").count() == len(asked) - 1
    nb.page.get_by_role("radio", name="2.png", exact=True).click()
    nb.wait_for("board.film == 2")
    nb.page.wait_for_function("document.querySelectorAll('.films input')[2].checked")
    nb.page.keyboard.press("ArrowRight")
    nb.wait_for("board.film == 3")
    assert nb.page.evaluate("document.activeElement.ariaLabel") == "3.png"
    nb.ask("setattr(board, 'film', 29)")
    nb.wait_for("any(content == dict(kind='tile', row='films', index=29) for content in log)")  # it was moved into sight
    nb.ask("setattr(board, 'films', ['alone.png'])")
    nb.page.wait_for_function("document.querySelector('.films').hidden")


def test_a_draft_is_followed_by_the_request_for_the_picture_but_not_during_a_drag(board):
    nb = board('board.hints = [dict(x=300, y=200, color="#2255ee")]')
    nb.page.locator(".hint").wait_for()
    nb.run("with board.hold_sync():\n    board.draft, board.picture = True, png(1, 2, 3)")
    nb.wait_for("not board.draft and log[0] == dict(kind='refine')")
    drag(nb, middle(nb, 0), place(nb, 500, 300), drop=False)
    nb.wait_for("log[-1]['kind'] == 'move'")
    nb.run("log.clear()\nwith board.hold_sync():\n    board.draft, board.picture = True, png(3, 2, 1)")
    nb.page.wait_for_timeout(500)
    assert nb.ask("board.draft")
    nb.page.mouse.up()
    nb.wait_for("not board.draft")


def test_a_colour_from_another_photograph(board):
    nb = board('board.hints = [dict(x=300, y=200, color="#2255ee", reach=1.0, erase=False)]')
    nb.page.locator(".colorlib-board .hint").click()
    popover = nb.page.get_by_role("dialog", name="Colour of this surface")
    pane = popover.get_by_role("button", name="The other photograph")
    assert not pane.is_visible()
    with nb.page.expect_file_chooser() as chooser:
        popover.get_by_role("button", name="From another photograph").click()
    chooser.value.set_files({"name": "other.png", "mimeType": "image/png", "buffer": b"12345"})
    nb.wait_for("log[-1] == dict(kind='file', name='other.png', use='reference', part=0, parts=1)")
    nb.ask("setattr(board, 'reference', png(30, 90, 30))")
    pane.wait_for()
    box = pane.locator("img").bounding_box()
    nb.page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    nb.wait_for("log[-1]['kind'] == 'reference'")
    sent = nb.ask("log[-1]")
    assert sent["x"] == pytest.approx(0.25, abs=0.01) and sent["y"] == pytest.approx(0.75, abs=0.01)
    for key in ("ArrowRight", "ArrowUp", "Enter"):
        nb.page.keyboard.press(key)
    nb.wait_for(f"abs(log[-1]['x'] - {sent['x'] + 0.02}) < 1e-6 and abs(log[-1]['y'] - {sent['y'] - 0.02}) < 1e-6")


def test_small_colourings_are_requested_when_nothing_else_goes_on(board):
    nb = board("board.variants, board.busy = 3, True")
    nb.page.wait_for_timeout(600)
    assert nb.ask("log") == []
    nb.ask("setattr(board, 'busy', False)")
    nb.page.wait_for_function("document.querySelectorAll('.tile img').length === 2")
    nb.wait_for("log == [dict(kind='tile', row='strip', index=index) for index in range(3)]")  # 1 is a bad one
    assert nb.page.get_by_role("radio", name="Usual colouring").is_checked()
    nb.page.get_by_role("radio", name="Colouring 2").click()
    nb.wait_for("log[-1] == dict(kind='variant', index=2) and len(log) == 4")
    nb.ask("setattr(board, 'before', png(127))")  # another photograph has other colourings
    nb.wait_for("len(log) == 7")


def test_it_says_that_it_works_after_a_fifth_of_a_second(board):
    nb = board()
    said = nb.page.locator(".colorlib-board .working")
    nb.ask("setattr(board, 'busy', True)")
    nb.page.wait_for_function("document.querySelector('.colorlib-board .working').textContent === 'Working …'")
    nb.ask("setattr(board, 'busy', False)")
    nb.page.wait_for_function("document.querySelector('.colorlib-board .working').textContent === ''")
    assert said.get_attribute("role") == "status"


def test_the_divider_sweeps_once_over_a_new_photograph(board):
    nb = board()
    now = "Number(getComputedStyle(document.querySelector('.colorlib-board .stage')).getPropertyValue('--share'))"
    nb.ask("setattr(board, 'name', 'another')")
    nb.page.wait_for_function(f"{now} > 0.5")
    nb.page.wait_for_function(f"{now} === 0")
    assert nb.ask("(board.divider, log)") == [0.0, []]


DROP = """([size, name]) => {
    const bytes = Uint8Array.from({ length: size }, (_, i) => (i * i + (i >> 7)) & 255);
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    const stage = document.querySelector(".colorlib-board .stage");
    for (const kind of ["dragover", "drop"]) {
        const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
        stage.dispatchEvent(event);
        if (!event.defaultPrevented) throw new Error(kind + " would leave the page");
    }
}"""


def test_a_dropped_file_arrives_in_parts(board):
    nb = board("board.max_bytes = 3_000_000")
    i = np.arange(3_000_000, dtype=np.int64)
    content = ((i * i + (i >> 7)) & 255).astype(np.uint8).tobytes()
    nb.page.evaluate(DROP, [3_000_000, "größe.png"])
    nb.page.evaluate(DROP, [3_000_001, "large.png"])
    nb.page.evaluate(DROP, [0, "empty.png"])
    nb.wait_for("len(log) == 8")
    parts = [{"kind": "file", "name": "größe.png", "use": "photo", "part": part, "parts": 6} for part in range(6)]
    refused = {"kind": "refused", "name": "large.png", "bytes": 3_000_001}
    empty = {"kind": "file", "name": "empty.png", "use": "photo", "part": 0, "parts": 1}
    assert nb.ask("log") == [*parts, refused, empty]
    assert nb.ask("[len(part) for part in parts]") == [*[1 << 19] * 5, 3_000_000 - 5 * (1 << 19), 0]
    assert nb.ask("hashlib.sha256(b''.join(parts)).hexdigest()") == hashlib.sha256(content).hexdigest()


def test_several_files_at_once(board):
    nb = board()
    with nb.page.expect_file_chooser() as chooser:
        nb.page.get_by_role("button", name="Open photographs").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files([{"name": f"{name}.png", "mimeType": "image/png", "buffer": b"1"} for name in "abc"])
    nb.wait_for("[(content['name'], content['use']) for content in log]"
                " == [('a.png', 'photo'), ('b.png', 'more'), ('c.png', 'more')]")


ANSWER = """
listeners.append(lambda board, content, buffers: setattr(board, "picture", png(200, 40, 40 + len(log))))
board.hints = [dict(x=300, y=200, color="#2255ee")]
"""


def test_a_drag_waits_for_the_picture_and_ends_where_it_was_let_go(board):
    nb = board(ANSWER)
    nb.page.locator(".hint").wait_for()
    nb.page.evaluate("window.latency = 250")  # until Python answers
    nb.page.mouse.move(*middle(nb, 0))
    nb.page.mouse.down()
    start = time.monotonic()
    for step in range(40):
        nb.page.mouse.move(*place(nb, 300 + 15 * step, 200 + 10 * step))
    nb.wait_for("log")  # live: before the marker is let go
    nb.page.mouse.up()
    dragged = time.monotonic() - start
    assert np.allclose(middle(nb, 0), place(nb, 885, 590), atol=1.5)  # the marker does not wait
    nb.wait_for("abs(board.hints[0]['x'] - 885) < 3")
    assert nb.ask("len(log)") <= dragged / 0.25 + 2, dragged  # one at a time; and the last one
    assert near(nb.ask("board.hints[0]"), (885, 590), 2)


def test_a_move_that_python_does_not_take_goes_back(board):
    nb = board("listeners.clear()\nboard.hints = [dict(x=300, y=200, color='#2255ee')]")
    nb.page.locator(".hint").wait_for()
    drag(nb, middle(nb, 0), place(nb, 900, 600))
    assert np.allclose(middle(nb, 0), place(nb, 900, 600), atol=1.5)
    wait_for(nb.page, lambda: np.allclose(middle(nb, 0), place(nb, 300, 200), atol=1.5))


def test_two_views_show_one_board_and_old_pictures_are_let_go(board):
    nb = board(views=2)
    nb.page.evaluate("""() => {
        window.revoked = [];
        const revoke = URL.revokeObjectURL.bind(URL);
        URL.revokeObjectURL = (url) => { window.revoked.push(url); revoke(url); };
    }""")
    pictures = nb.page.locator("img.after")
    nb.page.wait_for_function("document.querySelectorAll('img.after').length === 2")
    old = {pictures.nth(i).get_attribute("src") for i in range(2)}
    click(nb, 600, 400)
    nb.page.wait_for_function("document.querySelectorAll('.colorlib-board .hint').length === 2")
    nb.ask("setattr(board, 'picture', png(0))")
    nb.page.wait_for_function(
        "old => [...document.querySelectorAll('img.after')].every(i => i.complete && !old.includes(i.src))",
        arg=list(old),
    )
    assert old == set(nb.page.evaluate("window.revoked"))
    nb.stage = nb.page.locator(".colorlib-board .stage").nth(1)
    nb.stage.evaluate("stage => stage.scrollIntoView({ block: 'center' })")
    assert colors(nb, (300, 300)) == [(0, 0, 0)]
    click(nb, 100, 700)
    nb.wait_for("len(board.hints) == 2")
    assert near(nb.ask("board.hints[1]"), (100, 700), 2)
