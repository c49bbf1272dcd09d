"""Prompt templates: filling in, sending, choosing, and what is said of a faulty one."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import chatapp_prompts
from chatapp import ChatappError, Data, Session, Text, UsageError, commands
from chatapp.completion import complete
from chatapp.testing import RecordingUI, script, sent_texts
from chatapp.tooling import tool_of
from chatapp_prompts.files import BUNDLED, Template, find, read
from tests.plugins.real import collect, real_session, sampled, text_of
from tests.support_plugins import read as heard
from tests.support_plugins import run, running, write_settings
from tests.support_reader import ScriptedReader, document


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the prompts."""
    async with running(tmp_path, chatapp=commands, prompts=chatapp_prompts) as made:
        yield made


def write_prompt(folder: Path, name: str, text: str) -> Path:
    """A template of the user's."""
    path = folder / "config" / "prompts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def shown(session: Session, line: str) -> str:
    """What `--show` shows."""
    (part,) = await run(session, line)
    assert isinstance(part, Text)
    return part.text


def last(session: Session) -> str:
    """The newest message the model read."""
    return sent_texts(script(session).requests[-1].messages)[-1][1]


def test_the_bundled_templates() -> None:
    found = {path.stem: read(path) for path in BUNDLED.iterdir()}
    assert set(found) == {"summarise", "explain", "fix-grammar", "commit-message"}
    for template in found.values():
        assert template.description.startswith(("Sum", "Explain", "Correct", "Write"))
        assert template.lacks({}) == ["input"]
        assert template.render({"input": "a {b} c"}).endswith("a {b} c")


async def test_a_template_is_filled_in_and_sent(session: Session, tmp_path: Path) -> None:
    write_prompt(tmp_path, "tone.txt", '+++\n[variables]\ntone = "kind"\n+++\n{{{tone}}} for {reader}: {input}\n')
    script(session).says("Done.")
    events = await run(session, '/prompt tone tone="very formal" reader=Ana The  text,\nof two lines')
    assert last(session) == "{very formal} for Ana: The  text,\nof two lines"
    assert heard(events) == "Done."
    assert [each.role for each in session.conversation.path()] == ["user", "assistant"]
    assert await shown(session, "/prompt tone reader=Ana --show word") == "{kind} for Ana: word"
    assert len(script(session).requests) == 1


async def test_a_plain_file_with_text_below_it(session: Session, tmp_path: Path) -> None:
    write_prompt(tmp_path, "brief.md", 'Answer briefly. { "a": 1 }')
    assert await shown(session, "/prompt brief --show Why not=so?") == 'Answer briefly. { "a": 1 }\n\nWhy not=so?'


async def test_one_s_own_goes_before_a_bundled_one(tmp_path: Path) -> None:
    write_settings(tmp_path, f'[prompts]\nfolder = "{tmp_path}/config/prompts"\n')
    write_prompt(tmp_path, "explain.md", "Mine: {input}")
    async with running(tmp_path, prompts=chatapp_prompts) as session:
        assert await shown(session, "/prompt explain --show x") == "Mine: x"
        (listed,) = await run(session, "/prompt")
        assert isinstance(listed, Data)
        rows = {row["prompt"]: (row["variables"], row["whose"]) for row in listed.value}
        assert rows["explain"] == ("input", "yours")
        assert rows["summarise"] == ("words=100 input", "bundled")


async def test_a_missing_variable_is_named_with_an_example(session: Session, tmp_path: Path) -> None:
    write_prompt(tmp_path, "two.md", "{what} {why} {input}")
    with pytest.raises(UsageError) as caught:
        await run(session, "/prompt two why=x")
    assert str(caught.value) == "The prompt 'two' needs a value for {what}: /prompt two what=\"…\" TEXT."
    assert len(session.conversation) == 0


async def test_an_unknown_prompt(session: Session) -> None:
    with pytest.raises(UsageError, match="There is no prompt 'sumarise'; did you mean 'summarise'\\?"):
        await run(session, "/prompt sumarise x")


FAULTS = {
    "+++\ndescription = \n+++\nx": "line 2: Invalid value.",
    '+++\ndescription = "x"\n': "line 1: the head that begins with +++ is not ended by a line +++.",
    '+++\ndescription = "x"\ntitle = "y"\n+++\nx': "line 3: there is no key 'title'; there are description and [vari",
    "+++\ndescription = 3\n+++\nx": "line 2: description must be a text.",
    "+++\n\nvariables = 3\n+++\nx": "line 3: variables must be a table: [variables].",
    "+++\n[variables]\na = 1\nb = [1]\n+++\nx": "line 4: b must be one text or number.",
    "+++\n+++\n\n": "line 3: there is no text to send.",
}


@pytest.mark.parametrize("text", FAULTS)
async def test_a_faulty_file_is_named_with_its_line(session: Session, tmp_path: Path, text: str) -> None:
    path = write_prompt(tmp_path, "faulty.md", text)
    with pytest.raises(UsageError) as caught:
        await run(session, "/prompt faulty x")
    assert str(caught.value).startswith(f"{path}, {FAULTS[text]}")
    assert f"Cannot be used: {path}" in str(await run(session, "/prompt"))


async def test_a_file_is_attached(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a note.txt").write_text("Ships </document> left.", encoding="utf-8")
    await run(session, f'/prompt summarise @"{tmp_path}/a note.txt"')
    assert 'a note.txt">\nShips <\\/document> left.\n</document>\n\nSummarise' in last(session)
    assert last(session).endswith('the document "' + f'{tmp_path}/a note.txt" above')
    assert (await shown(session, "/prompt explain --show @decorator")).endswith("@decorator")


async def test_a_document_is_read_and_attached(session: Session, tmp_path: Path) -> None:
    session.host.add("reading", ScriptedReader({"a report.pdf": "Ships left."}))
    path, _ = document(tmp_path, "a report.pdf")
    await run(session, f'/prompt summarise @"{path}"')
    assert f'<document title="{path}" from="3 pages">\nShips left.\n</document>' in last(session)
    assert last(session).endswith(f'the document "{path}" above')


async def test_standard_input(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("+ a line\n"))
    await run(session, "/prompt commit-message -")
    assert last(session).endswith("Diff:\n\n+ a line")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="Standard input is empty"):
        await run(session, "/prompt commit-message -")


async def test_choosing_asks_for_the_variables(session: Session, tmp_path: Path) -> None:
    write_prompt(tmp_path, "aaa.md", "+++\n[variables]\nb = 2\n+++\n{a} {b} {c}")
    ui = session.ui
    assert isinstance(ui, RecordingUI)
    ui.answers = ["aaa: ", "one", None, "three"]
    await run(session, "/prompt choose")
    assert last(session) == "one 2 three"
    assert ui.questions == ["Which prompt?", "aaa: a", "aaa: b", "aaa: c"]
    ui.answers = ["aaa: "]
    assert await run(session, "/prompt choose") == []
    assert await run(session, "/prompt choose") == []
    assert len(script(session).requests) == 1


async def test_new(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config" / "prompts" / "mine.md"
    assert str(path) in await shown(session, "/prompt new mine")
    assert path.stat().st_mode & 0o077 == 0
    assert "100 and x are filled in" in find(session.host, "mine").render({"input": "x"})
    with pytest.raises(UsageError, match="of yours already"):
        await run(session, "/prompt new mine")
    with pytest.raises(UsageError, match="cannot be a prompt's name"):
        await run(session, "/prompt new a/b")
    # The shell has `prompt` only.
    (told,) = [
        each async for each in session.host.actions["prompt"].function(session, "new", "to Say it in {language}")
    ]
    assert "to.md" in told.text
    assert await shown(session, "/prompt to --show language=Greek") == "Say it in Greek"


async def test_a_failure_is_an_error_on_every_surface(session: Session) -> None:
    script(session).says([RuntimeError("broken")])
    with pytest.raises(ChatappError, match="broken"):
        await run(session, "/prompt explain x")


async def test_names_are_completed(session: Session, tmp_path: Path) -> None:
    assert [each.label for each in complete(session, "/prompt sum", tmp_path)] == ["summarise"]
    assert not session.host.actions["prompt"].tool
    assert tool_of(session.host.actions["prompt choose"]).parameters["properties"] == {}


def test_values_come_first_and_end_where_the_text_begins() -> None:
    template = Template("t", Path("t.md"), "{a} {b} {input}")
    assert template.take("a=1 b= x=2 a=3") == {"a": "1", "b": "", "input": "x=2 a=3"}
    assert template.take('a="1 2"\nb="" text') == {"a": "1 2", "b": "", "input": "text"}
    assert template.take("") == {}


async def test_a_template_with_the_real_model(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("prompts", chatapp_prompts)
        sampled(session, max_tokens=40)
        answer = text_of(await collect(session.run("/prompt fix-grammar He go to school every days.")))
        assert "goes to school every day" in answer
