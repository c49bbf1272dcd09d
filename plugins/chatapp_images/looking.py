"""What the terminal chat shows of pictures beyond those in the conversation: the one at work, and the gallery."""

from __future__ import annotations

from typing import Any

from chatapp import Data, Session, action
from chatapp_images.studio import under_way


def painting_widget(part: Data) -> Any:
    """The widget for a picture at work; None when it is none any more."""
    from chatapp_images.view.painting import PaintingView

    work = under_way(part.value)
    return PaintingView(work) if work is not None else None


@action("image gallery", shell=False)
async def gallery(session: Session) -> None:
    """Look at all pictures; Enter shows one larger, d deletes it, r paints it again."""
    from chatapp_images.view.gallery import open_gallery
    from chatapp_images.view.reach import chat_app

    open_gallery(chat_app())
