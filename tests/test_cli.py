"""The command line in real child processes: help, actions as subcommands, exit codes, private files, no terminal."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.messages import assistant, user
from tests.support_cli import CHATAPP, PATIENCE, chatapp, environment, on_terminal


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two conversations in it."""
    folder = tmp_path_factory.mktemp("home")
    with Archive(folder / "data" / "conversations.db") as archive:
        for name, question in (("aaa111", "Where is the lighthouse?"), ("bbb222", "What is a \x1b[31msextant?")):
            conversation = Conversation(id=name, title=question)
            conversation.append(user(question))
            conversation.append(assistant("It is **here**."))
            archive.save(conversation)
    return folder


def test_help_names_every_command_and_version_the_version(home: Path) -> None:
    ran = chatapp(home, "--help")
    assert ran.code == 0
    for command in ("ask", "models", "sessions", "plugin", "settings", "--plain", "--continue", "--offline"):
        assert command in ran.out
    assert "Usage: chatapp ask" in chatapp(home, "ask", "--help").out
    assert "Download a model" in chatapp(home, "models", "--help").out
    assert chatapp(home, "--version").out.strip().endswith(tuple("0123456789"))


def test_it_runs_as_a_module_too(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "chatapp", "settings", "path"],
        capture_output=True, env=environment(home), cwd=home, timeout=PATIENCE,
    )  # fmt: skip
    assert ran.stdout.decode().strip() == str(home / "config" / "settings.toml")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("frobnicate",), 2, "No such command 'frobnicate'"),
        (("sessions", "frobnicate"), 2, "No such command 'frobnicate'"),
        (("sessions", "show"), 2, "Missing argument"),
        (("sessions", "list", "--limit", "many"), 2, "'many' is not a valid integer"),
        (("sessions", "rm"), 2, "Name the conversations to delete"),
        (("settings", "set", "nothing", "1"), 2, "There is no setting 'nothing'"),
        (("settings", "set", "max_rounds", "99"), 2, "max_rounds: input should be less than or equal to 50"),
        (("--continue", "sessions", "list"), 2, "open the chat"),
        (("--session", "zzz"), 1, "There is no conversation “zzz”"),
        (("sessions", "show", "zzz"), 1, "There is no conversation “zzz”"),
        (("sessions", "export", "zzz"), 1, "There is no conversation “zzz”"),
        (("sessions", "import", "/nowhere.json"), 1, "/nowhere.json"),
        (("models", "pull", "nothing-like-it"), 1, "There is no model called nothing-like-it"),
        (("models", "add", "/nowhere.gguf"), 1, "/nowhere.gguf"),
        (("--offline", "models", "pull", "qwen2.5-coder-0.5b-instruct"), 1, "--offline forbids it"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_code(home: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    ran = chatapp(home, *words)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err
    assert "Traceback" not in ran.err


def test_a_home_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = chatapp(tmp_path / "file", "sessions", "list")
    assert ran.code == 2
    assert ran.err.startswith("Error: chatapp cannot use the folder")
    assert ran.err.count("\n") == 1


def test_conversations_are_listed_shown_and_found(home: Path) -> None:
    listed = chatapp(home, "sessions", "list")
    assert listed.out.splitlines()[0].split() == ["ID", "CHANGED", "MESSAGES", "TITLE"]
    assert {line.split()[0] for line in listed.out.splitlines()[1:]} == {"aaa111", "bbb222"}
    assert "\x1b" not in listed.out
    rows = json.loads(chatapp(home, "sessions", "list", "--json", "--limit", "1").out)
    assert [(row["id"], row["messages"]) for row in rows] == [("bbb222", 2)]
    shown = chatapp(home, "sessions", "show", "aaa")
    assert "Where is the lighthouse?" in shown.out
    assert "It is **here**." in shown.out
    assert "\x1b" not in chatapp(home, "sessions", "show", "bbb").out
    assert chatapp(home, "sessions", "search", "lighthouse").out.splitlines()[1].startswith("aaa111")
    assert chatapp(home, "sessions", "search", "nowhere").out == "Nothing was found for 'nowhere'.\n"


def test_a_conversation_goes_out_and_comes_back(home: Path, tmp_path: Path) -> None:
    for name in ("out.json", "out.md"):
        file = tmp_path / name
        assert chatapp(home, "sessions", "export", "aaa111", file).out == f"Written to {file}.\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        refused = chatapp(home, "sessions", "export", "bbb222", file)
        assert refused.code == 2
        assert "was left as it is" in refused.err
        other = tmp_path / f"other-{name}"
        assert "2 messages as aaa111" in chatapp(other, "sessions", "import", file).out
        assert "lighthouse" in chatapp(other, "sessions", "show", "aaa111").out
    again = chatapp(home, "sessions", "import", tmp_path / "out.json")
    copy = again.out.rstrip(".\n").rpartition(" ")[2]
    assert copy != "aaa111"
    assert chatapp(home, "sessions", "rm", copy).code == 0
    assert copy not in chatapp(home, "sessions", "list").out
    assert chatapp(home, "sessions", "restore", copy).code == 0
    assert copy in chatapp(home, "sessions", "list").out
    assert chatapp(home, "sessions", "rm", copy).code == 0


def test_models_plugins_and_settings_are_listed(home: Path, model_path: Path) -> None:
    models = json.loads(chatapp(home, "models", "list", "--json").out)
    assert sum(row["note"] == "recommended" for row in models) == 1
    assert {row["state"] for row in models} == {""}
    added = chatapp(home, "models", "add", model_path, "--name", "mine")
    assert (added.code, added.out) == (0, "Added as mine; use it with --model or /model.\n")
    assert chatapp(home, "models", "path", "mine").out.strip() == str(model_path)
    assert "is forgotten" in chatapp(home, "models", "rm", "mine").out
    assert model_path.is_file()
    plugins = {row["name"]: row for row in json.loads(chatapp(home, "plugin", "list", "--json").out)}
    assert plugins["llama"]["state"] == "on"
    assert chatapp(home, "settings", "set", "sampling.temperature", "0.25").code == 0
    assert "temperature = 0.25" in (home / "config" / "settings.toml").read_text()
    assert "0.25" in chatapp(home, "settings", "list").out
    assert chatapp(home, "settings", "set", "sampling.temperature", "-").code == 0
    assert "0.25" not in (home / "config" / "settings.toml").read_text()


def test_a_plugin_that_fails_is_named_and_the_rest_works(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "plugins"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    ran = chatapp(tmp_path, "ask", "--model", "echo", "still here")
    assert ran.out == "still here\n"
    assert "The plugin 'broken' is not loaded" in ran.err
    rows = json.loads(chatapp(tmp_path, "plugin", "list", "--json").out)
    (row,) = (each for each in rows if each["name"] == "broken")
    assert row["state"] == "failed"
    assert "nothing_of_that_name" in row["error"]


def test_a_command_may_have_the_name_that_others_begin_with(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "plugins"
    folder.mkdir(parents=True)
    (folder / "fruit.py").write_text(
        "from chatapp import Session, action, hookimpl\n"
        "@action('fruit add')\n"
        "async def add(session: Session, name: str) -> str:\n    'Add one.'\n    return f'added {name}'\n"
        "@action('fruit')\n"
        "async def fruit(session: Session, name: str = 'all') -> str:\n    'Show some.'\n    return f'shown {name}'\n"
        "@hookimpl\ndef actions():\n    return [add, fruit]\n"
    )
    assert chatapp(tmp_path, "fruit").out == "shown all\n"
    assert chatapp(tmp_path, "fruit", "pears").out == "shown pears\n"
    assert chatapp(tmp_path, "fruit", "add", "plums").out == "added plums\n"
    assert "add" in chatapp(tmp_path, "fruit", "--help").out


def test_everything_it_writes_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        home = tmp_path / "new" / "home"
        assert chatapp(home, "ask", "--model", "echo", "A secret.").code == 0
        assert chatapp(home, "settings", "set", "offline", "true").code == 0
    finally:
        os.umask(old)
    found = [home, *home.rglob("*")]
    assert any(each.name == "conversations.db" for each in found)
    assert any(each.name == "settings.toml" for each in found)
    for each in found:
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600), each


def test_a_reader_who_has_had_enough_is_no_failure(home: Path) -> None:
    for command in ("models list", "settings list", "sessions show aaa111"):
        ran = subprocess.run(
            ["/bin/bash", "-c", f'set -o pipefail; "$0" {command} | head -c 5', CHATAPP],
            stdin=subprocess.DEVNULL, capture_output=True, env=environment(home), timeout=PATIENCE,
        )  # fmt: skip
        assert (ran.returncode, len(ran.stdout), ran.stderr) == (0, 5, b"")


def test_without_a_terminal_the_chat_is_lines_in_and_lines_out(tmp_path: Path) -> None:
    empty = chatapp(tmp_path)
    assert (empty.code, empty.out) == (0, "")
    assert "is recommended for this machine" in empty.err
    assert "/models pull" in empty.err
    spoken = chatapp(tmp_path, "--model", "echo", stdin=b"hello there\n\n/nothing\n/title A talk\nand again")
    assert spoken.code == 0
    assert spoken.out == "hello there\nThis conversation is now called 'A talk'.\nand again\n"
    assert "There is no command /nothing" in spoken.err
    again = chatapp(tmp_path, "--continue", "--model", "echo", stdin=b"/quit\nnot read\n")
    assert again.out == "user: hello there\nassistant: hello there\nuser: and again\nassistant: and again\n"


def test_a_terminal_that_cannot_be_typed_at_is_not_drawn_on(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        ran = subprocess.run(
            [CHATAPP, "--model", "echo"], input=b"hello\n", stdout=theirs, stderr=theirs,
            env=environment(tmp_path), timeout=PATIENCE,
        )  # fmt: skip
        assert ran.returncode == 0
        shown = os.read(ours, 65536)
        assert b"\x1b" not in shown
        assert shown.endswith(b"\r\nhello\r\n")
    finally:
        os.close(ours)
        os.close(theirs)


def test_questions_are_asked_on_a_terminal(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "there.md"
    file.write_text("old")
    with on_terminal(home, "sessions", "export", "aaa111", str(file)) as terminal:
        terminal.wait_for(r"Replace it\? \[y/N\] ")
        terminal.type("n\n")
        assert terminal.end() == 2
    assert file.read_text() == "old"
    with on_terminal(home, "sessions", "export", "aaa111", str(file)) as terminal:
        terminal.wait_for(r"Replace it\? \[y/N\] ")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert "lighthouse" in file.read_text()


def test_help_of_a_command_with_subcommands_shows_both(home: Path) -> None:
    out = chatapp(home, "image", "--help").out
    assert "chatapp image [OPTIONS] [PROMPT]... | COMMAND" in out
    assert "--seed INTEGER" in out
    assert "upscale" in out
