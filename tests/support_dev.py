"""What the tests of `--dev` share: a plugin that says which version of it runs, and a host that looks after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatapp import commands
from chatapp.authoring import reloading
from chatapp.authoring.reloading import Reloading
from chatapp.messages import Data, Text
from chatapp.session import Session
from chatapp.testing import RecordingUI, make_host
from tests.support_plugins import run, write_plugin

SAY = '''
from chatapp import Block, action, hookimpl
from pydantic import BaseModel, Field

LIFE = []

class Options(BaseModel):
    """Its settings."""
    size: int = Field({size}, description="How large.")

@hookimpl
def settings():
    return Options

@hookimpl
def startup(host):
    LIFE.append("started {mark}")

@hookimpl
def shutdown():
    LIFE.append("ended {mark}")

@action("say {mark}")
async def say(session):
    """Say it."""
    return f"{mark} {{session.host.config(Options).size}} {{LIFE}}"

@hookimpl
def actions():
    return [say]

@hookimpl
def context(turn):
    yield Block("Told by {mark}.", stability="session")
'''


def saved(folder: Path, mark: str, size: int = 1) -> Path:
    """The plugin in the user's folder, as it says `mark`."""
    return write_plugin(folder, "say", SAY.format(mark=mark, size=size))


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Session]:
    """A session of a host with our commands and the user's files, which are looked after."""
    host = make_host(folder)
    host.add("chatapp", commands)
    host.add("dev", Reloading(host))
    host.load(lambda found: found.plugin.origin != "bundled")
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


async def said(session: Session, line: str) -> str:
    """What a command says."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Text | Data)
    return shown.text


def notices(session: Session) -> list[str]:
    """What was said since."""
    assert isinstance(session.ui, RecordingUI)
    return [text for _, text in session.ui.notices]


async def until(true: Callable[[], Any]) -> None:
    """Wait until it holds, without any message."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 (what is waited for sets no event)
            await asyncio.sleep(0.02)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than a person could save."""
    monkeypatch.setattr(reloading, "EVERY_SECONDS", 0.1)
    monkeypatch.setattr(reloading, "SETTLE_SECONDS", 0.02)
