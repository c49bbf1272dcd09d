"""Keys of servers: where they are kept, and where they never show up; and what `--offline` lets through."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapp import EngineError, Finished, OfflineError, PlainUI, Session, UsageError
from chatapp_openai import addresses
from chatapp_openai.addresses import allow, loopback, place_of
from chatapp_openai.keys import masked
from tests.plugins.openai_support import Rough, ask, host_for, refuses, rough, talking, text_of
from tests.support_plugins import write_settings

pytest.importorskip("openai")
keyring = pytest.importorskip("keyring")
SECRET = "sk-very-secret-1234"


@pytest.fixture
def server() -> Iterator[Rough]:
    """A server that does as it is told."""
    with rough() as made:
        yield made


@pytest.fixture(autouse=True)
def ring() -> Iterator[dict[str, str]]:
    """A keyring that forgets all in the end; what it holds."""
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordDeleteError

    held: dict[str, str] = {}

    class Ring(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return held.get(f"{service}/{username}")

        def set_password(self, service: str, username: str, password: str) -> None:
            held[f"{service}/{username}"] = password

        def delete_password(self, service: str, username: str) -> None:
            if held.pop(f"{service}/{username}", None) is None:
                raise PasswordDeleteError("There is none.")

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())  # type: ignore[no-untyped-call]
    yield held
    keyring.set_keyring(before)


@pytest.fixture
def no_ring(ring: dict[str, str]) -> None:
    """A machine without a keyring."""
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]


async def command(session: Session, line: str) -> str:
    """What a command shows."""
    return "".join([event.text async for event in session.run(line)])  # type: ignore[union-attr]


async def test_a_key_goes_into_the_keyring_and_out_again(
    tmp_path: Path, server: Rough, ring: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(tmp_path, server.url) as session:
        session.ui = PlainUI(io.StringIO(), io.StringIO())
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
        assert await command(session, "/openai key gpu") == "The key of gpu is in the keyring."
        assert ring == {"chatapp/openai:gpu": SECRET}
        await ask(session)
        assert server.keys[-1] == f"Bearer {SECRET}"
        assert "keyring" in await command(session, "/openai list")
        # Another key, set while the first is in use: it is taken when the first is refused.
        ring["chatapp/openai:gpu"] = f"{SECRET}5"
        server.chat(refuses(401, "Expired."))
        assert text_of(await ask(session)) == "Hello there."
        assert server.keys[-1] == f"Bearer {SECRET}5"
        assert await command(session, "/openai key gpu --remove") == "The keyring holds no key of gpu any more."
        assert await command(session, "/openai key gpu --remove") == "The keyring holds no key of gpu."
        assert ring == {}
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
        with pytest.raises(UsageError, match="That is no key"):
            await command(session, "/openai key gpu")
        with pytest.raises(EngineError, match=r"There is no server 'other': add a table \[openai\.servers\.other\]"):
            await command(session, "/openai key other")


async def test_in_the_chat_a_key_is_not_typed(tmp_path: Path, server: Rough) -> None:
    async with talking(tmp_path, server.url) as session:
        with pytest.raises(
            UsageError, match=r"typed in the shell, where they are not shown: chatapp openai key gpu\.$"
        ):
            await command(session, "/openai key gpu")


@pytest.mark.usefixtures("no_ring")
async def test_without_a_keyring_one_sentence(tmp_path: Path, server: Rough, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(tmp_path, server.url) as session:
        # A server that wants no key is used all the same.
        assert text_of(await ask(session)) == "Hello there."
        assert server.keys[-1] == "Bearer none"
        session.ui = PlainUI(io.StringIO(), io.StringIO())
        monkeypatch.setattr(sys, "stdin", io.StringIO(SECRET))
        with pytest.raises(EngineError, match=r"^This machine has no keyring that could be used: name an environment"):
            await command(session, "/openai key gpu")


async def test_a_key_of_the_environment(tmp_path: Path, server: Rough, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-this-one")
    monkeypatch.setenv("OPENAI_ORG_ID", "nor-this")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: nor-this")
    async with talking(tmp_path, server.url, key_env="GPU_KEY") as session:
        *_, last = await ask(session)
        assert isinstance(last, Finished)
        assert last.error.startswith("The environment variable GPU_KEY, named in openai.servers.gpu.key_env, holds")
        monkeypatch.setenv("GPU_KEY", SECRET)
        await ask(session)
        assert set(server.keys) == {f"Bearer {SECRET}"}
        assert "nor-this" not in str(server.headers)
        server.chat(refuses(401, f"Incorrect API key provided: {SECRET}."))
        *_, last = await ask(session)
        assert isinstance(last, Finished)
        assert "does not accept the key of GPU_KEY (Incorrect API key provided: …): set GPU_KEY anew." in last.error


async def test_a_key_shows_up_nowhere(
    tmp_path: Path, server: Rough, ring: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    ring["chatapp/openai:gpu"] = SECRET
    with caplog.at_level("DEBUG"):
        async with talking(tmp_path, server.url) as session:
            for status in (400, 401, 403, 404, 429, 500):
                server.chat(refuses(status, f"You sent {SECRET}."))
                *_, last = await ask(session)
                assert isinstance(last, Finished)
                assert last.reason == "failed"
                assert SECRET not in last.error
            await command(session, "/openai list")
    assert SECRET not in caplog.text
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []
    assert masked("none of it", "none") == "… of it"
    assert masked("abc", "abc") == "abc"


@pytest.mark.parametrize("setting", [f'key = "{SECRET}"', f'api_key = "{SECRET}"', f'key_env = "{SECRET}"'])
async def test_a_key_in_the_settings_is_not_used_nor_shown(tmp_path: Path, server: Rough, setting: str) -> None:
    write_settings(tmp_path, f'[openai.servers.gpu]\nurl = "{server.url}"\n{setting}\n')
    host = host_for(tmp_path, server.url)
    host.settings = type(host.settings)(tmp_path / "config" / "settings.toml", {"model": "gpu/toy-7b"})
    with pytest.raises(EngineError) as refused:
        place_of(host, "gpu")
    assert "run `chatapp openai key gpu`" in str(refused.value)
    assert SECRET not in f"{refused.value} {host.settings.problems} {host.ui.notices}"  # type: ignore[attr-defined]


async def test_settings_that_there_are_not_are_named(tmp_path: Path, server: Rough) -> None:
    with pytest.raises(EngineError, match=r"^There is no setting openai\.servers\.gpu\.modles: there are url, "):
        place_of(host_for(tmp_path, server.url, modles=["x"]), "gpu")


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("LOCALHOST", True),
        ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.example.com", False), ("127.1", False), ("", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(name: str, local: bool) -> None:
    assert loopback(name) is local


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "http://10.0.0.1/v1", "http://localhost.example.com/v1"])
async def test_offline_it_stays_on_this_machine(tmp_path: Path, url: str) -> None:
    async with talking(tmp_path, url) as session:
        *_, last = await ask(session)
        assert isinstance(last, Finished)
        assert "is not on this machine, and --offline forbids the network: choose a local model." in last.error


async def test_offline_a_name_must_mean_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_for(tmp_path, "http://localhost:1/v1")
    await allow(host, place_of(host, "gpu"))
    monkeypatch.setattr(addresses, "_found", lambda name: ["127.0.0.1", "192.0.2.7"])
    with pytest.raises(OfflineError):
        await allow(host, place_of(host, "gpu"))


async def test_a_proxy_is_not_asked_for_this_machine(
    tmp_path: Path, server: Rough, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with talking(tmp_path, server.url) as session:
        assert text_of(await ask(session)) == "Hello there."
