"""The input: keys, history, pastes, completion of commands and files, attachments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from textual import events

from chatapp.actions import action
from chatapp.events import Progress
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Source
from chatapp.session import Session
from chatapp.testing import ScriptedEngine
from chatapp.tui.widgets.completion import Completion
from chatapp.tui.widgets.transcript import Note

from .support import Running, host_in, running


async def test_enter_sends_and_ctrl_j_adds_a_line(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.press(*"one", "ctrl+j", *"two")
        assert chat.chat.composer.text == "one\ntwo"
        await chat.press("enter")
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        assert chat.said[0] == ("user", "one\ntwo")
        assert chat.chat.composer.text == ""


async def test_keys_are_taken_in_the_order_they_were_typed(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        for letter in "first message":
            chat.app.post_message(events.Key("space" if letter == " " else letter, letter))
        chat.app.post_message(events.Key("enter", "\r"))
        for letter in "next":
            chat.app.post_message(events.Key(letter, letter))
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        assert chat.said[0] == ("user", "first message")
        assert chat.chat.composer.text == "next"


async def test_up_and_down_walk_the_history_and_keep_the_draft(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("older")
        await chat.send("newer")
        await chat.press(*"draft", "up")
        assert chat.chat.composer.text == "newer"
        await chat.press("up", "up")
        assert chat.chat.composer.text == "older"
        await chat.press("down", "down")
        assert chat.chat.composer.text == "draft"


async def test_up_moves_inside_a_text_of_several_lines(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("sent")
        await chat.press(*"one", "ctrl+j", *"two", "up")
        assert chat.chat.composer.text == "one\ntwo"
        assert chat.chat.composer.cursor_location == (0, 3)
        await chat.press("up")
        assert chat.chat.composer.text == "sent"


async def test_a_long_paste_is_a_chip_that_is_expanded_on_sending(tmp_path: Path) -> None:
    pasted = "\n".join(f"line {number}" for number in range(312))
    async with running(tmp_path) as chat:
        await chat.press(*"see ")
        chat.chat.composer.post_message(events.Paste(pasted))
        await chat.until(lambda: chat.chat.composer.text == "see [pasted 312 lines]")
        chat.chat.composer.post_message(events.Paste(pasted.replace("line", "row")))
        await chat.until(lambda: chat.chat.composer.text == "see [pasted 312 lines][pasted 312 lines #2]")
        await chat.press("enter")
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        assert chat.said[0][1] == f"see {pasted}{pasted.replace('line', 'row')}"
        await chat.press("up")
        assert chat.chat.composer.text == "see [pasted 312 lines][pasted 312 lines #2]"


async def test_a_draft_survives_another_screen(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.press(*"draft", "f2")
        await chat.press("escape")
        assert chat.chat.composer.text == "draft"
        assert chat.app.focused is chat.chat.composer


class Colours:
    """A plugin with a command that has something to complete, and one that takes its time."""

    @hookimpl
    def actions(self) -> Iterable[object]:
        """Two commands."""

        @action("paint")
        async def paint(
            session: Session,
            colour: Annotated[str, "A colour", _colours],
            size: Literal["small", "large"] = "small",
        ) -> str:
            """Paint the wall."""
            return f"The wall is {colour} and {size}."

        @action("slow")
        async def slow(session: Session) -> AsyncGenerator[Progress, None]:
            """Take a long time."""
            for step in range(1000):
                yield Progress("Working", step, 1000, "files")
                await asyncio.sleep(0.02)

        @action("broken")
        async def broken(session: Session) -> None:
            """Raise."""
            raise ValueError("not today")

        return [paint, slow, broken]


def _colours(session: Session, prefix: str) -> Iterable[str]:
    return ["red", "green", "grey"]


def with_colours(folder: Path) -> tuple[ScriptedEngine, Host]:
    """An engine and a host that has the plugin."""
    engine = ScriptedEngine()
    host = host_in(folder, engine)
    host.add("colours", Colours())
    return engine, host


async def opened(chat: Running, count: int) -> Completion:
    """The list, once it has so many rows."""
    found = chat.chat.query_one(Completion)
    await chat.until(lambda: found.option_count == count)
    return found


async def test_slash_completes_commands_then_their_arguments(tmp_path: Path) -> None:
    engine, host = with_colours(tmp_path)
    async with running(tmp_path, engine=engine, host=host) as chat:
        await chat.press(*"/pai")
        await opened(chat, 1)
        await chat.shows("Paint the wall.")
        await chat.press("enter")
        assert chat.chat.composer.text == "/paint "
        await opened(chat, 3)
        await chat.press(*"g")
        await opened(chat, 2)
        await chat.press("down", "tab")
        assert chat.chat.composer.text == "/paint grey "
        await opened(chat, 2)
        await chat.press(*"la", "tab")
        assert chat.chat.composer.text == "/paint grey large "
        await chat.press("escape", "enter")
        await chat.until(lambda: chat.settled and "The wall is grey and large." in chat.screen_text)


async def test_enter_runs_a_command_that_is_complete(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.press(*"/plugin li")
        await opened(chat, 1)
        await chat.press("enter")
        await chat.until(lambda: chat.settled and "scripted" in chat.screen_text and "STATE" not in chat.screen_text)
        assert chat.chat.composer.text == ""
        assert list(chat.chat.session.conversation.path()) == []


async def test_escape_closes_the_list_and_keeps_the_text(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.press(*"/models")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.press("escape")
        assert not chat.chat.completer.opened
        assert chat.chat.composer.text == "/models"


async def test_escape_stops_a_command(tmp_path: Path) -> None:
    engine, host = with_colours(tmp_path)
    async with running(tmp_path, engine=engine, host=host) as chat:
        chat.chat.composer.put("/slow")
        chat.chat.composer.submit()
        await chat.until(lambda: "of 1,000 files" in chat.chat.status.doing)
        await chat.tap("escape")
        await chat.until(lambda: not chat.chat.runner.busy)
        assert chat.chat.status.doing == ""


async def test_a_command_that_fails_says_so_and_gives_the_text_back(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.chat.composer.put("/nonsense 1")
        chat.chat.composer.submit()
        await chat.until(lambda: chat.settled and chat.chat.query(Note))
        assert "There is no command /nonsense." in str(chat.chat.query_one(Note).content)
        assert chat.chat.composer.text == "/nonsense 1"


async def test_a_command_that_raises_is_named_and_the_chat_goes_on(tmp_path: Path) -> None:
    engine, host = with_colours(tmp_path)
    async with running(tmp_path, engine=engine, host=host) as chat:
        await chat.send("/broken")
        await chat.shows("/broken of the plugin 'colours' failed")
        await chat.send("Hi")
        assert chat.said[-1] == ("assistant", "OK.")


async def test_at_completes_files_and_attaches_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work" / "notes").mkdir(parents=True)
    (tmp_path / "work" / "notes" / "to do.txt").write_text("Buy milk.")
    monkeypatch.chdir(tmp_path / "work")
    async with running(tmp_path) as chat:
        await chat.press(*"read @no")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.press("tab")
        assert chat.chat.composer.text == "read @notes/"
        await opened(chat, 1)
        await chat.press("tab")
        assert chat.chat.composer.text == 'read @"notes/to do.txt" '
        await chat.press("enter")
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        sources = [part for part in next(iter(chat.chat.session.conversation.path())).parts if isinstance(part, Source)]
        assert [(source.title, source.text) for source in sources] == [("notes/to do.txt", "Buy milk.")]
        await chat.shows("notes/to do.txt · 1 line")
