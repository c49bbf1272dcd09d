"""Answers from the user's own documents, with citations: LanceDB and sentence-transformers, on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from chatapp import EngineSpec, hookimpl

# Nothing heavy here: the child processes import this package too.
if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Action, Block, EngineConfig, Event, Host, Reader, Report, Turn


@hookimpl
def settings() -> type[BaseModel]:
    """Where the index is, how much of a prompt passages may fill."""
    from chatapp_rag.options import RagSettings

    return RagSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/rag …`."""
    from chatapp_rag import collecting, commands
    from chatapp_rag.evaluating import commands as evaluating

    return [*commands.ACTIONS, *collecting.ACTIONS, *evaluating.ACTIONS]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """Reads documents that are no plain text, for whoever attaches one."""
    yield EngineSpec("documents", _open, "reader", "PDF and office files as text")


async def _open(host: Host, config: EngineConfig, report: Report) -> Reader:
    from chatapp_rag.attaching import DocumentReader

    return DocumentReader(host, config)


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """The passages for this question, beside it, and once the rules for answering from them."""
    from chatapp_rag.answering import blocks

    return await blocks(turn)


@hookimpl
def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Citations: those to nothing removed, those cited told."""
    from chatapp_rag.answering import NOTES, answer

    return answer(stream, turn) if NOTES in turn.notes else stream


@hookimpl
async def turn_finished(turn: Turn) -> None:
    """Keep what was sent: the next question may have to be rewritten behind it. A stopped answer gets its sources."""
    from chatapp_rag.answering import conclude

    await conclude(turn)


@hookimpl
async def shutdown(host: Host) -> None:
    """End watching and the child processes."""
    from chatapp_rag.library import opened

    shelf = opened(host)
    if shelf is not None:
        from chatapp_rag.watching import stop

        await stop(host)
        await shelf.close()
