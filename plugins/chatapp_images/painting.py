"""Painting for a command: what is asked goes to the studio, what comes back is kept and joins the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from chatapp import Conversation, Event, Media, Message, Notice, Picture, PictureRequest, Session, user
from chatapp_images.asking import Asked
from chatapp_images.keeping import keep, media, write
from chatapp_images.studio import Work, kept_preview, seeds, shown, studio

TOLD = "told"
"""A file beside the models: the user knows what the model that comes along can draw."""


async def painted(session: Session, wanted: Asked, line: str, out: Path | None = None) -> AsyncGenerator[Event, None]:
    """Paint what is asked, keep it, and put it into the conversation below `line`, as the user wrote it.

    Called by the model in the middle of a turn, the picture is only given back: it belongs to that turn. Stopped, the
    last preview is kept.
    """
    in_turn = session.busy
    conversation = session.conversation
    for place, request in enumerate(seeds(wanted.request, wanted.count)):
        work = Work(request.prompt)
        # In the shell the only thing on standard output is where the picture is.
        if session.keep and not in_turn:
            yield shown(work, wanted.model)
        picture: Picture | None = None
        try:
            async with aclosing(studio(session.host).paint(session, request, work, wanted.model)) as steps:
                async for step in steps:
                    if isinstance(step, Picture):
                        # Kept before the next prompt's turn: it could overtake this one on its way into the chat.
                        picture, made = step, await _kept(session, step, _numbered(out, place))
                    else:
                        yield step
        except (asyncio.CancelledError, GeneratorExit):
            if not in_turn and picture is None:
                await _keep_stopped(session, conversation, request, work, wanted.model, line)
            raise
        assert picture is not None, "a painter ends with a picture"
        for note in (*picture.notes, *_first(session, wanted.model)):
            yield Notice(note)
        if not in_turn:
            await session.add(user(line.strip()), Message("assistant", (made,)), to=conversation)
        yield made


async def _kept(session: Session, picture: Picture, out: Path | None) -> Media:
    if out is not None:
        await asyncio.to_thread(write, out, picture.png)
        return media(out, picture.facts)
    return media(await asyncio.to_thread(keep, session.host, picture.png, picture.facts), picture.facts)


def _numbered(out: Path | None, place: int) -> Path | None:
    """The file for the picture at `place`: ``apple.png``, ``apple-2.png``, …"""
    return out if out is None or place == 0 else out.with_stem(f"{out.stem}-{place + 1}")


async def _keep_stopped(
    session: Session, conversation: Conversation, request: PictureRequest, work: Work, model: str, line: str
) -> None:
    made = kept_preview(session.host, request, work, model)
    if made is not None:
        await session.add(user(line.strip()), Message("assistant", (made,)), to=conversation)


def _first(session: Session, model: str) -> list[str]:
    """Once for every user: which model painted, and how to get a larger one."""
    mark = session.host.paths.data / "images" / TOLD
    if model != "icons" or mark.exists():
        return []
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return [
        "Painted by icons, the small model that comes with chatapp: it draws icons of everyday things. "
        "`/image models` lists larger ones, and `/image model NAME` chooses one."
    ]
