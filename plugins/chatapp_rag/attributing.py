"""Citations that models get wrong or forget: each is checked against the passages, and where none is, some are added.

Small models cite [1] for everything. A citation is changed only where another passage has clearly more of the
sentence's words, before it is shown.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from chatapp import Event, Finished, Notice, Source, TextDelta, TokenLogprob, Usage
from chatapp_rag.prompting import NOT_FOUND
from chatapp_rag.prose import Place
from chatapp_rag.supporting import checked, readable, sentences, supporting

UNSUPPORTED = "No passage of your documents supports this answer: the model may have made it up."
_CITED = re.compile(r"\[\^?\d{1,3}[\],;–-][^\]]{0,20}|【\d{1,3}")
_COMPLETE = re.compile(r"\[(\d{1,3})\]")
_BEGUN = re.compile(r"\[\d{0,3}")


async def attributed(stream: AsyncIterator[Event], sources: Sequence[Source]) -> AsyncIterator[Event]:
    """Pass an answer on, each citation checked; when it ends without any, add the numbers of what it repeats.

    They are added at the very end, for what has been shown cannot be changed. An answer that no passage supports is
    followed by a notice. Nothing is added to one that was cut off, or that says that there is none.
    """
    answer = _Answer(readable(sources))
    try:
        async for event in stream:
            for each in answer.absorb(event):
                yield each
    except Exception:
        for each in answer.rest():
            yield each
        raise
    for each in answer.end():
        yield each


class _Answer:
    """An answer on its way, event by event."""

    def __init__(self, held: Mapping[int, str]) -> None:
        self._held = held
        self._checker = Checker(held)
        self._said = ""
        self._usage: Usage | None = None
        self._logprobs: tuple[TokenLogprob, ...] = ()

    def absorb(self, event: Event) -> Iterator[Event]:
        """What can be passed on now that `event` has come."""
        if isinstance(event, TextDelta):
            self._said += event.text
            yield from self._given(event, self._checker.feed(event.text))
        elif isinstance(event, Usage):
            # How the answer ended comes after what it cost, and the numbers go before both.
            self._usage = event
        elif isinstance(event, Finished):
            yield from self.rest()
            if event.reason == "stop":
                yield from self._added()
            yield from self.end()
            yield event
        else:
            yield from self.rest()
            yield event

    def end(self) -> Iterator[Event]:
        """What is still held back."""
        yield from self.rest()
        if self._usage is not None:
            yield self._usage
        self._usage = None

    def rest(self) -> Iterator[TextDelta]:
        """The text that was held back."""
        text, logprobs = self._checker.flush(), self._logprobs
        self._logprobs = ()
        if text or logprobs:
            yield TextDelta(text, logprobs)

    def _given(self, delta: TextDelta, text: str) -> Iterator[TextDelta]:
        logprobs = self._logprobs + delta.logprobs
        self._logprobs = () if text else logprobs
        if text:
            # The delta itself where it is unchanged: whoever guards the stream then knows that it was passed on.
            yield delta if (text, logprobs) == (delta.text, delta.logprobs) else TextDelta(text, logprobs)

    def _added(self) -> Iterator[Event]:
        cited = {int(number) for found in _CITED.findall(self._said) for number in re.findall(r"\d+", found)}
        if not cited.isdisjoint(self._held) or NOT_FOUND in self._said or not self._said.strip():
            return
        numbers = supporting(_CITED.sub("", self._said), self._held)
        if numbers:
            yield TextDelta(" " + "".join(f"[{number}]" for number in numbers))
        else:
            yield Notice(UNSUPPORTED, "warning")


class Checker:
    """Checks the citations in a text that comes in pieces; how it is cut makes no difference to what comes out.

    Only single ones, [2], right behind a sentence are changed. Text is held back from a bracket on until it is clear
    what that is.
    """

    def __init__(self, passages: Mapping[int, str]) -> None:
        self._passages = passages
        self._place = Place()
        self._held = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """What can be given out now that `text` has come."""
        return "".join(self._take(character) for character in text)

    def flush(self) -> str:
        """What is held back, at a place where nothing of it can be waited for."""
        return self._decided("")

    def _take(self, character: str) -> str:
        self._place.take(character)
        if self._held and _BEGUN.fullmatch(self._held) and (character.isdecimal() or character == "]"):
            self._held += character
            return ""
        out = self._decided(character) if self._held else ""
        if character == "[" and self._place.prose:
            self._held = character
            return out
        self._before += character
        return out + character

    def _decided(self, following: str) -> str:
        """What is held, its number changed where it is a citation of the wrong passage."""
        held, self._held = self._held, ""
        found = _COMPLETE.fullmatch(held)
        said = sentences(self._before)
        self._before = "" if found else self._before + held
        # Before "(" it is a link's text, before "[" one of several.
        if not found or not said or following in ("(", "["):
            return held
        return f"[{checked(int(found[1]), said[-1], self._passages)}]"
