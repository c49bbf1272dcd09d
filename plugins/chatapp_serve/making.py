"""Vectors and pictures for other programs."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

from chatapp import ChatappError, Host, Picture, PictureRequest, Session
from chatapp_serve.bodies import Embed, Paint
from chatapp_serve.options import ServeSettings
from chatapp_serve.queueing import Turns
from chatapp_serve.quiet import Quiet
from chatapp_serve.refusing import Refused


class Making:
    """Makes them on one host, one request after another; beside an answer of the chat's engine."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._options = host.config(ServeSettings)
        self._turns = Turns(self._options.queue)

    @asynccontextmanager
    async def _opened(self, kind: Literal["embedding", "image"]) -> AsyncIterator[Any]:
        """The open engine of that kind, for as long as an answer may take; Refused says why there is none."""
        session = Session(self.host, ui=Quiet(), keep=False)
        try:
            async with self._turns.turn(kind), asyncio.timeout(self._options.seconds):
                async with aclosing(self.host.engines.ready(session, kind)) as news:
                    async for _ in news:
                        pass  # nobody is there to see how far it is
                yield self.host.engines.current(kind)
        except ChatappError as error:
            raise Refused(422, str(error)) from error
        except TimeoutError:
            raise Refused(504, f"It took longer than the {self._options.seconds} s it may take.") from None

    async def vectors(self, body: Embed) -> dict[str, Any]:
        """`/v1/embeddings`: rows of unit length."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        async with self._opened("embedding") as embedder:
            made = await embedder.embed(texts)
        if body.dimensions not in (None, made.dimensions):
            raise Refused(400, f"{embedder.info.model} makes vectors of {made.dimensions} dimensions, and no others.")
        rows: list[Any] = list(made)
        if body.encoding_format == "base64":
            # Little-endian 32-bit floats, as OpenAI's client reads them.
            width = len(made.data) // len(made)
            cuts = range(0, len(made.data), width)
            rows = [base64.b64encode(made.data[cut : cut + width]).decode() for cut in cuts]
        words = sum(len(text.split()) for text in texts)
        return {
            "object": "list",
            "model": embedder.info.model,
            "data": [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)],
            "usage": {"prompt_tokens": words, "total_tokens": words},
        }

    async def pictures(self, body: Paint) -> dict[str, Any]:
        """`/v1/images/generations`: PNGs, always in base64."""
        if (body.n or 1) > self._options.choices:
            raise Refused(400, f"n is {body.n}, and {self._options.choices} pictures are the most.")
        if body.response_format == "url":
            raise Refused(400, "Pictures are given as b64_json here: nothing is put on the web.")
        width, _, height = (body.size or "auto").partition("x")
        size = (int(width), int(height)) if height else (None, None)
        made = []
        async with self._opened("image") as painter:
            for number in range(body.n or 1):
                seed = body.seed + number if body.seed is not None else secrets.randbelow(2**32)
                request = PictureRequest(body.prompt, seed, width=size[0], height=size[1])
                made.append({"b64_json": base64.b64encode(await _painted(painter, request)).decode()})
        return {"created": int(time.time()), "data": made}


async def _painted(painter: Any, request: PictureRequest) -> bytes:
    png = b""
    async with aclosing(painter.paint(request)) as steps:
        async for step in steps:
            png = step.png if isinstance(step, Picture) else png
    return png
