"""The book as pages: `make run` executes every notebook first, `make site` shows the committed outputs.

The committed notebooks are read and never written; everything lands in build/. Sphinx makes the pages from a folder in which
each file lies as in the repository, so that links between files lead from page to page. The pages need no network.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image

from _notebooks import NOTEBOOKS, ROOT, STAMPED, clean, execute, read, series, spoken, workplace
from colorlib.runtime import PRESETS, machine, preset
from stamp_notebooks import PLACEHOLDER, source

DOCS = ROOT / "docs"
CONTENTS = {  # those that exist; README.md is the start page
    "The series": ["notebooks/*.ipynb"],
    "Reference": ["docs/verdicts.md", "docs/notation.md", "docs/glossary.md", "docs/benchmarks.md", "docs/api.md"],
    "Teaching, and the project": ["docs/class.md", "docs/*.md", "colorlib/README.md", "data/README.md",
                                  "data/weights/README.md", "CHANGELOG.md", "CONTRIBUTING.md"],
}
BADGE = re.compile(r"\[!\[[^]]*\]\([^)]*\)\]\(https://colab\.research\.google\.com[^)]*\)\n*")
LINK = re.compile(r"""(\]\(|\b(?:href|src)=["'])([^)\s:#"']+)(#[^)\s"']*)?(?=[)\s"'])""")
NEXT_OR_NAMED = re.compile(r"\b[Tt]he next figure\b|\b(?:[Tt]he )?figure \*([^*]+)\*")  # named: by how its caption begins
VERDICT = re.compile(r"\*\*(supported|weaker|undecided|refuted)\*\*")
LARGE = 200_000  # bytes of a PNG of the README
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg"}


def lay_out(folder: Path, site: Path, notebooks: dict[str, nbformat.NotebookNode]) -> None:
    """Write the sources of the pages into `folder`; `notebooks` is file name -> notebook with outputs."""
    contents, figures = table_of_contents(), copy_figures(folder)
    pages = [page for part in contents.values() for page in part]

    def relinked(text: str, page: str) -> str:
        """The text of a page with coloured verdicts, whose links to files that are no page lead to the repository."""
        here = os.path.dirname(page) or "."

        def other(found: re.Match) -> str:
            target = os.path.normpath(os.path.join(here, found[2])).replace(os.sep, "/")
            if target == "README.md" or target in pages:
                target = "index.md" if target == "README.md" else target
                if found[1] != "](":  # HTML is shown as it stands
                    target = str(Path(target).with_suffix(".html"))
            elif target in figures:
                target = figures[target]
            elif (ROOT / target).exists():
                return found[1] + address(target, page, site) + (found[3] or "")
            else:
                return found[0]
            return found[1] + os.path.relpath(target, here).replace(os.sep, "/") + (found[3] or "")

        return LINK.sub(other, VERDICT.sub(r"[\1]{.\1}", text))

    def write(page: str, text: str) -> None:
        path = folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    for page in pages:
        if page.endswith(".md"):
            write(page, relinked((ROOT / page).read_text(encoding="utf-8"), page))
    trees = [f"```{{toctree}}\n:caption: {part}\n:hidden:\n\n" + "\n".join(of_it) + "\n```" for part, of_it in contents.items()]
    write("index.md", "\n\n".join([relinked((ROOT / "README.md").read_text(encoding="utf-8"), "README.md"), *trees]))
    for name, notebook in notebooks.items():
        prepare(notebook, int(name[:2]), folder / "notebooks")
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = relinked(cell.source, f"notebooks/{name}")
        write(f"notebooks/{name}", nbformat.writes(notebook))


def table_of_contents() -> dict[str, list[str]]:
    """The pages of each part, in their order; each page once."""
    contents, seen = {}, set()
    for part, patterns in CONTENTS.items():
        found = [path.relative_to(ROOT).as_posix() for pattern in patterns for path in sorted(ROOT.glob(pattern))]
        contents[part] = [page for page in dict.fromkeys(found) if page not in seen]
        seen.update(contents[part])
    return contents


def copy_figures(folder: Path) -> dict[str, str]:
    """Copy data/figures, large photographs as JPEG. Returns the name of each file in the repository and here."""
    names = {}
    for path in sorted((ROOT / "data" / "figures").iterdir()):
        large = path.suffix == ".png" and path.stat().st_size > LARGE
        name = path.relative_to(ROOT).as_posix()
        names[name] = f"data/figures/{path.stem}-png.jpg" if large else name
        (folder / names[name]).parent.mkdir(parents=True, exist_ok=True)
        if large:
            Image.open(path).convert("RGB").save(folder / names[name], quality=88)
        else:
            shutil.copyfile(path, folder / names[name])
    return names


def address(target: str, page: str, site: Path) -> str:
    """Where a reader finds a file of the repository: on GitHub, or in this checkout until the project is published."""
    place = re.search(r"(https://github\.com/[\w.-]+/[\w.-]+?)(?:\.git)?(?:@([\w.-]+))?$", source())
    if place and PLACEHOLDER not in place[1]:
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{place[1]}/{kind}/{place[2] or 'main'}/{target}"
    return "checkout:" + os.path.relpath(ROOT / target, (site / page).parent).replace(os.sep, "/")


def prepare(notebook: nbformat.NotebookNode, number: int, folder: Path) -> None:
    """Number the figures, give them their captions, link to them; take out the badge, which is a picture from elsewhere."""
    captions = []  # (place of the cell, text) of each figure
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = BADGE.sub("", cell.source)
            continue
        if cell.source.startswith(STAMPED):
            cell.metadata["tags"] = ["hide-input"]
        outputs, cell.outputs = cell.get("outputs", []), []
        for output in outputs:
            data = output.get("data", {})
            kind = next((kind for kind in PICTURES if kind in data), None)
            caption = re.fullmatch(r"\*([^\n]+)\*", data.get("text/markdown", ""))
            if kind:
                captions.append((place, ""))
                count = len(captions)
                file = f"figures/{number:02}-{count}{PICTURES[kind]}"
                (folder / "figures").mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(base64.b64decode(data[kind]))
                shown = output.metadata.get(kind, {})
                alt = json.dumps(shown.get("alt", f"Figure {number}.{count}"), ensure_ascii=False)
                wide = f":width: {shown['width']}px\n" if "width" in shown else ""
                figure = (f"```{{figure}} {file}\n:name: figure-{number}-{count}\n:alt: {alt}\n{wide}\n"
                          f"**Figure {number}.{count}**\n```")
                output = nbformat.v4.new_output("display_data", {"text/markdown": figure})
            elif caption and cell.outputs and "{figure}" in (above := cell.outputs[-1].get("data", {})).get("text/markdown", ""):
                above["text/markdown"] = above["text/markdown"].replace("**\n```", f".** {caption[1]}\n```")
                captions[-1] = place, caption[1]
                continue
            cell.outputs.append(output)
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = NEXT_OR_NAMED.sub(lambda found: reference(found, place, number, captions), cell.source)


def reference(found: re.Match, place: int, number: int, captions: list[tuple[int, str]]) -> str:
    """A link to the figure that prose speaks of; the prose as it is where this run made no such figure."""
    named = " ".join((found[1] or "").split())
    meant = [k for k, (where, caption) in enumerate(captions, 1) if (caption.startswith(named) if named else where > place)]
    return f"[Figure {number}.{meant[0]}](#figure-{number}-{meant[0]})" if meant else found[0]


def build(notebooks: dict[str, nbformat.NotebookNode], site: Path, note: str) -> int:
    """Make the pages with Sphinx, whose warnings are errors. Returns its exit code; `note` stands at every page's end."""
    from sphinx.cmd.build import build_main

    if (site / "objects.inv").exists():  # Sphinx made this folder: no page of an earlier version stays
        shutil.rmtree(site)
    with tempfile.TemporaryDirectory() as work:
        sources = Path(work) / "source"
        lay_out(sources, site, notebooks)
        code = build_main(["-q", "-W", "--keep-going", "-c", str(DOCS), "-d", str(Path(work) / "doctrees"),
                           "-D", f"html_theme_options.extra_footer=<p>{html.escape(note)}</p>", str(sources), str(site)])
        if not (site / "index.html").exists():
            return code
        copied = {path.name for path in (site / "_images").iterdir()}
        for picture in (sources / "data" / "figures").iterdir():  # where a page has HTML, Sphinx copies nothing
            if picture.name not in copied:
                (site / "data" / "figures").mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture, site / "data" / "figures" / picture.name)
    for name in notebooks:  # to download: as they are committed
        shutil.copyfile(NOTEBOOKS / name, site / "notebooks" / name)
    for rest in (site / "_static").rglob("*.map"):
        rest.unlink()
    icons = site / "_static" / "scripts" / "fontawesome.js"
    if icons.exists():  # the theme's style sheet draws the same icons with a font; these are 1.5 MB for every page
        icons.write_text("", encoding="utf-8")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks and write build/site/index.html.")
    parser.add_argument("--preset", choices=PRESETS, help="the size of the runs; gpu where there is one, else laptop")
    parser.add_argument("--as-committed", action="store_true", help="show the committed outputs, execute nothing")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "site", help="the folder of the pages (build/site)")
    options = parser.parse_args()
    if options.preset:
        os.environ["COLORLIB_PRESET"] = options.preset
    os.environ.setdefault("COLORLIB_RESULTS", str(ROOT / "build" / "results"))
    notebooks, wrong = {path.name: read(path) for path in series()}, []
    if not options.as_committed:
        folder = workplace(ROOT / "build" / "run")
        print(f"{len(notebooks)} notebooks on {machine()}", flush=True)
        for name, notebook in notebooks.items():
            print(f"  {Path(name).stem:<28}", end=" ", flush=True)
            seconds, error = execute(notebook, preset(), folder)
            nbformat.write(notebook, folder / name)
            print(error or spoken(seconds), flush=True)
            clean(notebook)
            wrong += [f"{name}: {error}"] if error else []
    site = options.to.resolve()
    note = "Outputs as committed." if options.as_committed else f"Executed on {machine()}."
    code = build(notebooks, site, note)
    print(f"The site: {site / 'index.html'}\n  {(site / 'index.html').as_uri()}")
    for line in wrong:
        print(line, file=sys.stderr)
    return code or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
