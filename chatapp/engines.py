"""The engines that are open: at most one of each kind, opened when first needed and changed when the session wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

from chatapp.engine import AnyEngine, Embedder, Engine, EngineConfig, EngineSpec, Kind, Reader, Reranker
from chatapp.errors import ChatappError, EngineError
from chatapp.events import Progress
from chatapp.pictures import Painter
from chatapp.plugins import explain

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.session import Session

WORK: dict[Kind, str] = {
    "chat": "an engine for answers",
    "image": "an engine for pictures",
    "embedding": "an engine to compare texts",
    "reader": "a reader of documents",
    "reranker": "an engine to order passages",
}


class Engines:
    """Opens, tunes and closes engines for a host; its methods may be called from several sessions at once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._open: dict[Kind, tuple[EngineSpec, EngineConfig, AnyEngine]] = {}
        self._locks: dict[Kind, asyncio.Lock] = {}

    @overload
    def current(self, kind: Literal["chat"] = "chat") -> Engine | None: ...

    @overload
    def current(self, kind: Literal["embedding"]) -> Embedder | None: ...

    @overload
    def current(self, kind: Literal["reader"]) -> Reader | None: ...

    @overload
    def current(self, kind: Literal["reranker"]) -> Reranker | None: ...

    @overload
    def current(self, kind: Literal["image"]) -> Painter | None: ...

    @overload
    def current(self, kind: Kind) -> Any: ...

    def current(self, kind: Kind = "chat") -> Any:
        """The open engine of that kind, None while there is none."""
        held = self._open.get(kind)
        return held[2] if held is not None else None

    async def ready(self, session: Session, kind: Kind = "chat", *, model: str = "") -> AsyncGenerator[Progress, None]:
        """Open or tune the engine that `session` wants, telling how far it is; afterwards `current` has it.

        `model` asks for another one than the session's. Raises EngineError or ModelError when that cannot be. Closing
        the iterator gives up opening.
        """
        async with self._locks.setdefault(kind, asyncio.Lock()):
            wanted = session.engine_config(kind)
            wanted = replace(wanted, model=model or wanted.model)
            config = await self._host.hooks.fold("configure_engine", wanted, session=session)
            spec = self.spec(config.model, kind)
            held = self._open.get(kind)
            if held is not None:
                # Only a chat engine is all in its configuration; of the others, more is in their plugins' settings.
                same = kind == "chat" and held[1] == config
                if held[0].name == spec.name and (same or await held[2].tune(config)):
                    self._open[kind] = (spec, config, held[2])
                    return
                await self._close(kind)
            news: asyncio.Queue[Progress] = asyncio.Queue()
            opening = asyncio.ensure_future(spec.open(self._host, config, news.put_nowait))
            try:
                async for progress in _until(opening, news):
                    yield progress
                self._open[kind] = (spec, config, await opening)
            except ChatappError:
                raise
            except Exception as error:
                raise EngineError(f"The engine {spec.name!r} cannot open {config.model!r}: {explain(error)}") from error
            finally:
                if not opening.done():
                    opening.cancel()
                    await asyncio.wait([opening])

    async def close(self) -> None:
        """Close every engine."""
        for kind in list(self._open):
            await self._close(kind)

    async def drop(self, names: Collection[str]) -> None:
        """Close the open engines of these specs, whose plugin goes away; one that is being opened is waited for."""
        for kind, lock in list(self._locks.items()):
            async with lock:
                if kind in self._open and self._open[kind][0].name in names:
                    await self._close(kind)

    async def _close(self, kind: Kind) -> None:
        await self._open.pop(kind)[2].close()

    def spec(self, model: str, kind: Kind = "chat") -> EngineSpec:
        """The engine that a model is opened with; EngineError where no plugin offers one."""
        specs = [spec for spec in self._host.engine_specs.values() if spec.kind == kind]
        # One that takes any name is asked last: it must not hide another plugin's engine that knows its own names.
        specs.sort(key=lambda spec: spec.accepts(self._host, ""))
        wanted = self._host.settings.core.engine if kind == "chat" else ""
        for spec in specs:
            if spec.name == wanted or (not wanted and spec.accepts(self._host, model)):
                return spec
        if kind != "chat":
            raise EngineError(f"No plugin offers {WORK[kind]}; `chatapp plugin list` shows what is loaded.")
        if wanted:
            raise EngineError(f"There is no engine {wanted!r}; `chatapp plugin list` shows what is loaded.")
        raise EngineError(f"No plugin offers an engine for {model!r}; `chatapp plugin list` shows what is loaded.")


async def _until(task: asyncio.Future[AnyEngine], news: asyncio.Queue[Progress]) -> AsyncGenerator[Progress, None]:
    """What comes into `news` until the task is done."""
    while True:
        waiting = asyncio.ensure_future(news.get())
        both: list[asyncio.Future[Any]] = [task, waiting]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            return
        yield waiting.result()
