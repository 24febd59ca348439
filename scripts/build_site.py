"""Execute every notebook in order and write the series as pages: `make run`.

The committed notebooks are read and never written; everything lands in build/. The pages need no network and
no script: pictures are embedded, equations are MathML.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import string
import sys
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import nbformat
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from _notebooks import NOTEBOOKS, ROOT, WIDGET_VIEW, execute, read, series, spoken, title, workplace
from colorlib.runtime import PRESETS, machine, preset

SITE = ROOT / "build" / "site"
PIECES = Path(__file__).resolve().parent / "site"
NOT_HERE = "<p class='interactive'>A control: it works in the running notebook (<code>make lab</code>).</p>"


# what latex2mathml lacks, in what it has
_SPELLED_ANOTHER_WAY = [
    (r"\\arg(?![A-Za-z])", r"\\operatorname{arg}"),
    (r"\\(begin|end)\{(aligned|gathered)\}", r"\\\1{split}"),
    (r"\\[lr]Vert(?![A-Za-z])", r"\\|"),  # it has them, and stretches one of the two
    (r"\\[lr]vert(?![A-Za-z])", "|"),
    (r"\\(begin|end)\{equation\*?\}", ""),
]


@dataclass
class Page:
    """One notebook as a page: its file on the site, its title, its sections (anchor, text) and its HTML."""

    name: str
    title: str
    question: str
    sections: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""


def to_mathml(latex: str, display: bool) -> str:
    """An equation as MathML, which browsers draw by themselves.

    Raises:
        ValueError: a command is not known, and would be shown as it was typed.
    """
    from latex2mathml.converter import convert

    known = latex.strip()
    for pattern, replacement in _SPELLED_ANOTHER_WAY:
        known = re.sub(pattern, replacement, known)
    if display:
        known = re.sub(r"\\(min|max|sup|inf|lim)_", r"\\\1\\limits_", known)
    try:
        mathml = convert(known, display="block" if display else "inline")
    except Exception as error:
        raise ValueError(
            f"equation {latex.strip()!r} is not understood ({error!r}); write it more simply"
        ) from None
    unknown = re.search(r"\\[A-Za-z]+|>&<", mathml)
    if unknown:
        raise ValueError(
            f"equation {latex.strip()!r}: {unknown[0].strip('<>')} is not understood; write it another way"
        )
    return mathml


class _Renderer(IPythonRenderer):
    """Markdown with equations as MathML, links that stay inside the site, and a note of each section."""

    sections: list[tuple[str, str]]

    def block_math(self, body: str) -> str:
        return f'<div class="equation">{to_mathml(body, display=True)}</div>\n'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def inline_math(self, body: str) -> str:
        return to_mathml(body, display=False)

    def _html_embed_images(self, html: str) -> str:
        # nbconvert's own takes a piece such as <details> for a whole document, and closes what is still open
        return re.sub(
            r'(<img[^>]*src=")([^"]+)',
            lambda found: found[1] + self._embed_image_or_attachment(found[2]),
            html,
        )

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if "colab.research.google.com" in url:
            return ""  # the badge: a picture from elsewhere, for readers of the notebook on GitHub
        url = re.sub(r"^([0-9][0-9]_\w+)\.ipynb", r"\1.html", url)
        return super().link(text, "../" + url if url.startswith("../") else url, title)

    def heading(self, text: str, level: int, **attrs: object) -> str:
        plain = html.unescape(re.sub(r"<math.*?</math>|<[^>]+>", "", text)).strip()
        anchor = re.sub(r"[^\w]+", "-", plain.lower()).strip("-") or "section"
        used = {known for known, _ in self.sections}
        while anchor in used:
            anchor += "-"
        if level == 2:
            self.sections.append((anchor, plain))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'


class _Exporter(HTMLExporter):
    def __init__(self, sections: list[tuple[str, str]]) -> None:
        super().__init__(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
        self.known_sections = sections

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(escape=False, attachments=attachments, embed_images=True, path=str(NOTEBOOKS))
        renderer.sections = self.known_sections
        return MarkdownWithMath(renderer=renderer).render(source)


def render(path: Path, notebook: nbformat.NotebookNode) -> Page:
    """The page of an executed notebook.

    Raises:
        ValueError: an equation of the notebook is not understood.
    """
    first = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    paragraphs = [
        part.strip() for part in first.split("\n\n") if not part.lstrip().startswith(("#", "[![", "<"))
    ]
    page = Page(path.stem + ".html", _plain(title(notebook)), _plain(paragraphs[0]) if paragraphs else "")
    _prepare(notebook)
    try:
        page.body, _ = _Exporter(page.sections).from_notebook_node(notebook)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return page


def _plain(markdown: str) -> str:
    """Text without the marks of Markdown."""
    return re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", markdown)


def _prepare(notebook: nbformat.NotebookNode) -> None:
    """Give figures a text for those who do not see them; MathML for equations, a word in place of widgets."""
    notebook.metadata.pop("widgets", None)
    section = _plain(title(notebook))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = _plain((re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [section])[-1])
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET_VIEW in data:
                output["data"] = nbformat.from_dict({"text/html": NOT_HERE})
            elif "text/latex" in data and "text/html" not in data:
                data["text/html"] = to_mathml(data["text/latex"].strip().strip("$"), display=True)
            for kind in ("image/png", "image/jpeg"):
                if kind in data:
                    output["metadata"].setdefault(kind, {}).setdefault(
                        "alt", f"Figure of the section {section}"
                    )


def write_site(pages: list[Page], site: Path, note: str) -> Path:
    """Write the pages, with an index in front and links between neighbours. Returns the index."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    template = string.Template((PIECES / "page.html").read_text(encoding="utf-8"))
    highlight = HtmlFormatter(style="default").get_style_defs(".highlight")
    (site / "site.css").write_text(
        (PIECES / "site.css").read_text(encoding="utf-8") + highlight, encoding="utf-8"
    )
    # without a font made for equations a browser sets indices on the line; Linux often has none
    font = resources.files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
    (site / "STIXTwoMath-Regular.ttf").write_bytes(font.read_bytes())
    listing = "".join(
        f'<li><a href="{page.name}">{html.escape(page.title)}</a><br>{html.escape(page.question)}</li>\n'
        for page in pages
    )
    index = Page("index.html", "How a machine colours a photograph", "")
    index.body = (
        f"<h1>{index.title}</h1><p>Read the pages in order.</p><ol class='series'>{listing}</ol><p>{note}</p>"
    )
    everything = [index, *pages]
    for number, page in enumerate(everything):
        before = everything[number - 1] if number else None
        after = everything[number + 1] if number + 1 < len(everything) else None
        (site / page.name).write_text(
            template.substitute(
                title=html.escape(page.title),
                body=page.body,
                series=_menu(everything, page),
                turn=_turn(before, after),
                sections="".join(
                    f'<li><a href="#{a}">{html.escape(text)}</a></li>' for a, text in page.sections
                ),
            ),
            encoding="utf-8",
        )
    return site / "index.html"


def _menu(pages: list[Page], here: Page) -> str:
    return "".join(
        f'<li><a href="{page.name}"{" aria-current=page" if page is here else ""}>'
        f"{html.escape(page.title)}</a></li>"
        for page in pages
    )


def _turn(before: Page | None, after: Page | None) -> str:
    left = (
        f'<a rel="prev" href="{before.name}">&larr; {html.escape(before.title)}</a>'
        if before
        else "<span></span>"
    )
    right = (
        f'<a rel="next" href="{after.name}">{html.escape(after.title)} &rarr;</a>'
        if after
        else "<span></span>"
    )
    return f'{left}<a class="to-contents" href="#contents">Contents</a>{right}'


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks and write build/site/index.html.")
    parser.add_argument(
        "--preset", choices=PRESETS, help="the size of the runs; gpu where there is one, else laptop"
    )
    parser.add_argument(
        "--as-committed", action="store_true", help="show the committed outputs, execute nothing"
    )
    options = parser.parse_args()
    if options.preset:
        os.environ["COLORLIB_PRESET"] = options.preset
    os.environ.setdefault("COLORLIB_RESULTS", str(ROOT / "build" / "results"))
    paths = series()
    folder = workplace(ROOT / "build" / "run")
    print(f"{len(paths)} notebooks on {machine()}", flush=True)

    pages, wrong = [], []
    for path in paths:
        notebook = read(path)
        if not options.as_committed:
            print(f"  {path.stem:<28}", end=" ", flush=True)
            seconds, error = execute(notebook, preset(), folder)
            nbformat.write(notebook, folder / path.name)
            print(error or spoken(seconds), flush=True)
            if error:
                wrong.append(f"{path.name}: {error}")
        try:
            pages.append(render(path, notebook))
        except ValueError as error:
            wrong.append(str(error))
    index = write_site(pages, SITE, f"Made on {html.escape(machine())}.")
    print(f"The site: {index}\n  {index.as_uri()}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
