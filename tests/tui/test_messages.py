"""What is done with messages: edit, answer again, versions, copy, pin; and what is shown of their parts."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import pytest
from textual.widgets import Input, Markdown, OptionList, Static

from chatapp.conversation import Conversation
from chatapp.hookspecs import hookimpl
from chatapp.messages import Data, Media, Message, Part, Source, Text, ToolCall, ToolResult, user
from chatapp.session import Session
from chatapp.testing import ScriptedEngine
from chatapp.tui import clipboard
from chatapp.tui.message_actions import code_blocks
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.fold import Fold
from chatapp.tui.widgets.sent import SentPanel
from chatapp.ui import Panel

from .support import host_in, running

NASTY = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eevil [bold]not markup[/bold] <b>tag</b>"


async def test_editing_keeps_the_old_version_beside_the_new(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("First answer.", "Second answer.")
        await chat.send("Frist")
        await chat.press("alt+up", "up", "e")
        await chat.until(lambda: chat.chat.editing is not None)
        assert chat.chat.composer.text == "Frist"
        chat.chat.composer.put("First")
        await chat.press("enter")
        await chat.until(lambda: chat.settled and chat.said[-1][1] == "Second answer.")
        assert chat.said == [("user", "First"), ("assistant", "Second answer.")]
        await chat.shows("‹ 2/2 ›")
        await chat.press("alt+up", "up", "left")
        await chat.until(lambda: chat.said == [("user", "Frist"), ("assistant", "First answer.")])
        await chat.shows("‹ 1/2 ›")


async def test_escape_twice_edits_the_last_message_and_a_third_gives_up(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("Hello there")
        await chat.press("escape", "escape")
        assert chat.chat.composer.text == "Hello there"
        await chat.shows("Editing an earlier message")
        await chat.press("escape")
        assert chat.chat.composer.text == ""
        assert chat.chat.editing is None


async def test_answering_again_and_walking_between_the_versions(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("One.", "Two.", "Three.")
        await chat.send("Count")
        await chat.press("alt+up", "r")
        await chat.until(lambda: chat.settled and chat.said[-1][1] == "Two.")
        assert chat.said == [("user", "Count"), ("assistant", "Two.")]
        await chat.press("ctrl+r")
        await chat.until(lambda: chat.settled and chat.said[-1][1] == "Three.")
        await chat.press("alt+up", "[")
        await chat.until(lambda: chat.said[-1][1] == "Two.")
        await chat.press("[", "]")
        await chat.until(lambda: chat.said[-1][1] == "Two.")
        loaded = chat.app.host.archive.load(chat.chat.session.conversation.id)
        assert [message.text for message in loaded.path()] == ["Count", "Two."]


async def test_a_command_that_answers_again_replaces_what_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("One.", "Two.")
        await chat.send("Count")
        await chat.send("/retry")
        assert chat.said == [("user", "Count"), ("assistant", "Two.")]
        await chat.send("/new")
        assert chat.said == []


async def test_pinning_is_kept_and_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("Remember me")
        await chat.press("alt+up", "up", "p")
        await chat.shows("pinned")
        conversation = chat.chat.session.conversation
        assert [node.pinned for node in conversation.nodes.values()] == [True, False]
        await chat.press("p")
        await chat.hides("pinned")


async def test_copying_a_message_and_a_code_block(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("Look:\n\n```python\nprint(1)\n```\n\n```\nls\n```\n")
        await chat.send("Show code")
        await chat.press("alt+up", "c")
        await chat.until(lambda: chat.app.clipboard.startswith("Look:"))
        await chat.press("y")
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press("down", "enter")
        await chat.until(lambda: chat.app.clipboard == "ls\n")


def test_code_blocks_are_found_as_markdown_has_them() -> None:
    text = "a\n```python\nx = '```'\n```\n> ~~~\n> quoted\n> ~~~\n\n    indented\n"
    assert code_blocks(text) == ["x = '```'\n", "quoted\n", "indented\n"]
    assert code_blocks("none") == []


def test_the_terminal_is_told_to_copy_also_inside_tmux() -> None:
    plain = clipboard.escape_sequences("héllo", {})
    assert plain == f"\x1b]52;c;{base64.b64encode('héllo'.encode()).decode()}\a"
    wrapped = clipboard.escape_sequences("héllo", {"TMUX": "x"})
    assert wrapped == f"{plain}\x1bPtmux;\x1b{plain}\x1b\\"


async def test_a_clipboard_program_that_fails_or_hangs_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in {"xclip": "exit 3", "xsel": "sleep 60"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(clipboard, "SECONDS", 0.2)
    assert not await clipboard.copy_locally("text")
    (tmp_path / "xclip").unlink()
    assert not await clipboard.copy_locally("text")
    (tmp_path / "xclip").write_text(f"#!/bin/sh\ncat > {tmp_path}/copied\n")
    (tmp_path / "xclip").chmod(0o755)
    assert await clipboard.copy_locally("text")
    assert (tmp_path / "copied").read_text() == "text"


async def test_escape_sequences_and_markup_are_shown_not_interpreted(tmp_path: Path) -> None:
    async with running(tmp_path, size=(120, 40)) as chat:
        chat.engine.says(NASTY)
        await chat.send(f"say {NASTY}")
        chat.app.host.ui.notify(NASTY, "warning")
        chat.app.host.ui.show(Source(NASTY, NASTY, locator=NASTY))
        await chat.shows("␛[31mred␛]0;title␇", "[bold]not markup[/bold]", "<b>tag</b>")
        text = chat.screen_text
        assert not set(text) & set("\x1b\x07\x9b\u202e")


async def test_every_kind_of_part_is_shown(tmp_path: Path) -> None:
    conversation = Conversation()
    conversation.append(user("Q", Source("paper.pdf", "The passage.", locator="page 3", number=1, score=0.5)))
    call = ToolCall("1", "search", {"query": "cats"})
    conversation.append(Message("assistant", (call,)))
    conversation.append(Message("tool", (ToolResult("1", "search", "three cats"),)))
    media = Media("/pictures/cat.png", "image/png", "A cat on a mat")
    conversation.append(Message("assistant", (Text("Done."), media, Data("stats", {"n": 1}, "n is 1"))))
    async with running(tmp_path, conversation=conversation, size=(100, 40)) as chat:
        await chat.shows(
            "[1] paper.pdf, page 3", "Calls search(query='cats')", "✓ search: three cats", "A cat on a mat"
        )
        await chat.shows("/pictures/cat.png", "n is 1")
        await chat.hides("The passage.")
        await chat.chat.query(Fold).first().toggle()
        await chat.pilot.pause()
        await chat.shows("The passage.")


async def test_links_are_never_opened_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    async with running(tmp_path) as chat:
        chat.engine.says("[x](https://example.org) [y](file:///etc/passwd)")
        await chat.send("Links")
        text = chat.chat.query_one(AnswerText)
        text.post_message(Markdown.LinkClicked(text, "file:///etc/passwd"))
        await chat.until(lambda: any("not opened" in notice for notice in chat.notices))
        text.post_message(Markdown.LinkClicked(text, "https://example.org"))
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press("escape")
        assert opened == []
        text.post_message(Markdown.LinkClicked(text, "https://example.org"))
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press("y")
        await chat.until(lambda: opened == ["https://example.org"])


class Shows:
    """A plugin that shows Data its own way and has a panel."""

    @hookimpl
    def render_part(self, part: Part) -> Static | None:
        """A widget for its own part."""
        return Static("my own drawing") if isinstance(part, Data) and part.name == "mine" else None

    @hookimpl
    def panels(self) -> Iterable[Panel]:
        """Two panels, of which one cannot be made."""
        yield Panel("good", "Good [panel]", lambda session: Input("inside the panel"))
        yield Panel("bad", "Bad", lambda session: 1 / 0)


class Raises:
    """A plugin whose renderer fails."""

    @hookimpl
    def render_part(self, part: Part) -> None:
        """Fail."""
        raise RuntimeError("cannot draw")


async def test_plugins_draw_parts_and_panels_and_failures_are_named(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("raises", Raises())
    host.add("shows", Shows())
    async with running(tmp_path, host=host, engine=engine) as chat:
        engine.says([Data("mine", 1, "plain")])
        await chat.send("Draw")
        await chat.shows("my own drawing")
        assert "'raises' failed in render_part" in " ".join(chat.notices)
        assert "'shows' failed in panels" in " ".join(chat.notices)
        await chat.press("f5")
        await chat.shows("Good [panel]")


async def test_the_sent_panel_lists_what_the_model_read(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.send("First question")
        await chat.send("Second question")
        await chat.press("f5")
        panel = chat.chat.query_one(SentPanel)
        assert [piece.title for piece in panel.pieces] == ["Instruction", "User", "Assistant", "User"]
        assert panel.pieces[0].reused == panel.pieces[0].tokens
        assert panel.pieces[-1].reused == 0
        await chat.shows("reused")
        chat.chat.query_one("#sent-list", OptionList).highlighted = 3
        await chat.press("enter")
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.shows("Second question")
        await chat.press("escape", "f5")
        assert chat.app.focused is chat.chat.composer


async def test_dialogs_answer_and_go_with_who_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        session: Session = chat.chat.session
        for key, answer in (("y", True), ("n", False), ("escape", False), ("enter", False)):
            asked = chat.chat.run_worker(session.ui.confirm("Sure?", "Because."))
            await chat.until(lambda: len(chat.app.screen_stack) == 2)
            await chat.press(key)
            assert await asked.wait() is answer
        written = chat.chat.run_worker(session.ui.prompt("Name?", "Ada"))
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press("end", *" L", "enter")
        assert await written.wait() == "Ada L"
        gone = chat.chat.run_worker(session.ui.choose("Which?", ["a", "b"]))
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        gone.cancel()
        await chat.until(lambda: len(chat.app.screen_stack) == 1)
