"""What a remote engine says and does when its server is busy, silent, cut off, wrong or not there."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from chatapp import Finished, Progress, Session, TextDelta
from chatapp_openai import connecting
from tests.plugins.openai_support import MODEL, Reply, Rough, ask, chunk, only, refuses, rough, says, talking, text_of

pytest.importorskip("openai")


@pytest.fixture
def server() -> Iterator[Rough]:
    """A server that does as it is told."""
    with rough() as made:
        yield made


@pytest.fixture
async def session(tmp_path: Path, server: Rough) -> AsyncIterator[Session]:
    """A session on it, which asks again twice."""
    async with talking(tmp_path, server.url, retries=2) as made:
        yield made


async def fails(session: Session) -> str:
    """The sentence with which the next turn fails."""
    *_, last = await ask(session)
    assert isinstance(last, Finished)
    assert last.reason == "failed"
    # One sentence, apart from the server's own words.
    assert re.fullmatch(r"[^\n]+[.?]", last.error)
    assert ". " not in re.sub(r"\([^)]*\)", "", last.error)
    return last.error


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are a hundredth as long."""
    monkeypatch.setattr("chatapp_openai.connecting.sleep", lambda seconds: asyncio.sleep(seconds / 100))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_what_passes_is_asked_again_with_progress(session: Session, server: Rough, status: int) -> None:
    server.chat(refuses(status, "busy"), refuses(status, "busy", **{"Retry-After": "3"}))
    events = await ask(session)
    assert text_of(events) == "Hello there."
    assert events[-1] == Finished("stop")
    waits = [each for each in only(events, Progress) if "asking again" in each.label]
    assert {each.label for each in waits} == {
        f"gpu {'is busy' if status == 429 else f'failed ({status})'}: asking again"
    }
    assert [(each.done, each.total) for each in waits[-3:]] == [(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)]
    assert len(server.chats) == 3


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("reply", "tries", "said"),
    [
        (refuses(429, "Too many."), 3, r"takes no more requests now \(Too many\): try again later, or look at"),
        (refuses(429, "Quota.", **{"Retry-After": "9000"}), 1, r"takes no more requests now \(Quota\)"),
        (refuses(503, "Loading"), 3, r"failed with status 503 \(Loading\): try again, or look at its log\.$"),
        (Reply(502, "<html><body>Bad gateway</body></html>"), 3, "failed with status 502: try again"),
        (refuses(401, "Unknown key"), 1, r"wants a key \(Unknown key\): run `chatapp openai key gpu`\.$"),
        (refuses(403, "No"), 1, r"does not allow this with the key \(No\): run `chatapp openai key gpu`\.$"),
        (refuses(418, "I am\na teapot. Sorry."), 1, r"refused the request with status 418 \(I am a teapot\. Sorry\)"),
        (
            Reply(307, headers={"Location": "http://example.com/"}),
            1,
            "sends us on to http://example.com/, which is not",
        ),
        (Reply(events=('data: {"error": {"message": "Out of memory"}}\n\n',)), 1, r"failed: Out of memory\.$"),
        (Reply(body="<!doctype html><p>Hi", headers={"Content-Type": "text/html"}), 1, "answers with a web page"),
        (Reply(body='{"error": "Unexpected"}'), 1, r"does not stream its answer \(\{\"error\": \"Unexpected\"\}\)"),
        (Reply(events=("data: {nothing\n\n",)), 1, "sent something that is no answer of OpenAI's interface"),
        (Reply(events=("data: [1, 2]\n\n",)), 1, "malformed event|no answer of OpenAI's interface"),
        (Reply(events=('data: {"choices": 5}\n\n',)), 1, "sent a malformed event"),
        (Reply(events=("data: [DONE]\n\n",)), 3, r"ended without an answer\.$"),
        (Reply(cut=True), 3, "broke off|cannot be reached"),
    ],
)
async def test_what_stays_is_one_sentence(session: Session, server: Rough, reply: Reply, tries: int, said: str) -> None:
    server.usual["/v1/chat/completions"] = reply
    told = await fails(session)
    assert re.search(said, told), told
    assert len(server.chats) == tries
    # The next answer may be a good one.
    del server.usual["/v1/chat/completions"]
    assert text_of(await ask(session)) == "Hello there."


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Reply(cut=True), "broke the answer off in the middle: /retry asks again"),
        (Reply(), "broke the answer off in the middle: /retry asks again"),
        (Reply(events=("data: {no\n\n",)), "sent something that is no answer"),
        (Reply(events=("data: 7\n\n",)), "malformed|no answer"),
        (Reply(events=('data: {"error": {"message": "CUDA error"}}\n\n',)), "failed: CUDA error"),
    ],
)
async def test_a_broken_answer_is_kept(session: Session, server: Rough, end: Reply, said: str) -> None:
    events = (chunk(content="Half of"), chunk(content=" it"), *end.events)
    server.chat(Reply(events=events, cut=end.cut))
    assert re.search(said, await fails(session))
    assert session.turn is not None
    assert session.turn.text == "Half of it"
    # Nothing is asked again once something was answered.
    assert len(server.chats) == 1
    assert text_of(await ask(session, "Go on")) == "Hello there."


@pytest.mark.parametrize("said", ["", "Half of it"])
async def test_silence_is_not_waited_for(tmp_path: Path, server: Rough, said: str) -> None:
    patience = {"silent_seconds": 0.2} if said else {"first_token_seconds": 0.2}
    server.chat(Reply(events=(chunk(content=said),) if said else (), silent=True))
    async with talking(tmp_path, server.url, retries=2, **patience) as session:
        assert "says nothing any more: it is overloaded or stuck; the settings first_token_seconds" in await fails(
            session
        )
        assert session.turn is not None
        assert session.turn.text == said
    assert await asyncio.to_thread(server.gone.wait, 60)
    assert len(server.chats) == 1


async def test_stopping_closes_the_stream(session: Session, server: Rough) -> None:
    server.chat(Reply(events=(chunk(content="One"),), silent=True))
    async with aclosing(session.send("Count")) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert await asyncio.to_thread(server.gone.wait, 60)
    assert session.turn is not None
    assert (session.turn.text, session.turn.finished) == ("One", Finished("stopped"))


async def test_stopping_ends_a_pause(session: Session, server: Rough) -> None:
    server.usual["/v1/chat/completions"] = refuses(429, "busy", **{"Retry-After": "100"})
    async with aclosing(session.send("Count")) as events:
        async for event in events:
            if isinstance(event, Progress) and event.total == 100.0:
                break
    assert len(server.chats) == 1
    assert session.turn is not None
    assert session.turn.finished == Finished("stopped")


async def test_stopping_while_nothing_has_come(tmp_path: Path, server: Rough) -> None:
    server.chat(Reply(silent=True))
    async with talking(tmp_path, server.url) as session:
        turn = asyncio.ensure_future(ask(session))
        assert await asyncio.to_thread(server.came.wait, 60)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert await asyncio.to_thread(server.gone.wait, 60)


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    async with talking(tmp_path, url, retries=3) as session:
        told = await fails(session)
    assert re.search(r"cannot be reached \(Connection refused\): start it, or mend its url\.$", told), told


@pytest.mark.parametrize("status", [404, 500])
async def test_a_model_that_is_not_there(tmp_path: Path, server: Rough, status: int) -> None:
    async with talking(tmp_path, server.url, model="gpu/toy-8b") as session:
        assert (await fails(session)).endswith(f"has no model toy-8b: it has {MODEL}.")
    # A server without a list says so when it is asked.
    server.usual["/v1/models"] = Reply(status, "{}")
    server.chat(refuses(404, "The model does not exist."))
    async with talking(tmp_path, server.url) as session:
        assert "has no model toy-7b (The model does not exist): is its name right" in await fails(session)
        assert text_of(await ask(session)) == "Hello there."


@pytest.mark.parametrize("reply", [Reply(404, "<html>"), Reply(body="<html>", headers={"Content-Type": "text/html"})])
async def test_a_url_without_v1(tmp_path: Path, server: Rough, reply: Reply) -> None:
    url = server.url.removesuffix("/v1")
    server.usual["/models"] = reply
    async with talking(tmp_path, url) as session:
        assert (await fails(session)).endswith(f" answers at {server.url}: set openai.servers.gpu.url to that.")


async def test_a_url_of_something_else(tmp_path: Path, server: Rough) -> None:
    page = Reply(body="<!DOCTYPE html><p>Welcome", headers={"Content-Type": "text/html"})
    server.usual["/v1/models"] = page
    async with talking(tmp_path, server.url) as session:
        assert "answers with a web page: its url is that of something else" in await fails(session)
        server.usual["/v1/models"] = Reply(body='{"data": 5}')
        assert "answers with something that is no JSON" in await fails(session)


async def test_settings_that_cannot_be_used(tmp_path: Path, server: Rough) -> None:
    for place, (url, said) in enumerate(
        [
            ("", r"openai\.servers\.gpu\.url is no address of a server"),
            ("localhost:8000", "is no address of a server"),
            ("http://[::1", "is no address of a server"),
            ("http://me:pass@127.0.0.1/v1", "holds more than an address"),
            ("http://127.0.0.1/v1?key=x", "holds more than an address"),
        ]
    ):
        async with talking(tmp_path / str(place), url) as session:
            told = await fails(session)
            assert re.search(said, told)
            assert "pass" not in told
            assert "=x" not in told


async def test_without_the_client_it_says_what_to_install(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "LIBRARY", "a_library_that_is_not_there")
    assert "pip install 'chatapp[openai]'" in await fails(session)


async def test_an_answer_of_the_filter_and_one_cut_by_its_length(session: Session, server: Rough) -> None:
    server.chat(says("I", finish="content_filter"), says("And so", finish="length"))
    events = await ask(session)
    assert "filter ended the answer" in str(events)
    assert (await ask(session))[-1] == Finished("length")
