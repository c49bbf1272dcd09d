"""The reranker as other plugins see it: a client of the cross-encoder in its child process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from chatapp import EngineConfig, EngineInfo, Host, LoadedWorker, Progress, Report, Worker
from chatapp_embeddings.engine import ENVIRONMENT, Setup, need_library
from chatapp_embeddings.fetching import choose, ensure
from chatapp_embeddings.options import EmbeddingsSettings, threads_for

TARGET = "chatapp_embeddings.scoring:Service"
PRECISION = "float32"
"""What rounding to bfloat16 does to the order of passages has not been measured."""


def setup(host: Host, config: EngineConfig) -> Setup:
    """What `config` and the settings ask for; EngineError when there is no such model."""
    settings = host.config(EmbeddingsSettings)
    return Setup(choose(host, "reranker", config.model), threads_for(settings), settings.batch, PRECISION)


class CrossEncoderReranker(LoadedWorker):
    """A cross-encoder in a child process. When that process dies, the next use loads it again."""

    def __init__(self, host: Host, worker: Worker, made: Setup) -> None:
        super().__init__(worker)
        self._host = host
        self._setup = made
        self._info = EngineInfo("cross-encoder", made.chosen.folder.name, 0)

    @property
    def info(self) -> EngineInfo:
        """The model's name, how many tokens of a question and a text together it reads; its "languages"."""
        return self._info

    async def fill(self) -> None:
        """Load the model and note what the child says of it."""
        chosen = self._setup.chosen
        facts = await self.worker.call("load", str(chosen.folder), self._setup.threads)
        details = {
            "name": chosen.name,
            "folder": str(chosen.folder),
            "precision": PRECISION,
            "languages": list(chosen.entry.languages) if chosen.entry is not None else [],
        }
        self._info = EngineInfo("cross-encoder", chosen.folder.name, facts["tokens"], details=details)

    async def score(self, query: str, texts: Sequence[str], *, report: Report | None = None) -> list[float]:
        """See `Reranker.score`; cancelling stops the child after the step it is at."""
        await self.load()
        scores = [0.0] * len(texts)
        done = 0
        async with aclosing(self.worker.stream("score", query, list(texts), self._setup.batch)) as steps:
            async for places, some in steps:
                for place, score in zip(places, some, strict=True):
                    scores[place] = score
                done += len(places)
                if report is not None:
                    report(Progress("Ordering passages", done, len(texts), "passages"))
        return scores

    async def tune(self, config: EngineConfig) -> bool:
        """Whether what is open is what `config` and the settings ask for now."""
        return setup(self._host, config) == self._setup


async def open_reranker(host: Host, config: EngineConfig, report: Report) -> CrossEncoderReranker:
    """Find or fetch the model, start a child and load it; EngineError or OfflineError says why that cannot be."""
    need_library()
    made = setup(host, config)
    await ensure(host, made.chosen, report)
    worker = host.workers.add("reranker", TARGET, {**ENVIRONMENT, "OMP_NUM_THREADS": str(made.threads)})
    return await CrossEncoderReranker(host, worker, made).opened(made.chosen.folder.name, report)
