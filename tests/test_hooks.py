"""Each hook is documented, used by the example, and called as its documentation says."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

import chatapp_example
from chatapp import hookspecs
from chatapp.engine import EngineConfig, Request, Sampling
from chatapp.events import Event, Finished, TextDelta
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Data, Text, user
from chatapp.plugins import check, hook_names
from chatapp.session import Session
from chatapp.testing import script, sent_texts
from chatapp.turn import Turn
from chatapp_example.options import ExampleSettings
from tests.support_plugins import ROOT, read, run, running, send, told, write_settings

HOOKS = hook_names()


@pytest.fixture
async def example(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the example's plugin, whose dice always roll the same."""
    write_settings(tmp_path, "[example]\nseed = 7\n")
    async with running(tmp_path, example=chatapp_example) as session:
        yield session


def test_there_are_twelve() -> None:
    assert len(HOOKS) == 12


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_and_typed(name: str) -> None:
    hook = getattr(hookspecs, name)
    signature = inspect.signature(hook)
    assert len(inspect.getdoc(hook) or "") > 60
    assert len(signature.parameters) <= 2
    assert all(each.annotation is not each.empty for each in signature.parameters.values())
    assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_a_row_in_the_readme(name: str) -> None:
    arguments = list(inspect.signature(getattr(hookspecs, name)).parameters)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| *`{name}\(([^)]*)\)[^|]*\|.*\w", readme, re.MULTILINE)
    assert row is not None
    assert re.findall(r"(\w+)(?:: [^,]+)?(?:,|$)", row[1]) == arguments


def test_the_example_uses_each() -> None:
    assert check(chatapp_example) == HOOKS


async def test_settings_become_a_table(example: Session) -> None:
    assert example.host.configs["example"] is ExampleSettings
    assert example.host.config(ExampleSettings) == ExampleSettings(sides=6, seed=7)


async def test_startup_and_shutdown(tmp_path: Path) -> None:
    write_settings(tmp_path, "[example]\nseed = 7\n")
    foreseen = random.Random(7)
    async with running(tmp_path, example=chatapp_example):
        assert random.random() == foreseen.random()
        random.seed(7)
    assert random.random() != random.Random(7).random()


async def test_actions_and_engines_are_there_by_name(example: Session) -> None:
    rolled = await run(example, "/dice 20")
    assert isinstance(rolled[0], Data)
    assert 1 <= rolled[0].value["roll"] <= rolled[0].value["sides"] == 20
    assert example.host.actions["dice"].owner == "example"
    assert example.host.engine_specs["echo"].accepts(example.host, "echo")


async def test_hooks_that_change_nothing(example: Session) -> None:
    config, request = EngineConfig("scripted"), Request((user("Hi"),))
    turn = Turn(example, user("Hi"))
    assert await example.host.hooks.fold("configure_engine", config, session=example) is config
    assert await example.host.hooks.fold("prepare_request", request, turn=turn) is request
    assert told(example.host) == ""


async def test_context_is_read_by_the_model(example: Session) -> None:
    await run(example, "/dice luck 2")
    await send(example, "Hello")
    assert sent_texts(script(example).requests[0].messages) == [
        ("system", "The user is feeling lucky today."),
        ("user", "Hello"),
    ]


async def test_the_stream_is_transformed_and_the_end_noticed(example: Session) -> None:
    assert await send(example, says="Roll :die: again") == "Roll \N{GAME DIE} again"
    assert example.turn is not None
    assert example.turn.text == "Roll \N{GAME DIE} again"
    assert example.values["example.answers"] == 1


async def test_panels_and_parts_on_the_screen(example: Session) -> None:
    ((plugin, panels),) = await example.host.hooks.call("panels")
    assert (plugin, [panel.title for panel in panels]) == ("example", ["Dice"])
    roll = Data("example.roll", {"sides": 6, "roll": 3})
    assert isinstance(example.host.hooks.first("render_part", part=roll), Static)
    assert example.host.hooks.first("render_part", part=Text("no roll")) is None


def plugin(**hooks: Any) -> Any:
    """A plugin of these functions."""
    return type("Plugin", (), {name: staticmethod(hookimpl(hook)) for name, hook in hooks.items()})


async def test_every_kind_of_function_serves(host: Host) -> None:
    async def awaited(turn: Turn) -> list[str]:
        return ["awaited"]

    async def streamed(turn: Turn) -> AsyncIterator[str]:
        yield "streamed"

    host.add("plain", plugin(turn_finished=lambda turn: ["plain"]))
    host.add("drawn", plugin(turn_finished=lambda turn: (word for word in ("drawn", "twice"))))
    host.add("awaited", plugin(turn_finished=awaited))
    host.add("streamed", plugin(turn_finished=streamed))
    host.add("silent", plugin(turn_finished=lambda turn: None))
    assert await host.hooks.call("turn_finished", turn=None) == [
        ("plain", ["plain"]),
        ("drawn", ["drawn", "twice"]),
        ("awaited", ["awaited"]),
        ("streamed", ["streamed"]),
    ]


async def test_arguments_may_be_left_out(session: Session) -> None:
    seen: list[Any] = []
    session.host.add("none", plugin(prepare_request=lambda: seen.append("none"), turn_finished=lambda: None))
    session.host.add("one", plugin(prepare_request=lambda request: seen.append(type(request))))
    session.host.add("last", plugin(prepare_request=lambda turn: seen.append(type(turn))))
    await send(session)
    assert seen == ["none", Request, Turn]


async def test_a_fold_hands_on_what_the_one_before_returned(session: Session) -> None:
    async def warmer(request: Request) -> Request:
        return replace(request, sampling=Sampling(temperature=(request.sampling.temperature or 0) + 0.5))

    session.host.add("first", plugin(prepare_request=warmer))
    session.host.add("silent", plugin(prepare_request=lambda request: None))
    session.host.add("second", plugin(prepare_request=warmer))
    await send(session)
    assert script(session).requests[0].sampling.temperature == 1.0


async def test_a_fold_refuses_another_kind(session: Session) -> None:
    session.host.add("odd", plugin(prepare_request=lambda request: "a text"))
    assert await send(session) == "One two three four."
    assert "'odd' failed in prepare_request: TypeError: it returned str, not Request" in told(session.host)


def marking(mark: str) -> Any:
    async def transform_stream(stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in stream:
            yield TextDelta(f"{mark}({event.text})") if isinstance(event, TextDelta) else event

    return plugin(transform_stream=transform_stream)


async def test_transforms_are_chained_in_order(session: Session) -> None:
    session.host.add("inner", marking("a"))
    session.host.add("outer", marking("b"))
    script(session).says("x y")
    events = [event async for event in session.send("Hi")]
    assert read(events) == "b(a(x))b(a( y))"
    assert isinstance(events[-1], Finished)


async def test_the_first_result_is_taken(host: Host) -> None:
    asked: list[str] = []
    host.add("passes", plugin(render_part=lambda part: asked.append("passes")))
    host.add("shows", plugin(render_part=lambda part: f"shows {part.text}"))
    host.add("late", plugin(render_part=lambda part: asked.append("late")))
    assert host.hooks.first("render_part", part=Text("it")) == "shows it"
    assert asked == ["passes"]
