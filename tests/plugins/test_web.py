"""`chatapp web`: who is let in, what a page starts, and that nothing is left behind."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from chatapp import UsageError
from chatapp.session import Session
from chatapp_web.commands import is_here, web
from chatapp_web.options import WebSettings
from tests.plugins.web_support import Served, served, until_gone

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One served page for the tests of who is let in."""
    async with served(tmp_path_factory.mktemp("web")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without a screen, which keeps cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as made:
        yield made


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/download/x", "/?token=", "/?token=é"])
async def test_without_the_token_nothing_is_served(page: Served, client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(page.origin + path) as answer:
        assert answer.status == 403
        assert "token" in await answer.text()
    assert page.chats() == []


async def test_the_token_becomes_a_cookie_and_leaves_the_address(page: Served, client: aiohttp.ClientSession) -> None:
    async with client.get(page.address) as answer:
        text = await answer.text()
        assert (answer.status, str(answer.url)) == (200, page.origin + "/")
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        set_there = answer.history[0].headers["Set-Cookie"]
    assert "HttpOnly" in set_there
    assert "SameSite=Strict" in set_there
    assert page.token not in text
    assert "https://" not in text
    async with client.get(page.origin + "/static/js/textual.js") as answer:
        assert answer.status == 200


async def test_another_sites_page_is_refused(page: Served, client: aiohttp.ClientSession) -> None:
    for origin in ("https://example.org", "http://localhost:1", "null"):
        async with client.get(f"{page.origin}/ws?token={page.token}", headers={"Origin": origin}) as answer:
            assert answer.status == 403
    assert page.chats() == []


@pytest.mark.parametrize("text", ["nonsense", "{}", "[]", '["stdin"]', '["resize", {}]', '["stdin", 3]'])
async def test_what_no_page_sends_ends_that_page_only(page: Served, client: aiohttp.ClientSession, text: str) -> None:
    async with client.ws_connect(f"{page.origin}/ws?token={page.token}") as connection:
        await connection.receive()
        chats = page.chats()
        assert len(chats) == 1
        await connection.send_str(text)
        while not connection.closed:
            await connection.receive()
    await until_gone(chats)
    async with client.get(page.address) as answer:
        assert answer.status == 200


async def test_as_many_pages_as_the_settings_allow(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text("[web]\nmost = 1\n")
    async with served(tmp_path) as only:
        url = f"{only.origin}/ws?token={only.token}"
        async with client.ws_connect(url) as first:
            await first.receive()
            async with client.get(url) as answer:
                assert answer.status == 503
                assert "1 pages are open" in await answer.text()
            chats = only.chats()
        await until_gone(chats)
        async with client.ws_connect(url) as again:
            assert (await again.receive()).type == aiohttp.WSMsgType.BINARY


async def test_a_killed_server_leaves_no_chat_behind(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with served(tmp_path) as made, client.ws_connect(f"{made.origin}/ws?token={made.token}") as connection:
        await connection.receive()
        chats = made.chats()
        assert len(chats) == 1
        made.process.send_signal(signal.SIGKILL)
        await until_gone(chats)


async def test_a_port_that_is_taken_and_an_address_that_is_not_ours(session: Session) -> None:
    session.keep = False
    session.host.configs["web"] = WebSettings
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} is taken: end what uses it, or choose another with --port"):
            await anext(web.function(session, port=port))
    with pytest.raises(UsageError, match=r"cannot be served on '203.0.113.9'.*Leave out --host"):
        await anext(web.function(session, port=0, host="203.0.113.9"))


async def test_it_is_for_the_shell(session: Session) -> None:
    with pytest.raises(UsageError, match="leave the chat and run `chatapp web`"):
        await anext(web.function(session))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
async def test_this_machine(host: str) -> None:
    assert is_here(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
async def test_not_only_this_machine(host: str) -> None:
    assert not is_here(host)
