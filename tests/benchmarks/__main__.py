"""Every benchmark, in one table: `make bench`, or `python tests/benchmarks [NAME ...] [--save]`.

A benchmark is a module bench_<name>.py beside this file with rows() -> list of dicts of group, name, value,
unit and note. Ratios within a group are measured side by side in one run. The table goes to build/bench.json, with
--save to data/results/bench.json. Another checkout, such as a `git worktree` of an older commit, is compared by
--against.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLUMNS = ("group", "name", "value", "unit", "note")


def run(names: list[str], folder: Path) -> tuple[list[dict], list[str]]:
    """The rows of the benchmarks called so, and what went wrong: one that fails does not stop the others."""
    sys.path.insert(0, str(folder))
    rows, failed = [], []
    for name in names:
        started = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True)
        try:
            found = importlib.import_module(f"bench_{name}").rows()
            rows += [{column: row[column] for column in COLUMNS} for row in found]
        except Exception as error:
            traceback.print_exc()
            failed.append(f"bench_{name}: {type(error).__name__}: {error}")
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
    return rows, failed


def compare(names: list[str], other: Path, rounds: int = 2) -> list[dict]:
    """The rows that two checkouts share: each runs its own benchmarks in processes of its own, in turn; the best of the
    rounds counts. The note has the other's value, and how many times as good ours is."""
    best: dict[tuple[Path, str, str], dict] = {}
    for turn in range(rounds):
        for name in names:
            for root in (other, ROOT) if turn % 2 == 0 else (ROOT, other):  # what runs second finds a warmer machine
                started = time.perf_counter()
                subprocess.run([sys.executable, root / "tests" / "benchmarks", name], check=True, cwd=root,
                               stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(root)})
                print(f"{root}: {name} {time.perf_counter() - started:.0f} s", flush=True)
                for row in json.loads((root / "build" / "bench.json").read_text(encoding="utf-8"))["rows"]:
                    key = (root, row["group"], row["name"])
                    if key not in best or better(row, best[key]) > 1:
                        best[key] = row
    pairs = [(row, best[other, group, name]) for (root, group, name), row in best.items()
             if root == ROOT and (other, group, name) in best]
    return [{**ours, "note": f"there {spelled(theirs['value'])}: {better(ours, theirs):.2f} times as good"}
            for ours, theirs in pairs]


def better(row: dict, than: dict) -> float:
    """How many times as good a row is: rates and ratios are best high, times and memory low."""
    ratio = row["value"] / than["value"]
    return ratio if row["unit"] == "x" or row["unit"].endswith("/s") else 1 / ratio


def table(rows: list[dict]) -> str:
    """The rows under their groups, in columns."""
    cells = [(row["group"], row["name"], spelled(row["value"]), row["unit"], row["note"]) for row in rows]
    widths = [max((len(cell[column]) for cell in cells), default=0) for column in range(4)]
    lines, group = [], None
    for cell in cells:
        if cell[0] != group:
            group = cell[0]
            lines += ["", group]
        name, value, unit = cell[1].ljust(widths[1]), cell[2].rjust(widths[2]), cell[3].ljust(widths[3])
        lines.append(f"  {name}  {value} {unit}  {cell[4]}".rstrip())
    return "\n".join(lines)


def spelled(value: float) -> str:
    """Three significant digits, thousands in groups: 1,230,000 and 0.0123."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def main() -> int:
    from colorlib.files import write_json
    from colorlib.runtime import machine

    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description="Run the benchmarks and print one table.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(known)}; all when none is given"
    )
    parser.add_argument(
        "--save", action="store_true", help="write data/results/bench.json instead of build/bench.json"
    )
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, to run in turn with this one")
    options = parser.parse_args()
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    os.chdir(ROOT)
    started = time.perf_counter()
    names, failed = options.names or known, []
    if options.against is None:
        rows, failed = run(names, HERE)
    else:
        rows = compare(names, options.against.resolve())
    print(f"\n{machine()}\n{table(rows)}\n")
    file = ROOT / ("data/results/bench.json" if options.save else "build/bench.json")
    command = " ".join(["python tests/benchmarks", *sys.argv[1:]])
    write_json(file, {"machine": machine(), "command": command, "rows": rows})
    print(f"{time.perf_counter() - started:.0f} s in all; {file.relative_to(ROOT)}")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
