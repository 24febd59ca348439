// Files that are dropped on the board or chosen, and files that the kernel sends to be saved. In one module with board.js.

const PART = 1 << 19; // bytes of a file in one message; Colab may lose messages of 1 MB

function connectFiles({ model, board, stage, open, chooser, note, send }) {
  let uploads = Promise.resolve();
  let wanted = "photo";

  // One after the other: their parts must not mix.
  function take(files, use) {
    [...files].slice(0, use === "photo" ? files.length : 1).forEach((file, index) => {
      uploads = uploads.then(() => upload(file, index ? "more" : use));
    });
  }

  async function upload(file, use) {
    const { name, size } = file;
    if (size > model.get("max_bytes")) return send("refused", { name, bytes: size });
    const parts = Math.max(1, Math.ceil(size / PART));
    try {
      for (let part = 0; part < parts; part++) {
        const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
        send("file", { name, use, part, parts }, [bytes]);
      }
    } catch (error) {
      note.textContent = `${name} cannot be read: choose a file, not a folder. (${error.message})`;
    }
  }

  for (const over of ["dragover", "drop"]) {
    board.addEventListener(over, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
      stage.classList.toggle("over", over === "dragover");
      if (over === "drop") take(event.dataTransfer.files, event.target.closest(".popover") ? "reference" : "photo");
    });
  }
  board.addEventListener("dragleave", () => stage.classList.remove("over"));
  const choose = (use) => {
    wanted = use;
    chooser.multiple = use === "photo";
    chooser.click();
  };
  open.addEventListener("click", () => choose("photo"));
  chooser.addEventListener("change", () => {
    take(chooser.files, wanted);
    chooser.value = ""; // the same file can be chosen again
  });

  model.on("msg:custom", (content, buffers) => {
    if (content.kind !== "save") return;
    const link = node("a", "", { download: content.name });
    link.href = URL.createObjectURL(new Blob(buffers, { type: content.type }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
  return choose;
}
