"""Citations in an answer as it streams, however it is cut into pieces."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from chatapp import Event, Finished, Notice, ReasoningDelta, Source, Text, TextDelta, TokenLogprob, Usage
from chatapp_rag.citing import HELD, Scanner, cited

SOURCES = [Source(f"{number}.md", f"Passage {number}.", number=number) for number in (1, 2, 3, 12)]
NUMBERS = [1, 2, 3, 12]
CASES = {
    "one": ("Cats purr [1].", "Cats purr [1].", [1]),
    "list": ("Both [1, 2] and [3;12].", "Both [1][2] and [3][12].", [1, 2, 3, 12]),
    "row": ("Both [2][1] and [2] [3].", "Both [2][1] and [2] [3].", [2, 1, 3]),
    "range": ("All [1-3], again [2–12].", "All [1][2][3], again [2][3][12].", [1, 2, 3, 12]),
    "footnote": ("So [^1] and [^2, ^3].", "So [1] and [2][3].", [1, 2, 3]),
    "wide brackets": ("So【2】and 【1, 3】.", "So[2]and [1][3].", [2, 1, 3]),
    "twice": ("[1, 1] then [1]", "[1] then [1]", [1]),
    "to nothing": ("Dogs bark [9].", "Dogs bark.", []),
    "partly to nothing": ("Dogs [9, 1, 8] bark.", "Dogs [1] bark.", [1]),
    "beside one to nothing": ("Dogs [9][1] and cats [8] [2].", "Dogs [1] and cats [2].", [1, 2]),
    "nothing at a line's end": ("Dogs [9]\nbark [7-8]", "Dogs\nbark", []),
    "nothing at a line's beginning": ("[9] Dogs\n- [9] bark\n[9]", "Dogs\n- bark\n", []),
    "a far too wide range": ("See [1-999].", "See [1][2][3][12].", [1, 2, 3, 12]),
    "fence": ("```py\na[9] = b[1]\n```\nand [9] more [1]", "```py\na[9] = b[1]\n```\nand more [1]", [1]),
    "fence in a list": (
        "1. so\n   ~~~ [9]\n   a[9]\n   ~~~~\n   [9] x",
        "1. so\n   ~~~ [9]\n   a[9]\n   ~~~~\n   x",
        [],
    ),
    "fence that is not closed by less": ("````\n```\na[9]\n````\nb [9]", "````\n```\na[9]\n````\nb", []),
    "inline code": ("Use `a[9]` or ``b ` [9]`` as in [1].", "Use `a[9]` or ``b ` [9]`` as in [1].", [1]),
    "inline code over two lines": ("Use `a\nb[9]` [9] it", "Use `a\nb[9]` it", []),
    "backtick that opens nothing": ("A ` tick.\n\nNew [9] paragraph [1].", "A ` tick.\n\nNew paragraph [1].", [1]),
    "backtick in a list item": ("- A ` tick.\n- An item [1].", "- A ` tick.\n- An item [1].", [1]),
    "escaped backtick": ("A \\` tick [9] and `a[9]`", "A \\` tick and `a[9]`", []),
    "link": ("[1](http://x.org/a[9]) and ![9](a.png)", "[1](http://x.org/a[9]) and ![9](a.png)", []),
    "text in brackets": ("a[i], [x], [ ], [2019], [1.5], [] [", "a[i], [x], [ ], [2019], [1.5], [] [", []),
    "brackets in brackets": ("[[1]] and [see [9]]", "[[1]] and [see]", [1]),
    "escaped bracket": ("\\[9] and \\\\[9]", "\\[9] and \\\\", []),
    "too long": (f"[{' ' * HELD}1]", f"[{' ' * HELD}1]", []),
    "white space": ("  a  [1]  b  [9]  c  \n\td [9]", "  a  [1]  b  c  \n\td", [1]),
}


async def streamed(events: Iterable[Event | Exception]) -> AsyncIterator[Event]:
    """A stream of these events, which fails where there is an exception."""
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


async def answered(events: Iterable[Event | Exception], sources: Sequence[Source] = SOURCES) -> list[Event]:
    """What comes out of `cited`."""
    return [event async for event in cited(streamed(events), sources)]


def cut(text: str, rng: random.Random) -> list[str]:
    """The text in pieces of random lengths, mostly short."""
    pieces = []
    while text:
        length = rng.choice((1, 1, 2, 3, 5, 8, 40))
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def joined(events: Iterable[Event]) -> str:
    """The text of the deltas."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(("text", "shown", "numbers"), CASES.values(), ids=CASES)
async def test_citations_have_one_form_however_the_text_is_cut(text: str, shown: str, numbers: list[int]) -> None:
    rng = random.Random(text)
    for pieces in ([text], list(text), *(cut(text, rng) for _ in range(30))):
        events = await answered([*map(TextDelta, pieces), Finished()])
        told = [event.number for event in events if isinstance(event, Source)]
        assert (joined(events), told) == (shown, numbers), pieces


def test_a_long_text_of_all_cases_is_the_same_in_any_pieces() -> None:
    rng = random.Random(7)
    for _ in range(50):
        chosen = [rng.choice(list(CASES.values())) for _ in range(8)]
        text = "\n\n".join(case[0] for case in chosen)
        whole = Scanner(NUMBERS)
        expected = whole.feed(text) + whole.flush()
        scanner = Scanner(NUMBERS)
        assert "".join(map(scanner.feed, cut(text, rng))) + scanner.flush() == expected
        assert scanner.cited == whole.cited


async def test_text_without_brackets_is_passed_on_as_it_comes() -> None:
    deltas = [TextDelta(word) for word in ("Cats", " purr", " (often)", ".\n", "`code`", " and", " so")]
    events: list[Event] = [*deltas, Usage(1, 0, 2), Finished()]
    passed = await answered(events)
    assert [id(event) for event in passed] == [id(event) for event in events]


def test_no_more_is_held_back_than_a_citation_is_long() -> None:
    scanner = Scanner(NUMBERS)
    assert scanner.feed("Cats [1") == "Cats"
    assert scanner.feed(", 2") == ""
    assert scanner.feed("] purr") == " [1][2] purr"
    assert scanner.feed(" [" + "1, " * 20).startswith(" [1, 1, 1, ")


async def test_the_sources_come_after_the_text_and_before_what_it_cost() -> None:
    usage, end = Usage(5, 0, 3), Finished("length")
    events = await answered([ReasoningDelta("hm [9]"), TextDelta("B [2], a [1], b [2"), TextDelta("]"), usage, end])
    assert events[0] == ReasoningDelta("hm [9]")
    assert joined(events) == "B [2], a [1], b [2]"
    assert events[-4:] == [SOURCES[1], SOURCES[0], usage, end]


async def test_what_is_held_back_comes_before_anything_else() -> None:
    events = await answered([TextDelta("So [1"), Notice("wait"), TextDelta("2] and "), Notice("more"), Finished()])
    assert events == [
        TextDelta("So"),
        TextDelta(" [1"),
        Notice("wait"),
        TextDelta("2] and"),
        TextDelta(" "),
        *events[5:],
    ]
    assert events[5:] == [Notice("more"), Finished()]


async def test_an_answer_without_citations_gets_no_sources() -> None:
    assert await answered([TextDelta("No idea."), Finished()]) == [TextDelta("No idea."), Finished()]
    assert await answered([TextDelta("Known [1]."), Finished()], []) == [TextDelta("Known."), Finished()]


async def test_a_whole_text_is_rewritten_too() -> None:
    assert await answered([Text("Cats [1, 9]."), Finished()]) == [Text("Cats [1]."), SOURCES[0], Finished()]


async def test_probabilities_stay_with_the_text_they_belong_to() -> None:
    first, second, third = (TokenLogprob(token, -0.5) for token in (" purr", " [", "9]"))
    events = await answered(
        [TextDelta(" purr", (first,)), TextDelta(" [", (second,)), TextDelta("9]", (third,)), Finished()]
    )
    assert events == [TextDelta(" purr", (first,)), TextDelta("", (second, third)), Finished()]
    events = await answered([TextDelta(" [", (second,)), TextDelta("1] so", (first,)), Finished()])
    assert events == [TextDelta(" [1] so", (second, first)), SOURCES[0], Finished()]


async def test_an_engine_that_fails_loses_nothing_of_what_came() -> None:
    came: list[Event] = []

    async def read() -> None:
        async for event in cited(streamed([TextDelta("So [1"), TextDelta("] and [2"), RuntimeError("gone")]), SOURCES):
            came.append(event)

    with pytest.raises(RuntimeError, match="gone"):
        await read()
    assert joined(came) == "So [1] and [2"
    assert came[-1] == SOURCES[0]


async def test_a_stream_that_just_ends_is_complete() -> None:
    assert await answered([TextDelta("So [1]")]) == [TextDelta("So"), TextDelta(" [1]"), SOURCES[0]]
