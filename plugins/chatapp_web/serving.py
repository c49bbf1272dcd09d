"""The page's server: textual-serve with a token, for as many pages as are allowed."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = Path(__file__).with_name("page.html")
PATIENCE = 10.0
"""Seconds a chat has to save and end when its page has gone."""
LONGEST = 4 * 2**20
"""Bytes of one message of the page: room for a long text that is pasted."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Chat(AppService):
    """The chat behind one page: a process of its own."""

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        made = super()._build_environment(width, height)
        # The terminal the server was started in is not the one that draws.
        made |= {"TEXTUAL_DRIVER": "chatapp_web.driver:PageDriver", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        return made

    async def stop(self) -> None:
        """Ask the chat to end, and end it when it does not."""
        try:
            await asyncio.wait_for(super().stop(), PATIENCE)
        except TimeoutError:
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.kill()
        if self._process is not None:
            await self._process.wait()


class Page(Server):
    """The chat as a page, for whoever has its token. `port` 0 takes any that is free."""

    def __init__(self, command: Sequence[str], host: str, port: int, font_size: int, most: int) -> None:
        # `exec`: the process that is ended is then the chat's, and not a shell's.
        super().__init__(f"exec {shlex.join(command)}", host, port, "chatapp")
        self.token = secrets.token_urlsafe(24)
        self.open = 0
        self.most = most
        self._font_size = font_size

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the command tells where the page is."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token: once in the address, then in a cookie that no other site can send."""
        given = request.query.get("token")
        if not self._is_token(given or request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text="Open the whole address that `chatapp web` printed, with its token.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="Another site's page may not use this chat.")
        if given and request.path == "/":
            # Out of the address line, the history and what is copied from them.
            answer = web.HTTPSeeOther("/")
            answer.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict")
            raise answer
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    @property
    def _cookie(self) -> str:
        # Cookies are shared by all ports of a host.
        return f"chatapp-{self.port}"

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page itself; what it needs is served here, and it asks no other host for anything."""
        text = Template(PAGE.read_text(encoding="utf-8")).substitute(font_size=self._font_size)
        return web.Response(text=text, content_type="text/html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One page's chat, from its opening to its end."""
        if self.open >= self.most:
            raise web.HTTPServiceUnavailable(text=f"{self.open} pages are open, as many as the settings allow.")
        self.open += 1
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=LONGEST)

        async def close() -> None:
            await socket.close()

        chat = Chat(
            self.command,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        try:
            await socket.prepare(request)
            await chat.start(
                *(_cells(request.query.get(name), default) for name, default in (("width", 80), ("height", 24)))
            )
            await self._process_messages(socket, chat)
        except (ValueError, LookupError, TypeError, AssertionError):
            # Not what the page's own script sends.
            await socket.close(code=WSCloseCode.PROTOCOL_ERROR)
        finally:
            self.open -= 1
            await asyncio.shield(chat.stop())
        return socket


def _cells(text: str | None, default: int) -> int:
    return min(max(int(text), 1), 1000) if text and text.isdecimal() else default


@asynccontextmanager
async def serving(page: Page) -> AsyncIterator[str]:
    """Serve the page while inside; the address with its token. OSError when it cannot listen there."""
    runner = web.AppRunner(
        await page._make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=PATIENCE
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, page.host, page.port).start()
        page.port = runner.addresses[0][1]
        host = f"[{page.host}]" if ":" in page.host else page.host
        yield f"http://{host}:{page.port}/?token={page.token}"
    finally:
        await runner.cleanup()
