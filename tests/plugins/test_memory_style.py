"""`/style`: taken from an answer or a file, held in the conversation, bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import chatapp_memory
from chatapp import commands
from chatapp.cli.ask import ask_command
from chatapp.errors import EngineError, UsageError
from chatapp.events import Finished, TextDelta
from chatapp.messages import Text
from chatapp.session import Session
from chatapp.testing import ScriptedEngine, make_host, script, sent_texts
from chatapp_memory.measure import measure
from tests.support_plugins import run, running, send

LETTER = (
    "Dear Sir, I am writing regarding the delivery of last week. The goods, however, have not yet arrived. "
    "We shall therefore be obliged to ask for a refund."
)
CASUAL = "Hey! I can't make it 😀\n\n- bring snacks\n- don't be late\n\nYeah, it's gonna be fun! Ok?"


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the plugin."""
    async with running(tmp_path, chatapp=commands, memory=chatapp_memory) as made:
        yield made


def letter(tmp_path: Path) -> Path:
    """A text file."""
    path = tmp_path / "letter one.txt"
    path.write_text(LETTER, encoding="utf-8")
    return path


async def test_the_style_of_a_file_is_described_shown_and_held(session: Session, tmp_path: Path) -> None:
    path = letter(tmp_path)
    script(session).says("Formal and polite, in **measured** full sentences. " * 30)
    shown = (await run(session, f'/style like "{path}"'))[-1]
    assert isinstance(shown, Text)
    assert "no lists" not in shown.text
    (asked,) = script(session).requests
    assert [role for role, _ in sent_texts(asked.messages)] == ["system", "user"]
    assert LETTER in sent_texts(asked.messages)[1][1]
    held = session.values["memory.style"]["text"]
    assert held in shown.text
    assert "Formal and polite" in held
    assert "*" not in held
    assert len(held.split()) <= 80
    assert len(session.conversation) == 0
    await send(session)
    assert sent_texts(script(session).requests[-1].messages)[0][1].endswith(held)
    assert session.status["style"] == "letter one.txt"


async def test_the_last_answer_edit_and_off(session: Session) -> None:
    await send(session, says=CASUAL)
    script(session).says("Chatty.")
    await run(session, "/style like last")
    assert "Chatty." in str(await run(session, "/style"))
    await run(session, "/style edit Short, dry, no emoji.")
    await send(session)
    assert "style: Short, dry, no emoji." in sent_texts(script(session).requests[-1].messages)[0][1]
    await run(session, "/style off")
    await send(session)
    assert "style" not in sent_texts(script(session).requests[-1].messages)[0][1]
    assert "style" not in session.status
    assert "No style is held" in str(await run(session, "/style"))


async def test_a_failing_engine_leaves_the_old_style(session: Session, tmp_path: Path) -> None:
    await run(session, "/style edit Plain words.")
    script(session).says([TextDelta("Half"), Finished("failed", "The model fell over.")])
    with pytest.raises(EngineError, match="fell over"):
        await run(session, f'/style like "{letter(tmp_path)}"')
    assert session.values["memory.style"]["text"] == "Plain words."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "No such file"),
        (b"too short", "too little text"),
        (b"fine\nfine\n\xff\xfe\n", "line 3: this is not UTF-8"),
        (b"nul \0 byte " * 20, "this is not UTF-8 text"),
        (b"word " * 210_000, "larger than 1 MB"),
    ],
)
async def test_files_that_have_no_style(session: Session, tmp_path: Path, data: bytes | None, sentence: str) -> None:
    path = tmp_path / "file.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=sentence):
        await run(session, f"/style like {path}")
    assert script(session).requests == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/style like LAST", "There is no answer yet"),
        ("/style off", "No style is held"),
        ("/style edit " + "word " * 81, "This is 81 words; a style is at most 80"),
    ],
)
async def test_what_cannot_be_is_one_sentence(session: Session, line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        await run(session, line)


async def test_help_says_that_no_weights_change(session: Session) -> None:
    for name in ("style like", "remember"):
        assert "no weights" in session.host.actions[name].doc
    assert session.host.actions["style like"].ask


def test_ask_takes_a_style(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.says("Stiff.", "The answer.")
    host = make_host(tmp_path, scripted=engine)
    host.add("memory", chatapp_memory)
    done = CliRunner().invoke(ask_command(host), ["--style-like", str(letter(tmp_path)), "Hello"], input="")
    assert (done.exit_code, done.stdout) == (0, "The answer.\n")
    assert sent_texts(engine.requests[1].messages)[0][1].endswith("Stiff.")


def test_what_is_counted() -> None:
    formal, casual = measure(LETTER), measure(CASUAL)
    assert (formal.formal, formal.casual, formal.lists, formal.emoji) == (4, 0, 0, 0)
    assert formal.sentence_words == pytest.approx(28 / 3)
    assert "formal wording" in formal.sentence()
    assert (casual.lists, casual.emoji, casual.exclamations, casual.questions) == (2, 1, 2, 1)
    assert casual.casual > casual.formal
    assert measure("").sentence()
