"""`plugin enable` and `disable`, which are kept in the settings file and count at once, and `--safe-mode`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatapp import commands
from chatapp.engine import Engine, EngineConfig, EngineSpec, Report
from chatapp.errors import UsageError
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Text
from chatapp.session import Session
from chatapp.testing import ScriptedEngine, make_host, script, sent_texts
from tests.support_cli import chatapp
from tests.support_dev import SAY
from tests.support_plugins import run, running, send, told, write_plugin, write_settings


async def said(session: Session, line: str) -> str:
    """What a command says."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Text)
    return shown.text


async def test_it_counts_at_once_and_is_kept(tmp_path: Path) -> None:
    write_plugin(tmp_path, "say", SAY.format(mark="one", size=1))
    path = write_settings(tmp_path, '# Mine.\n[plugins]\ndisabled = ["not_here"]\n')
    async with running(tmp_path, load=True, chatapp=commands) as session:
        host, life = session.host, session.host.plugins["say"].module.LIFE
        assert await said(session, "/plugin disable say") == "say is off; `plugin enable say` brings it back."
        assert path.read_text() == '# Mine.\n[plugins]\ndisabled = ["not_here", "say"]\n'
        assert (host.plugins["say"].state, "say one" in host.actions, "say" in host.configs) == ("off", False, False)
        await send(session)
        assert "Told by one." not in sent_texts(script(session).requests[-1].messages)[0][1]
        assert life == ["started one", "ended one"]
        await said(session, "/plugin disable say")
    assert life == ["started one", "ended one"]
    async with running(tmp_path, load=True, chatapp=commands) as session:
        assert session.host.plugins["say"].state == "off"
        assert await said(session, "/plugin enable say") == "say is on."
        assert path.read_text() == '# Mine.\n[plugins]\ndisabled = ["not_here"]\n'
        assert await said(session, "/say one") == "one 1 ['started one']"
        assert await said(session, "/plugin enable say") == "say is on."
        assert await said(session, "/plugin enable not_here") == "not_here is not installed; it will be on when it is."
    assert "disabled = []" in path.read_text()
    assert told(session.host) == ""


async def test_one_that_was_off_takes_its_place_in_the_order(tmp_path: Path) -> None:
    for name in ("alpha", "beta", "gamma"):
        write_plugin(tmp_path, name, SAY.format(mark=name, size=1))
    write_settings(tmp_path, '[plugins]\ndisabled = ["beta"]\n')
    async with running(tmp_path, load=True, chatapp=commands) as session:
        await run(session, "/plugin enable beta")
        called = [name for name, _ in await session.host.hooks.call("context", turn=None)]
    assert [name for name in called if name in ("alpha", "beta", "gamma")] == ["alpha", "beta", "gamma"]


async def test_one_that_cannot_be_used(tmp_path: Path) -> None:
    write_plugin(tmp_path, "odd", "1 / 0")
    write_settings(tmp_path, '[plugins]\ndisabled = ["odd"]\n')
    async with running(tmp_path, load=True, chatapp=commands) as session:
        error = "ZeroDivisionError: division by zero (odd.py, line 1)"
        assert await said(session, "/plugin enable odd") == f"odd is switched on, but it cannot be used: {error}"
    assert (session.host.plugins["odd"].state, session.host.plugins["odd"].error) == ("failed", error)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/plugin disable chatapp", "chatapp is a part of the application and cannot be switched off"),
        ("/plugin disable exampel", "There is no plugin 'exampel'; did you mean 'example'"),
        ("/plugin enable zzz", "There is no plugin 'zzz'; `plugin list` shows all"),
    ],
)
async def test_what_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    async with running(tmp_path, load=True, chatapp=commands) as session:
        with pytest.raises(UsageError, match=sentence):
            await run(session, line)
    assert not (tmp_path / "config" / "settings.toml").exists()


class Offers:
    """A plugin with an engine, which is taken out while it is open."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()

    @hookimpl
    def engines(self) -> list[EngineSpec]:
        """One that takes the model "mine"."""

        async def open_engine(host: Host, config: EngineConfig, report: Report) -> Engine:
            return self.engine

        return [EngineSpec("mine", open_engine, accepts=lambda host, model: model == "mine")]


async def test_its_open_engine_is_closed(tmp_path: Path) -> None:
    host, offers = make_host(tmp_path, model="mine", engine=""), Offers()
    host.add("offers", offers)
    await host.startup()
    try:
        session = Session(host)
        assert [event async for event in session.send("Hi")]
        assert (host.engines.current(), offers.engine.closed) == (offers.engine, False)
        await host.take_out("offers")
        assert (host.engines.current(), offers.engine.closed, "mine" in host.engine_specs) == (None, True, False)
        *_, last = [event async for event in session.send("Hi again")]
        assert "No plugin offers an engine for 'mine'" in getattr(last, "error", "")
    finally:
        await host.shutdown()


HANGS = "import time\ntime.sleep(600)\n"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_safe_mode_loads_the_engine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    # A plugin that keeps everything from starting can be switched off from there.
    write_plugin(tmp_path, "hangs", HANGS)
    words = ["--safe-mode"] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv("CHATAPP_SAFE_MODE", "1")
    listed = json.loads(chatapp(tmp_path, *words, "plugin", "list", "--json").out)
    assert [row["name"] for row in listed if row["state"] == "on"] == ["chatapp", "llama"]
    assert {row["state"] for row in listed if row["name"] in ("hangs", "rag", "example")} == {"off"}
    assert chatapp(tmp_path, *words, "plugin", "disable", "hangs").code == 0
    monkeypatch.delenv("CHATAPP_SAFE_MODE", raising=False)
    listed = json.loads(chatapp(tmp_path, "plugin", "list", "--json").out)
    assert [row["state"] for row in listed if row["name"] in ("example", "hangs")] == ["on", "off"]


def test_safe_mode_loads_the_engine_of_the_model_that_is_chosen(tmp_path: Path) -> None:
    ran = chatapp(tmp_path, "--safe-mode", "--plain", "--model", "echo", stdin=b"Say this.\n/plugin\n")
    assert ran.code == 0
    assert ran.out.startswith("Say this.\n")
    assert [line.split()[0] for line in ran.out.splitlines() if " on " in line] == ["chatapp", "example"]
    assert "Safe mode: example and the application's own commands are all that is loaded." in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--dev", "plugin", "list"], "--dev open the chat"),
        (["--dev", "--safe-mode"], "Give either --dev or --safe-mode"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, words: list[str], sentence: str) -> None:
    ran = chatapp(tmp_path, *words)
    assert (ran.code, ran.out, sentence in ran.err) == (2, "", True)


def test_dev_in_the_plain_chat(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "say", SAY.format(mark="one", size=1))
    change = (
        f"import pathlib; path = pathlib.Path({str(path)!r}); path.write_text(path.read_text().replace('one', 'two'))"
    )
    write_plugin(
        tmp_path,
        "change",
        f"""
        from chatapp import action, hookimpl

        @action("change")
        async def change(session):
            "Change the other plugin's file."
            {change}

        @hookimpl
        def actions():
            return [change]
    """,
    )
    ran = chatapp(tmp_path, "--dev", "--plain", "--model", "echo", stdin=b"/say one\n/change\n/say two\n")
    assert ran.out == "one 1 ['started one']\ntwo 1 ['started two']\n"
    assert "The plugin 'say' is loaded again." in ran.err
