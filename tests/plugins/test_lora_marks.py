"""`/good`, `/fix` and `/marks`: what is marked, and what becomes of it as examples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp import Data, Message, Session, Source, Text, UsageError, assistant, user
from chatapp_lora import marks
from tests.plugins.lora_scripted import ScriptedLearner, talked, text_of, told, training_in


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the plugin."""
    async with training_in(tmp_path, ScriptedLearner()) as made:
        yield made


def learnt(session: Session) -> list[tuple[tuple[str, str], ...]]:
    """The examples of this conversation."""
    return [each.messages for each in marks.examples(session.conversation)]


async def test_a_good_answer_is_an_example_as_it_is(session: Session) -> None:
    talked(session, ("Hello", "Ahoy!"))
    said = text_of(await told(session, "/good"))
    assert "Good: Ahoy!" in said
    assert "1 answer of this conversation marked" in said
    assert learnt(session) == [(("user", "Hello"), ("assistant", "Ahoy!"))]


async def test_a_fixed_answer_is_an_example_with_what_it_should_have_been(session: Session) -> None:
    talked(session, ("Hello", "Good day."))
    await told(session, '/fix Ahoy, "matey"!')
    assert learnt(session) == [(("user", "Hello"), ("assistant", 'Ahoy, "matey"!'))]
    assert [each.text for each in session.conversation.path()] == ["Hello", "Good day."]


async def test_the_last_mark_of_an_answer_counts_and_can_be_taken_back(session: Session) -> None:
    talked(session, ("Hello", "Good day."))
    await told(session, "/fix Ahoy!")
    await told(session, "/good")
    assert learnt(session) == [(("user", "Hello"), ("assistant", "Good day."))]
    assert "0 answers" in text_of(await told(session, "/good off"))
    assert learnt(session) == []
    assert marks.KEY not in session.values
    with pytest.raises(UsageError, match="not marked"):
        await told(session, "/good off")


async def test_without_a_text_the_answer_is_asked_for_with_what_it_was(session: Session) -> None:
    talked(session, ("Hello", "Good day."))
    await told(session, "/fix")
    # Whoever leaves it as it is says so: the scripted person takes what is offered.
    assert learnt(session) == [(("user", "Hello"), ("assistant", "Good day."))]
    session.ui.answers.append("Ahoy!")  # type: ignore[attr-defined]
    await told(session, "/fix")
    assert learnt(session) == [(("user", "Hello"), ("assistant", "Ahoy!"))]


async def test_an_answer_of_several_lines_is_not_asked_for_on_one(session: Session) -> None:
    talked(session, ("A list?", "- one\n- two"))
    with pytest.raises(UsageError, match="several lines"):
        await told(session, "/fix")
    await told(session, "/fix 1. one\n2. two")
    assert learnt(session) == [(("user", "A list?"), ("assistant", "1. one\n2. two"))]


async def test_an_example_has_the_last_turns_as_texts(session: Session) -> None:
    talked(session, ("One", "1"), ("Two", "2"), ("/image a cat", "A cat."), ("Three", "3"))
    session.conversation.append(user("Four", Source("notes.txt", "Nobody learns this.")))
    session.conversation.append(assistant("4"))
    await told(session, "/good")
    talked(session, ("Five", "5"))
    await told(session, "/fix five")
    four, five = learnt(session)
    assert four == tuple(turn for pair in [("Two", "2"), ("Three", "3"), ("Four", "4")] for turn in roles(*pair))
    assert five == tuple(turn for pair in [("Three", "3"), ("Four", "4"), ("Five", "five")] for turn in roles(*pair))


def roles(question: str, answer: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """A turn of an example."""
    return ("user", question), ("assistant", answer)


async def test_earlier_answers_are_as_they_should_have_been(session: Session) -> None:
    talked(session, ("One", "1"))
    await told(session, "/fix one")
    talked(session, ("Two", "two"))
    await told(session, "/good")
    assert learnt(session)[1] == (*roles("One", "one"), *roles("Two", "two"))


async def test_a_mark_stays_with_its_branch(session: Session) -> None:
    talked(session, ("One", "1"))
    await told(session, "/good")
    session.conversation.cut(None)
    talked(session, ("Another", "beginning"))
    await told(session, "/good")
    assert learnt(session) == [roles("One", "1"), roles("Another", "beginning")]


async def test_what_a_command_made_is_no_example(session: Session) -> None:
    talked(session, ("Hello", "Ahoy!"), ("/image a cat", "A cat."))
    await told(session, "/good")
    assert learnt(session) == []


async def test_of_an_answer_with_tools_the_end_is_learnt(session: Session) -> None:
    session.conversation.append(user("How warm is it?"))
    session.conversation.append(assistant("Let me see."))
    session.conversation.append(Message("tool", (Text("21"),)))
    session.conversation.append(assistant("21 degrees."))
    await told(session, "/good")
    assert learnt(session) == [roles("How warm is it?", "21 degrees.")]


async def test_marks_are_listed_and_taken_back_by_number(session: Session) -> None:
    talked(session, ("One", "1"))
    await told(session, "/good")
    talked(session, ("Two", "2"))
    await told(session, "/fix two")
    listed = (await told(session, "/marks"))[0]
    assert isinstance(listed, Data)
    assert [tuple(row.values()) for row in listed.value] == [(1, "good", "One", "1"), (2, "fixed", "Two", "two")]
    await told(session, "/marks rm 1")
    assert [each[-1] for each in learnt(session)] == [("assistant", "two")]
    with pytest.raises(UsageError, match="no mark 2"):
        await told(session, "/marks rm 2")


async def test_marks_are_kept_with_the_conversation(session: Session) -> None:
    talked(session, ("Hello", "Ahoy!"))
    await told(session, "/good")
    again = session.host.archive.load(session.conversation.id)
    assert [each.messages for each in marks.examples(again)] == [roles("Hello", "Ahoy!")]


async def test_strange_marks_of_an_imported_conversation_are_left_out(session: Session) -> None:
    talked(session, ("Hello", "Ahoy!"))
    path = list(session.conversation.path())
    session.values[marks.KEY] = {"nobody": "", path[0].id: "", path[1].id: 3}
    assert learnt(session) == []
    session.values[marks.KEY] = ["strange"]
    assert marks.marks(session.conversation) == {}


@pytest.mark.parametrize(("line", "sentence"), [("/good", "no answer yet"), ("/good perhaps", "nothing but off")])
async def test_what_cannot_be_marked_is_told(session: Session, line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        await told(session, line)
