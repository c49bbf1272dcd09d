"""Citations for answers without any: which passage a sentence repeats."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chatapp import Event, Finished, Notice, Source, TextDelta, Usage
from chatapp_rag.attributing import UNSUPPORTED, attributed
from chatapp_rag.prompting import NOT_FOUND
from chatapp_rag.supporting import readable, supporting

PASSAGES = (
    Source("rivers.md", "The river Tagus rises in Spain and flows through Lisbon to the Atlantic.", number=1),
    Source("cats.txt", "Cats sleep sixteen hours a day. They wake at dusk, and then they hunt.", number=2),
    Source("report.pdf: Costs", "The variance was $4,287.50. Documents prepared by Sarah Martinez.", number=3),
    Source("tokyo.txt", "東京は日本の首都で、人口は約千四百万人です。", number=4),
)


END: tuple[Event, ...] = (Usage(1, 0, 1, 0.1, 0.1, 10), Finished("stop"))


async def passed(text: str, *last: Event, size: int = 5) -> str:
    """An answer that comes in pieces, as it is passed on."""

    async def stream() -> AsyncIterator[Event]:
        for place in range(0, len(text), size):
            yield TextDelta(text[place : place + size])
        for event in last or END:
            yield event

    events = [event async for event in attributed(stream(), PASSAGES)]
    texts = [event for event in events if isinstance(event, TextDelta)]
    rest = [event for event in events if not isinstance(event, (TextDelta, Notice))]
    assert rest == [*(last or END)]
    return "".join(event.text for event in texts)


async def added(text: str, *last: Event) -> str:
    """What is added to an answer."""
    said = await passed(text, *last)
    assert said.startswith(text)
    return said[len(text) :]


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("The Tagus flows through Lisbon.", [1]),
        ("Cats sleep for sixteen hours every day. The Tagus flows through Lisbon.", [2, 1]),
        ("Cats sleep sixteen hours. They hunt at dusk when they wake.", [2]),
        ("Sarah Martinez.", [3]),
        ("$4,287.50", [3]),
        ("Sixteen hours a day", [2]),
        ("首都は東京です。人口は約千四百万人です。", [4]),
        ("Bananas are yellow fruits that monkeys enjoy.", []),
        ("Yes.", []),
        ("The river Douro passes Porto, Zamora and Soria before the ocean takes it.", []),
        ("", []),
    ],
)
def test_a_sentence_is_traced_to_the_passage_it_repeats(answer: str, numbers: list[int]) -> None:
    assert supporting(answer, readable(PASSAGES)) == numbers


def test_without_passages_there_is_nothing_to_cite() -> None:
    assert supporting("The Tagus flows through Lisbon.", {}) == []
    assert readable([Source("rivers.md", PASSAGES[0].text)]) == {}


async def test_numbers_come_at_the_end_before_the_figures() -> None:
    assert await added("The Tagus flows through Lisbon. Cats sleep sixteen hours.") == " [1][2]"


@pytest.mark.parametrize("text", ["It flows through Lisbon [1].", "Lisbon [^2]", "Lisbon 【3】", "Lisbon [1, 2]"])
async def test_nothing_is_added_to_an_answer_that_cites(text: str) -> None:
    assert await added(f"The river Tagus flows through Lisbon. {text}") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Bananas are yellow fruits that monkeys enjoy.", True),
        ("The tortoise sleeps in a bed of hay [9].", True),
        ("The Tagus flows through Lisbon.", False),
        ("Bananas are yellow fruits [1].", False),
        (NOT_FOUND, False),
        ("", False),
    ],
)
async def test_an_answer_that_nothing_supports_is_followed_by_a_notice(text: str, told: bool) -> None:
    async def stream() -> AsyncIterator[Event]:
        yield TextDelta(text)
        yield Finished("stop")

    events = [event async for event in attributed(stream(), PASSAGES)]
    assert (Notice(UNSUPPORTED, "warning") in events) is told
    assert events[-1] == Finished("stop")


async def test_a_citation_to_nothing_is_none() -> None:
    assert await added("The river Tagus flows through Lisbon [9].") == " [1]"


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Cats sleep for sixteen hours [1].", "Cats sleep for sixteen hours [2]."),
        ("Cats sleep for sixteen hours. [1]", "Cats sleep for sixteen hours. [2]"),
        ("The Tagus flows through Lisbon [2]. Cats sleep sixteen hours [1]. Why [1]?",
         "The Tagus flows through Lisbon [1]. Cats sleep sixteen hours [2]. Why [1]?"),
        ("Sarah Martinez [1]", "Sarah Martinez [3]"),
        ("- The Tagus flows through Lisbon [4]\n- Cats sleep sixteen hours [4]\n",
         "- The Tagus flows through Lisbon [1]\n- Cats sleep sixteen hours [2]\n"),
        ("Sarah Martinez [3] or [1]", "Sarah Martinez [3] or [1]"),
        ("Cats sleep sixteen hours [2].", "Cats sleep sixteen hours [2]."),
        ("Animals with whiskers mostly slumber [1].", "Animals with whiskers mostly slumber [1]."),
        ("Cats sleep sixteen hours [1][3].", "Cats sleep sixteen hours [1][3]."),
        ("Cats sleep sixteen hours [1](http://a), [1, 3], `x[1]` and [1", None),
        ("[1]", None),
        ("Cats [see 1] sleep sixteen hours [2", "Cats [see 1] sleep sixteen hours [2 [2]"),
    ],
)  # fmt: skip
async def test_a_citation_of_the_wrong_passage_is_put_right(said: str, meant: str | None, size: int) -> None:
    assert await passed(said, size=size) == (meant or said)


async def test_an_answer_that_was_cut_or_finds_nothing_gets_no_numbers() -> None:
    text = "The Tagus flows through Lisbon."
    assert await added(text, Finished("stop")) == " [1]"
    assert await added(text, Finished("length")) == ""
    assert await added(text, Usage(1, 0, 1, 0.1, 0.1, 10), Finished("length")) == ""
    assert await added(text, Finished("stopped")) == ""
    assert await added(f"{NOT_FOUND} Documents prepared by Sarah Martinez.") == ""
