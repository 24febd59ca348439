"""The book as pages, built once from the committed outputs: links, figures, equations, sizes, and what each page is to have."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("myst_nb")

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "docs" / "_ext")]

import colorlib_pages  # noqa: E402
from _notebooks import CONTROL, series  # noqa: E402
from build_site import NEXT_OR_NAMED, lay_out, prepare, table_of_contents  # noqa: E402
from mathml import to_mathml  # noqa: E402
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output  # noqa: E402

MOST_BYTES = 2_000_000  # of a page with its pictures
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


class Page(HTMLParser):
    """What the tests need of a page: its tags with their attributes, and its text outside of code and equations."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.tags, self.text, self._off = path, [], "", 0
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.ids = {attributes["id"] for _, attributes in self.tags if "id" in attributes}

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))
        self._off += tag in ("code", "pre", "script", "style", "math")

    def handle_endtag(self, tag: str) -> None:
        self._off -= tag in ("code", "pre", "script", "style", "math")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._off else data

    def values(self, tag: str, name: str) -> list[str]:
        return [attributes[name] for found, attributes in self.tags if found == tag and name in attributes]


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))
            if "_static" not in path.parts}


def notebook_pages(pages: dict[str, Page]) -> list[Page]:
    return [page for name, page in pages.items() if name.startswith("notebooks/")]


def test_every_page_is_there_and_in_the_contents(pages):
    wanted = [re.sub(r"\.(md|ipynb)$", ".html", page) for part in table_of_contents().values() for page in part]
    assert {f"notebooks/{path.stem}.html" for path in series()} < set(wanted)
    assert {f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} < set(wanted)
    listed = [link for link in pages["index.html"].values("a", "href") if link in wanted]
    assert list(dict.fromkeys(link for link in listed)) == wanted or set(listed) == set(wanted)
    assert set(pages) == {"index.html", "search.html", *wanted}


def test_no_internal_link_is_broken(pages, site):
    checked = 0
    for page in pages.values():
        for link in page.values("a", "href") + page.values("img", "src"):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                assert link.startswith(("https://", "http://", "mailto:")), (page.path.name, link)
                continue
            target = (page.path.parent / unescape(path)).resolve() if path else page.path.resolve()
            assert target.exists(), (page.path.name, link)
            if anchor and target.suffix == ".html":
                assert anchor in pages[target.relative_to(site.resolve()).as_posix()].ids, (page.path.name, link)
            checked += 1
    assert checked > 500


def test_nothing_is_loaded_from_elsewhere(pages, site):
    for page in pages.values():
        loaded = [*page.values("script", "src"), *page.values("link", "href"), *page.values("img", "src"),
                  *page.values("iframe", "src"), *page.values("source", "src")]
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], page.path.name
        assert "require.js" not in page.source and "requirejs" not in page.source
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_every_figure_has_its_number_a_caption_and_an_alternative_text(pages):
    for page in notebook_pages(pages):
        number = int(page.path.name[:2])
        captions = re.findall(r'<figcaption>\s*<p><span class="caption-text"><strong>(.*?)</strong>(.*?)</span>', page.source)
        assert [label for label, _ in captions] == [f"Figure {number}.{k + 1}." for k in range(len(captions))]
        assert len(captions) == page.source.count("<figure") > 3
        assert all(len(text) > 15 for _, text in captions)
    for page in pages.values():
        pictures = [attributes for tag, attributes in page.tags if tag == "img"]
        short = [picture for picture in pictures if len(picture.get("alt", "").split()) < 3]
        assert short == [], page.path.name


def test_equations_are_mathml(pages):
    assert sum(page.source.count("<math") for page in pages.values()) > 500
    for page in pages.values():
        assert not re.findall(r"\$[^$\n]{1,80}\$|\\[a-z]+\{|\\\(|\\\[", page.text), page.path.name
        assert "<merror" not in page.source and not any("mathjax" in address.lower() for address in page.values("script", "src"))


def test_pages_are_small(pages):
    for name, page in pages.items():
        pictures = {(page.path.parent / source).resolve() for source in page.values("img", "src")}
        weight = page.path.stat().st_size + sum(path.stat().st_size for path in pictures)
        assert weight < MOST_BYTES, f"{name}: {weight / 1e6:.2f} MB with its pictures"


def test_a_notebook_opens_on_colab_and_is_downloaded_as_committed(pages):
    assert len(notebook_pages(pages)) == len(series())
    for page, path in zip(notebook_pages(pages), series(), strict=True):
        links = page.values("a", "href")
        assert any(re.fullmatch(rf"https://colab\.research\.google\.com/github/[\w.-]+/colorlib/blob/[\w.-]+/notebooks/{path.name}",
                                link) for link in links)
        assert path.name in links and (page.path.parent / path.name).read_bytes() == path.read_bytes()
        assert "colab-badge" not in page.source


def test_where_a_notebook_has_a_control_the_page_has_a_sentence(pages):
    with_control = {path.stem for path in series() if CONTROL in path.read_text(encoding="utf-8")}
    assert {page.path.stem for page in notebook_pages(pages) if "A control: it works" in page.text} == with_control


def test_the_page_of_the_verdicts_has_every_number_and_colours_them(pages):
    text = pages["docs/verdicts.html"].source
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "data/results/claims").glob("*.json")]
    assert len(results) > 50
    for result in results:
        assert f"{result['claim']} <span class=\"{result['verdict']}\">{result['verdict']}</span>" in text, result["claim"]
        assert all(condition["number"] in text for condition in result["conditions"]), result["claim"]
    assert "**supported" not in text and f'"{results[0]["verdict"]}"' in pages["index.html"].source


def test_the_interface_is_documented(pages):
    modules = re.findall(r"automodule:: (\S+)", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert len(modules) > 8
    for name in modules:
        module = importlib.import_module(name)
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == name]
        for key in getattr(module, "__all__", own):
            value = getattr(module, key)
            if not key.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)) and value.__doc__:
                assert f"{name}.{key}" in pages["docs/api.html"].ids


def test_the_page_of_the_notation_has_every_symbol_of_notebook_00():
    cells = json.loads(series()[0].read_text(encoding="utf-8"))["cells"]
    box, = ["".join(cell["source"]) for cell in cells if "".join(cell["source"]).startswith("**Notation.**")]
    symbols = re.findall(r"\$[^$]+\$", "".join(re.findall(r"^\| (\$.*?) \|", box, re.MULTILINE)))
    page = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
    assert len(symbols) > 12 and [symbol for symbol in symbols if symbol.strip("$") not in page] == []


def test_prose_refers_to_figures_by_links(pages):
    links = {page.path.name: [a["href"] for tag, a in page.tags if tag == "a" and "reference" in a.get("class", "") and "#figure-" in a["href"]]
             for page in notebook_pages(pages)}
    assert sum(map(len, links.values())) > 25
    for page in notebook_pages(pages):
        assert set(links[page.path.name]) <= {f"#{name}" for name in page.ids}
        assert NEXT_OR_NAMED.findall(page.text) == [] and not re.search(r"figure <em>", page.source), page.path.name


# its parts


def test_figures_are_numbered_and_badges_taken_out(tmp_path):
    picture = {"image/png": PIXEL, "text/plain": "<figure>"}
    shown = {"image/png": {"alt": "A <b> \"cat\": one", "width": 80}}
    code = new_code_cell("show()", outputs=[
        new_output("display_data", picture, metadata=shown), new_output("display_data", {"text/markdown": "*A $x$ cat.*"}),
        new_output("display_data", picture, metadata=shown), new_output("display_data", {"text/markdown": "| a |\n|---|"})])
    badge = "[![Open in Colab](https://colab.research.google.com/x.svg)](https://colab.research.google.com/y)\n\n# Title"
    notebook = new_notebook(cells=[new_markdown_cell(badge), code])
    prepare(notebook, 7, tmp_path)
    assert notebook.cells[0].source == "# Title"
    first, second, table = [output.data["text/markdown"] for output in code.outputs]
    assert first == ("```{figure} figures/07-1.png\n:name: figure-7-1\n:alt: \"A <b> \\\"cat\\\": one\"\n:width: 80px\n\n"
                     "**Figure 7.1.** A $x$ cat.\n```")
    assert "**Figure 7.2**" in second and table == "| a |\n|---|"
    assert (tmp_path / "figures" / "07-2.png").read_bytes()[:4] == b"\x89PNG"


def test_a_reference_becomes_a_link_to_the_figure_that_it_means(tmp_path):
    def figure(caption):
        return new_code_cell("show()", outputs=[new_output("display_data", {"image/png": PIXEL}),
                                                new_output("display_data", {"text/markdown": f"*{caption}*"})])

    text = ("The next figure has it. See (figure *A dog\nthat*) and the figure *A cat*. A figure *of speech* stays.",
            "Not *A cat*; the next figure is made by no cell.")
    notebook = new_notebook(cells=[figure("A dog that barks."), new_markdown_cell(text[0]), figure("A cat."), new_markdown_cell(text[1])])
    prepare(notebook, 7, tmp_path)
    assert notebook.cells[1].source == ("[Figure 7.2](#figure-7-2) has it. See ([Figure 7.1](#figure-7-1)) and [Figure 7.2](#figure-7-2). "
                                        "A figure *of speech* stays.")
    assert notebook.cells[3].source == text[1]


def test_links_lead_from_page_to_page_or_to_the_file(tmp_path):
    text = ("[a](../README.md#commands) [b](01_color_and_colorization.ipynb) [c](../data/results) [d](https://e.org) [e](#here) "
            '![f](../data/figures/studio.gif) <a href="02_gan.ipynb">g</a>')
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    lay_out(tmp_path / "source", tmp_path / "site", {"00_start_here.ipynb": notebook})
    found = re.findall(r"\]\((.*?)\)|href=\"(.*?)\"", notebook.cells[0].source)
    links = [a or b for a, b in found]
    assert links[0] == "../index.md#commands" and links[1] == "01_color_and_colorization.ipynb"
    scheme, _, path = links[2].partition(":")
    assert scheme == "checkout" and (tmp_path / "site" / "notebooks" / path).resolve() == ROOT / "data" / "results"
    assert links[3:] == ["https://e.org", "#here", "../data/figures/studio.gif", "02_gan.html"]


@pytest.mark.parametrize(("latex", "display", "expected"), [
    (r"\lVert x \rVert_1", False, "<msub>"),
    (r"\min_G x", True, "<munder>"),
    (r"\arg\min_u x", True, "<mo>arg</mo>"),
    (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", True, "<mtable"),
])  # fmt: skip
def test_what_the_library_of_the_equations_lacks_is_spelled_another_way(latex, display, expected):
    mathml = to_mathml(latex, display)
    assert expected in mathml and f'display="{"block" if display else "inline"}"' in mathml


@pytest.mark.parametrize("latex", [r"\nosuchthing{x}", r"\left( x", "a & b"])
def test_an_equation_that_is_not_understood_is_named(latex):
    with pytest.raises(ValueError, match="is not understood"):
        to_mathml(latex, False)


def test_signs_of_a_docstring_mean_themselves():
    lines = ["Mean of |x|, x * y and `a * b`, with lambda_ as given.", ">>> f(*args)"]
    colorlib_pages.keep_signs(None, "function", "f", None, None, lines)
    assert lines == [r"Mean of \|x\|, x \* y and `a * b`, with lambda\_ as given.", ">>> f(*args)"]
