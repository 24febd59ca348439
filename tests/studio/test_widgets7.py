"""The studio and its notebook in a kernel with ipywidgets 7.7.1, which is what Colab has."""

import nbformat
import pytest
from nbclient import NotebookClient
from widgets7 import ROOT, VERSION, available, environment, kernel_folder

NOTEBOOK = ROOT / "notebooks" / "09_interactive_colorization.ipynb"

# The user's part: what a front end sends, and what the studio makes of it.
WORK = '''
import base64, io, ipywidgets, re
from PIL import Image
from colorlib.studio import Studio

from colorlib.colorizer import Settings
studio = Studio("coffee")
parts = studio.parts
picture = lambda: parts.board.picture
message = lambda: re.sub("<[^>]*>", "", parts.message.value)

def other(act):
    before = picture()
    act()
    assert picture() != before and not message(), message()

def upload(name, data):
    content = {"kind": "file", "name": name, "use": "photo", "part": 0, "parts": 1}
    parts.board._handle_custom_msg(content, [memoryview(data)])

display(studio)
---
assert ipywidgets.__version__ == "VERSION", (ipywidgets.__version__, ipywidgets.__file__)
for name, value in {"saturation": 1.4, "warmth": 6, "blend": 0.8, "render_size": 64, "adversarial": 0.5}.items():
    other(lambda: parts.sliders[name].set_state({"value": value}))
    assert getattr(studio.settings, name) == value
assert all(slider.description_tooltip for slider in parts.sliders.values())
---
other(lambda: parts.board._handle_custom_msg({"kind": "add", "x": 40, "y": 50}, []))
parts.x.set_state({"value": 300})
other(parts.add.click)
assert [hint.x for hint in studio.settings.hints] == [40, 300]
send = lambda **content: parts.board._handle_custom_msg(content, [])
other(lambda: send(kind="color", code="#a05a2c"))
color, label, a, b = parts.board.offer[0][1][-1]
other(lambda: send(kind="color", a=a, b=b))
for row in ("strip", "films"):
    send(kind="tile", row=row, index=0)
assert not message(), message()
other(lambda: send(kind="undo"))
while parts.board.can_undo:
    send(kind="undo")
assert studio.settings == Settings() and studio.settings.hints == ()
other(lambda: send(kind="redo"))
other(lambda: parts.uncertainty.set_state({"value": True}))
other(lambda: parts.uncertainty.set_state({"value": False}))
---
from colorlib.photos import sample_photograph
file = io.BytesIO()
Image.fromarray(sample_photograph("china").rgb.permute(1, 2, 0).numpy()).save(file, "PNG")
other(lambda: upload("china.png", file.getvalue()))
assert str(studio.photo.path) == "china.png" and studio.settings.hints == ()
before = picture()
upload("letter.png", b"no photograph")
assert "letter.png: is not a photograph" in message() and picture() == before
---
from colorlib.colorizer import Colorizer
sent, send_back = [], parts.board.send
parts.board.send = lambda content, buffers: sent.append((content["name"], buffers[0]))
parts.make.click()
((name, data),), parts.board.send = sent, send_back
import numpy as np
colored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
expected = Colorizer.load().colorize(studio.photo, **studio.settings.chosen())
expected = getattr(expected, "rgb", expected).permute(1, 2, 0).numpy()
assert name == "china-colour.png" and np.array_equal(colored, expected)
(text,) = re.findall("data:application/json;base64,([^\\"]+)", parts.code.value)
saved = base64.b64decode(text)
assert Settings.from_json(saved.decode()) == studio.settings
parts.reset.click()
upload("s.json", saved)
assert studio.settings == Settings.from_json(saved.decode()) and not message()
'''


@pytest.fixture(scope="module")
def with_seven():
    return environment(available(kernel_folder)) | {"COLORLIB_PRESET": "smoke"}


def run(cells: list[str], folder, environment) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return notebook


def notebook_cells() -> list[str]:
    """Those before the studio, its own, and those that read it, with the hints that stand for a reader's. The others have
    nothing to do with widgets: nbval runs them."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    first = next(number for number, cell in enumerate(cells) if "Studio(" in cell)
    rest = [cell for cell in cells[first + 1:] if "studio." in cell or "\nours = " in cell]
    assert len(rest) >= 2
    return [*cells[: first + 1], *rest]


def test_the_notebook_runs_and_its_studio_works(with_seven):
    """The notebook's cells of widgets, and then what a user does with a studio."""
    run([*notebook_cells(), *WORK.replace("VERSION", VERSION).split("---\n")], NOTEBOOK.parent, with_seven)
