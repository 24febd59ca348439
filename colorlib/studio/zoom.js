// Zoom and pan of the picture: buttons, wheel, two fingers. In one module with board.js.

const CLOSEST = 16; // largest zoom

// `moved` is called after each change, `shares` gives a place of the window in shares of the stage.
function makeZoom({ stage, out, fit, into, shares, moved }) {
  const view = { zoom: 1, x: 0, y: 0 }; // x, y: shares of the photograph left of and above the stage
  const fingers = new Map(); // on the stage: [x, y] in pixels of the window

  function show(zoom, x, y) {
    Object.assign(view, { zoom, x: clamp(x, 0, 1 - 1 / zoom), y: clamp(y, 0, 1 - 1 / zoom) });
    for (const [name, value] of Object.entries(view)) stage.style.setProperty(`--${name}`, value);
    stage.classList.toggle("zoomed", zoom > 1);
    fit.textContent = `${Math.round(100 * zoom)} %`;
    out.disabled = fit.disabled = zoom <= 1;
    into.disabled = zoom >= CLOSEST;
    moved();
  }

  // The point that is at [u, v], shares of the stage, comes to [p, q].
  function to(zoom, [u, v] = [0.5, 0.5], [p, q] = [u, v]) {
    const next = clamp(zoom, 1, CLOSEST);
    show(next, view.x + u / view.zoom - p / next, view.y + v / view.zoom - q / next);
  }

  const by = (factor, at) => to(view.zoom * factor, at);
  const pan = (right, down) => to(view.zoom, [0, 0], [right, down]);

  // The wheel scrolls where there is something to scroll, and zooms then only with Ctrl: so do two fingers on a touchpad.
  function scrolls() {
    if (window.top !== window) return true; // an output of Colab or VS Code: the page around it scrolls
    for (let at = stage; at; at = at.parentElement) {
      const free = at === document.scrollingElement || /auto|scroll/.test(getComputedStyle(at).overflowY);
      if (free && at.scrollHeight > at.clientHeight + 1) return true;
    }
    return false;
  }
  stage.addEventListener("wheel", (event) => {
    if (stage.classList.contains("empty") || event.target.closest(".popover")) return;
    if (!(event.ctrlKey || event.metaKey) && scrolls()) return;
    event.preventDefault();
    by(Math.exp(-event.deltaY / (event.ctrlKey ? 200 : 500)), shares(event.clientX, event.clientY));
  }, { passive: false });

  stage.addEventListener("touchmove", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size !== 2) return;
    const after = [...fingers.values()];
    const apart = ([a, b]) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const middle = ([a, b]) => shares((a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    to((view.zoom * apart(after)) / apart(before), middle(before), middle(after));
  });
  for (const up of ["pointerup", "pointercancel"]) stage.addEventListener(up, (event) => fingers.delete(event.pointerId));
  into.addEventListener("click", () => by(1.5));
  out.addEventListener("click", () => by(1 / 1.5));
  fit.addEventListener("click", () => to(1));
  return { view, to, by, pan, pinching: () => fingers.size > 1 };
}
