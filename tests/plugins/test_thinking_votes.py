"""Samples that vote: who agrees with whom, who wins, and what is kept."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chatapp import Data, EngineError, Finished, Message, Notice, Progress, TextDelta, ToolCall, Usage
from chatapp.testing import ScriptedEngine, script
from chatapp_thinking.answers import answer_key, final_number, majority, numbers
from chatapp_thinking.need import needs_steps, score

from .thinking import parts, say, thinking


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$1,200.00 and 3.5 kg", ["1200", "3.5"]),
        ("-5 and 10-12 and − 3", ["-5", "10", "12", "3"]),
        (r"\(\boxed{\$2{,}500}\)", ["2500"]),
        ("x2 and v1.5 and .5", ["0.5"]),
        ("none", []),
    ],
)
def test_numbers_as_people_write_them(text: str, found: list[str]) -> None:
    assert [number.normalize() for number in numbers(text)] == [Decimal(each).normalize() for each in found]


@pytest.mark.parametrize(
    ("answer", "question", "number"),
    [
        ("18", "", 18),
        ("$18 per day.", "She sells 9 eggs for $2 each day.", 18),
        ("Rosie can run 50 miles in 7 hours.", "How far does she run in 7 hours?", 50),
        ("She ate 7 of the 7.", "He gave her 7.", 7),
        ("20 - 5 = 15 apples", "", 15),
        ("It is **15**, not 20.", "", 15),
        (r"Half of 30 is \(\boxed{15}\), as 2 divides it.", "", 15),
        ("First 3.\n\nThen 4 * 3 = 12.\n\nSo there it is.", "", 12),
        ("No idea.", "3 or 4?", None),
    ],
)
def test_the_number_an_answer_states(answer: str, question: str, number: int | None) -> None:
    assert final_number(answer, question) == number


def test_an_answer_that_goes_on_to_explain_itself() -> None:
    assert final_number("12 balls.\n\nThat is 3 boxes.", last=False) == 12
    assert final_number("\nTwelve:\n12", last=False) == 12


def test_answers_that_mean_the_same_have_one_key() -> None:
    assert {answer_key(text) for text in ("1,200.00", "$1200", "1200 dollars.", "**1,200**", "= 1200")} == {"1200"}
    assert {answer_key(text) for text in ("Paris.", "paris", "The **Paris**!")} == {"paris"}
    assert answer_key("(B)") == answer_key("b.") == "b"
    assert answer_key("0.50") == "0.5"
    assert answer_key("3 or 4") != answer_key("4 or 3")
    assert answer_key("  ") == ""


def test_the_majority() -> None:
    assert majority(["a", "b", "b"]) == (1, 2)
    assert majority(["a", "b", "b", "a"]) == (0, 2)
    assert majority(["", "", "c"]) == (2, 1)
    assert majority(["", ""]) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "I have 3 boxes of 4. How many balls are there?",
        "Is 17 * 23 more than 400?",
        "Calculate how many days are left until Easter.",
        "Quantos dias faltam, se hoje é dia 3 e a festa é no dia 20?",
    ],
)
def test_what_needs_steps(text: str) -> None:
    assert needs_steps(text), score(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi!",
        "Thanks, that was it.",
        "Why is the sky blue?",
        "Prove that the root of two is irrational.",
        "Plan a week in Lisbon.",
        "Debug this for me",
        "What is the capital of France?",
        "Translate this: how many are there?",
        "Write a poem about 3 cats and 4 dogs, will you?",
        "Version 3 came out in 2024.",
        "",
    ],
)
def test_what_needs_none(text: str) -> None:
    assert not needs_steps(text), score(text)


async def test_the_majority_wins(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        script(session).says(
            "3 + 4 = 8.\nFinal answer: 8", "3 * 4\nFinal answer: 12 balls", "Hm.\nFinal answer: $12.00", "It is 9."
        )
        await say(session, "/think vote 4")
        events = await say(session, "How many?")
        assert session.status == {"thinking": "vote 4"}
        reasoning, text = parts(session)
        assert text == "12 balls"
        assert reasoning == (
            "Sample 1 of 4\n\n3 + 4 = 8.\n\n8\n\nSample 2 of 4\n\n3 * 4\n\n12 balls\n\n"
            "Sample 3 of 4\n\nHm.\n\n$12.00\n\nSample 4 of 4\n\nIt is 9."
        )
        (votes,) = [event for event in events if isinstance(event, Data)]
        assert votes.text == "2 of 4 samples agree."
        assert votes.value == {"agree": 2, "samples": 4, "answers": ["8", "12", "12", "9"]}
        assert [event.label for event in events if isinstance(event, Progress)] == [
            f"Sample {number} of 4" for number in range(1, 5)
        ]
        (usage,) = [event for event in events if isinstance(event, Usage)]
        requests = script(session).requests
        assert usage.completion_tokens == sum((8, 7, 4, 3))
        assert [request.messages for request in requests] == [requests[0].messages] * 4
        assert {request.sampling.temperature for request in requests} == {0.7}
        # The prompt is read once.
        assert usage.evaluated_tokens == usage.prompt_tokens
        assert usage.prompt_tokens == usage.spans[-1][1]


async def test_a_fixed_seed_and_temperature_hold_for_all(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        session.values["sampling"] = {"seed": 7, "temperature": 1.2}
        await say(session, "/think vote 3")
        await say(session, "How many?")
        drawn = [(each.sampling.seed, each.sampling.temperature) for each in script(session).requests]
        assert drawn == [(7, 1.2), (8, 1.2), (9, 1.2)]


async def test_a_sample_that_fails_leaves_it_to_the_others(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        script(session).says("Final answer: 8", [TextDelta("Half"), EngineError("The engine broke.")])
        await say(session, "/think vote 3")
        events = await say(session, "How many?")
        (notice,) = [event.text for event in events if isinstance(event, Notice)]
        assert notice == "Sample 2 of 3 failed (The engine broke.); those before it decide."
        assert parts(session)[1] == "8"
        assert events[-1] == Finished("stop")


async def test_the_first_that_fails_fails_the_answer(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        script(session).says([TextDelta("Half"), EngineError("The engine broke.")])
        await say(session, "/think vote 3")
        assert (await say(session, "How many?"))[-1] == Finished("failed", "The engine broke.")
        assert len(script(session).requests) == 1


async def test_a_call_of_a_tool_is_no_vote(tmp_path: Path) -> None:
    async with thinking(tmp_path, ScriptedEngine()) as session:
        call = ToolCall("1", "nothing_like_it", {})
        script(session).says([TextDelta("Let me look."), call, Finished("tool_calls")], "Final answer: 8")
        session.values["thinking"] = {"mode": "on", "votes": 2}
        await say(session, "How many?")
        first = next(message for message in session.conversation.path() if message.role == "assistant")
        assert isinstance(first, Message)
        assert call in first.parts


async def test_enough_leaves_out_the_samples_to_come(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        script(session).says("One two three four\nFinal answer: 1", "8", "9")
        await say(session, "/think vote 3")
        async for event in session.send("How many?"):
            if getattr(event, "text", "") == " two":
                await say(session, "/think enough")
        assert parts(session)[1] == "8"
        assert len(script(session).requests) == 2


async def test_escape_keeps_the_samples_so_far(tmp_path: Path) -> None:
    async with thinking(tmp_path) as session:
        script(session).says("Final answer: 8", "One two three")
        await say(session, "/think vote 3")
        stream = session.send("How many?")
        async for event in stream:
            if getattr(event, "text", "") == " two":
                break
        await stream.aclose()
        assert parts(session)[0].startswith("Sample 1 of 3\n\n8\n\nSample 2 of 3\n\nOne")
        assert script(session).stopped == 1
