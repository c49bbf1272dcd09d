"""The terminal chat, the shell and the real model, as an author's tests have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_testing import Author, project


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    """An author with the plugin `units`."""
    return project(tmp_path, monkeypatch)


def test_the_chat_is_steered_and_seen(author: Author) -> None:
    author.passes(
        """
        async def test_it(pilot, engine, tmp_path):
            chat = await pilot(size=(90, 30))
            gate = engine.holds(after="Half an")
            engine.says(" answer.")
            await chat.type("Hi")
            await chat.shows("Half an")
            assert not chat.settled
            gate.set()
            await chat.shows("Half an answer.")
            await chat.until(lambda: chat.settled)
            assert chat.said == [("user", "Hi"), ("assistant", "Half an answer.")]
            assert "Use metric units." in engine.sent[0][1]
            await chat.send("/units 3")
            assert "1.9 miles" in chat.text
            assert chat.notices == ["converted"]
            assert len(chat.text.splitlines()) == 30
            await chat.press("f1")
            await chat.shows("Writing a message")
            await chat.press("escape")
            await chat.hides("Writing a message")
            picture = chat.screenshot(tmp_path / "pictures" / "chat.svg")
            assert "1.9" in picture.read_text(encoding="utf-8")
            assert [name for name in chat.session.host.plugins] == ["scripted", "chatapp", "units"]
        """
    )


def test_it_can_be_opened_again_on_the_same_files(author: Author) -> None:
    author.passes(
        """
        import chatapp_units

        async def test_it(pilot, engine):
            first = await pilot()
            await first.send("Remember this")
            await pilot.close()
            again = await pilot(chatapp_units, theme="light")
            await again.press("f2")
            await again.shows("Remember this")
            assert again.session.host.settings.core.theme == "light"
        """
    )


def test_a_screen_that_never_comes(author: Author) -> None:
    source = """
    import pytest
    from chatapp.testing import piloting

    async def test_it(pilot, monkeypatch):
        monkeypatch.setattr(piloting, "PATIENCE", 0.1)
        chat = await pilot()
        with pytest.raises(pytest.fail.Exception, match="What was waited for did not come true") as failed:
            await chat.until(lambda: False)
        assert "F1 help" in str(failed.value)
        with pytest.raises(pytest.fail.Exception, match="went on showing"):
            await chat.hides("F1 help")
        await chat.shows("F1 help", "a miracle")
    """
    author.fails(source, "The screen never showed ['a miracle']: ", "F1 help")


def test_what_goes_wrong_on_the_screen_fails_the_test(author: Author) -> None:
    source = """
    import pytest
    from chatapp import Data, action, hookimpl

    class Draws:
        @hookimpl
        def render_part(self, part):
            if part.kind == "data":
                raise ValueError("no ink")

        @hookimpl
        def actions(self):
            @action("draw")
            async def draw(session):
                "Draw."
                return Data("draws.it", 1, "A drawing.")
            return [draw]

    @pytest.fixture
    def plugins(): return [Draws()]

    async def test_it(pilot):
        chat = await pilot()
        await chat.send("/draw")
        await chat.shows("A drawing.")
    """
    author.fails(source, "The plugin 'draws' failed in render_part: ValueError: no ink", passed=1, error=1)


def test_an_app_that_crashes_says_so_at_once(author: Author) -> None:
    source = """
    async def test_it(pilot):
        chat = await pilot()
        chat.app.call_later(lambda: 1 / 0)
        await chat.shows("what will never come")
    """
    run = author.tests(source)
    assert run.outcomes == {"failed": 1, "error": 1}
    assert "ZeroDivisionError: division by zero" in run.told


def test_a_command_line(author: Author) -> None:
    author.passes(
        """
        import json
        from chatapp.testing import Ran

        def test_it(shell, engine):
            assert shell("units 3") == Ran(0, "1.9 miles\\n", "converted\\n")
            assert json.loads(shell("units 3 --json").out)["text"] == "1.9 miles"
            ran = shell("units -- -3")
            assert (ran.code, ran.err) == (2, "Error: A distance is never below zero.\\n")
            assert shell("unitz").code == 2
            engine.says("Yes.")
            assert shell("ask 'Is it so?'", stdin="A fact.").out == "Yes.\\n"
            assert "A fact." in engine.sent[-1][1]
            assert "Is it so?" in engine.sent[-1][1]
            assert "units" in shell("--help").out
            assert shell("settings set units.digits 2").code == 0
            assert shell("units 3").out == "1.86 miles\\n"

        async def test_beside_a_session(shell, session):
            assert shell("--offline units 3").out == "1.9 miles\\n"
        """,
        count=2,
    )


MODEL = """
from chatapp import completed
from chatapp.testing import run_action

def test_nothing(): pass

async def test_it(session, small_model):
    session.values["sampling"] = {"temperature": 0.0}
    turn = await completed(session, "Say yes.")
    assert turn.text.strip()
    assert turn.answers[-1].meta["model"] != "scripted"
    on = [name for name, plugin in session.host.plugins.items() if plugin.state == "on"]
    assert {"scripted", "units"} < set(on)
    assert len(on) == 3
"""


def test_the_real_model_on_request(author: Author, model_path: Path) -> None:
    author.passes(MODEL, f"--chatapp-model={model_path}", count=2)


def test_without_a_model_the_test_is_skipped(author: Author, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHATAPP_HOME", str(tmp_path / "nothing"))
    run = author.tests(MODEL, "-rs")
    assert run.outcomes == {"passed": 1, "skipped": 1}
    assert "No small model is here: chatapp models pull " in run.told
    assert "or pytest --chatapp-model=PATH." in run.told
    run = author.tests(MODEL, "--chatapp-model=unheard-of")
    assert run.outcomes == {"passed": 1, "error": 1}
    assert "--chatapp-model=unheard-of: " in run.told
    assert not (tmp_path / "nothing" / "data" / "models").exists() or not any((tmp_path / "nothing").rglob("*.gguf"))
