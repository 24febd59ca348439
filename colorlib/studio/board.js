// The view of colorlib.studio.board.Board. It shows the traits and sends what the user did; the kernel changes them.

const SLOP = 4; // CSS pixels that a pointer may move and still click
const PATIENCE = 2000; // ms to wait for an answer
const TALLEST = 560; // CSS pixels; not a share of the window, because Colab sizes the window by its content
const WIDEST = 800;
const CLOSEST = 16; // largest zoom
const IDLE = 250; // ms after the last change before something that may wait is requested
const SWEEP = 1400; // ms of the divider's first way across a new photograph
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function render({ model, el }) {
  const parts = makeBoard(model.get("accept"));
  const { stage, sheet, after, detail, before, note, line, knob, bar, name, working, undo, redo, out, fit, into, strip } = parts;
  const markers = [];
  el.append(parts.board);

  let press = null; // the pointer that is down: on what, where it began, whether it has moved
  let held = null; // a marker ahead of the model: dragged, or released and not answered yet
  let sent = null; // its last position that was sent
  let busyUntil = 0; // the answer to it is expected before this time
  let view = { zoom: 1, x: 0, y: 0 }; // x, y: shares of the photograph left of and above the stage
  let shown = ""; // the photograph that the divider has swept
  let sweeping = 0;
  let idle = 0;
  let sharp = false; // the detail is of this view

  const shape = () => [model.get("width"), model.get("height")];
  const send = (kind, more = {}, buffers) => model.send({ kind, ...more }, undefined, buffers);
  connectFiles({ model, ...parts, send });
  const colourings = makeStrip({ model, strip, send, later: () => later() });
  const popover = makePopover({ model, ...parts, send, pick: (on) => stage.classList.toggle("picking", on) });

  // ---- traits to pictures

  function drawSize() {
    const [width, height] = shape();
    stage.style.aspectRatio = `${width} / ${height}`;
    const widest = Math.min(WIDEST, Math.max(1.5 * width, 320), Math.max((TALLEST * width) / height, 160));
    stage.style.maxWidth = `${widest}px`;
    bar.style.maxWidth = strip.style.maxWidth = `${Math.max(widest, 480)}px`;
    drawView();
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
    detail.hidden = true; // it is of the picture before
    sharp = false;
    sendMove();
    later();
  }

  function drawName() {
    name.textContent = model.get("name");
    if (model.get("name") && model.get("name") !== shown) {
      shown = model.get("name");
      view = { zoom: 1, x: 0, y: 0 };
      drawView();
      sweep();
    }
  }

  function sweep() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || model.get("divider") > 0) return;
    const from = performance.now();
    const frame = (now) => {
      const share = clamp((now - from) / SWEEP, 0, 1);
      if (press || !sweeping) return;
      drawDivider(1 - (share < 0.5 ? 2 * share * share : 1 - 2 * (1 - share) ** 2));
      sweeping = share < 1 ? requestAnimationFrame(frame) : 0;
      if (!sweeping) drawDivider();
    };
    sweeping = requestAnimationFrame(frame);
  }

  function drawDivider(at = model.get("divider")) {
    const share = clamp(at, 0, 1);
    before.style.clipPath = `inset(-1px ${100 * (1 - clamp(view.x + share / view.zoom, 0, 1))}% -1px -1px)`;
    line.style.left = `${100 * share}%`;
    knob.style.left = `clamp(20px, ${100 * share}%, 100% - 20px)`;
    knob.hidden = after.hidden || before.hidden;
    line.hidden = knob.hidden || share === 0 || share === 1;
    knob.setAttribute("aria-valuenow", Math.round(100 * share));
    knob.setAttribute("aria-valuetext", `${Math.round(100 * share)} % before`);
  }

  function drawView() {
    sheet.style.transform = `scale(${view.zoom}) translate(${-100 * view.x}%, ${-100 * view.y}%)`;
    stage.classList.toggle("zoomed", view.zoom > 1);
    fit.textContent = `${Math.round(100 * view.zoom)} %`;
    out.disabled = fit.disabled = view.zoom <= 1;
    into.disabled = view.zoom >= CLOSEST;
    sharp = false;
    detail.hidden ||= view.zoom === 1;
    drawDivider();
    drawHints();
    later();
  }

  // Zoom to `zoom` with the point (u, v), shares of the stage, staying where it is.
  function zoomTo(zoom, u = 0.5, v = 0.5) {
    const next = clamp(zoom, 1, CLOSEST);
    const at = (from, share) => clamp(from + share / view.zoom - share / next, 0, 1 - 1 / next);
    view = { zoom: next, x: at(view.x, u), y: at(view.y, v) };
    drawView();
  }

  function drawDetail() {
    drawPicture(detail, "detail");
    const [x, y, width, height] = model.get("detail_box");
    const [across, down] = shape();
    detail.hidden ||= view.zoom === 1;
    sharp = true;
    detail.style.cssText = `left: ${(100 * x) / across}%; top: ${(100 * y) / down}%; ` +
      `width: ${(100 * width) / across}%; height: ${(100 * height) / down}%;`;
  }

  // What may wait until the user does: the sharp part of a zoomed photograph, then the small colourings, one by one.
  function later() {
    clearTimeout(idle);
    idle = setTimeout(() => {
      const [width, height] = shape();
      const { thumbs, variants } = { thumbs: model.get("thumbs"), variants: model.get("variants") };
      if (press || model.get("busy") || after.hidden) return;
      if (view.zoom > 1 && !sharp && after.naturalWidth < width) {
        const at = (share, full) => Math.floor(share * full);
        send("crop", { x: at(view.x, width), y: at(view.y, height), width: Math.ceil(width / view.zoom),
          height: Math.ceil(height / view.zoom), pixels: Math.round(stage.clientWidth * (window.devicePixelRatio || 1)) });
      } else if (thumbs.length < variants) send("thumb", { index: thumbs.length });
    }, IDLE);
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
      markers.push(button("hint", ""));
      stage.append(markers.at(-1));
    }
    hints.forEach((hint, index) => {
      const { x, y } = held?.index === index ? held : hint;
      const [marker, [width, height]] = [markers[index], shape()];
      marker.style.left = `${100 * view.zoom * ((x + 0.5) / width - view.x)}%`;
      marker.style.top = `${100 * view.zoom * ((y + 0.5) / height - view.y)}%`;
      marker.style.background = hint.erase ? "transparent" : hint.color;
      marker.setAttribute("aria-pressed", index === model.get("selected"));
      marker.setAttribute("aria-label", `Hint ${index + 1} of ${hints.length}, ${hint.color}, at ${x}, ${y}`);
    });
    popover.place(press?.moved ? null : markers[model.get("selected")]);
  }

  function drawBusy() {
    working.textContent = "";
    if (!model.get("busy")) return later();
    setTimeout(() => (working.textContent = model.get("busy") ? "Working …" : ""), 200);
  }

  function drawSteps() {
    [undo.disabled, redo.disabled] = [!model.get("can_undo"), !model.get("can_redo")];
  }

  // ---- what the user does

  const shares = (clientX, clientY) => {
    const box = stage.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  };

  function pixel(clientX, clientY) {
    const [[u, v], [width, height]] = [shares(clientX, clientY), shape()];
    return {
      x: clamp(Math.floor((view.x + u / view.zoom) * width), 0, width - 1),
      y: clamp(Math.floor((view.y + v / view.zoom) * height), 0, height - 1),
    };
  }

  function click(at) {
    if (stage.classList.contains("picking")) {
      stage.classList.remove("picking");
      send("sample", at);
    } else send("add", at);
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
    send("move", { index: held.index, x: held.x, y: held.y });
  }

  function release() {
    if (!held) return;
    sendMove(true);
    held.until = performance.now() + PATIENCE;
    setTimeout(drawHints, PATIENCE + 1); // a move that was refused goes back
  }

  const setDivider = (share) => (model.set("divider", clamp(share, 0, 1)), drawDivider());

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary || after.hidden || event.target.closest(".popover")) return;
    const on = event.target.closest(".hint, .knob, .line");
    sweeping = 0;
    press = { on, index: markers.indexOf(on), x: event.clientX, y: event.clientY, moved: false, view };
    if (!on) {
      drawDivider();
      if (view.zoom > 1) stage.setPointerCapture(event.pointerId);
      return;
    }
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
    const [dx, dy] = [event.clientX - press.x, event.clientY - press.y];
    press.moved ||= Math.hypot(dx, dy) > SLOP;
    if (!press.moved) return;
    if (!press.on && press.view.zoom > 1) {
      const [zoom, limit] = [press.view.zoom, 1 - 1 / press.view.zoom];
      view = { zoom, x: clamp(press.view.x - dx / stage.clientWidth / zoom, 0, limit),
        y: clamp(press.view.y - dy / stage.clientHeight / zoom, 0, limit) };
      return drawView();
    }
    if (!press.on) return;
    const x = event.clientX + press.dx;
    if (press.index < 0) setDivider(shares(x, 0)[0]);
    else if (press.index < model.get("hints").length) hold(press.index, pixel(x, event.clientY + press.dy));
  });

  for (const up of ["pointerup", "pointercancel"]) {
    stage.addEventListener(up, (event) => {
      if (!press || !event.isPrimary) return;
      const { on, index, moved } = press;
      press = null;
      if (moved && index >= 0) release();
      else if (moved && on) model.save_changes();
      else if (moved || up === "pointercancel") later(); // a page that is scrolled by touch, or the picture
      else if (index >= 0) send("select", { index: index === model.get("selected") ? -1 : index });
      else if (on !== knob) click(pixel(event.clientX, event.clientY));
    });
  }

  // Two fingers on a touchpad come as a wheel with Ctrl. The wheel alone scrolls the page, as everywhere.
  stage.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey) || after.hidden) return;
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY / 200), ...shares(event.clientX, event.clientY));
  }, { passive: false });

  // clicks without a pointer: Enter, the space bar, screen readers
  stage.addEventListener("click", (event) => {
    const index = markers.indexOf(event.target);
    if (event.detail === 0 && index >= 0) send("select", { index: index === model.get("selected") ? -1 : index });
  });

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(".popover")) return;
    const [index, arrow] = [markers.indexOf(event.target), ARROWS[event.key]];
    const zoom = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
    if (event.key === "Escape" && model.get("selected") >= 0) send("select", { index: -1 });
    else if (zoom !== undefined) zoomTo(view.zoom * zoom);
    else if (index >= 0 && ["Delete", "Backspace"].includes(event.key)) send("delete", { index });
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
    } else if (event.target === stage && event.key === "Enter" && !after.hidden) {
      const [width, height] = shape();
      click({ x: Math.floor((view.x + 0.5 / view.zoom) * width), y: Math.floor((view.y + 0.5 / view.zoom) * height) });
    } else if (event.target === stage && arrow && view.zoom > 1) {
      const at = (from, sign) => clamp(from + (0.1 * sign) / view.zoom, 0, 1 - 1 / view.zoom);
      view = { zoom: view.zoom, x: at(view.x, arrow[0]), y: at(view.y, arrow[1]) };
      drawView();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  for (const over of ["keyup", "focusout"]) stage.addEventListener(over, () => press || release());
  undo.addEventListener("click", () => send("undo"));
  redo.addEventListener("click", () => send("redo"));
  into.addEventListener("click", () => zoomTo(view.zoom * 1.5));
  out.addEventListener("click", () => zoomTo(view.zoom / 1.5));
  fit.addEventListener("click", () => zoomTo(1));
  after.onerror = before.onerror = () => (note.textContent = "The browser cannot show this picture.");

  const drawn = { width: drawSize, height: drawSize, picture: drawAfter, before: () => drawPicture(before, "before"),
    divider: () => drawDivider(), hints: drawHints, selected: drawHints, offer: popover.fill, name: drawName,
    thumbs: colourings.draw, variant: colourings.choose, busy: drawBusy, detail: drawDetail, can_undo: drawSteps,
    can_redo: drawSteps };
  for (const [trait, draw] of Object.entries(drawn)) model.on(`change:${trait}`, () => draw());
  for (const draw of [drawSize, drawn.before, drawAfter, popover.fill, colourings.draw, drawSteps, drawName]) draw();
  const named = nameControls(el);
  model.set("ready", true);
  model.save_changes();

  return () => {
    named.disconnect();
    clearTimeout(idle);
    [after, before, detail].forEach((img) => img.src && URL.revokeObjectURL(img.src));
  };
}

export default { render };
