"""Laying adapters over the model in the child process, and telling which one it was when that ends the child."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatapp import Adapter, AdapterFacts, EngineError, Worker, WorkerDied
from chatapp_llama.mix import Key, check, key_of

CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
"""How native code ends a process; others end it with SIGKILL and SIGTERM."""


class Laying:
    """The adapters that the child has laid over its model."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._laid: tuple[int, tuple[Adapter, ...], tuple[Key, ...]] | None = None
        self._crashed: set[Key] = set()
        self.activated = False

    def check(self, adapters: Sequence[Adapter]) -> None:
        """Raise EngineError for adapters that need not be tried."""
        check(adapters)
        for adapter in adapters:
            if key_of(adapter) in self._crashed:
                raise EngineError(_crash(adapter))

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """What an adapter is; EngineError when it cannot be used, also when it made the child crash."""
        self.check([adapter])
        try:
            facts: AdapterFacts = await self._worker.call("examine", adapter)
        except WorkerDied as error:
            self._crashed.add(key_of(adapter))
            raise EngineError(_crash(adapter)) from error
        return facts

    async def lay(self, adapters: tuple[Adapter, ...]) -> list[dict[str, Any]] | None:
        """Lay on these and no others, read anew where a file has changed; what they are, None when nothing was to do.

        The child is told of one at a time, so that it is known which one it did not survive.
        """
        self.check(adapters)
        wanted = self._worker.starts, adapters, tuple(key_of(adapter) for adapter in adapters)
        if wanted == self._laid:
            return None
        facts = [await self.examine(adapter) for adapter in adapters]
        await self._worker.call("adapt", adapters)
        self._laid = wanted
        self.activated = any(each.invocation for each in facts)
        return [
            {"name": one.name, "path": one.path, "scale": one.scale, "invocation_text": each.invocation_text}
            for one, each in zip(adapters, facts, strict=True)
        ]

    def explain(self, error: WorkerDied, adapters: Sequence[Adapter]) -> Exception:
        """What to raise when the child died in mid-answer: native code that crashed under adapters crashed by them."""
        if not adapters or not any(name in str(error) for name in CRASHES):
            return error
        if len(adapters) == 1:
            self._crashed.add(key_of(adapters[0]))
            return EngineError(_crash(adapters[0]))
        names = ", ".join(adapter.name for adapter in adapters)
        return EngineError(f"llama.cpp crashed under the adapters {names}: leave one of them out.")


def _crash(adapter: Adapter) -> str:
    return f"{adapter.name} made llama.cpp crash: remove it with /lora rm {adapter.name}."
