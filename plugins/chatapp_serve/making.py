"""Vectors and pictures for other programs."""

from __future__ import annotations

import base64
import secrets
import time
from contextlib import aclosing
from typing import Any, Literal

from chatapp import ChatappError, Host, Picture, PictureRequest, Session
from chatapp_serve.bodies import Embed, Paint
from chatapp_serve.quiet import Quiet
from chatapp_serve.refusing import Refused


async def _opened(host: Host, kind: Literal["embedding", "image"]) -> Any:
    session = Session(host, ui=Quiet(), keep=False)
    try:
        async with aclosing(host.engines.ready(session, kind)) as news:
            async for _ in news:
                pass  # nobody is there to see how far it is
    except ChatappError as error:
        raise Refused(422, str(error)) from error
    return host.engines.current(kind)


async def vectors(host: Host, body: Embed) -> dict[str, Any]:
    """`/v1/embeddings`: rows of unit length."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    embedder = await _opened(host, "embedding")
    try:
        made = await embedder.embed(texts)
        tokens = sum(len(text.split()) for text in texts)
    except ChatappError as error:
        raise Refused(422, str(error)) from error
    width = len(made.data) // max(len(made), 1)
    rows: list[Any] = list(made)
    if body.encoding_format == "base64":
        # Little-endian 32-bit floats, as OpenAI's client reads them.
        rows = [base64.b64encode(made.data[place * width : (place + 1) * width]).decode() for place in range(len(made))]
    return {
        "object": "list",
        "model": embedder.info.model,
        "data": [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


async def pictures(host: Host, body: Paint, most: int) -> dict[str, Any]:
    """`/v1/images/generations`: PNGs, always in base64."""
    if (body.n or 1) > most:
        raise Refused(400, f"n is {body.n}, and {most} pictures are the most.")
    if body.response_format == "url":
        raise Refused(400, "Pictures are given as b64_json here: nothing is put on the web.")
    painter = await _opened(host, "image")
    width, _, height = (body.size or "auto").partition("x")
    sized = (int(width), int(height)) if height else (None, None)
    made = []
    for number in range(body.n or 1):
        seed = body.seed + number if body.seed is not None else secrets.randbelow(2**32)
        made.append({"b64_json": base64.b64encode(await _painted(painter, body.prompt, seed, sized)).decode()})
    return {"created": int(time.time()), "data": made}


async def _painted(painter: Any, prompt: str, seed: int, size: tuple[int | None, int | None]) -> bytes:
    png = b""
    try:
        async with aclosing(painter.paint(PictureRequest(prompt, seed, width=size[0], height=size[1]))) as steps:
            async for step in steps:
                png = step.png if isinstance(step, Picture) else png
    except ChatappError as error:
        raise Refused(422, str(error)) from error
    return png
