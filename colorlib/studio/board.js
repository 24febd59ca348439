// The view of colorlib.studio.board.Board. It shows the traits and sends what the user did; the kernel changes them.

const SLOP = 4; // CSS pixels that a pointer may move and still click
const PATIENCE = 2000; // ms to wait for an answer
const AGAIN = 300; // ms within which a second click at the same place makes a double click
const IDLE = 250; // ms after the last change before something that may wait is requested
const SWEEP = 1400; // ms of the divider's first way across a new photograph

function render({ model, el }) {
  const parts = makeBoard();
  const { board, stage, after, detail, before, note, line, knob, divider, name, working, undo, redo, strip } = parts;
  const markers = [];
  el.append(board);

  let press = null; // the pointer that is down: on what, where it began, whether it has moved
  let held = null; // a marker ahead of the model: dragged, or released and not answered yet
  let sent = null; // its last position that was sent
  let busyUntil = 0; // the answer to it is expected before this time
  let tap = { time: -AGAIN, x: 0, y: 0 }; // the last click that made a hint
  let shown = ""; // the photograph that the divider has swept
  let idle = 0;
  let sharp = false; // the detail of this view was requested

  const shape = () => [model.get("width"), model.get("height")];
  const send = (kind, more = {}, buffers) => model.send({ kind, ...more }, undefined, buffers);
  const shares = (clientX, clientY) => {
    const box = stage.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  };
  parts.chooser.accept = model.get("accept");
  const choose = connectFiles({ model, ...parts, send });
  const colourings = makeTiles(strip, (index) => send("variant", { index }));
  const films = makeTiles(parts.films, (index) => send("film", { index }));
  const popover = makePopover({ model, ...parts, send, choose });
  const zoom = makeZoom({ ...parts, shares, moved: drawView });
  const view = zoom.view;

  // ---- traits to pictures

  function drawSize() {
    board.style.cssText = `--width: ${model.get("width")}; --height: ${model.get("height")}`;
    drawView();
  }

  function drawAfter() {
    showBytes(after, model.get("picture"));
    drawDivider();
    stage.classList.toggle("empty", after.hidden);
    note.textContent = after.hidden ? "Drop a photograph here" : "";
    busyUntil = 0;
    detail.hidden = true; // it is of the picture before
    sharp = false;
    sendMove();
    refine();
    later();
  }

  function drawBefore() {
    showBytes(before, model.get("before"));
    drawDivider();
    colourings.draw([]); // of another photograph
    drawTiles();
  }

  // A draft is painted before the picture itself is requested.
  function refine() {
    stage.classList.toggle("draft", model.get("draft"));
    if (model.get("draft") && !press) requestAnimationFrame(() => setTimeout(() => send("refine")));
  }

  function drawName() {
    name.textContent = model.get("name");
    if (model.get("name") && model.get("name") !== shown) {
      shown = model.get("name");
      zoom.to(1);
      sweep();
    }
  }

  function sweep() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || model.get("divider") > 0) return;
    stage.animate({ "--share": [1, 0] }, { duration: SWEEP, easing: "ease-in-out" });
  }

  function drawDivider() {
    const share = clamp(model.get("divider"), 0, 1);
    stage.style.setProperty("--share", share);
    divider.value = 100 * share;
    knob.hidden = line.hidden = after.hidden || before.hidden;
  }

  function drawView() {
    sharp = false;
    detail.hidden ||= view.zoom === 1;
    drawHints();
    later();
  }

  function drawDetail([x, y, width, height], bytes) {
    showBytes(detail, bytes);
    const [across, down] = shape();
    detail.style.cssText = `left: ${(100 * x) / across}%; top: ${(100 * y) / down}%; ` +
      `width: ${(100 * width) / across}%; height: ${(100 * height) / down}%;`;
  }

  // What may wait until the user does: the sharp part of a photograph, then the small pictures, one by one.
  function later() {
    clearTimeout(idle);
    idle = setTimeout(() => {
      const [width, height] = shape();
      if (press || model.get("busy") || after.hidden) return;
      const pixels = Math.round(stage.clientWidth * (window.devicePixelRatio || 1)); // of the screen
      if (!sharp && after.naturalWidth < Math.min(width, pixels * view.zoom)) {
        const at = (share, full) => Math.floor(share * full);
        sharp = true;
        return send("crop", { x: at(view.x, width), y: at(view.y, height), width: Math.ceil(width / view.zoom),
          height: Math.ceil(height / view.zoom), pixels });
      }
      const [row, index] = colourings.missing(true) >= 0 ? ["strip", colourings.missing(true)] : ["films", films.missing()];
      if (index >= 0) send("tile", { row, index });
    }, IDLE);
  }

  function drawTiles() {
    const names = model.get("films");
    const labels = Array.from({ length: model.get("variants") }, (_, index) => (index ? `Colouring ${index}` : "Usual colouring"));
    colourings.draw(labels, model.get("variant"));
    films.draw(names.length > 1 ? names : [], model.get("film"));
    drawView();
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
      if (focused) (markers.at(-1) ?? divider).focus({ preventScroll: true });
    }
    while (markers.length < hints.length) {
      markers.push(node("button", "hint"));
      stage.append(markers.at(-1));
    }
    hints.forEach((hint, index) => {
      const { x, y } = held?.index === index ? held : hint;
      const [marker, [width, height]] = [markers[index], shape()];
      marker.style.cssText = `--right: ${(x + 0.5) / width}; --down: ${(y + 0.5) / height}; ` +
        `background: ${hint.erase ? "transparent" : hint.color}`;
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

  // ---- what the user does

  // The pixel of the photograph at a place of the stage.
  function pixel([u, v]) {
    const at = (share, full) => clamp(Math.floor(share * full), 0, full - 1);
    const [width, height] = shape();
    return { x: at(view.x + u / view.zoom, width), y: at(view.y + v / view.zoom, height) };
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
  const toggle = (index) => send("select", { index: index === model.get("selected") ? -1 : index });

  stage.addEventListener("pointerdown", (event) => {
    if (zoom.pinching()) press = null; // a second finger: no click
    if (event.button !== 0 || !event.isPrimary || after.hidden) return;
    const on = event.target.closest(".hint, .knob, .line");
    const { clientX: x, clientY: y } = event;
    const again = performance.now() - tap.time < AGAIN && Math.hypot(x - tap.x, y - tap.y) < 2 * SLOP;
    press = { on, again, index: markers.indexOf(on), x, y, moved: false };
    for (const sweeping of stage.getAnimations()) sweeping.finish();
    if (!on) return view.zoom > 1 && stage.setPointerCapture(event.pointerId);
    const box = on.getBoundingClientRect();
    press.dx = box.left + box.width / 2 - event.clientX; // a marker keeps its distance from the pointer
    press.dy = box.top + box.height / 2 - event.clientY;
    sent = null;
    on.setPointerCapture(event.pointerId);
    (press.index < 0 ? divider : on).focus({ preventScroll: true });
    event.preventDefault();
  });

  stage.addEventListener("pointermove", (event) => {
    if (!press || !event.isPrimary) return;
    const [dx, dy] = [event.clientX - press.x, event.clientY - press.y];
    press.moved ||= Math.hypot(dx, dy) > SLOP;
    if (!press.moved) return;
    if (!press.on) {
      if (view.zoom === 1) return;
      Object.assign(press, { x: event.clientX, y: event.clientY });
      return zoom.pan(dx / stage.clientWidth, dy / stage.clientHeight);
    }
    const x = event.clientX + press.dx;
    if (press.index < 0) setDivider(shares(x, 0)[0]);
    else if (press.index < model.get("hints").length) hold(press.index, pixel(shares(x, event.clientY + press.dy)));
  });

  for (const up of ["pointerup", "pointercancel"]) {
    stage.addEventListener(up, (event) => {
      if (!press || !event.isPrimary) return;
      const { on, index, moved, again } = press;
      press = null;
      if (again && !moved && up === "pointerup") { // a double click zooms, and leaves no hint
        tap.time = -AGAIN;
        send("withdraw");
        zoom.by(2, shares(event.clientX, event.clientY));
      } else if (moved && index >= 0) release();
      else if (moved && on) model.save_changes();
      else if (moved || up === "pointercancel") later(); // a page that is scrolled by touch, or the picture
      else if (index >= 0) toggle(index);
      else if (on !== knob) {
        if (!stage.classList.contains("picking")) tap = { time: performance.now(), x: event.clientX, y: event.clientY };
        click(pixel(shares(event.clientX, event.clientY)));
      }
      refine();
    });
  }

  // clicks without a pointer: Enter, the space bar, screen readers
  stage.addEventListener("click", (event) => {
    const index = markers.indexOf(event.target);
    if (event.detail === 0 && index >= 0) toggle(index);
  });

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [index, arrow] = [markers.indexOf(event.target), ARROWS[event.key]];
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
    const closing = event.key === "Escape" || (event.key === "Enter" && event.target === stage); // Enter takes what is set
    if (closing && model.get("selected") >= 0) send("select", { index: -1 });
    else if (factor !== undefined) zoom.by(factor);
    else if (index >= 0 && ["Delete", "Backspace"].includes(event.key)) send("delete", { index });
    else if (index >= 0 && arrow) {
      const [width, height] = shape();
      const from = held?.index === index ? held : model.get("hints")[index];
      const step = (at, sign, full) => clamp(at + sign * Math.max(1, Math.round(full / 100)), 0, full - 1);
      hold(index, { x: step(from.x, arrow[0], width), y: step(from.y, arrow[1], height) });
    } else if (event.target === stage && event.key === "Enter" && !after.hidden) {
      click(pixel([0.5, 0.5]));
    } else if (event.target === stage && arrow && view.zoom > 1) zoom.pan(-0.1 * arrow[0], -0.1 * arrow[1]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  for (const over of ["keyup", "focusout"]) stage.addEventListener(over, () => press || release());
  divider.addEventListener("input", () => {
    setDivider(divider.value / 100);
    model.save_changes();
  });
  undo.addEventListener("click", () => send("undo"));
  redo.addEventListener("click", () => send("redo"));
  parts.films.addEventListener("scroll", later);
  after.onerror = before.onerror = () => (note.textContent = "The browser cannot show this picture.");

  const drawn = { width: drawSize, height: drawSize, picture: drawAfter, before: drawBefore, divider: drawDivider,
    hints: drawHints, selected: drawHints, offer: popover.fill, name: drawName, variants: drawTiles, variant: drawTiles,
    films: drawTiles, film: drawTiles, reference: popover.refer, busy: drawBusy, draft: refine,
    can_undo: () => (undo.disabled = !model.get("can_undo")), can_redo: () => (redo.disabled = !model.get("can_redo")) };
  for (const [trait, draw] of Object.entries(drawn)) model.on(`change:${trait}`, () => draw());
  model.on("msg:custom", (content, [bytes]) => {
    if (content.kind === "crop") drawDetail(content.box, bytes);
    if (content.kind === "tile") (content.row === "strip" ? colourings : films).paint(content.index, bytes);
    later();
  });
  for (const draw of [drawSize, drawBefore, drawAfter, popover.fill, popover.refer, drawn.can_undo, drawn.can_redo, drawName]) draw();
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
