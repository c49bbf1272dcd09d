"""The llama plugin's service made worse in a chosen way, or measured, in a child process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from chatapp import AdapterFacts, Event, Job, Request
from chatapp_llama import checking
from chatapp_llama.mix import plan
from chatapp_llama.service import Service


class Unchecked(Service):
    """Gives every adapter to llama.cpp as it is."""

    def __init__(self) -> None:
        super().__init__()
        checking.check = _nothing  # type: ignore[assignment]


class Falling(Service):
    """Ends its process in mid-answer when an adapter is laid over the model, as faulty native code does."""

    def stream(self, job: Job, request: Request) -> Iterator[Event]:
        """Answer, or abort."""
        if self._laid:
            os.abort()
        yield from super().stream(job, request)


class Timed(Service):
    """Tells how long laying adapters on takes in the child itself."""

    def switch(self, job: Job, rounds: int) -> list[float]:
        """Seconds for each change between all that is laid on and nothing."""
        assert self._reading is not None
        mix = plan(self._laid, [0] * len(self._laid)).last
        seconds = []
        for each in range(rounds):
            begun = time.perf_counter()
            self._reading.adapters.lay(() if each % 2 else mix)
            seconds.append(time.perf_counter() - begun)
        return seconds


def _nothing(*_: Any) -> AdapterFacts:
    return AdapterFacts(4, 8.0, ("attn_q",), 0, "qwen2")
