"""A model of a server as the engine that answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from chatapp import (
    Adapter,
    AdapterFacts,
    ChatappError,
    EngineConfig,
    EngineError,
    EngineInfo,
    Event,
    Finished,
    Host,
    Progress,
    Report,
    Request,
    ToolCall,
    Usage,
    chat_text,
    reported,
)
from chatapp_openai.addresses import place_of, split_name
from chatapp_openai.composing import body, data_urls
from chatapp_openai.connecting import Link, Served, connect, kind_of, length_of, look, not_json
from chatapp_openai.counting import Counter
from chatapp_openai.failing import Strange, Unanswered, near
from chatapp_openai.reading import Reading
from chatapp_openai.refusing import Learned, Refusals
from chatapp_openai.serving import Adapters, known

BLIND = ", perhaps as its model sees no pictures: its setting images can be false"
CONTEXT = 8192
"""Tokens that a model is taken to read where nobody says."""
GRAMMAR = frozenset({"vllm", "llama-server", "llama-cpp-python"})


@dataclass(slots=True)
class Call:
    """One request under way: what is asked, and what comes back."""

    request: Request
    asked: float = field(default_factory=time.monotonic)
    stream: Any = None
    events: AsyncIterator[Any] | None = None
    first: Any = None

    async def close(self) -> None:
        """Close the stream, so that the server stops; safe to call twice."""
        events, self.events = self.events, None
        if isinstance(events, AsyncGenerator):
            await events.aclose()
        stream, self.stream = self.stream, None
        if stream is not None:
            await stream.close()


class RemoteEngine:
    """Answers with a model of a server; see `chatapp.Engine`."""

    def __init__(
        self, host: Host, link: Link, config: EngineConfig, name: str, served: list[Served] | None, length: int | None
    ) -> None:
        self.config = config
        self.link = link
        self._host = host
        self._name = name
        self._served = served or []
        self._length = link.place.server.context_length or length or CONTEXT
        self._kind = kind_of(link, served)
        self._refusals = Refusals(link.place.name)
        self._adapters = Adapters(link.place.name, name, self._served)
        self._counter = Counter(link, self._kind, name)
        self._reasons = False
        self._lay(config.adapters)

    @property
    def info(self) -> EngineInfo:
        """The model as NAME/model. `details`: "server", "url", "kind", "tokens" ("counted" or "estimated").

        "served_adapters" are the names of the server's own adapters for this model, "adapter" the one that is on.
        """
        server = self.link.place.server
        features = {"tools", "logprobs", "json_schema"}
        features |= {"grammar"} if self._kind in GRAMMAR else set()
        features |= {"images"} if server.images and not self._refusals.pictures else set()
        features |= {"adapters"} if self._adapters.names else set()
        features |= {"reasoning"} if self._reasons else set()
        details = {
            "server": self.link.place.name,
            "url": self.link.place.url,
            "kind": self._kind,
            "tokens": "counted" if self._counter.exact else "estimated",
            "served_adapters": list(self._adapters.names),
            "adapter": self._adapters.on,
        }
        return EngineInfo("openai", self.config.model, self._length, frozenset(features), details)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer; see `chatapp.Engine.stream`. EngineError in one sentence, also in the middle of an answer."""
        call = Call(request)
        try:
            async with aclosing(reported(partial(self._begin, call))) as news:
                async for progress in news:
                    yield progress
            for notice in self._refusals.news():
                yield notice
            reading = Reading(call.asked)
            async with aclosing(self._read(call, reading)) as events:
                async for event in events:
                    yield event
            calls = list(reading.calls())
            for each in calls:
                yield each
            called = any(isinstance(each, ToolCall) for each in calls)
            self._reasons = self._reasons or bool(reading.reasoning)
            yield await self._usage(call.request, reading)
            yield Finished(reading.reason(called))
        finally:
            await call.close()

    async def _begin(self, call: Call, report: Report) -> None:
        """Ask until the answer begins: again while the server is busy, and without what it does not know."""
        shown = self.link.place.server.images
        pictures = await asyncio.to_thread(data_urls, call.request) if shown else {}
        while True:
            pictures = {} if self._refusals.pictures else pictures
            sent, missing = body(call.request, self._kind, self._adapters.on or self._name, pictures)
            for name in missing:
                self._refusals.missing(name)
            sent["stream_options"] = {"include_usage": True}
            sent = self._refusals.without(sent)
            try:
                await self.link.patiently(partial(self._try, call, sent, bool(pictures)), report)
                return
            except Learned:
                continue
            except ChatappError:
                raise
            except Exception as error:
                raise self._failed(error) from error

    async def _try(self, call: Call, sent: dict[str, Any], pictures: bool) -> None:
        """Ask once and wait for the first event; raises what the client raises, Unanswered, Strange, TimeoutError."""
        import openai

        call.asked = time.monotonic()
        further = {name: value for name, value in sent.items() if name not in ("model", "messages")}
        try:
            async with asyncio.timeout(self.link.place.server.first_token_seconds):
                call.stream = await self.link.client.chat.completions.create(
                    model=sent["model"], messages=sent["messages"], stream=True, extra_body=further
                )
                await _check(call.stream.response)
                call.events = aiter(call.stream)
                call.first = await anext(call.events, None)
                if call.first is None:
                    raise Unanswered(f"ended without an answer{BLIND if pictures else ''}")
        except BaseException as error:
            await call.close()
            if isinstance(error, openai.APIError) and self._refusals.learn(error, sent, pictures=pictures):
                raise Learned from error
            raise

    async def _read(self, call: Call, reading: Reading) -> AsyncGenerator[Event, None]:
        server = self.link.place.server
        chunk = call.first
        while chunk is not None:
            for event in self._fed(reading, chunk):
                yield event
            seconds = server.silent_seconds if reading.deltas else server.first_token_seconds
            chunk = await self._next(call, seconds)
        if not reading.finish:
            raise self.link.failures.sentence("broke the answer off in the middle: /retry asks again.")

    def _fed(self, reading: Reading, chunk: Any) -> list[Event]:
        try:
            return list(reading.feed(chunk))
        except (Strange, TypeError, ValueError) as error:
            raise self._failed(error) from error

    async def _next(self, call: Call, seconds: float) -> Any:
        import openai

        assert call.events is not None
        try:
            async with asyncio.timeout(seconds):
                return await anext(call.events, None)
        except (TimeoutError, openai.APITimeoutError) as error:
            raise self._failed(error) from error
        except openai.APIConnectionError as error:
            raise self.link.failures.sentence("broke the answer off in the middle: /retry asks again.") from error
        except (openai.APIError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> EngineError:
        return self.link.failures.of(error, self._name, [each.id for each in self._served])

    async def _usage(self, request: Request, reading: Reading) -> Usage:
        """The server's account of the answer, or what can be counted here."""
        prompt = completion = 0
        if reading.usage is None:
            texts = [chat_text(message) for message in request.messages]
            *counts, completion = await self.count_tokens([*texts, reading.reasoning + reading.text])
            prompt = sum(counts)
            # Nearly every server sends each token by itself; where it does not, the text's length says more.
            completion = completion if self._counter.exact else max(completion, reading.deltas)
        return reading.cost(prompt, completion, self._length)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is: counted by the server, else estimated; `info.details["tokens"]` says which."""
        return await self._counter.count(texts)

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """See `chatapp.AdaptingEngine.examine`: the server's adapter of that name; of what it is nothing is known."""
        if adapter.name not in self._adapters.names:
            raise EngineError(self._adapters.lacks(adapter.name))
        return AdapterFacts(0, 0.0, (), 0, "")

    async def tune(self, config: EngineConfig) -> bool:
        """Take on the server's adapter of the configured one's name; False when more than adapters differs."""
        if replace(config, adapters=()) != replace(self.config, adapters=()):
            return False
        if place_of(self._host, self.link.place.name) != self.link.place:
            return False
        self._lay(config.adapters)
        self.config = config
        return True

    def _lay(self, adapters: Sequence[Adapter]) -> None:
        for sentence in self._adapters.lay(adapters):
            self._refusals.tell(sentence)

    async def close(self) -> None:
        """Close the connections."""
        await self.link.close()


async def _check(response: Any) -> None:
    """Raise Strange unless the response streams events; a server's own words are told."""
    kind = response.headers.get("content-type", "")
    if "html" not in kind and "json" not in kind:
        return
    text = (await response.aread()).decode("utf-8", "replace")
    if "json" in kind:
        raise Strange(f"does not stream its answer ({text[:200]})")
    raise Strange(not_json(kind, text))


async def open_engine(host: Host, config: EngineConfig, report: Report) -> RemoteEngine:
    """Ask the server what it has, and open one of its models; EngineError or OfflineError says why that cannot be."""
    named = split_name(host, config.model)
    if named is None:
        raise EngineError(f"{config.model!r} names no server of the settings: write NAME/model.")
    place = place_of(host, named[0])
    link = await connect(host, place)
    try:
        report(Progress(f"Asking {place.name}"))
        served = await look(link)
        known(host).note(place.name, [each.id for each in served or ()])
        model = _chosen(link, named[1], served)
        length = await length_of(link, kind_of(link, served), served, model)
        return RemoteEngine(host, link, config, model, served, length)
    except BaseException:
        await link.close()
        raise


def _chosen(link: Link, model: str, served: list[Served] | None) -> str:
    """The model as the server calls it; EngineError, naming those like it, where its list has none of that name."""
    ids = [each.id for each in served or ()]
    if not ids or model in ids or model in link.place.server.models:
        return model
    raise link.failures.sentence(f"has no model {model}: {near(model, ids)}.")
