"""What the servers have: the names of their models, for completion, and their own adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from weakref import WeakKeyDictionary

from chatapp import Adapter, ChatappError, Host
from chatapp_openai.connecting import Served, connect
from chatapp_openai.options import OpenaiSettings

SECONDS = 3.0
"""How long a server may take to list its models for a completion."""


class Known:
    """The models of the servers of one host, as far as they are known. Made in the event loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._names: dict[str, list[str]] = {}
        self._asked: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def note(self, server: str, models: list[str]) -> None:
        """Remember what a server has."""
        self._names[server] = models

    def names(self) -> Iterator[str]:
        """NAME/model of all that are known now. Servers that were not asked yet are, in the background.

        May be called from any thread; touches no network itself.
        """
        for name, server in self._host.config(OpenaiSettings).servers.items():
            if not server.models and name not in self._asked:
                self._asked.add(name)
                self._loop.call_soon_threadsafe(self._begin, name)
            for model in server.models or self._names.get(name, []):
                yield f"{name}/{model}"

    def _begin(self, name: str) -> None:
        task = self._loop.create_task(self._ask(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, name: str) -> None:
        from chatapp_openai.addresses import place_of

        try:
            async with asyncio.timeout(SECONDS):
                link = await connect(self._host, place_of(self._host, name))
                try:
                    found = await link.models(SECONDS)
                finally:
                    await link.close()
        except TimeoutError:
            return
        except Exception as error:
            if _expected(error):
                # A completion has nobody to tell; whoever chooses a model of this server is told.
                return
            raise
        self.note(name, [each.id for each in found or ()])

    async def close(self) -> None:
        """End what is asked in the background."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_KNOWN: WeakKeyDictionary[Host, Known] = WeakKeyDictionary()


def known(host: Host) -> Known:
    """The names of this host; first called in its event loop."""
    found = _KNOWN.get(host)
    if found is None:
        found = _KNOWN[host] = Known(host)
    return found


def offered(host: Host) -> Iterable[str]:
    """What can be chosen with `/model`; nothing before the host has started."""
    found = _KNOWN.get(host)
    return list(found.names()) if found is not None else ()


def _expected(error: Exception) -> bool:
    import openai

    from chatapp_openai.failing import Strange

    return isinstance(error, ChatappError | openai.OpenAIError | Strange | ValueError)


class Adapters:
    """A server's own LoRA adapters for one of its models, of which one can be on.

    vLLM lists an adapter as a model whose `parent` is the one it belongs to, and lays it on when it is asked for.
    """

    def __init__(self, server: str, model: str, served: Iterable[Served]) -> None:
        self._server = server
        self._model = model
        self.names = tuple(each.id for each in served if each.parent == model)
        self.on = ""

    def lay(self, adapters: Sequence[Adapter]) -> list[str]:
        """Have this one on, none where the server cannot do what is wanted; sentences on what is left out."""
        self.on = ""
        have = [each for each in adapters if each.name in self.names]
        left_out = [self.lacks(each.name) for each in adapters if each.name not in self.names]
        if len(have) > 1:
            names = ", ".join(each.name for each in have)
            return [*left_out, f"The server {self._server} lays one adapter at a time, so {names} are left out."]
        if have and have[0].scale != 1.0:
            scaled = f"{have[0].name}={have[0].scale:g}"
            return [
                *left_out,
                f"The server {self._server} lays adapters as they were trained, so {scaled} is left out: choose "
                f"{have[0].name} without a scale.",
            ]
        self.on = have[0].name if have else ""
        return left_out

    def lacks(self, name: str) -> str:
        """That there is no such adapter, and which there are."""
        others = f" (it has {', '.join(self.names)})" if self.names else ""
        return f"The server {self._server} has no adapter {name} for {self._model}{others}: it is left out."
