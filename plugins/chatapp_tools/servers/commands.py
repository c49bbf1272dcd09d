"""`/mcp` and what is below it."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import (
    Action,
    ChatappError,
    Event,
    Finished,
    Notice,
    Progress,
    Rest,
    Session,
    Text,
    UsageError,
    action,
    assistant,
    one_line,
    table,
    user,
)
from chatapp_tools.options import ToolsSettings
from chatapp_tools.servers.mentions import addresses, contents
from chatapp_tools.servers.offering import actions
from chatapp_tools.servers.shelf import MEND, servers

if TYPE_CHECKING:
    from mcp import Client

    from chatapp_tools.servers.connection import Connection

_GIVEN = re.compile(r'([\w.-]+)=(?:"([^"]*)"|(\S*))')
EMPTY = (
    "There are no MCP servers: name them in mcp.json beside the settings file, as other programs have it. To offer the "
    "tools of this application to another program, have that start `chatapp mcp`."
)


def _names(session: Session, prefix: str) -> Iterable[str]:
    return servers(session.host).entries


def _prompts(session: Session, prefix: str) -> Iterable[str]:
    running = servers(session.host).connections.values()
    return [f"{each.entry.name}:{prompt.name}" for each in running for prompt in each.listing.prompts]


@action("mcp")
async def mcp(session: Session) -> AsyncGenerator[Event, None]:
    """List the MCP servers; started by another program, offer it this application's tools (as `mcp serve`)."""
    if served(session):
        await serve.function(session)
        return
    async with aclosing(listed.function(session)) as events:
        async for event in events:
            yield event


def served(session: Session) -> bool:
    """Whether another program started this command: the shell's, with pipes in place of a terminal."""
    return not session.keep and not sys.stdin.isatty() and not sys.stdout.isatty()


@action("mcp list")
async def listed(session: Session, server: Annotated[str, "Only this one, with all it offers", _names] = "") -> Any:
    """List the MCP servers, whether they run, and what they offer."""
    shelf = servers(session.host)
    yield Progress("Starting MCP servers")
    await shelf.started(session, float(session.host.config(ToolsSettings).mcp_start), patient=True)
    for problem in shelf.unsaid():
        yield Notice(problem, "warning")
    if server:
        connection = shelf.find(server)
        await connection.client()
        yield _offered(connection)
        return
    rows = []
    for name, entry in sorted(shelf.entries.items()):
        found = shelf.connections.get(name)
        if found is None:
            rows.append((name, "off", shelf.why_not(entry), entry.shown))
        else:
            rows.append((name, found.state, _counts(found) if found.state == "on" else found.error, entry.shown))
    yield table("mcp.servers", ("server", "state", "offers", "what"), rows, EMPTY)


def _counts(connection: Connection) -> str:
    offer = connection.listing
    counts = {"tools": len(offer.tools), "prompts": len(offer.prompts), "resources": len(offer.resources)}
    return (
        ", ".join(f"{count} {what[: -1 if count == 1 else None]}" for what, count in counts.items() if count)
        or "nothing"
    )


def _offered(connection: Connection) -> Event:
    offer, name = connection.listing, connection.entry.name
    rows = [("tool", each.tool_name, one_line(each.summary, 100)) for each in actions(connection)[0].values()]
    rows += [("prompt", f"{name}:{each.name}", _about(each)) for each in offer.prompts]
    rows += [("resource", f"{name}:{each.uri}", _about(each)) for each in offer.resources]
    rows += [("template", f"{name}:{each.uri_template}", _about(each)) for each in offer.templates]
    return table("mcp.offered", ("kind", "name", "what"), rows)


def _about(each: Any) -> str:
    return one_line(each.description or each.title or "", 100)


@action("mcp restart", shell=False)
async def restart(session: Session, server: Annotated[str, "Which server", _names]) -> AsyncGenerator[Event, None]:
    """Start an MCP server again, or for the first time."""
    shelf = servers(session.host)
    await shelf.configure()
    connection = shelf.find(server)
    await connection.stop()
    yield Progress(f"Starting {server}")
    await connection.client()
    await shelf.offer()
    yield Text(f"The MCP server {server!r} runs: {_counts(connection)}.")


@action("mcp off", shell=False)
async def off(session: Session, server: Annotated[str, "Which server", _names]) -> str:
    """End an MCP server and offer its tools no longer, until it is started again."""
    shelf = servers(session.host)
    await shelf.configure()
    await shelf.find(server).stop(off=True)
    await shelf.offer()
    return f"The MCP server {server!r} is off; /mcp restart {server} starts it."


@action("mcp prompt", shell=False)
async def prompt(
    session: Session,
    name: Annotated[str, "SERVER:PROMPT", _prompts],
    arguments: Annotated[str, 'key=value …, or key="some words"', Rest()] = "",
) -> AsyncGenerator[Event, None]:
    """Send a prompt that an MCP server offers as your message."""
    from chatapp_tools.servers.results import prompt_texts

    server, _, wanted = name.partition(":")
    await servers(session.host).configure()
    connection = servers(session.host).find(server)
    await connection.client()
    known = {each.name: each for each in (await connection.fresh()).prompts}
    if wanted not in known:
        raise UsageError(f"The MCP server {server!r} has no prompt {wanted!r}; it has {', '.join(known) or 'none'}.")
    given = _given(known[wanted], arguments)

    async def get(client: Client) -> Any:
        return await client.session.get_prompt(wanted, given)

    texts = prompt_texts((await connection.ask(f"for the prompt {wanted!r}", get)).messages)
    if not texts or texts[-1][0] != "user":
        raise UsageError(f"The prompt {wanted!r} ends without a message of yours, so there is nothing to answer.")
    await session.add(*(user(text) if role == "user" else assistant(text) for role, text in texts[:-1]))
    async with aclosing(session.send(texts[-1][1])) as events:
        async for event in events:
            if isinstance(event, Finished) and event.reason == "failed":
                raise ChatappError(event.error)
            yield event


def _given(wanted: Any, text: str) -> dict[str, str]:
    """The values for a prompt's arguments; a prompt with one takes the whole text. UsageError says what is missing."""
    arguments = list(wanted.arguments or ())
    given = {match[1]: match[3] if match[2] is None else match[2] for match in _GIVEN.finditer(text)}
    if text.strip() and len(arguments) == 1 and arguments[0].name not in given:
        given = {arguments[0].name: text.strip()}
    missing = [each.name for each in arguments if each.required and each.name not in given]
    unknown = [key for key in given if key not in {each.name for each in arguments}]
    if missing or unknown:
        words = " ".join(f"{each.name}=…" if each.required else f"[{each.name}=…]" for each in arguments)
        what = f"needs {missing[0]!r}" if missing else f"has no {unknown[0]!r}"
        raise UsageError(f"The prompt {wanted.name!r} {what}: give {words or 'nothing'}.")
    return given


@action("mcp read", shell=False)
async def read(
    session: Session, resource: Annotated[str, "SERVER:URI", Rest(), addresses]
) -> AsyncGenerator[Event, None]:
    """Show a resource of an MCP server; in a message, @SERVER:URI gives it to the model."""
    from chatapp_tools.servers.results import resource_part

    server, _, uri = resource.strip().strip("@").partition(":")
    await servers(session.host).configure()
    connection = servers(session.host).find(server)
    for each in await contents(connection, uri):
        yield await resource_part(session.host, each, server)  # type: ignore[misc]


@action("mcp serve")
async def serve(session: Session) -> None:
    """Offer this application's tools to another program over standard input and output, by MCP."""
    if session.keep or sys.stdin.isatty():
        raise UsageError("Another program starts `chatapp mcp serve`, and speaks MCP with it: name it there.")
    try:
        from chatapp_tools.serving.stdio import serve_stdio
    except ModuleNotFoundError as error:
        raise UsageError(f"MCP needs the Python package {error.name!r}: {MEND}.") from error
    await serve_stdio(session.host)


COMMANDS: tuple[Action, ...] = (mcp, listed, restart, off, prompt, read, serve)
"""What the plugin declares for MCP."""
