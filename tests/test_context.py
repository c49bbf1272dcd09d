"""How a prompt is laid out: what is stable first, what changes each turn last, what does not fit not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence

import pytest

from chatapp import Block, Event, Message, Notice, Session, Turn, UsageError, assistant, chat_text, hookimpl, user
from chatapp.context import KEPT_SHARE, Draft, Layout, Piece, lay_out, with_reuse
from chatapp.events import Usage
from chatapp.testing import script, sent_texts


async def words(texts: Sequence[str]) -> list[int]:
    """A token is a word."""
    return [len(text.split()) for text in texts]


def talk(turns: int, size: int = 10) -> list[Message]:
    """A conversation of so many turns, ending with a question; each message has `size` words."""
    path: list[Message] = []
    for number in range(turns):
        path += [user(f"q{number} " + "x " * (size - 1)), assistant(f"a{number} " + "y " * (size - 1))]
    return [*path, user("newest question")]


async def laid(path: list[Message], *blocks: Block, budget: int = 10_000, **more: object) -> Layout:
    """A layout of these."""
    return await lay_out(Draft(list(blocks), path, path[-1].id, **more), budget, words)  # type: ignore[arg-type]


async def test_blocks_stand_in_the_order_of_their_stability() -> None:
    path = talk(1)
    layout = await laid(
        path,
        Block("now 1", stability="turn", slot="system"),
        Block("session 1", stability="session"),
        Block("static 1", stability="static"),
        Block("now 2", stability="turn", slot="user"),
        Block("beside", stability="static", slot="user"),
        Block("session 2", stability="session"),
        Block((user("2+2?"), assistant("4")), slot="examples", stability="session"),
        Block((user("1+1?"), assistant("2")), slot="examples", stability="static"),
        Block("static 2", stability="static"),
    )
    assert sent_texts(layout.messages) == [
        ("system", "static 1\n\nstatic 2\n\nsession 1\n\nsession 2"),
        ("user", "1+1?"),
        ("assistant", "2"),
        ("user", "2+2?"),
        ("assistant", "4"),
        ("user", path[0].text),
        ("assistant", path[1].text),
        ("user", "now 1\n\nnow 2\n\nbeside\n\nnewest question"),
    ]
    assert [piece.message for piece in layout.pieces] == [0, 0, 0, 0, 1, 3, 5, 6, 7, 7, 7, 7]
    assert layout.pieces[-1].text == "newest question"
    assert layout.messages[-1].context == "now 1\n\nnow 2\n\nbeside"


async def test_without_blocks_there_is_no_system_message() -> None:
    path = talk(0)
    layout = await laid(path)
    assert layout.messages == tuple(path)
    assert (layout.first_kept, layout.left_out, layout.dropped) == (None, 0, ())


async def test_what_stood_beside_an_older_message_is_sent_again_and_the_newest_is_laid_anew() -> None:
    old = Message("user", user("old question").parts, context="old passage")
    newest = Message("user", user("new question").parts, context="stale passage")
    layout = await laid([old, assistant("yes"), newest], Block("fresh passage", stability="turn"))
    assert sent_texts(layout.messages) == [
        ("user", "old passage\n\nold question"), ("assistant", "yes"), ("user", "fresh passage\n\nnew question"),
    ]  # fmt: skip


async def test_the_oldest_turns_are_left_out_many_at_once() -> None:
    path = talk(20)
    everything = (await laid(path)).tokens
    budget = everything - 1
    layout = await laid(path, budget=budget)
    assert layout.tokens <= budget * KEPT_SHARE
    assert layout.left_out > 10
    assert layout.left_out % 2 == 0, "turns are left out whole"
    assert layout.first_kept == layout.messages[0].id == path[layout.left_out].id
    # One turn more does not leave out another one: the prefix stays as it was.
    longer = [*path, assistant("a"), user("one more")]
    again = await laid(longer, budget=budget, first_kept=layout.first_kept)
    assert again.first_kept == layout.first_kept
    assert again.messages[: len(layout.messages)] == layout.messages


async def test_the_system_prompt_and_pinned_turns_stay() -> None:
    path = talk(20)
    pinned = path[3].id
    block = Block("the instruction", stability="static", priority=None)
    layout = await laid(path, block, budget=200, pinned=frozenset({pinned}))
    ids = [message.id for message in layout.messages]
    assert layout.messages[0].text == "the instruction"
    assert ids[1:3] == [path[2].id, path[3].id], "the whole pinned turn stays, so that roles alternate"
    assert ids[-1] == path[-1].id
    assert 0 < layout.left_out < 40


async def test_blocks_go_by_priority_when_turns_are_not_enough() -> None:
    blocks = [
        Block("keep " * 50, title="never", priority=None),
        Block("high " * 50, title="high", priority=5),
        Block("low " * 50, title="low", priority=-1),
    ]
    layout = await laid(talk(3), *blocks, budget=130)
    assert [block.title for block in layout.dropped] == ["low"]
    assert layout.left_out == 6
    layout = await laid(talk(3), *blocks, budget=80)
    assert [block.title for block in layout.dropped] == ["low", "high"]
    assert layout.messages[0].text.startswith("keep")


async def test_a_message_that_cannot_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"about 1,008 tokens and the model has room for 90: shorten it"):
        await laid([user("word " * 1000)], Block("ten " * 10, priority=None), budget=100)


async def test_texts_are_counted_once() -> None:
    asked: list[str] = []

    async def count(texts: Sequence[str]) -> list[int]:
        asked.extend(texts)
        return await words(texts)

    costs: dict[str, int] = {}
    path = talk(2)
    for _ in range(2):
        await lay_out(Draft([Block("same"), Block("same")], path, path[-1].id, costs=costs), 1000, count)
    assert len(asked) == len(set(asked)) == 6


def test_reuse_is_shared_out_over_the_pieces() -> None:
    def piece(message: int, tokens: int) -> Piece:
        return Piece("", "", "", message, tokens)

    pieces = [piece(0, 4), piece(0, 3), piece(1, 5), piece(2, 2), piece(9, 1)]
    spans = [(0, 8), (8, 14), (14, 17)]
    for reused, expected in [
        (0, [0, 0, 0, 0, None]), (5, [4, 1, 0, 0, None]), (10, [4, 3, 2, 0, None]), (17, [4, 3, 5, 2, None]),
    ]:  # fmt: skip
        assert [each.reused for each in with_reuse(pieces, spans, reused)] == expected
    assert with_reuse(pieces, [], 5) == tuple(pieces)


class Passages:
    """A plugin that lays another passage beside each message, as retrieval does."""

    @hookimpl
    def context(self, turn: Turn) -> Iterable[Block]:
        """An instruction, a note of the session, and what was found this time."""
        yield Block(f"passage about {turn.message.text}", title="Found", stability="turn", slot="system")
        yield Block("note of this session", stability="session")
        yield Block("instruction", stability="static", priority=None)


async def collect(events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events of a stream."""
    return [event async for event in events]


async def test_with_retrieval_on_each_turn_evaluates_only_what_is_new(session: Session) -> None:
    session.host.add("passages", Passages())
    engine = script(session)
    held = 0
    for number in range(6):
        engine.says(f"answer {number} " + "word " * number + "end")
        events = await collect(session.send(f"question {number}"))
        usage = next(event for event in events if isinstance(event, Usage))
        # The whole prompt before, and the answer with its marker, are there already.
        assert usage.reused_tokens == held
        assert usage.evaluated_tokens < 15
        held = usage.prompt_tokens + 1 + usage.completion_tokens
    for before, after in zip(engine.requests, engine.requests[1:], strict=False):
        assert sent_texts(after.messages)[: len(before.messages)] == sent_texts(before.messages)
    assert sent_texts(engine.requests[-1].messages)[0] == ("system", "instruction\n\nnote of this session")
    assert sent_texts(engine.requests[-1].messages)[-1][1].startswith("passage about question 5")
    assert session.turn is not None
    reused = {piece.text: piece.reused for piece in session.turn.sent}
    assert reused["instruction"] == 1
    assert reused["passage about question 5"] == 0


async def test_what_is_left_out_is_said_each_time_and_that_is_seldom(session: Session) -> None:
    session.host.add("passages", Passages())
    script(session).context_length = 800
    said: list[str] = []
    for number in range(30):
        events = await collect(session.send(f"question {number} " + "x " * 8))
        said += [event.text for event in events if isinstance(event, Notice)]
    assert 2 <= len(said) <= 4
    assert all("outgrown the model's context" in text for text in said)
    assert max(len(request.messages) for request in script(session).requests) < 35
    assert len(session.conversation) == 60, "what is left out of the prompt stays in the conversation"


class Huge:
    """A plugin whose block does not fit."""

    @hookimpl
    def context(self, turn: Turn) -> Iterable[Block]:
        """Far too much."""
        yield Block("word " * 500, title="An encyclopaedia")


async def test_a_block_too_big_is_left_out_and_said(session: Session) -> None:
    session.host.add("huge", Huge())
    script(session).context_length = 200
    events = await collect(session.send("hello"))
    notices = [event for event in events if isinstance(event, Notice)]
    assert [notice.level for notice in notices] == ["warning"]
    assert "'An encyclopaedia'" in notices[0].text
    assert sent_texts(script(session).requests[0].messages) == [("user", "hello")]


async def test_examples_are_turns_of_their_own_and_changing_ones_stand_right_before_the_question() -> None:
    path = talk(3)
    fixed = Block((user("A"), assistant("B")), title="Fixed", slot="examples")
    near = Block((user("C"), assistant("D")), title="Near", slot="examples", stability="turn")
    layout = await laid(path, Block("System"), fixed, near)
    said = [chat_text(message) for message in layout.messages]
    assert said[:3] == ["System", "A", "B"]
    assert said[-3:-1] == ["C", "D"]
    assert layout.messages[-1].id == path[-1].id
    assert [layout.messages[piece.message].role for piece in layout.pieces if piece.title in ("Fixed", "Near")] == [
        "user",
        "user",
    ]
