"""A painter whose steps the tests decide, and a session with the images plugin that paints with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_images
from chatapp import (
    Adapter,
    EngineConfig,
    EngineError,
    EngineInfo,
    EngineSpec,
    Event,
    Host,
    Media,
    Picture,
    PictureRequest,
    PictureStep,
    Report,
    Session,
    commands,
    hookimpl,
)
from chatapp.testing import RecordingUI, ScriptedEngine, make_host
from chatapp_images.png import with_facts
from tests.plugins.images_support import png


class ScriptedPainter:
    """Four steps, each when `go` lets it, then a picture of one colour; it remembers what it was asked."""

    def __init__(self, *, held: bool = False) -> None:
        self.requests: list[PictureRequest] = []
        self.models: list[str] = []
        self.adapters: tuple[Adapter, ...] = ()
        self.stopped = 0
        self.fails = ""
        self.began, self.go = asyncio.Event(), asyncio.Event()
        if not held:
            self.go.set()

    @property
    def info(self) -> EngineInfo:
        """As small as can be."""
        return EngineInfo("scripted", "scripted", 12)

    async def paint(self, request: PictureRequest) -> AsyncGenerator[PictureStep | Picture, None]:
        """See `chatapp.Painter`."""
        self.requests.append(request)
        if self.fails:
            raise EngineError(self.fails)
        try:
            for done in range(1, 5):
                yield PictureStep(done, 4, png(8, 8))
                if done == 2:
                    self.began.set()
                    await self.go.wait()
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped += 1
            raise
        facts = {"prompt": request.prompt, "seed": request.seed, "model": self.models[-1], "steps": 4}
        facts |= {"guidance": 3.0, "scheduler": "ddim", "width": 8, "height": 8, "painted": [8, 8]}
        yield Picture(with_facts(png(8, 8), facts), 8, 8, facts)

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on any model."""
        self.models.append(config.model)
        self.adapters = config.adapters
        return True

    async def close(self) -> None:
        """Nothing to give back."""


class Painters:
    """The images plugin with another painter behind it."""

    def __init__(self, painter: ScriptedPainter) -> None:
        self._painter = painter
        for name in ("settings", "actions", "render_part", "configure_engine"):
            setattr(self, name, getattr(chatapp_images, name))

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine of the kind "image"."""

        async def opened(host: Host, config: EngineConfig, report: Report) -> ScriptedPainter:
            await self._painter.tune(config)
            return self._painter

        yield EngineSpec("scripted painter", opened, "image")


@asynccontextmanager
async def studio_in(
    folder: Path, painter: ScriptedPainter, engine: ScriptedEngine | None = None
) -> AsyncIterator[Session]:
    """A started session with the plugin."""
    host = make_host(folder, RecordingUI(), scripted=engine)
    host.add("chatapp", commands)
    host.add("images", Painters(painter))
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


async def told(session: Session, line: str) -> list[Event]:
    """All a command line tells."""
    async with contextlib.aclosing(session.run(line)) as events:
        return [event async for event in events]


def shown(session: Session) -> list[Media]:
    """The pictures in the conversation."""
    parts: list[Any] = [part for message in session.conversation.path() for part in message.parts]
    return [part for part in parts if isinstance(part, Media)]
