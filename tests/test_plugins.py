"""A plugin that fails in a hook is named, and everyone else goes on. Loading is in test_plugins_load."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from chatapp import hookspecs
from chatapp.errors import EngineError
from chatapp.events import Finished, TextDelta
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Text
from chatapp.plugins import PLAIN, hook_names
from chatapp.testing import script
from tests.support_plugins import WITNESS, read, running, send, told, write_plugin

HOOKS = hook_names()
BODIES = {
    "raises": "def {hook}({args}):\n    raise ValueError('broken on purpose')",
    "exits": "def {hook}({args}):\n    raise SystemExit('broken on purpose')",
    "draws": "def {hook}({args}):\n    yield from ()\n    raise ValueError('broken on purpose')",
    "awaits": "async def {hook}({args}):\n    raise ValueError('broken on purpose')",
    "streams": "async def {hook}({args}):\n    for no in ():\n        yield\n    raise ValueError('broken on purpose')",
}
GENERATORS = ("startup", "actions", "engines", "context", "turn_finished", "panels")
CASES = [
    (hook, kind)
    for hook in HOOKS
    for kind in BODIES
    if not (kind in ("awaits", "streams") and hook in PLAIN)
    and not (kind in ("draws", "streams") and hook not in (*GENERATORS, "transform_stream"))
]


def source(hook: str, body: str) -> str:
    """A plugin of one hook."""
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    return "from chatapp import hookimpl\n\n@hookimpl\n" + body.format(hook=hook, args=arguments) + "\n"


async def live(folder: Path) -> tuple[Host, str]:
    """A whole life with all plugins: start, a turn, the screen's hooks, the end; the host and the answer."""
    async with running(folder, load=True) as session:
        answer = await send(session)
        await session.host.hooks.call("panels")
        assert session.host.hooks.first("render_part", part=Text("part")) == "a widget"
    return session.host, answer


@pytest.mark.parametrize(("hook", "kind"), CASES)
async def test_a_hook_that_fails_is_named_and_stops_nobody(tmp_path: Path, hook: str, kind: str) -> None:
    write_plugin(tmp_path, "broken", source(hook, BODIES[kind]))
    write_plugin(tmp_path, "witness", WITNESS)
    host, answer = await live(tmp_path)
    assert answer == "One two three four."
    assert list(host.plugins)[-2:] == ["broken", "witness"]
    assert set(host.plugins["witness"].module.calls) == set(HOOKS)
    assert f"The plugin 'broken' failed in {hook}: " in told(host)
    assert host.plugins["broken"].reported


async def test_a_failure_is_told_once(tmp_path: Path) -> None:
    write_plugin(tmp_path, "broken", source("context", BODIES["raises"]))
    async with running(tmp_path, load=True) as session:
        await send(session)
        await send(session)
    (sentence,) = session.host.plugins["broken"].reported
    assert sentence == ("The plugin 'broken' failed in context: ValueError: broken on purpose (broken.py, line 5)")
    assert told(session.host).count("broken on purpose") == 1


@pytest.mark.parametrize(
    ("hook", "gives", "sentence"),
    [
        ("actions", "['dice']", "it gave str, not Action"),
        ("engines", "[1]", "it gave int, not EngineSpec"),
        ("engines", "5", "'int' object is not iterable"),
        ("context", "'You are a pirate.'", "it gave str, not Block"),
        ("panels", "[None]", "it gave NoneType, not Panel"),
        ("settings", "None", "it gave None, not a pydantic model"),
        ("settings", "__import__('pydantic').create_model('M', size=(int, ...))", "the setting 'size' has no default"),
        ("configure_engine", "[]", "it returned list, not EngineConfig"),
    ],
)
async def test_a_hook_that_gives_something_else(tmp_path: Path, hook: str, gives: str, sentence: str) -> None:
    write_plugin(tmp_path, "broken", source(hook, "def {hook}({args}):\n    return " + gives))
    write_plugin(tmp_path, "witness", WITNESS)
    host, answer = await live(tmp_path)
    assert answer == "One two three four."
    assert f"The plugin 'broken' failed in {hook}: " in told(host)
    assert sentence in told(host)


TRANSFORMS = {
    "before the first event": "raise ValueError('broken on purpose')\n    yield",
    "at the start": "async for event in stream:\n        raise ValueError('broken on purpose')\n        yield",
    "in the middle": (
        "async for event in stream:\n        if getattr(event, 'text', '') == ' three': raise ValueError('broken')\n"
        "        yield event"
    ),
    "at the end": "async for event in stream:\n        yield event\n    raise ValueError('broken on purpose')",
    "one behind": (
        "held = None\n    async for event in stream:\n        if held: yield held\n        held = event\n"
        "        if getattr(event, 'text', '') == ' three': raise ValueError('broken')"
    ),
    "swallows all": "async for event in stream:\n        pass\n    return\n    yield",
    "swallows the end": ("async for event in stream:\n        if hasattr(event, 'text'): yield event"),
    "leaves early": "async for event in stream:\n        yield event\n        return",
    "yields rubbish": "async for event in stream:\n        yield 'rubbish'",
    "fails to close": "try:\n        async for event in stream: yield event\n    finally:\n        raise OSError",
}


@pytest.mark.parametrize("body", TRANSFORMS.values(), ids=TRANSFORMS)
async def test_a_transform_that_fails_loses_no_text(tmp_path: Path, body: str) -> None:
    write_plugin(tmp_path, "broken", source("transform_stream", "async def {hook}({args}):\n    " + body))
    write_plugin(tmp_path, "witness", WITNESS)
    async with running(tmp_path, load=True) as session:
        script(session).says("One two three four.")
        events = [event async for event in session.send("Hi")]
        assert read(events) == "One two three four."
        assert [event for event in events if isinstance(event, Finished)] == [Finished("stop")]
        assert [message.text for message in session.conversation.path()] == ["Hi", "One two three four."]
    assert "The plugin 'broken' failed in transform_stream: " in told(session.host)


@pytest.mark.parametrize("gives", ["None", "[1, 2]", "iter([])", "42"])
@pytest.mark.parametrize("how", ["def", "async def"])
async def test_a_transform_that_is_no_stream(tmp_path: Path, gives: str, how: str) -> None:
    write_plugin(tmp_path, "broken", source("transform_stream", how + " {hook}({args}):\n    return " + gives))
    async with running(tmp_path, load=True) as session:
        assert await send(session) == "One two three four."
    assert "The plugin 'broken' failed in transform_stream: TypeError: " in told(session.host)


@pytest.mark.parametrize("how", ["def", "async def"])
async def test_a_transform_may_return_the_stream(tmp_path: Path, how: str) -> None:
    write_plugin(tmp_path, "fine", source("transform_stream", how + " {hook}({args}):\n    return stream"))
    async with running(tmp_path, load=True) as session:
        assert await send(session) == "One two three four."
    assert "fine" not in told(session.host)


async def test_a_transform_cannot_hide_the_engines_failure(tmp_path: Path) -> None:
    body = "try:\n        async for event in stream: yield event\n    except Exception as error:\n        "
    for name, rest in (("hides", "pass"), ("wraps", "raise ValueError('mine') from error")):
        write_plugin(tmp_path, name, source("transform_stream", "async def {hook}({args}):\n    " + body + rest))
    async with running(tmp_path, load=True) as session:
        script(session).says([TextDelta("One"), EngineError("The model went away.")])
        events = [event async for event in session.send("Hi")]
    assert read(events) == "One"
    assert events[-1] == Finished("failed", "The model went away.")
    assert "failed in transform_stream" not in told(session.host)


async def test_stopping_closes_the_engine_under_a_transform_that_will_not_close(tmp_path: Path) -> None:
    body = "try:\n        async for event in stream: yield event\n    finally:\n        raise ValueError('broken')"
    write_plugin(tmp_path, "broken", source("transform_stream", "async def {hook}({args}):\n    " + body))
    async with running(tmp_path, load=True) as session:
        script(session).says("One two three four.")
        events = session.send("Hi")
        await anext(events)
        await events.aclose()
        assert script(session).stopped == 1
        assert [message.text for message in session.conversation.path()] == ["Hi", "One"]
    assert "'broken' failed in transform_stream: ValueError: broken" in told(session.host)


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
async def test_an_interruption_is_not_the_plugins(host: Host, error: type[BaseException]) -> None:
    def interrupted() -> Any:
        raise error

    host.add("waits", type("Plugin", (), {hook: staticmethod(hookimpl(interrupted)) for hook in HOOKS[1:3]}))
    with pytest.raises(error):
        await host.hooks.call("startup", host=host)
    with pytest.raises(error):
        await host.hooks.call("shutdown", host=host)
    assert told(host) == ""
    host.plugins.pop("waits")
    host.hooks.remove("waits")
