"""Guarding a stream of events against a plugin that fails while it transforms it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from chatapp.events import Event

Transform = Callable[[AsyncIterator[Event]], AsyncIterator[Event]]


class _Tap:
    """Hands events on and remembers those the transform took since it last yielded something."""

    def __init__(self, stream: AsyncIterator[Event]) -> None:
        self.stream = stream
        self.taken: list[Event] = []
        self.error: BaseException | None = None

    def __aiter__(self) -> _Tap:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await anext(self.stream)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.taken.append(event)
        return event


async def guarded(
    stream: AsyncIterator[Event], transform: Transform, failed: Callable[[Exception], None]
) -> AsyncGenerator[Event, None]:
    """The transformed stream; when the transform itself raises, `failed` is told and the rest passes as it is.

    Events the transform had taken and not answered with anything are passed on too, so that no text is lost. What the
    stream itself raises is not the transform's fault and comes through. Closing it closes the transform and the stream.
    """
    tap = _Tap(stream)
    transformed: AsyncIterator[Event] | None = None
    try:
        try:
            transformed = transform(tap)
            async for event in transformed:
                tap.taken.clear()
                yield event
            return
        except Exception as error:
            if tap.error is error:
                raise
            failed(error)
        for event in tap.taken:
            yield event
        async for event in stream:
            yield event
    finally:
        # Closing an outer generator does not close the ones beneath it: each is closed here, innermost last.
        for each in (transformed, stream):
            close = getattr(each, "aclose", None)
            if close is not None:
                await close()
