"""The experts of one application as they are on the disk now, and the engine that compares a message with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakKeyDictionary

from chatapp import Host, Session, UsageError
from chatapp_experts.files import Expert, paths, read
from chatapp_experts.head import Head, fitting
from chatapp_experts.options import ExpertsSettings
from chatapp_experts.scoring import Verdict, by_likeness, by_training
from chatapp_experts.vectors import Memory, identity, open_embedder

_shelves: WeakKeyDictionary[Host, Shelf] = WeakKeyDictionary()


class Shelf:
    """Experts, their vectors and the head; each is read again when its file has changed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._read: dict[str, tuple[Path, int, Expert | None]] = {}
        self._told: set[str] = set()
        self.memory = Memory(host)

    def experts(self) -> list[Expert]:
        """Every expert that can be used; of a file with a fault the last good version, and the fault is told once.

        Blocks on the file system.
        """
        known = paths(self._host)
        self._read = {name: held for name, held in self._read.items() if name in known}
        for name, path in known.items():
            changed = path.stat().st_mtime_ns
            held = self._read.get(name)
            if held is None or held[:2] != (path, changed):
                self._read[name] = (path, changed, self._fresh(path) or (held[2] if held is not None else None))
        return [expert for _, _, expert in self._read.values() if expert is not None]

    def _fresh(self, path: Path) -> Expert | None:
        try:
            return read(path)
        except UsageError as error:
            self.tell(str(error))
            return None

    def tell(self, sentence: str) -> None:
        """Tell the user something that need not be told every turn."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._host.ui.notify(sentence, "warning")

    async def judge(
        self, session: Session, text: str, top: int, floor: float | None, *, trained: bool = True
    ) -> Verdict:
        """Who answers this message; without `trained`, by likeness alone.

        Opens the embedding model; EngineError where that cannot be.
        """
        experts = await asyncio.to_thread(self.experts)
        if not experts or not text.strip():
            return Verdict()
        embedder = await open_embedder(session)
        head = await asyncio.to_thread(self._head, identity(embedder), experts) if trained else None
        if head is not None:
            (vector,) = await embedder.embed([text])
            return by_training(head, text, vector, top, floor)
        rows = await self.memory.of(session, embedder, [each for expert in experts for each in expert.texts])
        (vector,) = await embedder.embed([text])
        return by_likeness(experts, rows, vector, top, floor)

    def _head(self, model: str, experts: list[Expert]) -> Head | None:
        if not self._host.config(ExpertsSettings).trained:
            return None
        head = fitting(self._host, model, experts)
        if head is None:
            self.tell(
                "The gate was not trained for these experts and judges by likeness; /experts train makes it sure."
            )
        return head


def shelf(host: Host) -> Shelf:
    """The host's shelf."""
    if host not in _shelves:
        _shelves[host] = Shelf(host)
    return _shelves[host]
