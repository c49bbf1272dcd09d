"""The service in the child process: trains, at the lowest priority."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from chatapp import GgufHead, Job, Progress, UsageError, read_gguf, visible
from chatapp_lora.training import memory
from chatapp_lora.training.base import Report, fastest, load_base
from chatapp_lora.training.checkpoint import Checkpoints, fingerprint
from chatapp_lora.training.data import Row, rows
from chatapp_lora.training.fitting import spares
from chatapp_lora.training.merging import write_full
from chatapp_lora.training.plan import Plan, Step, Trained
from chatapp_lora.training.rendering import Rendering
from chatapp_lora.training.vocabulary import Vocabulary

NICE = 19
CHATS_AT_ONCE = 50
LIBRARIES = ("torch", "transformers", "peft", "gguf")


class Stopped(Exception):
    """The parent has lost interest; the state was written, or nothing was done yet."""


class Service:
    """Trains one plan after another. Every method takes the job first; see `chatapp.Job`."""

    def __init__(self, nice: int = NICE) -> None:
        if hasattr(os, "nice"):
            os.nice(nice)
        self._job: Job | None = None
        self._held: _Run | None = None

    def train(self, job: Job, plan: Plan, cache: Path, keep: bool) -> Iterator[Step | Trained]:
        """Go on with the plan's run, or begin it; emits `Progress` while it is made ready.

        What is ready stays in memory when the run is stopped, so that going on costs nothing.
        """
        self._job = job
        run = self._held
        try:
            if run is None or run.of != (fingerprint(plan), plan.folder):
                self._held = None
                run = self._held = _Run(plan, cache, keep, self._tick, self._report)
            with closing(run.loop.steps()) as steps:
                yield from steps
            yield run.trained(plan)
        except Stopped:
            return
        except BaseException as error:
            # After a failure nothing of what is in memory is trusted; a parent that closes is no failure.
            if not isinstance(error, GeneratorExit):
                self._held = None
            raise

    def settle(self, job: Job) -> None:
        """Return when what was stopped has written its state: calls are worked off in order."""

    def _tick(self) -> None:
        if self._job is not None and self._job.cancelled:
            raise Stopped

    def _report(self, progress: Progress) -> None:
        self._tick()
        assert self._job is not None
        self._job.emit(progress)


class _Run:
    """Everything of a run that is in memory."""

    def __init__(self, plan: Plan, cache: Path, keep: bool, tick: Callable[[], None], report: Report) -> None:
        self.of = fingerprint(plan), plan.folder
        self._report = report
        before = Checkpoints(plan).read()
        report(Progress("Loading the libraries that train"))
        import torch

        from chatapp_lora.training.learner import Learner
        from chatapp_lora.training.loop import Loop

        torch.set_num_threads(plan.threads)
        head = read_gguf(plan.base)
        train, held_out, self.invocation, self.cut = _read(plan, head, report)
        dtype = before.dtype if before else "fp32" if plan.full else fastest()
        base = load_base(plan.base, plan.base_sha256, dtype, cache, keep, report)
        self._head = head
        self.learner = Learner(base, plan, self.invocation, tick)
        if spares(plan, head, memory.free()):
            self.learner.spare()
        self.loop = Loop(plan, base, self.learner, train, held_out)

    def trained(self, plan: Plan) -> Trained:
        """Write what was learnt, at its best, into the plan's folder; what there is to say of the run."""
        state = self.loop.state
        self.loop.finish()
        path = self._written(plan)
        best = state.best or state.step
        held_out = dict(state.held_out)
        return Trained(
            path=path,
            steps=state.step,
            best=best,
            loss=state.losses[-1],
            held_out=held_out.get(best),
            seconds=state.seconds,
            memory=state.memory,
            facts={
                "losses": [round(loss, 5) for loss in state.losses],
                "held_out": [[step, round(loss, 5)] for step, loss in state.held_out],
                "tokens": state.seen,
                "tokens_learnt": state.learnt,
                "seconds_per_step": round(statistics.median(state.taken), 3),
                "parameters": sum(each.numel() for each in self.learner.parameters.values()),
                "cut": self.cut,
                "dtype": state.dtype,
                "seed": plan.seed,
                "invocation": list(self.invocation),
                "versions": {library: version(library) for library in LIBRARIES},
            },
        )

    def _written(self, plan: Plan) -> Path:
        """The file of what was learnt."""
        from chatapp_lora.training.export import AdapterHead, write_adapter

        if plan.full:
            path = plan.folder / "model.gguf"
            write_full(self._head, self.learner.weights(self._head), path, self._report)
            return path
        path = plan.folder / "adapter.gguf"
        name = str(self._head.values.get("general.name", plan.base.stem))
        facts = AdapterHead(plan.name, plan.alpha, name, plan.base_sha256, tuple(self.invocation))
        write_adapter(path, self.learner.factors(), facts, self._head)
        return path


def _read(plan: Plan, head: GgufHead, report: Report) -> tuple[tuple[Row, ...], tuple[Row, ...], list[int], int]:
    """The rows to train on and those held out, the ids of the invocation, and how many rows were cut."""
    with Vocabulary(plan.base) as vocabulary:
        template = head.values.get("tokenizer.chat_template")
        rendering = Rendering(template, vocabulary.text("bos"), vocabulary.text("eos"), vocabulary.controls())
        invocation = vocabulary.tokenize(plan.invocation) if plan.invocation else []
        first, total = len(plan.train), len(plan.train) + len(plan.held_out)

        def told(done: int) -> None:
            if done % CHATS_AT_ONCE == 0 or done == total:
                report(Progress("Reading the chats", done, total, "chats"))

        train = rows(plan.train, rendering, vocabulary, plan.longest, invocation, told)
        held_out = rows(plan.held_out, rendering, vocabulary, plan.longest, invocation, lambda done: told(first + done))
    if not train.rows:
        raise UsageError(f"There is nothing to train {visible(plan.name)} on: give it chats.")
    return train.rows, held_out.rows, invocation, train.cut + held_out.cut
