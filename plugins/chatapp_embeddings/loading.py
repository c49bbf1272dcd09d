"""What both services in child processes share: loading a model, and reading texts in steps that stay short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from chatapp import EngineError, Job

Model = TypeVar("Model")
Result = TypeVar("Result")

STEP_SECONDS = 0.25
"""How long a step should take: it cannot be stopped in the middle."""
FIRST, LEAST, MOST = 2048, 256, 65_536
"""Tokens read in one step: of the first, and whatever the measured speed says. Measured on two cores with AVX512:
steps of 2,048 tokens are the fastest, those of 8,192 a tenth slower, as they outgrow the processor's caches."""
BYTES_PER_TOKEN = 4
UNBOUNDED = 8192
"""Tokens counted of a text by a model that states no limit."""


def load(make: Callable[[], Model], folder: str, threads: int) -> Model:
    """What `make` loads from `folder`; EngineError in one sentence when that cannot be."""
    import torch

    torch.set_num_threads(threads)
    try:
        return make()
    except Exception as error:
        # The library raises whatever its parts raise for a broken folder.
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise EngineError(f"The model in {folder} cannot be loaded: {reason.rstrip('.')}.") from error


def precision_for(wanted: str, device: str) -> str:
    """The precision to compute in: `wanted`, or for "auto" what this processor computes fastest."""
    if wanted != "auto":
        return wanted
    import torch

    able = torch.cpu.get_capabilities()
    # Other processors emulate bfloat16, which is slower than float32.
    return "bfloat16" if device == "cpu" and (able.get("avx512_bf16") or able.get("amx_bf16")) else "float32"


def costs(texts: Sequence[str], most: int) -> list[int]:
    """About how many tokens each text is, and no more than `most`, of which the model reads no more.

    Bytes tell it well enough: counting tokens would read every text twice.
    """
    return [min(len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + 2, most) for text in texts]


def steps(
    job: Job, costs: Sequence[int], batch: int, work: Callable[[list[int]], Result]
) -> Iterator[tuple[list[int], Result]]:
    """Places of texts, and what `work` made of them, step by step until all are done or the job is cancelled.

    `costs` are the texts' tokens, `batch` the most texts of a step. Texts of like length go together: the short ones of
    a mixed step would be padded to the longest. The longest come first, so that too little memory shows at once.
    """
    order = sorted(range(len(costs)), key=lambda place: -costs[place])
    room = float(FIRST)
    while order and not job.cancelled:
        longest = costs[order[0]]
        count = max(1, min(batch, int(room) // longest))
        places, order = order[:count], order[count:]
        started = time.perf_counter()
        result = work(places)
        speed = len(places) * longest / max(time.perf_counter() - started, 1e-6)
        room = min(max(room / 2, speed * STEP_SECONDS, LEAST), room * 2, MOST)
        yield places, result
