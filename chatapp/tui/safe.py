"""Text that came from a model, a file or a person, made safe to put on the screen: visible, and never markup."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.style import Style

from chatapp.text import visible


def safe(text: str, style: str | Style = "") -> Content:
    """`text` as content that is shown as it is, in one style."""
    content = Content(visible(text))
    return content.stylize(style) if style else content


def line(*pieces: str | tuple[str, str]) -> Content:
    """Pieces one after another; a tuple is (text, style)."""
    parts = [safe(piece) if isinstance(piece, str) else safe(*piece) for piece in pieces]
    return Content("").join(parts)


def short_model(name: str) -> str:
    """A model's name for a narrow place: of a path, the file."""
    return name.replace("\\", "/").rpartition("/")[2] or name


def lines(rows: Iterable[Content]) -> Content:
    """Rows below one another."""
    return Content("\n").join(rows)
