"""A board in a page of its own: the model in this process, the view in the browser, and no Jupyter between them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from colorlib.studio.board import Board

from .real_jupyter import SOON, Problems, wait_for

ADDRESS = "http://board.test/"
SYNCED = [name for name in Board().keys if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")]
# The model of a front end, as far as anywidget promises it to a view: https://anywidget.dev/en/afm/
MODEL = """
const [values, listeners, changed] = [{}, {}, new Set()];
const bytes = (code) => new DataView(Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0)).buffer);
const text = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));
const tell = (event, ...these) => (listeners[event] ?? []).forEach((listener) => listener(...these));
const model = {
    get: (name) => values[name],
    set(name, value) { values[name] = value; changed.add(name); tell(`change:${name}`); },
    save_changes() {
        later({ state: Object.fromEntries([...changed].map((name) => [name, values[name]])) });
        changed.clear();
    },
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    send(content, _, buffers = []) {
        later({ content, buffers: buffers.map(text) });
    },
};
let queue = Promise.resolve(); // a kernel takes one message after the other
const later = (message) => (queue = queue.then(() => new Promise((sent) => setTimeout(sent, window.latency ?? 0)))
    .then(() => toPython(message)).then((news) => fromPython(...news)));
window.fromPython = (state, pictures, messages) => {
    for (const [name, code] of Object.entries(pictures)) state[name] = bytes(code);
    const same = (name) => !(name in pictures) && JSON.stringify(state[name]) === JSON.stringify(values[name]);
    const news = Object.keys(state).filter((name) => !same(name));
    Object.assign(values, state);
    for (const name of news) tell(`change:${name}`);
    for (const [content, buffers] of messages) tell("msg:custom", content, buffers.map(bytes));
};
window.show = () => document.querySelectorAll(".colorlib-studio > div").forEach((el) => render({ model, el }));
"""


class Alone:
    """A page with a board, and the Python that answers it, with the interface of `real_jupyter.Notebook`.

    Attributes:
        page: the browser's page (playwright); `scope`: the names of the Python, `board` among them.
        problems: what went wrong until now.
    """

    def __init__(self, page) -> None:
        self.page, self.problems, self.scope, self._changed, self._sent = page, Problems(), {}, set(), []
        self.problems.watch(page)
        page.expose_function("toPython", lambda message: self._from_view(message))
        page.route(ADDRESS, lambda route: route.fulfill(body=self._html, content_type="text/html"))

    def show(self, code: str, more: str = "", views: int = 1) -> None:
        """Run the code, which makes `board`, and show that in a fresh page."""
        self.scope.clear()
        exec(code + more, self.scope)
        board, self._sent = self.scope["board"], []
        board.observe(lambda change: self._changed.add(change["name"]), SYNCED)
        board.send = lambda content, buffers=(): self._sent.append([content, [_text(each) for each in buffers]])
        script = str(board._esm).replace("export default { render };", "") + MODEL
        self._html = (f"<!doctype html><meta charset=utf-8><style>body {{ margin: 8px; height: 2000px }} {board._css}</style>"
                      f'<div class="colorlib-studio">{"<div></div>" * views}</div><script type="module">{script}</script>')
        self.page.goto(ADDRESS)
        self._changed = set(SYNCED)
        self._flush()
        self.page.evaluate("show()")

    def _from_view(self, message: dict) -> list:
        """Run the callbacks, and return what they changed."""
        board = self.scope["board"]
        try:
            if "state" in message:
                board.set_state(message["state"])
                self._changed -= set(message["state"])  # the view has it, or a newer value
            else:
                buffers = [memoryview(base64.b64decode(text)) for text in message["buffers"]]
                board._handle_custom_msg(message["content"], buffers)
        except Exception as error:
            self.problems.append(f"kernel error: {type(error).__name__}: {error}")
        return self._news()

    def _news(self) -> list:
        board, names, messages = self.scope["board"], self._changed, self._sent
        self._changed, self._sent = set(), []
        found = {name: getattr(board, name) for name in names}
        pictures = {name: _text(value) for name, value in found.items() if isinstance(value, bytes)}
        state = {name: value for name, value in found.items() if name not in pictures}
        return [state, pictures, messages]

    def _flush(self) -> None:
        if self._changed or self._sent:
            self.page.evaluate("news => fromPython(...news)", self._news())

    def run(self, code: str) -> None:
        exec(code, self.scope)
        self._flush()

    def ask(self, expression: str):
        """The value of a Python expression, by way of JSON; what it changes is sent."""
        found = json.loads(json.dumps(eval(expression, self.scope)))
        self._flush()
        return found

    def wait_for(self, expression: str, timeout: float = SOON):
        def found():
            try:
                return self.ask(expression)
            except (LookupError, StopIteration):  # what it speaks of is not there yet
                return None

        return wait_for(self.page, found, timeout)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def alone(browser) -> Iterator[Alone]:
    context = browser.new_context(has_touch=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * SOON)
    try:
        yield Alone(context.new_page())
    finally:
        context.close()
