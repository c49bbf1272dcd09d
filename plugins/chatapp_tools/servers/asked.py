"""What an MCP server may ask of this application while it works: its user, in a form, and which folders are allowed.

Elicitation and roots of MCP 2025-11-25. Sampling, by which a server has the user's model write for it, is not offered:
what the model is sent is the user's to decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from mcp import types
from pydantic import FileUrl

from chatapp import UI
from chatapp_tools.servers.configured import Entry
from chatapp_tools.servers.forms import filled

Extend: TypeAlias = Callable[[], None]
Folders: TypeAlias = Callable[[], Sequence[Path]]

MOST_EXTENSIONS = 30
"""How often a call that tells its progress gets more time."""
MOST_FORMS = 5
"""Forms that one call may show."""


class Clocks:
    """The time limits of what a server is asked; they stand still while a person is asked for it."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Timeout, float] = {}
        self._held = 0

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[Extend, None]:
        """TimeoutError after so many seconds; what is yielded begins them anew, a limited number of times."""
        left = MOST_EXTENSIONS

        def extend() -> None:
            nonlocal left
            left -= 1
            if left > 0:
                self._set(clock, seconds)

        async with asyncio.timeout(None) as clock:
            self._running[clock] = seconds
            self._set(clock, seconds)
            try:
                yield extend
            finally:
                del self._running[clock]

    def _set(self, clock: asyncio.Timeout, seconds: float) -> None:
        clock.reschedule(None if self._held else asyncio.get_running_loop().time() + seconds)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While inside, no time runs."""
        self._held += 1
        self._set_all()
        try:
            yield
        finally:
            self._held -= 1
            self._set_all()

    def _set_all(self) -> None:
        for clock, seconds in self._running.items():
            self._set(clock, seconds)


class Asked:
    """Answers a server's questions: with the `folders`, and through whoever is in front of the call under way."""

    def __init__(self, entry: Entry, clocks: Clocks, folders: Folders) -> None:
        self._entry, self._clocks, self._folders = entry, clocks, folders
        self._fronts: list[UI] = []
        self._forms: set[asyncio.Future[Any]] = set()
        self._left = 0
        self._one = asyncio.Lock()

    @contextmanager
    def for_whom(self, ui: UI | None) -> Iterator[None]:
        """While inside, forms are shown there; afterwards none is left on the screen."""
        if ui is None:
            yield
            return
        self._fronts.append(ui)
        self._left = MOST_FORMS
        try:
            yield
        finally:
            self._fronts.remove(ui)
            if not self._fronts:
                for form in self._forms:
                    form.cancel()

    async def elicit(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        """A form for the person in front; declined where there is nobody, and what is no form."""
        if not self._fronts or self._left <= 0:
            return types.ElicitResult(action="decline")
        ui = self._fronts[-1]
        if not isinstance(params, types.ElicitRequestFormParams):
            ui.notify(
                f"The MCP server {self._entry.name!r} wanted you to open an address; that is not done from here.",
                "warning",
            )
            return types.ElicitResult(action="decline")
        self._left -= 1
        form = asyncio.ensure_future(self._shown(ui, params))
        self._forms.add(form)
        try:
            await asyncio.wait([form])
        finally:
            form.cancel()
            self._forms.discard(form)
        return types.ElicitResult(action="cancel") if form.cancelled() else form.result()

    async def _shown(self, ui: UI, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        with self._clocks.stopped():
            async with self._one:
                action, content = await filled(ui, self._entry.name, params.message, params.requested_schema)
        return types.ElicitResult(action=action, content=content)

    async def roots(self, context: Any) -> types.ListRootsResult:
        """The folders that tools may read without asking."""
        folders = await asyncio.to_thread(self._folders)
        return types.ListRootsResult(roots=[types.Root(uri=FileUrl(each.as_uri()), name=each.name) for each in folders])
