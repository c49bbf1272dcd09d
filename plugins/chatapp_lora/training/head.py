"""The output head and its loss, in portions: all logits of a batch at once would take more memory than the model."""

from __future__ import annotations

from typing import Any

import torch

PORTION = 128
"""Tokens whose logits are in memory at a time."""


class HeadLoss(torch.autograd.Function):  # type: ignore[misc]
    """The summed cross-entropy, in nats, of `states` (tokens, width) under `head` (vocabulary, width).

    The gradients are taken on the way forward, while a portion's logits are there. `head` is left without one where it
    is frozen.
    """

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss, a float32 scalar."""
        wanted, of_head = ctx.needs_input_grad[:2]
        total = torch.zeros((), dtype=torch.float32)
        for_states = torch.empty_like(states) if wanted else None
        for_head = torch.zeros_like(head) if of_head else None
        for start in range(0, len(states), PORTION):
            part, target = states[start : start + PORTION], targets[start : start + PORTION]
            scores = torch.log_softmax((part @ head.T).float(), dim=-1)
            total -= scores.gather(1, target[:, None]).sum()
            if for_states is not None:
                slope = scores.exp_()
                slope[torch.arange(len(target)), target] -= 1
                slope = slope.to(states.dtype)
                for_states[start : start + PORTION] = slope @ head
                if for_head is not None:
                    for_head += slope.T @ part
        ctx.save_for_backward(for_states, for_head)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of states and head."""
        return (*(None if each is None else each * slopes[0].to(each.dtype) for each in ctx.saved_tensors), None)
