"""What the tests of hooks and plugins share: hosts with plugins from real files, and turns of a scripted engine."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatapp.errors import UsageError
from chatapp.events import Event, TextDelta
from chatapp.host import Host
from chatapp.session import Session
from chatapp.testing import RecordingUI, make_host, script

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "llama_cpp", "lancedb", "diffusers", "sentence_transformers", "transformers")
"""What only child processes import."""

WITNESS = """
from chatapp import hookimpl

calls = []

@hookimpl
def settings():
    from pydantic import BaseModel
    calls.append("settings")
    return type("Table", (BaseModel,), {})

@hookimpl
def startup(host):
    calls.append("startup")

@hookimpl
def shutdown():
    calls.append("shutdown")

@hookimpl
def actions():
    calls.append("actions")
    return []

@hookimpl
def engines():
    calls.append("engines")
    yield from ()

@hookimpl
async def configure_engine(config):
    calls.append("configure_engine")

@hookimpl
async def context(turn):
    calls.append("context")
    for nothing in ():
        yield nothing

@hookimpl
def prepare_request(request, turn):
    calls.append("prepare_request")

@hookimpl
async def transform_stream(stream):
    calls.append("transform_stream")
    async for event in stream:
        yield event

@hookimpl
def turn_finished(turn):
    calls.append("turn_finished")

@hookimpl
def panels():
    calls.append("panels")
    return ()

@hookimpl
def render_part(part):
    calls.append("render_part")
    return "a widget"
"""
"""A plugin that notes which of its hooks were called."""


def write_plugin(folder: Path, name: str, source: str) -> Path:
    """A single-file plugin in the user's plugin folder below `folder`."""
    path = folder / "config" / "plugins" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


def write_settings(folder: Path, text: str) -> Path:
    """The settings file below `folder`."""
    path = folder / "config" / "settings.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


@asynccontextmanager
async def running(folder: Path, *, load: bool = False, **plugins: Any) -> AsyncIterator[Session]:
    """A session on a started host with these plugins; `load` adds the bundled ones and the user's files."""
    host = make_host(folder)
    for name, module in plugins.items():
        host.add(name, module)
    if load:
        host.load()
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


async def send(session: Session, text: str = "Hi", says: str = "One two three four.") -> str:
    """What the user reads after one turn in which the engine says `says`."""
    script(session).says(says)
    return read([event async for event in session.send(text)])


def read(events: list[Event]) -> str:
    """The answer's text of a turn."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def run(session: Session, line: str) -> list[Event]:
    """What a slash line shows."""
    async with aclosing(session.run(line)) as events:
        return [event async for event in events]


def told(host: Host) -> str:
    """Everything the user was told about plugins: problems at load and notices."""
    assert isinstance(host.ui, RecordingUI)
    return "\n".join([*host.problems, *(text for _, text in host.ui.notices)])


def bundled() -> dict[str, str]:
    """The bundled plugins: name and package, from the project file."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        entries: dict[str, str] = tomllib.load(file)["project"]["entry-points"]["chatapp"]
    return entries


def python(code: str, home: Path, *options: str, **environ: str) -> str:
    """What a child process prints that runs `code`, with all folders of the application below `home`."""
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        env={**os.environ, "CHATAPP_HOME": str(home), **environ},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@asynccontextmanager
async def started(host: Host) -> AsyncIterator[Session]:
    """A session on a host whose plugins are added: all of them loaded, it is started and shut down."""
    assert host.problems == []
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


def refusal(load: Callable[[Path], object], path: Path, *lines: str) -> str:
    """What is said of a file with these lines, which cannot be used."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load(path)
    return str(refused.value)
