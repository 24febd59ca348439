"""The studio's state, apart from the photograph: an immutable value. Every action of the user returns a new one; `move`,
`delete`, `select`, `undo` and `redo` have the names of the board's messages."""

from dataclasses import dataclass, field, replace

from colorlib.colorizer import Hint, Settings

RECENT = 10  # colours that are remembered
SMOOTH = ("move", "recolor", "set")  # actions whose repetitions undo takes back at once: a drag, a slider


@dataclass(frozen=True)
class State:
    """What is set in the studio, and the steps for undo and redo."""

    settings: Settings = field(default_factory=Settings)  # how the photograph is coloured
    selected: int = -1  # index of the hint that the popover changes; -1: none
    point: tuple[int, int] = (0, 0)  # pixels of the photograph: where the position sliders stand
    uncertainty: bool = False  # show the map of uncertainty instead of the colours
    recent: tuple[tuple[float, float], ...] = ()  # the last colours that were chosen, (a, b) in CIE units, the latest first
    past: tuple[Settings, ...] = ()  # before each change
    future: tuple[Settings, ...] = ()  # those that undo removed
    last: tuple[str, object] | None = None  # the latest action, and what it was about: a hint's index, a setting's name

    def added(self, hint: Hint) -> "State":
        """With one more hint; it replaces one at the same point."""
        others = tuple(other for other in self.settings.hints if other[:2] != hint[:2])
        return self._hinted((*others, hint), len(others), "add")

    def move(self, index: int, x: float, y: float) -> "State":
        return self._hinted(self._changed(index, x=x, y=y), index, "move")

    def recolored(self, index: int, a: float, b: float) -> "State":
        """With another colour of a hint, which is one of the recent ones then; it does not erase any more."""
        recent = ((a, b), *(one for one in self.recent if one != (a, b)))[:RECENT]
        return replace(self._hinted(self._changed(index, a=a, b=b, erase=False), index, "recolor"), recent=recent)

    def tuned(self, index: int, **values: float | bool) -> "State":
        """With another `reach` or `erase` of a hint."""
        return self._hinted(self._changed(index, **values), index, "tune")

    def delete(self, index: int) -> "State":
        hints = self._changed(index)
        return self._hinted(hints[:index] + hints[index + 1 :], -1, "delete")

    def select(self, index: int) -> "State":
        """With another hint selected; -1 selects none."""
        hints = self._changed(index) if index >= 0 else self.settings.hints
        return replace(self, selected=index, point=self._place(hints, index), last=None)

    def set(self, settings: Settings, about: object = None) -> "State":
        """With other settings; changes one after the other of the same `about` are one step for undo."""
        return self._with(settings, "set", about)

    def undo(self) -> "State":
        if not self.past:
            return self
        return replace(self, settings=self.past[-1], selected=-1, last=None, past=self.past[:-1],
                       future=(self.settings, *self.future))

    def redo(self) -> "State":
        if not self.future:
            return self
        return replace(self, settings=self.future[0], selected=-1, last=None, past=(*self.past, self.settings),
                       future=self.future[1:])

    def _place(self, hints: tuple[Hint, ...], index: int) -> tuple[int, int]:
        return (int(hints[index].x), int(hints[index].y)) if index >= 0 else self.point

    def _hinted(self, hints: tuple[Hint, ...], index: int, action: str) -> "State":
        changed = self._with(replace(self.settings, hints=hints), action, index)
        return replace(changed, selected=index, point=self._place(hints, index))

    def _with(self, settings: Settings, action: str, about: object) -> "State":
        same = action in SMOOTH and about is not None and (action, about) == self.last
        past = self.past if same else (*self.past, self.settings)
        return replace(self, settings=settings, past=past, future=(), last=(action, about))

    def _changed(self, index: int, **values: float | bool) -> tuple[Hint, ...]:
        hints = self.settings.hints
        if not 0 <= index < len(hints):
            raise ValueError(f"there is no hint {index + 1}; there are {len(hints)}")
        return hints[:index] + (hints[index]._replace(**values),) + hints[index + 1 :]
