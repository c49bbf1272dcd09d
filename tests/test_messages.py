"""What the model reads of a message, and what only the reader sees."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from chatapp import Event, Finished, Message, Session, Source, Text, TextDelta, ToolResult, chat_text, user
from chatapp.testing import script, sent_texts

PASSAGE = Source("cats.md", "Cats purr.", number=1, before="Dogs bark.", after="Fish swim.")
SENT = '<document title="cats.md">\nCats purr.\n</document>'


def test_sources_of_questions_and_of_tools_are_sent_without_what_is_around_them() -> None:
    assert chat_text(user("Why?", PASSAGE)) == f"{SENT}\n\nWhy?"
    assert chat_text(Message("tool", (ToolResult("1", "search", "found"), PASSAGE))) == f"found\n\n{SENT}"
    assert chat_text(Message("assistant", (Text("So [1]."), PASSAGE))) == "So [1]."


async def answered(events: AsyncGenerator[Event, None]) -> None:
    """The whole answer is read."""
    async for _ in events:
        pass


async def test_what_an_answer_cites_is_kept_and_not_sent_again(session: Session) -> None:
    engine = script(session)
    engine.says([TextDelta("They purr [1]."), PASSAGE, Finished()])
    await answered(session.send("What do cats do?", Source("note", "About pets.", before="unseen")))
    await answered(session.send("And dogs?"))
    assert sent_texts(engine.requests[-1].messages) == [
        ("user", '<document title="note">\nAbout pets.\n</document>\n\nWhat do cats do?'),
        ("assistant", "They purr [1]."),
        ("user", "And dogs?"),
    ]
    kept = session.host.archive.load(session.conversation.id).path()
    assert list(kept)[1].parts == (Text("They purr [1]."), PASSAGE)
