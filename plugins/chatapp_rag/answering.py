"""A turn with documents on: passages beside the question, then an answer that cites them, or none at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from chatapp import Block, ChatappError, Event, Finished, Message, Session, Source, TextDelta, Turn
from chatapp_rag.attributing import attributed
from chatapp_rag.citing import Scanner, cited
from chatapp_rag.collection import Collection
from chatapp_rag.following import is_small_talk, leans, self_contained
from chatapp_rag.library import Library, library, show_on
from chatapp_rag.passages import Passage
from chatapp_rag.prompting import none_found, passages, rules
from chatapp_rag.retrieving import Retrieved, retrieve

NOTES = "rag"
SHARE = 3
"""Passages fill at most one part in so many of the prompt."""
_sent: WeakKeyDictionary[Session, tuple[Message, ...]] = WeakKeyDictionary()
"""What each session's engine was sent last: a follow-up question is rewritten right behind it."""


@dataclass(frozen=True, slots=True)
class _Search:
    """What was found for a turn, or why nothing could be looked for."""

    collection: Collection
    found: Retrieved | None = None
    refused: bool = False
    failure: str = ""


async def blocks(turn: Turn) -> list[Block]:
    """The rules, and the passages for this question."""
    shelf = library(turn.session.host)
    try:
        collection = await shelf.active(turn.session)
        if collection is None:
            return []
        show_on(turn.session, collection)
        # With a file attached, the question is about that file.
        if is_small_talk(turn.message.text) or any(isinstance(part, Source) for part in turn.message.parts):
            return [rules()]
        found = await _look(turn, shelf, collection)
    except ChatappError as error:
        # An answer without the documents would pass for one from them.
        turn.notes[NOTES] = _Search(Collection("", "", "", "", 0), failure=str(error))
        return []
    turn.notes[NOTES] = _Search(collection, found, refused=not found.relevant)
    if not found.relevant:
        return [rules()]
    return [rules(), passages(found.passages, found.query)]


async def _look(turn: Turn, shelf: Library, collection: Collection) -> Retrieved:
    query = await _question(turn, shelf)
    budget = min(shelf.settings.budget, turn.budget // SHARE)
    return await retrieve(turn.session, shelf, collection, query, shelf.settings.passages, budget)


async def _question(turn: Turn, shelf: Library) -> str:
    """What to search for: the message, made self-contained where it leans on what was said."""
    session, text = turn.session, turn.message.text
    engine = session.host.engines.current()
    path = list(session.conversation.path())
    place = next((at for at, each in enumerate(path) if each.id == turn.message.id), len(path))
    before = path[:place]
    if engine is None or not before or not leans(text) or not shelf.settings.rewrite:
        return text
    return await self_contained(session, engine, text, _read_before(session, before))


def _read_before(session: Session, before: Sequence[Message]) -> Sequence[Message]:
    """The messages before the newest as the engine has read them, the system message included."""
    sent = _sent.get(session, ())
    known = {each.id for each in sent}
    rest = [each for each in before if each.id not in known]
    follows = bool(sent) and all(each.id in {b.id for b in before} or each.id == "system" for each in sent)
    return [*sent, *rest] if follows else before


def given(turn: Turn) -> Sequence[Passage]:
    """The passages that this turn's answer was given."""
    search: _Search | None = turn.notes.get(NOTES)
    if search is None or search.found is None or "<passage number=" not in turn.message.context:
        return ()
    return search.found.passages


async def conclude(turn: Turn) -> None:
    """Keep what the engine was sent in this turn, and give an answer that was stopped the sources it cites."""
    if turn.request is not None and turn.notes.get(NOTES) is not None:
        _sent[turn.session] = turn.request.messages
    if turn.finished is not None and turn.finished.reason == "stopped" and turn.answers and given(turn):
        await _source_stopped(turn)


async def _source_stopped(turn: Turn) -> None:
    # Closing a stream ends it at once: there is no chance to tell the sources after the text.
    message = turn.answers[-1]
    told = [part.number for part in message.parts if isinstance(part, Source)]
    scanner = Scanner(range(1, len(given(turn)) + 1))
    scanner.feed(message.text)
    scanner.flush()
    sources = [given(turn)[number - 1].source(number) for number in scanner.cited if number not in told]
    if sources:
        turn.answers[-1] = replace(message, parts=(*message.parts, *sources))
        turn.session.conversation.update(turn.answers[-1])
        await turn.session.save()


async def answer(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """The answer with its citations; instead of one, what is to say when nothing fits or nothing could be searched."""
    search: _Search | None = turn.notes.get(NOTES)
    if search is not None and search.failure:
        yield Finished("failed", f"Your documents could not be searched: {search.failure} /rag off answers without.")
        return
    if search is not None and search.refused and search.found is not None:
        found = search.found
        yield TextDelta(none_found(found.nearest, found.best, found.threshold))
        yield Finished("stop")
        return
    chosen = given(turn)
    if search is None or not chosen:
        async for event in stream:
            yield event
        return
    sources = [passage.source(number) for number, passage in enumerate(chosen, 1)]
    async for event in cited(attributed(stream, sources), sources):
        yield await _placed(turn, search, event) if isinstance(event, Source) else event


async def _placed(turn: Turn, search: _Search, source: Source) -> Source:
    """The source with the text around it, for the reader; as it is when that cannot be had."""
    assert search.found is not None
    number = source.number or 0
    if not 1 <= number <= len(search.found.passages):
        return source
    passage = search.found.passages[number - 1]
    reach = passage.last - passage.first + 1
    try:
        near = await library(turn.session.host).store.around(search.collection, passage.hit, reach)
    except ChatappError:
        # The passage itself is there; what stands around it is a convenience.
        return source
    before = "\n".join(hit.text for hit in near if hit.ordinal < passage.first)
    after = "\n".join(hit.text for hit in near if hit.ordinal > passage.last)
    return replace(source, before=before, after=after)
