"""The list of conversations."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.messages import assistant, user
from chatapp.tui.screens.sessions import SessionsScreen

from .support import Running, running


def fill(archive: Archive) -> None:
    """Three conversations, the last one the newest."""
    for number, (question, answer) in enumerate(
        [("Cooking rice", "Use more water."), ("A trip to Rome", "See the Forum."), ("Python lists", "Use append.")]
    ):
        conversation = Conversation(title=question, updated=1_000.0 + number)
        conversation.append(user(question))
        conversation.append(assistant(answer))
        conversation.updated = 1_000.0 + number
        archive.save(conversation)


async def opened(chat: Running, count: int) -> SessionsScreen:
    """The list, once it has so many rows."""
    await chat.press("f2")
    await chat.until(lambda: isinstance(chat.app.screen, SessionsScreen))
    screen = chat.app.screen
    assert isinstance(screen, SessionsScreen)
    await chat.until(lambda: len(screen._rows) == count)
    return screen


def titles(screen: SessionsScreen) -> list[str]:
    """What is listed."""
    return [row.title for row in screen._rows]


async def test_newest_first_and_enter_opens(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        fill(chat.app.host.archive)
        screen = await opened(chat, 3)
        assert titles(screen) == ["Python lists", "A trip to Rome", "Cooking rice"]
        await chat.press("down", "enter")
        await chat.until(lambda: chat.said == [("user", "A trip to Rome"), ("assistant", "See the Forum.")])
        assert chat.app.screen is chat.chat
        assert "A trip to Rome" in str(chat.chat.composer.border_title)


async def test_search_looks_at_everything_that_was_said(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        fill(chat.app.host.archive)
        screen = await opened(chat, 3)
        await chat.press(*"append")
        await chat.until(lambda: titles(screen) == ["Python lists"])
        await chat.pilot.pause()
        await chat.shows("Use append.")
        screen.query_one("#search", Input).value = "nothing like it"
        await chat.shows("Nothing was found")


async def test_rename_delete_and_undo(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        fill(chat.app.host.archive)
        screen = await opened(chat, 3)
        await chat.press("ctrl+t")
        await chat.until(lambda: chat.app.screen is not screen)
        await chat.press("end", *"!", "enter")
        await chat.until(lambda: titles(screen)[:1] == ["Python lists!"])
        await chat.press("ctrl+d")
        await chat.until(lambda: titles(screen) == ["A trip to Rome", "Cooking rice"])
        assert any("brings it back" in notice for notice in chat.notices)
        await chat.press("ctrl+d")
        await chat.until(lambda: titles(screen) == ["Cooking rice"])
        await chat.press("ctrl+z")
        await chat.until(lambda: titles(screen) == ["A trip to Rome", "Cooking rice"])
        await chat.press("ctrl+z")
        await chat.until(lambda: titles(screen) == ["Python lists!", "A trip to Rome", "Cooking rice"])


async def test_deleting_the_open_conversation_begins_a_new_one(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("Hello")
        screen = await opened(chat, 1)
        await chat.press("ctrl+d")
        await chat.until(lambda: titles(screen) == [])
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.chat)
        assert chat.said == []
        await chat.send("Another")
        assert len(chat.app.host.archive.list()) == 1


async def test_export_and_import_again(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        fill(chat.app.host.archive)
        screen = await opened(chat, 3)
        file = tmp_path / "lists.json"
        await chat.press("ctrl+s")
        await chat.until(lambda: chat.app.screen is not screen)
        await chat.press("down", "enter")
        await chat.until(lambda: bool(chat.app.screen.query(Input)) and chat.app.screen is not screen)
        chat.app.screen.query_one(Input).value = str(file)
        await chat.press("enter")
        await chat.until(file.exists)
        assert "Use append." in file.read_text()
        await chat.until(lambda: chat.app.screen is screen)
        await chat.press("ctrl+l")
        await chat.until(lambda: chat.app.screen is not screen)
        chat.app.screen.query_one(Input).value = str(file)
        await chat.press("enter")
        await chat.until(lambda: titles(screen).count("Python lists") == 2)
        assert len(chat.app.host.archive.list()) == 4


async def test_the_chat_shows_the_new_title_of_its_own_conversation(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("Hello there")
        assert "Hello there" in str(chat.chat.composer.border_title)
        screen = await opened(chat, 1)
        await chat.press("ctrl+t")
        await chat.until(lambda: chat.app.screen is not screen)
        await chat.press("end", *"!", "enter")
        await chat.until(lambda: titles(screen) == ["Hello there!"])
        await chat.press("escape")
        await chat.until(lambda: "Hello there!" in str(chat.chat.composer.border_title))
