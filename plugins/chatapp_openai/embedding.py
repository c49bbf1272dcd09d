"""Vectors of a server's model: any that speaks OpenAI's `/v1/embeddings`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeGuard

from chatapp import ChatappError, EngineConfig, EngineError, EngineInfo, Host, Progress, Report, Vectors
from chatapp_openai.addresses import place_of, split_name
from chatapp_openai.connecting import Link, connect, timeout
from chatapp_openai.failing import Strange

SECONDS = 60.0
"""How long one batch may take."""
BY_TOKEN = "sent a vector for each token: its model is none that embeds texts, choose another"
STRANGE = "sent what /v1/embeddings does not answer: look at its url and its log"


class RemoteEmbedder:
    """Embeds with a model of a server; see `chatapp.Embedder`."""

    def __init__(self, host: Host, link: Link, config: EngineConfig, name: str) -> None:
        self._host = host
        self._link = link
        self._config = config
        self._name = name
        self._dimensions = 0

    @property
    def info(self) -> EngineInfo:
        """The model as NAME/model; how many tokens of a text it reads is what the settings say."""
        place = self._link.place
        details = {
            "name": self._config.model,
            "model": f"{self._name}@{place.url}",
            "dimensions": self._dimensions,
            "precision": "float32",
            "tokenizer": "",
            "languages": [],
            "relevant_from": 0.0,
        }
        return EngineInfo("openai-embedding", self._config.model, place.server.text_tokens, details=details)

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """See `Embedder.embed`; `query` and `background` make no difference, as the work is done elsewhere."""
        rows: list[Sequence[float]] = []
        batch = self._link.place.server.batch
        for start in range(0, len(texts), batch):
            rows += await self._ask(list(texts[start : start + batch]), report or (lambda progress: None))
            if report is not None:
                report(Progress("Comparing texts", len(rows), len(texts), "texts"))
        return Vectors.of(rows)

    async def _ask(self, texts: list[str], report: Report) -> list[list[float]]:
        create = self._link.client.embeddings.create
        # Some servers take no empty text.
        given = [text or " " for text in texts]
        try:
            answer = await self._link.patiently(
                partial(create, model=self._name, input=given, encoding_format="float", timeout=timeout(SECONDS)),
                report,
            )
            return self._checked(answer, len(texts))
        except ChatappError:
            raise
        except Exception as error:
            raise self._link.failures.of(error, self._name) from error

    def _checked(self, answer: Any, count: int) -> list[list[float]]:
        """The rows of the server's answer at unit length; Strange when they are not what was asked for."""
        rows = _rows(answer)
        if rows is None:
            raise Strange(BY_TOKEN if _by_token(answer) else STRANGE)
        if len(rows) != count:
            raise Strange(f"sent {len(rows)} vectors for {count} texts")
        lengths = [math.hypot(*row) for row in rows]
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            raise Strange("sent a vector that is zero or not a number")
        self._dimensions = self._dimensions or len(rows[0])
        other = next((len(row) for row in rows if len(row) != self._dimensions), None)
        if other is not None:
            raise Strange(f"sent a vector of {other} dimensions where it sent {self._dimensions} before")
        return [[value / length for value in row] for row, length in zip(rows, lengths, strict=True)]

    async def tune(self, config: EngineConfig) -> bool:
        """Whether the settings still mean this server and model."""
        return config.model == self._config.model and place_of(self._host, self._link.place.name) == self._link.place

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()


async def open_embedder(host: Host, config: EngineConfig, report: Report) -> RemoteEmbedder:
    """Ask the server for one vector; EngineError or OfflineError says why that cannot be."""
    named = split_name(host, config.model)
    if named is None:
        raise EngineError(f"{config.model!r} names no server of the settings: write NAME/model in openai.embedding.")
    link = await connect(host, place_of(host, named[0]))
    embedder = RemoteEmbedder(host, link, config, named[1])
    try:
        report(Progress(f"Asking {named[0]}"))
        await embedder.embed(["How many dimensions?"], report=report)
    except BaseException:
        await link.close()
        raise
    return embedder


def _rows(answer: Any) -> list[list[float]] | None:
    """The vectors in the order of the texts, None when the answer is something else."""
    data = getattr(answer, "data", None)
    if not isinstance(data, list):
        return None
    places = [getattr(each, "index", None) for each in data]
    if sorted(place for place in places if isinstance(place, int)) == list(range(len(data))):
        data = sorted(data, key=lambda each: each.index)
    rows = [row for each in data if _numbers(row := getattr(each, "embedding", None))]
    return rows if len(rows) == len(data) else None


def _by_token(answer: Any) -> bool:
    """Whether there are lists of vectors in place of vectors, as llama.cpp sends of models that answer."""
    data = getattr(answer, "data", None)
    vector = getattr(data[0], "embedding", None) if isinstance(data, list) and data else None
    return isinstance(vector, list) and bool(vector) and _numbers(vector[0])


def _numbers(row: object) -> TypeGuard[list[float]]:
    return isinstance(row, list) and bool(row) and all(isinstance(value, int | float) for value in row)
