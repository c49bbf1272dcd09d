"""Whether a training fits into memory, by estimate, before it begins; and what would fit.

The constants were taken from peaks of models of 0.5 and 1.5 B parameters and lie a little above them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chatapp import GgufHead, human_bytes, read_gguf, visible
from chatapp_lora.training import memory
from chatapp_lora.training.names import PROJECTIONS, architecture, value
from chatapp_lora.training.plan import Plan

LIBRARIES = 550_000_000
"""Bytes of torch, transformers and PEFT themselves."""
A_WIDTH, A_FEED = 64, 6
"""Bytes a token and layer keeps for the way back, for each of the hidden width and of the feed-forward width (bf16)."""
AGAIN = 7
"""Layers' worth of that which are there while one layer is computed again, when less is kept."""
HEAD_TOKENS, HEAD_BYTES = 128, 10
"""Logits that are there at a time (`head.PORTION` tokens), and bytes for each."""
STATE = 16
"""Bytes for each trained number: weight, gradient and AdamW's two moments, in fp32."""
TEMPLATE_TOKENS, BYTES_A_TOKEN = 40, 2.5
"""What a chat template adds to a chat, and how few bytes of text make a token at worst in common languages."""
SHORTEST = 64
FAST = ("avx512_bf16", "amx_bf16", " bf16 ")
"""What /proc/cpuinfo says of a processor that is fast at bf16 (x86, x86, Arm)."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes at the peak, and the sentence that says so."""

    bytes: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a plan fits into what is free (`fits`), or would if other programs were closed (`possible`).

    `sentence` is for the user: what it needs, what there is, and, where it does not fit, what would.
    """

    need: Need
    free: int
    fits: bool
    possible: bool
    sentence: str


def needed(plan: Plan, head: GgufHead | None = None, *, spare: bool = False) -> Need:
    """The peak of memory of a plan; with `spare`, when less is kept for the way back.

    `head` is that of the base, read when it is not given. EngineError when it cannot be trained. Reads the file's head.
    """
    head = head or read_gguf(plan.base)
    size = peak(plan, head, spare=spare)
    if plan.full:
        count = human_bytes(STATE * _parameters(head))
        why = f"full fine-tuning keeps {STATE} bytes for each of {_parameters(head):,} weights, {count} in all"
    else:
        why = f"{human_bytes(_weights(plan, head))} of it for the model itself"
    sentence = f"Training {visible(plan.name)} on {visible(plan.base.name)} needs about {human_bytes(size)} of memory"
    return Need(size, f"{sentence}: {why}.")


def spares(plan: Plan, head: GgufHead, free: int) -> bool:
    """Whether less must be kept for the way back, and more computed again: a step is then a third slower."""
    return peak(plan, head, spare=False) > free


def peak(plan: Plan, head: GgufHead, *, spare: bool) -> int:
    """Bytes at the peak; `spare` keeps each layer's input for the way back and computes the rest again."""
    architecture(head)
    width, feed = int(value(head, "embedding_length")), int(value(head, "feed_forward_length"))
    layers, wide = int(value(head, "block_count")), 2 if _wide(plan) else 1
    tokens = plan.batch * tokens_of(plan)
    a_layer = tokens * (A_WIDTH * width + A_FEED * feed) * wide
    kept = layers * a_layer
    if spare:
        kept = min(kept, AGAIN * a_layer + layers * tokens * width * 2 * wide)
    logits = HEAD_TOKENS * HEAD_BYTES * _vocabulary(head)
    trained = _parameters(head) if plan.full else _factors(plan, head)
    return LIBRARIES + _weights(plan, head) + STATE * trained + kept + logits


def check(plan: Plan, free: int | None = None, installed: int | None = None) -> Fit:
    """Compare what a plan needs with what is free, in bytes (None: of this machine), and say what would fit.

    EngineError when the base cannot be trained at all. Reads the base's head: call it in a thread.
    """
    head = read_gguf(plan.base)
    free = memory.free() if free is None else free
    installed = memory.installed() if installed is None else installed
    slow = spares(plan, head, free)
    need = needed(plan, head, spare=slow)
    fits, possible = need.bytes <= free, need.bytes <= installed
    told = f"{need.sentence[:-1]}; {human_bytes(free)} are free"
    if fits:
        return Fit(
            need, free, fits, possible, f"{told}{', so it will be a third slower to save memory' if slow else ''}."
        )
    close = "close other programs" if possible else "this machine has too little for it"
    return Fit(need, free, fits, possible, f"{told}: {close}, or {_advice(plan, head, free)}.")


def tokens_of(plan: Plan) -> int:
    """The most tokens that an example of the plan can have."""
    examples = (*plan.train, *plan.held_out)
    largest = max((sum(len(text.encode()) for _, text in each.messages) for each in examples), default=0)
    return min(plan.longest, TEMPLATE_TOKENS + int(largest / BYTES_A_TOKEN))


def _advice(plan: Plan, head: GgufHead, free: int) -> str:
    """What would fit, as the end of a sentence."""
    for smaller, words in _smaller(plan):
        if peak(smaller, head, spare=True) <= free:
            return words
    left = max(0, free - LIBRARIES - HEAD_TOKENS * HEAD_BYTES * _vocabulary(head))
    fitting = left * 0.8 / (2 if not _wide(plan) else 4) / 1e9
    if fitting < 0.1:
        return "no model can be trained in so little memory"
    return f"train an adapter for a model of at most {fitting:.1f} billion weights"


def _smaller(plan: Plan) -> Iterator[tuple[Plan, str]]:
    """Plans that need less, the least different first."""
    if plan.full:
        yield replace(plan, full=False), "train an adapter instead of the whole model"
    batch, longest = plan.batch, tokens_of(plan)
    while batch > 1:
        batch //= 2
        yield replace(plan, batch=batch, full=False), f"take a batch of {batch}"
    while longest > SHORTEST:
        longest = max(SHORTEST, longest // 2)
        words = f"take a batch of 1 and cut the examples at {longest} tokens"
        yield replace(plan, batch=1, longest=longest, full=False), words


def _weights(plan: Plan, head: GgufHead) -> int:
    """Bytes of the frozen weights; embeddings that are no output head are read from the file row by row."""
    if plan.full:
        return 0
    names = {tensor.name: tensor.weights for tensor in head.tensors}
    rows = names.get("token_embd.weight", 0) if "output.weight" in names else 0
    return (sum(names.values()) - rows) * (4 if _wide(plan) else 2)


def _wide(plan: Plan) -> bool:
    """Whether it is computed in fp32, as far as can be told without torch, which measures it."""
    return plan.full or not _fast()


def _fast() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in FAST)


def _parameters(head: GgufHead) -> int:
    return sum(tensor.weights for tensor in head.tensors)


def _vocabulary(head: GgufHead) -> int:
    return next((tensor.shape[-1] for tensor in head.tensors if tensor.name == "token_embd.weight"), 0)


def _factors(plan: Plan, head: GgufHead) -> int:
    parts = {PROJECTIONS[target][0] for target in plan.targets}
    chosen = (t for t in head.tensors if t.name.endswith(".weight") and t.name.split(".")[-2] in parts)
    return sum(plan.rank * sum(tensor.shape) for tensor in chosen)
