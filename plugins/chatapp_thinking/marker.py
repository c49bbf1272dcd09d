"""The words that end the steps of a model that does not reason by itself, and splitting a stream by them."""

from __future__ import annotations

import re

from chatapp_thinking.tags import Piece

MARKER = "Final answer:"
"""What the model is asked to write before its answer."""
WORDS = ("final answer", "resposta final", "respuesta final", "réponse finale", "risposta finale")
"""The marker as models write it, also when they answer in another language than they were asked in."""

_MARKS = r"[\s#>*_\-]*(?:\d{1,2}[.)]\s+)?[*_]*"
_LEAD = _MARKS + r"(?:(?:so|thus|hence|therefore|portanto),?\s+)?(?:(?:the|my|a|la)\s+)?"
_LINE = re.compile(rf"({_LEAD})(?:{'|'.join(WORDS)})(?:\s+is)?\s*([*_]*)\s*(?::|:|\n)", re.IGNORECASE)
_HEAD = re.compile(_MARKS)
_BEGUN = re.compile(r"[\s#>*_\-]*\d{1,2}[.)]?")
_AFTER = re.compile(r"\s*i?s?[\s*_]*", re.IGNORECASE)
_OPENINGS = tuple(
    tuple(word + end for word in words for end in ends)
    for words, ends in (
        (("so", "thus", "hence", "therefore", "portanto"), (" ", ", ")),
        (("the", "my", "a", "la"), (" ",)),
    )
)


def possible(line: str) -> bool:
    """Whether a line that is still being written may become the marker."""
    if _BEGUN.fullmatch(line):
        return True
    rest = _HEAD.sub("", line, count=1).lower()
    for openings in _OPENINGS:
        if any(opening.startswith(rest) for opening in openings):
            return True
        rest = rest.removeprefix(next((each for each in openings if rest.startswith(each)), ""))
    if any(word.startswith(rest) for word in WORDS):
        return True
    return any(rest.startswith(word) and _AFTER.fullmatch(rest[len(word) :]) for word in WORDS)


class MarkerSplit:
    """Splits a text that comes in pieces: steps up to the marker, which stands where a line begins, then the answer.

    `said` is the text as it came; `inside` says that the marker has not come yet. When it never does, or nothing
    follows it, `end` gives the whole as the answer, so that nothing is lost.
    """

    def __init__(self) -> None:
        self.said = ""
        self.inside = True
        self._held = ""
        self._maybe = True
        self._bold = False
        self._shown = 0
        self._answered = False

    def feed(self, text: str) -> list[Piece]:
        """What can be told apart now; the rest is held until more comes."""
        self.said += text
        if not self.inside:
            return self._answer(text)
        found: list[Piece] = []
        lines = text.splitlines(keepends=True)
        for place, line in enumerate(lines):
            found += self._step(line)
            if not self.inside:
                return [*found, *self._answer("".join(lines[place + 1 :]))]
        return found

    def end(self) -> list[Piece]:
        """What was held, now that no more comes: the answer's, or the steps' and then all of it as the answer."""
        held, self._held = self._held, ""
        if self._answered:
            return [("text", held)] if held else []
        if not self._shown:
            return [("text", self.said)] if self.said else []
        # First the rest of it as steps: what was thought and is then said word for word is kept once, as the answer.
        rest = self.said[self._shown :]
        return [*self._show(rest), ("text", self.said)]

    def cut(self) -> list[Piece]:
        """What was held, when the steps are ended before their end."""
        return self._show(self.said[self._shown :].rstrip())

    def _step(self, line: str) -> list[Piece]:
        """Take in a line, or a piece of one, of the steps."""
        if not self._maybe:
            return self._pass(line)
        self._held += line
        marker = _LINE.match(self._held)
        if marker is not None:
            self.inside = False
            self._held = self._held[marker.end() :]
            self._bold = "**" in marker[1] and "**" not in marker[2]
            return []
        if possible(self._held):
            return []
        self._maybe = False
        line, self._held = self._held, ""
        return self._pass(line)

    def _pass(self, line: str) -> list[Piece]:
        # The line break is held: what follows may be the marker, and then the steps end before it.
        shown = line.rstrip() if line.endswith("\n") else line
        if line.endswith("\n"):
            self._held, self._maybe = line[len(shown) :], True
        return self._show(shown)

    def _show(self, text: str) -> list[Piece]:
        self._shown += len(text)
        return [("reasoning", text)] if text else []

    def _answer(self, text: str) -> list[Piece]:
        text = self._held + text
        self._held = ""
        if not self._answered:
            text = text.lstrip()
            # "**Final answer: 18**" and "**Final answer:** 18" both begin in bold; only the first goes on in it.
            if self._bold and text in ("", "*"):
                self._held = text
                return []
            if self._bold:
                text = text[2:].lstrip() if text.startswith("**") else f"**{text}"
                self._bold = False
            self._answered = bool(text)
        return [("text", text)] if text else []
