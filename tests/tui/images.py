"""What the tests of pictures in the terminal chat share: files of one colour, and a chat that shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel

from chatapp import Conversation, Media, Message, Part, action, hookimpl, user
from chatapp.testing import ScriptedEngine
from chatapp_images.options import ImagesSettings
from chatapp_images.view.boxing import choose_box
from chatapp_images.view.picture import widget_for

from .support import Running, host_in, running

RED, GREEN = (255, 0, 0), (0, 255, 0)


class Plugin:
    """Pictures shown as the images plugin shows them, and a command that asks for a box."""

    def __init__(self, asked: Path | None = None) -> None:
        @action("box", shell=False)
        async def box(session: Any) -> str:
            """Ask for a box."""
            return f"The box: {await choose_box(session, asked or Path('nothing'))}"

        self._box = box

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """Those of the images plugin."""
        return ImagesSettings

    @hookimpl
    def actions(self) -> list[Any]:
        """`/box`."""
        return [self._box]

    @hookimpl
    def render_part(self, part: Part) -> Any:
        """A picture."""
        return widget_for(part) if isinstance(part, Media) else None


@dataclass(frozen=True)
class Kept:
    """A picture in the gallery."""

    path: Path
    facts: Mapping[str, Any]
    modified: float


def picture(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (64, 64)) -> Path:
    """A file of one colour."""
    Image.new("RGB", size, colour).save(path)
    return path


def part(path: Path, **facts: Any) -> Media:
    """A picture of the conversation."""
    known = {"prompt": "a red apple", "model": "icons", "seed": 42, "steps": 20, "width": 64, "height": 64}
    return Media(str(path), "image/png", "an apple", known | facts)


@asynccontextmanager
async def showing(
    folder: Path, *parts: Media, asked: Path | None = None, display: str = "auto", **how: Any
) -> AsyncIterator[Running]:
    """A chat in whose conversation these pictures stand."""
    engine = ScriptedEngine()
    host = host_in(folder, engine)
    host.add("images", Plugin(asked))
    host.set_config("images", "display", display)
    conversation = Conversation()
    for each in parts:
        conversation.append(user("/image a red apple"))
        conversation.append(Message("assistant", (each,), meta={"finished": "stop"}))
    async with running(folder, host=host, engine=engine, conversation=conversation, **how) as chat:
        yield chat


def colours(chat: Running) -> set[tuple[int, int, int]]:
    """The colours of all half blocks on the screen."""
    segments = (segment for strip in chat.app.screen._compositor.render_strips() for segment in strip)
    styles = [segment.style for segment in segments if "▀" in segment.text and segment.style is not None]
    found = {style.color.triplet for style in styles if style.color is not None}
    return {tuple(each) for each in found if each is not None}  # type: ignore[misc]
