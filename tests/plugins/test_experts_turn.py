"""What an expert brings besides adapters: instruction, sampling, a role and documents for its answers only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import chatapp_rag
import chatapp_roles
from chatapp import Session
from chatapp.testing import script, sent_texts
from tests.plugins.experts_support import COOK, FILES, NEITHER, SAIL, Lora, expert_session, line_below, notices
from tests.plugins.experts_support import put_expert as put
from tests.plugins.rag_support import BagEmbedder, written
from tests.support_plugins import run, send

BACK = "From now on answer as yourself again, no longer as the Writer; its instructions no longer hold."


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the gate on, roles, and documents."""
    plugins = (("lora", Lora()), ("roles", chatapp_roles), ("rag", chatapp_rag))
    async with expert_session(tmp_path, embedder=BagEmbedder(), plugins=plugins) as made:
        await run(made, "/experts on")
        yield made


def last(session: Session) -> str:
    """What the model was sent beside the newest message, and the message."""
    return sent_texts(script(session).requests[-1].messages)[-1][1]


async def test_an_instruction_stands_beside_the_message(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", 'instruction = "Answer as a cook."\n' + FILES["cook"])
    await send(session, COOK)
    assert last(session) == f"Answer as a cook.\n\n{COOK}"
    await send(session, NEITHER)
    assert last(session) == NEITHER
    # It stays with the message it was sent with, which need not be read again.
    assert f"Answer as a cook.\n\n{COOK}" in [text for _, text in sent_texts(script(session).requests[-1].messages)]


async def test_sampling_is_the_experts_unless_the_user_says_otherwise(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", FILES["cook"] + '[sampling]\ntemperature = 0.3\ntop_k = 5\nstop = ["END"]\n')
    session.values["sampling"] = {"top_k": 9}
    await send(session, COOK)
    sampling = script(session).requests[-1].sampling
    assert (sampling.temperature, sampling.top_k, sampling.stop) == (0.3, 9, ("END",))
    await send(session, NEITHER)
    sampling = script(session).requests[-1].sampling
    assert (sampling.temperature, sampling.top_k, sampling.stop) == (None, 9, ())


async def test_a_role_is_in_force_for_the_experts_answers_only(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", 'role = "writer"\n' + FILES["cook"])
    await send(session, COOK)
    assert last(session).startswith("From now on you are the Writer")
    *_, answer = session.conversation.path()
    assert answer.meta["status"]["roles"] == "Writer"
    assert "roles" not in session.status
    await send(session, NEITHER)
    assert last(session) == f"{BACK}\n\n{NEITHER}"
    await send(session, NEITHER)
    assert last(session) == NEITHER


async def test_the_role_of_before_comes_back(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", 'role = "writer"\n' + FILES["cook"])
    await run(session, "/role teacher")
    await send(session, NEITHER)
    await send(session, COOK)
    assert last(session).startswith("From now on you are the Writer")
    assert session.status["roles"] == "Teacher"
    await send(session, SAIL)
    assert last(session).startswith("From now on you are the Teacher")
    # An expert that answers twice in a row is told its role each time it comes back, not each time it answers.
    await send(session, COOK)
    await send(session, COOK)
    assert last(session) == COOK


async def test_what_was_lent_comes_back_after_a_crash(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", 'role = "writer"\n' + FILES["cook"])
    await run(session, "/role teacher")
    await send(session, NEITHER)
    before = {key: value for key, value in session.values.items() if key.startswith("roles.") and key != "roles.said"}
    await run(session, "/role writer")
    # As a process leaves it that was killed while the expert answered.
    session.values["experts.lent"] = {"roles": {"values": before, "status": "Teacher"}}
    await send(session, SAIL)
    assert "Writer" not in last(session)
    assert session.status["roles"] == "Teacher"


async def test_documents_are_on_for_the_experts_answers_only(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", {"salt.txt": "The soup needs bread from the oven and two spoons of salt."})
    await run(session, f"/rag add --collection kitchen {folder}")
    await run(session, "/rag off")
    put(tmp_path, "cook", 'documents = "kitchen"\n' + FILES["cook"])
    await send(session, COOK, "Two spoons [1].")
    assert "two spoons of salt" in last(session)
    assert "rag" not in session.status
    await send(session, NEITHER)
    assert last(session) == NEITHER


async def test_what_an_expert_wants_and_is_not_there_is_told_once(session: Session, tmp_path: Path) -> None:
    put(tmp_path, "cook", 'role = "nobody"\ndocuments = "nothing"\n' + FILES["cook"])
    for _ in range(2):
        assert await send(session, COOK) == "One two three four."
        assert line_below(session) == "Expert: cook"
    told = [text for text in notices(session) if text.startswith("An expert goes without")]
    assert [text.split(":")[0] for text in told] == [
        "An expert goes without 'nobody'",
        "An expert goes without 'nothing'",
    ]


async def test_a_role_without_its_plugin(tmp_path: Path) -> None:
    put(tmp_path, "cook", 'role = "writer"\n' + FILES["cook"])
    async with expert_session(tmp_path, embedder=BagEmbedder(), experts={"on": True}) as session:
        assert await send(session, COOK) == "One two three four."
        assert "An expert goes without 'writer': the plugin 'roles' is not loaded." in notices(session)
