"""The commands about what is kept: conversations and models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp import commands
from chatapp.session import Session
from chatapp.testing import RecordingUI
from tests.support_models import ALPHA, gguf, sha256, toy_store
from tests.support_plugins import run, running, send
from tests.test_commands import refused, rows, say


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the application's own commands and a store that knows three toy models."""
    async with running(tmp_path, chatapp=commands) as session:
        session.host.models = toy_store(tmp_path)
        session.host.default_model = "beta"
        yield session


async def two(chat: Session) -> tuple[str, str]:
    """The ids of two conversations in the archive, the older first; the second is open."""
    await send(chat, "Where do otters sleep?", "On their backs.")
    first = chat.conversation.id
    await run(chat, "/new")
    await send(chat, "Who wrote Emma?", "Jane Austen.")
    return first, chat.conversation.id


async def test_conversations_are_listed_found_and_shown(chat: Session) -> None:
    assert await say(chat, "/sessions list") == "There are no conversations yet."
    first, second = await two(chat)
    assert [(row["id"], row["messages"], row["title"]) for row in await rows(chat, "/sessions list")] == [
        (second, 2, "Who wrote Emma?"),
        (first, 2, "Where do otters sleep?"),
    ]
    assert len(await rows(chat, "/sessions list --limit 1")) == 1
    assert {row["id"] for row in await rows(chat, "/sessions search otters sleep")} == {first}
    assert [row["id"] for row in await rows(chat, "/sessions search jane --limit 5")] == [second]
    assert await say(chat, "/sessions search walrus") == "Nothing was found for 'walrus'."
    shown = await say(chat, f"/sessions show {first[:6]}")
    assert "Where do otters sleep?" in shown
    assert "On their backs." in shown
    assert "no-such" in await refused(chat, "/sessions show no-such")


async def test_a_conversation_is_renamed(chat: Session) -> None:
    first, second = await two(chat)
    assert await say(chat, f"/sessions rename {first[:7]} Sea  otters") == f"{first} is now called 'Sea  otters'."
    assert await say(chat, f"/sessions rename {second} Emma") == f"{second} is now called 'Emma'."
    assert [row["title"] for row in await rows(chat, "/sessions list")] == ["Emma", "Sea otters"]
    assert chat.conversation.title == "Emma"


async def test_deleted_conversations_come_back_until_they_are_purged(chat: Session) -> None:
    first, second = await two(chat)
    assert (await refused(chat, "/sessions rm")).startswith("Name the conversations to delete;")
    assert "nothing" in await refused(chat, f"/sessions rm {first} nothing")
    assert len(await rows(chat, "/sessions list")) == 2
    told = await say(chat, f"/sessions rm {first} {second}")
    assert told == f"Deleted {first}, {second}; `sessions restore {second}` brings it back."
    assert await rows(chat, "/sessions list") == []
    assert {row["id"] for row in await rows(chat, "/sessions list --deleted")} == {first, second}
    assert await say(chat, f"/sessions restore {first}") == f"{first} is back."
    assert [row["id"] for row in await rows(chat, "/sessions list")] == [first]
    assert await say(chat, "/sessions purge") == "0 conversations were removed for good."
    assert await say(chat, "/sessions purge --days 0") == "1 conversations were removed for good."
    assert await rows(chat, "/sessions list --deleted") == []
    assert second in await refused(chat, f"/sessions restore {second}")


@pytest.mark.parametrize("ending", ["json", "md"])
async def test_a_conversation_goes_out_and_comes_in(chat: Session, tmp_path: Path, ending: str) -> None:
    assert (await refused(chat, "/sessions export")).startswith("Name the conversation to export;")
    first, second = await two(chat)
    file = tmp_path / f"my otters.{ending}"
    assert await say(chat, f'/sessions export {first} "{file}"') == f"Written to {file}."
    assert ("otters" in file.read_text(), file.read_text().startswith("{")) == (True, ending == "json")
    await run(chat, f"/sessions rm {first}")
    await run(chat, "/sessions purge --days 0")
    told = await say(chat, f'/sessions import "{file}"')
    assert told.startswith("Imported 2 messages as ")
    again = chat.host.archive.load(told.removesuffix(".").rpartition(" ")[2])
    assert [message.text for message in again.path()] == ["Where do otters sleep?", "On their backs."]
    assert again.id != second
    # The same file once more is another conversation, not the same one twice.
    assert again.id not in await say(chat, f'/sessions import "{file}"')
    assert len(await rows(chat, "/sessions list")) == 3


async def test_exporting_what_is_open(chat: Session, tmp_path: Path) -> None:
    await two(chat)
    assert "Jane Austen." in await say(chat, "/sessions export")
    assert json.loads(await say(chat, "/sessions export --format json"))
    file = tmp_path / "kept.md"
    file.write_text("mine")
    assert "was left as it is" in await refused(chat, f"/sessions export {chat.conversation.id} {file}")
    assert file.read_text() == "mine"
    assert isinstance(chat.ui, RecordingUI)
    chat.ui.answers = [True]
    await run(chat, f"/sessions export {chat.conversation.id} {file}")
    assert "Jane Austen." in file.read_text()


async def states(chat: Session) -> dict[str, tuple[object, object]]:
    """State and note of each model."""
    return {str(row["name"]): (row["state"], row["note"]) for row in await rows(chat, "/models list")}


async def test_models_are_pulled_removed_and_brought_back(chat: Session) -> None:
    assert await states(chat) == {"alpha-1b": ("", ""), "alpha-2b": ("", ""), "beta": ("", "recommended")}
    assert (await say(chat, "/models pull alpha-1b")).endswith("alpha-1b is ready.")
    assert (await states(chat))["alpha-1b"] == ("here", "")
    where = Path(await say(chat, "/models path alpha-1b"))
    assert where.read_bytes() == ALPHA
    assert (await say(chat, "/models verify alpha-1b")).endswith("alpha-1b is intact.")
    told = await say(chat, "/models rm alpha-1b")
    assert told == "alpha-1b is in the trash: `models restore` brings it back, `models purge` frees 50 kB."
    assert (await states(chat))["alpha-1b"] == ("", "")
    assert await say(chat, "/models restore") == "alpha-1b is back."
    assert Path(await say(chat, "/models path alpha-1b")).read_bytes() == ALPHA
    await run(chat, "/models rm alpha-1b")
    assert await say(chat, "/models purge") == "50 kB are free again."
    assert "alpha-1b" in await refused(chat, "/models restore alpha-1b")


async def test_a_model_removed_at_once(chat: Session) -> None:
    await run(chat, "/models pull beta")
    assert await say(chat, "/models rm beta --now") == "beta is removed; 60 kB are free again."
    assert "models pull beta" in await refused(chat, "/models path beta")


async def test_a_file_of_ones_own(chat: Session, tmp_path: Path) -> None:
    mine = tmp_path / "Mine.gguf"
    mine.write_bytes(gguf(4000))
    told = await say(chat, f"/models add {mine} --name tiny")
    assert told == "Added as tiny; use it with --model or /model."
    facts = await run(chat, "/models info tiny")
    value = getattr(facts[0], "value", {})
    assert (value["path"], value["size"], value["sha256"]) == (str(mine), "4.0 kB", sha256(mine.read_bytes()))
    mine.write_bytes(gguf(3000))
    assert "tiny" in await refused(chat, "/models verify tiny")
    assert await say(chat, "/models rm tiny") == f"tiny is forgotten; its file {mine} was not touched."
    assert mine.exists()


async def test_what_is_known_of_a_model(chat: Session) -> None:
    (shown,) = await run(chat, "/models info beta")
    value = getattr(shown, "value", {})
    assert (value["name"], value["title"], value["licence"], value["size"]) == ("beta", "Beta", "MIT", "60 kB")
    assert value["context length"] == "2,048 tokens"
    assert "path" not in value
    assert "did you mean beta" in await refused(chat, "/models info bata")
    assert (
        await refused(chat, "/models pull owner/name") == "Name the file too: `models pull OWNER/REPOSITORY FILE.gguf`."
    )
    assert "alpha-2b" in await refused(chat, "/models pull alpha-2b")
