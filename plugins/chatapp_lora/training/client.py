"""Training as the rest of the plugin sees it: a client of the service in the child process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from importlib.util import find_spec

from chatapp import EngineError, Host, Progress, WorkerDied, WorkerError, visible
from chatapp_lora.options import LoraSettings
from chatapp_lora.training.plan import Plan, Step, Trained

TARGET = "chatapp_lora.training.service:Service"
LIBRARIES = ("torch", "transformers", "peft", "gguf", "safetensors", "llama_cpp")
ENVIRONMENT = {
    # Nothing is downloaded: the libraries must not ask the network about it.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that spin while they wait take the processor from the model that answers: ten times slower steps.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Torch keeps a thousand compiled kernels, one per shape of a step: hundreds of megabytes in bfloat16.
    "LRU_CACHE_CAPACITY": "16",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
}


class Trainer:
    """Trains in a child process of low priority, which is paused while an answer streams.

    The child starts with the first run and holds the model until `close`, so a run that is stopped and goes on in the
    same trainer loads nothing again. One run at a time.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._worker = host.workers.add("training", TARGET, ENVIRONMENT)

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._worker.pid

    async def run(self, plan: Plan) -> AsyncGenerator[Progress | Step | Trained, None]:
        """Train: `Progress` while it is made ready, a `Step` after each step, and `Trained` at the end.

        A plan whose folder has a state of the same plan goes on from there, with the very result it would have had
        without a stop. Closing the iterator stops within a step and returns when the state is written. UsageError or
        EngineError says in one sentence what cannot be done.
        """
        need_libraries()
        keep = self._host.config(LoraSettings).keep_base
        cache = self._host.paths.cache / "lora"
        finished = False
        try:
            async with aclosing(self._worker.stream("train", plan, cache, keep, background=True)) as events:
                async for event in events:
                    finished = isinstance(event, Trained)
                    yield event
            finished = True
        except WorkerDied as error:
            raise EngineError(
                f"The training of {visible(plan.name)} was cut off ({str(error).partition(';')[0].rstrip('.')}): start "
                "it again and it goes on from the last state it wrote."
            ) from error
        finally:
            if not finished and self._worker.alive:
                with suppress(WorkerError):
                    # Not in the background: a child that is paused has to go on to write its state.
                    await self._worker.call("settle")

    async def close(self) -> None:
        """End the child and give its memory back; safe to call twice."""
        await self._worker.close()


def need_libraries() -> None:
    """Raise EngineError, saying what to install, where a library that trains is missing."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise EngineError(f"{missing[0]}, which training needs, is not installed; pip install 'chatapp[lora]' would.")
