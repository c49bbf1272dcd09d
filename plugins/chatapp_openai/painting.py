"""Pictures of a server's model: any that speaks OpenAI's `/v1/images/generations`."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from chatapp import (
    ChatappError,
    EngineConfig,
    EngineError,
    EngineInfo,
    Host,
    Picture,
    PictureRequest,
    PictureStep,
    Progress,
    Report,
    reported,
)
from chatapp_openai.addresses import place_of, split_name
from chatapp_openai.connecting import Link, connect, look
from chatapp_openai.failing import Strange
from chatapp_openai.refusing import Refusals

SIDE = 1024
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = len(SIGNATURE) + 25
"""Where the first chunk after a PNG's header begins (PNG, third edition, 11.2.1)."""
NONE = "sent no picture that could be used: it must be a PNG as b64_json"


class RemotePainter:
    """Paints with a model of a server; see `chatapp.Painter`."""

    def __init__(self, host: Host, link: Link, config: EngineConfig, name: str) -> None:
        self._host = host
        self._link = link
        self._config = config
        self._name = name
        self._refusals = Refusals(link.place.name)

    @property
    def info(self) -> EngineInfo:
        """The model as NAME/model. What a server's steps, guidance and licence are, it does not say."""
        details = {
            "name": self._config.model,
            "width": SIDE,
            "height": SIDE,
            "multiple": 1,
            "steps": 1,
            "guidance": 1.0,
            "schedulers": [],
            "licence": "see the server's model",
            "device": self._link.place.url,
        }
        return EngineInfo("openai-image", self._config.model, 0, details=details)

    async def paint(self, request: PictureRequest) -> AsyncGenerator[PictureStep | Picture, None]:
        """See `Painter.paint`: a single step. The seed is sent to nobody, as OpenAI's interface knows none."""
        if request.image is not None:
            raise EngineError(f"The model {self._config.model} changes no pictures: choose a local one for that.")
        yield PictureStep(0, 1)
        made: list[str] = []

        async def ask(report: Report) -> None:
            made.append(await self._asked(request, report))

        async with aclosing(reported(ask)) as news:
            async for _ in news:
                yield PictureStep(0, 1)
        yield PictureStep(1, 1)
        yield self._picture(request, made[0])

    async def _asked(self, request: PictureRequest, report: Report) -> str:
        import openai

        size = f"{request.width or SIDE}x{request.height or SIDE}"
        wanted = {"prompt": request.prompt, "n": 1, "size": size, "response_format": "b64_json"}
        while True:
            sent: dict[str, Any] = self._refusals.without(wanted)
            try:
                answer = await self._link.patiently(
                    partial(self._link.client.images.generate, model=self._name, **sent), report
                )
                return _encoded(answer)
            except openai.APIError as error:
                optional = {name: value for name, value in sent.items() if name == "response_format"}
                # Newer models of OpenAI's always send the picture itself and refuse to be asked for it.
                if not self._refusals.learn(error, optional, pictures=False):
                    raise self._link.failures.of(error, self._name) from error
            except ChatappError:
                raise
            except Exception as error:
                raise self._link.failures.of(error, self._name) from error

    def _picture(self, request: PictureRequest, encoded: str) -> Picture:
        try:
            png = base64.b64decode(encoded, validate=True)
            if not png.startswith(SIGNATURE):
                raise Strange(NONE)
            width, height = struct.unpack(">II", png[16:24])
        except (ValueError, struct.error, Strange) as error:
            raise self._link.failures.of(Strange(NONE)) from error
        facts = {
            "task": "paint",
            "prompt": request.prompt,
            "seed": request.seed,
            "width": width,
            "height": height,
            "model": self._config.model,
        }
        asked = {"A negative prompt": request.negative, "Steps": request.steps, "Guidance": request.guidance}
        asked |= {"A scheduler": request.scheduler}
        notes = [f"{name} cannot be asked of a server: left out." for name, value in asked.items() if value]
        return Picture(with_facts(png, facts), width, height, facts, tuple(notes))

    async def tune(self, config: EngineConfig) -> bool:
        """Whether the settings still mean this server and model."""
        return config.model == self._config.model and place_of(self._host, self._link.place.name) == self._link.place

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()


async def open_painter(host: Host, config: EngineConfig, report: Report) -> RemotePainter:
    """Connect to the server of the model; EngineError or OfflineError says why that cannot be."""
    named = split_name(host, config.model)
    if named is None:
        raise EngineError(f"{config.model!r} names no server of the settings: write NAME/model in openai.image.")
    link = await connect(host, place_of(host, named[0]))
    try:
        report(Progress(f"Asking {named[0]}"))
        await look(link)
    except BaseException:
        await link.close()
        raise
    return RemotePainter(host, link, config, named[1])


def with_facts(png: bytes, facts: Mapping[str, Any]) -> bytes:
    """The PNG with its facts as JSON in a text chunk called "chatapp", as pictures painted here have them."""
    data = b"tEXtchatapp\0" + json.dumps(dict(facts), sort_keys=True).encode("ascii")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return png[:HEADER] + chunk + png[HEADER:]


def _encoded(answer: Any) -> str:
    """The picture in the server's answer, in base64."""
    data = getattr(answer, "data", None)
    first = data[0] if isinstance(data, list) and data else None
    encoded = getattr(first, "b64_json", None)
    if not isinstance(encoded, str) or not encoded:
        raise Strange(NONE)
    return encoded
