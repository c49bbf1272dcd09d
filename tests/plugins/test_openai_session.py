"""A conversation with a remote model: adapters of the server's, tools, switching, and what `/model` offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import chatapp_example
from chatapp import (
    Adapter,
    AdaptingEngine,
    EngineConfig,
    EngineError,
    EngineSpec,
    Finished,
    Host,
    Notice,
    Request,
    Session,
    ToolCall,
    ToolResult,
    hookimpl,
    tool_of,
    user,
)
from tests.plugins.openai_support import (
    MODEL,
    Reply,
    Rough,
    ask,
    chunk,
    host_for,
    only,
    refuses,
    rough,
    talking,
    text_of,
)
from tests.support_plugins import run, started

pytest.importorskip("openai")
ADAPTERS: list[dict[str, Any]] = [
    {"id": MODEL, "owned_by": "vllm", "max_model_len": 16384, "parent": None},
    *({"id": name, "owned_by": "vllm", "parent": MODEL} for name in ("brief", "poet")),
    {"id": "other", "owned_by": "vllm", "parent": "toy-13b"},
]
"""What vLLM lists with `--lora-modules`."""


@pytest.fixture
def server() -> Iterator[Rough]:
    """A server that does as it is told."""
    with rough() as made:
        yield made


@pytest.fixture
async def session(tmp_path: Path, server: Rough) -> AsyncIterator[Session]:
    """A session on it."""
    async with talking(tmp_path, server.url) as made:
        yield made


async def test_its_own_adapters_are_chosen_by_name(session: Session, server: Rough) -> None:
    server.models = ADAPTERS

    await ask(session)
    engine = session.host.engines.current()
    assert isinstance(engine, AdaptingEngine)
    assert (engine.info.context_length, engine.info.details["served_adapters"]) == (16384, ["brief", "poet"])
    assert (await engine.examine(Adapter("poet", ""))).rank == 0
    with pytest.raises(EngineError, match=r"has no adapter other for toy-7b \(it has brief, poet\): it is left out\.$"):
        await engine.examine(Adapter("other", ""))
    expected = [
        (("poet", 1.0), "poet", 0),
        (("poet", 0.5), MODEL, 1),
        (("other", 1.0), MODEL, 1),
        (("other", 1.0), MODEL, 0),
    ]
    for pair, model, notices in expected:
        assert await engine.tune(EngineConfig(f"gpu/{MODEL}", adapters=(Adapter(pair[0], "", pair[1]),)))
        async with aclosing(engine.stream(Request((user("Hi"),)))) as stream:
            events = [event async for event in stream]
        assert (server.chats[-1]["model"], len(only(events, Notice))) == (model, notices)
    assert await engine.tune(EngineConfig(f"gpu/{MODEL}", adapters=(Adapter("brief", ""), Adapter("poet", ""))))
    assert engine.info.details["adapter"] == ""
    assert not await engine.tune(EngineConfig("gpu/other"))


async def test_model_switches_and_completes(session: Session, server: Rough) -> None:
    spec: EngineSpec = session.host.engine_specs["openai"]
    server.models.append({"id": "toy-13b", "owned_by": "vllm"})
    await ask(session)
    shown = [event async for event in session.run("/model gpu/toy-13b")]
    assert shown[0].text == "gpu/toy-13b answers from now on."  # type: ignore[union-attr]
    await ask(session, "And you?")
    assert [body["model"] for body in server.chats] == [MODEL, "toy-13b"]
    assert [each["content"] for each in server.chats[-1]["messages"][-3:]] == ["Hi", "Hello there.", "And you?"]
    assert list(spec.models(session.host)) == [f"gpu/{MODEL}", "gpu/toy-13b"]


async def test_lora_chooses_a_servers_adapter(tmp_path: Path, server: Rough) -> None:
    chatapp_lora = pytest.importorskip("chatapp_lora")
    server.models = ADAPTERS

    def host() -> Host:
        made = host_for(tmp_path, server.url)
        made.add("lora", chatapp_lora)
        return made

    async with started(host()) as session:
        await ask(session)
        shown = str(await run(session, "/lora poet"))
        assert "From now on with poet" in shown
        assert "the server's" in str(await run(session, "/lora list"))
        await ask(session, "A poem")
        assert [body["model"] for body in server.chats] == [MODEL, "poet"]
        kept = session.values["lora"]
    # Another start: what was chosen is on from the first answer, and nothing is said of it.
    async with started(host()) as session:
        session.values["lora"] = kept
        events = await ask(session, "Another")
        assert server.chats[-1]["model"] == "poet"
        assert (only(events, Notice), session.host.ui.notices) == ([], [])  # type: ignore[attr-defined]
        await run(session, "/lora off")
        await ask(session, "And plain")
        assert server.chats[-1]["model"] == MODEL
        # One that was made for local models is said to be missing, once.
        session.values["lora"] = {"json": 1.0}
        assert [each.text for each in only(await ask(session, "As JSON"), Notice)] == [
            "The server gpu has no adapter json for toy-7b (it has brief, poet): it is left out."
        ]


class Offering:
    """A plugin that offers the die as a tool."""

    @hookimpl
    def prepare_request(self, request: Request) -> Request:
        """The request with the tool."""
        return replace(request, tools=(tool_of(chatapp_example.dice),))


async def test_a_tool_is_used(tmp_path: Path, server: Rough) -> None:
    host = host_for(tmp_path, server.url)
    host.add("example", chatapp_example)
    host.add("offering", Offering())
    call = {"index": 0, "id": "a1", "type": "function", "function": {"name": "dice", "arguments": '{"sides": 1}'}}
    server.chat(Reply(events=(chunk(tool_calls=[call]), chunk("tool_calls"), "data: [DONE]\n\n")))
    async with started(host) as session:
        events = await ask(session, "Roll")
    assert only(events, ToolCall) == [ToolCall("a1", "dice", {"sides": 1})]
    assert "shows 1" in only(events, ToolResult)[0].text
    assert text_of(events) == "Hello there."
    assert events[-1] == Finished("stop")
    roles = [each["role"] for each in server.chats[-1]["messages"]]
    assert roles[-3:] == ["user", "assistant", "tool"]
    assert server.chats[-1]["messages"][-1]["tool_call_id"] == "a1"


async def offers(session: Session) -> list[str]:
    """What `/model` completes, asked as the chat does: in a thread."""
    spec = session.host.engine_specs["openai"]
    return await asyncio.to_thread(lambda: list(spec.models(session.host)))


async def test_servers_are_asked_in_the_background_when_first_completed(session: Session, server: Rough) -> None:
    assert server.asked == []
    assert await offers(session) == []
    while not await offers(session):  # noqa: ASYNC110 (no event of ours is set)
        await asyncio.sleep(0.01)
    assert await offers(session) == [f"gpu/{MODEL}"]
    assert [path for path, _ in server.asked] == ["/v1/models"]


@pytest.mark.parametrize("reply", [refuses(401, "No."), Reply(body="<html>"), Reply(body="[5]"), Reply(silent=True)])
async def test_a_server_that_does_not_say_is_left_out(session: Session, server: Rough, reply: Reply) -> None:
    server.usual["/v1/models"] = reply
    assert await offers(session) == []
    while not server.asked:  # noqa: ASYNC110 (the server's thread sets no event of ours)
        await asyncio.sleep(0.01)
    assert await offers(session) == []


async def test_models_of_the_settings_are_offered_without_asking(tmp_path: Path, server: Rough) -> None:
    async with talking(tmp_path, server.url, models=["a/b", "c"]) as session:
        assert await offers(session) == ["gpu/a/b", "gpu/c"]
        assert server.asked == []
