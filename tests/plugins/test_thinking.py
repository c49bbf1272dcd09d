"""Thinking in a conversation: what is asked of the model, what is kept, budgets, and `/think enough`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp import Finished, Reasoning, Session, TextDelta, Usage, UsageError, chat_text
from chatapp.testing import ScriptedEngine, script
from chatapp_thinking.plan import STEPS as REQUEST

from .thinking import STEPS, Thinker, parts, say, thinking

WORDS = " ".join(f"word{number}" for number in range(40))


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with a model that does not reason by itself."""
    async with thinking(tmp_path) as made:
        yield made


async def test_steps_are_asked_for_and_folded_away(session: Session) -> None:
    script(session).says(STEPS, "You are welcome.")
    await say(session, "/think on")
    await say(session, "How many balls are there?")
    (request,) = script(session).requests
    assert chat_text(request.messages[-1]) == f"{REQUEST}\n\nHow many balls are there?"
    assert request.sampling.repeat_penalty == 1.0
    assert parts(session) == ("1. There are 3 boxes of 4.\n2. 3 * 4 = 12.", "12 balls")
    thought = list(session.conversation.path())[-1].parts[0]
    assert isinstance(thought, Reasoning)
    assert thought.tokens is not None
    assert 10 <= thought.tokens <= 14
    assert [piece.title for piece in (session.turn.sent if session.turn else ())] == [
        "Instruction",
        "Think step by step",
        "User",
    ]


async def test_the_reasoning_is_left_out_of_the_next_prompt(session: Session) -> None:
    script(session).says(STEPS, "You are welcome.")
    await say(session, "/think on")
    await say(session, "How many balls are there?")
    before = chat_text(script(session).requests[0].messages[-1])
    await say(session, "/think off")
    await say(session, "Thanks.")
    sent = [chat_text(message) for message in script(session).requests[1].messages]
    # What stood beside the first message stays there, so that it is not read again.
    assert sent[1:] == [before, "12 balls", "Thanks."]
    assert parts(session) == ("", "You are welcome.")


async def test_without_a_marker_nothing_is_lost_or_said_twice(session: Session) -> None:
    script(session).says("It is 12.\n\nThat is all.")
    await say(session, "/think on")
    events = await say(session, "How many?")
    assert parts(session) == ("", "It is 12.\n\nThat is all.")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "It is 12.\n\nThat is all."


async def test_auto_thinks_where_steps_are_needed(session: Session) -> None:
    await say(session, "Hello there!")
    await say(session, "I have 3 boxes of 4 balls. How many balls do I have?")
    beside = [request.messages[-1].context for request in script(session).requests]
    assert beside == ["", REQUEST]
    assert session.status == {}


async def test_auto_leaves_to_tools_what_tools_are_there_for(session: Session) -> None:
    session.status["tools"] = "on"
    await say(session, "I have 3 boxes of 4 balls. How many balls do I have?")
    await say(session, "/think on")
    await say(session, "How many are that?")
    assert [request.messages[-1].context for request in script(session).requests] == ["", REQUEST]


async def test_an_answer_in_a_grammar_has_no_room_for_steps(session: Session) -> None:
    session.values["sampling"] = {"grammar": 'root ::= "yes"'}
    await say(session, "/think vote 3")
    await say(session, "Why?")
    (request,) = script(session).requests
    assert request.messages[-1].context == ""


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("/think", "think"),
        ("/think on", "think"),
        ("/think auto", "think auto"),
        ("/think 300", "think 300"),
        ("/think vote", "vote 5"),
        ("/think vote5", "vote 5"),
        ("/think vote:7", "vote 7"),
        ("/think 300 vote 3", "vote 3, think 300"),
    ],
)
async def test_the_status_line_says_what_is_on(session: Session, line: str, status: str) -> None:
    await say(session, line)
    assert session.status == {"thinking": status}
    await say(session, "/think off")
    assert session.status == {}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/think hard", "'hard' is no way to think. Say on, off, auto, a number of tokens, or vote and a number"),
        ("/think vote 1", "Between 2 and 25 samples can vote, not 1."),
        ("/think 0", "Between 1 and 100,000 tokens can be thought, not 0."),
        ("/think off 300", "A budget or a vote needs thinking on."),
        ("/think enough", "Nothing is being thought about now."),
    ],
)
async def test_a_command_that_means_nothing_changes_nothing(session: Session, line: str, sentence: str) -> None:
    await say(session, "/think 300")
    with pytest.raises(UsageError) as refused:
        await say(session, line)
    assert str(refused.value).startswith(sentence)
    assert session.status == {"thinking": "think 300"}


async def test_a_spent_budget_ends_the_steps_and_the_answer_follows(session: Session) -> None:
    script(session).says(WORDS, " 12 balls")
    await say(session, "/think 10")
    session.values["sampling"] = {"max_tokens": 200}
    events = await say(session, "How many?")
    first, second = script(session).requests
    assert second.continue_last
    assert second.messages[:-1] == first.messages
    thought = " ".join(f"word{number}" for number in range(10))
    assert second.messages[-1].text == f"{thought}\n\nFinal answer:"
    assert second.sampling == replace(first.sampling, max_tokens=190)
    assert parts(session) == (thought, "12 balls")
    assert script(session).stopped == 1
    (usage,) = [event for event in events if isinstance(event, Usage)]
    assert usage.completion_tokens == 12
    assert len(usage.spans) == len(first.messages)
    assert events[-1] == Finished("stop")


async def test_enough_ends_it_at_once(session: Session) -> None:
    script(session).says(WORDS, "12 balls")
    await say(session, "/think on")
    told = []
    async for event in session.send("How many?"):
        if getattr(event, "text", "") == " word5":
            told += await say(session, "/think enough")
    assert [getattr(event, "text", "") for event in told] == ["The reasoning ends here; the answer follows."]
    assert parts(session)[1] == "12 balls"
    assert parts(session)[0] == "word0 word1 word2 word3 word4 word5"


async def test_a_batching_engine_is_counted(session: Session) -> None:
    batch = " ".join(f"some{number:02}" for number in range(20))
    script(session).says([TextDelta(batch), TextDelta(f" {batch}"), TextDelta(f" {batch}")], "12")
    await say(session, "/think 30")
    await say(session, "How many?")
    assert parts(session) == (f"{batch} {batch}", "12")


async def test_tags_are_split_also_when_thinking_is_off(session: Session) -> None:
    script(session).says("<think>\nHm, well.\n</think>\n\nYes.")
    await say(session, "/think off")
    await say(session, "Is it?")
    assert parts(session) == ("Hm, well.", "Yes.")


async def test_a_model_that_reasons_by_itself(tmp_path: Path) -> None:
    engine = Thinker(opens="<think>\n")
    engine.says("Hm, well.\n</think>\n\nYes.", "Hello.", "Hm.</think>Yes.")
    async with thinking(tmp_path, engine) as session:
        await say(session, "/think on")
        await say(session, "Is 3 more than 2?")
        assert parts(session) == ("Hm, well.", "Yes.")
        await say(session, "/think off")
        engine.opens = ""
        await say(session, "Is it?")
        assert parts(session) == ("", "Hello.")
        await say(session, "/think auto")
        engine.opens = "<think>"
        await say(session, "Is it?")
        assert parts(session) == ("Hm.", "Yes.")
    assert [dict(request.template) for request in engine.requests] == [
        {"enable_thinking": True},
        {"enable_thinking": False},
        {},
    ]
    assert all(message.context == "" for request in engine.requests for message in request.messages)


async def test_its_budget_closes_the_tag(tmp_path: Path) -> None:
    engine = Thinker(opens="<think>\n")
    engine.says(WORDS, "\n\nYes.")
    async with thinking(tmp_path, engine) as session:
        await say(session, "/think 3")
        await say(session, "Is it?")
        assert parts(session) == ("word0 word1 word2", "Yes.")
    begun = engine.requests[1].messages[-1].text
    assert begun.startswith("<think>\nword0 word1 word2")
    assert begun.endswith("</think>\n\n")


async def test_reasoning_in_control_tokens_cannot_be_closed(tmp_path: Path) -> None:
    engine = Thinker(template="<|channel|>")
    engine.says(f"<|channel|>analysis<|message|>{WORDS}<|end|><|start|>assistant<|channel|>final<|message|>Yes.")
    async with thinking(tmp_path, engine) as session:
        await say(session, "/think 3")
        await say(session, "Is it?")
        assert parts(session) == (WORDS, "Yes.")
        assert [text for _, text in session.host.ui.notices] == [  # type: ignore[attr-defined]
            "This model's reasoning can only be ended by stopping the answer."
        ]


async def test_escape_keeps_what_was_thought(session: Session) -> None:
    script(session).says(WORDS)
    await say(session, "/think on")
    stream = session.send("How many?")
    async for event in stream:
        if getattr(event, "text", "") == " word5":
            break
    await stream.aclose()
    assert parts(session)[0].startswith("word0 word1")
    assert script(session).stopped == 1


async def test_settings_are_the_default(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with thinking(tmp_path, engine, thinking={"mode": "on", "budget": 3}) as session:
        engine.says(WORDS, "12")
        await say(session, "Hello.")
        assert parts(session) == ("word0 word1 word2", "12")
