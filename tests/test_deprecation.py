"""Old names go on working and warn; a plugin for another version of the API is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import chatapp
from chatapp import deprecation
from chatapp.authoring.checking import Target
from chatapp.authoring.checking_import import Imported, old_names
from chatapp.context import Block
from chatapp.deprecation import Renamed, check_version
from chatapp.errors import PluginError
from chatapp.host import Host
from chatapp.plugins import check
from chatapp.testing import make_host
from chatapp.turn import Turn
from tests.support_plugins import send, told, write_plugin
from tests.test_hooks import plugin
from tests.test_plugins import HOOKS

SOON = "since version 1.1 of the API, and goes with the next major one."


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A public name, a hook and a hook's argument that have other names now."""
    monkeypatch.setitem(deprecation.NAMES, "Chunk", Renamed("Block", "1.1"))
    monkeypatch.setitem(deprecation.HOOKS, "finished", Renamed("turn_finished", "1.1"))
    monkeypatch.setitem(deprecation.ARGUMENTS, ("context", "this"), Renamed("turn", "1.1"))
    deprecation.noted.clear()
    yield
    deprecation.noted.clear()


def said() -> list[str]:
    """What was said of old names."""
    return [each.sentence for each in deprecation.noted.values()]


@pytest.mark.usefixtures("renamed")
def test_a_public_name(tmp_path: Path) -> None:
    write_plugin(tmp_path, "old", "from chatapp import Chunk, hookimpl\n@hookimpl\ndef context(): return [Chunk('It')]")
    host = make_host(tmp_path)
    with pytest.warns(DeprecationWarning, match=rf"chatapp\.Chunk is chatapp\.Block {SOON}") as warned:
        host.load()
    assert host.plugins["old"].module.Chunk is Block
    (noted,) = deprecation.noted.values()
    (finding,) = old_names(Imported(Target("old", file=noted.file), host.plugins["old"]))
    assert (finding.level, finding.rule, finding.what) == ("warning", "deprecated", noted.sentence)
    assert finding.where.endswith("old.py:1")
    assert (noted.package, Path(noted.file).name, noted.line) == ("chatapp_user_plugins.old", "old.py", 1)
    assert (warned[0].filename, warned[0].lineno) == (noted.file, 1)


@pytest.mark.usefixtures("renamed")
def test_each_who_uses_it_is_told_once() -> None:
    with pytest.warns(DeprecationWarning, match="Chunk"):
        assert chatapp.Chunk is Block
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chatapp.Chunk is Block
    assert len(deprecation.noted) == 1
    # It is not listed: nobody is to begin with it.
    assert "Chunk" not in dir(chatapp)


@pytest.mark.usefixtures("renamed")
async def test_a_hook_and_an_argument(tmp_path: Path) -> None:
    called: list[Any] = []
    host = make_host(tmp_path)
    old = plugin(finished=lambda turn: called.append(turn), context=lambda this: called.append(this))
    with pytest.warns(DeprecationWarning, match="finished|this"):
        host.add("old", old)
    assert host.plugins["old"].hooks == ("context", "turn_finished")
    assert said() == [
        f"The hook 'finished' is 'turn_finished' {SOON}",
        f"The argument 'this' of context() is 'turn' {SOON}",
    ]
    await host.startup()
    session = chatapp.Session(host)
    await send(session)
    await host.shutdown()
    assert [type(each) for each in called] == [Turn, Turn]
    assert told(host) == ""


async def test_without_old_names_nothing_is_told(host: Host) -> None:
    host.add("new", plugin(turn_finished=lambda turn: None))
    assert deprecation.noted == {}
    with pytest.raises(PluginError, match="there is no hook 'finished'"):
        check(plugin(finished=lambda turn: None))


@pytest.mark.parametrize("wanted", ["1", "1.0", "1.4", 1, 1.2, None])
def test_a_plugin_for_this_api(wanted: object) -> None:
    check_version(SimpleNamespace(chatapp_api=wanted), "1.4")


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ("1.5", "it is for version 1.5 of the API and this chatapp has 1.4: upgrade chatapp."),
        (2, "it is for version 2 of the API and this chatapp has 1.4: upgrade chatapp."),
        ("0.9", "it is for version 0.9 of the API and this chatapp has 1.4: upgrade the plugin."),
        ("new", "its chatapp_api is 'new': write the version it was written for, such as \"1.4\"."),
    ],
)
def test_a_plugin_for_another_api(wanted: object, error: str) -> None:
    with pytest.raises(PluginError) as refused:
        check_version(SimpleNamespace(chatapp_api=wanted), "1.4")
    assert str(refused.value) == error


def test_it_is_refused_when_it_loads(tmp_path: Path) -> None:
    write_plugin(tmp_path, "newer", "chatapp_api = '99.0'\nfrom chatapp import hookimpl\n@hookimpl\ndef startup(): ...")
    host = make_host(tmp_path)
    host.load()
    assert host.plugins["newer"].state == "failed"
    assert "it is for version 99.0 of the API" in host.plugins["newer"].error


def test_every_old_name_has_a_new_one() -> None:
    assert {each.new for each in deprecation.NAMES.values()} <= set(chatapp.__all__)
    assert {each.new for each in deprecation.HOOKS.values()} <= set(HOOKS)
