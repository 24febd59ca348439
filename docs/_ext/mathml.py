"""Equations as MathML, which browsers draw by themselves: without a script and without network."""

from __future__ import annotations

import html
import re
from importlib import resources
from io import BytesIO
from pathlib import Path

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

FONT = "STIXTwoMath-Regular.ttf"  # ziamath brings it
RADICAL = "\u221a"  # no letter of an equation: <msqrt> and <mroot> draw it
ITALIC = {chr(code) for code in range(0x1D434, 0x1D468)} | {chr(code) for code in range(0x1D6FC, 0x1D71C)} | {"\u210e"}
SCROLLS = "pst-scrollable-table-container"  # the theme lets the keyboard reach these where they are too wide
# what latex2mathml lacks, in what it has
SPELLED_ANOTHER_WAY = [
    (r"\\arg(?![A-Za-z])", r"\\operatorname{arg}"),
    (r"\\(begin|end)\{(aligned|gathered)\}", r"\\\1{split}"),
    (r"\\[lr]Vert(?![A-Za-z])", r"\\|"),  # it has them, and stretches one of the two
    (r"\\[lr]vert(?![A-Za-z])", "|"),
    (r"\\(begin|end)\{equation\*?\}", ""),
]


def to_mathml(latex: str, display: bool) -> str:
    """An equation as MathML.

    Raises:
        ValueError: a command is not known, and would be shown as it was typed.
    """
    known = latex.strip()
    for pattern, replacement in SPELLED_ANOTHER_WAY:
        known = re.sub(pattern, replacement, known)
    if display:
        known = re.sub(r"\\(min|max|sup|inf|lim)_", r"\\\1\\limits_", known)
    try:
        mathml = convert(known, display="block" if display else "inline")
    except Exception as error:
        raise ValueError(f"equation {latex.strip()!r} is not understood ({error!r}); write it more simply") from None
    if unknown := re.search(r"\\[A-Za-z]+|>&<", mathml):
        raise ValueError(f"equation {latex.strip()!r}: {unknown[0].strip('<>')} is not understood; write it another way")
    return mathml


def visit(translator: HTML5Translator, node: nodes.Element) -> None:
    display = isinstance(node, nodes.math_block)
    try:
        mathml = to_mathml(node.astext(), display)
    except ValueError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        mathml = f"<code>{translator.encode(node.astext())}</code>"
    translator.body.append(f'<div class="equation {SCROLLS}">{mathml}</div>\n' if display else mathml)
    raise nodes.SkipNode


def write_font(app: Sphinx, error: Exception | None) -> None:
    """The font of the equations, cut down to the characters that they have and their italic ones: without a font made
    for equations a browser sets indices on the line, and Linux often has none."""
    if error is None:
        used = {*ITALIC, RADICAL}
        for page in Path(app.outdir).rglob("*.html"):
            for equation in re.findall(r"<math.*?</math>", page.read_text(encoding="utf-8"), re.DOTALL):
                used.update(html.unescape(re.sub(r"<[^>]+>", "", equation)))
        font = TTFont(BytesIO((resources.files("ziamath") / "fonts" / FONT).read_bytes()))
        options = subset.Options(drop_tables=["DSIG"], layout_features=["ssty", "flac", "dtls"])
        smaller = subset.Subsetter(options)
        smaller.populate(text="".join(used))
        smaller.subset(font)
        font.flavor = "woff"
        font.save(Path(app.outdir) / "_static" / "equations.woff")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", inline_renderers=(visit, None), block_renderers=(visit, None))
    app.config.html_math_renderer = "mathml"
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
