"""`/image` in the terminal chat: the picture at work, beside the conversation, stopped, and found again."""

from __future__ import annotations

from pathlib import Path

from chatapp import Message
from chatapp.testing import ScriptedEngine
from chatapp_images.view.gallery import GalleryScreen
from chatapp_images.view.painting import PaintingView
from chatapp_images.view.picture import PictureView
from tests.plugins.images_scripted import Painters, ScriptedPainter
from tests.tui.support import host_in, running

LARGE = (100, 50)


async def test_a_picture_appears_while_the_conversation_goes_on(tmp_path: Path) -> None:
    engine, painter = ScriptedEngine(), ScriptedPainter(held=True)
    host = host_in(tmp_path, engine)
    host.add("images", Painters(painter))
    async with running(tmp_path, host=host, engine=engine, size=LARGE) as chat:
        chat.chat.runner.submit("/image a red apple --seed 7")
        await chat.until(lambda: chat.chat.query(PaintingView))
        await chat.shows("step 2 of 4", "a red apple", "Esc stops")
        chat.chat.runner.submit("Hello")
        await chat.until(lambda: ("assistant", "OK.") in chat.said and not chat.chat.runner.busy)
        assert chat.chat.query(PaintingView)
        painter.go.set()
        await chat.until(lambda: chat.settled)
        await chat.shows("a red apple · icons · seed 7 · 4 steps")
        assert not chat.chat.query(PaintingView)
        assert len(chat.chat.query(PictureView)) == 1
        assert [role for role, _ in chat.said] == ["user", "assistant", "user", "assistant"]
        await chat.send("And now?")
        # What the model reads of the picture are words.
        assert [each.text or each.parts[0].alt for each in answers(engine.requests[-1].messages)] == [  # type: ignore[union-attr]
            "OK.",
            "A picture of a red apple",
        ]


def answers(messages: tuple[Message, ...]) -> list[Message]:
    """The assistant's messages."""
    return [each for each in messages if each.role == "assistant"]


async def test_escape_keeps_the_last_preview(tmp_path: Path) -> None:
    engine, painter = ScriptedEngine(), ScriptedPainter(held=True)
    host = host_in(tmp_path, engine)
    host.add("images", Painters(painter))
    async with running(tmp_path, host=host, engine=engine, size=LARGE) as chat:
        chat.chat.runner.submit("/image a cat")
        await chat.shows("step 2 of 4")
        await chat.tap("escape")
        await chat.until(lambda: chat.settled)
        await chat.shows("stopped")
        assert not chat.chat.query(PaintingView)
        assert painter.stopped == 1


async def test_the_gallery_opens_and_gives_a_line(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("images", Painters(ScriptedPainter()))
    async with running(tmp_path, host=host, engine=engine, size=LARGE) as chat:
        await chat.send("/image a cat")
        await chat.send("/image gallery")
        await chat.until(lambda: isinstance(chat.app.screen, GalleryScreen))
        await chat.shows("a cat")
        await chat.press("r")
        await chat.until(lambda: chat.chat.composer.text.startswith("/image --like"))
