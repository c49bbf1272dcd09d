"""A test of an author has a home of its own and no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_testing import STRICT, Author, project


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    """An author with the plugin `units`."""
    return project(tmp_path, monkeypatch)


def test_nothing_of_the_user_is_touched(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAPP_SAFE_MODE", "1")
    monkeypatch.setenv("CHATAPP_HOME", "elsewhere")
    monkeypatch.setenv("XDG_CONFIG_HOME", "elsewhere")
    author.passes(
        """
        import os
        from pathlib import Path

        def test_it(chatapp_home, tmp_path):
            assert chatapp_home == tmp_path
            assert {key for key in os.environ if key.startswith("CHATAPP_")} == {"CHATAPP_HOME"}
            assert os.environ["CHATAPP_HOME"] == str(tmp_path)
            assert "XDG_CONFIG_HOME" not in os.environ
            assert Path("~").expanduser() == Path.home() == tmp_path / "home"

        def test_elsewhere():
            assert os.environ["CHATAPP_HOME"] == "elsewhere"
        """,
        count=2,
    )


def test_this_machine_can_be_reached(author: Author) -> None:
    author.passes(
        """
        import asyncio, socket

        async def test_it(chatapp_home):
            async def hear(reader, writer):
                writer.write(await reader.readexactly(2))
                writer.close()

            server = await asyncio.start_server(hear, "localhost", 0)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
                writer.write(b"Hi")
                assert await reader.read() == b"Hi"
                writer.close()
                await writer.wait_closed()
            here, there = socket.socketpair()
            with here, there:
                here.sendall(b"x")
                assert there.recv(1) == b"x"
        """
    )


# Numbers of RFC 5737 and 3849, which are nobody's: where the refusal failed, they would not be reached either.
@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("socket.create_connection(('192.0.2.1', 80), 1)", "192.0.2.1:80"),
        ("socket.getaddrinfo('example.org', 443)", "example.org:443"),
        ("socket.getaddrinfo(b'example.org', None)", "example.org"),
        ("asyncio.run(asyncio.open_connection('example.org', 80))", "example.org:80"),
        ("socket.socket().connect_ex(('192.0.2.1', 9))", "192.0.2.1:9"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", "192.0.2.1:9"),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 9))", "2001:db8::1:9"),
        ("urllib.request.urlopen('http://example.org')", "example.org:80"),
    ],
)
def test_the_network_is_refused(author: Author, line: str, where: str) -> None:
    source = f"""
    import asyncio, socket, urllib.request
    from chatapp.testing import NetworkRefused
    import pytest

    def test_it(chatapp_home):
        with pytest.raises(NetworkRefused) as refused:
            {line}
        assert "This test reaches for {where}, and" in str(refused.value)
        assert "mark it with @pytest.mark.network" in str(refused.value)
    """
    author.passes(source, ini=STRICT.replace("error", "ignore"))


def test_the_network_of_a_test_that_is_marked(author: Author) -> None:
    author.passes(
        """
        import socket, pytest
        before = socket.getaddrinfo, socket.socket.connect

        @pytest.mark.network
        def test_it(chatapp_home):
            assert (socket.getaddrinfo, socket.socket.connect) == before

        def test_refused(chatapp_home):
            assert socket.getaddrinfo is not before[0]

        def test_others():
            assert (socket.getaddrinfo, socket.socket.connect) == before
        """,
        "--strict-markers",
        count=3,
    )
