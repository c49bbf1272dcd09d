"""`--dev` and switching plugins, in the terminal chat: what is shown follows the plugins."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import TabPane

from chatapp.authoring.reloading import Reloading
from chatapp.testing import ScriptedEngine
from tests.support_dev import hurry
from tests.support_plugins import write_plugin
from tests.tui.support import host_in, running

PLUGIN = '''
from chatapp import Panel, action, hookimpl
from pydantic import BaseModel, Field

class Options(BaseModel):
    """Its settings."""
    {mark}_size: int = Field(1, description="How large.")

@hookimpl
def settings():
    return Options

@action("say {mark}")
async def say(session):
    """Say {mark}."""
    return "It says {mark}."

@hookimpl
def actions():
    return [say]

@hookimpl
def panels():
    from textual.widgets import Static
    yield Panel("say", "Panel {mark}", lambda session: Static("The panel of {mark}"))
'''


async def test_what_is_shown_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    write_plugin(tmp_path, "say", PLUGIN.format(mark="one"))
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("dev", Reloading(host))
    host.load(lambda found: found.plugin.origin != "bundled")
    async with running(tmp_path, host=host, engine=engine, size=(140, 40)) as chat:
        await chat.press("f5")
        await chat.shows("dev", "Panel one")
        await chat.send("/say one")
        await chat.shows("It says one.")
        path = write_plugin(tmp_path, "say", PLUGIN.format(mark="two"))
        await chat.shows("Panel two", "The plugin 'say' is loaded again.")
        await chat.hides("Panel one")
        chat.chat.composer.put("/say ")
        await chat.shows("/say two")
        await chat.send("/say two")
        await chat.shows("It says two.")
        await chat.press("f4")
        await chat.until(lambda: "two_size" in form(chat.app))
        path.write_text("\n1 / 0")
        await chat.shows("ZeroDivisionError: division by zero (say.py, line")
        assert "two_size" in form(chat.app)
        path.unlink()
        await chat.until(lambda: "two_size" not in form(chat.app))
        await chat.press("escape")
        await chat.until(lambda: "Panel two" not in [str(pane._title) for pane in chat.app.query(TabPane)])
        await chat.send("Hello")
        await chat.shows("OK.")


def form(app: object) -> list[str]:
    """The settings on the form in front."""
    return [row.field.name for row in app.screen.query("FieldRow")]  # type: ignore[attr-defined]
