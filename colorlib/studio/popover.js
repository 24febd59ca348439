// The popover at a hint: its colour, how far it reaches, and whether it erases. In one module with board.js.

function makePopover({ model, board, stage, send, pick }) {
  const pop = node("div", "popover", { role: "dialog", "aria-label": "Colour of this surface", hidden: "" });
  const groups = node("div", "groups");
  const own = node("input", "own", { type: "color", "aria-label": "Any colour", ...OWN_KEYS });
  const dropper = button("dropper", "Take from the picture");
  const reach = node("input", "reach", { type: "range", min: "-1", max: "1", step: "0.05", "aria-label": "Reach", ...OWN_KEYS });
  const erase = node("input", "erase", { type: "checkbox", ...OWN_KEYS });
  const remove = button("remove", "Remove");
  const done = button("done", "Done");
  const labelled = (text, control) => {
    const label = node("label", "", {}, text);
    label.append(control);
    return label;
  };
  const row = (...parts) => {
    const made = node("div", "row");
    made.append(...parts);
    return made;
  };
  const hint = () => model.get("hints")[model.get("selected")];
  const index = () => model.get("selected");
  const close = () => {
    const marker = stage.querySelectorAll(".hint")[index()];
    send("select", { index: -1 });
    (marker ?? stage).focus({ preventScroll: true });
  };
  pop.append(groups, row(labelled("Any colour ", own), dropper), row(labelled("Reach: small to large ", reach)),
    row(labelled("Keep the network's colour here ", erase)), row(remove, done));
  board.append(pop);

  function swatch([color, label, a, b]) {
    const made = button("swatch", "", { "aria-label": label, title: label });
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
      const group = node("div", "group", { role: "group", "aria-label": title });
      group.append(node("div", "title", {}, title), row(...colors.map(swatch)));
      return group;
    }));
    if (at >= 0) [...groups.querySelectorAll(".swatch")][at]?.focus({ preventScroll: true });
  }

  // Beside the marker where there is room, below the picture in a narrow window.
  function place(marker) {
    pop.hidden = !marker || !hint();
    pick(false);
    if (pop.hidden) return;
    own.value = hint().color;
    if (document.activeElement !== reach) reach.value = Math.log10(hint().reach ?? 1);
    erase.checked = !!hint().erase;
    const [box, around] = [marker.getBoundingClientRect(), board.getBoundingClientRect()];
    const narrow = around.width < 560;
    pop.classList.toggle("below", narrow);
    if (narrow) return void (pop.style.left = pop.style.top = "");
    const [wide, tall] = [pop.offsetWidth, pop.offsetHeight];
    const right = box.right - around.left + 12;
    const left = right + wide <= around.width ? right : Math.max(0, box.left - around.left - wide - 12);
    pop.style.left = `${left}px`;
    pop.style.top = `${clamp(box.top - around.top - tall / 3, 0, Math.max(0, around.height - tall))}px`;
  }

  own.addEventListener("change", () => send("color", { code: own.value }));
  reach.addEventListener("change", () => send("reach", { value: Math.round(1000 * 10 ** Number(reach.value)) / 1000 }));
  erase.addEventListener("change", () => send("erase", { value: erase.checked }));
  remove.addEventListener("click", () => send("delete", { index: index() }));
  done.addEventListener("click", close);
  dropper.addEventListener("click", () => {
    pop.hidden = true;
    pick(true);
  });
  pop.addEventListener("keydown", (event) => {
    const takes = event.key === "Enter" && !event.target.matches("button");
    if (event.key !== "Escape" && !takes) return;
    close();
    event.preventDefault();
    event.stopPropagation();
  });
  return { fill, place };
}

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
    for (const part of root.querySelectorAll("input[placeholder]:not([aria-label])")) {
      part.setAttribute("aria-label", part.placeholder);
    }
    for (const widget of root.querySelectorAll('[class*="name:"]')) { // what `parts.named` has named
      const name = /name:(\S+)/.exec(widget.className)[1].replaceAll("_", " ");
      const part = widget.querySelector("select, input") ?? widget;
      part.setAttribute(part.matches("img") ? "alt" : "aria-label", name);
    }
    for (const part of root.querySelectorAll('[title="null"], [title=""]')) part.removeAttribute("title");
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
