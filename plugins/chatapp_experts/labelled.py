"""Messages with the expert they belong to, one JSON object a line: {"text": …, "expert": …}, `none` for nobody's."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from chatapp import UsageError, read_text, similar
from chatapp_experts.head import digest

MESSAGES = Path(__file__).parent / "messages"
"""Those that come along: train.jsonl, tune.jsonl and test.jsonl, of which the last is for measuring only."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message, and the name of the expert that should answer it or `none`."""

    text: str
    expert: str

    @property
    def key(self) -> str:
        """What it is known by in a file of results."""
        return digest(self.text)


def load(path: Path, known: Collection[str]) -> list[Labelled]:
    """The messages of a file; UsageError with the line of one that is none, stands twice, or has no `known` expert."""
    found: dict[str, Labelled] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        message = _message(line, where, known)
        if found.setdefault(message.text, message) is not message:
            raise UsageError(f"{where}: this message stands in the file already; take one of them out.")
    if not found:
        raise UsageError(f"{path} has no messages.")
    return list(found.values())


def _message(line: str, where: str, known: Collection[str]) -> Labelled:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: this is no JSON ({error}).") from None
    text, expert = (row.get("text"), row.get("expert")) if isinstance(row, dict) else (None, None)
    if not isinstance(text, str) or not text.strip() or not isinstance(expert, str):
        raise UsageError(f'{where}: a row has to be an object with the texts "text" and "expert".')
    if expert not in known:
        near = similar(expert, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(sorted(known))}."
        raise UsageError(f"{where}: there is no expert {expert!r}; {hint}")
    return Labelled(text, expert)
