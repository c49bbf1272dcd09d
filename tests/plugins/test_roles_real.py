"""Roles with the real model: what a switch reads, and that a role costs nothing in the turns after it."""

from __future__ import annotations

import pytest
import pytest_asyncio

import chatapp_roles
from chatapp import Finished, Host, Session
from chatapp_roles.files import find
from tests.plugins.real import collect, sampled, usage_of
from tests.support_plugins import run

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOTES = """The harbour of Aveiro has three basins. The oldest, from 1808, is closed to large ships since 1951. The
second takes 212 fishing boats. The third was dug in 1974 and holds the ferries to the islands, four a day in summer and
one in winter. The pilot station moved in 1999 from the old tower to a low white house beside the lock."""
HEADER = 30
"""Tokens for the words around a switch and the template's own."""


@pytest_asyncio.fixture(loop_scope="module")
async def session(real_host: Host) -> Session:
    """A conversation of its own with the real model and the roles."""
    if "roles" not in real_host.plugins:
        real_host.add("roles", chatapp_roles)
    return sampled(Session(real_host), max_tokens=12)


async def count(session: Session, text: str) -> int:
    """How many tokens a text is."""
    engine = session.host.engines.current()
    assert engine is not None
    return (await engine.count_tokens([text]))[0]


async def test_a_switch_reads_the_new_role_only(session: Session) -> None:
    await run(session, "/role researcher")
    for question in (f"What do these notes say?\n\n{NOTES}", "Which basin is the oldest?", "What moved in 1999?"):
        await collect(session.send(question))
    await run(session, "/role writer")
    message = "Write one paragraph about the harbour."
    usage = usage_of(await collect(session.send(message)))
    allowed = await count(session, find(session.host, "writer").prompt({})) + await count(session, message) + HEADER
    assert usage.evaluated_tokens < allowed
    assert usage.evaluated_tokens < usage.prompt_tokens / 2
    assert session.status == {"roles": "Writer", "switch": f"{usage.evaluated_tokens} tokens"}
    roles = [each.meta["status"]["roles"] for each in session.conversation.path() if each.role == "assistant"]
    assert roles == ["Researcher"] * 3 + ["Writer"]


async def test_ten_turns_with_a_role_read_only_what_is_new(session: Session) -> None:
    await run(session, "/role shell")
    held = 0
    for number in range(10):
        if number == 5:
            await run(session, "/role teacher")
        events = await collect(session.send(f"Say a word that begins with the letter {'abcdefghij'[number]}."))
        usage = usage_of(events)
        # The first turn may find the instruction of an earlier conversation.
        assert number == 0 or usage.reused_tokens == held
        # The token that ended the answer was drawn and not read; every other one is in the context.
        held = usage.prompt_tokens + usage.completion_tokens - (events[-1] == Finished("stop"))
    assert held > 600
