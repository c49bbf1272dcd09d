"""How many tokens a text is: asked of servers that tell it, estimated for the others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from chatapp import OfflineError
from chatapp_openai.connecting import Link

BYTES = 3.5
"""Bytes of a token where nobody counts: English prose has about 4.5, code and other scripts less. Rather too few, as a
prompt that is too long is refused."""
AT_ONCE = 8
SECONDS = 5.0
PATHS = {"vllm": "/tokenize", "llama-server": "/tokenize", "llama-cpp-python": "/extras/tokenize/count"}


class Counter:
    """Counts for one model of a server; once the server does not answer, it estimates."""

    def __init__(self, link: Link, kind: str, model: str) -> None:
        self._link = link
        self._kind = kind
        self._model = model
        self.exact = kind in PATHS
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is, by itself; `exact` says whether they were counted."""
        if not self.exact or not texts:
            return [estimate(text) for text in texts]
        try:
            # The first alone: where one cannot be counted, the others need not be sent.
            first = await self._one(texts[0])
            return [first, *await asyncio.gather(*map(self._one, texts[1:]))]
        except OfflineError:
            raise
        except Exception:  # noqa: BLE001 - whatever went wrong with this help, the answer needs it not
            self.exact = False
            return [estimate(text) for text in texts]

    async def _one(self, text: str) -> int:
        async with self._gate:
            answer = await self._link.ask(PATHS[self._kind], self._body(text), SECONDS)
        count = answer.get("count")
        return int(count) if count is not None else len(answer["tokens"])

    def _body(self, text: str) -> dict[str, Any]:
        if self._kind == "vllm":
            return {"model": self._model, "prompt": text, "add_special_tokens": False}
        if self._kind == "llama-server":
            return {"content": text}
        return {"model": self._model, "input": text}


def estimate(text: str) -> int:
    """About how many tokens a text is."""
    return math.ceil(len(text.encode()) / BYTES)
