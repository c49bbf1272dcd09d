"""Opening engines: when one is kept, tuned or opened anew, what is told meanwhile, and what happens when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chatapp import (
    EngineConfig,
    EngineError,
    EngineInfo,
    EngineSpec,
    Event,
    Finished,
    Host,
    ModelError,
    Progress,
    Report,
    Request,
    Session,
    TextDelta,
    hookimpl,
)
from chatapp.testing import make_host, script


@dataclass
class Small:
    """An engine that says its own number; it can take on other threads, nothing else."""

    number: int
    config: EngineConfig
    closed: int = 0
    tuned: list[EngineConfig] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        """Its model."""
        return EngineInfo("small", self.config.model, 1000)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Its number."""
        yield TextDelta(str(self.number))
        yield Finished()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words."""
        return [len(text.split()) for text in texts]

    async def tune(self, config: EngineConfig) -> bool:
        """Threads may change."""
        self.tuned.append(config)
        fits = replace(config, threads=None) == replace(self.config, threads=None)
        self.config = config if fits else self.config
        return fits

    async def close(self) -> None:
        """Note it."""
        self.closed += 1


class Plugin:
    """Offers `small` for models that begin with "small", and wants as many threads as it is told."""

    def __init__(self) -> None:
        self.made: list[Small] = []
        self.failures: list[Exception] = []
        self.threads: int | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.given_up = 0

    async def open(self, host: Host, config: EngineConfig, report: Report) -> Small:
        """Open one, in two steps."""
        report(Progress("Opening", 1, 2))
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        report(Progress("Opening", 2, 2))
        if self.failures:
            raise self.failures.pop()
        self.made.append(Small(len(self.made), config))
        return self.made[-1]

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """The engine, and one that would take anything, declared before it."""

        async def refuse(host: Host, config: EngineConfig, report: Report) -> Small:
            raise ModelError(f"There is no model called {config.model}.")

        yield EngineSpec("any", refuse)
        yield EngineSpec("small", self.open, accepts=lambda host, model: model.startswith("small"))

    @hookimpl
    def configure_engine(self, config: EngineConfig, session: Session) -> EngineConfig:
        """Set the threads."""
        return replace(config, threads=self.threads)


@pytest.fixture
def plugin(host: Host) -> Plugin:
    """The plugin, on a host that chooses the engine by the model's name."""
    made = Plugin()
    host.settings.core.engine = ""
    host.settings.core.model = "small-1"
    host.add("small", made)
    return made


async def news(session: Session) -> list[Progress]:
    """What is told while the engine is made ready."""
    return [progress async for progress in session.warm()]


async def said(session: Session) -> str:
    """The answer to a message."""
    return "".join([event.text async for event in session.send("Hi") if isinstance(event, TextDelta)])


async def test_an_engine_is_opened_once_and_progress_is_told(host: Host, plugin: Plugin) -> None:
    session = Session(host)
    assert host.engines.current() is None
    assert [each.done for each in await news(session)] == [1, 2]
    assert host.engines.current() is plugin.made[0]
    assert await news(session) == []
    assert [await said(session), await said(Session(host))] == ["0", "0"]
    assert len(plugin.made) == 1
    assert plugin.made[0].tuned == [], "an equal configuration needs no tuning"


async def test_what_can_be_tuned_is_and_the_rest_opens_anew(host: Host, plugin: Plugin) -> None:
    session = Session(host)
    await said(session)
    plugin.threads = 3
    assert await said(session) == "0"
    assert plugin.made[0].config.threads == 3
    session.values["model"] = "small-2"
    assert await said(session) == "1"
    assert [each.closed for each in plugin.made] == [1, 0], "at most one is open"
    assert host.engines.current() is plugin.made[1]
    assert list(session.conversation.path())[-1].meta["model"] == "small-2"
    # Another conversation still wants the first model, and gets it.
    assert await said(Session(host)) == "2"
    assert plugin.made[2].config.model == "small-1"
    await host.engines.close()
    assert [each.closed for each in plugin.made] == [1, 1, 1]
    assert host.engines.current() is None


async def test_an_engine_of_another_name_is_not_tuned_but_changed(host: Host, plugin: Plugin) -> None:
    session = Session(host)
    await said(session)
    session.values["model"] = "other"
    events = [event async for event in session.send("Hi")]
    assert events == [Finished("failed", "There is no model called other.")]
    assert plugin.made[0].tuned == []
    assert plugin.made[0].closed == 1
    session.values["model"] = "small-1"
    assert await said(session) == "1"


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (EngineError("Out of memory."), "Out of memory."),
        (OSError("no such device"), "The engine 'small' cannot open 'small-1': OSError: no such device"),
    ],
)
async def test_one_that_fails_to_open_is_told_and_tried_again(
    host: Host, plugin: Plugin, failure: Exception, sentence: str
) -> None:
    plugin.failures = [failure]
    session = Session(host)
    last = [event async for event in session.send("Hi")][-1]
    assert isinstance(last, Finished)
    assert last.error.startswith(sentence)
    assert host.engines.current() is None
    assert [message.role for message in session.conversation.path()] == ["user"]
    assert await said(session) == "0"


async def test_giving_up_cancels_the_opening(host: Host, plugin: Plugin) -> None:
    plugin.hold.clear()
    session = Session(host)
    async with aclosing(session.send("Hi")) as events:
        assert await anext(events) == Progress("Opening", 1, 2)
    assert plugin.given_up == 1
    assert host.engines.current() is None
    assert not session.busy
    plugin.hold.set()
    assert await said(session) == "0"


async def test_two_sessions_at_once_open_one_engine(host: Host, plugin: Plugin) -> None:
    one, other = await asyncio.gather(said(Session(host)), said(Session(host)))
    assert (one, other) == ("0", "0")
    assert len(plugin.made) == 1


async def test_the_setting_chooses_among_engines_and_a_wrong_one_is_named(host: Host, plugin: Plugin) -> None:
    host.settings.core.engine = "any"
    with pytest.raises(ModelError, match="There is no model called small-1"):
        await news(Session(host))
    host.settings.core.engine = "none"
    with pytest.raises(EngineError, match="There is no engine 'none'; `chatapp plugin list` shows"):
        await news(Session(host))
    session = Session(host)
    with pytest.raises(EngineError, match="No plugin offers an engine"):
        async with aclosing(host.engines.ready(session, "image")) as opening:
            await anext(opening)


async def test_a_host_without_an_engine_says_so(tmp_path: Path) -> None:
    host = make_host(tmp_path, engine="", model="unknown")
    try:
        with pytest.raises(EngineError, match="No plugin offers an engine for 'unknown'; `chatapp plugin list`"):
            await news(Session(host))
    finally:
        await host.shutdown()


async def test_the_sampling_is_the_conversations_then_the_settings(host: Host) -> None:
    host.settings.core.sampling.temperature = 0.3
    host.settings.core.sampling.top_k = 7
    session = Session(host)
    session.values["sampling"] = {"temperature": 0.0, "max_tokens": 5}
    sampling = session.sampling
    assert (sampling.temperature, sampling.top_k, sampling.max_tokens) == (0.0, 7, 5)
    assert [event async for event in session.send("Hi")][-1] == Finished("stop")
    assert script(session).requests[0].sampling == sampling
