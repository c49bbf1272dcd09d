"""The engine as the session sees it: a client of the service in the child process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from chatapp import (
    Adapter,
    AdapterFacts,
    EngineConfig,
    EngineError,
    EngineInfo,
    Event,
    Host,
    Progress,
    Report,
    Request,
    Sampling,
    Worker,
    WorkerDied,
)
from chatapp_llama.laying import Laying
from chatapp_llama.mix import check
from chatapp_llama.options import LlamaSettings, check_memory, size_for
from chatapp_llama.settling import Settling
from chatapp_llama.size import Size

TARGET = "chatapp_llama.service:Service"
FEATURES = frozenset({"adapters", "grammar", "json_schema", "logprobs", "tokenize", "tools"})
ENVIRONMENT = {
    # ggml starts a debugger when it aborts, which takes seconds and writes pages.
    "GGML_NO_BACKTRACE": "1",
    # How long a thread of llama.cpp spins before it sleeps (libgomp). Its default loses half the speed and more beside
    # another busy process; no spinning at all loses half of it on a quiet machine; this loses neither.
    "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "500"),
}


class LlamaEngine:
    """A GGUF model in a child process. When that process dies, the next request loads the model again."""

    def __init__(self, worker: Worker, config: EngineConfig, path: Path, size: Size, sampling: Sampling) -> None:
        self.config = config
        self._worker = worker
        self._path = path
        self._size = size
        self._sampling = sampling
        self._loaded = 0
        self._laying = Laying(worker)
        self._settling = Settling(worker)
        self._info = EngineInfo("llama", config.model, size.context, FEATURES)

    @property
    def info(self) -> EngineInfo:
        """The model's name, its context length in tokens, and in `details` what the GGUF says of itself.

        `details["adapters"]` lists what is laid over the model: "name", "path", "scale" and "invocation_text".
        """
        return self._info

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._worker.pid

    async def load(self, report: Report) -> None:
        """Load the model and lay its adapters over it, unless a living child has done so."""
        self._laying.check(self.config.adapters)
        await self._load(report)
        await self._lay(self.config.adapters)

    async def _load(self, report: Report) -> None:
        await self._worker.start()
        if self._loaded == self._worker.starts:
            return
        try:
            async with aclosing(self._worker.stream("load", str(self._path), self._size)) as items:
                async for item in items:
                    if isinstance(item, Progress):
                        report(item)
                    else:
                        self._describe(item)
        except WorkerDied as error:
            raise EngineError(
                f"{self._path} made llama.cpp crash while loading ({error}): it may be damaged."
            ) from error
        self._loaded = self._worker.starts

    def _describe(self, details: Mapping[str, Any]) -> None:
        found = {**details, "path": str(self._path), "adapters": []}
        self._info = replace(self._info, context_length=details["context_length"], details=found)

    async def _lay(self, adapters: tuple[Adapter, ...]) -> None:
        laid = await self._laying.lay(adapters)
        if laid is not None:
            self._info = replace(self._info, details={**self._info.details, "adapters": laid})

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer; see `chatapp.Engine.stream`. Raises WorkerDied when the child goes away in mid-answer."""
        news: list[Progress] = []
        async with self._settling.away():
            await self.load(news.append)
            for each in news:
                yield each
            request = replace(request, sampling=request.sampling.over(self._sampling))
            self._settling.due = self._laying.activated
            try:
                async with aclosing(self._worker.stream("stream", request)) as events:
                    async for event in events:
                        yield event
            except WorkerDied as error:
                raise self._laying.explain(error, self.config.adapters) from error

    async def settled(self) -> None:
        """Wait until the last answer is read as the next prompt will want it (see `Settling`); other use ends that."""
        await self._settling.wait()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is for this model."""
        counts: list[int] = await self._ask("count", list(texts))
        return counts

    async def tokenize(self, request: Request) -> list[str]:
        """The texts of the tokens that this request's prompt is read as, in order."""
        texts: list[str] = await self._ask("tokenize", request)
        return texts

    async def _ask(self, method: str, argument: Any) -> Any:
        async with self._settling.away():
            await self.load(lambda progress: None)
            return await self._worker.call(method, argument)

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """See `chatapp.AdaptingEngine.examine`. The adapter is tried on the model once and stays loaded for a while."""
        async with self._settling.away():
            self._laying.check([adapter])
            await self.load(lambda progress: None)
            return await self._laying.examine(adapter)

    async def tune(self, config: EngineConfig) -> bool:
        """Lay other adapters over the model; False when more than those differs. EngineError leaves all as it was."""
        if replace(config, adapters=()) != replace(self.config, adapters=()):
            return False
        check(config.adapters)
        if config.adapters != self.config.adapters and (config.adapters or self._worker.alive):
            async with self._settling.away():
                self._laying.check(config.adapters)
                await self._load(lambda progress: None)
                await self._lay(config.adapters)
        self.config = config
        return True

    async def close(self) -> None:
        """End the child process."""
        self._settling.due = False
        await self._settling.stop()
        await self._worker.close()


async def open_engine(host: Host, config: EngineConfig, report: Report) -> LlamaEngine:
    """Start a child and load the configured model; EngineError or ModelError says why that cannot be."""
    settings = host.config(LlamaSettings)
    check(config.adapters)
    path = host.models.path(config.model)
    if path.is_file():
        if settings.check_memory:
            check_memory(path)
        await asyncio.to_thread(host.models.check, path)
    worker = host.workers.add("llama", TARGET, ENVIRONMENT)
    engine = LlamaEngine(worker, config, path, size_for(config, settings), recommended(host, config.model))
    try:
        await engine.load(report)
    except BaseException:
        # Also when the user gave up: a half-loaded child must not stay.
        await engine.close()
        raise
    return engine


def recommended(host: Host, model: str) -> Sampling:
    """The sampling the model's publisher recommends, as the catalogue has it."""
    entry = host.models.catalogue.get(model)
    return Sampling(**entry.sampling) if entry is not None else Sampling()  # type: ignore[arg-type]
