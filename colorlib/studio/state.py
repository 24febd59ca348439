"""What the studio knows beside the photograph, as one value: every action of a reader makes a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from colorlib.colorizer import Hint, Settings


@dataclass(frozen=True)
class State:
    """How the studio stands.

    Attributes:
        settings: how the photograph is coloured.
        selected: index of the hint that the colour picker changes; -1 for none.
        brush: (a, b), CIE units: the colour of the next hint.
        point: (x, y), pixels of the photograph: where the hint of the position sliders goes.
        doubt: show where the network is unsure, instead of the colours.
        past, future: the hints before each change, and those that undo took away.
        last: the latest change and its hint: a drag is many changes and one step back.
    """

    settings: Settings = Settings()
    selected: int = -1
    brush: tuple[float, float] = (55.0, 35.0)
    point: tuple[int, int] = (0, 0)
    doubt: bool = False
    past: tuple[tuple[Hint, ...], ...] = ()
    future: tuple[tuple[Hint, ...], ...] = ()
    last: tuple[str, int] | None = None

    def added(self, x: float, y: float) -> State:
        """A hint in the colour of the brush; one at the same point is replaced."""
        others = tuple(hint for hint in self.settings.hints if (hint.x, hint.y) != (x, y))
        return self._with((*others, Hint(x, y, *self.brush)), len(others), "add")

    def moved(self, index: int, x: float, y: float) -> State:
        return self._with(_changed(self.settings.hints, index, x=x, y=y), index, "move")

    def recoloured(self, index: int, a: float, b: float) -> State:
        return replace(self._with(_changed(self.settings.hints, index, a=a, b=b), index, "recolour"), brush=(a, b))

    def deleted(self, index: int) -> State:
        hints = self.settings.hints
        _changed(hints, index)
        return self._with(hints[:index] + hints[index + 1 :], -1, "delete")

    def picked(self, index: int) -> State:
        """The hint is selected, and the brush has its colour."""
        if index < 0:
            return replace(self, selected=-1, last=None)
        _changed(self.settings.hints, index)
        hint = self.settings.hints[index]
        return replace(self, selected=index, brush=(hint.a, hint.b), point=(int(hint.x), int(hint.y)), last=None)

    def replaced(self, hints: tuple[Hint, ...]) -> State:
        """All hints at once."""
        return self._with(hints, -1, "replace")

    def undone(self) -> State:
        if not self.past:
            return self
        return replace(self, settings=replace(self.settings, hints=self.past[-1]), selected=-1, last=None,
                       past=self.past[:-1], future=(self.settings.hints, *self.future))

    def redone(self) -> State:
        if not self.future:
            return self
        return replace(self, settings=replace(self.settings, hints=self.future[0]), selected=-1, last=None,
                       past=(*self.past, self.settings.hints), future=self.future[1:])

    def _with(self, hints: tuple[Hint, ...], selected: int, action: str) -> State:
        change = (action, selected)
        same = action in ("move", "recolour") and change == self.last
        past = self.past if same else (*self.past, self.settings.hints)
        point = (int(hints[selected].x), int(hints[selected].y)) if selected >= 0 else self.point
        return replace(self, settings=replace(self.settings, hints=hints), selected=selected, point=point, past=past,
                       future=(), last=change)


def _changed(hints: tuple[Hint, ...], index: int, **values: float) -> tuple[Hint, ...]:
    if not 0 <= index < len(hints):
        raise ValueError(f"there is no hint {index + 1}; there are {len(hints)}")
    return hints[:index] + (hints[index]._replace(**values),) + hints[index + 1 :]
