"""Typing faster than completions come: a key acts on what is written, never on the list of a moment ago."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatapp.tui.completer
from chatapp.completion import Candidate
from chatapp.session import Session
from tests.tui.support import running


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Completions of what begins with /models come only once this is set."""
    gate = threading.Event()

    def complete(session: Session, before: str, folder: Path) -> list[Candidate]:
        if before.startswith("/models"):
            gate.wait()
            return [Candidate(0, "/models list", "List the models", final=True)]
        return [Candidate(0, "/agent", "Let the model use tools"), Candidate(0, "/add", "Add")]

    monkeypatch.setattr(chatapp.tui.completer, "complete", complete)
    yield gate
    gate.set()


async def test_tab_takes_what_comes_for_this_text(tmp_path: Path, gate: threading.Event) -> None:
    async with running(tmp_path) as chat:
        await chat.press("/")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.press(*"models")
        assert not chat.chat.completer.opened
        await chat.press("tab")
        assert chat.chat.composer.text == "/models"
        assert chat.chat.composer.has_focus
        gate.set()
        await chat.until(lambda: chat.chat.composer.text.strip() == "/models list")


async def test_enter_sends_what_is_written(tmp_path: Path, gate: threading.Event) -> None:
    async with running(tmp_path) as chat:
        await chat.press("/")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.press(*"models list", "enter")
        gate.set()
        await chat.until(lambda: chat.settled and "/models list" in chat.screen_text)
        assert "/agent" not in chat.screen_text
