"""The line below an answer, on the screen."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from chatapp import Data, visible


def answered(part: Data) -> Static:
    """Who gave the answer, in small print."""
    return Static(Content.styled(visible(part.text), "dim"))
