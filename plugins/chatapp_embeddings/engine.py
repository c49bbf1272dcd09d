"""The embedder as other plugins see it: a client of the service in the child process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.util import find_spec

from chatapp import EngineConfig, EngineError, EngineInfo, Host, LoadedWorker, Progress, Report, Vectors, Worker
from chatapp_embeddings.fetching import Chosen, choose, ensure
from chatapp_embeddings.files import identity
from chatapp_embeddings.options import EmbeddingsSettings, threads_for

TARGET = "chatapp_embeddings.service:Service"
LIBRARY = "sentence_transformers"
ENVIRONMENT = {
    # Everything is in the folder: the libraries must not ask the network about it.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Torch keeps a thousand compiled kernels, one per shape of a step: hundreds of megabytes in bfloat16.
    "LRU_CACHE_CAPACITY": "16",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
}
FLOAT = 4


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that decides how a model runs: two that are equal need no second loading."""

    chosen: Chosen
    threads: int
    batch: int
    precision: str


def setup(host: Host, config: EngineConfig) -> Setup:
    """What `config` and the settings ask for; EngineError when there is no such model."""
    settings = host.config(EmbeddingsSettings)
    chosen = choose(host, "embedding", config.model)
    return Setup(chosen, threads_for(settings), settings.batch, settings.precision)


class SentenceEmbedder(LoadedWorker):
    """A sentence-transformers model in a child process. When that process dies, the next use loads it again.

    `model` is the identity of its weights, see `files.identity`.
    """

    def __init__(self, host: Host, worker: Worker, made: Setup, model: str) -> None:
        super().__init__(worker)
        self._host = host
        self._setup = made
        self._model = model
        self._info = EngineInfo("sentence-transformers", made.chosen.folder.name, 0)

    @property
    def info(self) -> EngineInfo:
        """The model's name, how many tokens of a text it reads, and `details` as `Embedder` says, with its "folder"."""
        return self._info

    async def fill(self) -> None:
        """Load the model and note what the child says of it."""
        chosen = self._setup.chosen
        facts = await self.worker.call(
            "load", str(chosen.folder), self._setup.threads, self._setup.precision, chosen.prompts
        )
        tokenizer = chosen.folder / "tokenizer.json"
        details = {
            "name": chosen.name,
            "model": self._model,
            "folder": str(chosen.folder),
            "dimensions": facts["dimensions"],
            "precision": facts["precision"],
            "tokenizer": str(tokenizer) if tokenizer.is_file() else "",
            "languages": list(chosen.entry.languages) if chosen.entry is not None else [],
            "relevant_from": chosen.entry.relevant_from if chosen.entry is not None else 0.0,
        }
        self._info = EngineInfo("sentence-transformers", chosen.folder.name, facts["tokens"], details=details)

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """See `Embedder.embed`. Of a text longer than `info.context_length` tokens only the beginning counts.

        Cancelling stops the child after the step it is at, a fraction of a second later.
        """
        await self.load()
        width = int(self._info.details["dimensions"]) * FLOAT
        rows = bytearray(width * len(texts))
        done = 0
        asked = self.worker.stream("embed", list(texts), self._setup.batch, query, background=background)
        async with aclosing(asked) as steps:
            async for places, data in steps:
                for number, place in enumerate(places):
                    rows[place * width : (place + 1) * width] = data[number * width : (number + 1) * width]
                done += len(places)
                if report is not None:
                    report(Progress("Comparing texts", done, len(texts), "texts"))
        return Vectors(width // FLOAT, bytes(rows))

    async def tune(self, config: EngineConfig) -> bool:
        """Whether what is open is what `config` and the settings ask for now."""
        return setup(self._host, config) == self._setup


async def open_embedder(host: Host, config: EngineConfig, report: Report) -> SentenceEmbedder:
    """Find or fetch the model, start a child and load it; EngineError or OfflineError says why that cannot be."""
    need_library()
    made = setup(host, config)
    chosen = made.chosen
    await ensure(host, chosen, report)
    model = chosen.entry.identity if chosen.entry is not None else await asyncio.to_thread(identity, chosen.folder)
    environ = {**ENVIRONMENT, "OMP_NUM_THREADS": str(made.threads)}
    worker = host.workers.add("embeddings", TARGET, environ)
    return await SentenceEmbedder(host, worker, made, model).opened(chosen.folder.name, report)


def need_library() -> None:
    """Raise EngineError, saying what to install, where sentence-transformers is missing."""
    if find_spec(LIBRARY) is None:
        raise EngineError("sentence-transformers is not installed; pip install 'chatapp[embeddings]' would.")
