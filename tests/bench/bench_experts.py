"""Experts: what a conversation waits for that changes expert with every message, beside the same without experts."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_embeddings
import chatapp_experts
import chatapp_llama
import chatapp_lora
from chatapp import Session, TextDelta
from chatapp.paths import paths
from chatapp.testing import RecordingUI, make_host
from chatapp_embeddings.catalogue import MINILM
from chatapp_llama.engine import LlamaEngine
from tests.bench.bench_adapters import adapters_in, invocation_of
from tests.bench.figure import Figure, median_difference

ASKED = (
    "What's the capital of {}? Just the name.",
    "Give me the population of {} as a JSON object.",
    "Qual é a comida mais conhecida de {}?",
    "Which terminal command counts the lines of {}.txt?",
)
"""One message for each of the bundled experts, which the gate sends to it."""
EXPERTS = ("brief", "json", "pt-br", "shell")
COUNTRIES = ("Peru", "Kenya", "Norway", "Vietnam", "Portugal")
MESSAGES = [message.format(country) for country in COUNTRIES for message in ASKED]


@asynccontextmanager
async def talking(folder: Path, model: Path, *, on: bool) -> AsyncIterator[Session]:
    """A conversation with everything open, the gate on or off."""
    settings: dict[str, Any] = {
        "embeddings": {"folder": str(paths().data / "embeddings" / MINILM.name)},
        "experts": {"on": on},
        "sampling": {"temperature": 0.0, "max_tokens": 20},
    }
    host = make_host(folder, RecordingUI(), model=str(model), engine="llama", offline=True, **settings)
    for name, module in {
        "embeddings": chatapp_embeddings, "experts": chatapp_experts, "llama": chatapp_llama, "lora": chatapp_lora,
    }.items():  # fmt: skip
        host.add(name, module)
    await host.startup()
    try:
        session = Session(host)
        for kind in ("chat", "embedding"):
            async with aclosing(host.engines.ready(session, kind)) as news:
                async for _ in news:
                    pass
        yield session
    finally:
        await host.shutdown()


async def ask(session: Session, text: str) -> tuple[float, str]:
    """Seconds from sending a message to the first token of its answer, and who answered."""
    begun, first = time.perf_counter(), 0.0
    async with aclosing(session.send(text)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                first = first or time.perf_counter() - begun
    engine = session.host.engines.current()
    if isinstance(engine, LlamaEngine):
        # As when the answer is read before the next message is written.
        await engine.settled()
    return first, session.status.get("experts", "")


async def changing_experts(model: Path) -> list[Figure]:
    """Time to the first token, message by message, of both conversations in turns; all adapters are activated ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = adapters_in(folder, model, len(EXPERTS), invocation_of(model))
        (folder / "with" / "data" / "lora").mkdir(parents=True)
        for expert, adapter in zip(EXPERTS, made, strict=True):
            await asyncio.to_thread(shutil.copy, adapter.path, folder / "with" / "data" / "lora" / f"{expert}.gguf")
        pairs, right = [], 0
        async with (
            talking(folder / "with", model, on=True) as gated,
            talking(folder / "without", model, on=False) as plain,
        ):
            for place, text in enumerate(MESSAGES):
                (waited, who), (beside, _) = await ask(gated, text), await ask(plain, text)
                right += who == EXPERTS[place % len(EXPERTS)]
                pairs.append((waited, beside))
    about = f"{len(pairs)} messages, each to another expert; {right} of them where they belong"
    return [
        Figure(
            "first token with experts", statistics.median(a for a, _ in pairs), "s", samples=tuple(pairs), about=about
        ),
        Figure("first token without", statistics.median(b for _, b in pairs), "s", samples=tuple(pairs)),
        Figure("what experts add to it", median_difference(pairs), "s", 0.5, at_least=False, samples=tuple(pairs)),
    ]
