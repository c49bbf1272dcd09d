"""Settings, keys, help, themes, the palette, and that nothing overflows a small screen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from textual.binding import Binding
from textual.command import CommandPalette
from textual.widgets import Input, Select, Switch

import chatapp.tui
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.testing import ScriptedEngine
from chatapp.tui import keys, themes
from chatapp.tui.screens.settings import SettingsScreen
from chatapp.tui.widgets.field import FieldRow

from .support import Running, host_in, running


class Model(BaseModel):
    """A plugin's settings."""

    size: int = Field(3, ge=1, le=9, description="How large it is.")
    on: bool = Field(False, description="Whether it is on.")
    mode: Literal["quick", "good"] = Field("quick", description="How it works.")
    folders: list[str] = Field([], description="Where it looks.")


class Plugin:
    """A plugin with settings."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """Its table."""
        return Model


def host_with_settings(folder: Path, engine: ScriptedEngine) -> Host:
    """A host that has the plugin."""
    host = host_in(folder, engine)
    host.add("sized", Plugin())
    return host


async def form(chat: Running) -> dict[str, FieldRow]:
    """The rows of the form, by table and name."""
    await chat.press("f4")
    await chat.until(lambda: isinstance(chat.app.screen, SettingsScreen))
    await chat.pilot.pause()
    return {f"{row.field.table}.{row.field.name}": row for row in chat.app.screen.query(FieldRow)}


def saved(host: Host) -> dict[str, Any]:
    """The settings file."""
    return tomllib.loads(host.settings.path.read_text()) if host.settings.path.exists() else {}


async def test_the_form_has_every_setting_with_its_prose(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with running(tmp_path, host=host_with_settings(tmp_path, engine), engine=engine) as chat:
        rows = await form(chat)
        assert {".model", ".theme", "sampling.temperature", "plugins.order", ".keys", "sized.size"} <= set(rows)
        assert all(row.field.info.description for row in rows.values())
        await chat.shows("The model that answers")


async def test_values_are_checked_written_and_set_back(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_with_settings(tmp_path, engine)
    async with running(tmp_path, host=host, engine=engine) as chat:
        rows = await form(chat)
        size = rows["sized.size"]
        size.query_one(Input).focus()
        size.query_one(Input).value = "99"
        await chat.press("enter")
        await chat.until(lambda: size.query_one(".field-error").display)
        assert "less than or equal to 9" in str(size.query_one(".field-error").render())
        assert saved(host) == {}
        size.query_one(Input).value = "5"
        await chat.press("enter")
        await chat.until(lambda: saved(host).get("sized") == {"size": 5})
        assert not size.query_one(".field-error").display
        assert host.config(Model).size == 5
        await chat.press("ctrl+r")
        await chat.until(lambda: saved(host).get("sized") == {})
        assert size.query_one(Input).value == "3"


async def test_switches_choices_lists_and_tables(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_with_settings(tmp_path, engine)
    async with running(tmp_path, host=host, engine=engine) as chat:
        rows = await form(chat)
        rows["sized.on"].query_one(Switch).value = True
        await chat.until(lambda: saved(host).get("sized", {}).get("on") is True)
        rows["sized.mode"].query_one(Select).value = "good"
        await chat.until(lambda: saved(host).get("sized", {}).get("mode") == "good")
        rows["sized.folders"].query_one(Input).focus()
        rows["sized.folders"].query_one(Input).value = "/a, /b"
        await chat.press("enter")
        await chat.until(lambda: host.config(Model).folders == ["/a", "/b"])
        rows["sampling.temperature"].query_one(Input).focus()
        rows["sampling.temperature"].query_one(Input).value = "0.5"
        await chat.press("enter")
        await chat.until(lambda: host.settings.core.sampling.temperature == 0.5)
        rows[".keys"].query_one(Input).focus()
        rows[".keys"].query_one(Input).value = "chat.side = f9"
        await chat.press("enter")
        await chat.until(lambda: host.settings.core.keys == {"chat.side": "f9"})
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.chat)
        await chat.press("f9")
        assert chat.chat.side.display


async def test_keys_of_the_settings_are_taken_and_wrong_ones_named(tmp_path: Path) -> None:
    own = {"composer.send": "ctrl+g", "message.copy": "x", "no.such": "f5", "chat.new": "ctrl+r", "chat.page_up": "+"}
    async with running(tmp_path, keys=own) as chat:
        await chat.press(*"Hi", "enter")
        assert chat.chat.composer.text == "Hi\n"
        await chat.press("ctrl+g")
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        await chat.shows("Ctrl+G send")
        await chat.press("alt+up", "x")
        await chat.until(lambda: chat.app.clipboard == "OK.")
        said = " ".join(chat.notices)
        assert "no binding 'no.such'" in said
        assert "Ctrl+R of 'chat.new' is also 'chat.again'" in said


def test_a_key_that_is_none_is_named() -> None:
    usable, problems = keys.check({"chat.new": "ctrl + n!", "message.copy": "?"})
    assert usable == {"message.copy": "question_mark"}
    assert len(problems) == 2
    assert "is not a key" in problems[0]
    assert "'message.help'" in problems[1]


def test_every_binding_has_an_id_a_sentence_and_a_place_in_the_help() -> None:
    from textual.dom import DOMNode

    found = keys.groups()
    places = {group.place for group in found}
    waiting, ours = [DOMNode], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith(chatapp.tui.__name__) and kind.__dict__.get("BINDINGS"):
            ours.add(kind)
    assert ours == places
    bindings = [binding for group in found for binding in group.bindings]
    assert all(isinstance(binding, Binding) and binding.id and binding.tooltip.endswith(".") for binding in bindings)
    ids = [(binding.id, binding.action) for binding in bindings]
    assert len({name for name, _ in ids}) == len(ids)


async def test_help_shows_every_key_and_begins_where_the_cursor_is(tmp_path: Path) -> None:
    async with running(tmp_path, keys={"chat.side": "f9"}) as chat:
        await chat.send("Hi")
        await chat.press("alt+up", "f1")
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        page = chat.app.screen
        text = page.text  # type: ignore[attr-defined]
        assert text.startswith("On a message")
        for group in keys.groups():
            for binding in group.bindings:
                assert f"{binding.tooltip} ({binding.id})" in text
        assert "F9: Show or hide the panel" in text
        await chat.press("f1")
        assert chat.app.screen is chat.chat


@pytest.mark.parametrize(
    ("setting", "environment", "name"),
    [
        ("", {}, "chatapp-dark"),
        ("", {"COLORFGBG": "0;15"}, "chatapp-light"),
        ("", {"COLORFGBG": "15;default;0"}, "chatapp-dark"),
        ("light", {}, "chatapp-light"),
        ("nord", {}, "nord"),
    ],
)
def test_the_theme_follows_the_setting_then_the_terminal(setting: str, environment: dict[str, str], name: str) -> None:
    known = ["chatapp-dark", "chatapp-light", "nord"]
    assert themes.theme_for(setting, known, environment) == (name, "")
    assert themes.theme_for("pink", known, environment)[1].startswith("There is no theme 'pink'")


async def test_a_theme_chosen_in_the_palette_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path, theme="dark") as chat:
        assert chat.app.theme == "chatapp-dark"
        await chat.press("ctrl+p", *"chatapp-light")
        await chat.until(lambda: isinstance(chat.app.screen, CommandPalette))
        await chat.pilot.pause(0.5)
        await chat.press("enter")
        await chat.until(lambda: chat.app.theme == "chatapp-light")
        assert saved(chat.app.host)["theme"] == "chatapp-light"


async def test_the_palette_runs_commands(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        await chat.press("ctrl+p", *"/settings path")
        await chat.until(lambda: isinstance(chat.app.screen, CommandPalette))
        await chat.pilot.pause(0.5)
        await chat.press("enter")
        await chat.until(lambda: "/settings path" in chat.screen_text and chat.chat.query(".output"))


@pytest.mark.parametrize("key", ["", "f1", "f2", "f3", "f4", "f5", "ctrl+p"])
async def test_nothing_overflows_a_small_screen(tmp_path: Path, key: str) -> None:
    async with running(tmp_path) as chat:
        chat.engine.says("word " * 300)
        await chat.send("A long title that goes on and on and would not fit into eighty columns at all, would it?")
        if key:
            await chat.press(key)
            await chat.pilot.pause(0.3)
        for widget in chat.app.screen.query("*"):
            if widget.display and widget.region.area and not widget.is_scrollable:
                inside = [each for each in widget.ancestors if getattr(each, "is_scrollable", False)]
                if not inside or inside == [chat.app.screen]:
                    assert widget.region.right <= 80
        lines = chat.screen_text.splitlines()
        assert len(lines) == 24
        if key in {"", "f5"}:
            assert "Enter" in lines[22]
            assert "scripted" in lines[23]
