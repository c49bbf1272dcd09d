"""What is said in the input's edges: the conversation's title, and the most useful keys of where the cursor is."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.widget import Widget

from chatapp.tui.keys import hint
from chatapp.tui.widgets.citations import Citations
from chatapp.tui.widgets.composer import Composer
from chatapp.tui.widgets.message import MessageView
from chatapp.tui.widgets.passage import PassagePanel
from chatapp.tui.widgets.sent import SentPanel
from chatapp.tui.widgets.side import SidePanel

_OF_PASSAGE = ("passage.next", "passage.before", "passage.copy", "passage.copy_path")


def hints(app: App[Any], place: Widget | None, *, first_run: bool = False) -> str:
    """The keys that matter at `place`, in at most 72 cells."""
    if first_run and isinstance(place, Composer):
        return (
            f"{hint(app, Composer, 'composer.send').split()[0]} downloads the model · ↑ ↓ choose · or type a question"
        )
    if isinstance(place, MessageView):
        return f"{hint(app, MessageView, *_of_message(place))} · Esc back"
    if isinstance(place, Citations):
        return f"{hint(app, Citations, 'sources.before', 'sources.next', 'sources.open')} · Esc back"
    if place is not None and any(isinstance(each, PassagePanel) for each in place.ancestors):
        return f"{hint(app, PassagePanel, *_OF_PASSAGE)} · Esc back"
    if place is not None and any(isinstance(each, SidePanel) for each in place.ancestors):
        return f"{hint(app, SentPanel, 'sent.open')} · Tab next · Esc back"
    return f"{hint(app, Composer, 'composer.send', 'composer.newline')} · / commands · @ files"


def _of_message(view: MessageView) -> list[str]:
    """Only what does something on this message."""
    names = ["edit"] if view.role == "user" else []
    names += ["again", "copy"]
    names += ["copy_code"] if "```" in view.text else []
    names += ["pin"]
    names += ["version_before", "version_after"] if view.shown is not None and view.shown.versions > 1 else []
    names += ["open"] if view.folds() else []
    names += ["cite"] if view.sources else []
    return [f"message.{name}" for name in names]
