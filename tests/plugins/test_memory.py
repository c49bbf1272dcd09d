"""Remembering: where facts go in the prompt, how they are listed, edited, forgotten and brought back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import chatapp_memory
from chatapp import commands
from chatapp.errors import UsageError
from chatapp.events import Usage
from chatapp.messages import Data, Text, ToolCall
from chatapp.session import Session
from chatapp.testing import RecordingUI, script, sent_texts
from chatapp.ui import plain
from tests.support_plugins import run, running, send, told, write_settings


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the plugin."""
    async with running(tmp_path, chatapp=commands, memory=chatapp_memory) as made:
        yield made


def book(session: Session) -> Path:
    """The file of what holds everywhere."""
    return session.host.paths.config / "memory.md"


async def shown(session: Session, line: str) -> str:
    """What a line says, as plain text."""
    return "\n".join(plain(part) for part in await run(session, line))  # type: ignore[arg-type]


def prompt(session: Session) -> list[tuple[str, str]]:
    """(role, text) of the newest prompt."""
    return sent_texts(script(session).requests[-1].messages)


async def reused(session: Session, text: str) -> tuple[int, int]:
    """(reused tokens, prompt tokens) of one more turn."""
    events = [event async for event in session.send(text)]
    usage = next(event for event in events if isinstance(event, Usage))
    return usage.reused_tokens, usage.prompt_tokens


async def test_what_is_known_stands_in_the_system_message_of_every_conversation(session: Session) -> None:
    await run(session, "/remember I prefer metric units")
    await run(session, "/remember I'm called Ada")
    for _ in range(2):
        await send(session)
        role, text = prompt(session)[0]
        assert role == "system"
        assert text.endswith("The user asked you to remember:\n- I prefer metric units\n- I'm called Ada")
        assert session.status["memory"] == "2"
        await run(session, "/new")
    assert book(session).stat().st_mode & 0o777 == 0o600


async def test_what_is_added_later_is_read_once_and_nothing_before_it_again(session: Session) -> None:
    await run(session, "/remember I live in Porto")
    await reused(session, "First question")
    await run(session, "/remember I like short answers --everywhere")
    held = len(script(session)._held)
    assert (await reused(session, "Second question"))[0] == held
    assert prompt(session)[-1][1] == (
        "The user asked you to remember from now on:\n- I like short answers\n\nSecond question"
    )
    held = len(script(session)._held)
    assert (await reused(session, "Third question"))[0] == held
    assert prompt(session)[-1][1] == "Third question"
    await run(session, "/new")
    await send(session)
    assert prompt(session)[0][1].endswith("- I live in Porto\n- I like short answers")
    assert len(prompt(session)) == 2


async def test_each_branch_and_an_outgrown_conversation_are_told_again(session: Session) -> None:
    await send(session, "One")
    await run(session, "/remember I like tea --everywhere")
    await send(session, "Two")
    carrier = session.conversation.before(session.conversation.head or "")
    assert carrier is not None
    for _ in range(2):
        [_ async for _ in session.edit(carrier, "Two, otherwise")]
        assert prompt(session)[-1][1].count("I like tea") == 1
    await send(session, "Three")
    assert sum(text.count("I like tea") for _, text in prompt(session)) == 1
    session.values["first_kept"] = list(session.conversation.path())[-2].id
    await send(session, "Four")
    assert "I like tea" in prompt(session)[-1][1]


async def test_an_answer_given_once_more_keeps_what_stands_beside_the_question(session: Session) -> None:
    await send(session, "One")
    await run(session, "/remember I like tea --everywhere")
    await send(session, "Two")
    before = prompt(session)
    [_ async for _ in session.regenerate()]
    assert prompt(session) == before


async def test_forgetting_acts_at_once_and_can_be_undone(session: Session) -> None:
    for fact in ("one", "two", "three"):
        await run(session, f"/remember {fact}")
    await send(session, "Hello")
    await run(session, "/remember late --everywhere")
    await send(session, "Hello again")
    assert "/memory restore" in await shown(session, "/memory forget 4")
    await send(session, "Once more")
    assert "late" not in str(prompt(session))
    await run(session, "/memory forget 2")
    await send(session, "And again")
    assert prompt(session)[0][1].endswith("- one\n- three")
    assert await shown(session, "/memory restore") == "Remembered again: two"
    await run(session, "/memory restore")
    await run(session, "/new")
    await send(session)
    assert prompt(session)[0][1].endswith("- one\n- two\n- three\n- late")
    with pytest.raises(UsageError, match="Nothing was forgotten"):
        await run(session, "/memory restore")


async def test_editing_moves_all_that_is_known_into_the_system_message(session: Session) -> None:
    await run(session, "/remember one")
    await send(session)
    await run(session, "/remember two --everywhere")
    await send(session)
    await run(session, "/memory edit 1 first -- really")
    await send(session)
    assert prompt(session)[0][1].endswith("- first -- really\n- two")
    assert not any("from now on" in text for _, text in prompt(session))


async def test_the_user_is_asked_where_it_holds(session: Session) -> None:
    ui = session.ui
    assert isinstance(ui, RecordingUI)
    await send(session)
    ui.answers += ["this conversation", "all conversations", None]
    await run(session, "/remember only here")
    await run(session, "/remember everywhere")
    with pytest.raises(UsageError, match="Nothing was remembered"):
        await run(session, "/remember nowhere")
    listed = await shown(session, "/memory")
    assert "1. everywhere" in listed
    assert "2. only here (this conversation)" in listed
    assert str(book(session)) in listed
    await run(session, "/memory edit 2 here alone")
    await run(session, "/memory forget 2")
    await run(session, "/memory restore")
    await send(session)
    assert "- here alone" in prompt(session)[-1][1]
    await run(session, "/new")
    await send(session)
    assert prompt(session)[0][1].endswith("remember:\n- everywhere")


async def test_off_and_on(session: Session) -> None:
    await run(session, "/remember I like tea")
    await send(session)
    await run(session, "/memory off")
    await send(session)
    assert ("tea" in str(prompt(session)), "memory" in session.status) == (False, False)
    assert "off in this conversation" in await shown(session, "/memory")
    await run(session, "/memory on")
    await send(session)
    assert "tea" in str(prompt(session))


async def test_the_model_may_propose_and_the_user_decides(session: Session) -> None:
    ui = session.ui
    assert isinstance(ui, RecordingUI)
    for answer in (False, True):
        ui.answers.append(answer)
        script(session).says([ToolCall("1", "remember", {"text": "Their cat is Mia"})], "Noted.")
        [_ async for _ in session.send("My cat is Mia")]
        assert book(session).exists() is answer
    assert "- Their cat is Mia\n" in book(session).read_text()
    assert len(ui.questions) == 2


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/remember \t ", "Missing argument"),
        ("/remember x --here --everywhere", "Say either"),
        ("/remember x --here", "There is no conversation yet"),
        ("/memory forget 1", "nothing is remembered"),
        ("/memory edit 0 x", "There is no memory 0"),
        ("/remember " + "word " * 5000, "would be about"),
    ],
)
async def test_what_cannot_be_is_one_sentence(session: Session, line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        await run(session, line)
    assert "\n" not in str(caught.value)
    assert not book(session).exists()


async def test_control_characters_and_line_breaks_stay_on_one_line(session: Session) -> None:
    await run(session, "/remember a\x1b[31m\u202eb\n\n# heading\n- another")
    await send(session)
    assert prompt(session)[0][1].endswith("- a␛[31m\\u202eb # heading - another")
    (listed, _) = await run(session, "/memory")
    assert isinstance(listed, Data)
    assert len(listed.value) == 1


async def test_twice_the_same_is_kept_once(session: Session) -> None:
    await run(session, "/remember I like tea")
    assert await run(session, "/remember  I like  tea") == [Text("That is remembered already: number 1 of /memory.")]


async def test_a_file_that_a_person_edited(session: Session) -> None:
    book(session).write_text("\ufeff# Mine\r\n\r\nA note.\r\n- first\r\n  goes on\r\n* second\r\n", encoding="utf-8")
    await run(session, "/memory edit 1 changed")
    await run(session, "/memory forget 2")
    assert book(session).read_text() == "# Mine\n\nA note.\n- changed\n"


async def test_files_that_cannot_be_used_name_the_line_and_the_chat_goes_on(session: Session) -> None:
    book(session).write_bytes(b"- fine\n- \xff\n")
    with pytest.raises(UsageError, match=r"memory\.md, line 2: this is not UTF-8 text"):
        await run(session, "/memory")
    assert await send(session) == "One two three four."
    assert "memory.md, line 2" in told(session.host)
    book(session).write_bytes(b"- " + b"x" * 300_000)
    with pytest.raises(UsageError, match="larger than 200 kB"):
        await run(session, "/remember more")


async def test_more_than_the_limit_is_left_out_with_a_word(tmp_path: Path) -> None:
    write_settings(tmp_path, "[memory]\nlimit = 50\n")
    async with running(tmp_path, memory=chatapp_memory) as session:
        book(session).write_text("".join(f"- fact number {number} of many\n" for number in range(30)))
        await send(session)
        assert "fact number 0" in prompt(session)[0][1]
        assert "fact number 9" not in prompt(session)[0][1]
        await send(session)
        assert told(session.host).count("are read by the model") == 1
