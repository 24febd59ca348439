// A row of small pictures of which one is chosen: the colourings, the film strip. In one module with board.js.

function makeTiles(row, pick) {
  const group = `tiles ${Math.random()}`; // radio buttons of this row alone
  const tiles = row.children;
  let chosen = 0;

  // One tile for each name; those whose name stays keep their pictures.
  function draw(names, index) {
    row.hidden = !names.length;
    chosen = index;
    while (tiles.length > names.length) tiles[tiles.length - 1].remove();
    names.forEach((name, at) => {
      if (tiles[at]?.title === name) return;
      const tile = node("label", "tile", { title: name });
      tile.append(node("input", "", { type: "radio", name: group, "aria-label": name }));
      tiles[at] ? tiles[at].replaceWith(tile) : row.append(tile);
    });
    const tile = tiles[chosen];
    if (!tile) return;
    tile.firstChild.checked = true;
    row.scrollLeft = clamp(row.scrollLeft, tile.offsetLeft + tile.offsetWidth - row.clientWidth, tile.offsetLeft);
  }

  function paint(index, bytes) {
    const tile = tiles[index];
    if (!tile) return;
    const shown = bytes.byteLength ? node("img", "", { alt: "", draggable: "false" }) : node("span", "", {}, "cannot be opened");
    tile.replaceChildren(tile.firstChild, shown);
    if (bytes.byteLength) showBytes(shown, bytes);
  }

  // The first one in sight, or of all, that has no picture yet, else -1.
  const missing = (all = false) => [...tiles].findIndex((tile) => tile.children.length === 1 && (all ||
    (tile.offsetLeft < row.scrollLeft + row.clientWidth && tile.offsetLeft + tile.offsetWidth > row.scrollLeft)));

  row.addEventListener("change", (event) => {
    pick([...tiles].indexOf(event.target.parentNode));
    tiles[chosen].firstChild.checked = true; // until the kernel has taken it
  });
  return { draw, paint, missing };
}
