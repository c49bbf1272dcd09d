"""Adapters over a model: what a switch costs with 2,000 tokens read, and how fast answers are under several."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from chatapp import Adapter, Message, Request, Sampling, TextDelta, Usage, assistant, user
from chatapp_llama.engine import LlamaEngine
from chatapp_llama.options import available_cores
from chatapp_llama.size import BATCH, Size
from tests.bench.figure import Figure, median_difference, median_ratio
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import lay, opened

ROUNDS = 3
CHANGES = 200
WRITTEN = 60
LENGTH = 2_000
SENTENCE = "The ships left the harbour at dawn, one after another, and nobody on the quay waved to them. "
TARGETS = ("attn_q", "attn_k", "attn_v", "attn_output")


@asynccontextmanager
async def engine_on(model: Path) -> AsyncIterator[LlamaEngine]:
    """The engine as chatapp opens it, in a service that can time a switch."""
    size = Size(4096, available_cores(), 0, BATCH, -1)
    async with opened(model, target="tests.plugins.llama_services:Timed", size=size) as engine:
        yield engine


def adapters_in(folder: Path, model: Path, count: int, invocation: tuple[int, ...] = ()) -> list[Adapter]:
    """Random adapters of rank 8 on the attention of every layer, weak enough to leave the answers sensible."""
    kind = "activated" if invocation else "ordinary"
    return [
        Adapter(
            f"{kind}{seed}",
            str(
                write_adapter(
                    folder / f"{kind}{seed}.gguf", model,
                    rank=8, alpha=16.0, targets=TARGETS, scale=0.002, seed=seed, invocation=invocation,
                )
            ),
        )
        for seed in range(count)
    ]  # fmt: skip


async def first_token(engine: LlamaEngine, talk: list[Message], adapter: Adapter) -> tuple[float, int]:
    """Seconds from the wish for this adapter to the first token of an answer, and the tokens that had to be read."""
    begun = time.perf_counter()
    await lay(engine, adapter)
    first, read = 0.0, 0
    how = Sampling(temperature=0.0, max_tokens=20)
    async with aclosing(engine.stream(Request(tuple(talk), how))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                first = first or time.perf_counter() - begun
            elif isinstance(event, Usage):
                read = event.evaluated_tokens
    await engine.settled()
    return first, read


async def switching_adapters(model: Path) -> list[Figure]:
    """Time to the first token after a switch and without one, for activated and for ordinary adapters, in turns."""
    with tempfile.TemporaryDirectory() as name:
        async with engine_on(model) as engine:
            calls = invocation_of(model)
            kinds = {
                "activated": adapters_in(Path(name), model, 2, calls),
                "ordinary": adapters_in(Path(name), model, 2),
            }
            for adapter in (*kinds["activated"], *kinds["ordinary"]):
                # The first use of a file checks it; what is measured is changing between those in use.
                await engine.examine(adapter)
            sentences = LENGTH // (await engine.count_tokens([SENTENCE]))[0]
            talk = [user(SENTENCE * sentences), assistant("I have read it.")]
            times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            tokens: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            for each in range(ROUNDS):
                for kind, (one, other) in kinds.items():
                    await first_token(engine, [*talk, user(f"Warm up, please, {each}.")], one)
                    stayed = await first_token(engine, [*talk, user(f"How many ships, {each}?")], one)
                    switched = await first_token(engine, [*talk, user(f"How many people, {each}?")], other)
                    times[kind].append((switched[0], stayed[0]))
                    tokens[kind].append((switched[1], stayed[1]))
            await lay(engine, kinds["ordinary"][0])
            changes = await engine._worker.call("switch", CHANGES)
    return [
        *(_wait(kind, pairs) for kind, pairs in times.items()),
        *(_read(kind, pairs) for kind, pairs in tokens.items()),
        Figure("laying an adapter on", statistics.median(changes) * 1e3, "ms", 5.0, at_least=False),
    ]


def _wait(kind: str, pairs: list[tuple[float, float]]) -> Figure:
    target = 0.5 if kind == "activated" else None
    return Figure(
        f"first token: {kind} switch after none", median_difference(pairs), "s", target, at_least=False,
        samples=tuple(pairs), about=f"a conversation of about {LENGTH} tokens",
    )  # fmt: skip


def _read(kind: str, pairs: list[tuple[float, float]]) -> Figure:
    value = statistics.median(switched for switched, _ in pairs)
    return Figure(f"tokens read after a switch: {kind}", value, "tokens", samples=tuple(pairs))


def invocation_of(model: Path) -> tuple[int, ...]:
    """The token ids of what begins an answer, found as an adapter's own file would say them."""
    from gguf import GGUFReader

    field = GGUFReader(model).get_field("tokenizer.ggml.tokens")
    assert field is not None
    words = {bytes(field.parts[part]): number for number, part in enumerate(field.data)}
    return tuple(words[word] for word in (b"<|im_start|>", b"assistant", "Ċ".encode()))


async def writing_under_adapters(model: Path) -> list[Figure]:
    """Tokens a second under one, two and four adapters beside none, in turns."""
    question = [user("Explain in detail how a steam engine works.")]
    samples: dict[int, list[tuple[float, float]]] = {1: [], 2: [], 4: []}
    with tempfile.TemporaryDirectory() as name:
        adapters = adapters_in(Path(name), model, 4)
        async with engine_on(model) as engine:
            await speed(engine, question, [])
            for _ in range(ROUNDS):
                for count, pairs in samples.items():
                    alone = await speed(engine, question, [])
                    pairs.append((await speed(engine, question, adapters[:count]), alone))
    return [
        Figure(f"tokens/s: {count} adapters to none", median_ratio(pairs), "ratio", samples=tuple(pairs))
        for count, pairs in samples.items()
    ]


async def speed(engine: LlamaEngine, talk: list[Message], adapters: list[Adapter]) -> float:
    """Tokens a second of an answer under these adapters."""
    await lay(engine, *adapters)
    request = Request(tuple(talk), Sampling(temperature=0.0, max_tokens=WRITTEN))
    usage = next(event for event in [each async for each in engine.stream(request)] if isinstance(event, Usage))
    return usage.tokens_per_second
