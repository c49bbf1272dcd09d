"""The commands about the open conversation, plugins and settings, as the user types them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp import commands
from chatapp.engine import Engine, EngineConfig, EngineSpec, Report
from chatapp.errors import ChatappError, EngineError, ModelError, SettingsError, UsageError
from chatapp.events import TextDelta
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Data, Text
from chatapp.session import Session
from chatapp.testing import script, sent_texts
from tests.support_plugins import run, running, send, write_plugin, write_settings


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the application's own commands and the bundled plugins."""
    write_settings(tmp_path, 'system = "Be brief."\n')
    async with running(tmp_path, load=True, chatapp=commands) as session:
        yield session


async def say(session: Session, line: str) -> str:
    """The text that a command shows."""
    shown = await run(session, line)
    return "".join(event.text for event in shown if isinstance(event, (Text, TextDelta, Data)))


async def rows(session: Session, line: str) -> list[dict[str, object]]:
    """The rows of the table that a command shows."""
    (shown,) = await run(session, line)
    assert isinstance(shown, Data)
    return list(shown.value)


async def refused(session: Session, line: str) -> str:
    """The sentence with which a command is refused."""
    with pytest.raises(ChatappError) as caught:
        await run(session, line)
    return str(caught.value)


def path(session: Session) -> list[str]:
    """The texts of the shown messages."""
    return [message.text for message in session.conversation.path()]


async def test_help_lists_everything(chat: Session) -> None:
    listed = await rows(chat, "/help")
    assert {row["command"] for row in listed} == {f"/{name}" for name in chat.host.actions}
    assert all(row["what it does"] and row["plugin"] for row in listed)
    assert listed[0]["plugin"] == "chatapp"
    one = await say(chat, "/help sessions export")
    assert one.startswith("/sessions export [CONVERSATION] [FILE] [--format FORMAT]\n\nWrite a conversation")
    assert "    format: Otherwise by the file's ending" in one
    assert await say(chat, "/help /new") == "/new\n\nStart a new conversation; the one before stays in the list."
    assert await refused(chat, "/help modle") == "There is no command /modle. Did you mean /model?"
    assert await refused(chat, "/help zzz") == "There is no command /zzz."


async def test_a_new_conversation_keeps_the_old_one(chat: Session) -> None:
    await send(chat, "Remember me")
    before = chat.conversation.id
    assert await run(chat, "/new") == []
    assert (len(chat.conversation), chat.conversation.id == before, chat.turn) == (0, False, None)
    await run(chat, f"/open {before}")
    assert path(chat) == ["Remember me", "One two three four."]


async def test_nothing_is_opened_while_an_answer_comes(chat: Session) -> None:
    script(chat).says("One two three.")
    events = chat.send("Hi")
    await anext(events)
    assert await refused(chat, "/new") == "An answer is under way; stop it first."
    assert await refused(chat, "/retry") == "An answer is under way; stop it first."
    await events.aclose()


async def test_the_instruction(chat: Session) -> None:
    assert await say(chat, "/system") == "Be brief."
    assert await say(chat, '/system You are "Bo".\n\n  Rhyme.') == 'You are "Bo".\n\n  Rhyme.'
    await send(chat, "Hi")
    assert await say(chat, "/system -") == "Be brief."
    await send(chat, "Hi")
    systems = [sent_texts(request.messages)[0] for request in script(chat).requests]
    assert systems == [("system", 'You are "Bo".\n\n  Rhyme.'), ("system", "Be brief.")]


async def test_sampling(chat: Session) -> None:
    assert [row["name"] for row in await rows(chat, "/set")][:2] == ["temperature", "top_p"]
    assert {row["value"] for row in await rows(chat, "/set")} == {"(model's own)"}
    (row,) = await rows(chat, "/set temperature 0.2")
    assert (row["name"], row["value"]) == ("temperature", 0.2)
    await run(chat, "/set seed 7")
    await send(chat)
    assert (script(chat).requests[0].sampling.temperature, script(chat).requests[0].sampling.seed) == (0.2, 7)
    await run(chat, "/set temperature -")
    assert chat.sampling.temperature is None
    assert chat.host.archive.load(chat.conversation.id).values["sampling"] == {"seed": 7}
    assert (await refused(chat, "/set warmth 1")).startswith("There is no 'warmth'; there are temperature, top_p,")
    assert await refused(chat, "/set top_p 2") == "top_p: input should be less than or equal to 1 (it is '2')."


async def test_another_answer_and_another_question(chat: Session) -> None:
    assert await refused(chat, "/retry") == "There is no message to answer yet."
    assert await refused(chat, "/edit x") == "There is no message to edit yet."
    assert await refused(chat, "/branch") == "This conversation has no branches yet; /retry and /edit make them."
    await send(chat, "Why?", "First.")
    script(chat).says("Second.", "Third.")
    assert await say(chat, "/retry") == "Second."
    assert path(chat) == ["Why?", "Second."]
    assert await say(chat, "/branch previous") == "Version 1 of 2: First."
    assert await say(chat, "/edit What\n  for?") == "Third."
    assert path(chat) == ["What\n  for?", "Third."]
    assert await say(chat, "/branch previous") == "Version 1 of 2: Why?"
    assert path(chat) == ["Why?", "First."]
    assert [message.text for message in chat.host.archive.load(chat.conversation.id).path()] == ["Why?", "First."]
    assert "Invalid value" in await refused(chat, "/branch sideways")


async def test_a_pinned_message(chat: Session) -> None:
    assert await refused(chat, "/pin") == "There is no message to pin yet."
    await send(chat, "Important")
    assert await say(chat, "/pin") == "Pinned: the model will always read this exchange."
    question = next(chat.conversation.path())
    assert chat.host.archive.load(chat.conversation.id).node(question.id).pinned
    assert await say(chat, "/pin --off") == "No longer pinned."
    assert not chat.host.archive.load(chat.conversation.id).node(question.id).pinned


async def test_the_title(chat: Session) -> None:
    await send(chat, "Hello there")
    assert chat.conversation.title == "Hello there"
    assert await say(chat, "/title Plans for  May") == "This conversation is now called 'Plans for  May'."
    assert chat.host.archive.load(chat.conversation.id).title == "Plans for  May"


async def test_what_was_sent(chat: Session) -> None:
    assert await say(chat, "/sent") == "Nothing was sent yet."
    await send(chat, "Hello there")
    await send(chat, "And again")
    listed = await rows(chat, "/sent")
    assert (listed[0]["block"], listed[0]["plugin"], listed[0]["tokens"]) == ("Instruction", "chatapp", 2)
    # The engine counts words, and read all but the last message before.
    assert listed[0]["reused"] == 2
    assert listed[-1]["tokens"] == 2
    assert listed[-1]["reused"] != 2


async def test_the_model(chat: Session) -> None:
    assert await say(chat, "/model") == "scripted, not loaded yet."
    await send(chat)
    assert await say(chat, "/model") == "scripted, open with a context of 4,096 tokens."
    chat.host.settings.core.engine = ""
    assert await say(chat, "/model echo") == "echo answers from now on."
    assert await send(chat, "Say it back") == "Say it back"
    assert chat.host.archive.load(chat.conversation.id).values["model"] == "echo"
    assert await say(chat, "/model scripted --default") == "scripted answers from now on."
    assert 'model = "scripted"' in chat.host.settings.path.read_text()
    with pytest.raises((ModelError, EngineError)):
        await run(chat, "/model no-such-model")
    assert await send(chat, "Are you there?") == "One two three four."


class Broken:
    """An engine that takes one name and cannot be opened."""

    @hookimpl
    def engines(self) -> list[EngineSpec]:
        """It."""
        return [EngineSpec("broken", self._open, accepts=lambda host, model: model == "broken")]

    async def _open(self, host: Host, config: EngineConfig, report: Report) -> Engine:
        raise EngineError("It is broken.")


async def test_a_model_that_cannot_be_opened_leaves_the_one_that_answered(chat: Session) -> None:
    await send(chat)
    chat.host.settings.core.engine = ""
    chat.host.add("broken", Broken())
    with pytest.raises(EngineError, match="It is broken"):
        await run(chat, "/model broken --default")
    assert chat.model == "scripted"
    assert await send(chat) == "One two three four."
    assert chat.model == "scripted"


async def test_the_plugins(chat: Session, tmp_path: Path) -> None:
    listed = {str(row["name"]): row for row in await rows(chat, "/plugin list")}
    assert (listed["example"]["state"], listed["example"]["from"], listed["example"]["error"]) == ("on", "bundled", "")
    assert listed["chatapp"]["state"] == "on"
    write_plugin(tmp_path, "broken", "from chatapp import hookimpl\n@hookimpl\ndef turn_finished(turn): return 1 / 0")
    async with running(tmp_path, load=True, chatapp=commands) as session:
        await send(session)
        row = next(row for row in await rows(session, "/plugin list") if row["name"] == "broken")
    assert (row["state"], row["from"], row["where"]) == ("on", "file", str(tmp_path / "config/plugins/broken.py"))
    assert str(row["error"]).startswith("The plugin 'broken' failed in turn_finished: ZeroDivisionError")


async def test_the_settings(chat: Session) -> None:
    listed = {str(row["name"]): row for row in await rows(chat, "/settings list")}
    assert (listed["system"]["value"], listed["example.sides"]["value"]) == ("'Be brief.'", "6")
    assert {"sampling.seed", "plugins.disabled", "keys"} <= set(listed)
    assert all(row["meaning"] for row in listed.values())
    assert await say(chat, "/settings path") == str(chat.host.settings.path)


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("model", "a-name", 'model = "a-name"'),
        ("offline", "true", "offline = true"),
        ("example.sides", "20", "[example]\nsides = 20"),
        ("sampling.presence_penalty", "-0.5", "[sampling]\npresence_penalty = -0.5"),
        ("sampling.temperature", "0.5", "[sampling]\ntemperature = 0.5"),
        ("plugins.disabled", '["rag"]', '[plugins]\ndisabled = ["rag"]'),
    ],
)
async def test_a_setting_is_changed_and_set_back(chat: Session, name: str, value: str, written: str) -> None:
    settings = chat.host.settings.path
    assert await say(chat, f"/settings set {name} {value}") == f"{name} is {value}."
    assert written in settings.read_text()
    listed = {str(row["name"]): row["value"] for row in await rows(chat, "/settings list")}
    assert str(listed[name]).replace("'", '"').lower().strip('"') == value
    assert await say(chat, f"/settings set {name} -") == f"{name} is back at its default."
    assert written not in settings.read_text()
    assert 'system = "Be brief."' in settings.read_text()


async def test_a_setting_that_cannot_be(chat: Session) -> None:
    before = chat.host.settings.path.read_text()
    with pytest.raises(UsageError, match=r"^There is no setting 'exmaple\.sides'; `settings list`"):
        await run(chat, "/settings set exmaple.sides 3")
    with pytest.raises(SettingsError, match=r"^example\.sides: input should be greater than or equal to 2 \(it is 1\)"):
        await run(chat, "/settings set example.sides 1")
    assert chat.host.settings.path.read_text() == before
