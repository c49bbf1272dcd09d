"""The example: dice by hand and by the model, luck that is kept, an engine that echoes, and what the screen shows."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.app import App, ComposeResult

import chatapp_example
from chatapp import commands
from chatapp.errors import UsageError
from chatapp.events import Usage
from chatapp.messages import Data, Text, ToolCall
from chatapp.session import Session
from chatapp.testing import make_host, script, sent_texts
from chatapp.tooling import call_tool, tool_of
from chatapp_example.widgets import AnswersPanel, answers_panel, roll_widget
from tests.support_plugins import run, running, send, told, write_settings


@pytest.fixture
async def dice(tmp_path: Path) -> AsyncIterator[Session]:
    """A session in which the dice always roll the same."""
    write_settings(tmp_path, "[example]\nsides = 8\nseed = 7\n")
    async with running(tmp_path, chatapp=commands, example=chatapp_example) as session:
        yield session


async def roll(session: Session, line: str = "/dice") -> tuple[int, int]:
    """The sides and what was rolled."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Data)
    assert shown.text == f"A die with {shown.value['sides']} sides shows {shown.value['roll']}."
    return shown.value["sides"], shown.value["roll"]


async def test_rolls_follow_the_seed_and_the_settings(dice: Session) -> None:
    rolled = [await roll(dice), await roll(dice), await roll(dice, "/dice 100"), await roll(dice, "/dice 1")]
    foreseen = random.Random(7)
    assert rolled == [(8, foreseen.randint(1, 8)) for _ in range(2)] + [(100, foreseen.randint(1, 100)), (1, 1)]


@pytest.mark.parametrize("sides", ["many", "2.5"])
async def test_sides_that_are_no_number(dice: Session, sides: str) -> None:
    with pytest.raises(UsageError, match="is not a valid integer"):
        await run(dice, f"/dice {sides}")


async def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    write_settings(tmp_path, "[example]\nsides = 1\nseed = 7\n")
    async with running(tmp_path, example=chatapp_example) as session:
        assert (await roll(session))[0] == 6
    assert "example.sides: input should be greater than or equal to 2 (it is 1)." in told(session.host)


async def test_luck_takes_the_better_of_two_and_runs_out(dice: Session) -> None:
    foreseen = random.Random(7)
    best = [max(foreseen.randint(1, 8), foreseen.randint(1, 8)) for _ in range(2)]
    assert await run(dice, "/dice luck 2") == [Text("You are lucky for 2 rolls.")]
    assert dice.status == {"example": "luck 2"}
    assert [(await roll(dice))[1], (await roll(dice))[1], (await roll(dice))[1]] == [*best, foreseen.randint(1, 8)]
    assert (dice.status, dice.values["example.luck"]) == ({}, 0)


async def test_luck_is_kept_with_the_conversation(dice: Session) -> None:
    await send(dice)
    await run(dice, "/dice luck 3")
    await send(dice)
    lucky = dice.conversation.id
    await run(dice, "/new")
    await send(dice)
    assert dice.status == {}
    await run(dice, f"/open {lucky}")
    assert dice.status == {"example": "luck 3"}
    await send(dice)
    prompts = [sent_texts(request.messages)[0] for request in script(dice).requests]
    assert [("lucky" in text, role) for role, text in prompts] == [
        (False, "system"),
        (True, "system"),
        (False, "system"),
        (True, "system"),
    ]
    assert prompts[0][1].startswith("You are a helpful assistant.")


async def test_the_model_rolls_without_asking(dice: Session) -> None:
    tool = tool_of(dice.host.actions["dice"])
    assert (tool.name, tool.description, set(tool.parameters["properties"])) == ("dice", "Roll a die.", {"sides"})
    script(dice).says([ToolCall("1", "dice", {"sides": 20})], "There it is.")
    events = [event async for event in dice.send("Roll one")]
    shown = next(event for event in events if isinstance(event, Data))
    assert 1 <= shown.value["roll"] <= shown.value["sides"] == 20
    assert sent_texts(script(dice).requests[1].messages)[-1] == ("tool", shown.text)
    result, *_ = await call_tool(dice, ToolCall("2", "dice_luck", {}))
    assert result.failed


async def test_the_echo_engine(tmp_path: Path) -> None:
    host = make_host(tmp_path, model="echo", engine="")
    host.add("example", chatapp_example)
    await host.startup()
    session = Session(host)
    try:
        events = [event async for event in session.send("Say  this :die: back")]
    finally:
        await host.shutdown()
    assert session.turn is not None
    assert session.turn.text == "Say  this \N{GAME DIE} back"
    (usage,) = [event for event in events if isinstance(event, Usage)]
    # Two spaces make an empty word between them.
    assert (usage.prompt_tokens, usage.completion_tokens, usage.context_length) == (4, 5, 4096)


class Screen(App[None]):
    """A screen with the panel and a roll."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        """The panel, then a roll of each kind."""
        yield answers_panel(self.session)
        yield roll_widget(Data("example.roll", {"sides": 6, "roll": 3}))
        yield roll_widget(Data("example.roll", {"sides": 20, "roll": 3}))


async def test_what_the_screen_shows(dice: Session) -> None:
    await send(dice)
    async with Screen(dice).run_test() as pilot:
        texts = [str(widget.render()) for widget in pilot.app.query("Static")]
        assert texts == ["Answers so far: 1", "⚂ 3 of 6", "3 of 20"]
        await send(dice)
        await pilot.pause(1.2)
        assert str(pilot.app.query_one(AnswersPanel).render()) == "Answers so far: 2"
