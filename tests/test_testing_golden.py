"""Golden prompts and the prefix that must stay: what is compared, and what a failure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_testing import Author, project

COMPARES = """
from chatapp import completed

async def test_it(session, engine, golden):
    engine.calls("units", km=3).says("1.9 miles.")
    await completed(session, "How far is 3 km?")
    golden(session, "miles")
"""
KEPT = """\
<system>
Use metric units.

<user>
How far is 3 km?

<assistant>
units({"km": 3})

<tool>
1.9 miles
"""


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    """An author with the plugin `units`."""
    return project(tmp_path, monkeypatch)


def test_a_golden_prompt_is_written_and_compared(author: Author) -> None:
    path = author.folder / "golden" / "miles.txt"
    author.fails(
        COMPARES, f"There is no golden prompt {path} yet: run pytest --update-golden to write it", "<tool> 1.9 miles"
    )
    assert not path.exists()
    author.passes(COMPARES, "--update-golden")
    assert path.read_text(encoding="utf-8") == KEPT
    author.passes(COMPARES)


def test_a_difference_is_shown(author: Author) -> None:
    author.passes(COMPARES, "--update-golden")
    path = author.folder / "golden" / "miles.txt"
    path.write_text(KEPT.replace("metric", "imperial"), encoding="utf-8")
    author.fails(
        COMPARES,
        f"What was sent is not what is in {path}:",
        "-Use imperial units.",
        "+Use metric units.",
        "run pytest --update-golden and look at the change before you keep it.",
        'golden(session, "miles")',
    )
    author.passes(COMPARES, "--update-golden")
    assert path.read_text(encoding="utf-8") == KEPT


def test_what_changes_from_run_to_run_is_replaced(author: Author) -> None:
    source = """
    import time
    from chatapp import completed

    async def test_it(session, golden, chatapp_home):
        await completed(session, f"Look into {chatapp_home}/notes at {time.time_ns()}")
        golden(session, "times", replace={r"\\d{10,}": "NOW"})
    """
    author.passes(source, "--update-golden")
    assert "Look into HOME/notes at NOW\n" in (author.folder / "golden" / "times.txt").read_text(encoding="utf-8")
    author.passes(source)


def test_tools_are_in_it(author: Author) -> None:
    source = """
    import chatapp_units, pytest
    from chatapp import completed
    from chatapp.testing import run_action

    @pytest.fixture
    def plugins(): return [chatapp_units, "tools"]

    async def test_it(session, golden):
        await run_action(session, "tools on")
        await completed(session, "Hi")
        golden(session, "tools")
    """
    author.passes(source, "--update-golden")
    first, *_ = (author.folder / "golden" / "tools.txt").read_text(encoding="utf-8").splitlines()
    assert first.startswith("tools: ")
    assert "units" in first.removeprefix("tools: ").split(", ")


@pytest.mark.parametrize("name", ["../outside", "a/b", ""])
def test_a_name_that_is_no_name(author: Author, name: str) -> None:
    author.fails(
        COMPARES.replace('"miles"', repr(name)),
        f"{name!r} cannot be the name of a golden prompt: use letters, digits, dots and dashes.",
    )


def test_nothing_was_sent(author: Author) -> None:
    author.fails(
        "async def test_it(session, golden): golden(session, 'x')",
        "Nothing was sent to the model yet: send a message before you compare the prompt.",
    )


STABLE = """
import pytest
from chatapp import Block, completed, hookimpl
from chatapp.testing import assert_prefix_stable

class Context:
    turns = 0

    @hookimpl
    def context(self, turn):
        self.turns += 1
        yield Block(f"One two {NUMBER} four.", stability="STABILITY", slot="SLOT")

@pytest.fixture
def plugins(): return [Context()]

async def test_it(session, engine):
    engine.says("First.").calls("nothing").says("Second.")
    for _ in range(3):
        await completed(session, "Hi there")
    assert_prefix_stable(session)
"""


def stable(number: str, stability: str, slot: str) -> str:
    """A test of a plugin with such a block."""
    return STABLE.replace("NUMBER", number).replace("STABILITY", stability).replace("SLOT", slot)


def test_prompts_that_grow_at_their_end(author: Author) -> None:
    author.passes(stable("3", "static", "system"))
    author.passes(stable("self.turns", "turn", "user"))


def test_a_block_that_changes_at_the_front(author: Author) -> None:
    author.fails(
        stable("self.turns", "session", "system"),
        "Prompt 2 does not begin with prompt 1: "
        "message 1 (system) said 'One two 1 four.', then (system) 'One two 2 four.'.",
        'put what changes into one with stability="turn", slot="user"',
    )


TOOLS = """
import dataclasses, pytest
from chatapp import Tool, completed, hookimpl
from chatapp.testing import assert_prefix_stable

class Tools:
    turns = 0

    @hookimpl
    def prepare_request(self, request, turn):
        self.turns += 1
        return dataclasses.replace(request, tools=(Tool(NAME, DESCRIPTION, {}),))

@pytest.fixture
def plugins(): return [Tools()]

async def test_it(session):
    await completed(session, "Hi")
    await completed(session, "Hi")
    assert_prefix_stable(session)
"""


def test_tools_that_change(author: Author) -> None:
    author.passes(TOOLS.replace("NAME", "'a'").replace("DESCRIPTION", "'b'"))
    author.fails(
        TOOLS.replace("NAME", "f'a{self.turns}'").replace("DESCRIPTION", "'b'"),
        "Prompt 2 does not begin with prompt 1: the tools offered were a1 and are a2.",
    )
    author.fails(
        TOOLS.replace("NAME", "'a'").replace("DESCRIPTION", "f'b{self.turns}'"), "the tool a is described otherwise."
    )


def test_messages_that_go_away(author: Author) -> None:
    source = """
    from chatapp import completed
    from chatapp.testing import assert_prefix_stable

    async def test_it(session):
        await completed(session, "Hi")
        await completed(session, "Hi")
        session.conversation.cut(next(iter(session.conversation.path())).id)
        async for _ in session.regenerate(): pass
        assert_prefix_stable(session)
    """
    author.fails(source, "Prompt 3 does not begin with prompt 2: message 3 (assistant) is gone.")


def test_one_prompt_is_not_enough(author: Author) -> None:
    author.fails(
        """
        from chatapp import completed
        from chatapp.testing import assert_prefix_stable

        async def test_it(session):
            await completed(session, "Hi")
            assert_prefix_stable(session)
        """,
        "1 prompts were sent, and it takes two to compare: send another message.",
    )
