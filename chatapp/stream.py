"""Guarding a stream of events against a plugin that fails while it transforms it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from chatapp.events import Event, Finished
from chatapp.plugins import FAILURES

Transform = Callable[[AsyncIterator[Event]], AsyncIterator[Event]]
Failed = Callable[[BaseException], None]


class _Tap:
    """Hands events on and remembers those the transform took and did not answer with anything yet."""

    def __init__(self, stream: AsyncIterator[Event]) -> None:
        self.stream = stream
        self.taken: list[Event] = []
        self.error: BaseException | None = None
        self.ended = False

    def __aiter__(self) -> _Tap:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await anext(self.stream)
        except StopAsyncIteration:
            self.ended = True
            raise
        except BaseException as error:
            self.error = error
            raise
        self.taken.append(event)
        return event

    async def aclose(self) -> None:
        """A transform that has had enough closes what it reads: the engine stops, and is free for another request."""
        if hasattr(self.stream, "aclose"):
            await self.stream.aclose()

    def answered(self, event: Event) -> None:
        """Forget what `event` answers: all up to it where it was passed on, else all; but the end only by an end."""
        place = next((place for place, each in enumerate(self.taken) if each is event), len(self.taken) - 1)
        end = () if isinstance(event, Finished) else (each for each in self.taken if isinstance(each, Finished))
        self.taken[: place + 1] = list(end)

    @property
    def over(self) -> bool:
        """Whether the stream ended, and the transform is not the one to blame for a missing `Finished`."""
        return self.ended and not any(isinstance(each, Finished) for each in self.taken)


async def guarded(stream: AsyncIterator[Event], transform: Transform, failed: Failed) -> AsyncGenerator[Event, None]:
    """The transformed stream; when the transform itself fails, `failed` is told and the rest passes as it is.

    To fail is to raise, to yield what is no event, or to end without `Finished`. Events the transform had taken and not
    answered with anything are passed on too, so that no text is lost. What the stream itself raises is not the
    transform's fault and comes through. Closing it closes the transform and the stream.
    """
    tap = _Tap(stream)
    transformed: Any = None
    finished = False
    try:
        try:
            transformed = transform(tap)
            if inspect.isawaitable(transformed):
                transformed = await transformed
            async for event in transformed:
                if not isinstance(event, Event):
                    raise TypeError(f"it yielded {type(event).__name__}, which is no event")
                tap.answered(event)
                finished = finished or isinstance(event, Finished)
                yield event
            if not (finished or tap.over):
                raise EOFError("it ended without passing on the end of the answer")
        except FAILURES as error:
            if tap.error is None:
                failed(error)
        # An engine that fails is told as it is, whatever a transform made of it.
        if tap.error is not None:
            raise tap.error
        if not finished:
            for event in tap.taken:
                yield event
            async for event in stream:
                yield event
    finally:
        await _close(transformed, stream, failed)


async def _close(transformed: Any, stream: AsyncIterator[Event], failed: Failed) -> None:
    # Closing an outer generator does not close the ones beneath it: each is closed here, innermost last.
    try:
        if hasattr(transformed, "aclose"):
            await transformed.aclose()
    except FAILURES as error:
        failed(error)
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()
