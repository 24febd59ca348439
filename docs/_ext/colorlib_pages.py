"""What this book has and others have not: the table of verdicts, the buttons of a notebook's page, readable docstrings."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = ROOT / "data" / "results" / "claims"
MEANS = {"supported": "the whole interval passes the threshold",
         "weaker": "the interval is on the claim's side of parity, and does not pass the threshold",
         "undecided": "the interval contains parity",
         "refuted": "the whole interval is on the other side of parity"}
COLAB = "https://colab.research.google.com/github/{}/blob/{}/{}"


def claims() -> list[dict]:
    """The result files in the order of their numbers: C2 before C10, C14 before C14b."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in CLAIMS.glob("C*.json")]
    return sorted(found, key=lambda claim: [int(claim["claim"][1:].rstrip("abcd")), claim["claim"]])


def chapters(source: Path) -> dict[str, str]:
    """claim -> the notebook whose table 'What we measured' has it."""
    found = {}
    for path in sorted((source / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                for claim in re.findall(r"^\| *\**(C\d+[a-d]?)\b", "".join(cell["source"]), re.MULTILINE):
                    found.setdefault(claim, path.stem)
    return found


class Verdicts(SphinxDirective):
    """The table of all claims, from data/results/claims."""

    def run(self) -> list[nodes.Node]:
        known, where = claims(), chapters(Path(self.env.srcdir))
        for path in CLAIMS.glob("C*.json"):
            self.env.note_dependency(str(path))
        counts = Counter(claim["verdict"] for claim in known)
        lines = [f"{len(known)} claims. " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in MEANS) + ".", "",
                 *(f"- {mark(verdict)}: {text}." for verdict, text in MEANS.items()), "",
                 "| claim | verdict | sentence | number, its 95 % interval, and what it has to be | notebook |", "|---" * 5 + "|"]
        for claim in known:
            numbers = "<br>".join(f"{plain(each['measure'])}: **{each['number']}**, has to be {plain(each['supported'])}"
                                  for each in claim["conditions"])
            chapter = where.get(claim["claim"])
            link = f"[{chapter[:2]}](../notebooks/{chapter}.ipynb#what-we-measured)" if chapter else ""
            lines.append(f"| {claim['claim']} | {mark(claim['verdict'])} | {plain(claim['statement'])} | {numbers} | {link} |")
        return self.parse_text_to_nodes("\n".join(lines))


def mark(verdict: str) -> str:
    return f"[{verdict}]{{.{verdict}}}"


def plain(text: str) -> str:
    """Text that Markdown shows as it stands, in a cell of a table."""
    return re.sub(r"([\\`*_{}\[\]<>|$])", r"\\\1", text)


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
    app.add_directive("verdicts", Verdicts)
    app.connect("html-page-context", add_buttons, priority=600)
    app.connect("html-page-context", readable_by_all)
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-process-docstring", keep_signs, priority=400)  # before napoleon adds its own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
