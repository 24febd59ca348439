// The elements of the board, by class. In one module with board.js.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WAYS = "also: double click, two fingers, plus and minus, or the wheel (with Ctrl where the page scrolls)";
const BOARD = `
<div class="bar">
  <div class="opened"><span class="name"></span><span class="working" role="status"></span></div>
  <div class="tools">
    <button class="open" title="One, or several as a film strip; or drop them on the picture">Open photographs</button>
    <button class="undo" title="Takes the last change back: a colour, a place, a slider">Undo</button>
    <button class="redo" title="Makes the change again that Undo took back">Redo</button>
    <button class="out" aria-label="Zoom out" title="Zoom out; ${WAYS}">−</button>
    <button class="fit" aria-label="Show the whole photograph" title="Show the whole photograph">100 %</button>
    <button class="into" aria-label="Zoom in" title="Zoom in; ${WAYS}">+</button>
  </div>
</div>
<div class="stage" role="group" tabindex="0"
    aria-label="Photograph: click, or press Enter, to colour a surface; plus and minus zoom">
  <div class="sheet"><img class="after" alt="The photograph in colour"><img class="detail" alt="">
    <img class="before" alt="The photograph before"></div>
  <div class="note" role="status"></div><div class="line"></div>
  <div class="knob"><input class="divider" type="range" step="2" value="0" aria-label="Divider between before and after">
    <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M13 11l-5 5 5 5M19 11l5 5-5 5" fill="none" stroke="currentColor"
      stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg></div>
</div>
<div class="strip" role="radiogroup" aria-label="Colourings of this photograph"></div>
<div class="films" role="radiogroup" aria-label="Film strip" hidden></div>
<input class="chooser" type="file" aria-label="Files" hidden>
<div class="popover" role="dialog" aria-label="Colour of this surface" hidden>
  <div class="groups"></div>
  <div class="row"><label>Any colour <input class="own" type="color" title="Any colour"></label>
    <button class="dropper" title="Then click on a place of the picture that has the colour">From the picture</button></div>
  <div class="row"><button class="other" title="Opens a photograph to take colours from; or drop it here"
    >From another photograph</button></div>
  <button class="pane" title="Click on a colour" aria-label="The other photograph: click on a colour, or move the cross by the
    arrow keys and press Enter"><img class="reference" alt=""><span class="cross"></span></button>
  <div class="row"><label title="How far the colour spreads">Reach: small to large
    <input class="reach" type="range" min="-1" max="1" step="0.05" aria-label="Reach"></label></div>
  <div class="row"><label title="Other colours of yours do not come here">Keep the network's colour here
    <input class="erase" type="checkbox"></label></div>
  <div class="row"><button class="remove" title="Takes this point away">Remove</button>
    <button class="done" title="Closes this window; the colour stays">Done</button></div>
</div>`;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function node(tag, className, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries({ class: className, ...attributes })) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function makeBoard() {
  const board = node("div", "colorlib-board");
  board.innerHTML = BOARD;
  const parts = [...board.querySelectorAll("[class]")].map((part) => [part.className, part]);
  for (const img of board.querySelectorAll("img")) img.draggable = false;
  return { board, ...Object.fromEntries(parts) };
}

// Show the bytes of an encoded picture; hidden without any.
function showBytes(img, bytes) {
  if (img.src) URL.revokeObjectURL(img.src);
  img.hidden = !bytes?.byteLength;
  if (img.hidden) img.removeAttribute("src");
  else img.src = URL.createObjectURL(new Blob([bytes]));
}
