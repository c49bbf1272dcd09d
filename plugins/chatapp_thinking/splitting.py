"""From the events of a model to those of an answer: reasoning apart from text, whichever way the model marks it."""

from __future__ import annotations

from chatapp import Event, ReasoningDelta, TextDelta, TokenLogprob
from chatapp_thinking.marker import MarkerSplit
from chatapp_thinking.tags import Piece, Tag, TagSplit


class Split:
    """Splits one answer. `tag` opened it already, where there is one; `marked` says that steps up to a marker come.

    Log probabilities stay with the text they belong to; those of reasoning are dropped, as a ReasoningDelta has none.
    """

    def __init__(self, tag: Tag | None = None, *, marked: bool = False) -> None:
        self.tags = TagSplit(tag)
        self.marker = MarkerSplit() if marked else None
        self.raw = ""
        self.reasoning = ""
        self.deltas = 0
        self._logprobs: list[TokenLogprob] = []
        self._all: list[TokenLogprob] = []

    @property
    def inside(self) -> bool:
        """Whether what comes now is reasoning."""
        return self.tags.inside or (self.marker is not None and self.marker.inside)

    def feed(self, delta: TextDelta) -> list[Event]:
        """What this delta settles."""
        inside = self.inside
        self.raw += delta.text
        self.deltas += inside
        self._logprobs += delta.logprobs
        self._all += delta.logprobs if self.marker is not None else ()
        pieces = self._marked(self.tags.feed(delta.text))
        if inside and not self.inside:
            # The tag or marker that ended here is no part of the answer.
            self._logprobs = list(delta.logprobs) if any(kind == "text" for kind, _ in pieces) else []
        return self._events(pieces)

    def end(self) -> list[Event]:
        """What was held, now that no more comes; nothing the second time."""
        pieces = self._marked(self.tags.end())
        whole: list[Piece] = []
        if self.marker is not None:
            pieces += self.marker.end()
            whole = pieces[-1:] if pieces[-1:] == [("text", self.marker.said)] else []
            self.marker = None
        events = self._events(pieces[: len(pieces) - len(whole)])
        if whole:
            self._logprobs = self._all
            events += self._events(whole)
        left, self._logprobs = tuple(self._logprobs), []
        return [*events, TextDelta("", left)] if left and not self.inside else events

    def cut(self) -> list[Event]:
        """What was held, when the reasoning is ended before its end: all of it is reasoning."""
        pieces = self._marked(self.tags.end())
        if self.marker is not None:
            pieces += self.marker.cut()
            self.marker = None
        return self._events([("reasoning", text) for _, text in pieces])

    def _marked(self, pieces: list[Piece]) -> list[Piece]:
        if self.marker is None:
            return pieces
        marked: list[Piece] = []
        for piece in pieces:
            marked += self.marker.feed(piece[1]) if piece[0] == "text" else [piece]
        return marked

    def _events(self, pieces: list[Piece]) -> list[Event]:
        events: list[Event] = []
        for kind, text in pieces:
            if kind == "reasoning":
                self.reasoning += text
                events.append(ReasoningDelta(text))
            else:
                events.append(TextDelta(text, tuple(self._logprobs)))
                self._logprobs = []
        if events and isinstance(events[-1], ReasoningDelta):
            self._logprobs = []
        return events
