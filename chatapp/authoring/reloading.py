"""`chatapp --dev`: plugins are loaded again when their files are saved, and the next message uses them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from chatapp.authoring.sources import Seen, Sources
from chatapp.authoring.swapping import refuse, swap, taken
from chatapp.errors import PluginError
from chatapp.hookspecs import hookimpl
from chatapp.plugins import FAILURES, Found

if TYPE_CHECKING:
    from chatapp.host import Host

EVERY_SECONDS = 0.5
"""How often the files are looked at."""
SETTLE_SECONDS = 0.1
"""How long files must stay the same before they are read: programs save in several steps."""
MOST_LOOKS = 20
"""How often that is waited for."""


class Reloading:
    """Looks after the files of the plugin folder and of the packages that are installed editable.

    It is a plugin itself, which the command line adds as "dev" before the others are loaded.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._sources = Sources(host)
        self._begun = time.time_ns()
        self._known: dict[str, Seen] = {}
        self._doubts: dict[str, Seen | None] = {}
        self._lock = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._bytecode = sys.dont_write_bytecode

    @hookimpl
    async def startup(self, host: Host) -> None:
        """Begin to look."""
        seen = await asyncio.to_thread(self._sources.look)
        # What was saved while the plugins were being loaded may have been read before that.
        self._known = {name: each for name, each in seen.items() if each.newest < self._begun}
        sys.dont_write_bytecode = True
        host.status["dev"] = "dev"
        host.refresh = self.refresh
        host.changed.append(self._came)
        self._watching = asyncio.create_task(self._watch())

    @hookimpl
    async def shutdown(self) -> None:
        """Look no longer."""
        sys.dont_write_bytecode = self._bytecode
        self._host.refresh = None
        self._host.changed.remove(self._came)
        self._host.status.pop("dev", None)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def _came(self, name: str) -> None:
        """What somebody else takes in, as `plugin install` does, need not be loaded once more."""
        if name not in self._known and not self._lock.locked():
            self._known |= {key: seen for key, seen in self._sources.look().items() if key == name}

    async def refresh(self) -> None:
        """Load what changed, at once: a message is about to use it."""
        async with self._lock:
            await self._look(patient=False)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                async with self._lock:
                    if not self._host.busy:
                        await self._look(patient=True)
            except FAILURES as error:
                self._host.report("dev", "watching files", error)

    async def _look(self, *, patient: bool) -> None:
        """Load what changed. When `patient`, bad news counts only if the files are the same at the next look."""
        now = await self._settled()
        for changed in _by_package(self._known, now):
            sure = not patient or all(self._doubts.get(name, ...) == seen for name, seen in changed.items())
            if await self._take(changed, sure):
                self._known |= {name: seen for name, seen in changed.items() if seen is not None}
                for name, seen in changed.items():
                    self._doubts.pop(name, None)
                    if seen is None:
                        self._known.pop(name)
            else:
                self._doubts |= changed

    async def _settled(self) -> dict[str, Seen]:
        """What is there, once nothing is being written any more."""
        now = await asyncio.to_thread(self._sources.look)
        for _ in range(MOST_LOOKS):
            before = now
            if now == self._known:
                break
            await asyncio.sleep(SETTLE_SECONDS)
            now = await asyncio.to_thread(self._sources.look)
            if now == before:
                break
        return now

    async def _take(self, changed: Mapping[str, Seen | None], sure: bool) -> bool:
        """Take the plugins of one package as they are now; whether that is done. Bad news waits until it is `sure`."""
        gone = [name for name, seen in changed.items() if seen is None]
        if gone and not sure:
            return False
        for name in gone:
            await self._remove(name)
        here = [seen.found for seen in changed.values() if seen is not None and self._wanted(seen.found)]
        again = {each.name for each in here if each.name in self._host.plugins}
        try:
            if here:
                await swap(self._host, here)
        except PluginError as error:
            if sure:
                await refuse(self._host, here, str(error))
            return sure
        for each in here:
            self._host.ui.notify(f"The plugin {each.name!r} is loaded{' again' if each.name in again else ''}.")
        return True

    def _wanted(self, found: Found) -> bool:
        """Whether to load it: it is not switched off, and no other plugin has its name."""
        sentence = taken(self._host, found)
        if sentence:
            self._host.ui.notify(sentence, "warning")
            return False
        return found.name not in self._host.settings.core.plugins.disabled

    async def _remove(self, name: str) -> None:
        found = self._host.found.get(name)
        if found is not None and found.package == self._known[name].found.package:
            await self._host.take_out(name, gone=True)
            self._host.ui.notify(f"The plugin {name!r} is taken out: its file is gone.")


def _by_package(before: Mapping[str, Seen], now: Mapping[str, Seen]) -> Iterable[dict[str, Seen | None]]:
    """What changed, by name, in one mapping for each package; None for what is gone."""
    packages: dict[str, dict[str, Seen | None]] = {}
    for name, seen in {**before, **now}.items():
        if before.get(name) != now.get(name):
            packages.setdefault(seen.found.package, {})[name] = now.get(name)
    return packages.values()
