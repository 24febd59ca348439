"""How long each control of the studio takes until the new picture is encoded and handed to the front end.

    python tests/benchmarks/bench_studio.py

On the sample photograph of 640 x 427, which is also the size of previews, with the weights that ship. What the browser
needs to draw is not in it. Limits of the issue on 2 cores: 50 ms for what needs no network, 400 ms for the rest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from colorlib.colorizer import Colorizer
from colorlib.photos import Photo, sample_photograph

REPEATS = 15
NO_NETWORK, NETWORK = "limit 50", "limit 400"


def rows() -> list[dict[str, object]]:
    """One row per control: group, name, value, unit, note."""
    from colorlib.studio import Studio

    colorizer = Colorizer.load(device="cpu")
    result = []

    def row(name: str, act: Callable[[int], object], limit: str) -> None:
        act(0)
        times = []
        for repeat in range(1, REPEATS + 1):
            started = time.perf_counter()
            act(repeat)
            times.append(time.perf_counter() - started)
        note = f"median of {REPEATS}, longest {1000 * max(times):.0f} ms; {limit}"
        result.append({"group": "studio", "name": name, "value": 1000 * statistics.median(times), "unit": "ms", "note": note})

    def slide(studio: Studio, name: str, start: float, step: float) -> Callable[[int], None]:
        return lambda repeat: setattr(studio.parts.sliders[name], "value", start + step * repeat)

    for hints in (0, 2):
        studio = Studio("china", colorizer)
        for number in range(hints):
            studio._add(200 + 150 * number, 210 - 100 * number)
            studio._color(55.0, 35.0)
        suffix = f", {hints} hints" if hints else ""
        row(f"saturation{suffix}", slide(studio, "saturation", 1.0, 0.05), NO_NETWORK)
        row(f"warmth{suffix}", slide(studio, "warmth", 0.0, 1.0), NO_NETWORK)
        row(f"blend{suffix}", slide(studio, "blend", 1.0, -0.05), NO_NETWORK)
        row(f"edge guidance{suffix}", slide(studio, "guidance", 1.0, -0.05), NO_NETWORK)
        studio.parts.reset.click()
        row(f"colouring{suffix}", slide(studio, "variant", 0, 1), NETWORK)
        row(f"boldness{suffix}", slide(studio, "adversarial", 1.0, -0.05), NETWORK)
        row(f"render size 136 to 256, boldness 0.25{suffix}", slide(studio, "render_size", 136, 8), NETWORK)
    studio.parts.reset.click()

    def move(repeat: int) -> None:
        studio._show(studio.state.move(0, 200 + 5 * repeat, 210))

    row("a hint is dragged", move, NETWORK)
    row("a hint is recoloured", lambda repeat: studio._color(40 - 4 * repeat, 20), NETWORK)
    row("where is it unsure", lambda repeat: setattr(studio.parts.uncertainty, "value", repeat % 2 == 0), NETWORK)
    large = sample_photograph("china").rgb.repeat_interleave(6, 1).repeat_interleave(6, 2)
    studio = Studio(Photo(large), colorizer)
    row("saturation, photograph of 9.8 MP", slide(studio, "saturation", 1.0, 0.05), NO_NETWORK)
    row("render size 96 to 216, photograph of 9.8 MP", slide(studio, "render_size", 96, 8), NETWORK)
    started = time.perf_counter()
    studio.parts.make.click()
    result.append({"group": "studio", "name": "full-size PNG of 9.8 MP", "value": time.perf_counter() - started, "unit": "s",
                   "note": "colouring and encoding, once"})
    return result


if __name__ == "__main__":
    for line in rows():
        print(f"{line['name']:48}{line['value']:9.1f} {line['unit']:3} {line['note']}")
