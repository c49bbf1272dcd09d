"""Vectors from a server: any that speaks OpenAI's `/v1/embeddings`, through the official client."""

from __future__ import annotations

import asyncio
import importlib
import math
import os
from collections.abc import Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from chatapp import EngineConfig, EngineError, EngineInfo, Host, OfflineError, Progress, Report, Vectors
from chatapp_embeddings.options import EmbeddingsSettings

NAME = "remote"
"""What `Engines.ready` opens it by."""
LIBRARY = "openai"
TIMEOUT = 60.0
"""Seconds for one answer."""
RETRIES = 2
"""Times the client asks again after a refused connection, a timeout or a status 408, 409, 429 or 5xx."""
REASONS = {
    400: "it does not accept the request",
    401: "it does not accept the key; look at the setting embeddings.key_variable",
    403: "the key may not use this model",
    404: "it has no such address or model; look at the settings embeddings.url and embeddings.remote_model",
    429: "it takes no more requests now; try again later, or look at the account's limits",
}


def chosen(host: Host) -> bool:
    """Whether the settings name a server."""
    return bool(host.config(EmbeddingsSettings).url)


class RemoteEmbedder:
    """An embedder at the settings' address; see `Embedder`."""

    def __init__(self, host: Host, client: Any, settings: EmbeddingsSettings) -> None:
        self._host = host
        self._client = client
        self._settings = settings
        self._dimensions = 0

    @property
    def info(self) -> EngineInfo:
        """The server's model; how many tokens it reads is what the settings say."""
        model = self._settings.remote_model
        details = {
            "name": NAME,
            "model": f"{model}@{self._settings.url.rstrip('/')}",
            "dimensions": self._dimensions,
            "precision": "float32",
            "tokenizer": "",
            "languages": [],
            "relevant_from": 0.0,
        }
        return EngineInfo("openai-embeddings", model, self._settings.remote_tokens, details=details)

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """See `Embedder.embed`; `query` and `background` make no difference, as the work is done elsewhere."""
        rows: list[Sequence[float]] = []
        for start in range(0, len(texts), self._settings.batch):
            rows += await self._ask(list(texts[start : start + self._settings.batch]))
            if report is not None:
                report(Progress("Comparing texts", len(rows), len(texts), "texts"))
        return Vectors.of(rows)

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        import openai

        try:
            # Some servers take no empty text.
            answer = await self._client.embeddings.create(
                model=self._settings.remote_model, input=[text or " " for text in texts], encoding_format="float"
            )
        except openai.APIStatusError as error:
            raise self._failed(
                REASONS.get(error.status_code, f"it answered with status {error.status_code}")
            ) from error
        except openai.APITimeoutError as error:
            raise self._failed(f"it did not answer within {TIMEOUT:g} s") from error
        except openai.APIConnectionError as error:
            raise self._failed(f"it cannot be reached ({_clause(error.__cause__ or error)})") from error
        except (openai.OpenAIError, ValueError) as error:
            raise self._failed("what it answered is not what /v1/embeddings answers") from error
        return self._checked(answer, len(texts))

    def _checked(self, answer: Any, count: int) -> list[list[float]]:
        """The rows of the server's answer at unit length; EngineError when they are not what was asked for."""
        rows = _rows(answer)
        if rows is None:
            raise self._failed("what it answered is not what /v1/embeddings answers")
        if len(rows) != count:
            raise self._failed(f"it sent {len(rows)} vectors for {count} texts")
        lengths = [math.hypot(*row) for row in rows]
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            raise self._failed("it sent a vector that is zero or not a number")
        self._dimensions = self._dimensions or len(rows[0])
        strange = next((len(row) for row in rows if len(row) != self._dimensions), None)
        if strange is not None:
            raise self._failed(f"it sent a vector of {strange} dimensions where it sent {self._dimensions} before")
        return [[value / length for value in row] for row, length in zip(rows, lengths, strict=True)]

    def _failed(self, reason: str) -> EngineError:
        return EngineError(
            f"The embedding server {self._settings.url} gave no vectors of {self._settings.remote_model}: {reason}."
        )

    async def tune(self, config: EngineConfig) -> bool:
        """Whether the settings still name this server and model."""
        return chosen(self._host) and self._host.config(EmbeddingsSettings) == self._settings

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def open_remote(host: Host, config: EngineConfig, report: Report) -> RemoteEmbedder:
    """Ask the settings' server for one vector; EngineError or OfflineError says why that cannot be."""
    settings = host.config(EmbeddingsSettings)
    key = _key(settings)
    local = _loopback(settings.url)
    if host.offline and not local:
        raise OfflineError(
            f"The embedding server {settings.url} is not on this machine, and --offline forbids the network: "
            "empty the setting embeddings.url to compute the vectors here."
        )
    if find_spec(LIBRARY) is None:
        raise EngineError("The client for embedding servers is not installed; pip install 'chatapp[openai]' would.")
    report(Progress(f"Asking {settings.url}"))
    openai = await asyncio.to_thread(importlib.import_module, LIBRARY)
    # A proxy is for the way out: what is meant for this machine must not take it.
    http = openai.DefaultAsyncHttpxClient(trust_env=not local)
    client = openai.AsyncOpenAI(
        base_url=settings.url, api_key=key, timeout=TIMEOUT, max_retries=RETRIES, http_client=http
    )
    embedder = RemoteEmbedder(host, client, settings)
    try:
        await embedder.embed(["How many dimensions?"])
    except BaseException:
        await client.close()
        raise
    return embedder


def _key(settings: EmbeddingsSettings) -> str:
    """The server's key; EngineError where the settings are not complete."""
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EngineError(
            f"The setting embeddings.url is {settings.url!r}, which is no address of a server; "
            "give one such as http://localhost:8080/v1."
        )
    if not settings.remote_model:
        raise EngineError("The setting embeddings.remote_model is empty: give the server's name for the model.")
    if not settings.key_variable:
        # The client wants some key; servers without keys do not look at it.
        return "none"
    key = os.environ.get(settings.key_variable, "")
    if not key:
        raise EngineError(
            f"The environment variable {settings.key_variable}, named in the setting embeddings.key_variable, is not "
            "set: put the server's key there."
        )
    return key


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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


def _numbers(row: object) -> TypeGuard[list[float]]:
    return isinstance(row, list) and bool(row) and all(isinstance(value, int | float) for value in row)


def _clause(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
