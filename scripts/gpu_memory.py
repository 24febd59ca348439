"""Peak memory of each notebook at the sizes of preset gpu, measured on the CPU: what a Colab machine has to have.

    python scripts/gpu_memory.py          all of them, into data/results/colab_memory.json
    python scripts/gpu_memory.py 02 05    these; the others' numbers stay
Networks, batches and data are those of preset gpu. Repetitions (updates, rounds, seeds where one run follows the other) are
those of preset smoke: they take time and little memory. On a CPU one process holds what a GPU and its host share.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys

import nbformat

from _notebooks import ROOT, code_cells, execute, read, series, spoken, workplace
from colorlib.runtime import machine

FILE = ROOT / "data" / "results" / "colab_memory.json"
REPETITIONS = re.compile(r"(?i)(.*_)?(steps|updates|rounds|tries|checkpoints|repeats|start|more|fresh|short)$|\(RUN, EVERY\)$")
SEEDS = re.compile(r"(.*_)?(SEEDS|MANY)$")
ONE_AFTER_THE_OTHER = ("04", "06", "07", "08", "09", "10")  # the others hold the data or networks of all seeds at once
# ru_maxrss is in KiB on Linux and in bytes on macOS
LAST = """import resource, sys
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))"""


class FewRepetitions(ast.NodeTransformer):
    """Gives each `pick(smoke=..., laptop=..., gpu=...)` whose value is a number of repetitions the value of smoke."""

    def __init__(self, *names: re.Pattern) -> None:
        self.names, self.found = names, []

    def _pair(self, name: str, value: ast.expr) -> None:
        if not any(names.match(name) for names in self.names):
            return
        for call in ast.walk(value):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "pick":
                given = {keyword.arg: keyword for keyword in call.keywords}
                given["gpu"].value = given["smoke"].value
                self.found.append(name)

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        target = node.targets[0]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=False):
                self._pair(ast.unparse(name), value)
        else:
            self._pair(ast.unparse(target), node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        names = [argument.arg for argument in node.args.args][::-1]
        for name, value in zip(names, node.args.defaults[::-1], strict=False):
            self._pair(name, value)
        return node


def measure(path) -> dict[str, float]:
    names = [REPETITIONS, *([SEEDS] if path.name[:2] in ONE_AFTER_THE_OTHER else [])]
    notebook, few = read(path), FewRepetitions(*names)
    for cell in code_cells(notebook):
        cell.source = ast.unparse(few.visit(ast.parse(cell.source)))
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    seconds, error = execute(notebook, "gpu", workplace(ROOT / "build" / "memory"))
    if error:
        raise SystemExit(f"{path.stem}: {error}")
    peak = int(notebook.cells[-1].outputs[0].text.split()[1]) / 1e9
    print(f"  {path.stem:<30} {peak:5.2f} GB in {spoken(seconds)}; as in smoke: {', '.join(few.found)}", flush=True)
    return {"peak_gb": round(peak, 2)}


def main(chosen: list[str]) -> None:
    os.environ["COLORLIB_PRESET"] = "gpu"
    os.environ["COLORLIB_RESULTS"] = str(ROOT / "build" / "memory-results")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    record = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"notebooks": {}}
    record |= {"command": "python scripts/gpu_memory.py", "machine": machine()}
    for path in series():
        if not chosen or path.name[:2] in chosen:
            record["notebooks"][path.stem] = measure(path)
            record["notebooks"] = dict(sorted(record["notebooks"].items()))
            FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
