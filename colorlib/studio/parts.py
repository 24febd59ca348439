"""The widgets of the studio and where they stand; what they do is in `widgets`. ipywidgets 7.7 and 8, by what they have."""

from __future__ import annotations

from collections.abc import Iterable

from ipywidgets import (
    HTML,
    Accordion,
    Box,
    Button,
    ColorPicker,
    Dropdown,
    FileUpload,
    FloatProgress,
    FloatSlider,
    Image,
    IntSlider,
    Layout,
    Text,
    ToggleButton,
    ToggleButtons,
    VBox,
    Widget,
)

from colorlib.photos import SUFFIXES
from colorlib.photos.samples import OLD, SAMPLES

try:
    from colorlib.studio.board import Board
except ImportError:  # without anywidget: the core widgets do all that the board does
    Board = None

SLIDERS = {  # field of Settings: (class, from, to, step, what it is called, what it does)
    "variant": (IntSlider, 0, 20, 1, "Colouring", "0 is the network's own; every other number is another plausible one"),
    "render_size": (IntSlider, 32, 256, 8, "Render size", "short side, in pixels, of the picture that the network sees"),
    "adversarial": (FloatSlider, 0, 1, 0.05, "Boldness", "1: the network that met a critic; 0: its paler sibling that never did"),
    "guidance": (FloatSlider, 0, 1, 0.05, "Edge guidance", "how much colours end at the edges of the photograph"),
    "saturation": (FloatSlider, 0, 2, 0.05, "Saturation", "factor of the network's colours; hints stay"),
    "warmth": (FloatSlider, -30, 30, 1, "Warmth", "above 0 towards yellow, below towards blue, in CIE units; hints stay"),
    "blend": (FloatSlider, 0, 1, 0.05, "Grey to colour", "0: the grey photograph, 1: the coloured one"),
}  # fmt: skip
MAX_SUGGESTIONS = 5
FORMATS = {"PNG": ("image/png", ".png"), "JPEG": ("image/jpeg", ".jpg")}
LABEL = {"description_width": "7.5em"}
UPLOADS = {"photo": ("Open a photograph", ",".join(SUFFIXES)), "settings": ("Load settings", ".json")}


class Parts:
    """All widgets of a studio, by name, without any behaviour.

    Args:
        files: with paths and folders of the machine that computes.
        max_bytes: of a dropped file.
    """

    def __init__(self, files: bool, max_bytes: int) -> None:
        self.places, self.uploads = {name: Box() for name in UPLOADS}, {}
        self.samples = Dropdown(options=[("a sample photograph", ""), *((name, name) for name in (*SAMPLES, *OLD))],
                                layout=Layout(width="14em"))  # fmt: skip
        self.path = Text(placeholder="or drop one on the picture, or its path", continuous_update=False,
                         layout=Layout(width="22em"))  # fmt: skip
        # its line is there before it says anything: what moves away under the pointer is not clicked
        self.message = _named(HTML(layout=Layout(width="auto", min_height="32px")), "colorlib-message")
        self.image = _named(Image(format="jpeg", layout=Layout(max_width="100%")), "colorlib-picture")
        self.board = None if Board is None else Board(max_bytes=max_bytes)
        self.doubt = ToggleButton(description="Where is it unsure?", layout=_wide())
        self.sliders = {name: _slider(*arguments) for name, arguments in SLIDERS.items()}
        self.reset = Button(description="Back to the defaults", layout=_wide())
        self.histogram = _named(Image(format="png", layout=Layout(width="200px", height="200px")), "colorlib-histogram")
        self._hint_parts()
        self._save_parts()
        self._folder_parts()
        self.top = self._layout(files)

    def _hint_parts(self) -> None:
        self.hints = Dropdown(description="Hint", options=[("none", -1)], style=LABEL, layout=_wide())
        self.picker = ColorPicker(description="Colour", style=LABEL, layout=_wide())
        self.becomes = HTML(layout=_wide())
        self.suggestions = [Button(layout=Layout(width="4em")) for _ in range(MAX_SUGGESTIONS)]
        self.x, self.y = (IntSlider(min=0, description=name, style=LABEL, layout=_wide()) for name in ("x", "y"))
        self.add, self.move, self.delete, self.undo, self.redo = (
            Button(description=name, layout=_wide())
            for name in ("Add a hint at x, y", "Move it to x, y", "Delete it", "Undo", "Redo")
        )

    def _save_parts(self) -> None:
        self.format = ToggleButtons(options=list(FORMATS), description="Format", style={**LABEL, "button_width": "5em"})
        self.make = Button(description="Make the full-size file", layout=_wide(), button_style="primary")
        self.progress = FloatProgress(max=1.0, layout=Layout(width="12em", visibility="hidden"))
        self.file = _named(HTML(), "colorlib-file")
        self.code = _named(HTML(layout=_wide()), "colorlib-code")

    def _folder_parts(self) -> None:
        self.source = Text(description="Photographs", placeholder="a folder", style=LABEL, layout=_wide())
        self.target = Text(description="Results", placeholder="another folder", style=LABEL, layout=_wide())
        self.go = Button(description="Colour them all with these settings", layout=_wide())
        self.folder_progress = FloatProgress(max=1.0, layout=Layout(width="12em", visibility="hidden"))
        self.report = _named(HTML(layout=_wide()), "colorlib-report")

    def _layout(self, files: bool) -> list[Widget]:
        pictures = [self.image] if self.board is None else [self.board, self.image]
        left = VBox([*pictures, self.doubt], layout=Layout(flex="3 1 400px", min_width="0", padding="0 12px 0 0"))
        histogram = VBox([self.histogram, HTML("the picture's a and b: red to the right, yellow up")],
                         layout=Layout(align_items="center", padding="8px 0 0 0"))  # fmt: skip
        right = VBox([*self.sliders.values(), self.reset, histogram], layout=Layout(flex="2 1 280px", min_width="0"))
        plausible = _row([HTML("Plausible there:"), *self.suggestions])
        buttons = _row([self.add, self.move, self.delete, self.undo, self.redo])
        sections = {
            "Hints: click on the picture, or use these": VBox(
                [self.hints, self.picker, self.becomes, plausible, self.x, self.y, buttons]),
            "Save": VBox([self.format, _row([self.make, self.progress, self.file]), self.code, self.places["settings"]]),
        }
        if files:
            sections["A folder of photographs"] = VBox(
                [self.source, self.target, _row([self.go, self.folder_progress]), self.report])
        accordion = Accordion(list(sections.values()), selected_index=0)
        for number, title in enumerate(sections):
            accordion.set_title(number, title)  # 7 ignores titles=
        opening = _row([self.places["photo"], self.samples, *([self.path] if files else [])])
        return [opening, self.message, _row([left, right]), accordion]

    def fresh_upload(self, name: str) -> FileUpload:
        """A new one for every file: a used one keeps the bytes in memory, and 7 ignores the same file a second time."""
        description, accept = UPLOADS[name]
        upload = FileUpload(accept=accept, description=description, layout=_wide())
        _explain(upload, "a Jupyter server takes 10 MB this way (50 by `make lab`); drop a larger file on the picture")
        self.places[name].children, self.uploads[name] = [upload], upload
        return upload


def uploaded(value: object) -> list[tuple[str, bytes]]:
    """Names and bytes of a FileUpload's value: a dict by name in 7, a tuple in 8."""
    files = [{"name": name, **file} for name, file in value.items()] if isinstance(value, dict) else value
    return [(file["name"], bytes(file["content"])) for file in files]


def paint(button: Button, color: str | None, text: str, dark: bool) -> None:
    """A button in a colour; None hides it, and leaves its place."""
    button.layout.visibility = "hidden" if color is None else "visible"
    if color is not None:
        button.style.button_color, button.description = color, text
        if button.style.has_trait("text_color"):
            button.style.text_color = "white" if dark else "black"


def _slider(kind: type, least: float, most: float, step: float, label: str, explanation: str) -> Widget:
    slider = kind(min=least, max=most, step=step, description=label, style=LABEL, layout=_wide())
    _explain(slider, explanation)
    return slider


def _explain(widget: Widget, explanation: str) -> None:
    """What the pointer gets told over a widget; 7 calls it otherwise, and has none for an upload."""
    for name in ("tooltip", "description_tooltip"):
        if widget.has_trait(name):
            setattr(widget, name, explanation)
            return


def _row(widgets: Iterable[Widget]) -> Box:
    """Side by side; below each other in a narrow window."""
    return Box(list(widgets), layout=Layout(display="flex", flex_flow="row wrap", align_items="flex-start", width="100%"))


def _wide() -> Layout:
    return Layout(width="auto", max_width="100%")


def _named(widget: Widget, name: str) -> Widget:
    widget.add_class(name)
    return widget
