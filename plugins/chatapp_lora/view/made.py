"""What was trained, as it is shown: the card, and the answers side by side."""

from __future__ import annotations

from markdown_it import MarkdownIt
from rich.table import Table
from rich.text import Text
from textual.widgets import Markdown, Static

from chatapp import Data, visible


def card(part: Data) -> Markdown:
    """An adapter's card, formatted; what stands in it comes from anywhere, so tags are text and links stay closed."""
    return Markdown(part.text, parser_factory=lambda: MarkdownIt("gfm-like", {"html": False}), open_links=False)


def side_by_side(part: Data) -> Static:
    """The comparison; the prompts give way to the answers where the screen is narrow."""
    made = Table(box=None, padding=(0, 2, 1, 0), header_style="bold", expand=True)
    columns = list(part.value[0]) if part.value else []
    for place, column in enumerate(columns):
        made.add_column(Text(visible(column)), ratio=2 if place else 1, overflow="fold")
    for row in part.value:
        made.add_row(*(Text(visible(str(cell))) for cell in row.values()))
    return Static(made)
