"""Adapters over the real 0.5B model, as a session uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp import Adapter, EngineConfig, Session, hookimpl
from chatapp_llama.engine import LlamaEngine
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import Answer, answer_of
from tests.plugins.real import collect, real_session, sampled

INVOCATION = (151644, 77091, 198)
"""The tokens of `<|im_start|>assistant`, newline, in the vocabulary of Qwen2."""


class Chosen:
    """A plugin that lays on what a test chose."""

    def __init__(self) -> None:
        self.adapters: Sequence[Adapter] = ()

    @hookimpl
    def configure_engine(self, config: EngineConfig) -> EngineConfig:
        """The configuration with the chosen adapters."""
        return replace(config, adapters=tuple(self.adapters))


@pytest.fixture
async def session(tmp_path: Path, model_path: Path) -> AsyncIterator[Session]:
    """A session with the real model."""
    async with real_session(tmp_path, model_path) as made:
        yield sampled(made, max_tokens=16, logprobs=3)


async def regenerated(session: Session) -> Answer:
    """The last answer once more."""
    return answer_of(await collect(session.regenerate()))


async def test_mixes_are_changed_in_mid_conversation(session: Session, tmp_path: Path, model_path: Path) -> None:
    chosen = Chosen()
    session.host.add("chosen", chosen)
    ordinary = Adapter("ordinary", str(write_adapter(tmp_path / "o.gguf", model_path, scale=0.05, seed=1)))
    path = write_adapter(tmp_path / "a.gguf", model_path, scale=0.05, seed=2, invocation=INVOCATION)
    activated = Adapter("activated", str(path))
    plain = answer_of(await collect(session.send("What is the capital of France?")))
    engine = session.host.engines.current()
    assert isinstance(engine, LlamaEngine)
    pid = engine.pid
    chosen.adapters = [ordinary]
    changed = await regenerated(session)
    assert changed.usage.reused_tokens == 0
    assert not changed.like(plain)
    chosen.adapters = []
    assert (await regenerated(session)).like(plain)
    chosen.adapters = [activated]
    first = await regenerated(session)
    assert first.usage.evaluated_tokens == len(INVOCATION)
    assert not first.like(plain)
    assert not first.like(changed)
    await engine.settled()
    second = answer_of(await collect(session.send("And of Spain?")))
    assert second.usage.reused_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert engine.pid == pid
    # A model that has read nothing under another mix says the same.
    async with real_session(tmp_path / "fresh", model_path) as fresh:
        sampled(fresh, max_tokens=16, logprobs=3)
        fresh.host.add("chosen", chosen)
        chosen.adapters = [ordinary]
        new = answer_of(await collect(fresh.send("What is the capital of France?")))
        assert new.like(changed)
