"""Finding, checking and loading plugins: what cannot be used is listed with the reason, and the rest runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chatapp import commands
from chatapp.host import Host
from chatapp.plugins import Found, Plugin, discover, load
from chatapp.settings import PluginSettings
from chatapp.testing import make_host
from tests.support_plugins import WITNESS, bundled, run, running, send, write_plugin, write_settings

HOOK = "from chatapp import hookimpl\n\n@hookimpl\n"
SHOUT = '''
from chatapp import action, hookimpl

@action("shout")
async def shout(session, text: str) -> str:
    """Say it loudly."""
    return text.upper() + "{mark}"

@hookimpl
def actions():
    return [shout]
'''


def loaded(folder: Path) -> Host:
    """A host that loaded all there is."""
    host = make_host(folder)
    host.load()
    return host


def write_package(folder: Path, name: str, **files: str) -> None:
    """A package `NAME` with these modules, installed in `folder` with an entry point of the group."""
    package = folder / name
    package.mkdir(parents=True)
    for stem, text in files.items():
        (package / f"{stem}.py").write_text(text)
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[chatapp]\n{name} = {name}\n")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise ValueError('no good')", "ValueError: no good (odd.py, line 1)"),
        ("x = 1\nraise SystemExit('leaving')", "SystemExit: leaving (odd.py, line 2)"),
        ("x = 1\ndef broken(:\n    pass", "SyntaxError: invalid syntax (odd.py, line 2)"),
        ("x = 1", "it implements no hook: mark its functions with @chatapp.hookimpl."),
        (f"{HOOK}def contxt(turn): ...", "there is no hook 'contxt'; did you mean 'context'? (odd.py, line 3)"),
        (f"{HOOK}def zzz(): ...", "there is no hook 'zzz'. (odd.py, line 3)"),
        (f"{HOOK}def context(turn, app): ...", "context() takes 'app'; the hook hands out turn. (odd.py, line 3)"),
        (
            f"{HOOK}def panels(session): ...",
            "panels() takes 'session'; the hook hands out nothing. (odd.py, line 3)",
        ),
        (
            f"{HOOK}async def actions(): ...",
            "actions() is called where nothing can be awaited: write def, not async def. (odd.py, line 3)",
        ),
        (
            "from chatapp import hookimpl\n\n@hookimpl(wrapper=True)\ndef context(turn): yield",
            "'context' is a hook wrapper; chatapp calls plain hooks only. (odd.py, line 3)",
        ),
        (
            "from chatapp import action\n\n@action('odd')\nasync def odd(session): ...",
            "The action 'odd' has no docstring; its first line is the help that users see. (odd.py, line 3)",
        ),
    ],
)
async def test_a_file_that_is_refused(tmp_path: Path, source: str, error: str) -> None:
    write_plugin(tmp_path, "odd", source)
    write_plugin(tmp_path, "witness", WITNESS)
    async with running(tmp_path, load=True) as session:
        assert await send(session) == "One two three four."
    odd = session.host.plugins["odd"]
    assert (odd.state, odd.error, odd.hooks) == ("failed", error, ())
    assert f"The plugin 'odd' is not loaded: {error}" in session.host.problems
    assert "turn_finished" in session.host.plugins["witness"].module.calls


def test_a_file_that_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    write_plugin(tmp_path, "half", "x = 1\nraise ValueError")
    assert loaded(tmp_path).plugins["half"].error == "ValueError: no reason given (half.py, line 2)"
    assert "chatapp_user_plugins.half" not in sys.modules


def test_what_is_no_hook_is_left_alone(tmp_path: Path) -> None:
    # `call` answers every attribute with something, so it looks marked.
    write_plugin(tmp_path, "fine", f"from unittest.mock import call\n{HOOK}def startup(): ...")
    assert loaded(tmp_path).plugins["fine"].hooks == ("startup",)


async def test_a_hook_of_another_name(tmp_path: Path) -> None:
    source = "from chatapp import hookimpl\n\n@hookimpl(specname='turn_finished')\ndef count(turn): turn.notes['x'] = 1"
    write_plugin(tmp_path, "fine", source)
    async with running(tmp_path, load=True) as session:
        await send(session)
    assert session.host.plugins["fine"].hooks == ("turn_finished",)
    assert session.turn is not None
    assert session.turn.notes["x"] == 1


async def test_a_missing_package_and_the_command_that_mends(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "needy", "import no_such_package.inner")
    async with running(tmp_path, load=True, chatapp=commands) as session:
        (listed,) = await run(session, "/plugin list")
    needy = session.host.plugins["needy"]
    error = "it needs the Python package 'no_such_package' (needy.py, line 1)"
    assert (needy.error, needy.mend) == (error, "pip install no_such_package")
    row = next(row for row in getattr(listed, "value", ()) if row["name"] == "needy")
    assert row["error"] == f"{error} Try: pip install no_such_package"
    ours = Plugin("needy", "bundled", "chatapp_needy")
    load(Found(ours, path=path), PluginSettings())
    assert ours.error == "it needs the Python package 'no_such_package'"
    assert ours.mend == "pip install 'chatapp[needy]'"


def test_a_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path / "site", "outside_one", __init__=f"{HOOK}def startup(): ...")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    plugin = loaded(tmp_path).plugins["outside_one"]
    assert (plugin.state, plugin.origin, plugin.version, plugin.hooks) == ("on", "package", "1.5", ("startup",))


@pytest.mark.parametrize("name", ["settings", "context"])
def test_a_module_that_hides_a_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sentence = f"its module {name}.py has the name of a hook and hides it: rename the file."
    hook = f"{HOOK}def {name}(): ..."
    hidden, waiting = f"hides_{name}", f"will_hide_{name}"
    write_package(tmp_path / "site", hidden, __init__=f"{hook}\nfrom {hidden}.{name} import x", **{name: "x = 1"})
    write_package(tmp_path / "site", waiting, __init__=hook, **{name: "x = 1"})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    plugins = loaded(tmp_path).plugins
    assert [(plugins[each].state, plugins[each].error) for each in (hidden, waiting)] == [("failed", sentence)] * 2


def test_a_module_with_a_hooks_name_from_elsewhere(tmp_path: Path) -> None:
    write_plugin(tmp_path, "fine", f"import asyncio as panels\n{HOOK}def startup(): ...")
    assert loaded(tmp_path).plugins["fine"].state == "on"


async def test_two_actions_of_one_name(tmp_path: Path) -> None:
    write_plugin(tmp_path, "alpha", SHOUT.replace("{mark}", "!"))
    write_plugin(tmp_path, "beta", SHOUT.replace("{mark}", "?"))
    async with running(tmp_path, load=True) as session:
        (shown,) = await run(session, "/shout hello")
    assert getattr(shown, "text", "") == "HELLO!"
    assert session.host.actions["shout"].owner == "alpha"
    assert (
        "The action 'shout' of the plugin 'beta' is refused: the plugin 'alpha' has one of that name."
        in session.host.problems
    )


async def test_two_engines_of_one_name(tmp_path: Path) -> None:
    engine = "from chatapp import EngineSpec\n" + HOOK + "def engines(): yield EngineSpec('scripted', None)"
    write_plugin(tmp_path, "thief", engine)
    async with running(tmp_path, load=True) as session:
        assert await send(session) == "One two three four."
    assert (
        "The engine 'scripted' of the plugin 'thief' is refused: the plugin 'scripted' has one of that name."
        in session.host.problems
    )


def test_a_file_with_a_bundled_plugins_name(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "example", WITNESS)
    host = loaded(tmp_path)
    assert (host.plugins["example"].origin, host.plugins["example"].state) == ("bundled", "on")
    assert f"The plugin 'example' from {path} is not loaded: chatapp_example has that name." in host.problems


async def test_a_disabled_plugin_is_not_imported(tmp_path: Path) -> None:
    write_plugin(tmp_path, "odd", "raise ValueError('imported')")
    write_settings(tmp_path, '[plugins]\ndisabled = ["odd", "example"]\n')
    host = loaded(tmp_path)
    assert [(host.plugins[name].state, host.plugins[name].module) for name in ("odd", "example")] == [("off", None)] * 2
    assert "dice" not in host.actions
    assert host.problems == []


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path / "site", "outside_two", __init__=WITNESS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for name in ("zeta", "alpha", "_hidden"):
        write_plugin(tmp_path, name, WITNESS)

    def names(*order: str) -> list[str]:
        found = discover(tmp_path / "config" / "plugins", PluginSettings(order=list(order)))
        return [each.plugin.name for each in found]

    usual = [*names()]
    assert set(usual[: len(bundled())]) == set(bundled())
    assert usual[len(bundled()) :] == ["outside_two", "alpha", "zeta"]
    assert names("zeta", "nobody", "outside_two")[:3] == ["zeta", "outside_two", usual[0]]


async def test_hooks_are_called_in_that_order(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        write_plugin(tmp_path, name, HOOK + f"def configure_engine(config): return None\n{HOOK}def startup(): ...")
        write_plugin(
            tmp_path, name, f"{HOOK}def turn_finished(turn): turn.notes.setdefault('called', []).append('{name}')"
        )
    write_settings(tmp_path, '[plugins]\norder = ["beta"]\n')
    async with running(tmp_path, load=True) as session:
        await send(session)
    assert session.turn is not None
    assert session.turn.notes["called"] == ["beta", "alpha"]


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "__import__('asyncio').CancelledError"])
def test_an_interruption_while_loading_is_not_swallowed(tmp_path: Path, error: str) -> None:
    write_plugin(tmp_path, "slow", f"raise {error}")
    with pytest.raises(BaseException) as caught:
        loaded(tmp_path)
    assert type(caught.value).__name__ == error.rpartition(".")[2]
