"""Every benchmark, in one table: `make bench`, or `python tests/benchmarks [NAME ...] [--save]`.

A benchmark is a module bench_<name>.py beside this file with rows() -> list of dicts of group, name, value,
unit and note. Ratios within a group are measured side by side in one run. The table goes to build/bench.json, with
--save to data/results/bench.json.
"""

from __future__ import annotations

import argparse
import importlib
import os
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
    options = parser.parse_args()
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    os.chdir(ROOT)
    started = time.perf_counter()
    rows, failed = run(options.names or known, HERE)
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
