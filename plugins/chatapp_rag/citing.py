"""Citations in an answer as it streams: brought to one form, those to nothing removed, and what was cited told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence

from chatapp import Event, Finished, Source, Text, TextDelta, TokenLogprob, Usage
from chatapp_rag.prose import Place

HELD = 24
"""The most characters that are held back from a bracket on: what is longer is no citation."""

_NUMBER = r"\^?\d{1,3}"
_LIST = rf" ?{_NUMBER}(?: ?[,;–-] ?{_NUMBER})* ?"
# Four digits are a year that somebody put in brackets, and no passage's number.
_CITATION = re.compile(rf"\[{_LIST}\]|【{_LIST}】")
_BEGINS = "[【"
_MAY_FOLLOW = frozenset("0123456789 ^,;–-")
_ENDS = "]】"


async def cited(stream: AsyncIterator[Event], sources: Sequence[Source]) -> AsyncIterator[Event]:
    """Pass an answer on with its citations as [1] or [1][2], and after its text the sources that it cites.

    Each source comes once, in the order of first citation, numbered as it was given. A number that is none of the
    `sources` is removed with the space before it. Code and Markdown links are left alone, reasoning too. Text is held
    back only from a bracket, or the white space before one, until it is clear what that is.
    """
    answer = _Answer(sources)
    try:
        async for event in stream:
            for each in answer.absorb(event):
                yield each
    except Exception:
        # What came before the engine failed is kept, and so is what it cites.
        for each in answer.end():
            yield each
        raise
    for each in answer.end():
        yield each


class _Answer:
    """An answer on its way, event by event."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {source.number: source for source in sources if source.number is not None}
        self._scanner = Scanner(self._sources)
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self._told = False

    def absorb(self, event: Event) -> Iterator[Event]:
        """What can be passed on now that `event` has come."""
        if isinstance(event, TextDelta):
            yield from self._given(event, self._scanner.feed(event.text))
            return
        yield from self.end() if isinstance(event, (Usage, Finished)) else self._rest()
        if isinstance(event, Text):
            event = Text(self._scanner.feed(event.text) + self._scanner.flush())
        yield event

    def end(self) -> Iterator[Event]:
        """What was held back, then what was cited, unless that was told already."""
        yield from self._rest()
        if not self._told:
            self._told = True
            yield from (self._sources[number] for number in self._scanner.cited)

    def _given(self, delta: TextDelta, text: str) -> Iterator[TextDelta]:
        logprobs = self._logprobs + delta.logprobs
        self._logprobs = () if text else logprobs
        if text:
            # The delta itself where it is unchanged: whoever guards the stream then knows that it was passed on.
            yield delta if (text, logprobs) == (delta.text, delta.logprobs) else TextDelta(text, logprobs)

    def _rest(self) -> Iterator[TextDelta]:
        text, logprobs = self._scanner.flush(), self._logprobs
        self._logprobs = ()
        if text or logprobs:
            yield TextDelta(text, logprobs)


class Scanner:
    """Rewrites the citations in a text that comes in pieces; how it is cut makes no difference to what comes out.

    `cited` are the numbers that were cited so far, in order of first citation.
    """

    def __init__(self, known: Collection[int]) -> None:
        self._known = sorted(known)
        self.cited: list[int] = []
        self._place = Place()
        self._space = ""
        self._held = ""
        self._removed = False
        self._fresh = True

    def feed(self, text: str) -> str:
        """What can be given out now that `text` has come."""
        return "".join(self._take(character) for character in text)

    def flush(self) -> str:
        """What is held back, at a place where nothing of it can be waited for."""
        out = self._cite() if self._complete else self._release()
        if self._removed and not self._fresh:
            self._space = ""
        self._removed = False
        return out + self._out("")

    @property
    def _complete(self) -> bool:
        return self._held[-1:] in tuple(_ENDS)

    def _take(self, character: str) -> str:
        self._place.take(character)
        if not self._held:
            return self._begin(character)
        if self._complete:
            # What looks like a citation is a link's text where an address follows.
            out = self._release() if character == "(" and self._held[0] == "[" else self._cite()
            return out + self._begin(character)
        if character in _ENDS:
            self._held += character
            return "" if _CITATION.fullmatch(self._held) else self._release()
        if character in _MAY_FOLLOW and len(self._held) < HELD:
            self._held += character
            return ""
        return self._release() + self._begin(character)

    def _begin(self, character: str) -> str:
        """A character before which nothing but white space is held."""
        if character in _BEGINS and self._place.prose:
            self._held = character
            return ""
        if self._removed and self._fresh and character in " \t":
            return ""
        if self._removed and not self._fresh:
            self._space = ""
        self._removed = False
        if character in " \t" and self._place.prose:
            self._space += character
            return ""
        return self._out(character)

    def _cite(self) -> str:
        """What stands for the citation that is held; nothing, for the time being, where it cites nothing."""
        numbers = list(dict.fromkeys(self._numbers(self._held)))
        self._held = ""
        self.cited += [number for number in numbers if number not in self.cited]
        self._removed = not numbers
        return self._out("".join(f"[{number}]" for number in numbers)) if numbers else ""

    def _numbers(self, citation: str) -> Iterator[int]:
        for piece in re.split("[,;]", citation):
            bounds = [int(number) for number in re.findall(r"\d+", piece)]
            yield from (number for number in self._known if min(bounds) <= number <= max(bounds))

    def _release(self) -> str:
        """What is held was no citation."""
        held, self._held = self._held, ""
        if held:
            self._removed = False
        return self._out(held) if held else ""

    def _out(self, text: str) -> str:
        out, self._space = self._space + text, ""
        line = out.rpartition("\n")[2]
        self._fresh = not line.strip() and (self._fresh or "\n" in out)
        return out
