"""A session that answers with the real 0.5B model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_llama
from chatapp import Event, Session, TextDelta, Usage, commands
from chatapp.testing import RecordingUI, make_host
from tests.support_plugins import started


@asynccontextmanager
async def real_session(folder: Path, model: Path | str, **settings: Any) -> AsyncIterator[Session]:
    """A started host with the llama plugin and a session on it; `settings` are tables of the settings file."""
    host = make_host(folder, RecordingUI(), model=str(model), **{"engine": "llama", **settings})
    host.add("chatapp", commands)
    host.add("llama", chatapp_llama)
    async with started(host) as session:
        yield session


async def collect(events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events of a stream."""
    return [event async for event in events]


def text_of(events: list[Event]) -> str:
    """The answer's text."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: list[Event]) -> Usage:
    """The answer's usage."""
    return next(event for event in events if isinstance(event, Usage))


def sampled(session: Session, **values: Any) -> Session:
    """The session with these sampling values, greedy unless said otherwise."""
    session.values["sampling"] = {"temperature": 0.0, "repeat_penalty": 1.0, **values}
    return session
