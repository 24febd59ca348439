// The small colourings below the photograph. In one module with board.js.

function makeStrip({ model, strip, send, later }) {
  function draw() {
    const thumbs = model.get("thumbs");
    while (strip.children.length > thumbs.length) strip.lastChild.remove();
    thumbs.forEach((bytes, index) => {
      const label = index ? `Colouring ${index}` : "Usual colouring";
      const tile = strip.children[index] ?? strip.appendChild(button("tile", "", { title: label, "aria-label": label }));
      const img = tile.firstChild ?? tile.appendChild(node("img", "", { alt: "", draggable: "false" }));
      if (img.bytes === bytes) return;
      if (img.src) URL.revokeObjectURL(img.src);
      img.bytes = bytes;
      img.src = URL.createObjectURL(new Blob([bytes]));
    });
    choose();
    later();
  }

  function choose() {
    [...strip.children].forEach((tile, index) => tile.setAttribute("aria-pressed", index === model.get("variant")));
  }

  strip.addEventListener("click", (event) => {
    const index = [...strip.children].indexOf(event.target.closest(".tile"));
    if (index >= 0) send("variant", { index });
  });
  return { draw, choose };
}
