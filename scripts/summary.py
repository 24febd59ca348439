"""What the text that the project grew from says, sentence by sentence, and what was measured.

    python scripts/summary.py           write docs/verdicts.md and the two tables between markers in README.md
    python scripts/summary.py --check   say what is out of date, and change nothing

The sentences, in our own words, stand in data/source_claims.csv; numbers and verdicts in data/results/claims. The README's
other table shows how good the colorizer is, from data/results/colorizer_report.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections import Counter

import numpy as np
from scipy import stats

from _notebooks import ROOT, read, series

SENTENCES = ROOT / "data" / "source_claims.csv"
CLAIMS = ROOT / "data" / "results" / "claims"
REPORT = ROOT / "data" / "results" / "colorizer_report.json"
VERDICTS_HERE, QUALITY_HERE, END = (
    "<!-- verdicts, written by scripts/summary.py -->", "<!-- quality, written by scripts/summary.py -->", "<!-- end -->")
MEANS = {"supported": "the whole interval passes the threshold",
         "weaker": "the interval is on the claim's side of parity, and does not wholly pass the threshold",
         "undecided": "the interval contains parity",
         "refuted": "the whole interval is on the other side of parity"}
RERUNS, SURE = 1000, 0.9  # simulated; from this share on a verdict is called stable
# a group of the report: its name, and what to expect of it
GROUPS = {
    "faces": ("faces", "skin looks like skin, a little too tanned; hair and eyes come out brown"),
    "people": ("whole people: sport, streets", "skin is right; clothes come out grey, dark blue or dull red"),
    "rooms": ("rooms, shops, streets with people", "floors and walls get a plausible colour, seldom the true one"),
    "things": ("things, animals, food, clothes", "guesses; vivid things are often wrong"),
    "landscapes": ("landscapes and towns", "sky, water, trees and stone are right most of the time"),
}
PARTS = {"A": "Introduction, pix2pix, colorization", "B1": "GAN", "B2": "Conditional GAN", "B3": "Why a condition",
         "ours": "Our own claims"}
# what the README shows: claim, what the theory promises, what was found; C14_0 is the mean of C14's first condition
SHOWN = (
    ("C2", "A network that is trained to come near the real colours paints their average.",
     "Its colours have {C2_1:.0%} of the real strength."),
    ("C14", "A second network, which learns to separate real from generated pictures (a *discriminator*), makes it choose one colour.",
     "The distance between its set of colours and the real set falls to {C14_0:.0%}."),
    ("C19", "A *Wasserstein* GAN trains more steadily than a GAN.", "Fewer runs fail; the difference is {C19_0:.0%} of all runs."),
    ("C20", "The colours of a Wasserstein GAN are more realistic.",
     "Distance to the real colours: {C20_1:.0%} of a GAN's after equal updates, {C20_0:.0%} after equal time."),
    ("C25", "*Residual blocks* make deep networks end at better results.", "The error of a network of 64 layers falls to {C25_0:.0%}."),
    ("C25b", "A colorizer made of residual blocks is better than pix2pix's.",
     "Its error: {C25b_0:.0%} of pix2pix's after equal updates, {C25b_1:.0%} after equal time."),
    ("C26", "A Wasserstein GAN with residual blocks colours photographs better than pix2pix.", "The error falls to {C26_0:.0%}."),
    ("C26c", "Such a pair learns finer detail than pix2pix.", "{C26c_0:.1f} times as much detail."),
    ("C26b", "Its training is steadier.",
     "Its runs differ {C26b_0:.1f} times as much as pix2pix's; the interval goes from {C26b_0_low:.1f} to {C26b_0_high:.1f}."),
    ("C27b", "Learned colours are good on photographs never seen (here: 838 landscapes).",
     "{C27b_1:.0%} of the real colourfulness; distance to the real set of colours {C27b_2:.0%} of grey's."),
)  # fmt: skip


def records() -> dict[str, dict]:
    """The result files by the name of their claim."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in CLAIMS.glob("*.json")}


def sentences() -> list[dict[str, str]]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chapters() -> dict[str, tuple[str, dict[str, str]]]:
    """For each number of a notebook: its file name, and its sections' headings by their number."""
    found = {}
    for path in series():
        text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
        found[path.name[:2]] = path.name, dict(re.findall(r"^## (\d+)\. (.+)$", text, re.MULTILINE))
    return found


def numbers(found: dict[str, dict]) -> dict[str, float]:
    """Mean and interval of every condition: C14_0, C14_0_low, C14_0_high."""
    values = {}
    for name, record in found.items():
        for place, condition in enumerate(record["conditions"]):
            low, high = condition["interval"]
            values |= {f"{name}_{place}": condition["mean"], f"{name}_{place}_low": low, f"{name}_{place}_high": high}
    return values


def same_again(record: dict) -> float:
    """The share of reruns with other seeds (or photographs) that would give the same verdict. It is simulated: the values
    are normal, with the mean and the deviation of the measured ones, those of ratios on a logarithmic scale."""
    draws, verdicts = np.random.default_rng(0), []
    for condition in record["conditions"]:
        change, sign = np.log if condition["log"] else np.asarray, -1 if condition["supported"][0] == "<" else 1
        values, bound, parity = (sign * change(np.array(number, dtype=float)) for number in (
            condition["values"], condition["supported"].split()[1], condition["parity"]))
        runs = draws.normal(values.mean(), values.std(ddof=1), (RERUNS, len(values)))
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(runs, axis=1)
        low, high = runs.mean(1) - half, runs.mean(1) + half
        verdicts.append(np.select([low > bound, low > parity, high >= parity], [0, 1, 2], 3))
    return float((np.max(verdicts, axis=0) == list(MEANS).index(record["verdict"])).mean())


def counts(found: dict[str, dict]) -> str:
    by_verdict = Counter(record["verdict"] for record in found.values())
    return ", ".join(f"{by_verdict[verdict]} {verdict}" for verdict in MEANS)


def measured(record: dict, above: bool, again: float) -> list[str]:
    """Lines about a claim: its verdict, and for each condition what was measured, the number, what was needed; once on the page."""
    if above:
        return [f"{record['claim']}: above"]
    return [f"{record['claim']} **{record['verdict']}**" + f" (again in {again:.0%} of reruns)" * (again < SURE),
            *(f"{condition['measure']}: {condition['number']}, needed {condition['supported']}".replace("|", r"\|")
              for condition in record["conditions"])]


def for_readme(found: dict[str, dict]) -> str:
    """The table of the README."""
    where = {claim: row["notebook"] for row in sentences() for claim in row["claims"].split()}
    files, values = chapters(), numbers(found)
    lines = [f"{len(found)} claims were measured: {counts(found)} (`python scripts/summary.py`). Some of them:", "",
             "| the theory says | we measured | verdict | |", "|---|---|---|---|"]
    for claim, says, measured in SHOWN:
        link = f"[{where[claim]}](notebooks/{files[where[claim]][0]})"
        spelled = measured.format(**values).replace("%", "\N{NO-BREAK SPACE}%")
        lines.append(f"| {says} | {spelled} | **{found[claim]['verdict']}** | {link} |")
    return "\n".join(lines)


def for_page(found: dict[str, dict]) -> str:
    """The page docs/verdicts.md."""
    files, again = chapters(), {name: same_again(record) for name, record in found.items()}
    lines = [
        "# Verdicts, sentence by sentence", "",
        "The project grew from a short text about pix2pix, the Wasserstein GAN, residual U-Nets, colorization, the GAN and the",
        "conditional GAN. Each line is one statement of it, in our own words. *Explained* means that it defines something.",
        "*Corrected* means that it is wrong there, and the notebook says why. Everything else is a claim, and each claim is an",
        "experiment in a notebook. Its threshold was written down before the run. Code compares the 95 % interval over seeds with",
        "the threshold and gives the verdict:", "",
        *(f"- **{verdict}**: {meaning}." for verdict, meaning in MEANS.items()), "",
        "*Parity* is the value at which a claim is neither true nor false: 1 for a ratio, 0 for a difference. A claim with several",
        "conditions has the verdict of its least good one.", "",
        f"{len(found)} claims were measured: {counts(found)}.", "",
        "An interval can end close to a bound. Then other seeds, or another machine, may give the neighbouring verdict. We",
        f"simulate {RERUNS:,} reruns of each claim, with the mean and the spread that were measured.",
        f"{sum(share >= SURE for share in again.values())} of the verdicts would come out the same in at least nine of ten",
        "reruns. At the others stands how often.", "",
        "`python scripts/summary.py` writes this page from [the sentences](../data/source_claims.csv) and",
        "[the results](../data/results).",
    ]  # fmt: skip
    shown = set()
    for part, name in PARTS.items():
        lines += ["", f"## {name}", "", "| | the text says | where | verdict, and what was measured |", "|---|---|---|---|"]
        for row in sentences():
            if not row["sentence"].startswith(part):
                continue
            file, sections = files[row["notebook"]]
            where = f"[{row['notebook']}, {row['section']}. {sections[row['section']]}](../notebooks/{file})"
            claims = row["claims"].split()
            found_out = [line for claim in claims for line in measured(found[claim], claim in shown, again[claim])]
            shown.update(claims)
            cell = "<br>".join([f"*{row['kind']}*"] * (row["kind"] != "claim") + found_out)
            lines.append(f"| {'' if part == 'ours' else row['sentence']} | {row['says']} | {where} | {cell} |")
    return "\n".join(lines) + "\n"


def quality() -> str:
    """The table of the README for photographers. The error of a photograph left grey counts as the whole way."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    lines = ["| photographs | colourfulness, real = 100 % | nearer to the real colours than grey is | what to expect |",
             "|---|---|---|---|"]
    for name, group in report["groups"].items():
        rows = group["rows"]
        colourful, near = [], []
        for way in ("default", "mean"):
            colourful.append(f"{rows[way]['colourfulness, % of real']:.0f} %")
            near.append(f"{100 - 100 * (100 - rows[way]['auc']) / (100 - rows['grey']['auc']):.0f} %")
        title, expect = GROUPS[name]
        lines.append(f"| {title} ({group['photographs']}) | {colourful[0]} ({colourful[1]}) | {near[0]} ({near[1]}) | {expect} |")
    return "\n".join([
        *lines, "",
        "In brackets: `--decode mean`, the cautious colours. *Nearer*: the share of grey's error that is gone; a vivid wrong colour",
        "costs more than a pale one. No photograph of these was used for training or for choosing settings",
        "([result](data/results/colorizer_report.json), `python -m colorlib.course.long.report --photos DIR`).",
    ])  # fmt: skip


def between(page: str, start: str, table: str) -> str:
    """The page with the table between `start` and the next end marker."""
    before, rest = page.split(start)
    return f"{before}{start}\n{table}\n{END}{rest.split(END, 1)[1]}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a file is out of date")
    check = parser.parse_args(arguments).check
    found, readme, page = records(), ROOT / "README.md", ROOT / "docs" / "verdicts.md"
    filled = between(readme.read_text(encoding="utf-8"), VERDICTS_HERE, for_readme(found))
    new = {page: for_page(found), readme: between(filled, QUALITY_HERE, quality())}
    stale = [path for path, text in new.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(new[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
