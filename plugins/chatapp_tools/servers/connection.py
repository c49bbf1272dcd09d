"""One MCP server: started when first needed, in a task of its own, and started again when it is gone."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias, TypeVar

import anyio
from mcp import Client, MCPError, types
from mcp.client.session import ClientRequestContext
from mcp.client.subscriptions import SubscriptionLost
from pydantic import TypeAdapter, ValidationError

from chatapp import UI, ChatappError, UsageError, one_line
from chatapp_tools.servers.asked import Asked, Clocks, Extend, Folders
from chatapp_tools.servers.configured import Entry
from chatapp_tools.servers.listing import Listing, listed
from chatapp_tools.servers.piped import Child, piped
from chatapp_tools.servers.web import web

State: TypeAlias = Literal["new", "starting", "on", "failed", "off"]
Told: TypeAlias = Callable[[float, float | None, str | None], None]
Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds until a server that failed is started again at the earliest; twice as long after each failure."""
MOST_ROUNDS = 10
"""How often one call may be answered with questions."""

_ANSWER: TypeAdapter[Any] = TypeAdapter(types.CallToolResult | types.InputRequiredResult)

# The SDK logs with tracebacks what a foreign server does wrong; without a handler Python writes that over the screen.
for _name in ("mcp", "client", "httpx2"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Connection:
    """A server and what it offers. `error` is the sentence that says why it failed; times in seconds.

    `start` bounds starting and listing, `silence` how long a call may go without a sign of life. `folders` gives
    those that a server is told it may use, if the user wants that.
    """

    def __init__(self, entry: Entry, start: float, silence: float, folders: Folders = tuple) -> None:
        self.entry = entry
        self.start, self.silence = start, silence
        self._clocks = Clocks()
        self._asked = Asked(entry, self._clocks, folders)
        self.state: State = "new"
        self.error = ""
        self.listing = Listing()
        self._stale = False
        self._client: Client | None = None
        self._child = Child(entry)
        self._task: asyncio.Task[None] | None = None
        self._scope = anyio.CancelScope()
        self._settled = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0

    def begin(self) -> bool:
        """Start the server unless it runs, is switched off, or failed a moment ago; whether it is starting now."""
        running = self._task is not None and not self._task.done()
        if running or self.state == "off" or time.monotonic() < self._not_before:
            return False
        self.state, self.error = "starting", ""
        self._settled.clear()
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._live())
        return True

    async def settled(self) -> None:
        """Wait until it runs or failed."""
        if self.state == "starting":
            await self._settled.wait()

    async def client(self) -> Client:
        """The SDK's client, connected; UsageError with the reason when there is none."""
        self.begin()
        await self.settled()
        if self._client is None:
            raise UsageError(self.error or f"The MCP server {self.entry.name!r} is off: /mcp restart starts it.")
        return self._client

    async def stop(self, *, off: bool = False) -> None:
        """End the server, children and all; with `off` it is not started again."""
        task = self._task
        if task is not None and not task.done():
            self._scope.cancel()
            await asyncio.wait([task])
        self.state = "off" if off else "new"
        self.error, self._failures, self._not_before = "", 0, 0.0

    async def fresh(self) -> Listing:
        """What it offers, asked again where it said that this changed."""
        client = self._client
        if self._stale and client is not None:
            self._stale = False
            self.listing = await self._limited("what it offers", self.start, lambda _: listed(client))
        return self.listing

    async def call(
        self, tool: str, arguments: dict[str, Any], told: Told, ui: UI | None = None
    ) -> types.CallToolResult:
        """Call a tool; `told` gets its progress, `ui` what it asks of the person in front (None: nobody is).

        Cancelling this cancels the call there; UsageError when it fails.
        """
        client = await self.client()

        async def ask(extend: Extend) -> types.CallToolResult:
            async def progressed(progress: float, total: float | None, message: str | None) -> None:
                extend()
                told(progress, total, message)

            params = types.CallToolRequestParams(name=tool, arguments=arguments)
            for _ in range(MOST_ROUNDS):
                # Not through `call_tool`: that checks the answer against the server's own schema, regular expressions
                # included, which a hostile one makes last for ever.
                request = types.CallToolRequest(params=params)
                result = await client.session.send_request(request, _ANSWER, progress_callback=progressed)
                if isinstance(result, types.CallToolResult):
                    return result
                answers = await self._answers(client, tool, result.input_requests or {})
                more = {"input_responses": answers, "request_state": result.request_state}
                params = params.model_copy(update=more)
            raise UsageError(f"The tool {tool!r} of the MCP server {self.entry.name!r} asks for more and more.")

        with self._asked.for_whom(ui):
            found = await self._limited(f"the call of {tool!r}", self.silence, ask)
        self._failures = 0
        return found

    async def _answers(
        self, client: Client, tool: str, questions: types.InputRequests
    ) -> dict[str, types.InputResponse]:
        """What the server wants to know before it goes on (MCP 2026-07-28), each question answered."""
        answers: dict[str, types.InputResponse] = {}
        for key, question in questions.items():
            context = ClientRequestContext(session=client.session, request_id=key)
            answer = await client.session.dispatch_input_request(context, question)
            if isinstance(answer, types.ErrorData):
                raise UsageError(
                    f"The tool {tool!r} of the MCP server {self.entry.name!r} wants {question.method!r}, which is not "
                    "offered here."
                )
            answers[key] = answer
        return answers

    async def ask(self, what: str, request: Callable[[Client], Awaitable[Result]]) -> Result:
        """Any other request, such as reading a resource; `what` completes "did not answer …"."""
        client = await self.client()
        return await self._limited(what, self.silence, lambda _: request(client))

    async def _limited(self, what: str, seconds: float, ask: Callable[[Extend], Awaitable[Result]]) -> Result:
        """What `ask` gives within the time, which it may extend; every failure is a UsageError of one sentence."""
        name = self.entry.name
        try:
            async with self._clocks.limit(seconds) as extend:
                return await ask(extend)
        except TimeoutError:
            self._give_up(f"The MCP server {name!r} did not answer {what} within {seconds:g} seconds.")
            raise UsageError(self.error) from None
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED or self._child.over.is_set():
                await self._over()
                raise UsageError(self.error or f"The MCP server {name!r} went away.") from None
            raise UsageError(f"The MCP server {name!r} refused: {one_line(error.message, 500)}") from None
        except (ValidationError, RuntimeError):
            # RuntimeError: the SDK's for an answer that asks for input.
            raise UsageError(f"The MCP server {name!r} answered {what} with what is no MCP.") from None

    def _give_up(self, why: str) -> None:
        """A server that does not answer is ended; its next use starts it anew."""
        self.error = why
        self._scope.cancel()

    async def _over(self) -> None:
        # It says itself why, a moment later.
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5.0)

    async def _live(self) -> None:
        """From start to end; leaves `state` and `error` as they are to be shown."""
        try:
            with self._scope:
                # Some servers end at a first message that is not the handshake, which "auto" begins with.
                if not await self._connected("auto"):
                    await self._connected("legacy")
        except Exception as error:  # noqa: BLE001 - whatever a foreign server makes the SDK raise is told, and no more
            self.error = _explained(self.entry, error)
        finally:
            self._client = None
            if self.state != "off" and self.error:
                self.state = "failed"
                self._failures += 1
                self._not_before = time.monotonic() + min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            self._settled.set()

    async def _connected(self, mode: str) -> bool:
        """Connect and stay until it ends; False where it ended at the first message of "auto"."""
        child = self._child = Child(self.entry)
        client = Client(
            web(child) if self.entry.url else piped(child),
            mode=mode, message_handler=self._heard, cache=None, client_info=_OURSELVES,
            elicitation_callback=self._asked.elicit,
            list_roots_callback=self._asked.roots if self.entry.roots else None,
        )  # fmt: skip
        try:
            with anyio.fail_after(self.start) as limit:
                async with client:
                    self.listing = await listed(client)
                    limit.deadline = math.inf
                    self._client, self.state, self._stale = client, "on", False
                    self._settled.set()
                    await self._until_over(client, child)
        except TimeoutError:
            raise UsageError(
                f"The MCP server {self.entry.name!r} did not start within {self.start:g} seconds{child.words}."
            ) from None
        except (MCPError, ExceptionGroup):
            if not child.over.is_set():
                raise
        if mode == "auto" and self._client is None and not child.why:
            return False
        raise UsageError(child.ended())

    async def _until_over(self, client: Client, child: Child) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow, client)
            await child.over.wait()
            group.cancel_scope.cancel()

    async def _follow(self, client: Client) -> None:
        """Hear of changes where that must be asked for: since MCP 2026-07-28."""
        with suppress(MCPError, SubscriptionLost, RuntimeError, TimeoutError):
            # A server that has no such subscriptions, or an older one, which tells without being asked.
            async with client.listen(
                tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
            ) as events:
                async for _ in events:
                    self._stale = True

    async def _heard(self, message: Any) -> None:
        if isinstance(message, _CHANGES):
            self._stale = True


_OURSELVES = types.Implementation(name="chatapp", version="1")
_CHANGES = (
    types.ToolListChangedNotification,
    types.PromptListChangedNotification,
    types.ResourceListChangedNotification,
)


def _explained(entry: Entry, error: BaseException) -> str:
    """What went wrong, as one sentence: the innermost of errors that task groups wrapped."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ChatappError):
        return str(error)
    reason = error.message if isinstance(error, MCPError) else str(error) or type(error).__name__
    return f"The MCP server {entry.name!r} cannot be used: {one_line(reason, 300).rstrip('.')}."
