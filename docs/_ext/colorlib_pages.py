"""What this book has and others have not: the buttons of a notebook's page, readable docstrings."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

COLAB = "https://colab.research.google.com/github/{}/blob/{}/{}"


def add_buttons(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Open in Colab (the address is in pyproject.toml) and download, on the page of a notebook."""
    if page.startswith("notebooks/") and doctree is not None:
        from stamp_notebooks import source

        place = re.search(r"github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?(?:@([\w.-]+))?$", source())
        file = page.split("/")[-1] + ".ipynb"
        buttons = [{"type": "link", "url": file, "text": "Download", "tooltip": "This notebook as a file (.ipynb)",
                    "icon": "fas fa-download", "label": "notebook"}]
        if place:
            url = COLAB.format(place[1], place[2] or "main", f"notebooks/{file}")
            buttons.insert(0, {"type": "link", "url": url, "text": "Colab", "tooltip": "Run this notebook on Google Colab",
                               "icon": "fas fa-rocket", "label": "colab"})
        context["header_buttons"] = buttons + context.get("header_buttons", [])


def readable_by_all(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """What Sphinx writes and a screen reader stumbles over: empty cells as headings, lists of parameters without terms."""
    body = re.sub(r"<th( class=\"[^\"]*\")?>(<p></p>)?</th>", r"<td\1></td>", context.get("body", ""))
    context["body"] = re.sub(r"<dl>\s*((?:<dd>(?:(?!<dl>).)*?</dd>\s*)+)</dl>", lambda found: '<div class="parameters">' + re.sub(
        r"<(/?)dd>", r"<\1div>", found[1]) + "</div>", body, flags=re.DOTALL)


def keep_signs(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """|x| and * mean themselves in our docstrings, outside of examples and `code`."""
    for k, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``|`[^`]*`)", line)
            parts[::2] = [re.sub(r"([|*])|(?<=\w)(_)(?!\w)", r"\\\1\2", part) for part in parts[::2]]
            lines[k] = "".join(parts)


def short_types(app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returned: str | None):
    """Types of others by their last name: Sphinx leaves ~collections.abc.Sequence where a type stands within a type."""
    return tuple(text and re.sub(r"~(?!colorlib)(?:\w+\.)+", "", text) for text in (signature, returned))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_buttons, priority=600)
    app.connect("html-page-context", readable_by_all)
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-process-docstring", keep_signs, priority=400)  # before napoleon adds its own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
