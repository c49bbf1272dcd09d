"""What the tests of the bundled tools share: a session with them, and calls as a model makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from chatapp.actions import Action
from chatapp.consent import Ask
from chatapp.hookspecs import hookimpl
from chatapp.messages import ToolCall
from chatapp.session import Session
from chatapp.testing import RecordingUI
from chatapp.tooling import Called, call_tool
from chatapp_tools.bundled import COMMANDS, TOOLS
from chatapp_tools.options import ToolsSettings
from tests.support_plugins import running, write_settings


@dataclass(slots=True)
class BundledTools:
    """A plugin with the bundled tools and nothing else."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """The tools' settings."""
        return ToolsSettings

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """The tools."""
        return [*TOOLS, *COMMANDS]


@asynccontextmanager
async def tools(home: Path, settings: str = "", **plugins: Any) -> AsyncIterator[Session]:
    """A session with the tools; `settings` are lines of their table."""
    if settings:
        write_settings(home, f"[tools]\n{settings}\n")
    async with running(home, tools=BundledTools(), **plugins) as session:
        yield session


def ui(session: Session) -> RecordingUI:
    """The session's UI."""
    assert isinstance(session.ui, RecordingUI)
    return session.ui


async def call(session: Session, name: str, *answers: Any, **arguments: Any) -> Called:
    """What becomes of a tool call, with these answers to what is asked."""
    ui(session).answers = list(answers)
    return await call_tool(session, ToolCall("1", name, arguments))


async def told(session: Session, name: str, *answers: Any, **arguments: Any) -> str:
    """What the model is told after a tool call."""
    return (await call(session, name, *answers, **arguments)).result.text


def asked(session: Session) -> Ask:
    """What the user was asked last."""
    return ui(session).asked[-1]
