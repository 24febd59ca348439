// The popover at a hint: its colour, how far it reaches, and whether it erases. In one module with board.js.

function makePopover({ model, board, stage, popover, groups, own, dropper, other, pane, reference, cross, reach, erase,
  remove, done, send, choose }) {
  const aim = { x: 0.5, y: 0.5 }; // the cross, shares of the other photograph
  const index = () => model.get("selected");
  const hint = () => model.get("hints")[index()];
  const pick = (on) => stage.classList.toggle("picking", on);
  const close = () => {
    const marker = stage.querySelectorAll(".hint")[index()];
    popover.hidden = true; // at once: the next click may come before the kernel's answer
    send("select", { index: -1 });
    (marker ?? stage).focus({ preventScroll: true });
  };

  function swatch([color, label, a, b]) {
    const made = node("button", "swatch", { "aria-label": label, title: label });
    made.style.background = color;
    made.addEventListener("click", () => send("color", { a, b }));
    return made;
  }

  // Colours that stay keep their buttons, so that the focus stays with them.
  function fill() {
    const wanted = model.get("offer");
    if (JSON.stringify(wanted) === groups.dataset.shown) return;
    const at = [...groups.querySelectorAll(".swatch")].indexOf(document.activeElement);
    groups.dataset.shown = JSON.stringify(wanted);
    groups.replaceChildren(...wanted.filter(([, colors]) => colors.length).map(([title, colors]) => {
      const [group, row] = [node("div", "group", { role: "group", "aria-label": title }), node("div", "row")];
      row.append(...colors.map(swatch));
      group.append(node("div", "title", {}, title), row);
      return group;
    }));
    groups.querySelectorAll(".swatch")[at]?.focus({ preventScroll: true });
  }

  // Beside the marker where there is room, below the picture in a narrow window.
  function place(marker) {
    popover.hidden = !marker || !hint();
    pick(false);
    if (popover.hidden) return;
    own.value = hint().color;
    if (document.activeElement !== reach) reach.value = Math.log10(hint().reach ?? 1);
    erase.checked = !!hint().erase;
    const [box, around] = [marker.getBoundingClientRect(), board.getBoundingClientRect()];
    const narrow = around.width < 560;
    popover.classList.toggle("below", narrow);
    const [wide, tall] = [popover.offsetWidth, popover.offsetHeight];
    const right = box.right - around.left + 12;
    const left = right + wide <= around.width ? right : Math.max(0, box.left - around.left - wide - 12);
    popover.style.left = narrow ? "" : `${left}px`;
    popover.style.top = narrow ? "" : `${clamp(box.top - around.top - tall / 3, 0, Math.max(0, around.height - tall))}px`;
  }

  function refer() {
    showBytes(reference, model.get("reference"));
    pane.hidden = reference.hidden;
  }

  function point(x, y) {
    Object.assign(aim, { x: clamp(x, 0, 1), y: clamp(y, 0, 1) });
    [cross.style.left, cross.style.top] = [`${100 * aim.x}%`, `${100 * aim.y}%`];
  }

  pane.addEventListener("click", (event) => {
    const box = reference.getBoundingClientRect();
    if (event.detail) point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height); // else a key
    send("reference", aim);
  });
  pane.addEventListener("keydown", (event) => {
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    point(aim.x + 0.02 * right, aim.y + 0.02 * down);
    if (right || down) event.preventDefault();
  });
  other.addEventListener("click", () => choose("reference"));
  own.addEventListener("change", () => send("color", { code: own.value }));
  reach.addEventListener("change", () => send("reach", { value: Math.round(1000 * 10 ** Number(reach.value)) / 1000 }));
  erase.addEventListener("change", () => send("erase", { value: erase.checked }));
  remove.addEventListener("click", () => send("delete", { index: index() }));
  done.addEventListener("click", close);
  dropper.addEventListener("click", () => {
    popover.hidden = true;
    pick(true);
  });
  popover.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && (event.key !== "Enter" || event.target.matches("button"))) return;
    close();
    event.preventDefault();
    event.stopPropagation();
  });
  return { fill, place, refer };
}

const OWN_KEYS = "data-lm-suppress-shortcuts"; // on what has the focus: else a notebook takes its arrow keys and letters

// ipywidgets gives its sliders and fields no accessible name, and a title "null" where there is no tooltip.
function nameControls(el) {
  let root = el;
  const give = () => {
    for (const box of root.querySelectorAll(".widget-inline-hbox")) {
      const label = box.querySelector(".widget-label")?.textContent.trim();
      for (const part of box.querySelectorAll("input, select, .noUi-handle, .widget-readout")) {
        if (label && part.getAttribute("aria-label") !== label) part.setAttribute("aria-label", label);
      }
    }
    for (const part of root.querySelectorAll('[title="null"], [title=""]')) part.removeAttribute("title");
    for (const part of root.querySelectorAll("button, input, select, [tabindex]")) part.setAttribute(OWN_KEYS, "true");
  };
  const watched = new MutationObserver(give);
  const start = () => { // the board is drawn before it is put into the studio
    if (!el.isConnected) return requestAnimationFrame(start);
    root = el.closest(".colorlib-studio") ?? el;
    watched.observe(root, { childList: true, subtree: true });
    give();
  };
  start();
  return watched;
}
