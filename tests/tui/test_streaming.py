"""Streaming, sticking to the bottom, stopping, queueing, and many messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Session, action, hookimpl
from chatapp.conversation import Conversation
from chatapp.errors import EngineError
from chatapp.events import ReasoningDelta, TextDelta
from chatapp.messages import assistant, user
from chatapp.testing import ScriptedEngine
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.fold import Fold
from chatapp.tui.widgets.message import MessageView, facts
from chatapp.tui.widgets.transcript import WINDOW, Note

from .support import host_in, running

LONG = "\n\n".join(f"Paragraph {number} of a long answer." for number in range(60))


async def test_an_answer_is_streamed_as_markdown(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("A **bold** word.\n\n```python\nprint(1)\n```\n")
        await chat.send("Hi")
        assert chat.said == [("user", "Hi"), ("assistant", "A **bold** word.\n\n```python\nprint(1)\n```\n")]
        text = chat.chat.query_one(AnswerText)
        assert text.source == "A **bold** word.\n\n```python\nprint(1)\n```\n"
        assert text.query("MarkdownFence")
        await chat.shows("print(1)")


async def test_it_sticks_to_the_bottom_until_the_reader_scrolls(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        transcript = chat.chat.transcript
        chat.engine.says(LONG, LONG * 20)
        await chat.send("First")
        await chat.until(lambda: transcript.is_at_end and transcript.max_scroll_y > 0)
        chat.engine.delay = 0.01
        chat.chat.composer.put("Second")
        await chat.tap("enter")
        await chat.until(lambda: transcript.live is not None and len(transcript.live.text) > 200)
        assert transcript.is_at_end
        before = transcript.scroll_y
        await chat.tap("pageup")
        await chat.until(lambda: transcript.scroll_y < before)
        held = transcript.scroll_y
        grown = transcript.virtual_size.height
        await chat.until(lambda: transcript.virtual_size.height > grown + 4)
        assert transcript.scroll_y == held
        await chat.tap("ctrl+end")
        await chat.until(lambda: transcript.is_at_end)
        await chat.tap("escape")
        await chat.until(lambda: not chat.chat.runner.busy)


async def test_escape_stops_at_once_and_keeps_what_came(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.delay = 0.02
        chat.engine.says(" ".join(f"word{number}" for number in range(2000)))
        chat.chat.composer.put("Hi")
        await chat.tap("enter")
        await chat.until(lambda: chat.chat.transcript.live is not None and "word3" in chat.chat.transcript.live.text)
        await chat.tap("escape")
        await chat.until(lambda: not chat.chat.runner.busy)
        role, text = chat.said[-1]
        assert role == "assistant"
        assert text.startswith("word0 word1 word2")
        assert "word1999" not in text
        assert chat.engine.stopped == 1
        assert [message.text for message in chat.chat.session.conversation.path()] == ["Hi", text]
        shown = chat.chat.transcript.views[-1].shown
        assert shown is not None
        assert "stopped" in facts(shown)


async def test_what_is_sent_meanwhile_waits_and_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.delay = 0.02
        chat.engine.says("one two three four five six seven eight nine ten", "Second answer.")
        chat.chat.composer.put("First")
        await chat.tap("enter")
        chat.chat.composer.put("Then this")
        await chat.tap("enter")
        assert chat.chat.queue.display
        await chat.until(lambda: chat.settled and len(chat.said) == 4)
        assert [text for _, text in chat.said[2:]] == ["Then this", "Second answer."]


async def test_escape_gives_back_what_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.delay = 0.02
        chat.engine.says(LONG)
        chat.chat.composer.put("First")
        await chat.tap("enter")
        chat.chat.composer.put("Then this")
        await chat.tap("enter", "escape")
        await chat.until(lambda: chat.settled)
        assert chat.chat.composer.text == "Then this"
        assert len(chat.engine.requests) <= 1


async def test_a_failure_is_one_line_and_the_message_stays(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says([TextDelta("Half "), EngineError("The engine broke; try again.")], "Whole.")
        await chat.send("Hi")
        notes = [str(note.content) for note in chat.chat.query(Note)]
        assert notes == ["The engine broke; try again."]
        assert chat.said == [("user", "Hi"), ("assistant", "Half ")]
        await chat.press("ctrl+r")
        await chat.until(lambda: chat.settled and chat.said[-1][1] == "Whole.")


async def test_reasoning_is_folded_and_opens_by_key(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says([ReasoningDelta("First I "), ReasoningDelta("think."), TextDelta("Done.")])
        await chat.send("Hi")
        assert chat.said[-1] == ("assistant", "Done.")
        fold = chat.chat.query_one(Fold)
        assert fold.heading.startswith("Thought for")
        await chat.hides("First I think.")
        await chat.press("alt+up", "enter")
        await chat.shows("First I think.")
        await chat.press("enter")
        await chat.hides("First I think.")


def long_conversation(count: int) -> Conversation:
    """A conversation of so many messages."""
    conversation = Conversation(title="Long")
    for number in range(count // 2):
        conversation.append(user(f"Question {number}"))
        conversation.append(assistant(f"Answer **{number}**"))
    return conversation


async def test_500_messages_keep_the_widgets_few(tmp_path: Path) -> None:
    async with running(tmp_path, conversation=long_conversation(500)) as chat:
        assert len(chat.chat.query(MessageView)) == WINDOW
        assert chat.said[-1] == ("assistant", "Answer **249**")
        for _ in range(3):
            await chat.send("More")
        assert len(chat.chat.query(MessageView)) <= WINDOW
        assert chat.said[-1] == ("assistant", "OK.")


async def test_earlier_messages_come_when_the_top_is_reached(tmp_path: Path) -> None:
    async with running(tmp_path, conversation=long_conversation(200)) as chat:
        transcript = chat.chat.transcript
        await chat.until(lambda: transcript.max_scroll_y > 0)
        first = transcript.views[0]
        transcript.scroll_home(animate=False)
        await chat.until(lambda: len(transcript.views) > WINDOW)
        await chat.until(lambda: transcript.scroll_y > 0)
        await chat.pilot.pause()
        assert transcript.region.y <= first.region.y <= transcript.region.y + 2
        assert chat.said[0][1] == f"Question {(200 - WINDOW - 20) // 2}"


async def test_a_command_that_may_runs_beside_the_answer_and_others_wait(tmp_path: Path) -> None:
    ran: list[str] = []

    @action("now", during=True)
    async def now(session: Session) -> str:
        """Run at once."""
        ran.append(f"now {session.busy}")
        return "Done beside it."

    @action("later")
    async def later(session: Session) -> str:
        """Run afterwards."""
        ran.append(f"later {session.busy}")
        return "Done after it."

    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("both", type("Both", (), {"actions": staticmethod(hookimpl(lambda: [now, later]))}))
    async with running(tmp_path, host=host, engine=engine) as chat:
        engine.delay = 0.02
        engine.says("word " * 60)
        chat.chat.runner.submit("Talk")
        await chat.until(lambda: len(chat.said) == 2)
        chat.chat.runner.submit("/later")
        chat.chat.runner.submit("/now")
        await chat.until(lambda: ran)
        assert ran == ["now True"]
        assert chat.chat.runner.queue == ["/later"]
        await chat.until(lambda: "Done beside it." in chat.notices)
        await chat.until(lambda: len(ran) == 2)
        assert ran[1] == "later False"
        assert chat.said[-1] == ("assistant", "word " * 60)


async def test_an_answer_that_was_saved_before_its_first_word_is_shown_is_shown_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A long prompt takes longer to read than the pause between saves.
    monkeypatch.setattr("chatapp.session.SAVE_SECONDS", 0.0)
    async with running(tmp_path) as chat:
        chat.engine.delay = 0.02
        chat.engine.says("word " * 30)
        chat.chat.runner.submit("Talk")
        await chat.until(lambda: len(chat.said) == 2 and chat.said[1][1].count("word") > 4)
        assert [role for role, _ in chat.said] == ["user", "assistant"]
        await chat.until(lambda: chat.settled)
        assert chat.said == [("user", "Talk"), ("assistant", "word " * 30)]
