// The elements of the board. In one module with board.js.

const GRIP =
  '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M13 11l-5 5 5 5M19 11l5 5-5 5" fill="none" ' +
  'stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>';
// On every element that takes keys. Without it JupyterLab and Notebook 7 use the arrows themselves.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function node(tag, className, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries({ class: className, ...attributes })) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const button = (name, text, attributes = {}) =>
  node("button", name, { type: "button", ...OWN_KEYS, ...attributes }, text);

function makeBoard(accept) {
  const board = node("div", "colorlib-board");
  const bar = node("div", "bar");
  const stage = node("div", "stage", { role: "group", tabindex: "0", ...OWN_KEYS,
    "aria-label": "Photograph: click, or press Enter, to colour a surface; plus and minus zoom" });
  const sheet = node("div", "sheet");
  const after = node("img", "after", { alt: "The photograph in colour", draggable: "false" });
  const detail = node("img", "detail", { alt: "", draggable: "false" });
  const before = node("img", "before", { alt: "The photograph before", draggable: "false" });
  const note = node("div", "note", { role: "status" });
  const line = node("div", "line");
  const knob = node("div", "knob", { role: "slider", tabindex: "0", "aria-label": "Divider between before and after",
    "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100", ...OWN_KEYS });
  knob.innerHTML = GRIP;
  const open = button("open", "Open a photograph", { title: "or drop a photograph or settings on the picture" });
  const chooser = node("input", "", { type: "file", accept: accept, hidden: "", "aria-label": "A file" });
  const name = node("span", "name");
  const working = node("span", "working", { role: "status" });
  const undo = button("undo", "Undo");
  const redo = button("redo", "Redo");
  const out = button("out", "−", { "aria-label": "Zoom out" });
  const fit = button("fit", "100 %", { "aria-label": "Show the whole photograph" });
  const into = button("into", "+", { "aria-label": "Zoom in" });
  const strip = node("div", "strip", { role: "group", "aria-label": "Colourings of this photograph" });
  bar.append(open, name, working, undo, redo, out, fit, into);
  sheet.append(after, detail, before);
  stage.append(sheet, note, line, knob);
  board.append(bar, stage, strip, chooser);
  return { board, bar, stage, sheet, after, detail, before, note, line, knob, open, chooser, name, working,
     undo, redo, out, fit, into, strip };
}
