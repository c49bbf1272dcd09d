"""The fixtures, options and markers. Nothing of chatapp is imported before a fixture is used."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.session import Session
    from chatapp.testing.golden import Golden
    from chatapp.testing.making import Maker, Plugins
    from chatapp.testing.piloting import Pilot
    from chatapp.testing.recording import RecordingUI
    from chatapp.testing.scripted import ScriptedEngine
    from chatapp.testing.shelling import Shell

MARKS = ("asyncio", "anyio", "trio")
"""Marks of tests that somebody runs in an event loop."""

try:
    from pytest_asyncio import fixture as async_fixture
except ModuleNotFoundError:

    def async_fixture(function: Callable[..., Any]) -> Any:  # type: ignore[no-redef]
        """In place of a fixture that cannot be had."""

        def missing() -> None:
            """Says what is missing."""
            pytest.fail(f"The fixture {function.__name__!r} needs pytest-asyncio: pip install pytest-asyncio", False)

        return pytest.fixture(name=function.__name__)(missing)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options for golden prompts and the real model."""
    group = parser.getgroup("chatapp", "tests of chatapp plugins")
    group.addoption("--update-golden", action="store_true", help="Write the golden prompts instead of comparing them.")
    group.addoption("--chatapp-model", default="", metavar="NAME|PATH", help="The model that `small_model` stands for.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "network: this test of a chatapp plugin may reach the network")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Say what is missing where an async test is not run by anyone."""
    ours = "chatapp_home" in pyfuncitem.fixturenames and inspect.iscoroutinefunction(pyfuncitem.obj)
    if ours and not any(pyfuncitem.get_closest_marker(mark) for mark in MARKS):
        pytest.fail(
            f'{pyfuncitem.name} is async and nothing runs it: write asyncio_mode = "auto" below '
            "[tool.pytest.ini_options] in pyproject.toml, or mark it with @pytest.mark.asyncio.",
            pytrace=False,
        )


@pytest.fixture
def plugins() -> Plugins:
    """What is tested: override it and return a list of your plugin modules, or a dict of them by name."""
    return ()


@pytest.fixture
def chatapp_model() -> str:
    """The name of the model that answers: that of the scripted engine; override it to test an engine of your own."""
    return "scripted"


@pytest.fixture
def chatapp_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The folder of all of chatapp's files in this test, which has no network unless it is marked `network`."""
    from chatapp.testing.isolation import own_home, refuse_network

    own_home(tmp_path, monkeypatch)
    if request.node.get_closest_marker("network") is None:
        refuse_network(monkeypatch)
    return tmp_path


@pytest.fixture
def engine() -> ScriptedEngine:
    """The scripted engine that answers in `host`, `session`, `pilot` and `shell`."""
    from chatapp.testing.scripted import ScriptedEngine

    return ScriptedEngine()


@pytest.fixture
def ui() -> RecordingUI:
    """The UI of `host` and `session`: it keeps what it is shown, and answers as `ui.answers` says."""
    from chatapp.testing.recording import RecordingUI

    return RecordingUI()


@pytest.fixture
def chatapp_maker(
    chatapp_home: Path, engine: ScriptedEngine, plugins: Plugins, chatapp_model: str, request: pytest.FixtureRequest
) -> Iterator[Maker]:
    """Makes the hosts of this test; `host`, `pilot` and `shell` are what you want."""
    from chatapp.testing.making import Maker, watched

    real = request.getfixturevalue("small_model") if "small_model" in request.fixturenames else None
    yield from watched(Maker(chatapp_home, engine, plugins, chatapp_model, real))


@async_fixture
async def host(chatapp_maker: Maker, ui: RecordingUI) -> AsyncIterator[Host]:
    """A started host with the scripted engine and `plugins`."""
    made = chatapp_maker.host(ui)
    await made.startup()
    try:
        yield made
    finally:
        with suppress(asyncio.CancelledError):
            await made.shutdown()


@async_fixture
async def session(host: Host) -> Session:
    """A session on `host`."""
    from chatapp.session import Session

    return Session(host)


@async_fixture
async def pilot(chatapp_maker: Maker) -> AsyncIterator[Pilot]:
    """Opens the terminal chat: ``chat = await pilot()``."""
    from chatapp.testing.piloting import Pilot

    opener = Pilot(chatapp_maker)
    try:
        yield opener
    finally:
        await opener.close()


@pytest.fixture
def shell(chatapp_maker: Maker) -> Shell:
    """Runs a command line: ``ran = shell("ask Hi")``."""
    from chatapp.testing.shelling import Shell

    return Shell(chatapp_maker)


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    """Compares what was sent with a file in the folder `golden` beside the test: ``golden(session, "hello")``."""
    from chatapp.testing.golden import Golden

    return Golden(request.path.parent / "golden", tmp_path, request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def small_model(request: pytest.FixtureRequest) -> Path:
    """The file of a real small model; a `session`, `pilot` or `shell` beside it answers with that model."""
    from chatapp.testing.models import find_model

    return find_model(request.config.getoption("--chatapp-model"))
