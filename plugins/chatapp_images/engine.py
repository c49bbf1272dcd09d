"""The painter as the rest of the application sees it: a client of the service in the child process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec

from chatapp import (
    EngineConfig,
    EngineError,
    EngineInfo,
    Host,
    LoadedWorker,
    Picture,
    PictureRequest,
    PictureStep,
    Progress,
    Report,
    Worker,
)
from chatapp_images.options import ImagesSettings
from chatapp_images.setups import Setup, check, setup, threads
from chatapp_images.single import complete
from chatapp_images.weights import identity

TARGET = "chatapp_images.service:Service"
LIBRARIES = ("diffusers", "transformers", "torch", "PIL", "safetensors")
ENVIRONMENT = {
    # Everything is in the folder: the libraries must not ask the network about it.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that wait for each other would spin, and take the processor from whoever answers the user.
    "OMP_WAIT_POLICY": "PASSIVE",
}
FEATURES = frozenset({"edit", "inpaint", "enlarge", "negative", "adapters"})
SECONDS_A_MINUTE = 60


class DiffusersPainter(LoadedWorker):
    """A diffusion model in a child process. When that process dies, the next picture loads it again.

    Its memory is given back after `idle_minutes` without a picture.
    """

    def __init__(self, host: Host, worker: Worker, made: Setup, count: int) -> None:
        super().__init__(worker)
        self._host = host
        self._setup = made
        self._threads = count
        self._busy = 0
        self._nap: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None
        self._info = EngineInfo("diffusers", made.chosen.name, 0)

    @property
    def info(self) -> EngineInfo:
        """See `Painter`; the details also have "scheduler", "precision", "threads", "identity", "path" and "check".

        "check" is a sentence on the licence that a user must know, or "".
        """
        return self._info

    async def load(self) -> None:
        """Load the model unless a living child holds it."""
        self._wake()
        try:
            await super().load()
        finally:
            self._doze()

    async def fill(self) -> None:
        """Load the model and note what the child says of it."""
        chosen = self._setup.chosen
        # In the background: loading gives way to an answer that streams, as painting does.
        found = dict(await self.worker.call("load", self._setup, self._threads, background=True))
        features = FEATURES | {"preview"} if found.pop("previews") else FEATURES
        count = found.pop("tokens")
        details = {
            "name": chosen.name,
            **found,
            "licence": chosen.licence,
            "check": chosen.entry.check if chosen.entry is not None else "",
            "identity": self._setup.identity,
            "path": str(chosen.path),
        }
        self._info = EngineInfo("diffusers", chosen.name, count, features, details)

    async def paint(self, request: PictureRequest) -> AsyncGenerator[PictureStep | Picture, None]:
        """See `Painter.paint`. EngineError says in one sentence what cannot be done; WorkerDied when the child died."""
        self._wake()
        try:
            await self.load()
            async with aclosing(self.worker.stream("paint", request, background=True)) as steps:
                async for step in steps:
                    yield step
        finally:
            self._doze()

    async def tune(self, config: EngineConfig) -> bool:
        """Take on other adapters or another size to show; False where the model or how it computes is another."""
        made = setup(self._host, config)
        if not made.like(self._setup):
            return False
        made = replace(made, identity=self._setup.identity, config=self._setup.config)
        if made == self._setup:
            return True
        before, self._setup = self._setup, made
        self.unload()
        try:
            await self.load()
        except BaseException:
            # What was open stays open; the next picture loads it again.
            self._setup = before
            self.unload()
            raise
        return True

    async def steps(self) -> int:
        """How many steps the child has made in all."""
        return int(await self.worker.call("steps"))

    async def close(self) -> None:
        """End the child process."""
        if self._nap is not None:
            self._nap.cancel()
        if self._resting is not None:
            await asyncio.wait([self._resting])
        await super().close()

    def _wake(self) -> None:
        self._busy += 1
        if self._nap is not None:
            self._nap.cancel()

    def _doze(self) -> None:
        self._busy -= 1
        if self._nap is not None:
            self._nap.cancel()
        seconds = self._host.config(ImagesSettings).idle_minutes * SECONDS_A_MINUTE
        self._nap = asyncio.get_running_loop().call_later(seconds, self._rest)

    def _rest(self) -> None:
        if not self._busy:
            self._resting = asyncio.ensure_future(self.worker.rest())


async def open_painter(host: Host, config: EngineConfig, report: Report) -> DiffusersPainter:
    """Find or fetch the model, start a child and load it; EngineError or ModelError says why that cannot be."""
    need_libraries()
    made = setup(host, config)
    made = replace(made, config=await complete(host, made.chosen, report))
    layout = await asyncio.to_thread(check, made.chosen)
    report(Progress(f"Checking {made.chosen.name}"))
    files = list(layout.weights) if layout is not None else [made.chosen.path]
    cache = host.paths.cache / "images" / "identities.json"
    made = replace(made, identity=await asyncio.to_thread(identity, files, cache))
    count = threads(made, layout, host.config(ImagesSettings))
    worker = host.workers.add("image", TARGET, {**ENVIRONMENT, "OMP_NUM_THREADS": str(count)})
    return await DiffusersPainter(host, worker, made, count).opened(made.chosen.name, report)


def need_libraries() -> None:
    """Raise EngineError, saying what to install, where a library that paints is missing."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise EngineError(f"{missing[0]}, which paints, is not installed; pip install 'chatapp[images]' would.")
