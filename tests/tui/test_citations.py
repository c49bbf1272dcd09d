"""Citations: links in an answer, the line of its sources, and the panel that shows the passage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Markdown, Static, TabbedContent

from chatapp.conversation import Conversation
from chatapp.events import Event, Finished, TextDelta
from chatapp.messages import Message, Source, Text, assistant, user
from chatapp.testing import ScriptedEngine
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.citations import Citations
from chatapp.tui.widgets.composer import Composer
from chatapp.tui.widgets.fold import Fold
from chatapp.tui.widgets.message import MessageView
from chatapp.tui.widgets.passage import PassagePanel

from .support import SMALL, Running, running

NASTY = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eevil [bold]not markup[/bold]"
ABOVE = "".join(f"Line {number} before.\n" for number in range(1, 81))
BELOW = "What comes after." + "\nMore of it." * 80
SOURCES = (
    Source("report.pdf", "Cats purr at 25 Hz.", "/docs/report.pdf", "page 3", 1, 0.83, ABOVE, BELOW),
    Source("notes.md", "Dogs bark.", "/docs/notes.md", "lines 10-42", 2, 0.5),
    Source("report.pdf", "Cats sleep.", "/docs/report.pdf", "page 7", 3),
)
ANSWER = "Cats purr [1] and sleep [3], dogs bark [2]; `x[1]`, [1](https://example.org) and [4] are no citations."


def conversation(text: str = ANSWER, sources: Sequence[Source] = SOURCES) -> Conversation:
    """A question and an answer that cites."""
    made = Conversation()
    made.append(user("Why?"))
    made.append(Message("assistant", (Text(text), *sources), meta={"finished": "stop"}))
    return made


@asynccontextmanager
async def opened(
    folder: Path, text: str = ANSWER, sources: Sequence[Source] = SOURCES, size: tuple[int, int] = SMALL
) -> AsyncIterator[Running]:
    """A chat that shows an answer with citations."""
    async with running(folder, conversation=conversation(text, sources), size=size) as chat:
        await chat.shows("Sources")
        yield chat


def links(chat: Running) -> list[str]:
    """What can be clicked in the Markdown of the answers: the text, and what the click does."""
    found = []
    for block in chat.app.screen.query("MarkdownBlock").results(Static):
        content = block.visual
        for span in getattr(content, "spans", ()):
            action = getattr(span.style, "meta", {}).get("@click")
            found += [f"{content.plain[span.start : span.end]} {action}"] if action else []  # type: ignore[attr-defined]
    return found


def passage(chat: Running) -> str:
    """The number of the source that the panel shows, empty while it shows none."""
    panels = chat.chat.query(PassagePanel)
    return str(panels.first().source.number) if panels and chat.chat.side.display else ""


async def test_citations_are_links_and_the_sources_stand_below(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        assert links(chat) == [
            "[1] link('cite:1')",
            "[3] link('cite:3')",
            "[2] link('cite:2')",
            "1 link('https://example.org')",
        ]
        await chat.shows("Sources  [1] report.pdf, page 3 · [3] page 7  [2] notes.md, lines 10-42")
        assert not chat.chat.query(Fold)


async def test_the_sources_wrap_between_and_not_inside_them(tmp_path: Path) -> None:
    many = [replace(SOURCES[1], title=f"chapter number {n}.md", uri="", number=n) for n in range(1, 6)]
    more = replace(SOURCES[0], number=6), replace(SOURCES[2], number=7)
    async with opened(tmp_path, "So [1][2][3][4][5][6][7].", [*many, *more], (60, 24)) as chat:
        await chat.shows("[7] page 7")
        rows = [row.strip() for row in chat.screen_text.splitlines() if ".md" in row or ".pdf" in row]
        assert rows == [
            "Sources  [1] chapter number 1.md, lines 10-42",
            *(f"[{n}] chapter number {n}.md, lines 10-42" for n in range(2, 6)),
            "[6] report.pdf, page 3 · [7] page 7",
        ]


async def test_a_title_that_is_too_long_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, "So [1].", [replace(SOURCES[0], title="long " * 40)], (40, 24)) as chat:
        await chat.shows("Sources")
        (row,) = (row for row in chat.screen_text.splitlines() if "Sources" in row)
        assert "…" in row


async def test_a_click_opens_the_passage_with_what_is_around_it(tmp_path: Path) -> None:
    async with opened(tmp_path, size=(120, 40)) as chat:
        text = chat.chat.query_one(AnswerText)
        text.post_message(Markdown.LinkClicked(text, "cite:1"))
        await chat.until(lambda: passage(chat) == "1" and "purr at 25" in chat.screen_text)
        shown = chat.screen_text
        for piece in ("[1] report.pdf", "page 3 · score 0.83 · 1 of 3", "/docs/report.pdf", "What comes after."):
            assert piece in shown
        assert "Line 80 before." in shown
        assert "Line 70 before." not in shown
        assert chat.chat.side.reading


async def test_a_click_on_a_source_opens_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        row = chat.chat.query_one(Citations)
        await chat.pilot.click(Citations, offset=(row.render_line(0).text.index("[2]") + 1, 0))
        await chat.until(lambda: passage(chat) == "2")


async def test_keys_open_sources_and_walk_from_one_to_the_next(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        await chat.press("alt+up")
        await chat.shows("o sources")
        await chat.press("3")
        await chat.until(lambda: passage(chat) == "3")
        await chat.shows("n next · p before · c copy")
        for pressed, number in (("n", "1"), ("n", "2"), ("p", "1"), ("left_square_bracket", "3")):
            await chat.press(pressed)
            assert passage(chat) == number
        await chat.press("escape")
        assert isinstance(chat.app.focused, MessageView)
        await chat.press("o")
        await chat.until(lambda: passage(chat) == "1")
        await chat.press("f5")
        assert not chat.chat.side.display
        assert isinstance(chat.app.focused, MessageView)


async def test_the_line_of_sources_has_keys_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        await chat.press("alt+up", "tab")
        assert isinstance(chat.app.focused, Citations)
        await chat.shows("Enter open")
        await chat.press("left", "right", "enter")
        await chat.until(lambda: passage(chat) == "3")
        await chat.press("escape")
        assert isinstance(chat.app.focused, Citations)
        await chat.press("right", "right", "space")
        await chat.until(lambda: passage(chat) == "2")
        await chat.press("escape", "escape")
        assert isinstance(chat.app.focused, Composer)


async def test_on_a_small_screen_the_passage_takes_the_conversations_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        await chat.press("alt+up", "o")
        await chat.until(lambda: passage(chat) == "1" and "purr at 25" in chat.screen_text)
        assert not chat.chat.transcript.display
        await chat.shows("What comes after.")
        await chat.press("escape")
        assert chat.chat.transcript.display
        await chat.press("i")
        assert chat.chat.query_one(TabbedContent).active == "tab-sent"


async def test_a_passage_is_copied_with_its_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        await chat.press("alt+up", "o")
        await chat.until(lambda: passage(chat) == "1")
        await chat.press("c")
        assert chat.app.clipboard == "Cats purr at 25 Hz.\n\n/docs/report.pdf, page 3\n"
        await chat.press("y")
        assert chat.app.clipboard == "/docs/report.pdf"


async def test_what_is_not_cited_is_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        await chat.press("alt+up", "9")
        await chat.until(lambda: "It does not cite [9]." in chat.notices)
        await chat.press("up", "o")
        await chat.until(lambda: "This message cites no sources." in chat.notices)
        assert not chat.chat.side.display


async def test_while_an_answer_streams_its_citations_are_text(tmp_path: Path) -> None:
    engine = ScriptedEngine(delay=0.05)
    answer: list[Event | Exception] = [TextDelta("Cats purr [1]."), *[TextDelta(" More.")] * 12, SOURCES[0], Finished()]
    engine.says(answer)
    async with running(tmp_path, engine=engine) as chat:
        chat.chat.runner.submit("Why?")
        await chat.shows("Cats purr [1]. More.")
        assert not chat.settled
        assert links(chat) == []
        await chat.until(lambda: chat.settled and "Sources  [1] report.pdf, page 3" in chat.screen_text)
        await chat.until(lambda: links(chat) == ["[1] link('cite:1')"])
        assert len(chat.chat.transcript.views) == 2


async def test_a_model_cannot_send_a_citation_elsewhere(tmp_path: Path) -> None:
    text = "Cats [1]. [9] so.\n\n[1]: https://example.org\n\n[so](cite:7)"
    async with opened(tmp_path, text) as chat:
        assert links(chat) == ["[1] link('cite:1')", "so link('cite:7')"]
        answer = chat.chat.query_one(AnswerText)
        answer.post_message(Markdown.LinkClicked(answer, "cite:7"))
        await chat.until(lambda: any("not opened" in notice for notice in chat.notices))


async def test_nothing_of_a_document_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    source = Source(NASTY, NASTY, NASTY, NASTY, 1, None, NASTY, NASTY)
    async with opened(tmp_path, "So [1].", [source], (120, 40)) as chat:
        await chat.shows("[1] ␛[31mred␛]0;title␇")
        await chat.press("alt+up", "o")
        await chat.until(lambda: passage(chat) == "1" and chat.screen_text.count("[bold]not markup") >= 3)
        text = chat.screen_text
        assert not set(text) & set("\x1b\x07\x9b\u202e")


async def test_a_file_attached_by_hand_and_sources_of_a_question_stay_folds(tmp_path: Path) -> None:
    made = Conversation()
    made.append(user("Why?", replace(SOURCES[0], number=1)))
    made.append(replace(assistant("So."), parts=(Text("So [1]."), Source("a.txt", "A"))))
    async with running(tmp_path, conversation=made) as chat:
        assert len(chat.chat.query(Fold)) == 2
        assert not chat.chat.query(Citations)
        assert links(chat) == []


@pytest.mark.parametrize("theme", ["chatapp-dark", "chatapp-light"])
async def test_the_passage_stands_out_in_both_themes(tmp_path: Path, theme: str) -> None:
    async with running(tmp_path, conversation=conversation(), theme=theme) as chat:
        await chat.press("alt+up", "o")
        await chat.until(lambda: passage(chat) == "1")
        before, text = (chat.chat.query_one(f"#passage-{name}", Static) for name in ("before", "text"))
        assert text.background_colors[1] != before.background_colors[1]
        assert text.background_colors[1].get_contrast_text(1).brightness != text.background_colors[1].brightness
