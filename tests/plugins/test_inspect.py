"""Inspecting: recording probabilities, the tokens of a prompt, the certainty of an answer, in plain text."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import chatapp_example
import chatapp_inspect
from chatapp import commands
from chatapp.engine import EngineInfo
from chatapp.errors import ModelError, UsageError
from chatapp.events import Event, Finished, TextDelta, TokenLogprob, Usage
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.testing import ScriptedEngine, script
from chatapp_inspect import tokens
from tests.support_plugins import run, running, send, write_settings


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the plugin."""
    async with running(tmp_path, chatapp=commands, inspect=chatapp_inspect) as made:
        yield made


def answered(*said: tuple[str, float, str]) -> list[Event | Exception]:
    """An answer in which each token had a chance, and another token that was next to it."""
    events: list[Event | Exception] = [
        TextDelta(text, (TokenLogprob(text, math.log(chance), ((text, math.log(chance)), (other, math.log(0.01)))),))
        for text, chance, other in said
    ]
    return [*events, Usage(), Finished("stop")]


async def part(session: Session, line: str) -> Data:
    """The one part a line shows."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Data)
    return shown


async def test_nothing_is_asked_for_until_it_is_switched_on(session: Session) -> None:
    await send(session)
    await run(session, "/inspect on")
    assert session.status == {"inspect": "recording"}
    await send(session)
    await run(session, "/inspect off")
    await send(session)
    assert [request.sampling.logprobs for request in script(session).requests] == [0, 5, 0]
    assert session.status == {}


async def test_the_setting_records_in_every_conversation_and_keeps_what_was_asked_for(tmp_path: Path) -> None:
    write_settings(tmp_path, "[inspect]\nrecord = true\nalternatives = 3\n")
    async with running(tmp_path, inspect=chatapp_inspect) as session:
        await send(session)
        session.values["sampling"] = {"logprobs": 7}
        await send(session)
        assert [request.sampling.logprobs for request in script(session).requests] == [3, 7]


async def test_the_answer_names_its_least_certain_tokens(session: Session) -> None:
    await run(session, "/inspect on")
    script(session).says(answered(("The", 0.9, "A"), (" city", 0.3, " town"), (" is", 0.95, "\n"), ("!", 1.0, "?")))
    [_ async for _ in session.send("Hi")]
    shown = await part(session, "/inspect answer")
    assert [each["token"] for each in shown.value] == ["The", " city", " is", "!"]
    assert shown.value[1]["probability"] == pytest.approx(0.3)
    assert [text for text, _ in shown.value[1]["alternatives"]] == [" city", " town"]
    lines = shown.text.splitlines()
    assert lines[0].startswith("The last answer: 4 tokens, 3 of them likelier than all others together; perplexity 1.4")
    assert lines[2] == "    2. ·city 30.0%; instead: ·town 1.0%   in The[·city]·is!"
    assert "instead: ↵ 1.0%" in shown.text
    assert session.host.archive.load(session.conversation.id).values.get("inspect") is None


async def test_what_is_recorded_is_bounded_and_of_the_last_answer(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatapp_inspect.record.LONGEST", 2)
    await run(session, "/inspect on")
    script(session).says(answered(*[("a", 0.5, "b")] * 5), answered(("z", 0.5, "y")))
    [_ async for _ in session.send("Hi")]
    assert len((await part(session, "/inspect answer")).value) == 2
    [_ async for _ in session.send("Hi")]
    assert [each["token"] for each in (await part(session, "/inspect answer")).value] == ["z"]


@pytest.mark.parametrize(("logprob", "chance"), [(0.1, 1.0), (-math.inf, 0.0), (math.nan, 0.0), (-0.5, math.exp(-0.5))])
def test_a_probability_is_between_0_and_1(logprob: float, chance: float) -> None:
    assert tokens.probability(logprob) == chance
    assert "1 tokens" in tokens.answer_part([TokenLogprob("x", logprob)]).text


async def test_the_prompt_is_cut_into_the_tokens_of_each_message(session: Session) -> None:
    await send(session, "One\ttwo  three")
    shown = await part(session, "/inspect tokens")
    assert shown.text.splitlines() == [
        f"The last prompt: {shown.value['total']} tokens in 2 messages.",
        f"1. system: {shown.value['messages'][0]['count']} tokens",
        "│".join(shown.value["messages"][0]["tokens"]),
        "2. user: 4 tokens",
        "<user>│One│two│three",
    ]


async def test_of_a_long_prompt_the_last_tokens_are_shown(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_SHOWN", 3)
    await send(session, "one two three four five")
    shown = await part(session, "/inspect tokens")
    assert shown.value["messages"] == [{"message": "2. user", "count": 6, "tokens": ["three", "four", "five"]}]
    assert f"the first {shown.value['total'] - 3} are not shown" in shown.text


def test_spaces_line_breaks_and_control_characters_are_visible() -> None:
    assert tokens.shown(" a\n\tb\x1b[2J\u202e") == "·a↵⇥b␛[2J\\u202e"


class Other(ScriptedEngine):
    """An engine that now cuts the prompt otherwise."""

    async def tokenize(self, request: object) -> list[str]:
        """Not what the usage said."""
        return ["all", " new"]


class Bare(ScriptedEngine):
    """An engine without features."""

    @property
    def info(self) -> EngineInfo:
        """As the scripted one, with no feature."""
        return replace(super().info, features=frozenset())


async def with_engine(session: Session, engine: ScriptedEngine) -> None:
    """Answer with another engine, once."""
    session.host.plugins["scripted"].module.engine = engine
    await send(session)


async def test_tokens_that_no_longer_fit_the_messages_are_one_group(session: Session) -> None:
    await with_engine(session, Other())
    assert (await part(session, "/inspect tokens")).text.splitlines()[1:] == ["prompt: 2 tokens", "all│·new"]


async def test_an_engine_that_cannot_is_one_sentence(session: Session) -> None:
    await run(session, "/inspect on")
    await with_engine(session, Bare())
    assert script(session).requests[0].sampling.logprobs == 0
    for line, sentence in (
        ("/inspect tokens", "The engine 'scripted' cannot say into which tokens it cuts a prompt."),
        ("/inspect answer", "The engine 'scripted' does not tell the probabilities of tokens."),
        ("/inspect", "The engine 'scripted' reads no GGUF file; name a model: /inspect MODEL."),
    ):
        with pytest.raises(UsageError) as caught:
            await run(session, line)
        assert str(caught.value) == sentence


async def test_before_there_is_anything_to_show(session: Session) -> None:
    lines: Sequence[tuple[str, type[Exception], str]] = (
        ("/inspect tokens", UsageError, "Nothing was sent yet"),
        ("/inspect answer", UsageError, "No probabilities were recorded"),
        ("/inspect nowhere.gguf", ModelError, "nowhere"),
    )
    for line, kind, sentence in lines:
        with pytest.raises(kind, match=sentence):
            await run(session, line)


async def test_other_parts_are_left_to_others(session: Session) -> None:
    session.host.add("example", chatapp_example)
    assert session.host.hooks.first("render_part", part=Data("inspect.unknown", [])) is None
    assert session.host.hooks.first("render_part", part=Data("example.roll", {"sides": 6, "roll": 3})) is not None
