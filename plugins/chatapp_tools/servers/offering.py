"""The tools of MCP servers as tools of the model: with their schemas, and with the user's consent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from chatapp import Action, Ask, Event, Progress, Session, one_line, visible
from chatapp_tools.servers.schemas import Unusable, harmless

if TYPE_CHECKING:
    from mcp.types import Tool

    from chatapp_tools.servers.connection import Connection

LONGEST_NAME = 64
LONGEST_DESCRIPTION = 1500
"""Characters of what a tool says of itself; the model reads it in every prompt."""


def actions(connection: Connection) -> tuple[dict[str, Action], list[str]]:
    """The server's tools by the name the model writes, and a sentence for each that is left out."""
    found: dict[str, Action] = {}
    problems = []
    for tool in connection.listing.tools:
        what = f"The tool {one_line(tool.name, 60)!r} of the MCP server {connection.entry.name!r} is left out:"
        try:
            made = made_of(connection, tool)
        except Unusable as error:
            problems.append(f"{what} its schema {error}.")
            continue
        if made.tool_name in found:
            problems.append(f"{what} another tool of that name was first.")
        else:
            found[made.tool_name] = made
    if "tools" in connection.listing.more:
        problems.append(f"The MCP server {connection.entry.name!r} has more tools than are taken ({len(found)}).")
    return found, problems


def made_of(connection: Connection, tool: Tool) -> Action:
    """One tool as an action for the model alone; Unusable when its schema cannot be used."""
    entry = connection.entry

    async def consent(session: Session, values: Mapping[str, Any]) -> Ask | None:
        if entry.is_free(tool.name):
            return None
        arguments = json.dumps(dict(values), ensure_ascii=False, indent=2, sort_keys=True, default=str)
        detail = f"Server: {entry.name} ({entry.shown})\nTool: {tool.name}\nArguments: {arguments}"
        question = f"Let the model run {one_line(tool.name, 60)!r} of the MCP server {entry.name!r}?"
        return Ask(question, detail, exact=json.dumps([entry.identity, tool.name, arguments]))

    def call(session: Session, values: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        return called(session, connection, tool.name, values)

    described = visible(tool.description or tool.title or "").strip()[:LONGEST_DESCRIPTION]
    return Action(
        name=_name(entry.name, tool.name),
        function=call,
        doc=described or f"The tool {tool.name} of {entry.name}.",
        params=(),
        tool=True,
        consent=consent,
        shell=False,
        owner=f"mcp:{entry.name}",
        schema=harmless(tool.input_schema),
    )


def _name(server: str, tool: str) -> str:
    """``server tool`` in letters, digits and underscores, no longer than engines take names."""
    words = [re.sub(r"[^A-Za-z0-9_]+", "_", word).strip("_") or "x" for word in (server, tool)]
    name = " ".join(words)
    if len(name) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}_{mark}"


async def called(
    session: Session, connection: Connection, tool: str, values: Mapping[str, Any]
) -> AsyncGenerator[Event, None]:
    """Call the tool and stream its progress, then what came out; closing the iterator cancels the call there."""
    from chatapp_tools.servers.results import parts_of

    label = f"{connection.entry.name}: {one_line(tool, 60)}"
    latest: list[Progress] = []
    news = asyncio.Event()

    def told(done: float, total: float | None, message: str | None) -> None:
        # Only the newest counts: a server may tell faster than anybody can look.
        latest[:] = [Progress(f"{label}: {one_line(message, 80)}" if message else label, done, total)]
        news.set()

    yield Progress(label)
    call = asyncio.create_task(connection.call(tool, dict(values), told, session.ui))
    call.add_done_callback(lambda _: news.set())
    try:
        while not call.done():
            await news.wait()
            news.clear()
            if latest:
                yield latest.pop()
        async for part in parts_of(session.host, call.result(), label):
            yield part  # type: ignore[misc]
    finally:
        if not call.done():
            call.cancel()
            await asyncio.wait([call])
