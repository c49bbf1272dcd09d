"""Roles in a conversation: what the model is told when, and what stays as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import chatapp_roles
from chatapp import Finished, Session, UsageError, commands
from chatapp.completion import complete
from chatapp.testing import script, sent_texts
from chatapp_roles.files import find
from tests.support_plugins import run, running, send, write_settings

ROLE = """
title = "{title}"
description = "Is {title}."
prompt = "You {title} in {{mood}} mood."
{more}
[variables]
mood = "good"
"""


def write_roles(folder: Path) -> None:
    """Three short roles: cook (with an example), sailor and poet (with sampling)."""
    place = folder / "config" / "roles"
    place.mkdir(parents=True, exist_ok=True)
    more = {
        "cook": '[[examples]]\nuser = "Hungry"\nassistant = "Soup."',
        "sailor": '[[examples]]\nuser = "Wind?"\nassistant = "West."',
        "poet": '[sampling]\ntemperature = 1.5\ntop_k = 7\nstop = ["END"]',
    }
    for name, extra in more.items():
        text = ROLE.format(title=name.capitalize(), more=extra)
        head, _, tail = text.partition("[[examples]]" if "[[" in extra else "[sampling]")
        rest, _, variables = (("[[examples]]" if "[[" in extra else "[sampling]") + tail).partition("[variables]")
        (place / f"{name}.toml").write_text(f"{head}[variables]{variables}{rest}", encoding="utf-8")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the roles and three short ones."""
    write_roles(tmp_path)
    write_settings(tmp_path, 'system = "Help."\n[sampling]\ntemperature = 0.9\ntop_k = 40\n')
    async with running(tmp_path, chatapp=commands, roles=chatapp_roles) as made:
        yield made


def last(session: Session) -> list[tuple[str, str]]:
    """The latest prompt."""
    return sent_texts(script(session).requests[-1].messages)


SAILOR = "From now on you are the Sailor, and no role before it holds:\nYou Sailor in good mood."
SAILING = f"{SAILOR}\n\nExample question: Wind?\nExample answer: West."
POET = "From now on you are the Poet, and no role before it holds:\nYou Poet in good mood."


async def test_the_first_role_stands_at_the_beginning(session: Session) -> None:
    await run(session, "/role sailor")
    await run(session, '/role cook mood="a bad"')
    await send(session, "One")
    assert last(session) == [
        ("system", "Help.\n\nYou Cook in a bad mood."),
        ("user", "Hungry"),
        ("assistant", "Soup."),
        ("user", "One"),
    ]
    assert session.turn is not None
    assert [piece.plugin for piece in session.turn.sent] == ["chatapp", "roles", "roles", "chatapp"]


async def test_a_later_role_stands_beside_the_message_and_stays_there(session: Session) -> None:
    await run(session, "/role cook")
    await send(session, "One")
    await run(session, "/role sailor")
    await send(session, "Two")
    first = last(session)
    assert first[:3] == [("system", "Help.\n\nYou Cook in good mood."), ("user", "Hungry"), ("assistant", "Soup.")]
    assert first[-1] == ("user", f"{SAILING}\n\nTwo")
    await send(session, "Three")
    assert last(session)[: len(first)] == first
    assert last(session)[-1] == ("user", "Three")


async def test_each_answer_records_its_role_and_the_switch_says_its_cost(session: Session) -> None:
    await send(session, "None")
    await run(session, "/role cook")
    assert session.status == {"roles": "Cook"}
    await send(session, "One")
    beside = [message.context for message in session.conversation.path()][2]
    assert beside.startswith("From now on you are the Cook, and no role before it holds:\nYou Cook in good mood.")
    # The words of the switch, the message and the sign before it.
    told = len(beside.split()) + 2
    assert session.status == {"roles": "Cook", "switch": f"{told} tokens"}
    assert f"The last switch, to Cook, read {told} tokens." in str(await run(session, "/role"))
    await send(session, "Two")
    assert session.status == {"roles": "Cook"}
    metas = [each.meta.get("status") for each in session.conversation.path() if each.role == "assistant"]
    assert metas == [None, {"roles": "Cook"}, {"roles": "Cook"}]


async def test_off_and_back_to_the_first_role(session: Session) -> None:
    await run(session, "/role cook")
    await send(session, "One")
    await run(session, "/role off")
    assert session.status == {}
    await send(session, "Two")
    off = "From now on answer as yourself again, no longer as the Cook; its instructions no longer hold."
    assert last(session)[-1] == ("user", f"{off}\n\nTwo")
    await run(session, "/role cook")
    await send(session, "Three")
    again = "From now on you are the Cook, and no role before it holds: Is Cook. The instructions at the beginning hold"
    assert last(session)[-1] == ("user", f"{again} again.\n\nThree")
    await send(session, "Four")
    assert last(session)[-1] == ("user", "Four")


async def test_off_before_anything_was_said_leaves_nothing(session: Session) -> None:
    assert "No role is on." in str(await run(session, "/role off"))
    await run(session, "/role cook")
    assert "No longer Cook" in str(await run(session, "/role off"))
    await send(session, "One")
    assert last(session) == [("system", "Help."), ("user", "One")]


async def test_asking_the_message_of_the_switch_again_keeps_it(session: Session) -> None:
    await send(session, "One")
    await run(session, "/role sailor")
    await send(session, "Two")
    await run(session, "/retry")
    assert last(session)[-1] == ("user", f"{SAILING}\n\nTwo")
    # Nothing new was read for it.
    assert session.status == {"roles": "Sailor"}
    await run(session, "/edit Two, better")
    assert last(session)[-1] == ("user", f"{SAILING}\n\nTwo, better")
    await send(session, "Three")
    assert [text for _, text in last(session)].count(f"{SAILING}\n\nTwo, better") == 1
    assert last(session)[-1] == ("user", "Three")


async def test_another_branch_is_told_again(session: Session) -> None:
    await send(session, "One")
    await run(session, "/role sailor")
    await send(session, "Two")
    first = next(session.conversation.path())
    async for _ in session.edit(first.id, "One, otherwise"):
        pass
    assert last(session)[-1] == ("user", f"{SAILING}\n\nOne, otherwise")
    session.conversation.step(session.conversation.roots[1], -1)
    await send(session, "Three")
    assert last(session)[-1] == ("user", "Three")


async def test_three_roles_in_turn(session: Session) -> None:
    for name in ("cook", "sailor", "poet", "sailor"):
        await run(session, f"/role {name}")
        await send(session, name)
    path = [each.context for each in session.conversation.path() if each.role == "user"]
    assert path == ["", SAILING, POET, SAILING]
    await send(session, "more")
    assert last(session)[-1] == ("user", "more")


async def test_what_the_context_has_outgrown_is_told_again_at_once(session: Session) -> None:
    script(session).context_length = 320
    await send(session, "One")
    await run(session, "/role sailor")
    told = []
    for number in range(12):
        await send(session, f"Message {number} " + "word " * 20)
        told.append(any("You Sailor in good mood." in text for _, text in last(session)))
    assert session.values["first_kept"]
    assert told == [True] * 12
    contexts = [each.context for each in session.conversation.path()]
    assert 1 < contexts.count(SAILING) < 6
    saved = session.host.archive.load(session.conversation.id)
    assert [each.context for each in saved.path()] == contexts


async def test_sampling_user_then_role_then_settings(session: Session) -> None:
    await run(session, "/set temperature 0.2")
    await run(session, "/role poet")
    await send(session, "One")
    sampling = script(session).requests[-1].sampling
    assert (sampling.temperature, sampling.top_k, sampling.stop) == (0.2, 7, ("END",))
    await run(session, "/set temperature -")
    await send(session, "Two")
    assert script(session).requests[-1].sampling.temperature == 1.5
    await run(session, "/role off")
    await send(session, "Three")
    sampling = script(session).requests[-1].sampling
    assert (sampling.temperature, sampling.top_k, sampling.stop) == (0.9, 40, ())


async def test_what_a_role_asks_of_other_plugins(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config" / "roles" / "poet.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f'adapters = ["verse"]\ntools = ["dice"]\n{text}', encoding="utf-8")
    await run(session, "/role poet")
    assert {each: session.values[f"roles.{each}"] for each in ("adapters", "documents", "tools")} == {
        "adapters": ["verse"],
        "documents": [],
        "tools": ["dice"],
    }
    await run(session, "/role off")
    assert [key for key in session.values if key.startswith("roles.") and key != "roles.current"] == []


async def test_a_role_is_kept_with_its_conversation(session: Session) -> None:
    await run(session, "/role cook")
    await send(session, "One")
    cooking = session.conversation.id
    await run(session, "/new")
    await send(session, "Other")
    assert last(session) == [("system", "Help."), ("user", "Other")]
    await run(session, f"/open {cooking}")
    await send(session, "Two")
    assert last(session)[0] == ("system", "Help.\n\nYou Cook in good mood.")
    assert session.status == {"roles": "Cook"}


async def test_the_role_of_the_settings(tmp_path: Path) -> None:
    write_roles(tmp_path)
    write_settings(tmp_path, 'system = ""\n[roles]\ndefault = "cook"\n')
    async with running(tmp_path, chatapp=commands, roles=chatapp_roles) as session:
        assert "*    cook" in str(await run(session, "/role"))
        await send(session, "One")
        assert last(session)[0] == ("system", "You Cook in good mood.")
        await run(session, "/new")
        await run(session, "/role off")
        await send(session, "Two")
        assert last(session) == [("user", "Two")]


async def test_a_failed_turn_tells_no_cost_and_the_next_one_has_the_role(session: Session) -> None:
    await send(session, "One")
    await run(session, "/role sailor")
    script(session).says([RuntimeError("broken")])
    events = [event async for event in session.send("Two")]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "failed"
    assert "roles.read" not in session.values
    await send(session, "Three")
    assert last(session)[-2:] == [("user", f"{SAILING}\n\nTwo"), ("user", "Three")]


@pytest.mark.parametrize("line", ["/role cook mood", "/role cook moood=x"])
async def test_values_that_are_none(session: Session, line: str) -> None:
    with pytest.raises(UsageError, match=r"write it as key=value|did you mean 'mood'\?"):
        await run(session, line)
    assert session.status == {}


async def test_an_option_of_the_shell_is_one_word(session: Session) -> None:
    await chosen(session, "cook mood=odd")
    assert find(session.host, "cook").prompt({"mood": "odd"}) == session.values["roles.base"]["prompt"]
    action = session.host.actions["role"]
    assert (action.ask, action.shell) == (True, False)
    assert {each for each in session.host.actions if each.startswith("role ") and session.host.actions[each].shell} == {
        "role edit", "role list", "role new", "role show",
    }  # fmt: skip


async def chosen(session: Session, value: str) -> None:
    """Run the action as `chatapp ask --role VALUE` does."""
    await session.host.actions["role"].function(session, value)


async def test_names_are_completed(session: Session, tmp_path: Path) -> None:
    assert next(each.label for each in complete(session, "/role coo", tmp_path)) == "cook"
    assert "off" in [each.label for each in complete(session, "/role o", tmp_path)]
    assert "off" not in [each.label for each in complete(session, "/role show o", tmp_path)]
