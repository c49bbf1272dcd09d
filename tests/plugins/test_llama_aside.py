"""Two conversations in turns with the real model: neither reads again what it had read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import Finished, Host, Session, Usage
from tests.plugins.real import collect, real_session, sampled, text_of, usage_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
STORIES = ("The ships left the harbour at dawn. " * 20, "Nobody knew who had painted the wall. " * 20)


@pytest_asyncio.fixture(loop_scope="module")
async def pair(real_host: Host) -> AsyncIterator[list[Session]]:
    """Two conversations on one engine, which draw the likeliest token."""
    yield [sampled(Session(real_host), temperature=0.0, max_tokens=12) for _ in STORIES]


async def _in_turns(pair: list[Session], rounds: int) -> list[tuple[Usage, bool, str]]:
    said = []
    for number in range(rounds):
        for session, story in zip(pair, STORIES, strict=True):
            events = await collect(session.send(story if number == 0 else f"Say {number} in words."))
            said.append((usage_of(events), events[-1] == Finished("stop"), text_of(events)))
    return said


async def test_each_turn_reads_only_what_is_new(pair: list[Session]) -> None:
    said = await _in_turns(pair, 3)
    for before, now in zip(said, said[2:], strict=False):
        usage, ended, _ = before
        assert now[0].reused_tokens == usage.prompt_tokens + usage.completion_tokens - ended


async def test_the_answers_are_those_of_a_conversation_alone(pair: list[Session], real_host: Host) -> None:
    said = await _in_turns(pair, 2)
    alone = sampled(Session(real_host), temperature=0.0, max_tokens=12)
    assert text_of(await collect(alone.send(STORIES[0]))) == said[0][2]
    assert text_of(await collect(alone.send("Say 1 in words."))) == said[2][2]


async def test_without_room_they_are_read_again(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> None:
    folder = tmp_path_factory.mktemp("aside")
    async with real_session(folder, model_path, llama={"aside": 0}) as session:
        pair = [sampled(Session(session.host), temperature=0.0, max_tokens=4) for _ in STORIES]
        said = await _in_turns(pair, 2)
        assert max(usage.reused_tokens for usage, _, _ in said[1:]) < 60
