"""Execute the series at preset laptop, into notebooks/ and data/results: `make notebooks`.

    python scripts/refresh_notebooks.py          all of them
    python scripts/refresh_notebooks.py 01 04    these
A notebook in which a cell fails is left as it was. The tables of README.md and docs/verdicts.md follow the new results.
"""

from __future__ import annotations

import os
import sys

import nbformat

from _notebooks import ROOT, clean, code_hash, execute, read, series, spoken, workplace
from stamp_notebooks import stamp
from summary import main as write_tables

PRESET = "laptop"


def main(chosen: list[str]) -> int:
    paths = [path for path in series() if not chosen or path.name[:2] in chosen]
    if not paths:
        print(
            f"No notebook of the series is called {' or '.join(chosen) or 'NN_topic.ipynb'}.", file=sys.stderr
        )
        return 1
    os.environ["COLORLIB_PRESET"] = PRESET
    os.environ["COLORLIB_RESULTS"] = str(ROOT / "data" / "results")
    os.environ["COLORLIB_COMMAND"] = "make notebooks"
    folder = workplace(ROOT / "build" / "refresh")
    failed = 0
    for path in paths:
        print(f"  {path.stem:<28}", end=" ", flush=True)
        notebook = read(path)
        stamp(notebook, path.name)
        seconds, error = execute(notebook, PRESET, folder)
        print(error or spoken(seconds), flush=True)
        if error:
            nbformat.write(notebook, folder / path.name)
            print(f"    as far as it came: {folder / path.name}")
            failed += 1
            continue
        # for the test of the form: outputs of another code, or of preset smoke, are refused
        notebook.metadata["colorlib"] = {"preset": PRESET, "code": code_hash(notebook)}
        clean(notebook)
        part = folder / "part.ipynb"
        nbformat.write(notebook, part)
        os.replace(part, path)
    write_tables([])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
