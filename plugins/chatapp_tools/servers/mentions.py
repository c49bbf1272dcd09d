"""Resources of MCP servers that a message mentions as ``@server:uri``, laid beside it for the model to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chatapp import Block, Host, Progress, Session, Turn, UsageError, visible
from chatapp_tools.servers.configured import entries
from chatapp_tools.servers.shelf import servers

if TYPE_CHECKING:
    from mcp import Client

    from chatapp_tools.servers.connection import Connection

LONGEST = 400_000
"""Characters of the longest resource that is read; a model reads far less than that."""
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')


async def resources(turn: Turn) -> list[Block]:
    """A block for each resource the user's message mentions; one that cannot be read is told, and the turn goes on."""
    session, blocks = turn.session, []
    if "@" not in turn.message.text:
        return []
    await servers(session.host).configure()
    for name, uri in mentioned(session.host, turn.message.text):
        session.ui.progress(Progress(f"Reading {visible(f'{name}:{uri}')}"))
        try:
            text = await text_of(session, name, uri)
        except UsageError as error:
            session.ui.notify(str(error), "warning")
            continue
        inside, title = text.replace("</document", "<\\/document"), f"{name}:{uri}".replace('"', "'")
        laid = f'<document title="{title}">\n{inside}\n</document>'
        blocks.append(Block(laid, title, slot="user", stability="turn", priority=10))
    return blocks


def mentioned(host: Host, text: str) -> Iterator[tuple[str, str]]:
    """(server, URI) of each mention that begins with a server's name, once."""
    known = servers(host).entries
    seen = set()
    for match in _MENTION.finditer(text):
        name, colon, uri = (match[1] or match[2]).partition(":")
        if colon and name in known and uri and (name, uri) not in seen:
            seen.add((name, uri))
            yield name, uri


async def text_of(session: Session, server: str, uri: str) -> str:
    """A resource's text; UsageError when there is none. Punctuation that ends the sentence is no part of `uri`."""
    connection = servers(session.host).find(server)
    await connection.client()
    known = {str(each.uri) for each in connection.listing.resources}
    address = uri if uri in known else uri.rstrip(".,;:!?)]}'")
    texts = [each.text for each in await contents(connection, address) if hasattr(each, "text")]
    if not texts:
        raise UsageError(f"The resource {address!r} of the MCP server {server!r} has no text.")
    text = "\n\n".join(texts)
    if len(text) > LONGEST:
        raise UsageError(
            f"The resource {address!r} of the MCP server {server!r} is {len(text):,} characters, too long."
        )
    return text


async def contents(connection: Connection, uri: str) -> list[Any]:
    """What the server has at that address; UsageError when it refuses."""

    async def read(client: Client) -> Any:
        return await client.session.read_resource(uri)

    found = await connection.ask(f"for {uri!r}", read)
    return list(found.contents)


def addresses(session: Session, prefix: str) -> list[str]:
    """``server:uri`` of the resources that servers which run have listed, for completion."""
    running = servers(session.host).connections.values()
    return [f"{each.entry.name}:{resource.uri}" for each in running for resource in each.listing.resources]


def completions(session: Session, prefix: str) -> list[str]:
    """What may follow ``@`` in a message: `addresses`, and the names of servers that do not run yet. Reads a file."""
    known, _ = entries(session.host)
    running = {name for name, each in servers(session.host).connections.items() if each.state == "on"}
    waiting = [f"{name}:" for name, entry in known.items() if name not in running and not entry.disabled]
    return [*addresses(session, prefix), *waiting]
