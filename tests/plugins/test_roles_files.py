"""Role files: the bundled ones, the user's own, variables, and what is said of a file with a fault."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import pytest

import chatapp_roles
from chatapp import Data, Sampling, Session, Text, UsageError, commands
from chatapp_roles.files import BUNDLED, find, read
from chatapp_roles.schema import RoleSampling
from tests.support_plugins import run, running, write_settings

PORTUGUESE = {"pesquisador", "redator", "revisor", "tradutor", "professor"}
ENGLISH = {
    "researcher", "writer", "reviewer", "translator", "teacher", "shell", "analyst", "editor", "coach", "programmer",
}  # fmt: skip


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the roles."""
    async with running(tmp_path, chatapp=commands, roles=chatapp_roles) as made:
        yield made


def write_role(folder: Path, name: str, text: str) -> Path:
    """A role of the user's."""
    path = folder / "config" / "roles" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def said(session: Session, line: str) -> str:
    """What a command shows, as text."""
    (shown,) = await run(session, line)
    assert isinstance(shown, (Text, Data))
    return shown.text


def test_the_bundled_roles() -> None:
    assert {path.stem for path in BUNDLED.glob("*.toml")} == ENGLISH | PORTUGUESE


@pytest.mark.parametrize("name", sorted(ENGLISH | PORTUGUESE))
def test_a_bundled_role_is_whole(name: str) -> None:
    role = read(BUNDLED / f"{name}.toml")
    told = role.prompt({})
    assert 60 <= len(told.split()) <= 150
    assert "{" not in told
    assert role.file.description.endswith(".")
    assert role.file.sampling.temperature is not None
    assert ("português" in told) == (name in PORTUGUESE)


def test_the_sampling_of_a_role_is_the_engine_s() -> None:
    ours = set(RoleSampling.model_fields)
    assert {field.name for field in fields(Sampling)} - ours == {"logprobs", "grammar", "json_schema"}


async def test_a_file_of_the_user_s_goes_before_a_bundled_one(session: Session, tmp_path: Path) -> None:
    write_role(tmp_path, "writer", 'title = "My writer"\ndescription = "Mine."\nprompt = "Write."\n')
    write_role(tmp_path, "sailor", 'description = "Knows ships."\nprompt = "Sail."\n')
    listed = (await run(session, "/role"))[0]
    assert isinstance(listed, Data)
    rows = {row["role"]: (row["what it does"], row["whose"]) for row in listed.value}
    assert rows["writer"] == ("Mine.", "yours")
    assert rows["sailor"] == ("Knows ships.", "yours")
    assert rows["teacher"][1] == "bundled"
    assert find(session.host, "sailor").title == "Sailor"


async def test_another_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cook.toml").write_text('description = "Cooks."\nprompt = "Cook."\n', encoding="utf-8")
    write_settings(tmp_path, f'[roles]\nfolder = "{tmp_path}/mine"\n')
    async with running(tmp_path, roles=chatapp_roles) as session:
        assert find(session.host, "cook").path == tmp_path / "mine" / "cook.toml"


async def test_variables(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    monkeypatch.setenv("SHELL", "/bin/zsh")
    monkeypatch.chdir(tmp_path)
    text = '{{x}} {date} {cwd} {language} {shell} {topic} {number}"\n[variables]\ntopic = "maps"\nnumber = 3\n'
    path = write_role(tmp_path, "guide", f'description = "Guides."\nprompt = "{text}')
    date, rest = read(path).prompt({"topic": "{date}"}).removeprefix("{x} ").split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
    assert rest == f"{tmp_path} Portuguese zsh {{date}} 3"
    with pytest.raises(UsageError, match=r"no variable 'topik'; did you mean 'topic'\?"):
        read(path).prompt({"topik": "x"})


A, B = 'description = "A."\n', 'prompt = "B."\n'
NO_KEY = "there is no such key"
FAULTS = {
    f"{A}{B}temprature = 1\n": f"line 3: temprature: {NO_KEY}.",
    f'{A}{B}descripton = "x"\n': f"line 3: descripton: {NO_KEY}; did you mean 'description'?",
    f"{A}[sampling]\ntop_p = 0.5\n": "line 1: prompt: this key is missing.",
    f"{A}{B}\n[sampling]\ntop_p = 0.5\ntemperature = 9\n": "line 6: sampling.temperature: input should be",
    f'{A}prompt = """\nB\n[sampling]\n"""\n[sampling]\ntop_q = 1\n': f"line 7: sampling.top_q: {NO_KEY}; did",
    f'{A}{B}[[examples]]\nuser = "a"\nassistant = "b"\n[[examples]]\nuser = "c"\n': "line 6: examples.1.assistant: ",
    f'{A}prompt = """\nB\n': "line 3: ",
    f"{A}prompt = \n": "line 2: invalid value.",
    f'{A}prompt = """\nOne\nTwo {{brace\n"""\n': "line 4: a brace that is no variable is written twice, {{.",
    f'{A}prompt = """\nOne\nTwo }} {{cwd}}\n"""\n': "line 4: a brace that is no variable is written twice, }}.",
    f'name = "other"\n{A}{B}': "line 1: the name is 'other' and the file's is 'faulty'",
    f'description = ""\n{B}': "line 1: description: string should have at least 1 character",
    f'{A}prompt = """\nOne\n{{{{topic}}}} and\n{{topic}}\n"""\n': "line 5: the variable {topic} is not defined",
}


@pytest.mark.parametrize("text", FAULTS)
async def test_a_faulty_file_is_named_with_its_line(session: Session, tmp_path: Path, text: str) -> None:
    await run(session, "/role teacher")
    before = dict(session.values)
    path = write_role(tmp_path, "faulty", text)
    with pytest.raises(UsageError) as caught:
        await run(session, "/role faulty")
    assert str(caught.value).startswith(f"{path}, line ")
    assert FAULTS[text] in str(caught.value)
    assert session.values == before
    if "topic" not in text:
        assert f"Cannot be used: {path}, line " in await said(session, "/role")


async def test_a_file_that_is_not_text(session: Session, tmp_path: Path) -> None:
    path = write_role(tmp_path, "binary", "")
    path.write_bytes(b"title = 'x'\n\xff\xfe")
    with pytest.raises(UsageError, match="line 2: this is not UTF-8 text"):
        await run(session, "/role binary")


@pytest.mark.parametrize(
    ("name", "hint"), [("resercher", "did you mean 'researcher'?"), ("zzz", "/role lists them.")], ids=["near", "far"]
)
async def test_an_unknown_role_leaves_the_old_one(session: Session, name: str, hint: str) -> None:
    await run(session, "/role teacher")
    with pytest.raises(UsageError, match=re.escape(f"There is no role {name!r}")) as caught:
        await run(session, f"/role {name}")
    assert hint in str(caught.value)
    assert session.status == {"roles": "Teacher"}


async def test_new_writes_a_role_that_works(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config" / "roles" / "tax-adviser.toml"
    told = await said(session, '/role new tax-adviser You know "taxes" and {forms}')
    assert str(path) in told
    assert path.stat().st_mode & 0o077 == 0
    assert 'You are a tax adviser. You know "taxes" and {forms}.' in read(path).prompt({})
    assert read(path).file.description == 'You know "taxes" and {forms}.'
    with pytest.raises(UsageError, match="of yours already"):
        await run(session, "/role new tax-adviser")
    for name in ("off", "a/b", "../x"):
        with pytest.raises(UsageError, match="cannot be a role's name"):
            await run(session, f"/role new {name}")
    commented = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^# (?=\[|\w+ = )", "", commented), encoding="utf-8")
    assert read(path).file.examples[0].user == "A question"


async def test_edit_copies_a_bundled_role_and_prints_the_path(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config" / "roles" / "writer.toml"
    assert str(path) in await said(session, "/role edit writer")
    assert path.read_bytes() == (BUNDLED / "writer.toml").read_bytes()
    path.write_text(path.read_text(encoding="utf-8").replace("Writer", "Poet"), encoding="utf-8")
    await run(session, "/role edit writer")
    assert find(session.host, "writer").title == "Poet"
    with pytest.raises(UsageError, match="There is no role 'nobody'"):
        await run(session, "/role edit nobody")


async def test_show(session: Session) -> None:
    text = await said(session, "/role show shell")
    assert "variables" not in text
    assert "sampling: temperature=0.1\nexamples: 1\n" in text
    assert "The user works on {os} with the shell {shell}" in text
