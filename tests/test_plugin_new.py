"""`plugin new`: what it writes works, is clean, and never takes the place of anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

import pytest

import chatapp_example
from chatapp import commands
from chatapp.authoring.new import Facts, make_package
from chatapp.errors import ChatappError, UsageError
from chatapp.host import Host
from chatapp.messages import Text
from chatapp.session import Session
from chatapp.testing import RecordingUI
from tests.support_cli import chatapp, on_terminal
from tests.support_plugins import ROOT, run, running, told, write_settings

FILES = [
    ".gitignore",
    "README.md",
    "chatapp_two_words/__init__.py",
    "chatapp_two_words/py.typed",
    "pyproject.toml",
    "tests/test_two_words.py",
]


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session with our own commands and the example, in a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    async with running(tmp_path, chatapp=commands, example=chatapp_example) as made:
        yield made


async def text_of(session: Session, line: str) -> str:
    """What a command says."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Text)
    return shown.text


def answering(session: Session, *answers: str) -> RecordingUI:
    """The session's UI, which answers so."""
    ui = session.ui
    assert isinstance(ui, RecordingUI)
    ui.answers += answers
    return ui


def child(folder: Path, *words: str) -> str:
    """What a Python module says that is run in the folder; it must go well."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that was written, with a description that has to be quoted everywhere."""
    folder = tmp_path_factory.mktemp("new") / "chatapp-two-words"
    make_package(folder, Facts("two-words", 'Says "two" \\ words: $5 {x} é'))
    return folder


def test_the_files(package: Path) -> None:
    assert sorted(str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()) == FILES
    # The braces and the dollar are the description's own; nothing was left to be filled in.
    assert 'Says "two" \\ words: $5 {x} é' in (package / "README.md").read_text(encoding="utf-8")
    for path in package.rglob("*.*"):
        assert "${" not in path.read_text(encoding="utf-8") if path.is_file() else True


def test_its_own_tests_pass(package: Path) -> None:
    assert "3 passed" in child(package, "pytest", "-q", "-p", "no:cacheprovider")


def test_it_is_clean(package: Path, tmp_path: Path) -> None:
    child(
        package, "ruff", "check", "--isolated", "--no-cache", "--line-length=120", "--select=E,F,I,UP,B,SIM,RUF,PT", "."
    )
    child(package, "ruff", "format", "--isolated", "--no-cache", "--line-length=120", "--check", ".")
    # The cache of the whole project saves reading all of the application's types once more.
    child(package, "mypy", "--strict", f"--cache-dir={ROOT / '.mypy_cache'}", "chatapp_two_words", "tests")


def test_it_keeps_the_contract(package: Path, tmp_path: Path) -> None:
    ran = chatapp(tmp_path, "plugin", "check", package, "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == {"checked": ["two_words"], "findings": []}


def test_it_is_installed_with_its_entry_point(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    child(package, "pip", "install", *options, "--target", str(target), ".")
    (dist,) = metadata.distributions(path=[str(target)])
    assert [(each.group, each.name, each.value) for each in dist.entry_points] == [
        ("chatapp", "two_words", "chatapp_two_words")
    ]
    assert dist.metadata["Summary"] == 'Says "two" \\ words: $5 {x} é'
    ran = chatapp(tmp_path / "home", "two-words", "Ada", PYTHONPATH=str(target))
    assert (ran.code, ran.out, ran.err) == (0, "Hello, Ada.\n", "")


async def test_it_is_written_here_and_says_what_to_do_next(session: Session) -> None:
    said = await text_of(session, '/plugin new two-words --description "Counts words."')
    assert said.splitlines() == [
        f"Made {Path.cwd() / 'chatapp-two-words'}.",
        "To test it:  cd chatapp-two-words && python -m pytest",
        "To try it:   chatapp plugin install --editable ./chatapp-two-words && chatapp --dev",
    ]
    assert sorted(str(path) for path in Path("chatapp-two-words").rglob("*") if path.is_file()) == [
        f"chatapp-two-words/{name}" for name in FILES
    ]


async def test_it_asks_for_what_lacks_and_no_more(session: Session) -> None:
    ui = answering(session, "two-words", "Counts words.")
    await run(session, "/plugin new")
    assert ui.questions == ["What is the plugin called?", "What does it do, in one sentence?"]
    assert "\nCounts words.\n" in Path("chatapp-two-words/README.md").read_text(encoding="utf-8")
    await run(session, "/plugin new other --description Sings.")
    assert len(ui.questions) == 2


async def test_where_nobody_can_answer(session: Session) -> None:
    with pytest.raises(UsageError, match="Say what to call it: `plugin new NAME`"):
        await run(session, "/plugin new")
    await run(session, "/plugin new two-words")
    assert "\nThe plugin two-words.\n" in Path("chatapp-two-words/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Two_Words", "'two-words' would do"),
        ('"two words"', "'two-words' would do"),
        ("../two", "'two' would do"),
        ("9-lives", "'lives' would do"),
        ("été", "words in small letters joined by -"),
        ("class", "'class' is a word of Python's own"),
        ("example", "There is a plugin 'example' already"),
        ("chatapp-example", "There is a plugin 'example' already"),
        ("llama", "There is a plugin 'llama' already"),
        ("dice", "There is a command /dice already"),
        ("model", "'model' is a setting of the application"),
        ("plugins", "'plugins' is a setting of the application"),
    ],
)
async def test_a_name_that_cannot_be(session: Session, name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        await run(session, f"/plugin new {name}")
    assert list(Path().iterdir()) == []


async def test_nothing_is_overwritten(session: Session) -> None:
    Path("chatapp-two-words").mkdir()
    Path("chatapp-two-words/mine").write_text("Mine.")
    with pytest.raises(UsageError, match=r"There is .*chatapp-two-words already"):
        await run(session, "/plugin new two-words")
    assert [path.name for path in Path("chatapp-two-words").iterdir()] == ["mine"]


async def test_a_folder_that_cannot_be_written(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ChatappError, match=r"chatapp-a cannot be made: No such file or directory\."):
        make_package(tmp_path / "nowhere" / "chatapp-a", Facts("a", ""))


async def test_a_single_file_is_there_at_once(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config" / "plugins" / "two_words.py"
    said = await text_of(session, "/plugin new two-words --single-file")
    assert said.splitlines() == [
        f"Made {path}.",
        "To try it:  /two-words Ada",
        "To go on:   chatapp --dev, change it and save",
    ]
    assert await run(session, "/two-words Ada") == [Text("Hello, Ada.")]
    host: Host = session.host
    assert (host.plugins["two_words"].state, host.actions["two-words"].tool) == ("on", True)
    with pytest.raises(UsageError, match="There is a plugin 'two_words' already"):
        await run(session, "/plugin new two-words --single-file")
    assert told(host) == ""


async def test_a_single_file_is_not_overwritten(session: Session, tmp_path: Path) -> None:
    # One that is not loaded, as another chat may have written it meanwhile.
    path = tmp_path / "config" / "plugins" / "two_words.py"
    path.parent.mkdir()
    path.write_text("# Mine.")
    with pytest.raises(UsageError, match=r"two_words\.py already, which is left as it is"):
        await run(session, "/plugin new two-words --single-file")
    assert path.read_text() == "# Mine."


def test_in_the_shell_it_asks_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, "")
    with on_terminal(tmp_path, "plugin", "new", "--single-file") as terminal:
        terminal.wait_for("What is the plugin called?")
        terminal.type("two-words\n")
        terminal.wait_for("What does it do, in one sentence?")
        terminal.type("Greets.\n")
        terminal.wait_for(r"To try it: +/two-words Ada")
        assert terminal.end() == 0
    ran = chatapp(tmp_path, "two-words", "Ada")
    assert (ran.code, ran.out, ran.err) == (0, "Hello, Ada.\n", "")
