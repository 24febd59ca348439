"""The pages of the book in a browser, from file:// and without network: everyone can use them, search works, code wraps."""

import sys
from pathlib import Path

import axe_playwright_python
import pytest
from fontTools.ttLib import TTFont

pytest.importorskip("sphinx")
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
WIDE, PHONE = 1400, 420
NOISE = "Got invalid theme mode"  # the theme's own, before a reader has chosen light or dark
VIEWS = [(name, width, scheme) for name in ("index.html", "notebooks/00_start_here.html", "docs/notation.html", "search.html?q=gan")
         for width in (WIDE, PHONE) for scheme in ("light", "dark")]
VIEWS += [("docs/api.html", WIDE, "dark"), ("docs/verdicts.html", PHONE, "light")]
OF_COLOURS = ["color-contrast", "link-in-text-block"]


@pytest.fixture
def visit(browser, site):
    """visit(page, width, scheme): opens a page of the site. Nothing may come from elsewhere, and no error be reported."""
    contexts, problems = [], []

    def open_page(name: str, width: int = WIDE, scheme: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        contexts[-1].set_default_timeout(60_000)
        page = contexts[-1].new_page()
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.on("console", lambda message: message.type == "error" and NOISE not in message.text and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        path, _, query = name.partition("?")
        page.goto((site / path).as_uri() + ("?" + query if query else ""), wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize(("name", "width", "scheme"), VIEWS)
def test_everyone_can_use_it(visit, name, width, scheme):
    """By axe-core: every rule where the page is light; where it is dark those of the colours, all else being the same."""
    page = visit(name, width, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.add_style_tag(content="* { transition: none !important; }")  # no colour is measured on its way to another
    found = page.evaluate("(only) => axe.run({ resultTypes: ['violations'], preload: false, ...only })",  # no page preloads
                          {"runOnly": OF_COLOURS} if scheme == "dark" else {})
    assert [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found["violations"]] == []
    assert len(found["passes"]) > (0 if scheme == "dark" else 20)


def test_nothing_is_cut_or_missing_on_any_page(visit, site):
    page = visit("index.html", PHONE)
    for path in sorted(path for path in site.rglob("*.html") if "_static" not in path.parts):
        page.goto(path.as_uri(), wait_until="load")
        for width in (PHONE, WIDE):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            cut, missing = page.evaluate("""[
                [...document.querySelectorAll(".highlight pre")].filter(e => !e.closest(".highlight-text"))
                    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText),
                [...document.images].filter(e => e.complete && !e.naturalWidth).map(e => e.src)]""")
            assert (cut, missing) == ([], []), (path.name, width)
        page.set_viewport_size({"width": PHONE, "height": 900})


def test_search_finds_words_of_the_text(visit):
    page = visit("docs/glossary.html")
    page.get_by_role("button", name="Search").first.click()
    page.locator("input[type=search]:visible").first.fill("Lipschitz")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=Lipschitz*")
    page.locator("#search-results li a").first.wait_for()
    links = page.eval_on_selector_all("#search-results li a", "all => all.map(e => e.getAttribute('href'))")
    assert any("05_wgan" in link for link in links) and any("losses.GradientPenalty" in link or "api" in link for link in links)
    page.locator("#search-results li a", has_text="05").first.click()
    page.wait_for_url("**/05_wgan.html*")
    assert "Wasserstein" in page.locator("article h1").inner_text()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an older theme, whose drawer and switch work another way")
def test_contents_theme_copy_and_the_next_page(visit):
    page = visit("notebooks/04_pix2pix.html", PHONE)
    contents = page.locator("#pst-primary-sidebar, #pst-primary-sidebar-modal").get_by_role("link", name="05 · ").first
    assert not contents.is_visible()
    page.locator(".primary-toggle").first.click()
    contents.wait_for(state="visible")
    page.keyboard.press("Escape")
    contents.wait_for(state="hidden")
    page.locator("article .cell_input").nth(1).hover()
    page.locator("button.copybtn").nth(1).click()
    page.locator("button.copybtn.success").wait_for()
    page.get_by_role("button", name="Color mode").first.click()
    page.locator("button.dropdown-item", has_text="Dark").first.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.wait_for_timeout(1000)  # a page of another process may read the choice a moment later than it was made
    page.locator("a.right-next").click()
    page.wait_for_url("**/05_wgan.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"  # kept from page to page


def test_equations_have_their_font_and_are_drawn(visit, site):
    assert ord("√") in TTFont(site / "_static" / "equations.woff").getBestCmap()  # the browser draws roots with it
    page = visit("notebooks/05_wgan.html")
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('16px Equations')")
    heights = page.eval_on_selector_all(".equation math", "all => all.map(e => e.getBoundingClientRect().height)")
    assert len(heights) > 5 and min(heights) > 15


def test_without_script_the_page_can_be_read(browser, site):
    context = browser.new_context(java_script_enabled=False, viewport={"width": WIDE, "height": 900})
    page = context.new_page()
    page.goto((site / "notebooks/04_pix2pix.html").as_uri())
    assert page.locator("article h1").is_visible() and page.get_by_role("link", name="05 · ").first.is_visible()
    context.close()
