"""Commands about the conversations on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from chatapp.actions import Rest, action
from chatapp.commands.table import table
from chatapp.errors import ArchiveError, UsageError
from chatapp.messages import Data, Text, new_id
from chatapp.session import Session
from chatapp.settings import write_private
from chatapp.text import one_line


def _ids(session: Session, prefix: str) -> Iterable[str]:
    return [summary.id for summary in session.host.archive.list(limit=50)]


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


@action("sessions list")
async def list_(session: Session, *, limit: int = 20, deleted: bool = False) -> Data:
    """List the conversations, newest first."""
    found = await asyncio.to_thread(session.host.archive.list, limit, deleted)
    rows = [(each.id, _when(each.updated), each.messages, one_line(each.title or each.preview, 60)) for each in found]
    return table("sessions", ("id", "changed", "messages", "title"), rows, "There are no conversations yet.")


@action("sessions show")
async def show(session: Session, conversation: Annotated[str, "Its id", _ids]) -> Text:
    """Show a conversation as Markdown."""
    from chatapp.transfer import to_markdown

    return Text(to_markdown(await asyncio.to_thread(session.host.archive.load, conversation)))


@action("sessions search")
async def search(session: Session, query: Annotated[str, "Words", Rest()], *, limit: int = 20) -> Data:
    """Find conversations by any word said in them."""
    hits = await asyncio.to_thread(session.host.archive.search, query, limit)
    rows = [(hit.conversation, one_line(hit.title, 40), one_line(hit.snippet, 70)) for hit in hits]
    return table("sessions", ("id", "title", "found"), rows, f"Nothing was found for {query!r}.")


@action("open", shell=False)
async def open_(session: Session, conversation: Annotated[str, "Its id", _ids]) -> None:
    """Open another conversation."""
    await session.open(await asyncio.to_thread(session.host.archive.load, conversation))


@action("sessions rename")
async def rename(
    session: Session, conversation: Annotated[str, "Its id", _ids], title: Annotated[str, "The new title", Rest()]
) -> str:
    """Give a conversation another title."""
    full = await asyncio.to_thread(session.host.archive.find, conversation)
    await asyncio.to_thread(session.host.archive.rename, full, title)
    if full == session.conversation.id:
        session.conversation.title = title
    return f"{full} is now called {title!r}."


@action("sessions rm")
async def rm(session: Session, *conversations: Annotated[str, "Their ids", _ids]) -> str:
    """Delete conversations; `sessions restore ID` brings one back."""
    if not conversations:
        raise UsageError("Name the conversations to delete; `sessions list` shows their ids.")
    full = [await asyncio.to_thread(session.host.archive.find, each) for each in conversations]
    for each in full:
        await asyncio.to_thread(session.host.archive.delete, each)
    return f"Deleted {', '.join(full)}; `sessions restore {full[-1]}` brings it back."


@action("sessions restore")
async def restore(session: Session, conversation: Annotated[str, "Its id"]) -> str:
    """Bring a deleted conversation back."""
    await asyncio.to_thread(session.host.archive.restore, conversation)
    return f"{conversation} is back."


@action("sessions purge")
async def purge(session: Session, *, days: Annotated[int, "Deleted longer ago than this"] = 30) -> str:
    """Remove for good what was deleted some time ago; this cannot be undone."""
    count = await asyncio.to_thread(session.host.archive.purge, days * 86_400)
    return f"{count} conversations were removed for good."


@action("sessions export")
async def export(
    session: Session,
    conversation: Annotated[str, "Its id; in a chat, empty is this one", _ids] = "",
    file: Annotated[Path | None, "Where to; empty shows it"] = None,
    *,
    format: Annotated[Literal["markdown", "json"] | None, "Otherwise by the file's ending"] = None,
) -> str | Text:
    """Write a conversation as Markdown (what is shown) or JSON (everything, to import again), its pictures beside."""
    from chatapp.transfer import to_json, to_markdown, with_files

    if conversation:
        found = await asyncio.to_thread(session.host.archive.load, conversation)
    elif len(session.conversation):
        found = session.conversation
    else:
        raise UsageError("Name the conversation to export; `sessions list` shows their ids.")
    as_json = format == "json" or (format is None and file is not None and file.suffix == ".json")
    write = to_json if as_json else to_markdown
    if file is None:
        return Text(await asyncio.to_thread(write, found))
    if file.exists() and not await session.ui.confirm(f"{file} exists already. Replace it?"):
        raise UsageError(f"{file} exists already and was left as it is; choose another name.")
    try:
        text = write(await asyncio.to_thread(with_files, found, file))
    except OSError as error:
        raise UsageError(f"A picture of the conversation cannot be copied beside {file}: {error.strerror}.") from error
    await asyncio.to_thread(write_private, file, text)
    return f"Written to {file}."


@action("sessions import")
async def import_(session: Session, file: Annotated[Path, "A Markdown or JSON export"]) -> str:
    """Take in a conversation that was exported."""
    from chatapp.transfer import read

    conversation = await asyncio.to_thread(read, file)
    archive = session.host.archive
    try:
        await asyncio.to_thread(archive.find, conversation.id)
    except ArchiveError:
        pass  # the id is free: the conversation keeps it
    else:
        conversation.id = new_id()
    await asyncio.to_thread(archive.save, conversation)
    return f"Imported {len(conversation)} messages as {conversation.id}."
