"""The model with what is trained of it: PEFT's low-rank factors, or all its weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from chatapp import GgufHead
from chatapp_lora.training.base import Base
from chatapp_lora.training.data import Batch
from chatapp_lora.training.head import HeadLoss
from chatapp_lora.training.names import PROJECTIONS, module_of, tensor_of
from chatapp_lora.training.plan import Plan

Factors = dict[str, tuple[Any, Any]]


class Learner:
    """A base model prepared for `plan`. `parameters` are what is trained, by name, in fp32.

    `tick` is called before each layer; an exception from it stops a step in its middle, which leaves the parameters as
    they were after the last whole step.
    """

    def __init__(self, base: Base, plan: Plan, invocation: Sequence[int], tick: Callable[[], None]) -> None:
        model = base.model
        self._head = model.lm_head.weight
        self._layers = list(model.model.layers)
        self._invocation = list(invocation)
        self._offsets: list[int] = []
        # Without its head the model returns hidden states where its logits would be: the head then sees few of them.
        model.lm_head = torch.nn.Identity()
        for layer in self._layers:
            layer.register_forward_pre_hook(lambda *_: tick())
        self._model = model.requires_grad_(True) if plan.full else _adapted(model, plan, invocation)
        if plan.full and not model.config.tie_word_embeddings:
            self._head.requires_grad_(True)
        self.parameters = dict(self._trained(plan))

    def _trained(self, plan: Plan) -> Iterator[tuple[str, torch.nn.Parameter]]:
        yield from ((name, each) for name, each in self._model.named_parameters() if each.requires_grad)
        if plan.full and self._head.requires_grad and not self._model.config.tie_word_embeddings:
            yield "lm_head.weight", self._head

    def spare(self) -> None:
        """Keep less for the way back and compute it again: a third slower, in a fraction of the memory."""
        from peft.tuners.lora import LoraLayer
        from torch.utils.checkpoint import checkpoint

        for layer in self._layers:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        for module in self._model.modules() if self._invocation else ():
            # What is computed again is no longer inside PEFT's forward, which tells its layers where they are active.
            if isinstance(module, LoraLayer):
                module.register_forward_pre_hook(self._activated, with_kwargs=True)

    def _activated(self, _: Any, inputs: Any, named: dict[str, Any]) -> Any:
        return inputs, {**named, "alora_offsets": self._offsets}

    def loss(self, batch: Batch) -> torch.Tensor:
        """The summed loss, in nats, of the batch's tokens to be learnt; a scalar that knows the way back."""
        self._offsets = [_from_end(row, self._invocation) for row in batch.ids.tolist()]
        states = self._model(input_ids=batch.ids, attention_mask=batch.attention).logits
        found: torch.Tensor = HeadLoss.apply(states.flatten(0, 1)[batch.places], self._head, batch.targets)
        return found

    def factors(self) -> Factors:
        """The low-rank factors as PEFT has them, by the name of the tensor they change: A (r, in), B (out, r)."""
        found = {}
        for name, first in self.parameters.items():
            if ".lora_A." in name:
                module = name.partition(".lora_A.")[0].removeprefix("base_model.model.")
                second = self.parameters[name.replace(".lora_A.", ".lora_B.")]
                found[f"{tensor_of(module)}.weight"] = (first.detach().numpy(), second.detach().numpy())
        return found

    def weights(self, head: GgufHead) -> dict[str, Any]:
        """All trained weights of a plan that is `full`, by the GGUF's names."""
        names = {tensor.name: module_of(tensor.name) for tensor in head.tensors}
        return {
            name: self.parameters[module].detach().numpy()
            for name, module in names.items()
            if module in self.parameters
        }


def _from_end(row: Sequence[int], wanted: Sequence[int]) -> int:
    """How far before the end of the row its last `wanted` begins; 0 where there is none, or nothing is wanted."""
    size = len(wanted)
    places = (place for place in range(len(row) - size, -1, -1) if row[place : place + size] == wanted)
    return len(row) - next(places, len(row)) if size else 0


def _adapted(model: Any, plan: Plan, invocation: Sequence[int]) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(plan.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.rank,
        lora_alpha=plan.alpha,
        target_modules=[PROJECTIONS[target][1].rpartition(".")[2] for target in plan.targets],
        alora_invocation_tokens=list(invocation) or None,
    )
    with warnings.catch_warnings():
        # It would like to know the name of a folder; this base has none.
        warnings.simplefilter("ignore")
        return get_peft_model(model, config)
