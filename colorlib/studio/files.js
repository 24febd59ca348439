// Files that are dropped on the board or chosen, and files that the kernel sends to be saved. In one module with board.js.

const PART = 1 << 19; // bytes of a file in one message; Colab may lose messages of 1 MB

function connectFiles({ model, stage, open, chooser, note, send }) {
  let uploads = Promise.resolve();

  function take([file]) {
    if (file) uploads = uploads.then(() => upload(file)); // one after the other: their parts must not mix
  }

  async function upload(file) {
    const { name, size } = file;
    if (size > model.get("max_bytes")) return send("refused", { name, bytes: size });
    const parts = Math.max(1, Math.ceil(size / PART));
    try {
      for (let part = 0; part < parts; part++) {
        const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
        send("file", { name, part, parts }, [bytes]);
      }
    } catch (error) {
      note.textContent = `${name} cannot be read: choose a file, not a folder. (${error.message})`;
    }
  }

  for (const over of ["dragover", "drop"]) {
    stage.addEventListener(over, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
      stage.classList.toggle("over", over === "dragover");
      if (over === "drop") take(event.dataTransfer.files);
    });
  }
  stage.addEventListener("dragleave", () => stage.classList.remove("over"));
  open.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(chooser.files);
    chooser.value = ""; // the same file can be chosen again
  });

  model.on("msg:custom", (content, buffers) => {
    if (content.kind !== "save") return;
    const link = node("a", "", { download: content.name });
    link.href = URL.createObjectURL(new Blob(buffers, { type: content.type }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}
