"""All MCP servers of a host: configured, started when needed, and their tools put where the model finds them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from chatapp import Action, Host, Progress, Session, UsageError, similar
from chatapp_tools.access import allowed_folders
from chatapp_tools.options import ToolsSettings
from chatapp_tools.servers.configured import Entry, entries

if TYPE_CHECKING:
    from chatapp_tools.servers.connection import Connection
    from chatapp_tools.servers.listing import Listing

PATIENCE = 10.0
"""Seconds a message waits for servers that are starting; the tools of slower ones come with a later message."""


MEND = "run `pip install 'chatapp[mcp]'`"


class Servers:
    """The servers by name; `problems` are sentences about those that cannot be used and tools that are left out."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.connections: dict[str, Connection] = {}
        self.entries: dict[str, Entry] = {}
        self.problems: list[str] = []
        self._told: set[str] = set()
        self._offered: set[str] = set()
        self._made: dict[Connection, tuple[Listing, dict[str, Action], list[str]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def configure(self) -> None:
        """Read the settings and `mcp.json` again; servers that are new there, changed or gone are so here."""
        self.entries, self.problems = await asyncio.to_thread(entries, self.host)
        wanted = {name: entry for name, entry in self.entries.items() if self.why_not(entry) == ""}
        for name, connection in list(self.connections.items()):
            if wanted.get(name) != connection.entry:
                self._made.pop(connection, None)
                self._end(self.connections.pop(name))
        if wanted.keys() - self.connections.keys():
            # The SDK takes most of a second to import, and nobody should wait for it who has no servers.
            try:
                module = await asyncio.to_thread(import_module, "chatapp_tools.servers.connection")
            except ModuleNotFoundError as error:
                self.problems.append(f"MCP servers need the Python package {error.name!r}: {MEND}.")
                return
            settings = self.host.config(ToolsSettings)
            for name, entry in wanted.items():
                if name not in self.connections:
                    self.connections[name] = module.Connection(
                        entry, settings.mcp_start, settings.mcp_timeout, lambda: allowed_folders(self.host)
                    )

    def why_not(self, entry: Entry) -> str:
        """Why this server is not used, as the end of a sentence about it; empty where it is."""
        if entry.disabled:
            return "is switched off where it is configured"
        return "" if entry.local or not self.host.offline else "needs the network, which --offline forbids"

    def _end(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def started(self, session: Session, seconds: float = PATIENCE, *, patient: bool = False) -> None:
        """Start what is to run and wait for it, at most so long; afterwards `Host.tools` has the tools there are.

        A server that was waited for before is not waited for again, unless `patient`.
        """
        await self.configure()
        begun = [each for each in self.connections.values() if each.begin()]
        if patient:
            begun = [each for each in self.connections.values() if each.state == "starting"]
        if begun:
            session.ui.progress(Progress(f"Starting MCP servers: {', '.join(each.entry.name for each in begun)}"))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*(each.settled() for each in begun))
        for connection in self.connections.values():
            if connection.state == "starting":
                self.problems.append(
                    f"The MCP server {connection.entry.name!r} is still starting; its tools come later."
                )
        await asyncio.gather(*(self._renew(each) for each in self.connections.values() if each.state == "on"))
        await self.offer()

    async def _renew(self, connection: Connection) -> None:
        try:
            await connection.fresh()
        except UsageError as error:
            self.problems.append(str(error))

    async def offer(self) -> None:
        """Put the tools of the servers that run into `Host.tools`, and take out those that are gone."""
        taken = {each.tool_name for each in self.host.actions.values() if each.tool}
        taken |= self.host.tools.keys() - self._offered
        found: dict[str, Action] = {}
        for connection in self.connections.values():
            if connection.state == "failed":
                self.problems.append(connection.error)
            for name, made in (await self._actions(connection)).items():
                if name in taken or name in found:
                    self.problems.append(
                        f"The tool {name!r} of the MCP server {connection.entry.name!r} is left out: there is another "
                        "of that name."
                    )
                else:
                    found[name] = made
        for name in self._offered:
            self.host.tools.pop(name, None)
        self.host.tools.update(found)
        self._offered = set(found)

    async def _actions(self, connection: Connection) -> dict[str, Action]:
        """The server's tools as actions, made once for each listing: in a thread, as schemas may be many and large."""
        from chatapp_tools.servers.offering import actions

        if connection.state != "on":
            return {}
        held = self._made.get(connection)
        if held is None or held[0] is not connection.listing:
            held = (connection.listing, *await asyncio.to_thread(actions, connection))
            self._made[connection] = held
        self.problems += held[2]
        return held[1]

    def unsaid(self) -> list[str]:
        """The problems that were not told yet; they are told now."""
        new = [each for each in dict.fromkeys(self.problems) if each not in self._told]
        self._told.update(new)
        return new

    def find(self, name: str) -> Connection:
        """The server of that name; UsageError with the nearest one when there is none, or with why it is not used."""
        if name in self.connections:
            return self.connections[name]
        if name in self.entries:
            raise UsageError(f"The MCP server {name!r} is not used: it {self.why_not(self.entries[name])}.")
        near = similar(name, self.entries)
        raise UsageError(f"There is no MCP server {name!r}" + (f"; did you mean {near!r}?" if near else "."))

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*(each.stop() for each in self.connections.values()), *self._ending)
        self.connections.clear()


_servers: WeakKeyDictionary[Host, Servers] = WeakKeyDictionary()


def servers(host: Host) -> Servers:
    """The host's servers."""
    if host not in _servers:
        _servers[host] = Servers(host)
    return _servers[host]


async def refresh(session: Session) -> None:
    """Bring `Host.tools` up to date before a request; what is wrong with a server is told once."""
    shelf = servers(session.host)
    await shelf.started(session)
    for problem in shelf.unsaid():
        session.ui.notify(problem, "warning")


async def close(host: Host) -> None:
    """End the servers of this host, if any were started."""
    if host in _servers:
        await _servers[host].close()
