"""The studio's state, apart from the photograph: an immutable value. Every action of the user returns a new one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from colorlib.colorizer import Hint, Settings


@dataclass(frozen=True)
class State:
    """What is set in the studio, and the steps for undo and redo.

    Attributes:
        settings: how the photograph is coloured.
        selected: index of the hint that the colour picker changes; -1: none.
        brush: (a, b) of the next hint, CIE units; None, before the user chose a colour: that of the picture there.
        point: (x, y), pixels of the photograph: where the position sliders stand.
        uncertainty: show the map of uncertainty instead of the colours.
        past, future: the hints before each change, and the hints that undo removed.
        last: the latest change and the index of its hint. Undo takes all steps of one drag back at once.
    """

    settings: Settings = field(default_factory=Settings)
    selected: int = -1
    brush: tuple[float, float] | None = None
    point: tuple[int, int] = (0, 0)
    uncertainty: bool = False
    past: tuple[tuple[Hint, ...], ...] = ()
    future: tuple[tuple[Hint, ...], ...] = ()
    last: tuple[str, int] | None = None

    def added(self, hint: Hint) -> State:
        """With one more hint; it replaces one at the same point."""
        others = tuple(other for other in self.settings.hints if other[:2] != hint[:2])
        return self._with((*others, hint), len(others), "add")

    def moved(self, index: int, x: float, y: float) -> State:
        return self._with(_changed(self.settings.hints, index, x=x, y=y), index, "move")

    def recolored(self, index: int, a: float, b: float) -> State:
        return replace(self._with(_changed(self.settings.hints, index, a=a, b=b), index, "recolor"), brush=(a, b))

    def deleted(self, index: int) -> State:
        hints = self.settings.hints
        _changed(hints, index)
        return self._with(hints[:index] + hints[index + 1 :], -1, "delete")

    def picked(self, index: int) -> State:
        """With another hint selected; -1 selects none."""
        if index < 0:
            return replace(self, selected=-1, last=None)
        x, y = _changed(self.settings.hints, index)[index][:2]
        return replace(self, selected=index, point=(int(x), int(y)), last=None)

    def loaded(self, settings: Settings) -> State:
        """With all settings replaced; undo brings the hints back."""
        return replace(self._with(settings.hints, -1, "load"), settings=settings)

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
        same = action in ("move", "recolor") and change == self.last
        past = self.past if same else (*self.past, self.settings.hints)
        point = (int(hints[selected].x), int(hints[selected].y)) if selected >= 0 else self.point
        return replace(self, settings=replace(self.settings, hints=hints), selected=selected, point=point, past=past,
                       future=(), last=change)


def _changed(hints: tuple[Hint, ...], index: int, **values: float) -> tuple[Hint, ...]:
    if not 0 <= index < len(hints):
        raise ValueError(f"there is no hint {index + 1}; there are {len(hints)}")
    return hints[:index] + (hints[index]._replace(**values),) + hints[index + 1 :]
