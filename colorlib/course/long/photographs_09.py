"""Claims C32 and C33 on photographs that no training saw: where hints help, and what the render size trades.

    OMP_NUM_THREADS=1 python -m colorlib.course.long.photographs_09 --photos DIR

DIR holds the folders landscapes and objects, measured separately. The split is by file name, as in training; grey
photographs are left out. The thresholds below were committed before this run; the ways of placing hints were tried on
the validation split before. Interrupted, the same command goes on.
Writes photographs_09.json and the claims into COLORLIB_RESULTS (else build/results): numbers, no photograph.
"""

import json
import os
from pathlib import Path

from torch import Tensor

from colorlib import photos
from colorlib.colorizer import Colorizer
from colorlib.course import nb09
from colorlib.course.claims import Claim, rank_correlation, ratio, value
from colorlib.course.results import arguments, spread
from colorlib.files import write_json
from colorlib.runtime import machine, results_dir

KINDS = ("landscapes", "objects")
COMMAND = "python -m colorlib.course.long.photographs_09 --photos DIR"
SIZES = (32, 48, 64, 96, 128, 192)  # a photograph is enlarged twofold at most; these are 100 to 160 pixels high
SEEDS, POINTS, NUM_HINTS = 3, 16, 5
EARLIER = 100  # landscapes of an earlier run, by which ways of placing hints were compared: left out
# On the validation split five random hints took off about a fifth of the error, and ten not quite a third: with 5 %
# more, five hints do what eight random ones do, which a user would notice.
SAVED = value("error that 5 hints at the most uncertain points save compared with 5 random ones, "
              "% of the error without hints", "> 5")
C32 = {"landscapes": Claim("C32b", "hints are better placed by uncertainty than at random: landscapes", SAVED),
       "objects": Claim("C32c", "hints are better placed by uncertainty than at random: objects", SAVED)}
# found on the validation split; none of these landscapes was in the run of that time
C34 = Claim("C34", "hints are better placed by the uncertainty within their reach than at random: landscapes",
            value("error that 5 hints by uncertain reach save compared with 5 random ones, "
                  "% of the error without hints", "> 5"))
C33 = Claim("C33b", "a smaller render size gives more vivid colours: photographs of the test split",
            ratio("colourfulness at render size 64 / at 192", "> 1.1"))


def measured(colorizer: Colorizer, real: Tensor, seed: int) -> dict:
    """Everything about one photograph."""
    most = max(nb09.COUNTS)
    ways = {f"random {k}": nb09.at_random(real, most, seed=seed * SEEDS + k) for k in range(SEEDS)} | {
        "uncertain": nb09.at_most_uncertain(colorizer, real, most),
        "uncertain reach": nb09.at_uncertain_reach(colorizer, real, most),
        "worst": nb09.at_worst(colorizer, real, most)}
    return {"ways": {way: nb09.errors(colorizer, real, hints) for way, hints in ways.items()},
            "single": nb09.single(colorizer, real, POINTS, seed),
            "sizes": {size: nb09.rendered(colorizer, real, size) for size in SIZES}}


def by_chance(row: dict, count: int | str) -> list[float]:
    """Errors of one photograph with `count` hints at random points, one per seed."""
    return [errors[str(count)] for way, errors in row["ways"].items() if way.startswith("random")]


def saved(row: dict, way: str, count: int | str) -> float:
    return nb09.saved(by_chance(row, count), row["ways"][way][str(count)], row["ways"][way]["0"])


def summary(rows: list[dict]) -> dict:
    """Of one kind: means over photographs with their 95 % intervals. Keys are text, as JSON keeps them."""
    counts = list(map(str, nb09.COUNTS))
    ways = {"random": [{c: sum(by_chance(row, c)) / SEEDS for c in counts} for row in rows]} | {
        way: [row["ways"][way] for row in rows] for way in rows[0]["ways"] if not way.startswith("random")}
    return {
        "photographs": len(rows),
        "errors": {way: {c: spread([errors[c] for errors in of]) for c in counts} for way, of in ways.items()},
        "saved": {way: {c: spread([saved(row, way, c) for row in rows]) for c in counts[1:]}
                  for way in ways if way != "random"},
        "rank correlation with the gain of one hint": {
            name: spread([rank_correlation(row["single"][name], row["single"]["gain"]) for row in rows])
            for name in ("uncertainty", "reach", "error")},
        "sizes": {size: {name: spread([row["sizes"][size][name] for row in rows]) for name in first}
                  for size, first in rows[0]["sizes"].items()},
    }


def main() -> None:
    options = arguments(
        __doc__, weights=(None, "a weights file (default: the shipped one)"),
        num=(100, "at most this number of photographs of each kind"),
        rows=(Path("build/photographs_09_rows.json"), "measurements of an unfinished run"))
    os.environ["COLORLIB_COMMAND"] = COMMAND
    colorizer = Colorizer.load(options.weights).remembering()
    header = {"weights": colorizer.metadata.get("sha256", ""), "num": options.num}
    done = json.loads(options.rows.read_text(encoding="utf-8")) if options.rows.is_file() else {}
    rows = done["rows"] if {key: done.get(key) for key in header} == header else {kind: [] for kind in KINDS}
    for kind in KINDS:
        paths = photos.scan_splits(Path(options.photos) / kind)["test"]
        reals = [real for real in photos.load_photos(paths)[0] if not photos.is_grey(real)]
        earlier = nb09.drawn(range(len(reals)), EARLIER) if len(reals) > EARLIER + options.num else []
        reals = nb09.drawn([real for number, real in enumerate(reals) if number not in set(earlier)], options.num)
        for number in range(len(rows[kind]), len(reals)):
            rows[kind].append(json.loads(json.dumps(measured(colorizer, reals[number], number))))
            write_json(options.rows, header | {"rows": rows})
        print(f"{kind}: {len(rows[kind])} photographs", flush=True)
        C32[kind].decide([saved(row, "uncertain", NUM_HINTS) for row in rows[kind]], of="photographs")
    C34.decide([saved(row, "uncertain reach", NUM_HINTS) for row in rows[KINDS[0]]], of="photographs")
    C33.decide([row["sizes"]["64"]["colourfulness"] / row["sizes"]["192"]["colourfulness"]
               for kind in KINDS for row in rows[kind]], of="photographs")
    write_json(results_dir() / "photographs_09.json", {
        "claim": "C32 and C33 on photographs", "command": COMMAND,
        "data": " and ".join(f"{len(rows[kind])} {kind}" for kind in KINDS) + " of the test split, at full size (at "
                "most about 160 pixels on the short side); grey ones left out; means and their 95 % intervals",
        **header, "machine": machine(), "summary": {kind: summary(rows[kind]) for kind in KINDS},
    })


if __name__ == "__main__":
    main()
