"""Answers of a remote model: what is sent to a server, and what comes of what it streams."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatapp import (
    Finished,
    Media,
    Message,
    Notice,
    ReasoningDelta,
    Request,
    Sampling,
    Session,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    assistant,
    user,
)
from tests.plugins.openai_support import MODEL, Reply, Rough, ask, chunk, only, refuses, rough, says, talking, text_of

pytest.importorskip("openai")
LOOK_UP = Tool("look_up", "Look something up.", {"type": "object", "properties": {"word": {"type": "string"}}})
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


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


async def answered(session: Session, request: Request) -> list[Any]:
    """What the open engine makes of a request."""
    async with aclosing(session.host.engines.ready(session)) as news:
        async for _ in news:
            pass
    engine = session.host.engines.current()
    assert engine is not None
    async with aclosing(engine.stream(request)) as events:
        return [event async for event in events]


async def test_an_answer_streams_and_is_accounted_for(session: Session, server: Rough) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 16}}
    server.chat(says("Hello there.", usage=usage))
    events = await ask(session, "Hi")
    assert [each.text for each in only(events, TextDelta)] == ["Hello", " there."]
    (cost,) = only(events, Usage)
    assert (cost.prompt_tokens, cost.reused_tokens, cost.completion_tokens, cost.context_length) == (20, 16, 2, 8192)
    assert events[-1] == Finished("stop")
    (body,) = server.chats
    assert (body["model"], body["stream"], body["stream_options"]) == (MODEL, True, {"include_usage": True})
    assert body["messages"][-1] == {"role": "user", "content": "Hi"}
    assert session.conversation.node(session.conversation.head or "").message.meta["model"] == f"gpu/{MODEL}"


async def test_without_an_account_the_tokens_are_counted(session: Session, server: Rough) -> None:
    session.values["system"] = "Be brief."
    (cost,) = only(await ask(session, "One two three"), Usage)
    assert (cost.prompt_tokens, cost.completion_tokens, cost.reused_tokens) == (5, 2, 0)
    assert session.host.engines.current().info.details["tokens"] == "counted"  # type: ignore[union-attr]


async def test_where_nobody_counts_it_is_estimated(session: Session, server: Rough) -> None:
    server.usual["/tokenize"] = Reply(404, "{}")
    (cost,) = only(await ask(session, "One two three"), Usage)
    assert cost.prompt_tokens > 4
    engine = session.host.engines.current()
    assert engine is not None
    assert engine.info.details["tokens"] == "estimated"
    assert await engine.count_tokens(["", "seven b", "日本"]) == [0, 2, 2]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_apart(session: Session, server: Rough, name: str) -> None:
    server.chat(Reply(events=(chunk(None, None, **{name: "Let me see."}), chunk(content="Four."), chunk("stop"))))
    events = await ask(session)
    assert [each.text for each in only(events, ReasoningDelta)] == ["Let me see."]
    assert text_of(events) == "Four."
    assert "reasoning" in session.host.engines.current().info.features  # type: ignore[union-attr]
    await ask(session, "And?")
    assert server.chats[-1]["messages"][-2] == {"role": "assistant", "content": "Four."}


async def test_probabilities(session: Session, server: Rough) -> None:
    top = [{"token": "Hi", "logprob": -0.1}, {"token": "Ho", "logprob": -2.5}]
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1, "top_logprobs": top}]}
    server.chat(Reply(events=(chunk(content="Hi", logprobs=logprobs), chunk("stop"))))
    events = await answered(session, Request((user("Hi"),), Sampling(logprobs=2)))
    (delta,) = only(events, TextDelta)
    assert (delta.logprobs[0].token, delta.logprobs[0].logprob) == ("Hi", -0.1)
    assert delta.logprobs[0].top == (("Hi", -0.1), ("Ho", -2.5))
    assert (server.chats[0]["logprobs"], server.chats[0]["top_logprobs"]) == (True, 2)


def piece(index: int | None, arguments: Any = "", name: str | None = None, identity: str | None = None) -> str:
    """A piece of a call."""
    call: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    call |= {"index": index} if index is not None else {}
    call |= {"id": identity, "type": "function"} if identity else {}
    return chunk(tool_calls=[call])


@pytest.mark.parametrize(
    "pieces",
    [
        [
            piece(0, "", "look_up", "a"),
            piece(0, '{"wo'),
            piece(0, 'rd": "x"}'),
            piece(1, '{"word": "y"}', "look_up", "b"),
        ],
        # All of one number, and of none.
        [piece(0, '{"word": "x"}', "look_up", "a"), piece(0, '{"word": "y"}', "look_up", "b")],
        [piece(None, '{"word": "x"}', "look_up", "a"), piece(None, '{"word"', "look_up", "b"), piece(None, ': "y"}')],
        # Arguments that are an object in place of its text.
        [piece(0, {"word": "x"}, "look_up", "a"), piece(1, {"word": "y"}, "look_up", "b")],
    ],
)
async def test_calls_of_tools_come_whole(session: Session, server: Rough, pieces: list[str]) -> None:
    server.chat(Reply(events=(chunk(content="Wait."), *pieces, chunk("tool_calls"), "data: [DONE]\n\n")))
    events = await answered(session, Request((user("Hi"),), tools=(LOOK_UP,)))
    assert only(events, ToolCall) == [ToolCall("a", "look_up", {"word": "x"}), ToolCall("b", "look_up", {"word": "y"})]
    assert events[-1] == Finished("tool_calls")
    assert server.chats[0]["tools"][0]["function"]["parameters"] == LOOK_UP.parameters


async def test_a_call_that_is_no_json_is_left_out_and_told(session: Session, server: Rough) -> None:
    server.chat(Reply(events=(piece(0, '{"word": ', "look_up", "a"), chunk("tool_calls"))))
    events = await answered(session, Request((user("Hi"),), tools=(LOOK_UP,)))
    assert only(events, ToolCall) == []
    assert "look_up" in only(events, Notice)[0].text
    assert events[-1] == Finished("stop")


async def test_calls_and_results_of_before_are_sent_in_pairs(session: Session, server: Rough) -> None:
    called = Message("assistant", (ToolCall("a", "look_up", {"word": "x"}), ToolCall("b", "look_up", {"word": "y"})))
    result = Message("tool", (ToolResult("a", "look_up", "It is x."),))
    orphan = Message("tool", (ToolResult("z", "look_up", "Of a call that was left out."),))
    choice = {"tool_choice": "none", "enable_thinking": False}
    request = Request((user("Hi"), called, result, orphan, user("So?")), tools=(LOOK_UP,), template=choice)
    await answered(session, request)
    (body,) = server.chats
    call = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "x"}'}}
    assert body["messages"][1:-1] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "It is x."},
    ]
    assert (body["tool_choice"], body["chat_template_kwargs"]) == ("none", {"enable_thinking": False})


async def test_sampling_is_sent_in_the_servers_words_and_the_rest_is_told_once(
    session: Session, server: Rough, tmp_path: Path
) -> None:
    sampling = Sampling(0.5, 0.9, 40, 0.05, 1.1, 0.2, 7, 100, ("END",), grammar='root ::= "a"')
    await answered(session, Request((user("Hi"),), sampling))
    (body,) = server.chats
    theirs = {"top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "structured_outputs": {"grammar": 'root ::= "a"'}}
    usual = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.2, "seed": 7, "max_tokens": 100, "stop": ["END"]}
    assert {name: body[name] for name in (*usual, *theirs)} == {**usual, **theirs}
    async with talking(tmp_path / "other", server.url, kind="openai") as other:
        events = await answered(other, Request((user("Hi"),), sampling))
        assert [each.text for each in only(events, Notice)] == [
            f"The server gpu does not take {name}: it is left out."
            for name in ("top_k", "min_p", "repeat_penalty", "a grammar")
        ]
        assert only(await answered(other, Request((user("Hi"),), sampling)), Notice) == []
        assert "grammar" not in other.host.engines.current().info.features  # type: ignore[union-attr]
    assert not {"top_k", "min_p", "grammar", "structured_outputs"} & set(server.chats[-1])


@pytest.mark.parametrize(("required", "strict"), [(["a"], True), ([], False)])
async def test_a_schema(session: Session, server: Rough, required: list[str], strict: bool) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "required": required, "additionalProperties": False}
    request = Request((user("Hi"),), Sampling(json_schema=schema))
    await answered(session, request)
    named = {"name": "answer", "schema": schema, "strict": strict}
    assert server.chats[0]["response_format"] == {"type": "json_schema", "json_schema": named}
    # An older server, which knows only the older form: then one that knows none.
    no = refuses(400, "response_format.type: Input should be 'text' or 'json_object'")
    server.chat(no)
    await answered(session, request)
    assert server.chats[2]["response_format"] == {"type": "json_object", "schema": schema}
    server.chat(no)
    events = await answered(session, request)
    assert "response_format" not in server.chats[-1]
    assert [each.text for each in only(events, Notice)] == [
        "The server gpu does not take response_format: it is left out."
    ]


async def test_what_a_server_refuses_is_left_out_from_then_on(session: Session, server: Rough) -> None:
    request = Request((user("Hi"),), Sampling(max_tokens=9, logprobs=1), tools=(LOOK_UP,))
    server.chat(
        refuses(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        refuses(422, "Extra inputs are not permitted: stream_options"),
        refuses(400, '"auto" tool choice requires --enable-auto-tool-choice'),
        refuses(500, "1 validation error: top_logprobs"),
        refuses(400, "max_completion_tokens is not known here"),
    )
    events = await answered(session, request)
    assert text_of(events) == "Hello there."
    last = server.chats[-1]
    assert server.chats[1]["max_completion_tokens"] == 9
    assert not {"max_tokens", "max_completion_tokens", "stream_options", "tools", "logprobs", "top_logprobs"} & set(
        last
    )
    assert [each.text.split(":")[0] for each in only(events, Notice)] == [
        "The server gpu does not take tools",
        "The server gpu does not take logprobs",
        "The server gpu does not take max_completion_tokens",
    ]
    assert only(await answered(session, request), Notice) == []
    assert len(server.chats) == 7


async def test_pictures_are_sent_and_left_out_where_refused(session: Session, server: Rough, tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    path.write_bytes(PIXEL)
    question = user("What is it?", Media(str(path), "image/png", "a dot"), Media(str(tmp_path / "no.png"), "image/png"))
    request = Request((user("Hi"), assistant("Ho"), question))
    await answered(session, request)
    text, image = server.chats[0]["messages"][-1]["content"]
    assert text == {"type": "text", "text": "a dot\n\nWhat is it?"}
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    server.chat(refuses(400, "toy-7b is not a multimodal model"))
    events = await answered(session, request)
    assert server.chats[-1]["messages"][-1]["content"] == "a dot\n\nWhat is it?"
    assert [each.text for each in only(events, Notice)] == ["The server gpu does not take pictures: it is left out."]
