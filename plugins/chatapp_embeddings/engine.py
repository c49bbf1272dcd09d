"""The embedder as other plugins see it: a client of the service in the child process."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

from chatapp import EngineConfig, EngineError, EngineInfo, Host, Progress, Report, Worker
from chatapp_embeddings.fetching import model_folder
from chatapp_embeddings.options import EmbeddingsSettings, threads_for

TARGET = "chatapp_embeddings.service:Service"
LIBRARY = "sentence_transformers"
ENVIRONMENT = {
    # Everything is in the folder: the libraries must not ask the network about it.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class SentenceEmbedder:
    """A sentence-transformers model in a child process. When that process dies, the next use loads it again."""

    def __init__(self, worker: Worker, config: EngineConfig, folder: Path, threads: int, batch: int) -> None:
        self.config = config
        self._worker = worker
        self._folder = folder
        self._threads = threads
        self._batch = batch
        self._loaded = 0
        self._info = EngineInfo("sentence-transformers", folder.name, 0)

    @property
    def info(self) -> EngineInfo:
        """The model's name, how many tokens of a text it reads, and in `details` its "dimensions" and "folder"."""
        return self._info

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._worker.pid

    async def load(self) -> None:
        """Load the model unless a living child holds it."""
        await self._worker.start()
        if self._loaded == self._worker.starts:
            return
        facts = await self._worker.call("load", str(self._folder), self._threads)
        details = {"dimensions": facts["dimensions"], "folder": str(self._folder)}
        self._info = EngineInfo("sentence-transformers", self._folder.name, facts["tokens"], details=details)
        self._loaded = self._worker.starts

    async def embed(self, texts: Sequence[str], report: Report = lambda progress: None) -> list[list[float]]:
        """One vector of unit length per text, in order; `report` is told how many are done.

        Of a text longer than `info.context_length` tokens only the beginning counts. Cancelling stops the child after
        the batch it is at.
        """
        await self.load()
        rows: list[list[float]] = [[] for _ in texts]
        done = 0
        async with aclosing(self._worker.stream("embed", list(texts), self._batch)) as batches:
            async for places, data in batches:
                values = array("f", data)
                width = len(values) // len(places)
                for number, place in enumerate(places):
                    rows[place] = values[number * width : (number + 1) * width].tolist()
                done += len(places)
                report(Progress("Comparing texts", done, len(texts), "texts"))
        return rows

    async def tune(self, config: EngineConfig) -> bool:
        """Only an equal configuration can be taken on without loading."""
        return config == self.config

    async def close(self) -> None:
        """End the child process."""
        await self._worker.close()


async def open_embedder(host: Host, config: EngineConfig, report: Report) -> SentenceEmbedder:
    """Find or fetch the model, start a child and load it; EngineError or OfflineError says why that cannot be."""
    if find_spec(LIBRARY) is None:
        raise EngineError("sentence-transformers is not installed; pip install 'chatapp[embeddings]' would.")
    folder = await model_folder(host, report)
    settings = host.config(EmbeddingsSettings)
    threads = threads_for(settings)
    environ = {**ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}
    worker = host.workers.add("embeddings", TARGET, environ)
    embedder = SentenceEmbedder(worker, config, folder, threads, settings.batch)
    report(Progress(f"Opening {folder.name}"))
    try:
        await embedder.load()
    except BaseException:
        # Also when the user gave up: a half-loaded child must not stay.
        await worker.close()
        raise
    return embedder
