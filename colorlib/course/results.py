"""Options and result files of the long scripts. A file is written after every run, so an interrupted script goes on."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from colorlib.course.claims import confidence_interval
from colorlib.files import write_json
from colorlib.runtime import machine, results_dir


def arguments(description: str | None, photographs: bool = True, **options: tuple[Any, str]) -> argparse.Namespace:
    """The command line of a script: --photos DIR, unless COLORLIB_PHOTOS names it or photographs=False; and options,
    name -> default and help, of the type of the default (None makes an optional path, False a switch)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if photographs:
        folder = os.environ.get("COLORLIB_PHOTOS") or None
        parser.add_argument("--photos", default=folder, required=folder is None,
                            help="folder of photographs (default: COLORLIB_PHOTOS, which is %(default)s)")
    for name, (default, text) in options.items():
        kind = {"action": "store_true"} if default is False else {
            "type": Path if default is None else type(default), "default": default}
        shown = "" if default in (None, False) else " (default: %(default)s)"
        parser.add_argument("--" + name.replace("_", "-"), **kind, help=text + shown)
    return parser.parse_args()


class ResultFile:
    """One JSON file in `results_dir()`, or at a whole path, written again after every run; runs that it holds are not
    repeated. header holds command, settings and so on: a file with others is started anew."""

    def __init__(self, name: str | Path, header: dict) -> None:
        self.path = path = results_dir() / name
        self.record = {**header, "runs": [], "summary": {}}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if all(before.get(key) == json.loads(json.dumps(value)) for key, value in header.items()):
                self.record = before

    def has(self, name: str, seed: int) -> bool:
        return any(run["name"] == name and run["seed"] == seed for run in self.record["runs"])

    def add(self, name: str, seed: int, numbers: dict[str, float]) -> None:
        """Add one run, bring the summary up to date and write the file."""
        run = {"name": name, "seed": seed, **{key: float(f"{value:.5g}") for key, value in numbers.items()}}
        self.record["runs"].append(run)
        print(run, flush=True)
        self.record["machine"] = machine()
        self.record["summary"] = {}
        for setting in dict.fromkeys(run["name"] for run in self.record["runs"]):
            runs = [run for run in self.record["runs"] if run["name"] == setting]
            self.record["summary"][setting] = {key: spread([run[key] for run in runs]) for key in numbers}
        write_json(self.path, self.record)


def spread(values: list[float]) -> str:
    """Mean and 95 % interval over the seeds, as text."""
    if len(values) < 2:
        return f"{values[0]:.3g} (one seed)"
    mean, (low, high) = confidence_interval(values)
    return f"{mean:.3g} ({low:.3g} to {high:.3g})"
