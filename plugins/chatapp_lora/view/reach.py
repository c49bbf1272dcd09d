"""The input line of the terminal chat, where there is one."""

from __future__ import annotations

import sys

INPUT = "#composer"


def edit_line(text: str) -> bool:
    """Put a line into the chat's input to be edited, in place of an empty one; False outside the terminal chat."""
    # Where nobody has imported Textual, no terminal chat runs; importing it would take as long as a start.
    if "textual" not in sys.modules:
        return False
    from textual.widgets import TextArea
    from textual.worker import NoActiveWorker, get_current_worker

    try:
        app = get_current_worker().node.app
    except NoActiveWorker:
        return False
    for screen in app.screen_stack:
        for composer in screen.query(INPUT).results(TextArea):
            composer.load_text(text)
            composer.move_cursor(composer.document.end)
            composer.focus()
            return True
    return False
