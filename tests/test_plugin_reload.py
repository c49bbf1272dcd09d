"""`--dev`: what is saved is used by the next message, wholly or not at all. Packages: test_plugin_reload_packages."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp.authoring import reloading
from chatapp.authoring.reloading import Reloading
from chatapp.errors import UsageError
from chatapp.session import Session
from chatapp.testing import make_host, script, sent_texts
from tests.support_dev import SAY, hurry, notices, said, saved, until, watched
from tests.support_plugins import read, run, send, told, write_plugin, write_settings


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits half a second here."""
    hurry(monkeypatch)


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[Session]:
    """One in which the plugin says "one"."""
    saved(tmp_path, "one")
    async with watched(tmp_path) as session:
        yield session


async def told_model(session: Session) -> str:
    """The instruction the model is sent with the next message."""
    await send(session)
    return sent_texts(script(session).requests[-1].messages)[0][1]


async def test_the_next_message_uses_what_is_saved(dev: Session, tmp_path: Path) -> None:
    assert "Told by one." in await told_model(dev)
    for mark in ("two", "six"):
        # The same size, in the same second: what Python itself would take for unchanged.
        saved(tmp_path, mark)
        assert f"Told by {mark}." in await told_model(dev)
        assert notices(dev)[-1] == "The plugin 'say' is loaded again."
    assert await said(dev, "/say six") == "six 1 ['started six']"


async def test_the_next_command_uses_what_is_saved(dev: Session, tmp_path: Path) -> None:
    saved(tmp_path, "two")
    assert await said(dev, "/say two") == "two 1 ['started two']"
    with pytest.raises(UsageError, match=r"There is no command /say\. Did you mean /say two\?"):
        await run(dev, "/say one")


async def test_the_old_one_ends_and_its_settings_are_replaced(dev: Session, tmp_path: Path) -> None:
    life = dev.host.plugins["say"].module.LIFE
    saved(tmp_path, "two", size=20)
    assert await said(dev, "/say two") == "two 20 ['started two']"
    assert life == ["started one", "ended one"]
    write_settings(tmp_path, "")
    dev.host.set_config("say", "size", 7)
    assert await said(dev, "/say two") == "two 7 ['started two']"
    saved(tmp_path, "six")
    assert await said(dev, "/say six") == "six 7 ['started six']"


async def test_it_is_loaded_without_any_message(dev: Session, tmp_path: Path) -> None:
    saved(tmp_path, "two")
    await until(lambda: "say two" in dev.host.actions)
    assert notices(dev) == ["The plugin 'say' is loaded again."]
    assert dev.host.status == {"dev": "dev"}


WRONG = {
    "a syntax error": ("def broken(:", "SyntaxError: invalid syntax (say.py, line 3)"),
    "it raises": ("1 / 0", "ZeroDivisionError: division by zero (say.py, line 3)"),
    "it raises elsewhere": ("int('x')\nimport json; json.loads('{')", "ValueError: invalid literal for int() with"),
    "inside a library": ("import json; json.loads('{')", "JSONDecodeError: Expecting property name enclosed in double"),
    "a package lacks": ("import no_such_one", "it needs the Python package 'no_such_one' (say.py, line 3)"),
    "a name lacks": ("from chatapp import no_such_one", "ImportError: cannot import name 'no_such_one' from 'chatapp'"),
    "a hook lacks": (
        "from chatapp import hookimpl\n@hookimpl\ndef contxt(): ...",
        "there is no hook 'contxt'; did you mean 'context'? (say.py, line 4)",
    ),
    "no hook": ("x = 1", "it implements no hook"),
    "its actions raise": (
        "from chatapp import hookimpl\n@hookimpl\ndef actions():\n    return 1 / 0",
        "ZeroDivisionError: division by zero (say.py, line 6)",
    ),
    "a setting without default": (
        "from chatapp import hookimpl\nfrom pydantic import BaseModel\nclass Options(BaseModel):\n    size: int\n"
        "@hookimpl\ndef settings(): return Options",
        "the setting 'size' has no default.",
    ),
}


@pytest.mark.parametrize(("source", "sentence"), WRONG.values(), ids=WRONG)
async def test_a_version_that_cannot_be_used_changes_nothing(
    dev: Session, tmp_path: Path, source: str, sentence: str
) -> None:
    path = write_plugin(tmp_path, "say", f"# First.\n\n{source}\n")
    assert "Told by one." in await told_model(dev)
    (notice,) = notices(dev)
    assert notice.startswith(f"The plugin 'say' stays as it was: {sentence}")
    assert "(say.py, line " in notice or "no hook" in sentence or "default" in sentence
    assert await said(dev, "/say one") == "one 1 ['started one']"
    assert sys.modules["chatapp_user_plugins.say"] is dev.host.plugins["say"].module
    assert dev.host.plugins["say"].error == notice.replace(
        "The plugin 'say' stays as it was", "The new version is not used"
    )
    assert len(notices(dev)) == 1
    path.write_text(SAY.format(mark="two", size=1))
    assert await said(dev, "/say two") == "two 1 ['started two']"
    assert dev.host.plugins["say"].error == ""


async def test_an_error_is_told_without_any_message_too(dev: Session, tmp_path: Path) -> None:
    write_plugin(tmp_path, "say", "1 / 0")
    await until(lambda: notices(dev))
    assert notices(dev) == ["The plugin 'say' stays as it was: ZeroDivisionError: division by zero (say.py, line 1)"]
    await asyncio.sleep(3 * reloading.EVERY_SECONDS)
    assert len(notices(dev)) == 1


async def test_a_startup_that_fails_brings_the_one_before_back(dev: Session, tmp_path: Path) -> None:
    module = dev.host.plugins["say"].module
    path = saved(tmp_path, "two")
    path.write_text(path.read_text().replace('LIFE.append("started two")', "1 / 0"))
    assert await said(dev, "/say one") == "one 1 ['started one', 'ended one', 'started one']"
    assert notices(dev) == [
        "The plugin 'say' failed in startup: ZeroDivisionError: division by zero (say.py, line 17)",
        "The plugin 'say' stays as it was: its startup failed.",
    ]
    assert sys.modules["chatapp_user_plugins.say"] is module is dev.host.plugins["say"].module


async def test_a_turn_under_way_ends_with_the_old_one(dev: Session, tmp_path: Path) -> None:
    script(dev).says("One two three four five six.")
    script(dev).delay = 0.1
    events = []
    async for event in dev.send("Hi"):
        events.append(event)
        if len(events) == 1:
            saved(tmp_path, "two")
            # Long enough for it to be seen, were nothing under way.
            await asyncio.sleep(4 * reloading.EVERY_SECONDS)
            assert "say one" in dev.host.actions
    assert read(events) == "One two three four five six."
    assert notices(dev) == []
    await until(lambda: "say two" in dev.host.actions)


async def test_a_file_in_two_steps_is_no_error(dev: Session, tmp_path: Path) -> None:
    whole = SAY.format(mark="two", size=1)
    path = tmp_path / "config" / "plugins" / "say.py"
    for pause in (0.0, 3 * reloading.SETTLE_SECONDS):
        # Emptied, then half of it, then all of it: as editors and networks do.
        path.write_text("")
        await asyncio.sleep(pause)
        path.write_text(whole[:200])
        await asyncio.sleep(pause)
        path.write_text(whole)
        await until(lambda: "say two" in dev.host.actions)
        saved(tmp_path, "one")
        await until(lambda: "say one" in dev.host.actions)
    # Taken away and put back.
    path.unlink()
    await asyncio.sleep(2 * reloading.SETTLE_SECONDS)
    path.write_text(whole)
    await until(lambda: "say two" in dev.host.actions)
    assert set(notices(dev)) == {"The plugin 'say' is loaded again."}


async def test_a_new_file_comes_in_and_a_deleted_one_goes(dev: Session, tmp_path: Path) -> None:
    other = write_plugin(tmp_path, "another", SAY.format(mark="too", size=2))
    assert await said(dev, "/say too") == "too 2 ['started too']"
    assert "Told by one.\n\nTold by too." not in await told_model(dev)
    assert "Told by too.\n\nTold by one." in await told_model(dev)
    module = dev.host.plugins["another"].module
    other.unlink()
    assert "Told by too." not in await told_model(dev)
    assert module.LIFE == ["started too", "ended too"]
    assert "another" not in {*dev.host.plugins, *dev.host.found, *dev.host.configs}
    assert notices(dev) == ["The plugin 'another' is loaded.", "The plugin 'another' is taken out: its file is gone."]


async def test_a_new_file_that_cannot_be_used_is_listed(dev: Session, tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "odd", "1 / 0")
    await send(dev)
    error = "ZeroDivisionError: division by zero (odd.py, line 1)"
    assert notices(dev) == [f"The plugin 'odd' is not loaded: {error}"]
    assert error in await said(dev, "/plugin list")
    path.write_text(SAY.format(mark="two", size=1))
    assert await said(dev, "/say two") == "two 1 ['started two']"
    assert dev.host.plugins["odd"].state == "on"


async def test_a_file_that_failed_at_the_start_is_mended(tmp_path: Path) -> None:
    write_plugin(tmp_path, "say", "1 / 0")
    async with watched(tmp_path) as session:
        assert session.host.plugins["say"].state == "failed"
        saved(tmp_path, "one")
        assert await said(session, "/say one") == "one 1 ['started one']"


async def test_names_that_are_taken_and_plugins_that_are_off(dev: Session, tmp_path: Path) -> None:
    write_plugin(tmp_path, "chatapp", "raise ValueError('imported')")
    await run(dev, "/plugin disable say")
    saved(tmp_path, "two")
    await send(dev)
    assert dev.host.plugins["say"].state == "off"
    assert "say two" not in dev.host.actions
    assert notices(dev) == [
        f"The plugin 'chatapp' from {tmp_path / 'config/plugins/chatapp.py'} is not loaded: "
        "chatapp.commands has that name."
    ]
    await run(dev, "/plugin enable say")
    assert await said(dev, "/say two") == "two 1 ['started two']"


async def test_what_was_saved_while_it_was_loading(tmp_path: Path) -> None:
    path = saved(tmp_path, "one")
    host = make_host(tmp_path)
    host.add("dev", Reloading(host))
    host.load(lambda found: found.plugin.origin != "bundled")
    saved(tmp_path, "two")
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 10**6))
    await host.startup()
    try:
        await until(lambda: "say two" in host.actions)
    finally:
        await host.shutdown()
    assert (host.refresh, host.status) == (None, {})
    assert "failed" not in told(host)
