"""The steps of a training."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from itertools import islice

import torch

from chatapp import EngineError
from chatapp_lora.training.base import Base
from chatapp_lora.training.checkpoint import Checkpoints, State
from chatapp_lora.training.data import Batch, Row, batch_of, order
from chatapp_lora.training.learner import Learner
from chatapp_lora.training.memory import peak, resident
from chatapp_lora.training.plan import Plan, Step

CLIP = 1.0
"""The largest L2 norm of all gradients together."""
CHECKPOINT_SECONDS = 20.0
CHECKPOINT_SHARE = 20
"""A state is written at most so often that writing takes one part in this many of the time."""
MOST_HELD_OUT = 32
"""Held-out rows whose loss is taken: more would take longer than training."""


class Loop:
    """One run from where it stands to its end."""

    def __init__(self, plan: Plan, base: Base, learner: Learner, train: Sequence[Row], held_out: Sequence[Row]) -> None:
        self.learner = learner
        self.checkpoints = Checkpoints(plan)
        found = self.checkpoints.read()
        self.state = found or State(base.dtype)
        self._plan = plan
        self._train = train
        self._held_out = _batches(held_out[:MOST_HELD_OUT], plan.batch)
        self._optimizer = torch.optim.AdamW(learner.parameters.values(), lr=plan.rate, weight_decay=0.0, fused=True)
        self._saved = self.state.step if found else -1
        self._next_save = 0.0
        if found:
            self.checkpoints.restore(learner.parameters, self._optimizer)

    @property
    def over(self) -> bool:
        """Whether the last step was made, or the held-out loss has long been no better."""
        state, plan = self.state, self._plan
        after = sum(1 for step, _ in state.held_out if step > state.best)
        return state.step >= plan.steps or bool(plan.patience and after >= plan.patience)

    def steps(self) -> Generator[Step, None, None]:
        """Make the steps that are left, and yield each; closing the iterator, or its end, writes the state."""
        try:
            if self._due():
                self._judge()
            batches = order([len(row.ids) for row in self._train], self._plan.batch, self._plan.seed)
            rows = islice(batches, self.state.step, None)
            while not self.over:
                yield self._step(batch_of([self._train[row] for row in next(rows)]))
                self._save_in_time()
        finally:
            self.save()

    def finish(self) -> None:
        """Take the best weights; without held-out examples those are the last."""
        if self.state.best and self.state.best != self.state.step:
            self.checkpoints.restore_best(self.state.best, self.learner.parameters)

    def save(self) -> None:
        """Write the state unless it is written."""
        if self._saved == self.state.step:
            return
        begun = time.monotonic()
        self.checkpoints.save(self.state, self.learner.parameters, self._optimizer)
        self._saved = self.state.step
        taken = time.monotonic() - begun
        self._next_save = time.monotonic() + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * taken)

    def _save_in_time(self) -> None:
        if time.monotonic() >= self._next_save:
            self.save()

    def _step(self, batch: Batch) -> Step:
        begun = time.monotonic()
        state, plan = self.state, self._plan
        for group in self._optimizer.param_groups:
            group["lr"] = plan.rate * slope(state.step, plan)
        self._optimizer.zero_grad()
        loss = self.learner.loss(batch) / len(batch.targets)
        if not torch.isfinite(loss):
            raise EngineError(f"The loss of step {state.step + 1} is not a number: train at a lower learning rate.")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters.values(), CLIP)
        self._optimizer.step()
        state.losses.append(float(loss.detach()))
        state.taken.append(time.monotonic() - begun)
        state.seen += int(batch.attention.sum())
        state.learnt += len(batch.targets)
        held_out = self._judge() if self._due() else None
        state.seconds += time.monotonic() - begun
        state.memory = max(state.memory, peak())
        return Step(state.step, state.losses[-1], state.taken[-1], held_out, resident())

    def _due(self) -> bool:
        """Whether the held-out loss is to be taken now; also when the run was stopped while it was being taken."""
        state, plan = self.state, self._plan
        if not self._held_out or (state.held_out and state.held_out[-1][0] == state.step):
            return False
        return state.step % plan.evaluate_every == 0 or state.step == plan.steps

    def _judge(self) -> float:
        """The held-out loss a token now; the weights are kept when it is the best so far."""
        state = self.state
        with torch.no_grad():
            total = sum(float(self.learner.loss(batch)) for batch in self._held_out)
        loss = total / sum(len(batch.targets) for batch in self._held_out)
        # The base itself, of step 0, is told but is no candidate.
        before = [each for step, each in state.held_out if step]
        state.held_out.append((state.step, loss))
        if state.step and loss < min(before, default=float("inf")):
            self.checkpoints.save_best(state.step, self.learner.parameters)
            state.best = state.step
        return loss


def slope(step: int, plan: Plan) -> float:
    """The part of the learning rate that the step after `step` steps is made at: a warm-up, then falling linearly."""
    if step < plan.warm_up:
        return (step + 1) / plan.warm_up
    return (plan.steps - step) / max(1, plan.steps - plan.warm_up)


def _batches(rows: Sequence[Row], size: int) -> list[Batch]:
    ordered = sorted(rows, key=lambda row: len(row.ids))
    return [batch_of(ordered[start : start + size]) for start in range(0, len(ordered), size)]
