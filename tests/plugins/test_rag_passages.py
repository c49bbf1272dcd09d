"""From hits to passages: repetitions dropped, neighbours joined, a budget filled in order."""

from __future__ import annotations

from itertools import permutations

from chatapp_rag.collection import Hit
from chatapp_rag.passages import Passage, distinct, fitting, joined

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def hit(ordinal: int, text: str = "", digest: str = "a", heading: str = "", page: int | None = None) -> Hit:
    """The chunk number `ordinal` of a file, of three lines each."""
    first = 3 * ordinal + 1
    paths = (f"/docs/{digest}.txt",)
    return Hit(digest, ordinal, text or f"text {ordinal}", heading, page, first, first + 2, paths, similarity=0.5)


def places(passages: list[Passage]) -> list[tuple[str, int, int]]:
    """Which chunks of which files they are."""
    return [(passage.hit.digest, passage.first, passage.last) for passage in passages]


def test_what_repeats_a_better_hit_is_dropped() -> None:
    whole = " ".join(WORDS)
    hits = [
        hit(0, whole),
        hit(1, whole.upper().replace(" ", ", ")),
        hit(2, " ".join(WORDS[2:10])),
        hit(3, " ".join([*WORDS[:6], "but", "then", "it", "goes", "on"])),
        hit(4, "one two"),
        hit(5, "one two"),
    ]
    assert [each.ordinal for each in distinct(hits)] == [0, 3, 4]


def test_texts_without_words_are_compared_too() -> None:
    assert [each.ordinal for each in distinct([hit(0, "…"), hit(1, "!"), hit(2, "words")])] == [0, 2]


def test_neighbours_are_joined_whatever_the_order() -> None:
    for order in permutations(range(4)):
        (passage,) = joined([hit(number) for number in order])
        assert (passage.first, passage.last) == (0, 3)
        assert passage.text == "text 0\ntext 1\ntext 2\ntext 3"
        assert passage.locator == "lines 1-12"
        assert passage.hit.similarity == 0.5


def test_a_joined_passage_stands_where_its_best_chunk_stood() -> None:
    hits = [hit(5), hit(0, digest="b"), hit(1), hit(6), hit(2)]
    assert places(joined(hits)) == [("a", 5, 6), ("b", 0, 0), ("a", 1, 2)]


def test_headings_pages_files_and_gaps_keep_chunks_apart() -> None:
    for other in (hit(1, digest="b"), hit(1, heading="Other"), hit(1, page=2), hit(2)):
        assert len(joined([hit(0), other])) == 2
    assert len(joined([hit(0, heading="One", page=1), hit(1, heading="One", page=1)])) == 1


def test_the_budget_is_filled_in_order_and_a_long_one_makes_room() -> None:
    hits = [hit(0), hit(2), hit(4), hit(6)]
    assert [each.ordinal for each in fitting(hits, [50, 80, 30, 20], 100)] == [0, 4, 6]
    assert fitting(hits, [50, 80, 30, 20], 19) == []


def test_a_passage_knows_its_name_and_its_source() -> None:
    (passage,) = joined([hit(0, heading="Rivers > Tagus", page=3)])
    assert (passage.name, passage.path) == ("a.txt, page 3", "/docs/a.txt")
    source = passage.source(2, "before", "after")
    assert (source.title, source.text, source.uri) == ("a.txt: Rivers > Tagus", "text 0", "/docs/a.txt")
    assert (source.locator, source.number, source.score) == ("page 3", 2, 0.5)
    assert (source.before, source.after) == ("before", "after")
    (plain,) = joined([Hit("c", 0, "t", paths=("/docs/c.txt",))])
    assert (plain.name, plain.source(1).title) == ("c.txt", "c.txt")
