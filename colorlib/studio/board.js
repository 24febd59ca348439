// The view of colorlib.studio.board.Board. It shows the traits and sends what the user did; the kernel changes them.

const PART = 1 << 19; // bytes of a file in one message; Colab may lose messages of 1 MB
const SLOP = 4; // CSS pixels that a pointer may move and still click
const PATIENCE = 2000; // ms to wait for an answer
const TALLEST = 640; // CSS pixels; not a share of the window, because Colab sizes the window by its content
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GRIP =
  '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M13 11l-5 5 5 5M19 11l5 5-5 5" fill="none" ' +
  'stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>';
// On every element that takes keys. Without it JupyterLab and Notebook 7 use the arrows themselves.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function node(tag, className, attributes) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries({ class: className, ...attributes })) made.setAttribute(name, value);
  return made;
}

function render({ model, el }) {
  const board = node("div", "colorlib-board", {});
  const stage = node("div", "stage", { role: "group", "aria-label": "Photograph: a click adds a hint" });
  const after = node("img", "after", { alt: "The photograph in colour", draggable: "false" });
  const before = node("img", "before", { alt: "The photograph before", draggable: "false" });
  const note = node("div", "note", { role: "status" });
  const line = node("div", "line", {});
  const knob = node("div", "knob", { role: "slider", tabindex: "0", "aria-label": "Divider between before and after",
    "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100", ...OWN_KEYS });
  knob.innerHTML = GRIP;
  const markers = [];
  const open = node("button", "open jupyter-button widget-button", { type: "button", title: "or drop it on the picture" });
  const chooser = node("input", "", { type: "file", accept: model.get("accept"), hidden: "" });
  open.textContent = "Open a photograph or settings";
  stage.append(after, before, note, line, knob);
  board.append(stage, open, chooser);
  el.append(board);

  let press = null; // the pointer that is down: on what, where it began, whether it has moved
  let held = null; // a marker ahead of the model: dragged, or released and not answered yet
  let sent = null; // its last position that was sent
  let busyUntil = 0; // the answer to it is expected before this time
  let uploads = Promise.resolve();

  const shape = () => [model.get("width"), model.get("height")];

  // ---- traits to pictures

  function drawSize() {
    const [width, height] = shape();
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.maxWidth = `${Math.min(Math.max(width, 320), Math.max((TALLEST * width) / height, 160))}px`;
    drawHints();
  }

  function drawPicture(img, name) {
    const bytes = model.get(name);
    img.hidden = !bytes?.byteLength;
    if (img.src) URL.revokeObjectURL(img.src);
    if (img.hidden) img.removeAttribute("src");
    else img.src = URL.createObjectURL(new Blob([bytes]));
    drawDivider();
  }

  function drawAfter() {
    drawPicture(after, "picture");
    stage.classList.toggle("empty", after.hidden);
    note.textContent = after.hidden ? "Drop a photograph here" : "";
    busyUntil = 0;
    sendMove();
  }

  function drawDivider() {
    const share = clamp(model.get("divider"), 0, 1);
    before.style.clipPath = `inset(-1px ${100 * (1 - share)}% -1px -1px)`;
    line.style.left = `${100 * share}%`;
    knob.style.left = `clamp(20px, ${100 * share}%, 100% - 20px)`;
    knob.hidden = after.hidden || before.hidden;
    line.hidden = knob.hidden || share === 0 || share === 1;
    knob.setAttribute("aria-valuenow", Math.round(100 * share));
    knob.setAttribute("aria-valuetext", `${Math.round(100 * share)} % before`);
  }

  function drawHints() {
    const hints = model.get("hints");
    if (held) {
      const at = hints[held.index];
      const answered = at && Math.abs(at.x - held.x) < 1 && Math.abs(at.y - held.y) < 1;
      if (!at || (!press && (answered || performance.now() >= held.until))) held = null;
    }
    while (markers.length > hints.length) {
      const gone = markers.pop();
      const focused = gone.matches(":focus");
      gone.remove();
      if (focused) (markers.at(-1) ?? knob).focus({ preventScroll: true });
    }
    while (markers.length < hints.length) {
      markers.push(node("button", "hint", { type: "button", ...OWN_KEYS }));
      stage.append(markers.at(-1));
    }
    hints.forEach((hint, index) => {
      const { x, y } = held?.index === index ? held : hint;
      const [marker, [width, height]] = [markers[index], shape()];
      marker.style.left = `${(100 * (x + 0.5)) / width}%`;
      marker.style.top = `${(100 * (y + 0.5)) / height}%`;
      marker.style.background = hint.color;
      marker.setAttribute("aria-pressed", index === model.get("selected"));
      marker.setAttribute("aria-label", `Hint ${index + 1} of ${hints.length}, ${hint.color}, at ${x}, ${y}`);
    });
  }

  // ---- what the user does

  function pixel(clientX, clientY) {
    const box = stage.getBoundingClientRect();
    const [width, height] = shape();
    return {
      x: clamp(Math.floor(((clientX - box.left) / box.width) * width), 0, width - 1),
      y: clamp(Math.floor(((clientY - box.top) / box.height) * height), 0, height - 1),
    };
  }

  function hold(index, { x, y }) {
    if (held?.index !== index) sent = null;
    held = { index, x, y, until: performance.now() + PATIENCE };
    drawHints();
    sendMove();
  }

  // During a drag a position is sent only after the picture of the one before has come: nothing stale is computed.
  function sendMove(last = false) {
    if (!held || (sent?.x === held.x && sent?.y === held.y)) return;
    if (!last && performance.now() < busyUntil) return;
    busyUntil = performance.now() + PATIENCE;
    sent = { x: held.x, y: held.y };
    model.send({ kind: "move", index: held.index, x: held.x, y: held.y });
  }

  function release() {
    if (!held) return;
    sendMove(true);
    held.until = performance.now() + PATIENCE;
    setTimeout(drawHints, PATIENCE + 1); // a move that was refused goes back
  }

  const setDivider = (share) => (model.set("divider", clamp(share, 0, 1)), drawDivider());

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary || after.hidden) return;
    const on = event.target.closest(".hint, .knob, .line");
    press = { on, index: markers.indexOf(on), x: event.clientX, y: event.clientY, moved: false };
    if (!on) return;
    const box = on.getBoundingClientRect();
    press.dx = box.left + box.width / 2 - event.clientX; // a marker keeps its distance from the pointer
    press.dy = box.top + box.height / 2 - event.clientY;
    sent = null;
    on.setPointerCapture(event.pointerId);
    (on === line ? knob : on).focus({ preventScroll: true });
    event.preventDefault();
  });

  stage.addEventListener("pointermove", (event) => {
    if (!press || !event.isPrimary) return;
    press.moved ||= Math.hypot(event.clientX - press.x, event.clientY - press.y) > SLOP;
    if (!press.moved || !press.on) return;
    const x = event.clientX + press.dx;
    const box = stage.getBoundingClientRect();
    if (press.index < 0) setDivider((x - box.left) / box.width);
    else if (press.index < model.get("hints").length) hold(press.index, pixel(x, event.clientY + press.dy));
  });

  for (const up of ["pointerup", "pointercancel"]) {
    stage.addEventListener(up, (event) => {
      if (!press || !event.isPrimary) return;
      const { on, index, moved } = press;
      press = null;
      if (moved && index >= 0) release();
      else if (moved && on) model.save_changes();
      else if (moved || up === "pointercancel") return; // a page that is scrolled by touch
      else if (index >= 0) model.send({ kind: "select", index });
      else if (on !== knob) model.send({ kind: "add", ...pixel(event.clientX, event.clientY) });
    });
  }

  // clicks without a pointer: Enter, the space bar, screen readers
  stage.addEventListener("click", (event) => {
    const index = markers.indexOf(event.target);
    if (event.detail === 0 && index >= 0) model.send({ kind: "select", index });
  });

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [index, arrow] = [markers.indexOf(event.target), ARROWS[event.key]];
    if (index >= 0 && ["Delete", "Backspace"].includes(event.key)) model.send({ kind: "delete", index });
    else if (index >= 0 && arrow) {
      const [width, height] = shape();
      const from = held?.index === index ? held : model.get("hints")[index];
      const step = (at, sign, full) => clamp(at + sign * Math.max(1, Math.round(full / 100)), 0, full - 1);
      hold(index, { x: step(from.x, arrow[0], width), y: step(from.y, arrow[1], height) });
    } else if (event.target === knob) {
      const share = model.get("divider");
      const step = { PageUp: 0.1, PageDown: -0.1 }[event.key] ?? (arrow ? 0.02 * (arrow[0] - arrow[1]) : 0);
      const to = { Home: 0, End: 1 }[event.key] ?? share + step;
      if (to === share && !arrow) return;
      setDivider(Math.round(100 * to) / 100);
      model.save_changes();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  for (const over of ["keyup", "focusout"]) stage.addEventListener(over, () => press || release());

  // ---- a file that is dropped or chosen

  for (const over of ["dragover", "drop"]) {
    stage.addEventListener(over, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
      stage.classList.toggle("over", over === "dragover");
      if (over === "drop") take(event.dataTransfer.files);
    });
  }
  stage.addEventListener("dragleave", () => stage.classList.remove("over"));
  open.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(chooser.files);
    chooser.value = ""; // the same file can be chosen again
  });

  function take([file]) {
    if (file) uploads = uploads.then(() => upload(file)); // one after the other: their parts must not mix
  }

  async function upload(file) {
    const { name, size } = file;
    if (size > model.get("max_bytes")) return model.send({ kind: "refused", name, bytes: size });
    const parts = Math.max(1, Math.ceil(size / PART));
    try {
      for (let part = 0; part < parts; part++) {
        const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
        model.send({ kind: "file", name, part, parts }, undefined, [bytes]);
      }
    } catch (error) {
      note.textContent = `${name} cannot be read: choose a file, not a folder. (${error.message})`;
    }
  }

  after.onerror = before.onerror = () => (note.textContent = "The browser cannot show this picture.");

  const drawBefore = () => drawPicture(before, "before");
  const drawn = { "change:width": drawSize, "change:height": drawSize, "change:picture": drawAfter,
    "change:before": drawBefore, "change:divider": drawDivider,
    "change:hints": drawHints, "change:selected": drawHints };
  for (const [change, draw] of Object.entries(drawn)) model.on(change, draw);
  for (const draw of [drawSize, drawBefore, drawAfter]) draw();
  model.set("ready", true);
  model.save_changes();

  return () => [after, before].forEach((img) => img.src && URL.revokeObjectURL(img.src));
}

export default { render };
