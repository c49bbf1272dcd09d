"""Making the host and finding the conversation that a command line asks for."""

from __future__ import annotations

from typing import Any

from chatapp import commands
from chatapp.conversation import Conversation
from chatapp.errors import UsageError
from chatapp.host import Host
from chatapp.paths import paths
from chatapp.ui import UI


def open_host(
    ui: UI | None = None, *, offline: bool = False, model: str | None = None, dev: bool = False, safe: bool = False
) -> Host:
    """A host with the application's own commands and all plugins loaded, not started yet.

    With `dev`, plugins are loaded again when their files change. When `safe`, only those bundled ones are loaded that
    offer an engine for the model.
    """
    overrides: dict[str, Any] = {"offline": True} if offline else {}
    if model:
        overrides["model"] = model
    host = Host(paths().ensure(), ui, **overrides)
    host.add("chatapp", commands)
    if dev:
        from chatapp.authoring.reloading import Reloading

        host.add("dev", Reloading(host))
    if safe:
        from chatapp.authoring.safe import load_safely

        load_safely(host)
    else:
        host.load()
    return host


def conversation_for(host: Host, go_on: bool, session: str | None) -> Conversation | None:
    """The conversation meant by --continue or --session; None for a new one."""
    if go_on and session:
        raise UsageError("Give either --continue or --session, not both.")
    if session:
        return host.archive.load(session)
    latest = host.archive.latest() if go_on else None
    if go_on and latest is None:
        raise UsageError("There is no conversation to continue yet.")
    return host.archive.load(latest) if latest else None
