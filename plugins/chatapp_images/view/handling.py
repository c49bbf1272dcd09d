"""What the gallery and its larger view share: the keys that do something with the picture that is chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.screen import Screen

from chatapp_images.view import reach

AGAIN = '/image --like "{}"'


class Kept(Protocol):
    """A picture that was kept: its file, its facts, and when it was written, in seconds since 1970."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it was painted from."""
        ...

    @property
    def modified(self) -> float:
        """Seconds since 1970."""
        ...


def binding(keys: str, action: str, label: str, sentence: str) -> Binding:
    """A key of the gallery."""
    name = action.partition("(")[0]
    return Binding(keys, action, label, tooltip=sentence, id=f"gallery.{name}", show=False)


class PictureScreen(Screen[str | None]):
    """A screen on which one picture is chosen. It gives a line for the chat's input, or None."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        binding("escape", "back", "back", "Back to where you were."),
        binding("o", "open", "open", "Open it in the system's viewer."),
        binding("s", "save", "save as", "Save a copy of it."),
        binding("c,y", "copy_path", "copy path", "Copy where it is."),
        binding("r", "again", "again", "Put the command that paints it again into the input."),
    ]

    def __init__(self, shown: Sequence[Kept] = (), place: int = 0) -> None:
        super().__init__()
        self._shown = shown
        self.place = place

    @property
    def chosen(self) -> Kept | None:
        """The picture that the keys are about: of those that are shown, the one at `place`."""
        return self._shown[self.place] if self.place < len(self._shown) else None

    def action_back(self) -> None:
        """Close, with no line."""
        self.dismiss(None)

    def action_open(self) -> None:
        """In the system's viewer."""
        if self.chosen is not None:
            self.run_worker(reach.do_open(self.app, self.chosen.path), group="picture")

    def action_save(self) -> None:
        """A copy."""
        if self.chosen is not None:
            self.run_worker(reach.do_save(self.app, self.chosen.path), group="picture")

    def action_copy_path(self) -> None:
        """To the clipboard."""
        if self.chosen is not None:
            reach.do_copy_path(self.app, self.chosen.path)

    def action_again(self) -> None:
        """Close, with the line that paints it again."""
        if self.chosen is not None:
            self.dismiss(AGAIN.format(self.chosen.path))


def matching(pictures: Sequence[Kept], words: str) -> list[Kept]:
    """Those whose prompt or model has all these words, newest first."""
    wanted = words.casefold().split()
    found = [each for each in pictures if all(word in _searched(each) for word in wanted)]
    return sorted(found, key=lambda each: each.modified, reverse=True)


def _searched(kept: Kept) -> str:
    return f"{kept.facts.get('prompt', '')} {kept.facts.get('model', '')} {kept.path.name}".casefold()


def when(seconds: float) -> str:
    """``23 Nov 2026, 18:04``, in local time."""
    return time.strftime("%d %b %Y, %H:%M", time.localtime(seconds)).lstrip("0")
