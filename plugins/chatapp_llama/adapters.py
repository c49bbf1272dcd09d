"""The adapters that are loaded for one model; used in the child process only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from chatapp import Adapter, AdapterFacts, EngineError, GgufHead, read_gguf
from chatapp_llama import checking
from chatapp_llama.mix import Key, Laid, Mix, key_of
from chatapp_llama.native import Model

MOST_IDLE = 8
"""How many adapters stay loaded that are in no mix: a few megabytes each."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded adapter: the library's pointer and what the file says."""

    pointer: Any
    facts: AdapterFacts


class Adapters:
    """Checks and loads adapters, and lays them over the model they were loaded for.

    `probe` is asked once for each one loaded: it raises EngineError for one that breaks the model or changes nothing,
    given what to do to switch it on or off.
    """

    def __init__(self, model: Model, path: Path, probe: Callable[[Callable[[bool], None]], None]) -> None:
        self._model = model
        self._path = path
        self._probe = probe
        self._loaded: dict[Key, Loaded] = {}
        self._now: Mix = ()

    @cached_property
    def _head(self) -> GgufHead:
        return read_gguf(self._path)

    def take(self, adapter: Adapter) -> tuple[Laid, AdapterFacts]:
        """The adapter, loaded unless its very file is; EngineError says why it cannot be used."""
        key = key_of(adapter)
        # What is asked for becomes the latest: the oldest are forgotten first.
        loaded = self._loaded.pop(key, None) or self._load(adapter, key)
        self._loaded[key] = loaded
        return Laid(adapter.name, key, adapter.scale, loaded.facts.invocation), loaded.facts

    def lay(self, mix: Mix) -> None:
        """Evaluate under this mix from now on."""
        if mix != self._now:
            self._model.lay([(self._loaded[key].pointer, scale) for key, scale in mix])
            self._now = mix

    def forget(self, used: Sequence[Laid]) -> None:
        """Give back the oldest of those that are not in use, beyond a few."""
        keys = {each.key for each in used}
        idle = [key for key in self._loaded if key not in keys]
        for key in idle[: max(len(idle) - MOST_IDLE, 0)]:
            # The context must not point at what is given back.
            self.lay(())
            self._model.close_adapter(self._loaded.pop(key).pointer)

    def close(self) -> None:
        """Give all of them back; to be called before the model goes, as llama.cpp gives them back with it."""
        self.lay(())
        while self._loaded:
            self._model.close_adapter(self._loaded.popitem()[1].pointer)

    def _load(self, adapter: Adapter, key: Key) -> Loaded:
        facts = checking.check(adapter.name, Path(adapter.path), self._head, self._model.vocab_size)
        try:
            pointer = self._model.open_adapter(adapter.path)
            try:
                self._try(pointer)
                if key_of(adapter) != key:
                    raise EngineError("changed while it was being read: try again.")
            except BaseException:
                self._model.close_adapter(pointer)
                raise
        except EngineError as error:
            raise EngineError(f"{adapter.name} {error}") from error
        text = b"".join(self._model.piece(token) for token in facts.invocation)
        return Loaded(pointer, replace(facts, invocation_text=text.decode("utf-8", "replace")))

    def _try(self, pointer: Any) -> None:
        try:
            self._probe(lambda on: self._model.lay([(pointer, 1.0)] if on else []))
        finally:
            self._model.lay([])
            self._now = ()
