"""The fixtures for authors, used in a project elsewhere: the plugin under test alone, however pytest is set up."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from chatapp import testing
from tests.support_testing import STRICT, UNITS, Author, project


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    """An author with the plugin `units`."""
    return project(tmp_path, monkeypatch)


def test_a_session_has_the_plugin_alone(author: Author) -> None:
    author.passes(
        """
        from chatapp import completed

        async def test_it(session, host, engine, ui, chatapp_home):
            assert (session.host, host.ui) == (host, ui)
            assert list(host.plugins) == ["scripted", "units"]
            assert host.paths.config == chatapp_home / "config"
            engine.says("Yes.")
            turn = await completed(session, "Hi")
            assert turn.text == "Yes."
            assert engine.sent == [("system", "Use metric units."), ("user", "Hi")]
        """
    )


def test_an_action_shows_and_tells(author: Author) -> None:
    author.passes(
        """
        import pytest
        from chatapp import Progress, Text, UsageError
        from chatapp.testing import run_action

        async def test_it(session, ui):
            assert await run_action(session, "units", "3") == [Text("1.9 miles")]
            assert ui.progressed == [Progress("Converting", 1, 1)]
            assert ui.notices == [("information", "converted")]
            session.host.set_config("units", "digits", 3)
            assert await run_action(session, "units", "3") == [Text("1.864 miles")]
            with pytest.raises(UsageError, match="never below zero"):
                await run_action(session, "units", "-- -1")
            with pytest.raises(UsageError, match="There is no command /unit. Did you mean /units"):
                await run_action(session, "unit", "3")
        """
    )


def test_an_action_that_asks_the_model(author: Author) -> None:
    author.passes(
        """
        import pytest
        from chatapp import EngineError, Text, action, hookimpl
        from chatapp.testing import run_action

        class Asks:
            @hookimpl
            def actions(self):
                @action("summary", shell=False)
                async def summary(session):
                    "Sum it up."
                    async for event in session.send("Sum it up."):
                        yield event
                return [summary]

        @pytest.fixture
        def plugins():
            return {"asks": Asks()}

        async def test_it(session, engine):
            engine.says("All is well.")
            engine.fails("The model is gone.")
            assert await run_action(session, "summary") == [Text("All is well.")]
            with pytest.raises(EngineError, match="The model is gone"):
                await run_action(session, "summary")
        """
    )


def test_a_tool_is_offered_with_the_plugin_that_offers_tools(author: Author) -> None:
    author.passes(
        """
        import chatapp_units, pytest
        from chatapp import completed
        from chatapp.testing import run_action

        @pytest.fixture
        def plugins():
            return [chatapp_units, "tools"]

        async def test_it(session, engine):
            await run_action(session, "tools on")
            engine.calls("units", km=3).says("It is 1.9 miles.")
            turn = await completed(session, "How far is 3 km?")
            assert "units" in engine.tools
            assert engine.sent[-1] == ("tool", "1.9 miles")
            assert turn.text == "It is 1.9 miles."
        """
    )


def test_an_engine_of_ones_own(author: Author) -> None:
    author.passes(
        """
        import pytest
        from chatapp import completed

        @pytest.fixture
        def plugins(): return ["example"]

        @pytest.fixture
        def chatapp_model(): return "echo"

        async def test_it(session, shell, pilot):
            assert (await completed(session, "Say it back")).text == "Say it back"
            assert shell("ask Again").out == "Again\\n"
            assert shell("ask --model scripted Again").out == "OK.\\n"
            chat = await pilot()
            await chat.send("Once more")
            assert chat.said[-1] == ("assistant", "Once more")
        """
    )


@pytest.mark.parametrize(
    ("plugins", "sentence"),
    [
        ("chatapp_units", "The plugins to test are a list, so write ["),
        ("['unitz']", "No plugin 'unitz' is installed; there are "),
        ("[Misspelt()]", "The plugin 'misspelt' is not loaded: there is no hook 'contxt'; did you mean 'context'?"),
        ("{'a': chatapp_units, 'b': chatapp_units}", "The plugin 'b' is not loaded"),
        ("[BadSettings()]", "failed in settings"),
    ],
)
def test_plugins_that_cannot_be_tested(author: Author, plugins: str, sentence: str) -> None:
    source = """
    import chatapp_units, pytest
    from chatapp import hookimpl

    class Misspelt:
        @hookimpl
        def contxt(self, turn): ...

    class BadSettings:
        @hookimpl
        def settings(self): return 3

    @pytest.fixture
    def plugins():
        return PLUGINS

    async def test_it(session):
        raise AssertionError("no session was to be had")
    """.replace("PLUGINS", plugins)
    author.fails(source, sentence, error=1)


RAISES = """
import pytest
from chatapp import completed, hookimpl

class Unlucky:
    @hookimpl
    def context(self, turn): raise ValueError("no luck today")

@pytest.fixture
def plugins(): return [Unlucky()]

async def test_it(session):
    await completed(session, "Hi")
"""


def test_a_hook_that_raises_fails_the_test(author: Author) -> None:
    author.fails(
        RAISES,
        "The plugin 'unlucky' failed in context: ValueError: no luck today (test_units.py",
        "If that is what you test, clear it: host.plugins[NAME].reported.clear()",
        passed=1,
        error=1,
    )
    author.passes(RAISES + "    session.host.plugins['unlucky'].reported.clear()\n")


STRICTLY = """
import pytest
from chatapp import completed

@pytest.mark.asyncio
async def test_it(session):
    assert (await completed(session, "Hi")).text == "OK."
"""


def test_strict_mode(author: Author) -> None:
    author.passes(STRICTLY, ini=STRICT)
    author.fails(
        STRICTLY.replace("@pytest.mark.asyncio", ""),
        'test_it is async and nothing runs it: write asyncio_mode = "auto" below [tool.pytest.ini_options]',
        "or mark it with @pytest.mark.asyncio.",
        ini=STRICT,
    )


def test_without_pytest_asyncio(author: Author) -> None:
    author.write(
        pytest_asyncio="raise ModuleNotFoundError('No module named pytest_asyncio')",
        test_units="def test_it(session): raise AssertionError\ndef test_other(): pass",
    )
    run = author.process("-p", "no:asyncio")
    assert run.outcomes == {"passed": 1, "error": 1}
    assert "The fixture 'session' needs pytest-asyncio: pip install pytest-asyncio" in run.told


def test_a_run_that_uses_no_fixture_imports_nothing_of_the_application(author: Author) -> None:
    author.write(
        conftest="",
        test_units="""
        import sys
        def test_it():
            ours = {name for name in sys.modules if name.partition(".")[0] in ("chatapp", "pydantic", "textual")}
            assert ours == {"chatapp", "chatapp.testing", "chatapp.testing.fixtures"}
        """,
    )
    run = author.process()
    assert run.outcomes == {"passed": 1}, run.told


def test_the_name_is_that_of_the_entry_point(author: Author) -> None:
    author.write(chatapp_miles=UNITS)
    folder = author.folder / "chatapp_miles_units-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: chatapp-miles-units\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[chatapp]\nmiles-units = chatapp_miles\n")
    author.passes(
        """
        import chatapp_miles, pytest
        @pytest.fixture
        def plugins(): return [chatapp_miles]
        async def test_it(host): assert list(host.configs) == ["miles-units"]
        """
    )


@pytest.mark.parametrize("name", testing.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(testing, name)
    assert isinstance(value, str) or not (inspect.getdoc(value) or f"{name}(").startswith(f"{name}(")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"module 'chatapp\.testing' has no attribute 'scrypt'"):
        _ = testing.scrypt
