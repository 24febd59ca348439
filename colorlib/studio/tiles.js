// A row of small pictures of which one is chosen: the colourings, the film strip. In one module with board.js.

function makeTiles(row, pick) {
  const tiles = row.children;

  // One tile for each name; those whose name stays keep their pictures.
  function draw(names, chosen) {
    row.hidden = !names.length;
    while (tiles.length > names.length) tiles[tiles.length - 1].remove();
    names.forEach((name, index) => {
      if (tiles[index]?.title === name) return;
      const tile = node("button", "tile", { role: "radio", title: name, "aria-label": name });
      tiles[index] ? tiles[index].replaceWith(tile) : row.append(tile);
    });
    [...tiles].forEach((tile, index) => {
      tile.setAttribute("aria-checked", index === chosen);
      tile.tabIndex = index === (tiles[chosen] ? chosen : 0) ? 0 : -1; // arrow keys go from one to the next
    });
    const tile = tiles[chosen];
    if (tile) row.scrollLeft = clamp(row.scrollLeft, tile.offsetLeft + tile.offsetWidth - row.clientWidth, tile.offsetLeft);
  }

  function paint(index, bytes) {
    const tile = tiles[index];
    if (!tile) return;
    tile.replaceChildren(node("img", "", { alt: "", draggable: "false" }));
    showBytes(tile.firstChild, bytes);
    if (!bytes.byteLength) tile.textContent = "cannot be opened";
  }

  // The first one in sight, or of all, that has no picture yet, else -1.
  const missing = (all = false) => [...tiles].findIndex((tile) => !tile.firstChild && (all ||
    (tile.offsetLeft < row.scrollLeft + row.clientWidth && tile.offsetLeft + tile.offsetWidth > row.scrollLeft)));

  row.addEventListener("click", (event) => {
    const index = [...tiles].indexOf(event.target.closest(".tile"));
    if (index >= 0) pick(index);
  });
  row.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    const tile = arrow && tiles[[...tiles].indexOf(event.target) + arrow[0] + arrow[1]];
    if (!tile) return;
    event.preventDefault();
    event.stopPropagation();
    tile.focus();
    tile.click();
  });
  return { draw, paint, missing };
}
