"""`--dev` with packages that are installed editable: all their modules are loaded again together."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chatapp.authoring import reloading
from chatapp.plugins import discover
from tests.support_dev import hurry, notices, said, watched


def package(folder: Path, name: str, *, editable: bool) -> Path:
    """A package of two modules and two plugins, installed in `folder`; its folder."""
    info = folder / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[chatapp]\n{name} = {name}\n{name}_too = {name}.too\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///here", "dir_info": {"editable": editable}}))
    source = folder / name
    source.mkdir()
    (source / "words.py").write_text("WORD = 'one'\n")
    command = (
        "from chatapp import action, hookimpl\n\n@action('{word}')\nasync def word(session):\n"
        "    '''Say it.'''\n    from {name}.words import WORD\n    return WORD\n\n"
        "@hookimpl\ndef actions():\n    return [word]\n\n"
        "@hookimpl\ndef shutdown():\n    from {name}.words import WORD\n    SAID.append(WORD)\n\nSAID = []\n"
    )
    (source / "__init__.py").write_text(command.format(word="word", name=name))
    (source / "too.py").write_text(command.format(word="too", name=name))
    return source


@pytest.mark.parametrize("editable", [True, False])
async def test_a_package_is_loaded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editable: bool) -> None:
    hurry(monkeypatch)
    name = f"chatapp_edited_{editable}".lower()
    source = package(tmp_path / "site", name, editable=editable)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    async with watched(tmp_path) as session:
        assert [await said(session, "/word"), await said(session, "/too")] == ["one", "one"]
        before = [session.host.plugins[each].module for each in (name, f"{name}_too")]
        (source / "words.py").write_text("WORD = 'two'\n")
        words = [await said(session, "/word"), await said(session, "/too")]
        # Each ended with the modules it began with.
        assert (words, [each.SAID for each in before]) == (
            (["two"] * 2, [["one"]] * 2) if editable else (["one"] * 2, [[]] * 2)
        )
        (source / "words.py").write_text("WORD = \n")
        (source / "__init__.py").write_text((source / "__init__.py").read_text() + f"from {name}.words import WORD\n")
        assert [await said(session, "/word"), await said(session, "/too")] == words
    expected = f"The plugin {name!r} stays as it was: SyntaxError: invalid syntax (words.py, line 1)"
    assert (expected in notices(session)) is editable


async def test_what_is_installed_meanwhile_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    name = "chatapp_edited_late"
    async with watched(tmp_path) as session:
        source = package(tmp_path / "site", name, editable=True)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        host = session.host
        for found in discover(tmp_path / "none", host.settings.core.plugins):
            if found.package == name:
                await host.take_in(found)
        assert await said(session, "/word") == "one"
        module = host.plugins[name].module
        await asyncio.sleep(5 * reloading.EVERY_SECONDS)
        assert (host.plugins[name].module, notices(session)) == (module, [])
        (source / "words.py").write_text("WORD = 'two'\n")
        assert await said(session, "/word") == "two"
